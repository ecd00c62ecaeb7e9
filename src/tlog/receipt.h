/* SPDX-License-Identifier: MIT */
/* Receipts: the proof that an entry is in a log, with the checkpoint that it leads to, in one text
 * that needs nothing else to be checked but the log's verifier key.
 *
 *   c2sp.org/tlog-proof@v1
 *   [extra <base64>]        ours: the entry. Covered by no signature, but by the proof, once its
 *                           leaf hash is that of these bytes
 *   index <decimal>
 *   <base64(hash)>          0..63 times, the one nearest to the leaf first
 *   <blank line>
 *   <signed checkpoint>
 *
 * Pure. Source: c2sp.org/tlog-proof. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "tlog/checkpoint.h"
#include "tlog/merkle.h"

struct chy_buf;
struct chy_hasher;

struct chy_tlog_receipt {
    struct chy_str extra; /* base 64, a view; p is NULL if there is none. Not proved by itself. */
    uint64_t index;
    struct chy_tlog_proof proof;
    struct chy_bytes checkpoint; /* the signed note, a view */
};

/* The form alone; nothing is proved yet.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err chy_tlog_receipt_parse(struct chy_bytes in,
                                                 struct chy_tlog_receipt *ret_receipt,
                                                 struct chy_error *err);
/* False as chy_buf_append(). */
bool chy_tlog_receipt_append(struct chy_buf *out, const struct chy_tlog_receipt *receipt);

/* CHY_OK only if the checkpoint is signed by the log's key among `keys` and the proof shows that
 * the entry with this leaf hash stands at receipt->index. The checkpoint's origin is a view of the
 * receipt. Errors: CHY_E_INTEGRITY, CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_tlog_receipt_check(struct chy_hasher *h,
                                                 const struct chy_tlog_receipt *receipt,
                                                 const struct chy_tlog_hash *leaf,
                                                 const struct chy_tlog_vkey *keys, size_t n_keys,
                                                 struct chy_tlog_checkpoint *ret_checkpoint,
                                                 struct chy_error *err);
