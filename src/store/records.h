/* SPDX-License-Identifier: MIT */
/* What the store's objects hold: the canonical form (codec/schema.h) of these structs. A change of
 * one is a migration of the store. Also the typed reading and writing of them, for signer and
 * query. */
#pragma once

#include "proto/internal.h"
#include "store/store.h"

/* Names of the keys that belong to Chancery itself; '@' is in no name that a user can give. */
#define CHY_KEY_NAME_LOG            "@log"
#define CHY_KEY_NAME_CLIENT_CA      "@client-ca"
#define CHY_KEY_NAME_DEVELOPMENT_CA "@development-ca"

struct chy_key_record {
    struct chy_key key;     /* without warnings, which depend on the day */
    struct chy_bytes guard; /* canonical form; empty: none */
};

/* A client certificate or an API token, found by the SHA-256 of its DER or of its text. */
struct chy_credential_record {
    struct chy_str principal;
    enum chy_auth_method method;
    struct chy_api_token_info info; /* id, expiry, revoked; scopes and keys of an API token */
    bool is_agent;
    uint8_t public_key_sha256[CHY_HASH_BYTES]; /* of a certificate: the key it is renewed for */
};

struct chy_code_record {
    struct chy_str principal;
    int64_t expires_us;
    bool is_agent;
};

struct chy_policy_record {
    struct chy_policy policy;
    struct chy_bytes canonical;
};

extern const struct chy_schema chy_key_record_schema, chy_credential_record_schema,
    chy_code_record_schema, chy_policy_record_schema;

/* What an object of this name holds, which borrows from `body` and the arena.
 * Errors: CHY_E_INTEGRITY it does not decode; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_record_decode(const struct chy_schema *schema, struct chy_str name,
                                            struct chy_bytes body, struct chy_arena *arena,
                                            void *ret_record, struct chy_error *err);
/* Read an object into its struct, which borrows from the arena.
 * Errors: CHY_E_NOT_FOUND; CHY_E_INTEGRITY what is stored does not decode; CHY_E_STORE,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_record_get(struct chy_store *s, enum chy_object_kind kind,
                                         struct chy_str name, const struct chy_schema *schema,
                                         struct chy_arena *arena, void *ret_record,
                                         struct chy_error *err);
/* Within a transaction. Errors: as chy_schema_encode() and chy_store_put() */
CHY_MUST_USE enum chy_err chy_record_put(struct chy_store *s, enum chy_object_kind kind,
                                         struct chy_str name, const struct chy_schema *schema,
                                         const void *record, struct chy_error *err);

/* The object name of a policy's number, and of a credential's or code's hash. In the arena; p is
 * NULL when it is full. */
CHY_MUST_USE struct chy_str chy_record_policy_name(struct chy_arena *arena, uint64_t number);
CHY_MUST_USE struct chy_str chy_record_hash_name(struct chy_arena *arena,
                                                 const uint8_t hash[CHY_HASH_BYTES]);

/* META objects. */
#define CHY_META_POLICY_NUMBER "policy-number" /* struct chy_policy_number: the one in force */
/* struct chy_user: made by `chanceryd init`, not yet in the log */
#define CHY_META_INIT "init"

/* The number of the policy in force; 0 when none was ever applied. Errors: CHY_E_STORE,
 * CHY_E_INTEGRITY */
CHY_MUST_USE enum chy_err chy_record_policy_number(struct chy_store *s, uint64_t *ret_number,
                                                   struct chy_error *err);

/* What needs attention about a key at `now_us`: certificate ended or ends within 90 days, none at
 * all, a development certificate, a software token. In the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_record_key_warnings(struct chy_key *key, int64_t now_us,
                                                  struct chy_arena *arena, struct chy_error *err);

/* Names that users give to keys, principals and groups: 1 to CHY_LIMIT_NAME of letters, digits and
 * . _ - + @ /, beginning with a letter or digit. Errors: CHY_E_ARG */
CHY_MUST_USE enum chy_err chy_record_check_name(struct chy_str name, const char *what,
                                                struct chy_error *err);
