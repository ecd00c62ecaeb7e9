/* SPDX-License-Identifier: MIT */
/* What clients and server say to each other over HTTP: one struct and one schema for each request
 * and each response. The table in ops.h says which operation takes which. Fields are documented in
 * api.c, where their bounds are; OpenAPI is made from there. */
#pragma once

#include "proto/types.h"

/* The version of this interface. A server speaks CHY_API_MIN to CHY_API_MAX; a client says in the
 * header `Chancery-Api` which one it speaks. Within a version, fields are only added: a client
 * ignores unknown fields of an answer, a server refuses unknown fields of a request. */
#define CHY_API_MIN 1
#define CHY_API_MAX 1

struct chy_hello {
    struct chy_str server; /* version of the software */
    uint32_t api_min;
    uint32_t api_max;
    int64_t time_us;
    struct chy_str log_vkey; /* C2SP signed-note verifier key of the log */
};

/* --- who is asking --- */

struct chy_enroll_request {
    struct chy_str code; /* the secret part of the enrolment code */
    struct chy_str csr;  /* PEM, PKCS#10 */
};

struct chy_renew_request {
    struct chy_str csr;
};

struct chy_client_certificate {
    struct chy_str principal;
    struct chy_str certificate; /* PEM: leaf, then the client CA */
    int64_t not_after_us;
};

struct chy_whoami {
    struct chy_str principal;
    enum chy_auth_method method;
    struct chy_strs groups;
    struct chy_strs roles;
    int64_t expires_us; /* of the credential */
    bool is_agent;
};

struct chy_api_token_info {
    uint8_t id[CHY_ID_BYTES];
    struct chy_str description;
    struct chy_strs scopes; /* operation ids, e.g. "sign"; "keys.*" */
    struct chy_strs keys;   /* names or patterns; empty: whatever policy allows */
    int64_t created_us;
    int64_t expires_us;
    bool is_revoked;
};

struct chy_user {
    struct chy_str name;
    struct chy_str description;
    bool is_disabled;
    struct chy_strs groups;
    struct chy_strs roles;
    int64_t created_us;
    CHY_LIST_OF(struct chy_api_token_info) api_tokens;
};

struct chy_user_list {
    CHY_LIST_OF(struct chy_user) users;
};

struct chy_user_name {
    struct chy_str name;
};

struct chy_user_create {
    struct chy_str name;
    struct chy_str description;
    struct chy_strs groups;
    struct chy_strs roles;
};

/* Replaces what is given whole; what is absent stays. */
struct chy_texts {
    struct chy_strs values;
};
struct chy_switch {
    bool value;
};
struct chy_user_update {
    struct chy_str name;
    const struct chy_texts *groups;
    const struct chy_texts *roles;
    const struct chy_switch *is_disabled;
};

struct chy_enrolment_code_request {
    struct chy_str name;
    uint32_t valid_minutes;
    bool is_agent; /* the certificate may state facts of basis `agent` */
};

struct chy_enrolment_code {
    struct chy_str code; /* secret; carries the server's public-key pin */
    int64_t expires_us;
};

struct chy_api_token_create {
    struct chy_str name; /* of the user */
    struct chy_str description;
    struct chy_strs scopes;
    struct chy_strs keys;
    uint32_t valid_days;
};

struct chy_api_token {
    struct chy_str token; /* secret, shown once */
    struct chy_api_token_info info;
};

struct chy_api_token_ref {
    struct chy_str name;
    uint8_t id[CHY_ID_BYTES];
};

/* --- tokens, keys, certificates --- */

struct chy_token_info {
    struct chy_str name; /* in our configuration */
    struct chy_str label;
    struct chy_str serial;
    struct chy_str manufacturer;
    struct chy_str model;
    bool is_software; /* keys in it are in a file of this machine, whatever the module says */
    bool is_ready;
    uint32_t workers;
    struct chy_strs mechanisms; /* signature algorithms it can make */
};

struct chy_token_list {
    CHY_LIST_OF(struct chy_token_info) tokens;
};

struct chy_key {
    struct chy_str name;
    uint8_t id[CHY_ID_BYTES];
    enum chy_key_class class;
    enum chy_key_type type;
    enum chy_key_state state;
    enum chy_key_origin origin;
    struct chy_str purpose;
    struct chy_strs groups;
    struct chy_strs owners; /* principals, or "group:NAME" */
    struct chy_str token;
    bool token_is_software;
    struct chy_str evidence;     /* what is known of where the key was made */
    struct chy_bytes object_id;  /* CKA_ID in the token */
    struct chy_bytes public_key; /* SubjectPublicKeyInfo, DER */
    uint8_t public_key_sha256[CHY_HASH_BYTES];
    CHY_LIST_OF(struct chy_certificate) certificates; /* leaf first */
    struct chy_str guard;                             /* YAML, as the owners wrote it */
    struct chy_strs warnings;
    int64_t created_us;
};

/* Without a limit all that fit into one answer, CHY_LIMIT_KEY_PAGE at most. */
struct chy_key_query {
    struct chy_str after;     /* names behind this one, in the order of their bytes */
    uint32_t limit;           /* 0: CHY_LIMIT_KEY_PAGE */
    uint8_t id[CHY_ID_BYTES]; /* the key with this id alone; all zero: any */
    /* only what the caller may sign with: active, and policy might allow it */
    bool usable;
};

struct chy_key_list {
    CHY_LIST_OF(struct chy_key) keys;
    struct chy_str next; /* what to give as `after` to go on; empty at the end */
};

struct chy_key_name {
    struct chy_str name;
};

struct chy_key_create {
    struct chy_str name;
    enum chy_key_type type;
    bool allow_rsa_2048;  /* RSA 2048 only where the key says so */
    struct chy_str token; /* empty: the default one */
    struct chy_str purpose;
    struct chy_strs groups;
    struct chy_strs owners;
};

struct chy_key_adopt {
    struct chy_str name;
    struct chy_str token;
    struct chy_str label;       /* CKA_LABEL, or */
    struct chy_bytes object_id; /* CKA_ID */
    bool allow_rsa_2048;
    struct chy_str purpose;
    struct chy_strs groups;
    struct chy_strs owners;
};

struct chy_key_destroy {
    struct chy_str name;
    struct chy_str confirm; /* the name again */
};

struct chy_key_guard {
    struct chy_str name;
    struct chy_str guard; /* YAML; empty takes it away */
};

struct chy_csr_request {
    struct chy_str name;
    struct chy_str subject; /* "CN=Example Corp,O=Example Corp,C=DE" */
    struct chy_strs sans;   /* "email:a@example.org", "uri:https://…", "dns:…" */
};

struct chy_csr {
    struct chy_str csr; /* PEM */
};

struct chy_certificate_import {
    struct chy_str name;
    struct chy_str chain; /* PEM, leaf first */
};

struct chy_development_certificate {
    struct chy_str name;
    struct chy_str subject;
    uint32_t valid_days;
};

struct chy_pem {
    struct chy_str pem;
};

/* --- policies --- */

struct chy_policy_apply {
    struct chy_str policy; /* YAML */
    struct chy_str comment;
    /* The version this replaces, 0 for "whatever is there": a conflict is refused. */
    uint64_t expected_number;
};

struct chy_policy_number {
    uint64_t number; /* 0: the one in force */
};

struct chy_policy {
    uint64_t number;
    uint8_t hash[CHY_HASH_BYTES]; /* SHA-256 of the canonical form */
    struct chy_str author;
    struct chy_str comment;
    int64_t created_us;
    uint32_t rules;
    struct chy_str policy; /* YAML as applied; empty in lists */
};

struct chy_policy_list {
    CHY_LIST_OF(struct chy_policy) policies;
};

/* --- signing --- */

struct chy_artifact {
    struct chy_bytes digest; /* of the file, not what is signed */
    enum chy_hash_alg hash;
    uint64_t size_bytes;
    struct chy_str type; /* "jar", "pe", … */
    struct chy_str name;
};

struct chy_sign_item {
    struct chy_str key;
    enum chy_sign_alg algorithm;
    struct chy_bytes digest;  /* what is signed, or */
    struct chy_bytes message; /* where the algorithm takes one */
    struct chy_bytes content; /* the bytes that hash to `digest`, where the tool shows them */
    enum chy_hashed_by hashed_by;
    const struct chy_artifact *artifact;
    CHY_LIST_OF(struct chy_fact) facts;
};

struct chy_sign_request {
    CHY_LIST_OF(struct chy_sign_item) items;
    struct chy_str reason;
    CHY_LIST_OF(struct chy_fact) facts;   /* of all items */
    CHY_LIST_OF(struct chy_label) labels; /* of all items */
    enum chy_receipt_kind receipt;
};

struct chy_sign_result {
    bool is_signed;
    struct chy_bytes signature; /* RSA: big-endian; ECDSA: DER (RFC 3279); Ed25519: 64 bytes */
    /* When not signed: what and why, as in a problem document. */
    struct chy_str problem; /* "denied-by-policy" */
    struct chy_str detail;
    struct chy_strs rules; /* that decided, also when signed */
    const struct chy_log_index *intent;
    const struct chy_log_index *outcome;
    struct chy_str receipt; /* c2sp.org/tlog-proof@v1 of the outcome */
};

struct chy_sign_response {
    CHY_LIST_OF(struct chy_sign_result) results; /* in the order of the items */
    uint64_t policy_number;
};

/* Explains, rule by rule, what the policy (or a draft) would answer. Signs and logs nothing. */
struct chy_policy_test {
    struct chy_str policy;    /* YAML of a draft; empty: the one in force */
    struct chy_str principal; /* empty: the caller */
    struct chy_str address;   /* as the server would see it; empty: the caller's */
    int64_t time_us;          /* 0: now */
    struct chy_sign_request request;
};

struct chy_rule_explanation {
    struct chy_str rule;
    struct chy_str effect;
    bool applies;            /* it counts in the decision */
    struct chy_str matched;  /* "yes", "no", "unknown" */
    struct chy_strs reasons; /* which matcher failed on which value */
};

struct chy_policy_explanation {
    struct chy_str key;
    enum chy_decision decision;
    struct chy_str summary;
    CHY_LIST_OF(struct chy_rule_explanation) rules;
};

struct chy_policy_test_result {
    uint64_t policy_number; /* 0 for a draft */
    CHY_LIST_OF(struct chy_policy_explanation) items;
};

/* --- the log --- */

struct chy_log_index {
    uint64_t index;
};

struct chy_log_query {
    uint64_t after; /* entries with an index of at least this */
    uint32_t limit; /* 0: 100 */
    struct chy_str key;
    struct chy_str principal;
    struct chy_str kind;
    struct chy_bytes digest;
    bool newest_first; /* then `after` does not count, but */
    uint64_t before;   /* entries with an index below this; 0: all */
};

/* An entry for people: what its leaf and its detail record say. */
struct chy_log_row {
    uint64_t index;
    int64_t time_us;
    struct chy_str kind;
    struct chy_str principal;
    struct chy_str key;
    enum chy_decision decision;
    struct chy_strs rules;
    struct chy_str text; /* one line: what happened */
    /* Of a signature: application.path, from the detail record of its intent; NULL: not known. */
    const struct chy_fact *application;
    struct chy_bytes entry;  /* the leaf's bytes, from which all above comes */
    struct chy_bytes detail; /* the detail record; empty when pruned */
};

struct chy_log_page {
    CHY_LIST_OF(struct chy_log_row) entries;
    uint64_t size; /* of the log */
    /* What to give as `after` to go on, equal to `size` at the end; newest first what to give as
     * `before`, 0 at the end. */
    uint64_t next;
};

struct chy_log_receipt {
    struct chy_str receipt;
};

/* Anything that is not JSON: tiles, checkpoints. */
struct chy_raw {
    struct chy_str content_type;
    struct chy_bytes body;
    uint32_t max_age_s; /* 0: not to be cached */
};

struct chy_tile_path {
    struct chy_str path; /* what follows /log/tile/ */
};

extern const struct chy_schema chy_hello_schema, chy_enroll_request_schema,
    chy_renew_request_schema, chy_client_certificate_schema, chy_whoami_schema,
    chy_api_token_info_schema, chy_user_schema, chy_user_list_schema, chy_user_name_schema,
    chy_user_create_schema, chy_user_update_schema, chy_enrolment_code_request_schema,
    chy_enrolment_code_schema, chy_api_token_create_schema, chy_api_token_schema,
    chy_api_token_ref_schema;
extern const struct chy_schema chy_token_info_schema, chy_token_list_schema, chy_key_schema,
    chy_key_query_schema, chy_key_list_schema, chy_key_name_schema, chy_key_create_schema,
    chy_key_adopt_schema, chy_key_destroy_schema, chy_key_guard_schema, chy_csr_request_schema,
    chy_csr_schema, chy_certificate_import_schema, chy_development_certificate_schema,
    chy_pem_schema;
extern const struct chy_schema chy_policy_apply_schema, chy_policy_number_schema, chy_policy_schema,
    chy_policy_list_schema, chy_artifact_schema, chy_sign_item_schema, chy_sign_request_schema,
    chy_sign_result_schema, chy_sign_response_schema, chy_policy_test_schema,
    chy_rule_explanation_schema, chy_policy_explanation_schema, chy_policy_test_result_schema;
extern const struct chy_schema chy_log_index_schema, chy_log_query_schema, chy_log_row_schema,
    chy_log_page_schema, chy_log_receipt_schema, chy_raw_schema, chy_tile_path_schema;
