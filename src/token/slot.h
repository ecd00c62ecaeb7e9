/* SPDX-License-Identifier: MIT */
/* One slot of a loaded module, found by the label or serial of its token, with us logged in. Its
 * first session, the anchor, is opened before any other and never closed: in SoftHSM closing the
 * last session races with opening another, and log-in and session objects end with it.
 *
 * Threads: immutable after chy_slot_open(); a session is used by one thread at a time. Secrets: the
 * PIN is lent for the call of chy_slot_open(). */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/secret.h"
#include "proto/types.h"
#include "token/module.h"
#include "token/session.h"

struct chy_slot;

struct chy_slot_options {
    struct chy_str label; /* of the token in the slot; one of the two at least, both must fit */
    struct chy_str serial;
    const struct chy_secret *pin;
    bool is_software; /* as configured; SoftHSM is software in any case */
};

/* As the module says, trimmed; bytes that are no plain text are '?'. NUL-terminated. */
struct chy_slot_info {
    char label[33];
    char serial[17];
    char manufacturer[33];
    char model[17];
    bool is_software;
};

/* `module` must be loaded, and outlive the slot.
 *
 * There is one try with the PIN, and none when the token says that it would be the last before it
 * locks.
 * Errors: CHY_E_ARG       neither label nor serial, or no PIN
 *         CHY_E_NOT_FOUND no slot has such a token
 *         CHY_E_CONFLICT  more than one has
 *         CHY_E_UNAUTHENTICATED the PIN is wrong, locked, expired or not set; or its last try is
 *                               left
 *         CHY_E_LIMIT     over CHY_LIMIT_TOKEN_SLOTS slots
 *         CHY_E_TOKEN     what else the module answered; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_slot_open(const struct chy_module *module,
                                        const struct chy_slot_options *options,
                                        struct chy_slot **ret_slot, struct chy_error *err);
/* Closes no session: chy_module_end() ends them all. */
void chy_slot_free(struct chy_slot *slot);
void chy_slot_freep(struct chy_slot **slot);

const struct chy_slot_info *chy_slot_info(const struct chy_slot *slot);
/* Whether the token lists a mechanism for this; that a curve is missing shows only when it is
 * used. */
bool chy_slot_signs(const struct chy_slot *slot, enum chy_sign_alg alg);

/* One more session, for one thread; read-only where the token allows nothing else. Never closed.
 * Errors: CHY_E_TOKEN */
CHY_MUST_USE enum chy_err chy_slot_session(const struct chy_slot *slot,
                                           struct chy_session *ret_session, struct chy_error *err);
