/* SPDX-License-Identifier: MIT */
/* Whether a signature is in our log: by a receipt, which needs nothing but the log's key, or by
 * asking the server, whose answer is believed when it has a good receipt. */
#include <fcntl.h>

#include "base/limits.h"
#include "cli/verify.h"
#include "client/receipt.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"

#define RECEIPT_US      INT64_C(10000000) /* until the log's head covers a new entry */
#define RECEIPT_PACE_US INT64_C(100000)

/* --- keys of the log --- */

struct log_keys {
    const struct chy_tlog_vkey *p;
    size_t n;
    struct chy_tlog_vkey own; /* of the profile, where the trust file has none */
};

static void log_keys_find(const struct verify *v, struct log_keys *ret)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *sha256 = NULL;
    struct chy_str text = v->cli->settings.profile.log_key;
    ret->p = v->trust->log_keys;
    ret->n = v->trust->n_log_keys;
    if (ret->n != 0 || text.n == 0)
        return;
    bool is_read = chy_hasher_new(CHY_HASH_SHA256, &sha256, NULL) == CHY_OK &&
                   chy_tlog_vkey_parse(sha256, text, &ret->own, NULL) == CHY_OK;
    ret->p = &ret->own;
    ret->n = is_read ? 1 : 0;
}

static enum chy_err receipt_prove(const struct verify *v, struct chy_str text,
                                  struct chy_arena *arena, struct verify_receipt *ret,
                                  struct chy_error *err)
{
    struct log_keys keys;
    log_keys_find(v, &keys);
    if (keys.n == 0)
        return chy_fail(err, CHY_E_STATE,
                        "neither the trust file nor the profile has a key of the "
                        "log");
    return chy_receipt_prove(text, keys.p, keys.n, arena, &ret->index, &ret->entry, err);
}

/* --- whose entry it is --- */

static bool hash_equal(const uint8_t a[CHY_HASH_BYTES], const uint8_t b[CHY_HASH_BYTES])
{
    return chy_bytes_equal((struct chy_bytes){ a, CHY_HASH_BYTES },
                           (struct chy_bytes){ b, CHY_HASH_BYTES });
}

static bool is_set(const uint8_t hash[CHY_HASH_BYTES])
{
    static const uint8_t none[CHY_HASH_BYTES];
    return !hash_equal(hash, none);
}

/* The signer that is looked for: who was verified by us, then what a tool's was; NULL past all. */
static const struct chy_verify_signer *candidate(const struct verify_file *f, size_t i)
{
    if (i < f->n_signers)
        return &f->signers[i];
    return i - f->n_signers < f->n_made ? &f->made[i - f->n_signers] : NULL;
}

/* The log can be searched for it. */
static bool is_known(const struct chy_verify_signer *s)
{
    return s->digest.n != 0 && is_set(s->signature_sha256);
}

static bool is_done(const struct chy_entry *e)
{
    return e->kind == CHY_ENTRY_SIGN_OUTCOME && e->outcome == CHY_OUTCOME_DONE;
}

/* The very signature: what was signed, what came out, and by which key; of OpenPGP, SSH and APK the
 * key is not known as the log names it, and what came out tells. */
static bool is_of(const struct chy_entry *e, const struct chy_verify_signer *s)
{
    return is_done(e) && is_known(s) && chy_bytes_equal(e->digest, s->digest) &&
           (!is_set(s->key_sha256) || hash_equal(e->key_sha256, s->key_sha256)) &&
           hash_equal(e->result_sha256, s->signature_sha256);
}

/* Of several signers each one's own entry counts, and that of one who is not believed does not:
 * else a key for tests, whose signatures are logged as well, would vouch for another's. */
static bool is_of_file(const struct verify_file *f, const struct chy_entry *e)
{
    const struct chy_verify_signer *s;
    for (size_t i = 0; (s = candidate(f, i)) != NULL; i++) {
        if ((i >= f->n_signers || s->is_good) && is_of(e, s))
            return true;
    }
    return false;
}

static bool has_known(const struct verify_file *f)
{
    const struct chy_verify_signer *s = candidate(f, 0);
    for (size_t i = 1; s != NULL && !is_known(s); i++)
        s = candidate(f, i);
    return s != NULL;
}

static void log_set(struct verify_file *f, const struct chy_entry *e, uint64_t index,
                    struct chy_str proof, struct chy_str receipt_file)
{
    struct verify_log *log = chy_arena_new(f->arena, struct verify_log);
    if (log == NULL) {
        f->row.log_detail = CHY_STR("no memory for an entry of the log");
        return;
    }
    *log = (struct verify_log){ index, e->time_us, e->principal, e->subject, proof, receipt_file };
    f->row.log = log;
    f->row.is_logged = true;
    f->row.log_detail = (struct chy_str){ 0 };
}

/* --- receipts in a folder --- */

static enum chy_err receipt_load(struct verify *v, struct chy_str path, struct chy_str text,
                                 struct chy_error *err)
{
    struct verify_receipt receipt = { .file = path };
    struct chy_error why;
    if (v->n_receipts == CHY_LIMIT_VERIFY_RECEIPTS)
        return chy_fail(err, CHY_E_LIMIT, "more than %d receipts", CHY_LIMIT_VERIFY_RECEIPTS);
    enum chy_err r = receipt_prove(v, text, &v->cli->arena, &receipt, &why);
    if (r == CHY_OK)
        v->receipts[v->n_receipts++] = receipt;
    else if (r == CHY_E_NOMEM || r == CHY_E_STATE)
        return chy_fail(err, r, "%s", why.text);
    else {
        v->bad_receipts++;
        chy_cli_say(v->cli->err, CHY_STR("chancery: "), path, CHY_STR(": "), chy_str_of(why.text),
                    CHY_STR("\n"));
    }
    return CHY_OK;
}

static enum chy_err receipt_entry(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                                  struct chy_error *err)
{
    struct verify *v = ctx;
    struct chy_str name = chy_str_of(entry->path);
    if (entry->kind != CHY_TREE_FILE || !chy_str_ends(name, ".receipt"))
        return CHY_OK;
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_RECEIPT);
    CHY_TRY(chy_file_read(dir_fd, entry->path, &text, err));
    struct chy_str kept = chy_arena_str(&v->cli->arena, chy_buf_str(&text));
    struct chy_str path = chy_arena_str(&v->cli->arena, name);
    if (kept.p == NULL || path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for receipts");
    return receipt_load(v, path, kept, err);
}

enum chy_err verify_receipts_load(struct verify *v, struct chy_error *err)
{
    struct chy_str folder = chy_arena_str(&v->cli->arena, chy_cli_arg(v->args, "receipts"));
    if (folder.n == 0 && v->cli->env.receipts != NULL)
        folder = chy_str_of(v->cli->env.receipts);
    if (folder.n == 0)
        return CHY_OK;
    v->receipts = chy_arena_array(&v->cli->arena, struct verify_receipt, CHY_LIMIT_VERIFY_RECEIPTS);
    if (v->receipts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for receipts");
    return chy_tree_walk(AT_FDCWD, folder.p, receipt_entry, v, err);
}

static bool find_in_folder(struct verify_file *f)
{
    struct verify *v = f->v;
    for (size_t i = 0; i < v->n_receipts; i++) {
        const struct verify_receipt *r = &v->receipts[i];
        if (!is_of_file(f, &r->entry))
            continue;
        log_set(f, &r->entry, r->index, CHY_STR("receipt"), r->file);
        return true;
    }
    return false;
}

/* --- the file, where what was signed is not known --- */

/* Weaker: it tells that somebody had the server sign something of this file, not that this is that
 * signature. */
static bool artifact_say(struct verify_file *f, const struct chy_entry *e, uint64_t index,
                         struct chy_bytes digest, const char *by)
{
    if (!is_done(e) || !chy_bytes_equal(e->artifact_digest, digest))
        return false;
    f->row.log_detail = chy_arena_printf(
        f->arena,
        "%s a file of this digest was signed, which is less than this signature: log entry "
        "%llu, %.*s with key %.*s",
        by, (unsigned long long)index, CHY_STR_ARG(e->principal), CHY_STR_ARG(e->subject));
    return true;
}

/* --- the receipt beside a file --- */

/* One that lies there as if it proved something, and does not, is worse than none. */
static bool find_beside(struct verify_file *f)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct verify_receipt receipt;
    struct chy_error why;
    struct chy_str path = chy_arena_printf(f->arena, "%.*s.receipt", CHY_STR_ARG(f->path));
    chy_buf_init(&text, CHY_LIMIT_RECEIPT);
    enum chy_err r = path.p != NULL ? chy_file_read(AT_FDCWD, path.p, &text, &why)
                                    : chy_fail(&why, CHY_E_NOMEM, "no memory for a path");
    if (r == CHY_E_NOT_FOUND)
        return false;
    struct chy_str kept = chy_arena_str(f->arena, chy_buf_str(&text));
    if (r == CHY_OK)
        r = receipt_prove(f->v, kept, f->arena, &receipt, &why);
    if (r == CHY_E_STATE)
        verify_say(f, VERIFY_UNKNOWN, NULL, "its receipt cannot be checked: %s", why.text);
    else if (r != CHY_OK)
        verify_say(f, VERIFY_BAD, NULL, "its receipt is not good: %s", why.text);
    else if (!has_known(f))
        return false; /* whether it is this signature's cannot be told */
    else if (!is_of_file(f, &receipt.entry))
        verify_say(f, VERIFY_BAD, NULL, "its receipt is of another signature");
    else
        log_set(f, &receipt.entry, receipt.index, CHY_STR("receipt"), path);
    return true;
}

void verify_receipt_alone(struct verify_file *f)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct verify_receipt receipt;
    struct chy_error why;
    f->is_signed = true;
    f->row.kind = CHY_STR("receipt");
    chy_buf_init(&text, CHY_LIMIT_RECEIPT);
    if (!chy_str_ends(f->path, ".receipt")) {
        f->row.kind = CHY_STR("signature");
        verify_say(f, VERIFY_BAD, NULL, "what it signs is not beside it");
        return;
    }
    struct chy_str path = chy_arena_str(f->arena, f->path);
    enum chy_err r = path.p != NULL ? chy_file_read(AT_FDCWD, path.p, &text, &why)
                                    : chy_fail(&why, CHY_E_NOMEM, "no memory for a path");
    struct chy_str kept = chy_arena_str(f->arena, chy_buf_str(&text));
    if (r == CHY_OK)
        r = receipt_prove(f->v, kept, f->arena, &receipt, &why);
    if (r != CHY_OK) {
        verify_say_error(f, r == CHY_E_STATE ? CHY_E_IO : r, "chancery", &why);
        return;
    }
    log_set(f, &receipt.entry, receipt.index, CHY_STR("receipt"), f->path);
    verify_say(f, VERIFY_GOOD, "chancery", "%s", "");
}

/* --- the server --- */

/* The head of the log follows its entries by a moment: what was signed just now has no receipt
 * yet. */
static enum chy_err receipt_ask(struct verify_file *f, uint64_t index, struct chy_log_receipt *ret,
                                struct chy_error *err)
{
    const struct chy_log_index asked = { index };
    int64_t deadline_us = chy_clock_monotonic_us() + RECEIPT_US;
    for (;;) {
        enum chy_err r =
            chy_client_call(f->v->cli->client, CHY_OP_LOG_RECEIPT, &asked, f->arena, ret, err);
        int64_t now_us = chy_clock_monotonic_us();
        if (r != CHY_E_STATE || now_us >= deadline_us)
            return r;
        CHY_IGNORE(chy_fd_wait(-1, 0, now_us + RECEIPT_PACE_US, NULL)); /* it is a pause */
    }
}

static enum chy_err row_take(struct verify_file *f, const struct chy_log_row *row,
                             bool *ret_is_found, struct chy_error *err)
{
    struct verify *v = f->v;
    struct chy_entry e;
    struct verify_receipt receipt;
    struct chy_log_receipt answer;
    if (chy_schema_decode(&chy_entry_schema, row->entry, f->arena, &e, NULL) != CHY_OK ||
        !is_of_file(f, &e))
        return CHY_OK;
    CHY_TRY(receipt_ask(f, row->index, &answer, err));
    CHY_TRY(receipt_prove(v, answer.receipt, f->arena, &receipt, err));
    if (receipt.index != row->index || !is_of_file(f, &receipt.entry))
        return chy_fail(err, CHY_E_INTEGRITY, "the server's receipt is of another entry");
    log_set(f, &receipt.entry, receipt.index, CHY_STR("server"), (struct chy_str){ 0 });
    *ret_is_found = true;
    return CHY_OK;
}

/* Newest first: what is verified was signed lately, as a rule. */
static enum chy_err ask_server(struct verify_file *f, const struct chy_verify_signer *s,
                               bool *ret_is_found, struct chy_error *err)
{
    struct chy_log_query query = { .digest = s->digest, .newest_first = true };
    do {
        struct chy_log_page page;
        CHY_TRY(chy_client_call(f->v->cli->client, CHY_OP_LOG_LIST, &query, f->arena, &page, err));
        for (size_t i = 0; i < page.entries.n && !*ret_is_found; i++)
            CHY_TRY(row_take(f, &page.entries.p[i], ret_is_found, err));
        query.before = page.next;
    } while (!*ret_is_found && query.before != 0);
    return CHY_OK;
}

static bool has_profile(const struct verify *v)
{
    const struct chy_settings *s = &v->cli->settings;
    return s->profile.url.n != 0 || s->agent_socket.n != 0;
}

/* What it answered once it answers again: no other file waits for that. */
static void server_give_up(struct verify_file *f, const struct chy_error *why)
{
    f->row.log_detail = chy_arena_printf(f->arena, "the server cannot be asked: %s", why->text);
    f->v->server_trouble = chy_arena_str(&f->v->cli->arena, f->row.log_detail);
}

static void find_at_server(struct verify_file *f)
{
    struct verify *v = f->v;
    struct chy_error why;
    bool is_found = false;
    f->row.log_detail = v->server_trouble;
    if (v->server_trouble.n != 0)
        return;
    enum chy_err r = chy_cli_client(v->cli, v->args, &why);
    const struct chy_verify_signer *s;
    for (size_t i = 0; r == CHY_OK && !is_found && (s = candidate(f, i)) != NULL; i++) {
        if (is_known(s))
            r = ask_server(f, s, &is_found, &why);
    }
    if (r == CHY_E_INTEGRITY)
        verify_say(f, VERIFY_BAD, NULL, "%s", why.text);
    else if (r != CHY_OK)
        server_give_up(f, &why);
    else if (!is_found)
        f->row.log_detail = CHY_STR("the server's log has no such signature");
}

/* --- the log, asked for the file --- */

static bool artifact_in_folder(struct verify_file *f, struct chy_bytes digest)
{
    const struct verify *v = f->v;
    for (size_t i = 0; i < v->n_receipts; i++) {
        if (artifact_say(f, &v->receipts[i].entry, v->receipts[i].index, digest,
                         "a receipt proves that"))
            return true;
    }
    return false;
}

static enum chy_err artifact_ask(struct verify_file *f, struct chy_bytes digest,
                                 struct chy_error *err)
{
    const struct chy_log_query query = { .digest = digest, .newest_first = true };
    struct chy_log_page page;
    CHY_TRY(chy_cli_client(f->v->cli, f->v->args, err));
    CHY_TRY(chy_client_call(f->v->cli->client, CHY_OP_LOG_LIST, &query, f->arena, &page, err));
    for (size_t i = 0; i < page.entries.n; i++) {
        const struct chy_log_row *row = &page.entries.p[i];
        struct chy_entry e;
        if (chy_schema_decode(&chy_entry_schema, row->entry, f->arena, &e, NULL) == CHY_OK &&
            artifact_say(f, &e, row->index, digest, "the server says that"))
            break;
    }
    return CHY_OK;
}

static void find_artifact(struct verify_file *f)
{
    struct verify *v = f->v;
    struct chy_bytes digest;
    struct chy_error why;
    if (f->row.log_detail.n == 0)
        f->row.log_detail = CHY_STR("what was signed is not known, so the log cannot be searched");
    enum chy_err r = verify_file_digest(f, &digest, &why);
    if (r != CHY_OK || artifact_in_folder(f, digest))
        return;
    if (v->is_offline || !has_profile(v) || v->server_trouble.n != 0)
        return;
    r = artifact_ask(f, digest, &why);
    if (r != CHY_OK)
        server_give_up(f, &why);
}

/* --- one file --- */

void verify_find_in_log(struct verify_file *f)
{
    if (find_beside(f) || find_in_folder(f))
        return;
    if (!has_known(f))
        find_artifact(f);
    else if (f->v->is_offline || !has_profile(f->v))
        f->row.log_detail = CHY_STR("there is no receipt of it, and no server is asked");
    else
        find_at_server(f);
}
