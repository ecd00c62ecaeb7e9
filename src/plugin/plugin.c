/* SPDX-License-Identifier: MIT */
#include "plugin/plugin.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/advice.h"
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
    const struct chy_signing signing = { p->client, &p->env, &p->arena };
    return chy_signing_key(&signing, name, ret_key, err);
}

/* --- a signature --- */

enum chy_err chy_plugin_sign(struct chy_plugin *p, const struct chy_key *key,
                             const struct chy_sign_item *item, struct chy_bytes *ret_signature,
                             struct chy_error *err)
{
    struct chy_sign_request request = { .items = { item, 1 } };
    const struct chy_sign_result *result;
    CHY_TRY(connect_server(p, err));
    CHY_TRY(chy_caller_facts(p->client, &p->arena, &request, err));
    const struct chy_signing signing = { p->client, &p->env, &p->arena };
    CHY_TRY(chy_signing_ask(&signing, key, &request, &result, err));
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
