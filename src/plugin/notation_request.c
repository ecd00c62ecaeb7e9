/* SPDX-License-Identifier: MIT */
/* Members of the struct are called as the specification calls them. */
#include "plugin/notation_request.h"

#include "base/limits.h"
#include "plugin/document.h"

struct request {
    struct chy_str contractVersion;
    struct chy_str keyId;
    enum chy_key_type keySpec;
    enum chy_hash_alg hashAlgorithm;
    struct chy_bytes payload;
};

static const struct chy_enum_value command_values[] = {
    { CHY_NOTATION_GET_METADATA, "get-plugin-metadata", NULL },
    { CHY_NOTATION_DESCRIBE_KEY, "describe-key", NULL },
    { CHY_NOTATION_GENERATE_SIGNATURE, "generate-signature", NULL },
};
const struct chy_enum chy_notation_command_enum = CHY_ENUM("NotationCommand", command_values);

/* The value 0 stands for what a request lacks, and has no name that a request could give. */
static const struct chy_enum_value key_spec_values[] = {
    { CHY_KEY_RSA_2048, "RSA-2048", NULL }, { CHY_KEY_RSA_3072, "RSA-3072", NULL },
    { CHY_KEY_RSA_4096, "RSA-4096", NULL }, { CHY_KEY_P256, "EC-256", NULL },
    { CHY_KEY_P384, "EC-384", NULL },       { CHY_KEY_P521, "EC-521", NULL },
};
const struct chy_enum chy_notation_key_spec_enum = CHY_ENUM("KeySpec", key_spec_values);
static const struct chy_enum_value hash_values[] = {
    { CHY_HASH_SHA256, "SHA-256", NULL },
    { CHY_HASH_SHA384, "SHA-384", NULL },
    { CHY_HASH_SHA512, "SHA-512", NULL },
};
const struct chy_enum chy_notation_hash_enum = CHY_ENUM("HashAlgorithm", hash_values);

#define S struct request
static const struct chy_field request_fields[] = {
    CHY_F_STR(S, contractVersion, 0, 0, CHY_LIMIT_NAME, "the specification's version"),
    CHY_F_STR(S, keyId, 0, 0, CHY_LIMIT_NAME, "name of the key"),
    CHY_F_ENUM(S, keySpec, &chy_notation_key_spec_enum, enum chy_key_type, 0, "type of the key"),
    CHY_F_ENUM(S, hashAlgorithm, &chy_notation_hash_enum, enum chy_hash_alg, 0, "the hash"),
    CHY_F_BYTES(S, payload, 0, 0, CHY_LIMIT_JSON, "what is signed"),
};
#undef S
static const struct chy_schema request_schema =
    CHY_SCHEMA("NotationRequest", struct request, request_fields, "One question.");

static enum chy_err check_present(bool is_present, const char *name, struct chy_error *err)
{
    return is_present ? CHY_OK : chy_fail(err, CHY_E_MALFORMED, "%s is missing", name);
}

static enum chy_err check(enum chy_notation_command command, const struct request *r,
                          struct chy_error *err)
{
    if (command == CHY_NOTATION_GET_METADATA)
        return CHY_OK;
    if (!chy_str_equal_c(r->contractVersion, CHY_NOTATION_CONTRACT))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "contract version \"%.*s\" was asked for, this plug-in "
                        "speaks " CHY_NOTATION_CONTRACT,
                        CHY_STR_ARG(r->contractVersion));
    CHY_TRY(check_present(r->keyId.n != 0, "keyId", err));
    if (command == CHY_NOTATION_DESCRIBE_KEY)
        return CHY_OK;
    CHY_TRY(check_present(r->keySpec != CHY_KEY_NONE, "keySpec", err));
    CHY_TRY(check_present(r->hashAlgorithm != CHY_HASH_NONE, "hashAlgorithm", err));
    return check_present(r->payload.n != 0, "payload", err);
}

enum chy_err chy_notation_request_read(enum chy_notation_command command, struct chy_bytes json,
                                       struct chy_arena *arena,
                                       struct chy_notation_request *ret_request,
                                       struct chy_error *err)
{
    struct request r;
    CHY_TRY(chy_go_json_read(&request_schema, json, arena, &r, err));
    CHY_TRY(check(command, &r, err));
    *ret_request = (struct chy_notation_request){
        .key = r.keyId,
        .key_type = r.keySpec,
        .hash = r.hashAlgorithm,
        .payload = r.payload,
    };
    return CHY_OK;
}
