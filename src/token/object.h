/* SPDX-License-Identifier: MIT */
/* Objects of a token: finding them and reading their public attributes. Threads: as the session. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "token/session.h"

struct chy_pubkey;

/* What an object must have; an empty label or id is not asked for. Only token objects are found,
 * never our session copies. */
struct chy_object_query {
    CK_OBJECT_CLASS class;
    struct chy_str label;
    struct chy_bytes id;
};

/* The handles of up to `max` objects; `ret_n` is `max` also when there are more.
 * Errors: CHY_E_TOKEN */
CHY_MUST_USE enum chy_err chy_object_find(struct chy_session *session,
                                          const struct chy_object_query *query, size_t max,
                                          CK_OBJECT_HANDLE *ret_objects, size_t *ret_n,
                                          struct chy_error *err);
/* The only one there is.
 * Errors: CHY_E_NOT_FOUND none; CHY_E_CONFLICT more than one; CHY_E_TOKEN */
CHY_MUST_USE enum chy_err chy_object_find_one(struct chy_session *session,
                                              const struct chy_object_query *query,
                                              CK_OBJECT_HANDLE *ret_object, struct chy_error *err);

/* A byte string, in the arena; empty when the object does not have it.
 * Errors: CHY_E_LIMIT over `max` bytes; CHY_E_TOKEN, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_object_bytes(struct chy_session *session, CK_OBJECT_HANDLE object,
                                           CK_ATTRIBUTE_TYPE type, size_t max,
                                           struct chy_arena *arena, struct chy_bytes *ret_value,
                                           struct chy_error *err);
/* `absent` when the object does not have it, or not as a boolean. Errors: CHY_E_TOKEN */
CHY_MUST_USE enum chy_err chy_object_bool(struct chy_session *session, CK_OBJECT_HANDLE object,
                                          CK_ATTRIBUTE_TYPE type, bool absent, bool *ret_value,
                                          struct chy_error *err);
/* Errors: CHY_E_TOKEN, also when the object does not have it */
CHY_MUST_USE enum chy_err chy_object_ulong(struct chy_session *session, CK_OBJECT_HANDLE object,
                                           CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_value,
                                           struct chy_error *err);

/* The public key of a public-key object; for RSA a private-key object has all that is needed too.
 * Errors: CHY_E_UNSUPPORTED a kind of key, a size or a curve that we do not sign with
 *         CHY_E_MALFORMED   the attributes make no key
 *         CHY_E_TOKEN, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_object_public_key(struct chy_session *session,
                                                CK_OBJECT_HANDLE object,
                                                struct chy_pubkey **ret_key, struct chy_error *err);

/* An object that has gone already is no error. Errors: CHY_E_TOKEN */
CHY_MUST_USE enum chy_err chy_object_destroy(struct chy_session *session, CK_OBJECT_HANDLE object,
                                             struct chy_error *err);
