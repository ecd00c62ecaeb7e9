/* SPDX-License-Identifier: MIT */
/* Log entries. A leaf of the log is the canonical form (codec/schema.h) of struct chy_entry,
 * version 1. It holds public fields and a salted commitment to a detail record (command line, file
 * names, free text), which can be pruned without hurting the proofs. docs/formats/log.md describes
 * every byte.
 *
 * The layout is frozen by its version: a new field means a new version, and verifiers read all
 * versions. */
#pragma once

#include "proto/types.h"

#define CHY_ENTRY_VERSION 1

enum chy_entry_kind {
    CHY_ENTRY_SERVER_START = 1, /* a node began to serve; says version and settings' hash */
    CHY_ENTRY_SERVER_STOP = 2,
    /* the decision about one item; durable before the token is asked */
    CHY_ENTRY_SIGN_INTENT = 3,
    CHY_ENTRY_SIGN_OUTCOME = 4, /* what became of an allowed intent */
    /* create, adopt, enable, disable, destroy, guard, certificate, csr */
    CHY_ENTRY_KEY = 5,
    CHY_ENTRY_POLICY = 6,   /* a policy came into force */
    CHY_ENTRY_USER = 7,     /* principals, enrolment, API tokens */
    CHY_ENTRY_RECOVERY = 8, /* an operator accepted an older store; what is missing */
    /* a private key is about to be used or changed for administration */
    CHY_ENTRY_KEY_INTENT = 9,
};

enum chy_outcome {
    CHY_OUTCOME_NONE = 0, /* not an outcome */
    CHY_OUTCOME_DONE = 1,
    CHY_OUTCOME_FAILED = 2,  /* the token answered with an error; no signature left */
    CHY_OUTCOME_UNKNOWN = 3, /* closed after a crash: unknown, not answered */
};

struct chy_entry {
    uint32_t version;
    enum chy_entry_kind kind;
    int64_t time_us; /* never smaller than that of the entry before */
    struct chy_str node;
    uint8_t request_id[CHY_ID_BYTES];
    uint32_t item; /* position in the request */
    struct chy_str principal;
    enum chy_auth_method method;
    struct chy_str action;  /* "sign", "key.create", "policy.apply", … */
    struct chy_str subject; /* name of the key, the principal … that it is about */
    uint64_t policy_number;
    uint8_t policy_hash[CHY_HASH_BYTES];
    enum chy_decision decision;
    struct chy_strs rules;              /* that produced the decision */
    uint8_t key_sha256[CHY_HASH_BYTES]; /* of the SubjectPublicKeyInfo */
    enum chy_sign_alg algorithm;
    enum chy_hashed_by hashed_by;
    struct chy_bytes digest; /* what was to be signed; of a message the SHA-256 */
    struct chy_bytes artifact_digest;
    struct chy_str artifact_type;
    uint64_t artifact_size_bytes;
    CHY_LIST_OF(struct chy_fact) facts; /* the public ones: host, network, application hash … */
    CHY_LIST_OF(struct chy_label) labels;
    enum chy_outcome outcome;
    uint64_t intent_index;                 /* of an outcome: the leaf it answers */
    uint8_t result_sha256[CHY_HASH_BYTES]; /* of the signature, certificate or policy made */
    /* SHA-256(salt || detail record); all zero when there is none. */
    uint8_t detail_sha256[CHY_HASH_BYTES];
};

/* The prunable part. The salt keeps a short text from being guessed from its hash. */
struct chy_entry_detail {
    uint8_t salt[CHY_HASH_BYTES];
    struct chy_str reason;
    struct chy_str artifact_name;
    struct chy_str address; /* of the peer */
    struct chy_str user_agent;
    CHY_LIST_OF(struct chy_fact) facts; /* the private ones: command line, paths, user */
    struct chy_str text;                /* an error, a comment, a description */
};

extern const struct chy_enum chy_entry_kind_enum;
extern const struct chy_enum chy_outcome_enum;
extern const struct chy_schema chy_entry_schema;
extern const struct chy_schema chy_entry_detail_schema;
