/* SPDX-License-Identifier: MIT */
/* Running other people's verifiers, and what they are given of the trust file. */
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/verify/tools.h"
#include "client/pgp_armour.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/program_output.h"

#define STORE_PASSWORD "changeit" /* of public certificates; Java wants one */

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for what a tool needs");
}

/* --- running --- */

bool verify_tool_exec(struct verify_tool_run *run, const char *const *words, int stdin_fd,
                      bool *ret_was_run)
{
    struct chy_process_end end = { .value = -1 };
    struct chy_error why;
    const struct chy_program_run program = {
        .argv = words,
        .env = run->tools->env,
        .stdin_fd = stdin_fd,
        .deadline_us = chy_clock_monotonic_us() + (int64_t)CHY_LIMIT_VERIFY_MS * 1000,
    };
    chy_buf_clear(&run->said);
    if (stdin_fd >= 0)
        CHY_IGNORE(lseek(stdin_fd, 0, SEEK_SET)); /* a regular file's */
    enum chy_err r = chy_program_output(&program, &run->said, &end, &why);
    *ret_was_run = r == CHY_OK;
    if (r == CHY_E_NOT_FOUND)
        verify_say(run->f, VERIFY_UNKNOWN, NULL, "%s is not installed", words[0]);
    else if (r != CHY_OK)
        verify_say(run->f, VERIFY_UNKNOWN, run->program, "%s", why.text);
    else if (run->said.n == CHY_LIMIT_VERIFY_OUTPUT) {
        /* What is not read could be what contradicts. */
        verify_say(run->f, VERIFY_UNKNOWN, run->program, "%s says more than can be read", words[0]);
        *ret_was_run = false;
        return false;
    }
    return r == CHY_OK && !end.was_signal && end.value == 0;
}

static const char *said_find(const struct verify_tool_run *run, const char *text)
{
    return run->said.n != 0 ? memmem(run->said.p, run->said.n, text, strlen(text)) : NULL;
}

bool verify_tool_said(const struct verify_tool_run *run, const char *text)
{
    return said_find(run, text) != NULL;
}

/* Kept: the next run takes the buffer. What is not text is nothing. */
struct chy_str verify_tool_value(const struct verify_tool_run *run, const char *text)
{
    const char *at = said_find(run, text);
    if (at == NULL)
        return (struct chy_str){ 0 };
    at += strlen(text);
    size_t left = (size_t)((const char *)run->said.p + run->said.n - at);
    const char *end = memchr(at, '\n', left);
    struct chy_str value = { at, CHY_MIN(end != NULL ? (size_t)(end - at) : left,
                                         (size_t)CHY_LIMIT_TEXT) };
    return chy_text_is_plain(value) ? chy_arena_str(run->f->arena, value) : (struct chy_str){ 0 };
}

void verify_tool_refused(struct verify_tool_run *run)
{
    struct chy_str text = chy_buf_str(&run->said);
    while (text.n != 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    const char *line = text.n != 0 ? memrchr(text.p, '\n', text.n) : NULL;
    if (line != NULL)
        text = (struct chy_str){ line + 1, text.n - (size_t)(line + 1 - text.p) };
    verify_say(run->f, VERIFY_BAD, run->program, "%s does not verify it: %.*s", run->program,
               CHY_STR_ARG(text));
}

const char *verify_tool_file(const struct verify_tool_run *run)
{
    return run->f->folder->copy.p;
}

const char *verify_tool_beside(struct verify_tool_run *run)
{
    struct chy_str path;
    struct chy_error why;
    enum chy_err r = verify_make_file(run, run->f->beside, &path, &why);
    if (r == CHY_OK)
        return path.p;
    verify_tool_unready(run, r, &why);
    return NULL;
}

/* --- what they are given --- */

static enum chy_err path_make(struct verify_tool_run *run, const char *name,
                              struct chy_str *ret_path, struct chy_error *err)
{
    *ret_path =
        chy_arena_printf(&run->f->v->cli->arena, "%.*s/%s", CHY_STR_ARG(run->tools->dir), name);
    return ret_path->p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err file_make(struct verify_tool_run *run, const char *name,
                              struct chy_bytes content, struct chy_str *ret_path,
                              struct chy_error *err)
{
    struct chy_str path;
    CHY_TRY(path_make(run, name, &path, err));
    CHY_TRY(chy_file_create(AT_FDCWD, path.p, content, 0600, err));
    *ret_path = path;
    return CHY_OK;
}

static enum chy_err store_make(struct verify_tool_run *run, const struct chy_trust_store *store,
                               const char *name, struct chy_str *ret_path, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, (size_t)CHY_LIMIT_TRUST_CERTIFICATES * CHY_LIMIT_CERTIFICATE * 2);
    for (size_t i = 0; i < chy_trust_store_size(store); i++)
        CHY_TRY(chy_trust_store_pem(store, i, &pem, err));
    return file_make(run, name, chy_buf_bytes(&pem), ret_path, err);
}

enum chy_err verify_make_roots(struct verify_tool_run *run, struct chy_error *err)
{
    const struct chy_trust *t = run->f->v->trust;
    struct verify_tools *tools = run->tools;
    if (tools->roots.n != 0)
        return CHY_OK;
    if (chy_trust_store_size(t->roots) == 0)
        return chy_fail(err, CHY_E_STATE, "the trust file has no roots");
    CHY_TRY(store_make(run, t->stamp_roots, "stamp-roots.pem", &tools->stamp_roots, err));
    return store_make(run, t->roots, "roots.pem", &tools->roots, err);
}

/* One certificate of the store. */
static enum chy_err root_make(struct verify_tool_run *run, const struct chy_trust_store *store,
                              size_t i, struct chy_str *ret_path, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, CHY_LIMIT_CERTIFICATE * (size_t)2);
    CHY_TRY(chy_trust_store_pem(store, i, &pem, err));
    return verify_make_file(run, chy_buf_bytes(&pem), ret_path, err);
}

/* What a tool of ours, and not of the file, needs: that it fails is no word about the file. */
static enum chy_err prepare_exec(struct verify_tool_run *run, const char *const *words,
                                 struct chy_error *err)
{
    bool was_run;
    if (verify_tool_exec(run, words, -1, &was_run))
        return CHY_OK;
    return chy_fail(err, CHY_E_IO, "%s could not be made ready for it", words[0]);
}

static enum chy_err keystore_add(struct verify_tool_run *run, const struct chy_trust_store *store,
                                 const char *kind, const char *keystore, struct chy_error *err)
{
    for (size_t i = 0; i < chy_trust_store_size(store); i++) {
        struct chy_str path;
        struct chy_str alias = chy_arena_printf(run->f->arena, "%s-%zu", kind, i);
        CHY_TRY(root_make(run, store, i, &path, err));
        CHY_TRY(prepare_exec(run,
                             WORDS("keytool", "-importcert", "-noprompt", "-alias", alias.p,
                                   "-file", path.p, "-keystore", keystore, "-storetype", "PKCS12",
                                   "-storepass", STORE_PASSWORD),
                             err));
    }
    return CHY_OK;
}

enum chy_err verify_make_keystore(struct verify_tool_run *run, struct chy_error *err)
{
    const struct chy_trust *t = run->f->v->trust;
    struct chy_str path;
    if (run->tools->keystore.n != 0)
        return CHY_OK;
    if (chy_trust_store_size(t->roots) == 0)
        return chy_fail(err, CHY_E_STATE, "the trust file has no roots");
    CHY_TRY(path_make(run, "trust.p12", &path, err));
    CHY_TRY(keystore_add(run, t->roots, "root", path.p, err));
    if (t->document.time_stamp_roots.n != 0)
        CHY_TRY(keystore_add(run, t->stamp_roots, "stamp", path.p, err));
    run->tools->keystore = path;
    return CHY_OK;
}

enum chy_err verify_make_rpmdb(struct verify_tool_run *run, struct chy_error *err)
{
    const struct chy_trust *t = run->f->v->trust;
    struct chy_str path;
    if (run->tools->rpmdb.n != 0)
        return CHY_OK;
    if (t->openpgp_keys.n == 0)
        return chy_fail(err, CHY_E_STATE, "the trust file has no openpgp_keys");
    CHY_TRY(path_make(run, "rpmdb", &path, err));
    CHY_TRY(chy_dir_make(AT_FDCWD, path.p, 0700, err));
    for (size_t i = 0; i < t->openpgp_keys.n; i++) {
        struct chy_str key;
        CHY_TRY(verify_make_file(run, chy_str_bytes(t->openpgp_keys.p[i].text), &key, err));
        CHY_TRY(prepare_exec(run, WORDS("rpmkeys", "--dbpath", path.p, "--import", key.p), err));
    }
    run->tools->rpmdb = path;
    return CHY_OK;
}

enum chy_err verify_make_keyring(struct verify_tool_run *run, struct chy_error *err)
{
    const struct chy_trust *t = run->f->v->trust;
    CHY_CLEANUP(chy_buf_done) struct chy_buf ring;
    chy_buf_init(&ring, (size_t)CHY_LIMIT_TRUST_FILE * 4);
    if (run->tools->keyring.n != 0)
        return CHY_OK;
    if (t->openpgp_keys.n == 0)
        return chy_fail(err, CHY_E_STATE, "the trust file has no openpgp_keys");
    for (size_t i = 0; i < t->openpgp_keys.n; i++)
        CHY_TRY(chy_pgp_armour_take(t->openpgp_keys.p[i].text, &ring, err));
    return file_make(run, "keyring.gpg", chy_buf_bytes(&ring), &run->tools->keyring, err);
}

enum chy_err verify_make_ssh_signers(struct verify_tool_run *run, struct chy_error *err)
{
    const struct chy_trust_document *d = &run->f->v->trust->document;
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TRUST_FILE);
    if (run->tools->signers.n != 0)
        return CHY_OK;
    if (d->ssh_keys.n == 0)
        return chy_fail(err, CHY_E_STATE, "the trust file has no ssh_keys");
    for (size_t i = 0; i < d->ssh_keys.n; i++)
        chy_buf_printf(&text, "%.*s %.*s\n", CHY_STR_ARG(d->ssh_keys.p[i].principal),
                       CHY_STR_ARG(d->ssh_keys.p[i].key));
    CHY_TRY(chy_buf_check(&text, err));
    return file_make(run, "allowed-signers", chy_buf_bytes(&text), &run->tools->signers, err);
}
