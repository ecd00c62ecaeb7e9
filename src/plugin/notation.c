/* SPDX-License-Identifier: MIT */
#include "plugin/notation.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/signature.h"
#include "plugin/message.h"
#include "plugin/notation_request.h"
#include "plugin/plugin.h"

#define PROGRAM "notation-chancery"

struct call {
    struct chy_plugin plugin;
    enum chy_notation_command command;
    struct chy_notation_request request;
    const struct chy_schema *schema; /* of the answer */
    const void *answer;
};

/* --- answers; members are called as the specification calls them --- */

struct metadata_answer {
    struct chy_str name;
    struct chy_str description;
    struct chy_str version;
    struct chy_str url;
    struct chy_strs supportedContractVersions;
    struct chy_strs capabilities;
};
struct key_answer {
    struct chy_str keyId;
    enum chy_key_type keySpec;
};
struct signature_answer {
    struct chy_str keyId;
    struct chy_bytes signature;
    enum chy_sign_alg signingAlgorithm;
    struct chy_strs certificateChain; /* base 64, leaf first */
};
struct failure_answer {
    struct chy_str errorCode;
    struct chy_str errorMessage;
};

static const struct chy_enum_value algorithm_values[] = {
    { CHY_ALG_RSA_PSS_SHA256, "RSASSA-PSS-SHA-256", NULL },
    { CHY_ALG_RSA_PSS_SHA384, "RSASSA-PSS-SHA-384", NULL },
    { CHY_ALG_RSA_PSS_SHA512, "RSASSA-PSS-SHA-512", NULL },
    { CHY_ALG_ECDSA_SHA256, "ECDSA-SHA-256", NULL },
    { CHY_ALG_ECDSA_SHA384, "ECDSA-SHA-384", NULL },
    { CHY_ALG_ECDSA_SHA512, "ECDSA-SHA-512", NULL },
};
static const struct chy_enum algorithm_enum = CHY_ENUM("SigningAlgorithm", algorithm_values);

#define S struct metadata_answer
static const struct chy_field metadata_fields[] = {
    CHY_F_STR(S, name, 0, 0, CHY_LIMIT_NAME, "of the plug-in"),
    CHY_F_STR(S, description, 0, 0, CHY_LIMIT_TEXT, "what it does"),
    CHY_F_STR(S, version, 0, 0, CHY_LIMIT_NAME, "of the plug-in"),
    CHY_F_STR(S, url, 0, 0, CHY_LIMIT_URL, "where it is described"),
    CHY_F_STRS(S, supportedContractVersions, 0, CHY_LIMIT_LIST, CHY_LIMIT_NAME, "versions"),
    CHY_F_STRS(S, capabilities, 0, CHY_LIMIT_LIST, CHY_LIMIT_NAME, "what it can do"),
};
#undef S
static const struct chy_schema metadata_schema =
    CHY_SCHEMA("Metadata", struct metadata_answer, metadata_fields, "What this plug-in is.");
static const struct chy_field key_fields[] = {
    CHY_F_STR(struct key_answer, keyId, 0, 0, CHY_LIMIT_NAME, "name of the key"),
    CHY_F_ENUM(struct key_answer, keySpec, &chy_notation_key_spec_enum, enum chy_key_type, 0,
               "type of the key"),
};
static const struct chy_schema key_schema =
    CHY_SCHEMA("Key", struct key_answer, key_fields, "What a key is.");
#define S struct signature_answer
static const struct chy_field signature_fields[] = {
    CHY_F_STR(S, keyId, 0, 0, CHY_LIMIT_NAME, "name of the key"),
    CHY_F_BYTES(S, signature, 0, 0, CHY_LIMIT_SIGNATURE, "ECDSA: r and s of equal length"),
    CHY_F_ENUM(S, signingAlgorithm, &algorithm_enum, enum chy_sign_alg, 0, "the algorithm"),
    CHY_F_STRS(S, certificateChain, 0, CHY_LIMIT_CHAIN,
               CHY_BASE64_LEN((size_t)CHY_LIMIT_CERTIFICATE), "certificates in DER"),
};
#undef S
static const struct chy_schema signature_schema =
    CHY_SCHEMA("Signature", struct signature_answer, signature_fields, "A signature.");
static const struct chy_field failure_fields[] = {
    CHY_F_STR(struct failure_answer, errorCode, 0, 0, CHY_LIMIT_NAME, "what to do about it"),
    CHY_F_STR(struct failure_answer, errorMessage, 0, 0, CHY_LIMIT_TEXT, "what went wrong"),
};
static const struct chy_schema failure_schema =
    CHY_SCHEMA("Failure", struct failure_answer, failure_fields, "No answer.");

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
}

/* --- commands --- */

struct metadata {
    struct metadata_answer answer;
    struct chy_str contract;
    struct chy_str capability;
};

static enum chy_err get_metadata(struct call *c, struct chy_error *err)
{
    struct metadata *m = chy_arena_new(&c->plugin.arena, struct metadata);
    if (m == NULL)
        return no_memory(err);
    m->contract = CHY_STR(CHY_NOTATION_CONTRACT);
    m->capability = CHY_STR("SIGNATURE_GENERATOR.RAW");
    m->answer = (struct metadata_answer){
        .name = CHY_STR("chancery"),
        .description = CHY_STR("signs with keys that a Chancery server keeps"),
        .version = CHY_STR(CHY_VERSION),
        .url = CHY_STR("man:notation-chancery(1)"),
        .supportedContractVersions = { &m->contract, 1 },
        .capabilities = { &m->capability, 1 },
    };
    c->schema = &metadata_schema;
    c->answer = &m->answer;
    return CHY_OK;
}

static enum chy_err find_key(struct call *c, struct chy_key *ret_key, struct chy_error *err)
{
    CHY_TRY(chy_plugin_key(&c->plugin, c->request.key, ret_key, err));
    if (chy_enum_name(&chy_notation_key_spec_enum, (int)ret_key->type) == NULL)
        return chy_fail(
            err, CHY_E_ARG, "key %.*s is %s, which the Notary Project does not sign with",
            CHY_STR_ARG(c->request.key), chy_enum_name(&chy_key_type_enum, (int)ret_key->type));
    return CHY_OK;
}

static enum chy_err describe_key(struct call *c, struct chy_error *err)
{
    struct key_answer *a = chy_arena_new(&c->plugin.arena, struct key_answer);
    struct chy_key key;
    if (a == NULL)
        return no_memory(err);
    CHY_TRY(find_key(c, &key, err));
    *a = (struct key_answer){ c->request.key, key.type };
    c->schema = &key_schema;
    c->answer = a;
    return CHY_OK;
}

/* JWS and COSE have r and s, each as long as the curve's order. Source: RFC 7518 section 3.4 */
static enum chy_err raw_signature(struct call *c, enum chy_key_type type, struct chy_bytes *sig,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    size_t order_bytes = chy_key_type_order_bytes(type);
    chy_buf_init(&raw, 2 * order_bytes);
    if (order_bytes == 0)
        return CHY_OK;
    CHY_TRY(chy_ecdsa_to_raw(*sig, order_bytes, &raw, err));
    *sig = chy_arena_bytes(&c->plugin.arena, chy_buf_bytes(&raw));
    return sig->p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err chain_texts(struct call *c, const struct chy_key *key,
                                struct chy_strs *ret_chain, struct chy_error *err)
{
    struct chy_arena *arena = &c->plugin.arena;
    struct chy_str *texts = chy_arena_array(arena, struct chy_str, key->certificates.n);
    if (key->certificates.n == 0)
        return chy_fail(err, CHY_E_STATE,
                        "key %.*s has no certificate, without which notation signs nothing",
                        CHY_STR_ARG(key->name));
    for (size_t i = 0; texts != NULL && i < key->certificates.n; i++) {
        CHY_CLEANUP(chy_buf_done) struct chy_buf text;
        chy_buf_init(&text, CHY_BASE64_LEN((size_t)CHY_LIMIT_CERTIFICATE));
        chy_base64_append(&text, key->certificates.p[i].der);
        CHY_TRY(chy_buf_check(&text, err));
        texts[i] = chy_arena_str(arena, chy_buf_str(&text));
        if (texts[i].p == NULL)
            return no_memory(err);
    }
    *ret_chain = (struct chy_strs){ texts, key->certificates.n };
    return texts != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err generate_signature(struct call *c, struct chy_error *err)
{
    struct signature_answer *a = chy_arena_new(&c->plugin.arena, struct signature_answer);
    struct chy_sign_item item = { .key = c->request.key };
    struct chy_message message;
    struct chy_key key;
    if (a == NULL)
        return no_memory(err);
    CHY_TRY(find_key(c, &key, err));
    if (key.type != c->request.key_type)
        return chy_fail(err, CHY_E_ARG, "key %.*s is %s and not what keySpec says",
                        CHY_STR_ARG(item.key), chy_enum_name(&chy_key_type_enum, (int)key.type));
    CHY_TRY(chain_texts(c, &key, &a->certificateChain, err));
    CHY_TRY(chy_plugin_algorithm(&key, c->request.hash, true, &item.algorithm, err));
    CHY_TRY(chy_message_of(c->request.payload, c->request.hash, &c->plugin.arena, &message, err));
    CHY_TRY(chy_message_put(&message, &item, err));
    CHY_TRY(chy_plugin_sign(&c->plugin, &key, &item, &a->signature, err));
    CHY_TRY(raw_signature(c, key.type, &a->signature, err));
    a->keyId = c->request.key;
    a->signingAlgorithm = item.algorithm;
    c->schema = &signature_schema;
    c->answer = a;
    return CHY_OK;
}

static const struct {
    enum chy_notation_command command;
    enum chy_err (*run)(struct call *c, struct chy_error *err);
} commands[] = {
    { CHY_NOTATION_GET_METADATA, get_metadata },
    { CHY_NOTATION_DESCRIBE_KEY, describe_key },
    { CHY_NOTATION_GENERATE_SIGNATURE, generate_signature },
};

/* --- the program --- */

static enum chy_err answer_call(struct call *c, struct chy_str command, int in,
                                struct chy_error *err)
{
    int number = 0;
    struct chy_bytes json;
    if (chy_enum_find(&chy_notation_command_enum, command, &number, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "there is no command \"%.*s\"", CHY_STR_ARG(command));
    c->command = (enum chy_notation_command)number;
    CHY_TRY(chy_input_read(in, CHY_LIMIT_JSON, &c->plugin.arena, &json, err));
    CHY_TRY(chy_notation_request_read(c->command, json, &c->plugin.arena, &c->request, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(commands); i++) {
        if (commands[i].command == c->command)
            return commands[i].run(c, err);
    }
    return chy_fail(err, CHY_E_INTERNAL, "a command without a row");
}

static const char *code_of(enum chy_err r)
{
    static const struct {
        enum chy_err code;
        const char *name;
    } rows[] = {
        { CHY_E_UNSUPPORTED, "UNSUPPORTED_CONTRACT_VERSION" },
        { CHY_E_ARG, "VALIDATION_ERROR" },
        { CHY_E_MALFORMED, "VALIDATION_ERROR" },
        { CHY_E_LIMIT, "VALIDATION_ERROR" },
        { CHY_E_NOT_FOUND, "VALIDATION_ERROR" },
        { CHY_E_STATE, "VALIDATION_ERROR" },
        { CHY_E_DENIED, "ACCESS_DENIED" },
        { CHY_E_FORBIDDEN, "ACCESS_DENIED" },
        { CHY_E_UNAUTHENTICATED, "ACCESS_DENIED" },
        { CHY_E_EXPIRED, "ACCESS_DENIED" },
        { CHY_E_TIMEOUT, "TIMEOUT" },
        { CHY_E_RATE, "THROTTLED" },
        { CHY_E_BUSY, "THROTTLED" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (rows[i].code == r)
            return rows[i].name;
    }
    return "ERROR";
}

int chy_notation_run(int argc, char *const *argv, const struct chy_client_env *env,
                     const struct chy_plugin_streams *streams)
{
    struct call c = { .command = CHY_NOTATION_GET_METADATA };
    struct chy_error err;
    if (argc != 2 || argv[1][0] == '-')
        return chy_plugin_use(streams, PROGRAM,
                              "COMMAND <JSON\nnotation calls it as its plug-in \"chancery\"", argc,
                              argv);
    chy_plugin_init(&c.plugin, PROGRAM, env);
    enum chy_err r = answer_call(&c, chy_str_of(argv[1]), streams->in, &err);
    if (r != CHY_OK) {
        const struct failure_answer failure = { chy_str_of(code_of(r)),
                                                chy_plugin_advise(&c.plugin, &err) };
        /* the exit code tells, too */
        CHY_IGNORE(chy_plugin_print(streams->err, &failure_schema, &failure));
    } else if (!chy_plugin_print(streams->out, c.schema, c.answer)) {
        r = CHY_E_IO;
    }
    chy_plugin_done(&c.plugin);
    return chy_err_exit_code(r);
}
