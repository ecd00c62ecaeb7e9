/* SPDX-License-Identifier: MIT */
/* Private to src/agent: what became of one signature, for whoever asked and whoever watches. */
#pragma once

#include "agent/porter_internal.h"

struct signature_asked {
    const struct chy_sign_item *item;
    struct chy_bytes spki; /* of the key */
    struct chy_worker *by; /* keeps that decoded */
};

struct signature_outcome {
    struct chy_sign_result result;
    struct chy_str receipt_file; /* where the receipt was written; empty: nowhere */
};

/* Copy the result into the arena, see that the signature is one by the key, and keep the receipt
 * where the tool wants receipts: first the proof, then the signature. In a worker.
 * Errors: of chy_worker_pubkey() and chy_signing_check_by(); CHY_E_PROTOCOL, CHY_E_INTEGRITY the
 * receipt proves nothing; as
 *         chy_file_replace(); CHY_E_NOMEM */
CHY_MUST_USE enum chy_err signature_take(struct signature_outcome *outcome,
                                         const struct signature_asked *asked,
                                         const struct chy_sign_result *result,
                                         const struct chy_door_hello *hello, struct chy_str log_key,
                                         struct chy_arena *arena, struct chy_error *err);
/* Count it, and tell it to those who watch. `digest` is of what was signed, for Ed25519 of the
 * message; `work` says what failed before or after there was a result. */
void signature_tell(struct conn *c, const struct chy_sign_item *item, struct chy_bytes digest,
                    const struct signature_outcome *outcome, const struct chy_work *work);
/* FAILED, for a result that is no signature. */
void signature_refuse(struct conn *c, uint64_t frame_id, const struct signature_outcome *outcome,
                      const char *request_id);
