/* SPDX-License-Identifier: MIT */
/* Who is asking, and may he: a caller's credential resolved to a principal from the store, and the
 * permission of an operation checked. Signer and query both ask here. Pure but for reading the
 * store. */
#pragma once

#include "proto/ops.h"
#include "store/records.h"

struct chy_principal {
    struct chy_str name; /* empty: nobody, no credential was given */
    enum chy_auth_method method;
    struct chy_strs groups;
    struct chy_strs roles;
    unsigned may; /* CHY_MAY_… of his roles, CHY_MAY_KNOWN, CHY_MAY_ANYBODY */
    bool is_agent;
    bool is_scoped; /* an API token: only `scopes`, and only `keys` when there are any */
    struct chy_strs scopes;
    struct chy_strs keys;
    uint8_t credential_id[CHY_ID_BYTES];
    uint8_t public_key_sha256[CHY_HASH_BYTES]; /* of a certificate's key */
    int64_t expires_us;
};

/* Resolve the caller's credential at `now_us`. The result borrows from the arena. A caller without
 * a credential is nobody, which is no error.
 * Errors: CHY_E_UNAUTHENTICATED unknown credential, unknown or disabled principal, revoked
 *         CHY_E_EXPIRED         the credential has ended
 *         CHY_E_INTEGRITY, CHY_E_STORE, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_principal_resolve(struct chy_store *s,
                                                const struct chy_caller *caller, int64_t now_us,
                                                struct chy_arena *arena,
                                                struct chy_principal *ret_principal,
                                                struct chy_error *err);

/* A principal by name, as it would be with a certificate; for policy tests. Errors:
 * CHY_E_NOT_FOUND, CHY_E_INTEGRITY, CHY_E_STORE, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_principal_by_name(struct chy_store *s, struct chy_str name,
                                                struct chy_arena *arena,
                                                struct chy_principal *ret_principal,
                                                struct chy_error *err);

/* Errors: CHY_E_UNAUTHENTICATED nobody, and the operation is not for anybody
 *         CHY_E_FORBIDDEN       lacks the role, or the API token's scope does not cover it */
CHY_MUST_USE enum chy_err chy_principal_check(const struct chy_principal *p,
                                              const struct chy_op_row *row, struct chy_error *err);

/* Whether `p` may name this key at all: an API token may be limited to keys by pattern (* and
 * ?). */
bool chy_principal_may_key(const struct chy_principal *p, struct chy_str key);
/* Whether `p` is among the owners: its name, or "group:NAME" of one of its groups. */
bool chy_principal_owns(const struct chy_principal *p, struct chy_strs owners);
bool chy_principal_has(struct chy_strs set, struct chy_str element);
