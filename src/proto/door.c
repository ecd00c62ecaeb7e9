/* SPDX-License-Identifier: MIT */
#include "proto/door.h"

#include "base/limits.h"

/* The structs' comments say what the fields mean. */
#define NAME(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_NAME, NULL)
#define TEXT(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_TEXT, NULL)
#define PATH(S, m)      CHY_F_STR(S, m, 0, 0, CHY_LIMIT_PATH, NULL)
#define BLOB(S, m, max) CHY_F_BYTES(S, m, 0, 0, max, NULL)
#define SCHEMA(cname)                                   \
    const struct chy_schema chy_door_##cname##_schema = \
        CHY_SCHEMA("door_" #cname, struct chy_door_##cname, cname##_fields, NULL)

static const struct chy_enum_value namings[] = {
    { CHY_DOOR_NAMING_PLAIN, "plain", NULL },
    { CHY_DOOR_NAMING_SIGNUM, "signum", NULL },
};
const struct chy_enum chy_door_naming_enum = CHY_ENUM("naming", namings);

static const struct chy_enum_value schemes[] = {
    { CHY_DOOR_RSA_PKCS1, "rsa-pkcs1", NULL },
    { CHY_DOOR_RSA_PSS, "rsa-pss", NULL },
    { CHY_DOOR_ECDSA, "ecdsa", NULL },
    { CHY_DOOR_ED25519, "ed25519", NULL },
};
const struct chy_enum chy_door_scheme_enum = CHY_ENUM("scheme", schemes);

static const struct chy_field leaf_fields[] = {
    CHY_F_U64(struct chy_log_index, index, 0, 0, INT64_MAX, NULL),
};
static const struct chy_schema leaf_schema =
    CHY_SCHEMA("door_leaf", struct chy_log_index, leaf_fields, NULL);

#define S struct chy_door_hello
static const struct chy_field hello_fields[] = {
    CHY_F_U32(S, version, 0, 0, UINT32_MAX, NULL),
    NAME(S, software),
    CHY_F_ENUM(S, naming, &chy_door_naming_enum, enum chy_door_naming, 0, NULL),
    CHY_F_STRS(S, keys, 0, CHY_LIMIT_DOOR_PATTERNS, CHY_LIMIT_NAME, NULL),
    TEXT(S, reason),
    PATH(S, receipts),
    CHY_F_LIST(S, labels, &chy_label_schema, struct chy_label, 0, 0, CHY_LIMIT_LABELS, NULL),
    BLOB(S, tag, CHY_ID_BYTES),
};
#undef S
SCHEMA(hello);

static const struct chy_field welcome_fields[] = {
    CHY_F_U32(struct chy_door_welcome, version, 0, 0, UINT32_MAX, NULL),
    NAME(struct chy_door_welcome, software),
};
SCHEMA(welcome);

static const struct chy_field failure_fields[] = {
    CHY_F_U32(struct chy_door_failure, code, 0, 0, UINT32_MAX, NULL),
    TEXT(struct chy_door_failure, text),
    NAME(struct chy_door_failure, request_id),
    CHY_F_STRS(struct chy_door_failure, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME, NULL),
};
SCHEMA(failure);

/* --- keys --- */

#define S struct chy_door_keys
static const struct chy_field keys_fields[] = {
    NAME(S, label),
    BLOB(S, id, CHY_LIMIT_DOOR_ID),
    CHY_F_U64(S, revision, 0, 0, UINT64_MAX, NULL),
    NAME(S, after),
};
#undef S
SCHEMA(keys);

#define S struct chy_door_certificate
static const struct chy_field certificate_fields[] = {
    TEXT(S, label),
    BLOB(S, id, CHY_LIMIT_DOOR_ID),
    BLOB(S, der, CHY_LIMIT_CERTIFICATE),
    BLOB(S, subject, CHY_LIMIT_CERTIFICATE),
    BLOB(S, issuer, CHY_LIMIT_CERTIFICATE),
    BLOB(S, serial, CHY_LIMIT_NAME),
};
#undef S
SCHEMA(certificate);

#define S struct chy_door_key
static const struct chy_field key_fields[] = {
    NAME(S, name),
    TEXT(S, label),
    BLOB(S, id, CHY_LIMIT_DOOR_ID),
    CHY_F_ENUM(S, type, &chy_key_type_enum, enum chy_key_type, 0, NULL),
    BLOB(S, public_key, CHY_LIMIT_PUBLIC_KEY),
    BLOB(S, modulus, CHY_LIMIT_PUBLIC_KEY),
    BLOB(S, public_exponent, CHY_LIMIT_PUBLIC_KEY),
    BLOB(S, ec_params, CHY_LIMIT_PUBLIC_KEY),
    BLOB(S, ec_point, CHY_LIMIT_PUBLIC_KEY),
    CHY_F_OPTION(S, certificate, &chy_door_certificate_schema, struct chy_door_certificate, 0,
                 NULL),
};
#undef S
SCHEMA(key);

#define S struct chy_door_key_page
static const struct chy_field key_page_fields[] = {
    CHY_F_U64(S, revision, 0, 0, UINT64_MAX, NULL),
    CHY_F_BOOL(S, is_unchanged, 0, NULL),
    CHY_F_LIST(S, keys, &chy_door_key_schema, struct chy_door_key, 0, 0, CHY_LIMIT_KEY_PAGE, NULL),
    CHY_F_LIST(S, authorities, &chy_door_certificate_schema, struct chy_door_certificate, 0, 0,
               (uint64_t)CHY_LIMIT_KEY_PAGE *CHY_LIMIT_CHAIN, NULL),
    NAME(S, next),
};
#undef S
SCHEMA(key_page);

/* --- signing and verifying --- */

#define S struct chy_door_input
static const struct chy_field input_fields[] = {
    NAME(S, key),
    CHY_F_ENUM(S, scheme, &chy_door_scheme_enum, enum chy_door_scheme, 0, NULL),
    CHY_F_ENUM(S, hash, &chy_hash_alg_enum, enum chy_hash_alg, 0, NULL),
    CHY_F_BOOL(S, is_message, 0, NULL),
    BLOB(S, data, CHY_LIMIT_CONTENT),
    CHY_F_U64(S, stream, 0, 0, UINT64_MAX, NULL),
};
#undef S
SCHEMA(input);

static const struct chy_field sign_fields[] = {
    CHY_F_STRUCT(struct chy_door_sign, input, &chy_door_input_schema, struct chy_door_input, 0,
                 NULL),
};
SCHEMA(sign);

static const struct chy_field signed_fields[] = {
    BLOB(struct chy_door_signed, signature, CHY_LIMIT_SIGNATURE),
};
SCHEMA(signed);

static const struct chy_field verify_fields[] = {
    CHY_F_STRUCT(struct chy_door_verify, input, &chy_door_input_schema, struct chy_door_input, 0,
                 NULL),
    BLOB(struct chy_door_verify, signature, CHY_LIMIT_SIGNATURE),
};
SCHEMA(verify);

#define S struct chy_door_hash_add
static const struct chy_field hash_add_fields[] = {
    CHY_F_U64(S, stream, 0, 0, UINT64_MAX, NULL),
    CHY_F_ENUM(S, hash, &chy_hash_alg_enum, enum chy_hash_alg, 0, NULL),
    BLOB(S, data, CHY_LIMIT_DOOR_PART),
};
#undef S
SCHEMA(hash_add);

static const struct chy_field stream_fields[] = {
    CHY_F_U64(struct chy_door_stream, stream, 0, 0, UINT64_MAX, NULL),
};
SCHEMA(stream);

static const struct chy_field hashed_fields[] = {
    BLOB(struct chy_door_hashed, digest, CHY_LIMIT_DIGEST),
};
SCHEMA(hashed);

/* --- other operations --- */

static const struct chy_field call_fields[] = {
    CHY_F_U32(struct chy_door_call, op, 0, 0, UINT32_MAX, NULL),
    BLOB(struct chy_door_call, request, CHY_LIMIT_FRAME),
};
SCHEMA(call);

static const struct chy_field called_fields[] = {
    BLOB(struct chy_door_called, response, CHY_LIMIT_FRAME),
    NAME(struct chy_door_called, request_id),
};
SCHEMA(called);

/* --- what became of signatures --- */

static const struct chy_field watch_fields[] = {
    BLOB(struct chy_door_watch, tag, CHY_ID_BYTES),
};
SCHEMA(watch);

#define S struct chy_door_event
static const struct chy_field event_fields[] = {
    NAME(S, key),
    CHY_F_ENUM(S, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, 0, NULL),
    CHY_F_HEX(S, digest, 0, 0, CHY_LIMIT_DIGEST, NULL),
    PATH(S, application),
    CHY_F_BOOL(S, is_signed, 0, NULL),
    NAME(S, problem),
    TEXT(S, detail),
    CHY_F_STRS(S, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME, NULL),
    NAME(S, request_id),
    CHY_F_OPTION(S, intent, &leaf_schema, struct chy_log_index, 0, NULL),
    CHY_F_OPTION(S, outcome, &leaf_schema, struct chy_log_index, 0, NULL),
    PATH(S, receipt_file),
};
#undef S
SCHEMA(event);

#define S struct chy_door_status
static const struct chy_field status_fields[] = {
    NAME(S, software),
    NAME(S, profile),
    CHY_F_STR(S, url, 0, 0, CHY_LIMIT_URL, NULL),
    NAME(S, principal),
    CHY_F_TIME(S, expires, 0, NULL),
    CHY_F_BOOL(S, states_facts, 0, NULL),
    TEXT(S, trouble),
    CHY_F_TIME(S, started, 0, NULL),
    CHY_F_U64(S, connections, 0, 0, UINT64_MAX, NULL),
    CHY_F_U64(S, signatures, 0, 0, UINT64_MAX, NULL),
    CHY_F_U64(S, refusals, 0, 0, UINT64_MAX, NULL),
};
#undef S
SCHEMA(status);

static const struct chy_field listen_fields[] = { PATH(struct chy_door_listen, path) };
SCHEMA(listen);
