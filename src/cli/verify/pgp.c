/* SPDX-License-Identifier: MIT */
/* OpenPGP: packages by rpmkeys, everything else by gpgv. */
#include <fcntl.h>

#include "cli/verify/tools.h"
#include "format/place.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"

void verify_run_rpmkeys(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_rpmdb(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *file = verify_tool_file(run);
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
        verify_tool_good(run);
}

/* Every signature must be a good one of a key that is in time. */
static void gpgv_run(struct verify_tool_run *run, const char *signature, const char *data,
                     int stdin_fd)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_keyring(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    bool is_good = verify_tool_exec(
        run, WORDS("gpgv", "--status-fd", "1", "--keyring", run->tools->keyring.p, signature, data),
        stdin_fd, &was_run);
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
        verify_tool_good(run);
        return;
    }
    s->is_good = false;
    verify_say(run->f, VERIFY_BAD, run->program, "%.*s is none of the names that are allowed",
               CHY_STR_ARG(s->name));
}

/* `data` NULL ends the words: the signature holds the text. */
void verify_run_gpgv_text(struct verify_tool_run *run)
{
    const char *signature = verify_tool_beside(run);
    if (signature != NULL)
        gpgv_run(run, signature, NULL, -1);
}

/* It reads the file once, from us. */
void verify_run_gpgv(struct verify_tool_run *run)
{
    const char *signature = verify_tool_beside(run);
    if (signature != NULL)
        gpgv_run(run, signature, "-", run->f->fd);
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
void verify_run_deb(struct verify_tool_run *run)
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
            gpgv_run(run, signature.p, data.p, -1);
    }
    if (r != CHY_OK)
        verify_tool_unready(run, r, &why);
}
