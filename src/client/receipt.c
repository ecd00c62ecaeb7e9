/* SPDX-License-Identifier: MIT */
#include "client/receipt.h"

#include "crypto/hash.h"
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
