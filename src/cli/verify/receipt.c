/* SPDX-License-Identifier: MIT */
/* Receipts, which need nothing but the log's key: of a folder, and beside a file. */
#include "client/receipt.h"

#include <fcntl.h>

#include "base/limits.h"
#include "cli/verify/log.h"
#include "crypto/hash.h"
#include "os/file.h"
#include "os/tree.h"

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

enum chy_err verify_receipt_prove(const struct verify *v, struct chy_str text,
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

/* --- receipts in a folder --- */

static enum chy_err receipt_load(struct verify *v, struct chy_str path, struct chy_str text,
                                 struct chy_error *err)
{
    struct verify_receipt receipt = { .file = path };
    struct chy_error why;
    if (v->n_receipts == CHY_LIMIT_VERIFY_RECEIPTS)
        return chy_fail(err, CHY_E_LIMIT, "more than %d receipts", CHY_LIMIT_VERIFY_RECEIPTS);
    enum chy_err r = verify_receipt_prove(v, text, &v->cli->arena, &receipt, &why);
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
    if (!verify_is_name(name)) {
        v->bad_receipts++;
        chy_cli_say(v->cli->err, CHY_STR("chancery: a receipt whose name is no text\n"));
        return CHY_OK;
    }
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

bool verify_find_in_folder(struct verify_file *f)
{
    struct verify *v = f->v;
    for (size_t i = 0; i < v->n_receipts; i++) {
        const struct verify_receipt *r = &v->receipts[i];
        if (!verify_is_of_file(f, &r->entry))
            continue;
        verify_log_set(f, &r->entry, r->index, CHY_STR("receipt"), r->file);
        return true;
    }
    return false;
}

/* --- the receipt beside a file --- */

/* One that lies there as if it proved something, and does not, is worse than none. */
bool verify_find_beside(struct verify_file *f)
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
        r = verify_receipt_prove(f->v, kept, f->arena, &receipt, &why);
    if (r == CHY_E_STATE)
        verify_say(f, VERIFY_UNKNOWN, NULL, "its receipt cannot be checked: %s", why.text);
    else if (r != CHY_OK)
        verify_say(f, VERIFY_BAD, NULL, "its receipt is not good: %s", why.text);
    else if (!verify_has_known(f))
        return false; /* whether it is this signature's cannot be told */
    else if (!verify_is_of_file(f, &receipt.entry))
        verify_say(f, VERIFY_BAD, NULL, "its receipt is of another signature");
    else
        verify_log_set(f, &receipt.entry, receipt.index, CHY_STR("receipt"), path);
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
        r = verify_receipt_prove(f->v, kept, f->arena, &receipt, &why);
    if (r != CHY_OK) {
        verify_say_error(f, r == CHY_E_STATE ? CHY_E_IO : r, "chancery", &why);
        return;
    }
    verify_log_set(f, &receipt.entry, receipt.index, CHY_STR("receipt"), f->path);
    verify_say(f, VERIFY_GOOD, "chancery", "%s", "");
}
