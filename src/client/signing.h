/* SPDX-License-Identifier: MIT */
/* What a program needs that stands for another one and has one thing signed. A key or a signature
 * that is not what was asked for is not handed out, whatever the server says of it. Not shared. */
#pragma once

#include "client/client.h"
#include "client/settings.h"
#include "proto/api.h"

struct chy_arena;
struct chy_pubkey;

struct chy_signing {
    struct chy_client *client;
    const struct chy_client_env *env; /* the reason, and where receipts go */
    struct chy_arena *arena;          /* of all that is answered */
};

/* As chy_client_open_renewed(). Where it is not an agent that calls the server nobody may look into
 * our memory from then on; an agent must be able to look who we are. */
CHY_MUST_USE enum chy_err chy_signing_connect(struct chy_settings *settings,
                                              struct chy_client **ret_client,
                                              struct chy_error *ret_why, struct chy_error *err);

/* The key of this name, whatever its state.
 * Errors: CHY_E_PROTOCOL another one was shown; of chy_client_call() */
CHY_MUST_USE enum chy_err chy_signing_key(const struct chy_signing *s, struct chy_str name,
                                          struct chy_key *ret_key, struct chy_error *err);

/* Whether what a server says is the signature of an item is one, by the key whose
 * SubjectPublicKeyInfo this is. Pure.
 * Errors: CHY_E_INTEGRITY  it is not
 *         CHY_E_PROTOCOL   it is empty
 *         CHY_E_ARG        the algorithm does not fit the key, or the digest not the algorithm
 *         of chy_pubkey_from_spki() */
CHY_MUST_USE enum chy_err chy_signing_check(struct chy_bytes spki, const struct chy_sign_item *item,
                                            struct chy_bytes signature, struct chy_error *err);

/* The same by a key that is decoded already: to decode one takes longer than to check by it. */
CHY_MUST_USE enum chy_err chy_signing_check_by(const struct chy_pubkey *key,
                                               const struct chy_sign_item *item,
                                               struct chy_bytes signature, struct chy_error *err);

/* The signature of the one item of `request`, which is of `key`; reason and receipt are put to it
 * here. The receipt is kept first: a signature goes nowhere without it.
 * Errors: CHY_E_DENIED and what else the server says of the item, with the rules that decided
 *         CHY_E_PROTOCOL   another number of answers
 *         of chy_signing_check() and chy_receipt_keep()
 *         of chy_client_call() */
CHY_MUST_USE enum chy_err chy_signing_ask(const struct chy_signing *s, const struct chy_key *key,
                                          struct chy_sign_request *request,
                                          const struct chy_sign_result **ret_result,
                                          struct chy_error *err);
