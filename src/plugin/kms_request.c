/* SPDX-License-Identifier: MIT */
/* Members of these structs are called as the protocol calls them. What it has beyond them (a
 * deadline's twin, verification by the KMS, an algorithm of a key to be made) changes nothing of
 * what is answered here, and is passed over. */
#include "plugin/kms_request.h"

#include "base/limits.h"
#include "plugin/document.h"

#define GO_HASH_MAX 255 /* Go's crypto.Hash has 20 */

struct rpc_options {
    int64_t ctxDeadline_us;
    struct chy_str keyVersion;
};
struct init_options {
    int64_t ctxDeadline_us;
    struct chy_str protocolVersion;
    struct chy_str keyResourceID;
    uint32_t hashFunc;
    struct rpc_options rpcOptions;
};
struct message_options {
    struct chy_bytes digest;
    uint32_t hashFunc;
};
struct key_options {
    struct rpc_options rpcOptions;
    struct message_options messageOptions;
};
struct public_key_args {
    struct key_options publicKeyOptions;
};
struct sign_args {
    struct key_options signOptions;
};
struct verify_args {
    struct chy_bytes signature;
    struct key_options verifyOptions;
};
struct plugin_args {
    struct init_options initOptions;
    enum chy_kms_method methodName;
    struct public_key_args publicKey;
    struct sign_args signMessage;
    struct verify_args verifySignature;
};

static const struct chy_enum_value method_values[] = {
    { CHY_KMS_DEFAULT_ALGORITHM, "defaultAlgorithm", NULL },
    { CHY_KMS_SUPPORTED_ALGORITHMS, "supportedAlgorithms", NULL },
    { CHY_KMS_CREATE_KEY, "createKey", NULL },
    { CHY_KMS_PUBLIC_KEY, "publicKey", NULL },
    { CHY_KMS_SIGN_MESSAGE, "signMessage", NULL },
    { CHY_KMS_VERIFY_SIGNATURE, "verifySignature", NULL },
};
const struct chy_enum chy_kms_method_enum = CHY_ENUM("KmsMethod", method_values);

static const struct chy_field rpc_fields[] = {
    CHY_F_TIME(struct rpc_options, ctxDeadline, 0, "after it nobody waits any more"),
    CHY_F_STR(struct rpc_options, keyVersion, 0, 0, CHY_LIMIT_NAME, "version of the key"),
};
static const struct chy_schema rpc_schema =
    CHY_SCHEMA("RPCOptions", struct rpc_options, rpc_fields, "Options of every call.");

#define S struct init_options
static const struct chy_field init_fields[] = {
    CHY_F_TIME(S, ctxDeadline, 0, "after it nobody waits any more"),
    CHY_F_STR(S, protocolVersion, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "the protocol's version"),
    CHY_F_STR(S, keyResourceID, CHY_REQUIRED, 1, CHY_LIMIT_TEXT, "the key, as it was named"),
    CHY_F_U32(S, hashFunc, 0, 0, GO_HASH_MAX, "a number of Go's crypto.Hash"),
    CHY_F_STRUCT(S, rpcOptions, &rpc_schema, struct rpc_options, 0, "options of every call"),
};
#undef S
static const struct chy_schema init_schema =
    CHY_SCHEMA("InitOptions", struct init_options, init_fields, "Which key, and how.");

static const struct chy_field message_fields[] = {
    CHY_F_BYTES(struct message_options, digest, 0, 0, CHY_LIMIT_DIGEST, "what is signed"),
    CHY_F_U32(struct message_options, hashFunc, 0, 0, GO_HASH_MAX, "its hash"),
};
static const struct chy_schema message_schema =
    CHY_SCHEMA("MessageOptions", struct message_options, message_fields, "What is signed.");

static const struct chy_field key_fields[] = {
    CHY_F_STRUCT(struct key_options, rpcOptions, &rpc_schema, struct rpc_options, 0, "the call"),
    CHY_F_STRUCT(struct key_options, messageOptions, &message_schema, struct message_options, 0,
                 "what is signed"),
};
static const struct chy_schema key_schema =
    CHY_SCHEMA("SignOptions", struct key_options, key_fields, "Options of one call.");

static const struct chy_field public_key_fields[] = {
    CHY_F_STRUCT(struct public_key_args, publicKeyOptions, &key_schema, struct key_options, 0,
                 "options"),
};
static const struct chy_schema public_key_schema = CHY_SCHEMA(
    "PublicKeyArgs", struct public_key_args, public_key_fields, "Of a key's public half.");

static const struct chy_field sign_fields[] = {
    CHY_F_STRUCT(struct sign_args, signOptions, &key_schema, struct key_options, 0, "options"),
};
static const struct chy_schema sign_schema =
    CHY_SCHEMA("SignMessageArgs", struct sign_args, sign_fields, "Of a signature.");

static const struct chy_field verify_fields[] = {
    CHY_F_BYTES(struct verify_args, signature, 0, 0, CHY_LIMIT_SIGNATURE, "the signature"),
    CHY_F_STRUCT(struct verify_args, verifyOptions, &key_schema, struct key_options, 0, "options"),
};
static const struct chy_schema verify_schema =
    CHY_SCHEMA("VerifySignatureArgs", struct verify_args, verify_fields, "Of a verification.");

#define S struct plugin_args
static const struct chy_field args_fields[] = {
    CHY_F_STRUCT(S, initOptions, &init_schema, struct init_options, CHY_REQUIRED, "the key"),
    CHY_F_ENUM(S, methodName, &chy_kms_method_enum, enum chy_kms_method, CHY_REQUIRED, "what"),
    CHY_F_STRUCT(S, publicKey, &public_key_schema, struct public_key_args, 0, "its arguments"),
    CHY_F_STRUCT(S, signMessage, &sign_schema, struct sign_args, 0, "its arguments"),
    CHY_F_STRUCT(S, verifySignature, &verify_schema, struct verify_args, 0, "its arguments"),
};
#undef S
static const struct chy_schema args_schema =
    CHY_SCHEMA("PluginArgs", struct plugin_args, args_fields, "One question.");

static enum chy_err check_version(struct chy_str version, struct chy_error *err)
{
    if (!chy_str_equal_c(version, CHY_KMS_PROTOCOL))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "protocol version \"%.*s\" was asked for, this plug-in speaks "
                        "\"" CHY_KMS_PROTOCOL "\"",
                        CHY_STR_ARG(version));
    return CHY_OK;
}

/* Source: the constants of Go's package crypto, which are on the wire. */
static enum chy_err hash_of(uint32_t number, enum chy_hash_alg *ret_hash, struct chy_error *err)
{
    static const struct {
        uint32_t number;
        enum chy_hash_alg hash;
    } hashes[] = {
        { 0, CHY_HASH_NONE },
        { 5, CHY_HASH_SHA256 },
        { 6, CHY_HASH_SHA384 },
        { 7, CHY_HASH_SHA512 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (hashes[i].number == number) {
            *ret_hash = hashes[i].hash;
            return CHY_OK;
        }
    }
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "hash function %u was asked for: SHA-256, SHA-384 and SHA-512 are known",
                    number);
}

/* cosign 3 names SHA-256 when it loads a key, whatever the key, and later gives a digest that fits
 * the key without another word: SHA-384 for P-384. */
static void infer_hash(struct chy_kms_request *r)
{
    static const enum chy_hash_alg hashes[] = { CHY_HASH_SHA256, CHY_HASH_SHA384, CHY_HASH_SHA512 };
    if (r->digest.n == 0 || r->digest.n == chy_hash_alg_bytes(r->hash))
        return;
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (chy_hash_alg_bytes(hashes[i]) == r->digest.n) {
            r->hash = hashes[i];
            r->is_inferred = true;
        }
    }
}

/* Earlier libraries hand on the reference as the user wrote it, later ones what follows "://". */
static struct chy_str key_name(struct chy_str reference)
{
    struct chy_str scheme = CHY_STR(CHY_KMS_SCHEME);
    if (chy_str_starts(reference, CHY_KMS_SCHEME))
        return (struct chy_str){ reference.p + scheme.n, reference.n - scheme.n };
    return reference;
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

static const struct key_options *options_of(const struct plugin_args *args)
{
    if (args->methodName == CHY_KMS_SIGN_MESSAGE)
        return &args->signMessage.signOptions;
    if (args->methodName == CHY_KMS_VERIFY_SIGNATURE)
        return &args->verifySignature.verifyOptions;
    return &args->publicKey.publicKeyOptions; /* of the others nothing is there */
}

enum chy_err chy_kms_request_read(struct chy_str version, struct chy_bytes json,
                                  struct chy_arena *arena, struct chy_kms_request *ret_request,
                                  struct chy_error *err)
{
    struct plugin_args args;
    CHY_TRY(check_version(version, err));
    CHY_TRY(chy_go_json_read(&args_schema, json, arena, &args, err));
    CHY_TRY(check_version(args.initOptions.protocolVersion, err));
    const struct key_options *o = options_of(&args);
    struct chy_kms_request r = {
        .method = args.methodName,
        .key = key_name(args.initOptions.keyResourceID),
        .digest = o->messageOptions.digest,
        .signature = args.verifySignature.signature,
        .deadline_us = earlier(args.initOptions.ctxDeadline_us, o->rpcOptions.ctxDeadline_us),
    };
    if (args.initOptions.rpcOptions.keyVersion.n != 0 || o->rpcOptions.keyVersion.n != 0)
        return chy_fail(err, CHY_E_UNSUPPORTED, "keys have no versions here");
    uint32_t number = o->messageOptions.hashFunc;
    CHY_TRY(hash_of(number != 0 ? number : args.initOptions.hashFunc, &r.hash, err));
    if (number == 0)
        infer_hash(&r);
    *ret_request = r;
    return CHY_OK;
}
