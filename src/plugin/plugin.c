/* SPDX-License-Identifier: MIT */
#include "plugin/plugin.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/advice.h"
#include "client/receipt.h"
#include "client/signing.h"
#include "crypto/init.h"
#include "doc/doc.h"
#include "plugin/caller.h"

enum chy_err chy_plugin_start(struct chy_error *err)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    const struct rlimit none = { 0, 0 };
    CHY_IGNORE(sigaction(SIGPIPE, &ignore, NULL)); /* a write tells */
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return chy_fail(err, CHY_E_IO, "core dumps cannot be forbidden");
    return chy_crypto_init(err);
}

void chy_plugin_init(struct chy_plugin *p, const char *name, const struct chy_client_env *env)
{
    *p = (struct chy_plugin){ .name = name, .env = *env };
    chy_arena_init(&p->arena, CHY_LIMIT_ARENA);
}

void chy_plugin_done(struct chy_plugin *p)
{
    chy_client_close(p->client);
    if (p->has_settings)
        chy_settings_done(&p->settings);
    chy_arena_done(&p->arena);
}

/* --- the server --- */

static enum chy_err connect_server(struct chy_plugin *p, struct chy_error *err)
{
    const struct chy_settings_options nothing = { .profile = { 0 } };
    struct chy_error why = { .code = CHY_OK };
    if (p->client != NULL)
        return CHY_OK;
    CHY_TRY(chy_settings_load(&p->env, &nothing, &p->arena, &p->settings, err));
    p->has_settings = true;
    CHY_TRY(chy_signing_connect(&p->settings, &p->client, &why, err));
    if (why.code != CHY_OK)
        (void)fprintf(stderr, "%s: the client certificate could not be renewed: %s\n", p->name,
                      why.text);
    return CHY_OK;
}

enum chy_err chy_plugin_key(struct chy_plugin *p, struct chy_str name, struct chy_key *ret_key,
                            struct chy_error *err)
{
    const struct chy_key_name asked = { name };
    CHY_TRY(chy_schema_check(&chy_key_name_schema, &asked, err));
    CHY_TRY(connect_server(p, err));
    CHY_TRY(chy_client_call(p->client, CHY_OP_KEYS_SHOW, &asked, &p->arena, ret_key, err));
    return CHY_OK;
}

/* --- a signature --- */

/* The last part of a problem's type names one of our errors. */
static enum chy_err code_of(struct chy_plugin *p, struct chy_str problem)
{
    struct chy_str type = chy_arena_str(&p->arena, problem);
    enum chy_err code = type.n != 0 ? chy_err_from_type(type.p) : CHY_E_DENIED;
    return code == CHY_OK ? CHY_E_DENIED : code;
}

static enum chy_err fail_refused(struct chy_plugin *p, const struct chy_sign_item *item,
                                 const struct chy_sign_result *result, struct chy_error *err)
{
    enum chy_err code = code_of(p, result->problem);
    struct chy_str rules = { "", 0 };
    for (size_t i = 0; i < result->rules.n && rules.p != NULL; i++)
        rules =
            chy_arena_printf(&p->arena, "%.*s%s%.*s", CHY_STR_ARG(rules),
                             i == 0 ? "; decided by rule " : ", ", CHY_STR_ARG(result->rules.p[i]));
    return chy_fail(err, code, "key %.*s: %s: %.*s%.*s", CHY_STR_ARG(item->key),
                    chy_err_title(code), CHY_STR_ARG(result->detail), CHY_STR_ARG(rules));
}

enum chy_err chy_plugin_sign(struct chy_plugin *p, const struct chy_sign_item *item,
                             struct chy_bytes *ret_signature, struct chy_error *err)
{
    struct chy_sign_request request = {
        .items = { item, 1 },
        .reason = chy_str_of(p->env.reason),
        .receipt = p->env.receipts != NULL ? CHY_RECEIPT_FULL : CHY_RECEIPT_INDEX,
    };
    struct chy_sign_response response;
    CHY_TRY(connect_server(p, err));
    CHY_TRY(chy_caller_facts(p->client, &p->arena, &request, err));
    CHY_TRY(chy_client_call(p->client, CHY_OP_SIGN, &request, &p->arena, &response, err));
    if (response.results.n != 1)
        return chy_fail(err, CHY_E_PROTOCOL, "one signature was asked for, %zu answers came",
                        response.results.n);
    const struct chy_sign_result *result = &response.results.p[0];
    if (!result->is_signed)
        return fail_refused(p, item, result, err);
    if (result->signature.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL,
                        "the server says that it signed and gives no signature");
    /* First the proof: a signature whose receipt is not good is not handed out. */
    CHY_TRY(chy_receipt_keep(result->receipt, result->outcome, chy_client_log_key(p->client),
                             chy_str_of(p->env.receipts), &p->arena, NULL, err));
    *ret_signature = result->signature;
    return CHY_OK;
}

enum chy_err chy_plugin_algorithm(const struct chy_key *key, enum chy_hash_alg hash, bool is_pss,
                                  enum chy_sign_alg *ret_alg, struct chy_error *err)
{
    bool is_rsa = chy_key_type_is_rsa(key->type);
    enum chy_sign_alg usual = chy_key_type_default_alg(key->type);
    int first = !is_rsa  ? CHY_ALG_ECDSA_SHA256
                : is_pss ? CHY_ALG_RSA_PSS_SHA256
                         : CHY_ALG_RSA_PKCS1_SHA256;
    if (key->type == CHY_KEY_ED25519 || (hash == CHY_HASH_NONE && !is_pss)) {
        *ret_alg = usual;
        return CHY_OK;
    }
    if (hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_ARG, "a signature of key %.*s needs a hash",
                        CHY_STR_ARG(key->name));
    *ret_alg = (enum chy_sign_alg)(first + (int)hash - CHY_HASH_SHA256);
    return CHY_OK;
}

struct chy_str chy_plugin_advise(struct chy_plugin *p, const struct chy_error *err)
{
    const char *hint = p->has_settings ? chy_client_advice(&p->settings, err) : NULL;
    struct chy_str text = chy_arena_printf(&p->arena, "%s%s%s", err->text, hint != NULL ? ". " : "",
                                           hint != NULL ? hint : "");
    return text.p != NULL ? text : chy_str_of(err->text);
}

int chy_plugin_use(const struct chy_plugin_streams *streams, const char *program, const char *usage,
                   int argc, char *const *argv)
{
    struct chy_str word = argc == 2 ? chy_str_of(argv[1]) : (struct chy_str){ 0 };
    if (chy_str_equal_c(word, "--version")) {
        (void)fprintf(streams->out, "%s " CHY_VERSION "\n", program);
        return 0;
    }
    bool is_help = chy_str_equal_c(word, "--help");
    (void)fprintf(is_help ? streams->out : streams->err, "usage: %s %s; see %s(1)\n", program,
                  usage, program);
    return is_help ? 0 : chy_err_exit_code(CHY_E_ARG);
}

bool chy_plugin_print(FILE *to, const struct chy_schema *schema, const void *value)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_JSON);
    return chy_json_write(schema, value, 0, &text, NULL) == CHY_OK &&
           fwrite(text.p, 1, text.n, to) == text.n && fflush(to) == 0;
}
