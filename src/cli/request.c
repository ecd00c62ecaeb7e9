/* SPDX-License-Identifier: MIT */
#include "cli/request.h"

#include "base/limits.h"
#include "codec/hex.h"
#include "os/user.h"

static enum chy_err split(struct chy_str text, const char *option, struct chy_str *ret_name,
                          struct chy_str *ret_value, struct chy_error *err)
{
    const char *equals = text.n != 0 ? memchr(text.p, '=', text.n) : NULL;
    if (equals == NULL || equals == text.p)
        return chy_fail(err, CHY_E_ARG, "--%s \"%.*s\" is not of the form NAME=VALUE", option,
                        CHY_STR_ARG(text));
    *ret_name = (struct chy_str){ text.p, (size_t)(equals - text.p) };
    *ret_value = (struct chy_str){ equals + 1, text.n - ret_name->n - 1 };
    return CHY_OK;
}

/* Empty when the machine has none. */
static struct chy_str host_name(struct chy_arena *arena)
{
    char name[CHY_HOST_NAME_BYTES];
    chy_host_name(name);
    return chy_arena_str(arena, chy_str_of(name));
}

static enum chy_err fill_facts(struct chy_cli *cli, const struct chy_cli_args *args,
                               struct chy_sign_request *request, struct chy_error *err)
{
    struct chy_strs texts;
    CHY_TRY(chy_cli_arg_all(args, "fact", &cli->arena, &texts, err));
    struct chy_fact *facts = chy_arena_array(&cli->arena, struct chy_fact, texts.n + 1);
    if (facts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    bool has_host = false;
    for (size_t i = 0; i < texts.n; i++) {
        CHY_TRY(split(texts.p[i], "fact", &facts[i].name, &facts[i].value, err));
        has_host = has_host || chy_str_equal_c(facts[i].name, "host");
    }
    size_t n = texts.n;
    struct chy_str host = has_host ? (struct chy_str){ 0 } : host_name(&cli->arena);
    if (host.n != 0)
        facts[n++] = (struct chy_fact){ .name = CHY_STR("host"), .value = host };
    request->facts.p = facts;
    request->facts.n = n;
    return CHY_OK;
}

static enum chy_err fill_labels(struct chy_cli *cli, const struct chy_cli_args *args,
                                struct chy_sign_request *request, struct chy_error *err)
{
    struct chy_strs texts;
    CHY_TRY(chy_cli_arg_all(args, "label", &cli->arena, &texts, err));
    struct chy_label *labels = chy_arena_array(&cli->arena, struct chy_label, texts.n);
    if (labels == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for labels");
    for (size_t i = 0; i < texts.n; i++)
        CHY_TRY(split(texts.p[i], "label", &labels[i].name, &labels[i].value, err));
    request->labels.p = labels;
    request->labels.n = texts.n;
    return CHY_OK;
}

enum chy_err chy_cli_fill_request(struct chy_cli *cli, const struct chy_cli_args *args,
                                  struct chy_sign_request *request, struct chy_error *err)
{
    request->reason =
        chy_cli_has(args, "reason") ? chy_cli_arg(args, "reason") : chy_str_of(cli->env.reason);
    CHY_TRY(fill_labels(cli, args, request, err));
    return fill_facts(cli, args, request, err);
}

static enum chy_err read_enum(const struct chy_cli_args *args, const char *option,
                              const struct chy_enum *values, int *ret_value, struct chy_error *err)
{
    struct chy_str text = chy_cli_arg(args, option);
    if (!chy_cli_has(args, option))
        return CHY_OK;
    if (chy_enum_find(values, text, ret_value, NULL) != CHY_OK || *ret_value == 0)
        return chy_fail(err, CHY_E_ARG, "--%s knows no \"%.*s\"; see chancery help sign", option,
                        CHY_STR_ARG(text));
    return CHY_OK;
}

/* The algorithms that differ only in their hash stand in one order everywhere. */
static enum chy_sign_alg with_hash(enum chy_key_type type, enum chy_hash_alg hash)
{
    enum chy_sign_alg first =
        chy_key_type_is_rsa(type) ? CHY_ALG_RSA_PKCS1_SHA256 : CHY_ALG_ECDSA_SHA256;
    for (int a = (int)first; a < (int)first + 3; a++) {
        if (chy_sign_alg_hash((enum chy_sign_alg)a) == hash &&
            chy_sign_alg_fits((enum chy_sign_alg)a, type))
            return (enum chy_sign_alg)a;
    }
    return CHY_ALG_NONE;
}

static enum chy_err ask_key(struct chy_cli *cli, const struct chy_cli_args *args,
                            struct chy_key *ret_key, struct chy_error *err)
{
    struct chy_key_name name = { chy_cli_arg(args, "key") };
    CHY_TRY(chy_cli_client(cli, args, err));
    enum chy_err r =
        chy_client_call(cli->client, CHY_OP_KEYS_SHOW, &name, &cli->arena, ret_key, err);
    if (r == CHY_E_FORBIDDEN)
        return chy_fail(err, r,
                        "what key \"%.*s\" signs with may not be asked: give --algorithm, or use a "
                        "token with the scope keys.show too",
                        CHY_STR_ARG(name.name));
    return r;
}

enum chy_err chy_cli_choose_algorithm(struct chy_cli *cli, const struct chy_cli_args *args,
                                      enum chy_sign_alg *ret_alg, struct chy_key *ret_key,
                                      struct chy_error *err)
{
    int alg = CHY_ALG_NONE;
    int hash = CHY_HASH_NONE;
    struct chy_key key = { 0 };
    CHY_TRY(read_enum(args, "algorithm", &chy_sign_alg_enum, &alg, err));
    CHY_TRY(read_enum(args, "hash", &chy_hash_alg_enum, &hash, err));
    if (alg != CHY_ALG_NONE) {
        if (hash != CHY_HASH_NONE && (int)chy_sign_alg_hash((enum chy_sign_alg)alg) != hash)
            return chy_fail(err, CHY_E_ARG, "--algorithm and --hash do not fit");
        *ret_alg = (enum chy_sign_alg)alg;
        *ret_key = key;
        return CHY_OK;
    }
    CHY_TRY(ask_key(cli, args, &key, err));
    *ret_key = key;
    *ret_alg = hash == CHY_HASH_NONE ? chy_key_type_default_alg(key.type)
                                     : with_hash(key.type, (enum chy_hash_alg)hash);
    if (*ret_alg == CHY_ALG_NONE)
        return chy_fail(err, CHY_E_ARG, "a key of type %s does not sign with that hash",
                        chy_enum_name(&chy_key_type_enum, (int)key.type));
    return CHY_OK;
}

enum chy_err chy_cli_read_digest(struct chy_cli *cli, struct chy_str hex, enum chy_sign_alg alg,
                                 struct chy_bytes *ret_digest, struct chy_error *err)
{
    size_t n = chy_hash_alg_bytes(chy_sign_alg_hash(alg));
    if (n == 0)
        return chy_fail(err, CHY_E_ARG, "%s signs a file, not a digest",
                        chy_enum_name(&chy_sign_alg_enum, (int)alg));
    uint8_t *digest = chy_arena_array(&cli->arena, uint8_t, n);
    if (digest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
    if (chy_hex_decode(hex, digest, n, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "--digest must be %zu hex digits for %s", 2 * n,
                        chy_enum_name(&chy_sign_alg_enum, (int)alg));
    *ret_digest = (struct chy_bytes){ digest, n };
    return CHY_OK;
}
