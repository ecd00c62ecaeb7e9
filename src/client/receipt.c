/* SPDX-License-Identifier: MIT */
#include "client/receipt.h"

#include <fcntl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/hash.h"
#include "os/file.h"
#include "tlog/checkpoint.h"
#include "tlog/receipt.h"

static enum chy_err check_key(const struct chy_tlog_receipt *receipt, struct chy_str log_key,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *sha256 = NULL;
    struct chy_tlog_checkpoint head;
    struct chy_tlog_vkey key;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &sha256, err));
    CHY_TRY(chy_tlog_vkey_parse(sha256, log_key, &key, err));
    return chy_tlog_checkpoint_open(receipt->checkpoint, &key, 1, &head, err);
}

enum chy_err chy_receipt_check(struct chy_str receipt, const struct chy_log_index *outcome,
                               struct chy_str log_key, struct chy_error *err)
{
    struct chy_tlog_receipt parsed;
    if (receipt.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the server gave no receipt");
    CHY_TRY(chy_tlog_receipt_parse(chy_str_bytes(receipt), &parsed, err));
    if (outcome == NULL || parsed.index != outcome->index)
        return chy_fail(err, CHY_E_INTEGRITY, "the receipt is of another entry");
    return log_key.n != 0 ? check_key(&parsed, log_key, err) : CHY_OK;
}

enum chy_err chy_receipt_keep(struct chy_str receipt, const struct chy_log_index *outcome,
                              struct chy_str log_key, struct chy_str folder,
                              struct chy_arena *arena, struct chy_str *ret_path,
                              struct chy_error *err)
{
    struct chy_str path = { 0 };
    if (folder.n != 0) {
        enum chy_err r = chy_receipt_check(receipt, outcome, log_key, err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "the receipt is not good");
        path = chy_arena_printf(arena, "%.*s/%llu.receipt", CHY_STR_ARG(folder),
                                (unsigned long long)outcome->index);
        if (path.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a receipt");
        CHY_TRY(chy_file_replace(AT_FDCWD, path.p, chy_str_bytes(receipt), 0644, err));
    }
    if (ret_path != NULL)
        *ret_path = path;
    return CHY_OK;
}

/* The bytes of the leaf, which the line `extra` brings along. */
static enum chy_err entry_bytes(const struct chy_tlog_receipt *receipt, struct chy_arena *arena,
                                struct chy_bytes *ret_entry, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_ENTRY);
    if (receipt->extra.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "the receipt does not carry its entry");
    CHY_TRY(chy_base64_decode(receipt->extra, &raw, err));
    *ret_entry = chy_arena_bytes(arena, chy_buf_bytes(&raw));
    return ret_entry->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for an entry");
}

enum chy_err chy_receipt_prove(struct chy_str receipt, const struct chy_tlog_vkey *keys,
                               size_t n_keys, struct chy_arena *arena, uint64_t *ret_index,
                               struct chy_entry *ret_entry, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *sha256 = NULL;
    struct chy_tlog_receipt parsed;
    struct chy_tlog_checkpoint head;
    struct chy_tlog_hash leaf;
    struct chy_bytes entry;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &sha256, err));
    CHY_TRY(chy_tlog_receipt_parse(chy_str_bytes(receipt), &parsed, err));
    CHY_TRY(entry_bytes(&parsed, arena, &entry, err));
    chy_tlog_leaf_hash(sha256, entry, &leaf);
    CHY_TRY(chy_tlog_receipt_check(sha256, &parsed, &leaf, keys, n_keys, &head, err));
    if (chy_schema_decode(&chy_entry_schema, entry, arena, ret_entry, err) != CHY_OK ||
        ret_entry->version != CHY_ENTRY_VERSION)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the receipt's entry is of an unknown version");
    *ret_index = parsed.index;
    return CHY_OK;
}
