/* SPDX-License-Identifier: MIT */
/* The table of other people's verifiers. Each says for itself whether a file is good; where its
 * signature can be taken out we look at it, too: at its chain, its time stamp, and for the log. */
#include "cli/verify_tools.h"

#include <fcntl.h>

#include "base/limits.h"
#include "client/pgp_armour.h"
#include "format/place.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"
#include "os/tree.h"

/* A tool that could not be given what it needs. */
static void fail_tool(struct verify_tool_run *run, enum chy_err r, const struct chy_error *why)
{
    if (r == CHY_E_STATE)
        verify_say(run->f, VERIFY_BAD, run->program, "%s", why->text);
    else
        verify_say(run->f, VERIFY_UNKNOWN, run->program, "%s", why->text);
}

/* Its last word, made once the tool had no complaint. */
static void say_good(struct verify_tool_run *run)
{
    verify_say(run->f, VERIFY_GOOD, run->program, "%s", "");
}

/* --- Authenticode of what is no PE --- */

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
        const char *file = verify_tool_path(run, run->f->path);
        if (!verify_tool_exec(
                run, WORDS("osslsigncode", "extract-signature", "-in", file, "-out", out.p), -1,
                &was_run)) {
            verify_tool_refused(run);
            return;
        }
        r = chy_file_read(AT_FDCWD, out.p, &content, &why);
    }
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    verify_own(run->f, CHY_VERIFY_PKCS7, chy_buf_bytes(&content));
}

static void run_osslsigncode(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_roots(run, &why);
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    const char *file = verify_tool_path(run, run->f->path);
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
    say_good(run);
    osslsigncode_signers(run);
}

/* --- Java --- */

static void run_jarsigner(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_keystore(run, &why);
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    const char *file = verify_tool_path(run, run->f->path);
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
    say_good(run);
    verify_own(run->f, CHY_VERIFY_JAR, (struct chy_bytes){ NULL, 0 });
}

/* 24 is the version since which a package is signed as a whole. Who signed is not taken from what
 * it says: a certificate's names are printed with their line ends. */
static void run_apksigner(struct verify_tool_run *run)
{
    bool was_run;
    const char *file = verify_tool_path(run, run->f->path);
    bool is_good = verify_tool_exec(
        run, WORDS("apksigner", "verify", "--min-sdk-version", "24", file), -1, &was_run);
    if (!was_run)
        return;
    if (!is_good) {
        verify_tool_refused(run);
        return;
    }
    say_good(run);
    verify_own(run->f, CHY_VERIFY_APK, (struct chy_bytes){ NULL, 0 });
}

/* --- OpenPGP --- */

static void run_rpmkeys(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_rpmdb(run, &why);
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    const char *file = verify_tool_path(run, run->f->path);
    bool is_good = verify_tool_exec(run,
                                    WORDS("rpmkeys", "--dbpath", run->tools->rpmdb.p, "--define",
                                          "_pkgverify_level all", "-Kv", file),
                                    -1, &was_run);
    if (!was_run)
        return;
    struct chy_str key = verify_tool_value(run, "Signature, key ID ");
    struct chy_verify_signer *s = verify_add_signer(run->f);
    if (!is_good || key.n == 0 || s == NULL) {
        verify_tool_refused(run);
        return;
    }
    s->is_good = true;
    s->name = chy_arena_printf(run->f->arena, "OpenPGP key %.*s",
                               (int)(strcspn(key.p, ":\n") < key.n ? strcspn(key.p, ":\n") : key.n),
                               key.p);
    if (run->f->v->trust->document.names.n != 0)
        verify_say(run->f, VERIFY_UNKNOWN, run->program,
                   "%s does not say the name of the key's owner, and the trust file allows some "
                   "names alone",
                   run->program);
    else
        say_good(run);
}

/* Every signature must be a good one of a key that is in time. */
static void gpgv_run(struct verify_tool_run *run, const char *signature, const char *data)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_keyring(run, &why);
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    bool is_good = verify_tool_exec(
        run, WORDS("gpgv", "--status-fd", "1", "--keyring", run->tools->keyring.p, signature, data),
        -1, &was_run);
    if (!was_run)
        return;
    struct chy_str who = verify_tool_value(run, "[GNUPG:] GOODSIG ");
    struct chy_str key = verify_tool_value(run, "[GNUPG:] VALIDSIG ");
    struct chy_verify_signer *s = verify_add_signer(run->f);
    if (!is_good || who.n < 18 || key.n == 0 || s == NULL ||
        verify_tool_said(run, "[GNUPG:] EXPSIG") || verify_tool_said(run, "[GNUPG:] EXPKEYSIG") ||
        verify_tool_said(run, "[GNUPG:] REVKEYSIG") || verify_tool_said(run, "[GNUPG:] BADSIG") ||
        verify_tool_said(run, "[GNUPG:] ERRSIG")) {
        verify_tool_refused(run);
        return;
    }
    s->is_good = true;
    s->name = (struct chy_str){ who.p + 17, who.n - 17 }; /* behind the key's id and a blank */
    s->subject =
        chy_arena_printf(run->f->arena, "OpenPGP key %.*s", (int)CHY_MIN(key.n, 40u), key.p);
    if (chy_trust_takes_name(run->f->v->trust, s->name, s->subject)) {
        say_good(run);
        return;
    }
    s->is_good = false;
    verify_say(run->f, VERIFY_BAD, run->program, "%.*s is none of the names that are allowed",
               CHY_STR_ARG(s->name));
}

/* `data` NULL ends the words: the signature holds the text. */
static void run_gpgv_text(struct verify_tool_run *run)
{
    const char *signature = verify_tool_path(run, run->f->beside);
    gpgv_run(run, signature, NULL);
}

static void run_gpgv(struct verify_tool_run *run)
{
    const char *signature = verify_tool_path(run, run->f->beside);
    const char *file = verify_tool_path(run, run->f->path);
    gpgv_run(run, signature, file);
}

static enum chy_err copy_range(struct verify_tool_run *run, struct chy_format_range range, int to,
                               struct chy_error *err)
{
    uint8_t part[8192];
    while (range.size != 0) {
        size_t n = 0;
        size_t want = (size_t)CHY_MIN(range.size, (uint64_t)sizeof part);
        CHY_TRY(chy_file_pread(run->f->fd, part, want, range.offset, &n, err));
        if (n != want)
            return chy_fail(err, CHY_E_IO, "the file became shorter while it was read");
        CHY_TRY(chy_fd_write(to, (struct chy_bytes){ part, n }, err));
        range.offset += n;
        range.size -= n;
    }
    return CHY_OK;
}

static enum chy_err ranges_copy(struct verify_tool_run *run, const struct chy_format_range *ranges,
                                size_t n, struct chy_str *ret_path, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(verify_make_name(run, ret_path, err));
    CHY_TRY(chy_file_make(AT_FDCWD, ret_path->p, 0600, &fd, err));
    for (size_t i = 0; i < n; i++)
        CHY_TRY(copy_range(run, ranges[i], fd, err));
    return CHY_OK;
}

static enum chy_err read_at(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                            struct chy_error *err)
{
    return chy_file_pread(*(const int *)ctx, to, n, offset, ret_n, err);
}

/* What debsigs signs: the first three members, one behind the other. */
static void run_deb(struct verify_tool_run *run)
{
    struct verify_file *f = run->f;
    const struct chy_format_source source = { f->size_bytes, read_at, &f->fd };
    struct chy_format_place place;
    struct chy_str data;
    struct chy_str signature;
    struct chy_error why;
    enum chy_err r = chy_format_deb_place(&source, &place, &why);
    if (r != CHY_OK) {
        verify_say_error(f, r, run->program, &why);
        return;
    }
    r = ranges_copy(run, place.covered, place.n_covered, &data, &why);
    for (size_t i = 0; r == CHY_OK && i < place.n_signatures; i++) {
        r = ranges_copy(run, &place.signatures[i], 1, &signature, &why);
        if (r == CHY_OK)
            gpgv_run(run, signature.p, data.p);
    }
    if (r != CHY_OK)
        fail_tool(run, r, &why);
}

/* --- SSH --- */

static void run_ssh(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_ssh_signers(run, &why);
    if (r != CHY_OK) {
        fail_tool(run, r, &why);
        return;
    }
    const char *signature = verify_tool_path(run, run->f->beside);
    const char *signers = run->tools->signers.p;
    bool is_found = verify_tool_exec(
        run, WORDS("ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signers), -1,
        &was_run);
    if (!was_run)
        return;
    struct chy_str said = chy_arena_str(run->f->arena, chy_buf_str(&run->said));
    if (!is_found || said.p == NULL) {
        verify_say(run->f, VERIFY_BAD, run->program,
                   "no SSH key of the trust file's made this signature");
        return;
    }
    struct chy_str name = { said.p, strcspn(said.p, "\n") };
    const char *principal = verify_tool_path(run, name);
    bool is_good = verify_tool_exec(run,
                                    WORDS("ssh-keygen", "-Y", "verify", "-n", "file", "-s",
                                          signature, "-f", signers, "-I", principal),
                                    run->f->fd, &was_run);
    struct chy_verify_signer *s = verify_add_signer(run->f);
    if (!is_good || s == NULL || !verify_tool_said(run, "Good \"file\" signature")) {
        verify_tool_refused(run);
        return;
    }
    s->is_good = true;
    s->name = name;
    say_good(run);
}

/* --- the rest --- */

/* Whose certificate it is we find, and that it is to be believed; xmlsec1 must find, by that key
 * and no other, that the document is what was signed. What a reference names is not fetched. */
static void run_xmlsec(struct verify_tool_run *run)
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
        fail_tool(run, r, &why);
        return;
    }
    const char *file = verify_tool_path(run, f->path);
    bool is_good = verify_tool_exec(run,
                                    WORDS("xmlsec1", "--verify", "--enabled-key-data", "key-name",
                                          "--enabled-reference-uris", "empty", "--pubkey-cert-der",
                                          key.p, file),
                                    -1, &was_run);
    if (!was_run)
        return;
    if (is_good && verify_tool_said(run, "OK"))
        say_good(run);
    else
        verify_tool_refused(run);
}

/* --- the table --- */

static const struct {
    enum verify_tool_id id;
    const char *program;
    void (*run)(struct verify_tool_run *run);
} tools[] = {
    { VERIFY_TOOL_OSSLSIGNCODE, "osslsigncode", run_osslsigncode },
    { VERIFY_TOOL_JARSIGNER, "jarsigner", run_jarsigner },
    { VERIFY_TOOL_APKSIGNER, "apksigner", run_apksigner },
    { VERIFY_TOOL_RPMKEYS, "rpmkeys", run_rpmkeys },
    { VERIFY_TOOL_DEB, "gpgv", run_deb },
    { VERIFY_TOOL_GPGV, "gpgv", run_gpgv },
    { VERIFY_TOOL_GPGV_TEXT, "gpgv", run_gpgv_text },
    { VERIFY_TOOL_SSH, "ssh-keygen", run_ssh },
    { VERIFY_TOOL_FIT, "fit_check_sign", verify_run_fit },
    { VERIFY_TOOL_XMLSEC, "xmlsec1", run_xmlsec },
};

void verify_by_tool(struct verify_file *f, enum verify_tool_id id)
{
    struct verify_tool_run run = { .f = f };
    struct chy_error why;
    enum chy_err r = verify_tools_ready(f->v, &run.tools, &why);
    if (r != CHY_OK) {
        verify_say(f, VERIFY_UNKNOWN, NULL, "%s", why.text);
        return;
    }
    chy_buf_init(&run.said, CHY_LIMIT_VERIFY_OUTPUT);
    for (size_t i = 0; i < CHY_ARRAY_LEN(tools); i++) {
        if (tools[i].id != id)
            continue;
        run.program = tools[i].program;
        tools[i].run(&run);
    }
    chy_buf_done(&run.said);
}
