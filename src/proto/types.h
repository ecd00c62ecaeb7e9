/* SPDX-License-Identifier: MIT */
/* The nouns that messages share: enumerations with their names on the wire and in documents. The
 * numbers are in log entries and in stored policies: never renumber, only add. */
#pragma once

#include "codec/schema.h"

enum chy_key_type {
    CHY_KEY_NONE = 0,
    CHY_KEY_RSA_2048 = 1,
    CHY_KEY_RSA_3072 = 2,
    CHY_KEY_RSA_4096 = 3,
    CHY_KEY_P256 = 4,
    CHY_KEY_P384 = 5,
    CHY_KEY_P521 = 6,
    CHY_KEY_ED25519 = 7,
};

enum chy_hash_alg {
    CHY_HASH_NONE = 0, /* of what signs the message itself */
    CHY_HASH_SHA256 = 1,
    CHY_HASH_SHA384 = 2,
    CHY_HASH_SHA512 = 3,
};

enum chy_sign_alg {
    CHY_ALG_NONE = 0,
    CHY_ALG_RSA_PKCS1_SHA256 = 1,
    CHY_ALG_RSA_PKCS1_SHA384 = 2,
    CHY_ALG_RSA_PKCS1_SHA512 = 3,
    CHY_ALG_RSA_PSS_SHA256 = 4, /* MGF1 with the same hash, salt as long as the hash */
    CHY_ALG_RSA_PSS_SHA384 = 5,
    CHY_ALG_RSA_PSS_SHA512 = 6,
    CHY_ALG_ECDSA_SHA256 = 7,
    CHY_ALG_ECDSA_SHA384 = 8,
    CHY_ALG_ECDSA_SHA512 = 9,
    CHY_ALG_ED25519 = 10,
    /* The padding of PKCS#1 v1.5 around bytes as they are, for tools that make a DigestInfo of
     * their own, or none. Policy must name it. */
    CHY_ALG_RSA_PKCS1_RAW = 11,
};
#define CHY_ALG_LAST CHY_ALG_RSA_PKCS1_RAW /* for tables by algorithm */

/* Who made the digest from which bytes; the server writes it to the log. */
enum chy_hashed_by {
    CHY_HASHED_BY_NOBODY = 0,   /* the message itself is signed */
    CHY_HASHED_BY_TOOL = 1,     /* the tool gave a digest and its algorithm */
    CHY_HASHED_BY_CLIENT = 2,   /* our client hashed what the tool or the user gave */
    CHY_HASHED_BY_INFERRED = 3, /* the tool gave bytes; the hash is inferred from their length */
    /* the content came along and was hashed again here; never declared */
    CHY_HASHED_BY_SERVER = 4,
};

enum chy_receipt_kind {
    CHY_RECEIPT_INDEX = 0,
    CHY_RECEIPT_NONE = 1,
    CHY_RECEIPT_FULL = 2,
};

/* Weakest first. */
enum chy_basis {
    CHY_BASIS_DECLARED = 0,
    CHY_BASIS_AGENT = 1,
    CHY_BASIS_SERVER = 2,
};

enum chy_role {
    CHY_ROLE_NONE = 0,
    CHY_ROLE_ADMINISTRATOR = 1,
    CHY_ROLE_KEY_MANAGER = 2,
    CHY_ROLE_POLICY_AUTHOR = 3,
    CHY_ROLE_AUDITOR = 4,
};

enum chy_key_state {
    CHY_KEY_STATE_ACTIVE = 1,
    CHY_KEY_STATE_DISABLED = 2,
    CHY_KEY_STATE_DESTROYED = 3,
};

enum chy_key_origin {
    CHY_KEY_ORIGIN_GENERATED = 1,
    CHY_KEY_ORIGIN_ADOPTED = 2,
};

/* What a key is for; only SIGNING keys are ever listed or usable by POST /v1/sign. */
enum chy_key_class {
    CHY_KEY_CLASS_NONE = 0, /* not told: outside the server */
    CHY_KEY_CLASS_SIGNING = 1,
    CHY_KEY_CLASS_LOG = 2,
    CHY_KEY_CLASS_CLIENT_CA = 3,
    CHY_KEY_CLASS_DEVELOPMENT_CA = 4,
};

enum chy_auth_method {
    CHY_AUTH_NONE = 0,
    CHY_AUTH_CERTIFICATE = 1,
    CHY_AUTH_API_TOKEN = 2,
    CHY_AUTH_SERVER = 3, /* the server itself: start, recovery */
};

enum chy_decision {
    CHY_DECISION_NONE = 0,
    CHY_DECISION_ALLOWED = 1,
    CHY_DECISION_DENIED = 2,
    CHY_DECISION_HELD = 3,
};

extern const struct chy_enum chy_key_type_enum;
extern const struct chy_enum chy_hash_alg_enum;
extern const struct chy_enum chy_sign_alg_enum;
extern const struct chy_enum chy_hashed_by_enum;
extern const struct chy_enum chy_receipt_kind_enum;
extern const struct chy_enum chy_basis_enum;
extern const struct chy_enum chy_role_enum;
extern const struct chy_enum chy_key_state_enum;
extern const struct chy_enum chy_key_origin_enum;
extern const struct chy_enum chy_key_class_enum;
extern const struct chy_enum chy_auth_method_enum;
extern const struct chy_enum chy_decision_enum;

/* The hash that `alg` signs; CHY_HASH_NONE for what takes a message, and for CHY_ALG_NONE. */
enum chy_hash_alg chy_sign_alg_hash(enum chy_sign_alg alg);
/* Whether it signs bytes as they are given, not a digest that somebody made of them. */
bool chy_sign_alg_takes_message(enum chy_sign_alg alg);
/* 32, 48 or 64; 0 for CHY_HASH_NONE. */
size_t chy_hash_alg_bytes(enum chy_hash_alg hash);
/* Whether a key of this type can make signatures of this kind. */
bool chy_sign_alg_fits(enum chy_sign_alg alg, enum chy_key_type type);
bool chy_key_type_is_rsa(enum chy_key_type type);
/* Bytes of its modulus; 0 for what is no RSA key. */
size_t chy_key_type_modulus_bytes(enum chy_key_type type);
/* What PKCS#1 v1.5 adds to what it signs, at least. Source: RFC 8017 section 9.2 */
#define CHY_RSA_PKCS1_PADDING_BYTES 11
/* What a key of this type signs with when nothing else is said. */
enum chy_sign_alg chy_key_type_default_alg(enum chy_key_type type);

/* A fact about a request. The names known today are in src/policy/facts.h. */
struct chy_fact {
    struct chy_str name; /* "application.path" */
    struct chy_str value;
    enum chy_basis basis;
};

struct chy_label {
    struct chy_str name;
    struct chy_str value;
};

extern const struct chy_schema chy_fact_schema;
extern const struct chy_schema chy_label_schema;

/* One DER certificate of a chain, with what people ask of it. */
struct chy_certificate {
    struct chy_bytes der;
    struct chy_str subject; /* RFC 4514 */
    struct chy_str issuer;
    struct chy_str serial; /* lower-case hex */
    int64_t not_before_us;
    int64_t not_after_us;
    uint8_t sha256[CHY_HASH_BYTES]; /* of the DER */
    bool is_development;            /* issued by the built-in CA: nobody outside trusts it */
};

extern const struct chy_schema chy_certificate_schema;

/* For messages without content. */
struct chy_empty {
    bool unused;
};

extern const struct chy_schema chy_empty_schema;
