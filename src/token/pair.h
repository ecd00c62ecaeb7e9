/* SPDX-License-Identifier: MIT */
/* Key pairs as objects of a token: looked up, made, described and destroyed; nothing is kept.
 * Private to keys.c, which says what each does, and under whose lock all of it runs. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/internal.h"
#include "token/session.h"

struct chy_pubkey;

struct chy_pair {
    CK_OBJECT_HANDLE private_key;
    struct chy_pubkey *public_key; /* owned */
};

void chy_pair_done(struct chy_pair *pair);

/* The key under an object id, if it can be used: with a public key, and without a PIN for each
 * use. */
CHY_MUST_USE enum chy_err chy_pair_locate(struct chy_session *session, struct chy_bytes object_id,
                                          struct chy_pair *ret_pair, struct chy_error *err);
/* The same, and CHY_E_CONFLICT if the public key does not have the hash. */
CHY_MUST_USE enum chy_err chy_pair_locate_ref(struct chy_session *session,
                                              const struct chy_token_key_ref *ref,
                                              struct chy_pair *ret_pair, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_pair_generate(struct chy_session *session,
                                            const struct chy_token_generate *request,
                                            struct chy_arena *arena,
                                            struct chy_token_key_reply *ret_key,
                                            struct chy_error *err);
CHY_MUST_USE enum chy_err chy_pair_find(struct chy_session *session,
                                        const struct chy_token_find *request,
                                        struct chy_arena *arena,
                                        struct chy_token_key_reply *ret_key, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_pair_destroy(struct chy_session *session,
                                           const struct chy_token_key_ref *ref,
                                           struct chy_error *err);
/* A copy of a private key that lives as long as the session. */
CHY_MUST_USE enum chy_err chy_pair_copy(struct chy_session *session, CK_OBJECT_HANDLE private_key,
                                        CK_OBJECT_HANDLE *ret_copy, struct chy_error *err);
