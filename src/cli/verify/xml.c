/* SPDX-License-Identifier: MIT */
/* XML by xmlsec1. */
#include "cli/verify/tools.h"

/* Whose certificate it is we find, and that it is to be believed; xmlsec1 must find, by that key
 * and no other, that the document is what was signed. What a reference names is not fetched. */
void verify_run_xmlsec(struct verify_tool_run *run)
{
    struct verify_file *f = run->f;
    struct chy_str key;
    struct chy_error why;
    bool was_run;
    verify_own(f, CHY_VERIFY_XML, (struct chy_bytes){ NULL, 0 });
    if (f->certificate.n == 0)
        return;
    enum chy_err r = verify_make_file(run, f->certificate, &key, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *file = verify_tool_file(run);
    bool is_good = verify_tool_exec(run,
                                    WORDS("xmlsec1", "--verify", "--enabled-key-data", "key-name",
                                          "--enabled-reference-uris", "empty", "--pubkey-cert-der",
                                          key.p, file),
                                    -1, &was_run);
    if (!was_run)
        return;
    if (is_good && verify_tool_said(run, "OK"))
        verify_tool_good(run);
    else
        verify_tool_refused(run);
}
