/* SPDX-License-Identifier: MIT */
/* Authenticode of what is no PE, by osslsigncode. Where its signature can be taken out we look at
 * it,
 * too: at its chain, its time stamp, and for the log. */
#include <fcntl.h>

#include "base/limits.h"
#include "cli/verify/tools.h"
#include "os/file.h"

/* The tool has said that the signature is this file's; whose it is, we look at ourselves. */
static void osslsigncode_signers(struct verify_tool_run *run)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    struct chy_str out;
    struct chy_error why;
    bool was_run;
    chy_buf_init(&content, CHY_LIMIT_CMS);
    enum chy_err r = verify_make_name(run, &out, &why);
    if (r == CHY_OK) {
        const char *file = verify_tool_file(run);
        if (!verify_tool_exec(
                run, WORDS("osslsigncode", "extract-signature", "-in", file, "-out", out.p), -1,
                &was_run)) {
            verify_tool_refused(run);
            return;
        }
        r = chy_file_read(AT_FDCWD, out.p, &content, &why);
    }
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    verify_own(run->f, CHY_VERIFY_PKCS7, chy_buf_bytes(&content));
}

void verify_run_osslsigncode(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_roots(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *file = verify_tool_file(run);
    bool is_good = verify_tool_exec(run,
                                    WORDS("osslsigncode", "verify", "-CAfile", run->tools->roots.p,
                                          "-TSA-CAfile", run->tools->stamp_roots.p, "-in", file),
                                    -1, &was_run);
    if (!was_run)
        return;
    if (!is_good || !verify_tool_said(run, "Succeeded")) {
        verify_tool_refused(run);
        return;
    }
    /* One good signature of several is enough for it, and need not be the one that it extracts. */
    if (verify_tool_said(run, "MISMATCH")) {
        verify_say(run->f, VERIFY_BAD, run->program, "a signature in it is of another file");
        return;
    }
    if (verify_tool_said(run, "Signature Index: 1")) {
        verify_say(run->f, VERIFY_UNKNOWN, run->program,
                   "it has several signatures, and %s does not say whose is good", run->program);
        return;
    }
    verify_tool_good(run);
    osslsigncode_signers(run);
}
