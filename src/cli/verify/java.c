/* SPDX-License-Identifier: MIT */
/* JARs by jarsigner, and APKs by apksigner. */
#include "cli/verify/tools.h"

void verify_run_jarsigner(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_keystore(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *file = verify_tool_file(run);
    bool is_good =
        verify_tool_exec(run,
                         WORDS("jarsigner", "-J-Duser.language=en", "-verify", "-strict",
                               "-keystore", run->tools->keystore.p, "-storepass", "changeit", file),
                         -1, &was_run);
    if (!was_run)
        return;
    if (!is_good || !verify_tool_said(run, "jar verified.")) {
        verify_tool_refused(run);
        return;
    }
    verify_tool_good(run);
    verify_own(run->f, CHY_VERIFY_JAR, (struct chy_bytes){ NULL, 0 });
}

/* 24 is the version since which a package is signed as a whole. Who signed is not taken from what
 * it says: a certificate's names are printed with their line ends. */
void verify_run_apksigner(struct verify_tool_run *run)
{
    bool was_run;
    const char *file = verify_tool_file(run);
    bool is_good = verify_tool_exec(
        run, WORDS("apksigner", "verify", "--min-sdk-version", "24", file), -1, &was_run);
    if (!was_run)
        return;
    if (!is_good) {
        verify_tool_refused(run);
        return;
    }
    verify_tool_good(run);
    verify_own(run->f, CHY_VERIFY_APK, (struct chy_bytes){ NULL, 0 });
}
