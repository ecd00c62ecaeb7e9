/* SPDX-License-Identifier: MIT */
/* What others need to verify a signature, as they read it: a key's public half and its chain. */
#include "crypto/pem.h"

#include "base/limits.h"
#include "cli/cli.h"

#define PEM_BYTES ((size_t)2 * CHY_LIMIT_CHAIN * CHY_LIMIT_CERTIFICATE)

/* Either text is the same to print: PEM, on standard output or in the file of --out. */
static enum chy_err give_pem(struct chy_cli *cli, const struct chy_cli_args *args,
                             struct chy_buf *text, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(text, err));
    struct chy_str path = chy_cli_arg(args, "out");
    const struct chy_pem pem = { .pem = chy_buf_str(text) };
    if (path.n != 0)
        CHY_TRY(chy_cli_write_file(cli, path, chy_buf_bytes(text), 0644, err));
    if (cli->is_json)
        return chy_cli_print_json(cli, &chy_pem_schema, &pem, err);
    if (path.n == 0)
        chy_cli_print_text(cli->out, pem.pem);
    return CHY_OK;
}

static enum chy_err ask_key(struct chy_cli *cli, const struct chy_cli_args *args,
                            struct chy_key *ret_key, struct chy_error *err)
{
    const struct chy_key_name name = { chy_cli_arg(args, "NAME") };
    CHY_TRY(chy_schema_check(&chy_key_name_schema, &name, err));
    CHY_TRY(chy_cli_client(cli, args, err));
    return chy_client_call(cli->client, CHY_OP_KEYS_SHOW, &name, &cli->arena, ret_key, err);
}

static enum chy_err give_public_key(struct chy_cli *cli, const struct chy_cli_args *args,
                                    struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct chy_key key = { 0 };
    chy_buf_init(&text, PEM_BYTES);
    CHY_TRY(ask_key(cli, args, &key, err));
    chy_pem_append(&text, "PUBLIC KEY", key.public_key);
    return give_pem(cli, args, &text, err);
}

static enum chy_err give_chain(struct chy_cli *cli, const struct chy_cli_args *args,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct chy_key key = { 0 };
    chy_buf_init(&text, PEM_BYTES);
    CHY_TRY(ask_key(cli, args, &key, err));
    if (key.certificates.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "key \"%.*s\" has no certificate yet",
                        CHY_STR_ARG(key.name));
    for (size_t i = 0; i < key.certificates.n; i++)
        chy_pem_append(&text, "CERTIFICATE", key.certificates.p[i].der);
    return give_pem(cli, args, &text, err);
}

int chy_cli_run_key_public(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    return give_public_key(cli, args, &err) == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

int chy_cli_run_cert_show(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    return give_chain(cli, args, &err) == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}
