/* SPDX-License-Identifier: MIT */
#include "proto/internal.h"

#include "base/limits.h"

/* Between our own processes the words are short: the structs' comments say what the fields mean. */
#define NAME(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_NAME, NULL)
#define TEXT(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_TEXT, NULL)
#define PATH(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_PATH, NULL)
#define BLOB(S, m, max) CHY_F_BYTES(S, m, 0, 0, max, NULL)
#define NUMBER(S, m)    CHY_F_U32(S, m, 0, 0, UINT32_MAX, NULL)
#define FLAG(S, m)      CHY_F_BOOL(S, m, 0, NULL)
#define HASH(S, m)      CHY_F_HASH(S, m, 0, NULL)
#define TIME(S, m)      CHY_F_TIME(S, m, 0, NULL)
#define SCHEMA(cname)                              \
    const struct chy_schema chy_##cname##_schema = \
        CHY_SCHEMA(#cname, struct chy_##cname, cname##_fields, NULL)

static const struct chy_enum_value processes[] = {
    { CHY_PROCESS_SUPERVISOR, "supervisor", NULL }, { CHY_PROCESS_FRONT, "front", NULL },
    { CHY_PROCESS_QUERY, "query", NULL },           { CHY_PROCESS_INSPECT, "inspect", NULL },
    { CHY_PROCESS_SIGNER, "signer", NULL },         { CHY_PROCESS_TOKEN, "token", NULL },
};
const struct chy_enum chy_process_enum = CHY_ENUM("process", processes);

static const struct chy_enum_value inspect_whats[] = {
    { CHY_INSPECT_POLICY, "policy", NULL },
    { CHY_INSPECT_GUARD, "guard", NULL },
    { CHY_INSPECT_CHAIN, "chain", NULL },
    { CHY_INSPECT_CSR, "csr", NULL },
    { CHY_INSPECT_CONTENT, "content", NULL },
    { CHY_INSPECT_BUILD_CSR, "build-csr", NULL },
    { CHY_INSPECT_BUILD_CERTIFICATE, "build-certificate", NULL },
};
static const struct chy_enum inspect_what_enum = CHY_ENUM("inspection", inspect_whats);

static const struct chy_enum_value profiles[] = {
    { CHY_PROFILE_NONE, "none", NULL },
    { CHY_PROFILE_CLIENT_CA, "client-ca", NULL },
    { CHY_PROFILE_CLIENT, "client", NULL },
    { CHY_PROFILE_DEVELOPMENT_CA, "development-ca", NULL },
    { CHY_PROFILE_DEVELOPMENT_SIGNING, "development-signing", NULL },
};
static const struct chy_enum profile_enum = CHY_ENUM("certificate profile", profiles);

static const struct chy_field peer_fields[] = {
    CHY_F_ENUM(struct chy_peer, process, &chy_process_enum, enum chy_process_kind, 0, NULL),
    NAME(struct chy_peer, token),
    NUMBER(struct chy_peer, worker),
};
SCHEMA(peer);

static const struct chy_field file_grant_fields[] = { NAME(struct chy_file_grant, name) };
SCHEMA(file_grant);

static const struct chy_field ready_fields[] = { TEXT(struct chy_ready, text) };
SCHEMA(ready);

#define S struct chy_front_config
static const struct chy_field front_config_fields[] = {
    NAME(S, version),
    NUMBER(S, listeners),
    NUMBER(S, max_connections),
    NUMBER(S, header_timeout_ms),
    NUMBER(S, body_timeout_ms),
    NUMBER(S, idle_timeout_ms),
    NUMBER(S, max_calls_per_connection),
    NUMBER(S, max_calls),
    NUMBER(S, max_calls_per_principal),
    FLAG(S, metrics_for_everybody),
    FLAG(S, signserver),
    NAME(S, log_level),
    NAME(S, user),
};
#undef S
SCHEMA(front_config);

#define S struct chy_query_config
static const struct chy_field query_config_fields[] = {
    NAME(S, version), PATH(S, store),     PATH(S, anchor),
    NAME(S, origin),  NAME(S, log_level), NAME(S, user),
};
#undef S
SCHEMA(query_config);

#define S struct chy_inspect_config
static const struct chy_field inspect_config_fields[] = {
    NAME(S, log_level),
    NAME(S, user),
    NUMBER(S, timeout_ms),
};
#undef S
SCHEMA(inspect_config);

#define S struct chy_signer_token
static const struct chy_field signer_token_fields[] = {
    NAME(S, name),
    NUMBER(S, workers),
    FLAG(S, is_software),
};
#undef S
static SCHEMA(signer_token);

#define S struct chy_signer_config
static const struct chy_field signer_config_fields[] = {
    NAME(S, version),
    NAME(S, node),
    NAME(S, origin),
    PATH(S, store),
    PATH(S, anchor),
    HASH(S, server_pin),
    TEXT(S, public_url),
    HASH(S, config_sha256),
    CHY_F_LIST(S, tokens, &chy_signer_token_schema, struct chy_signer_token, 0, 0, CHY_LIMIT_TOKENS,
               NULL),
    NAME(S, default_token),
    NAME(S, log_token),
    NUMBER(S, client_certificate_hours),
    NUMBER(S, commit_pace_us),
    NUMBER(S, max_queue),
    NUMBER(S, token_timeout_ms),
    NUMBER(S, denials_per_minute),
    FLAG(S, accept_older_store),
    NAME(S, log_level),
    NAME(S, user),
};
#undef S
SCHEMA(signer_config);

#define S struct chy_token_config
static const struct chy_field token_config_fields[] = {
    NAME(S, name),
    NUMBER(S, worker),
    PATH(S, module),
    NAME(S, module_sha256),
    NAME(S, slot_label),
    NAME(S, slot_serial),
    PATH(S, lock),
    PATH(S, directory),
    FLAG(S, is_software),
    FLAG(S, copy_keys),
    FLAG(S, verify_signatures),
    NUMBER(S, threads),
    CHY_F_STRS(S, profile, 0, 8, CHY_LIMIT_NAME, NULL),
    NAME(S, log_level),
    NAME(S, user),
};
#undef S
SCHEMA(token_config);

#define S struct chy_caller
static const struct chy_field caller_fields[] = {
    CHY_F_ENUM(S, method, &chy_auth_method_enum, enum chy_auth_method, 0, NULL),
    HASH(S, credential),
    NAME(S, address),
    TEXT(S, user_agent),
};
#undef S
SCHEMA(caller);

#define S struct chy_call
static const struct chy_field call_fields[] = {
    NUMBER(S, op),
    CHY_F_ID(S, request_id, 0, NULL),
    TIME(S, deadline),
    CHY_F_STRUCT(S, caller, &chy_caller_schema, struct chy_caller, 0, NULL),
    BLOB(S, request, CHY_LIMIT_FRAME),
};
#undef S
SCHEMA(call);

#define S struct chy_reply
static const struct chy_field reply_fields[] = {
    NUMBER(S, code),
    TEXT(S, text),
    NUMBER(S, retry_after_s),
    NAME(S, principal),
    BLOB(S, response, CHY_LIMIT_FRAME),
};
#undef S
SCHEMA(reply);

static const struct chy_field trust_fields[] = {
    BLOB(struct chy_trust, client_ca, CHY_LIMIT_CERTIFICATE),
};
SCHEMA(trust);

#define S struct chy_counter
static const struct chy_field counter_fields[] = {
    NAME(S, name),
    TEXT(S, labels),
    TEXT(S, help),
    FLAG(S, is_gauge),
    CHY_F_U64(S, value, 0, 0, UINT64_MAX, NULL),
};
#undef S
static SCHEMA(counter);

#define S struct chy_status
static const struct chy_field status_fields[] = {
    FLAG(S, is_ready),
    TEXT(S, text),
    CHY_F_LIST(S, counters, &chy_counter_schema, struct chy_counter, 0, 0, CHY_LIMIT_COUNTERS,
               NULL),
};
#undef S
SCHEMA(status);

#define S struct chy_token_key_ref
static const struct chy_field token_key_ref_fields[] = {
    BLOB(S, object_id, CHY_LIMIT_NAME),
    HASH(S, public_key_sha256),
};
#undef S
static SCHEMA(token_key_ref);

#define S struct chy_token_sign_item
static const struct chy_field token_sign_item_fields[] = {
    CHY_F_STRUCT(S, key, &chy_token_key_ref_schema, struct chy_token_key_ref, 0, NULL),
    CHY_F_ENUM(S, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, 0, NULL),
    BLOB(S, input, CHY_LIMIT_CONTENT),
};
#undef S
static SCHEMA(token_sign_item);

static const struct chy_field token_sign_fields[] = {
    CHY_F_LIST(struct chy_token_sign, items, &chy_token_sign_item_schema,
               struct chy_token_sign_item, 0, 1, CHY_LIMIT_SIGN_ITEMS, NULL),
};
SCHEMA(token_sign);

#define S struct chy_token_sign_result
static const struct chy_field token_sign_result_fields[] = {
    NUMBER(S, code),
    TEXT(S, text),
    BLOB(S, signature, CHY_LIMIT_SIGNATURE),
};
#undef S
static SCHEMA(token_sign_result);

static const struct chy_field token_sign_reply_fields[] = {
    CHY_F_LIST(struct chy_token_sign_reply, results, &chy_token_sign_result_schema,
               struct chy_token_sign_result, 0, 1, CHY_LIMIT_SIGN_ITEMS, NULL),
};
SCHEMA(token_sign_reply);

#define S struct chy_token_generate
static const struct chy_field token_generate_fields[] = {
    CHY_F_ENUM(S, type, &chy_key_type_enum, enum chy_key_type, 0, NULL),
    NAME(S, label),
    BLOB(S, object_id, CHY_LIMIT_NAME),
};
#undef S
SCHEMA(token_generate);

#define S struct chy_token_find
static const struct chy_field token_find_fields[] = {
    TEXT(S, label),
    BLOB(S, object_id, CHY_LIMIT_NAME),
};
#undef S
SCHEMA(token_find);

#define S struct chy_token_key_reply
static const struct chy_field token_key_reply_fields[] = {
    NUMBER(S, code),
    TEXT(S, text),
    CHY_F_ENUM(S, type, &chy_key_type_enum, enum chy_key_type, 0, NULL),
    BLOB(S, public_key, CHY_LIMIT_PUBLIC_KEY),
    BLOB(S, object_id, CHY_LIMIT_NAME),
    BLOB(S, certificate, CHY_LIMIT_CERTIFICATE),
    FLAG(S, is_local),
    FLAG(S, is_never_extractable),
    FLAG(S, is_extractable),
};
#undef S
SCHEMA(token_key_reply);

#define S struct chy_token_drop
static const struct chy_field token_drop_fields[] = {
    CHY_F_STRUCT(S, key, &chy_token_key_ref_schema, struct chy_token_key_ref, 0, NULL),
    FLAG(S, destroy),
};
#undef S
SCHEMA(token_drop);

#define S struct chy_token_drop_reply
static const struct chy_field token_drop_reply_fields[] = {
    NUMBER(S, code),
    TEXT(S, text),
};
#undef S
SCHEMA(token_drop_reply);

static const struct chy_field token_info_msg_fields[] = {
    CHY_F_STRUCT(struct chy_token_info_msg, info, &chy_token_info_schema, struct chy_token_info, 0,
                 NULL),
};
SCHEMA(token_info_msg);

#define S struct chy_content
static const struct chy_field content_fields[] = {
    CHY_F_ENUM(S, hash, &chy_hash_alg_enum, enum chy_hash_alg, 0, NULL),
    BLOB(S, digest, CHY_LIMIT_DIGEST),
    BLOB(S, content, CHY_LIMIT_CONTENT),
};
#undef S
static SCHEMA(content);

#define S struct chy_content_result
static const struct chy_field content_result_fields[] = {
    FLAG(S, matches),
    CHY_F_LIST(S, facts, &chy_fact_schema, struct chy_fact, 0, 0, CHY_LIMIT_FACTS, NULL),
};
#undef S
static SCHEMA(content_result);

#define S struct chy_inspect_request
static const struct chy_field inspect_request_fields[] = {
    CHY_F_ENUM(S, what, &inspect_what_enum, enum chy_inspect_what, 0, NULL),
    TIME(S, now),
    CHY_F_STR(S, text, CHY_MULTILINE, 0, CHY_LIMIT_YAML, NULL),
    BLOB(S, bytes, CHY_LIMIT_CERTIFICATE),
    BLOB(S, public_key, CHY_LIMIT_PUBLIC_KEY),
    TEXT(S, subject),
    CHY_F_STRS(S, sans, 0, CHY_LIMIT_SANS, CHY_LIMIT_TEXT, NULL),
    CHY_F_ENUM(S, profile, &profile_enum, enum chy_certificate_profile, 0, NULL),
    CHY_F_ENUM(S, signed_by, &chy_sign_alg_enum, enum chy_sign_alg, 0, NULL),
    BLOB(S, issuer, CHY_LIMIT_CERTIFICATE),
    BLOB(S, serial, CHY_ID_BYTES),
    TIME(S, not_before),
    TIME(S, not_after),
    CHY_F_LIST(S, contents, &chy_content_schema, struct chy_content, 0, 0, CHY_LIMIT_SIGN_ITEMS,
               NULL),
};
#undef S
SCHEMA(inspect_request);

#define S struct chy_inspect_reply
static const struct chy_field inspect_reply_fields[] = {
    NUMBER(S, code),
    TEXT(S, text),
    BLOB(S, made, CHY_LIMIT_FRAME / 2),
    BLOB(S, public_key, CHY_LIMIT_PUBLIC_KEY),
    TEXT(S, subject),
    CHY_F_LIST(S, certificates, &chy_certificate_schema, struct chy_certificate, 0, 0,
               CHY_LIMIT_CHAIN, NULL),
    CHY_F_LIST(S, content_results, &chy_content_result_schema, struct chy_content_result, 0, 0,
               CHY_LIMIT_SIGN_ITEMS, NULL),
};
#undef S
SCHEMA(inspect_reply);
