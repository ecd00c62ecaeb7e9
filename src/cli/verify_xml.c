/* SPDX-License-Identifier: MIT */
/* What has a verifier whose answer is not enough: XML by xmlsec1, and NuGet. */
#include "cli/verify_tools.h"

/* xmlsec1 takes one certificate of each file. A signature of a part of the document is not one of
 * the document, and a reference to elsewhere would have it fetched: so none but "" is taken. Whose
 * certificate it was xmlsec1 does not say. */
void verify_run_xmlsec(struct verify_tool_run *run)
{
    const struct chy_trust *t = run->f->v->trust;
    size_t n = chy_trust_store_size(t->roots);
    const char **words = chy_arena_array(run->f->arena, const char *, 2 * n + 10);
    struct chy_error why;
    bool was_run;
    size_t at = 0;
    if (words == NULL)
        return;
    words[at++] = "xmlsec1";
    words[at++] = "--verify";
    words[at++] = "--enabled-key-data";
    words[at++] = "x509";
    words[at++] = "--enabled-reference-uris";
    words[at++] = "empty";
    for (size_t i = 0; i < n; i++) {
        struct chy_str path;
        enum chy_err r = verify_make_root(run, t->roots, i, &path, &why);
        if (r != CHY_OK) {
            verify_tool_unready(run, r, &why);
            return;
        }
        words[at++] = "--trusted-pem";
        words[at++] = path.p;
    }
    words[at++] = verify_tool_file(run);
    words[at] = NULL;
    bool is_good = verify_tool_exec(run, words, -1, &was_run);
    if (!was_run)
        return;
    if (!is_good || !verify_tool_said(run, "OK")) {
        verify_tool_refused(run);
        return;
    }
    verify_say(run->f, VERIFY_UNKNOWN, run->program,
               "%s finds a good signature, and does not say who signed it, whether the certificate "
               "is for signing code, or what stands in the signature besides",
               run->program);
}

void verify_run_nuget(struct verify_tool_run *run)
{
    verify_say(run->f, VERIFY_UNKNOWN, NULL, "%s verifies such files, and is not asked from here",
               run->program);
}
