/* SPDX-License-Identifier: MIT */
#include "plugin/kms.h"

#include "base/limits.h"
#include "crypto/pem.h"
#include "crypto/pubkey.h"
#include "os/clock.h"
#include "plugin/kms_request.h"
#include "plugin/message.h"
#include "plugin/plugin.h"

#define PROGRAM   "sigstore-kms-chancery"
#define PEM_BYTES ((size_t)2 * CHY_LIMIT_PUBLIC_KEY)

struct call {
    struct chy_plugin plugin;
    int in;
    struct chy_kms_request request;
};

/* --- answers; members are called as the protocol calls them --- */

struct default_answer {
    struct chy_str defaultAlgorithm;
};
struct supported_answer {
    struct chy_strs supportedAlgorithms;
};
struct public_key_answer {
    struct chy_bytes publicKeyPEM;
};
struct sign_answer {
    struct chy_bytes signature;
};
struct answer {
    struct chy_str errorMessage;
    const struct default_answer *defaultAlgorithm;
    const struct supported_answer *supportedAlgorithms;
    const struct public_key_answer *publicKey;
    const struct sign_answer *signMessage;
    const struct chy_empty *verifySignature;
};

static const struct chy_field default_fields[] = {
    CHY_F_STR(struct default_answer, defaultAlgorithm, 0, 0, CHY_LIMIT_NAME, "a key's type"),
};
static const struct chy_schema default_schema =
    CHY_SCHEMA("DefaultAlgorithmResp", struct default_answer, default_fields, "The usual one.");
static const struct chy_field supported_fields[] = {
    CHY_F_STRS(struct supported_answer, supportedAlgorithms, 0, CHY_LIMIT_LIST, CHY_LIMIT_NAME,
               "types of keys"),
};
static const struct chy_schema supported_schema = CHY_SCHEMA(
    "SupportedAlgorithmsResp", struct supported_answer, supported_fields, "All that there are.");
static const struct chy_field public_key_fields[] = {
    CHY_F_BYTES(struct public_key_answer, publicKeyPEM, 0, 0, PEM_BYTES, "SubjectPublicKeyInfo"),
};
static const struct chy_schema public_key_schema = CHY_SCHEMA(
    "PublicKeyResp", struct public_key_answer, public_key_fields, "A key's public half.");
static const struct chy_field sign_fields[] = {
    CHY_F_BYTES(struct sign_answer, signature, 0, 0, CHY_LIMIT_SIGNATURE, "the signature"),
};
static const struct chy_schema sign_schema =
    CHY_SCHEMA("SignMessageResp", struct sign_answer, sign_fields, "A signature.");

#define S struct answer
static const struct chy_field answer_fields[] = {
    CHY_F_STR(S, errorMessage, 0, 0, CHY_LIMIT_TEXT, "what went wrong"),
    CHY_F_OPTION(S, defaultAlgorithm, &default_schema, struct default_answer, 0, "an answer"),
    CHY_F_OPTION(S, supportedAlgorithms, &supported_schema, struct supported_answer, 0,
                 "an answer"),
    CHY_F_OPTION(S, publicKey, &public_key_schema, struct public_key_answer, 0, "an answer"),
    CHY_F_OPTION(S, signMessage, &sign_schema, struct sign_answer, 0, "an answer"),
    CHY_F_OPTION(S, verifySignature, &chy_empty_schema, struct chy_empty, 0, "an answer"),
};
#undef S
static const struct chy_schema answer_schema =
    CHY_SCHEMA("PluginResp", struct answer, answer_fields, "The answer to one question.");

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
}

/* --- methods --- */

static enum chy_err default_algorithm(struct call *c, struct answer *answer, struct chy_error *err)
{
    struct default_answer *a = chy_arena_new(&c->plugin.arena, struct default_answer);
    if (a == NULL)
        return no_memory(err);
    a->defaultAlgorithm = chy_str_of(chy_enum_name(&chy_key_type_enum, CHY_KEY_P256));
    answer->defaultAlgorithm = a;
    return CHY_OK;
}

static enum chy_err supported_algorithms(struct call *c, struct answer *answer,
                                         struct chy_error *err)
{
    struct chy_arena *arena = &c->plugin.arena;
    const struct chy_enum *types = &chy_key_type_enum;
    struct supported_answer *a = chy_arena_new(arena, struct supported_answer);
    struct chy_str *names = chy_arena_array(arena, struct chy_str, types->n);
    size_t n = 0;
    if (a == NULL || names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < types->n; i++) {
        if (types->values[i].value != CHY_KEY_NONE)
            names[n++] = chy_str_of(types->values[i].name);
    }
    a->supportedAlgorithms = (struct chy_strs){ names, n };
    answer->supportedAlgorithms = a;
    return CHY_OK;
}

static enum chy_err create_key(struct call *c, struct answer *answer, struct chy_error *err)
{
    (void)answer;
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "keys are not made by cosign: somebody who may runs "
                    "`chancery keys create %.*s --type TYPE`, or uses the console",
                    CHY_STR_ARG(c->request.key));
}

static enum chy_err public_key(struct call *c, struct answer *answer, struct chy_error *err)
{
    struct chy_arena *arena = &c->plugin.arena;
    struct public_key_answer *a = chy_arena_new(arena, struct public_key_answer);
    struct chy_key key;
    if (a == NULL)
        return no_memory(err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, PEM_BYTES);
    CHY_TRY(chy_plugin_key(&c->plugin, c->request.key, &key, err));
    chy_pem_append(&pem, "PUBLIC KEY", key.public_key);
    CHY_TRY(chy_buf_check(&pem, err));
    a->publicKeyPEM = chy_arena_bytes(arena, chy_buf_bytes(&pem));
    answer->publicKey = a;
    return a->publicKeyPEM.p != NULL ? CHY_OK : no_memory(err);
}

/* The digest that was given must be one of the algorithm's hash. */
static enum chy_err check_digest(const struct call *c, enum chy_sign_alg alg, struct chy_error *err)
{
    size_t n = chy_hash_alg_bytes(chy_sign_alg_hash(alg));
    if (c->request.digest.n != n)
        return chy_fail(err, CHY_E_ARG, "a digest of %zu bytes was given, %s signs %zu%s",
                        c->request.digest.n, chy_enum_name(&chy_sign_alg_enum, (int)alg), n,
                        n == 0 ? ": it wants the message" : "");
    return CHY_OK;
}

/* What is signed or was: the digest that was given, or else what is on standard input. */
static enum chy_err read_item(struct call *c, const struct chy_key *key,
                              struct chy_sign_item *ret_item, struct chy_error *err)
{
    struct chy_sign_item item = { .key = key->name };
    struct chy_message message;
    CHY_TRY(chy_plugin_algorithm(key, c->request.hash, false, &item.algorithm, err));
    if (c->request.digest.n != 0) {
        CHY_TRY(check_digest(c, item.algorithm, err));
        item.digest = c->request.digest;
        item.hashed_by = c->request.is_inferred ? CHY_HASHED_BY_INFERRED : CHY_HASHED_BY_TOOL;
        *ret_item = item;
        return CHY_OK;
    }
    enum chy_hash_alg hash = chy_sign_alg_hash(item.algorithm);
    CHY_TRY(chy_message_read(c->in, hash != CHY_HASH_NONE ? hash : CHY_HASH_SHA256,
                             &c->plugin.arena, &message, err));
    CHY_TRY(chy_message_put(&message, &item, err));
    *ret_item = item;
    return CHY_OK;
}

static enum chy_err sign_message(struct call *c, struct answer *answer, struct chy_error *err)
{
    struct sign_answer *a = chy_arena_new(&c->plugin.arena, struct sign_answer);
    struct chy_key key;
    struct chy_sign_item item;
    if (a == NULL)
        return no_memory(err);
    CHY_TRY(chy_plugin_key(&c->plugin, c->request.key, &key, err));
    CHY_TRY(read_item(c, &key, &item, err));
    CHY_TRY(chy_plugin_sign(&c->plugin, &key, &item, &a->signature, err));
    answer->signMessage = a;
    return CHY_OK;
}

static enum chy_err verify_signature(struct call *c, struct answer *answer, struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pub = NULL;
    struct chy_empty *a = chy_arena_new(&c->plugin.arena, struct chy_empty);
    struct chy_key key;
    struct chy_sign_item item;
    if (a == NULL)
        return no_memory(err);
    CHY_TRY(chy_plugin_key(&c->plugin, c->request.key, &key, err));
    CHY_TRY(read_item(c, &key, &item, err));
    CHY_TRY(chy_pubkey_from_spki(key.public_key, &pub, err));
    enum chy_err r = chy_pubkey_verify_digest(pub, item.algorithm, CHY_SIGNATURE_DER,
                                              item.digest.n != 0 ? item.digest : item.message,
                                              c->request.signature, err);
    if (r == CHY_OK)
        answer->verifySignature = a;
    return r;
}

static const struct {
    enum chy_kms_method method;
    enum chy_err (*run)(struct call *c, struct answer *answer, struct chy_error *err);
} methods[] = {
    { CHY_KMS_DEFAULT_ALGORITHM, default_algorithm },
    { CHY_KMS_SUPPORTED_ALGORITHMS, supported_algorithms },
    { CHY_KMS_CREATE_KEY, create_key },
    { CHY_KMS_PUBLIC_KEY, public_key },
    { CHY_KMS_SIGN_MESSAGE, sign_message },
    { CHY_KMS_VERIFY_SIGNATURE, verify_signature },
};

/* --- the program --- */

static enum chy_err answer_call(struct call *c, char *const *argv, struct answer *answer,
                                struct chy_error *err)
{
    struct chy_str json = chy_str_of(argv[2]);
    CHY_TRY(chy_kms_request_read(chy_str_of(argv[1]), chy_str_bytes(json), &c->plugin.arena,
                                 &c->request, err));
    if (c->request.deadline_us != 0 && c->request.deadline_us <= chy_clock_realtime_us())
        return chy_fail(err, CHY_E_TIMEOUT, "the time that was given for the answer is over");
    for (size_t i = 0; i < CHY_ARRAY_LEN(methods); i++) {
        if (methods[i].method == c->request.method)
            return methods[i].run(c, answer, err);
    }
    return chy_fail(err, CHY_E_INTERNAL, "a method without a row");
}

int chy_kms_run(int argc, char *const *argv, const struct chy_client_env *env,
                const struct chy_plugin_streams *streams)
{
    struct call c = { .in = streams->in };
    struct answer answer = { .errorMessage = { 0 } };
    struct chy_error err;
    if (argc != 3)
        return chy_plugin_use(
            streams, PROGRAM,
            "v1 JSON\ncosign calls it for keys that are named " CHY_KMS_SCHEME "NAME", argc, argv);
    chy_plugin_init(&c.plugin, PROGRAM, env);
    enum chy_err r = answer_call(&c, argv, &answer, &err);
    if (r != CHY_OK)
        answer = (struct answer){ .errorMessage = chy_plugin_advise(&c.plugin, &err) };
    if (!chy_plugin_print(streams->out, &answer_schema, &answer))
        r = CHY_E_IO;
    chy_plugin_done(&c.plugin);
    return chy_err_exit_code(r);
}
