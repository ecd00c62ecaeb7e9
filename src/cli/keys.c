/* SPDX-License-Identifier: MIT */
/* chancery keys list: all pages of it as one list. */
#include "base/limits.h"
#include "cli/cli.h"

struct key_pages {
    struct chy_buf keys; /* of struct chy_key, which borrow from the run's arena */
    struct chy_key_query query;
};

static void key_pages_done(struct key_pages *pages)
{
    chy_buf_done(&pages->keys);
}

/* A server that does not go on would have us ask for ever. */
static enum chy_err go_on(struct key_pages *pages, struct chy_str next, struct chy_error *err)
{
    if (next.n != 0 && chy_str_compare(next, pages->query.after) <= 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's list of keys does not go on behind %.*s",
                        CHY_STR_ARG(pages->query.after));
    pages->query.after = next;
    return CHY_OK;
}

static enum chy_err read_page(struct chy_cli *cli, struct key_pages *pages, struct chy_error *err)
{
    struct chy_key_list page;
    CHY_TRY(chy_client_call(cli->client, CHY_OP_KEYS_LIST, &pages->query, &cli->arena, &page, err));
    chy_buf_append(&pages->keys, (struct chy_bytes){ (const uint8_t *)page.keys.p,
                                                     page.keys.n * sizeof *page.keys.p });
    CHY_TRY(chy_buf_check(&pages->keys, err));
    return go_on(pages, page.next, err);
}

static enum chy_err run_list(struct chy_cli *cli, const struct chy_cli_args *args,
                             struct chy_error *err)
{
    CHY_CLEANUP(key_pages_done) struct key_pages pages = { .query = { .limit = 0 } };
    chy_buf_init(&pages.keys, CHY_LIMIT_LIST * sizeof(struct chy_key));
    CHY_TRY(chy_cli_args_fill(args, &chy_key_query_schema, &cli->arena, &pages.query, err));
    CHY_TRY(chy_cli_client(cli, args, err));
    do {
        CHY_TRY(read_page(cli, &pages, err));
    } while (pages.query.after.n != 0);
    struct chy_key_list all = { .keys = { (const void *)pages.keys.p,
                                          pages.keys.n / sizeof(struct chy_key) } };
    return chy_cli_print(cli, args->command->view, &chy_key_list_schema, &all, err);
}

int chy_cli_run_keys_list(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    return run_list(cli, args, &err) == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}
