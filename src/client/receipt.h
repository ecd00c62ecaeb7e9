/* SPDX-License-Identifier: MIT */
/* Receipts of signatures: one that proves nothing must not lie there as if it did. Pure. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/api.h"
#include "proto/entry.h"
#include "tlog/note.h"

struct chy_arena;

/* Whether this is a receipt of the entry, signed by the log's key (a verifier key; empty: that is
 * not looked at).
 * Errors: CHY_E_PROTOCOL   there is none
 *         CHY_E_INTEGRITY  of another entry, or not signed by that key
 *         CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_receipt_check(struct chy_str receipt,
                                            const struct chy_log_index *outcome,
                                            struct chy_str log_key, struct chy_error *err);

/* The same, and then keep it: FOLDER/INDEX.receipt, whole or not at all, before the signature that
 * it is of goes anywhere. Nothing is looked at where `folder` is empty. *ret_path (may be NULL) in
 * the arena; empty where nothing was kept. Errors: as above; those of chy_file_replace() */
CHY_MUST_USE enum chy_err chy_receipt_keep(struct chy_str receipt,
                                           const struct chy_log_index *outcome,
                                           struct chy_str log_key, struct chy_str folder,
                                           struct chy_arena *arena, struct chy_str *ret_path,
                                           struct chy_error *err);

/* What a receipt proves, offline: the entry that it carries stands at this place in the log of one
 * of these keys.
 * Errors: CHY_E_INTEGRITY    not signed by one of the keys, or the entry is not there
 *         CHY_E_NOT_FOUND    it carries no entry: the first ones did not
 *         CHY_E_UNSUPPORTED  an entry of a version to come
 *         CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_receipt_prove(struct chy_str receipt,
                                            const struct chy_tlog_vkey *keys, size_t n_keys,
                                            struct chy_arena *arena, uint64_t *ret_index,
                                            struct chy_entry *ret_entry, struct chy_error *err);
