/* SPDX-License-Identifier: MIT */
/* JARs by jarsigner, and APKs by apksigner. */
#include "cli/verify_tools.h"

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

#define APK_DIGEST "Signer #1 certificate SHA-256 digest: "

/* Its certificate is nobody's but the trust file's: Android knows no authorities. 24 is the version
 * since which a package is signed as a whole. */
void verify_run_apksigner(struct verify_tool_run *run)
{
    bool was_run;
    const char *file = verify_tool_file(run);
    bool is_good = verify_tool_exec(
        run, WORDS("apksigner", "verify", "--min-sdk-version", "24", "--print-certs", file), -1,
        &was_run);
    if (!was_run)
        return;
    struct chy_str digest = verify_tool_value(run, APK_DIGEST);
    struct chy_verify_signer *s = verify_add_signer(run->f);
    /* A name in the certificate is printed with its line ends, before the digest. */
    if (!is_good || digest.n == 0 || s == NULL || !verify_tool_said_once(run, APK_DIGEST)) {
        verify_tool_refused(run);
        return;
    }
    s->subject = verify_tool_value(run, "Signer #1 certificate DN: ");
    s->name = s->subject;
    bool is_one = verify_tool_value(run, "Signer #2 certificate SHA-256 digest: ").n == 0;
    s->is_good = is_one && chy_trust_find(run->f->v->trust, digest, s->certificate_sha256) &&
                 chy_trust_takes_name(run->f->v->trust, s->name, s->subject);
    if (s->is_good) {
        verify_tool_good(run);
        return;
    }
    s->problem = chy_str_of(chy_err_type(CHY_E_FORBIDDEN));
    s->detail = CHY_STR("the signer's certificate is not in the trust file");
    verify_say(run->f, VERIFY_BAD, run->program, "%.*s", CHY_STR_ARG(s->detail));
}
