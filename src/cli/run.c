/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "client/advice.h"
#include "client/enroll.h"
#include "doc/doc.h"
#include "os/file.h"
#include "os/file_draft.h"

/* --- what went wrong --- */

int chy_cli_fail(struct chy_cli *cli, const struct chy_error *err)
{
    const char *hint = chy_client_advice(&cli->settings, err);
    if (!cli->has_settings && (err->code == CHY_E_STATE || err->code == CHY_E_UNAUTHENTICATED))
        hint = NULL; /* enrolment itself was refused */
    if (cli->client == NULL && err->code == CHY_E_INTEGRITY)
        hint = NULL; /* of something else than our server */
    chy_cli_say(cli->err, CHY_STR("chancery: "), chy_str_of(err->text));
    (void)fprintf(cli->err, "%s%s\n", hint != NULL ? ". " : "", hint != NULL ? hint : "");
    return chy_err_exit_code(err->code);
}

/* --- the connection --- */

enum chy_err chy_cli_settings(struct chy_cli *cli, const struct chy_cli_args *args,
                              struct chy_error *err)
{
    if (cli->has_settings)
        return CHY_OK;
    struct chy_settings_options options = {
        .profile = chy_cli_arg(args, "profile"),
        .url = chy_cli_arg(args, "url"),
    };
    CHY_TRY(chy_settings_load(&cli->env, &options, &cli->arena, &cli->settings, err));
    cli->has_settings = true;
    return CHY_OK;
}

enum chy_err chy_cli_client(struct chy_cli *cli, const struct chy_cli_args *args,
                            struct chy_error *err)
{
    if (cli->client != NULL)
        return CHY_OK;
    CHY_TRY(chy_cli_settings(cli, args, err));
    struct chy_error why;
    CHY_TRY(chy_client_open_renewed(&cli->settings, &cli->client, &why, err));
    if (why.code != CHY_OK)
        (void)fprintf(cli->err, "chancery: the client certificate could not be renewed: %s\n",
                      why.text);
    return CHY_OK;
}

/* --- answers --- */

enum chy_err chy_cli_print_json(struct chy_cli *cli, const struct chy_schema *schema,
                                const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_PRINTED);
    CHY_TRY(chy_json_write(schema, value, 2, &text, err));
    (void)fprintf(cli->out, "%.*s\n", CHY_STR_ARG(chy_buf_str(&text)));
    return CHY_OK;
}

enum chy_err chy_cli_print(struct chy_cli *cli, const struct chy_cli_view *view,
                           const struct chy_schema *schema, const void *value,
                           struct chy_error *err)
{
    if (cli->is_json)
        return chy_cli_print_json(cli, schema, value, err);
    return chy_cli_print_view(cli->out, view, schema, value, err);
}

enum chy_err chy_cli_write_file(struct chy_cli *cli, struct chy_str path, struct chy_bytes content,
                                unsigned mode, struct chy_error *err)
{
    struct chy_str name = chy_arena_str(&cli->arena, path);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a file's name");
    return chy_file_replace(AT_FDCWD, name.p, content, (mode_t)mode, err);
}

enum chy_err chy_cli_check_place(struct chy_cli *cli, struct chy_str path, struct chy_error *err)
{
    CHY_CLEANUP(chy_file_draft_freep) struct chy_file_draft *draft = NULL;
    struct chy_str name = chy_arena_str(&cli->arena, path);
    const struct chy_file_draft_options options = { .path = name.p,
                                                    .mode = 0600,
                                                    .is_replace = true };
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a file's name");
    enum chy_err r = chy_file_draft_new(&options, &draft, err);
    if (r == CHY_E_NOT_FOUND || r == CHY_E_ARG)
        err->code = r = CHY_E_IO; /* of this machine, not of what a server has not got */
    return r;
}

enum chy_err chy_cli_check_receipts(struct chy_cli *cli, struct chy_str folder,
                                    struct chy_error *err)
{
    if (folder.n == 0)
        return CHY_OK;
    struct chy_str path = chy_arena_printf(&cli->arena, "%.*s/receipt", CHY_STR_ARG(folder));
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a file's name");
    enum chy_err r = chy_cli_check_place(cli, path, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "no receipt can be kept");
}

/* --- commands that are one operation --- */

static enum chy_err call_row(struct chy_cli *cli, const struct chy_cli_args *args,
                             const struct chy_op_row *row, void **ret_response,
                             struct chy_error *err)
{
    void *request = chy_arena_alloc(&cli->arena, 1, row->request->size);
    void *response = chy_arena_alloc(&cli->arena, 1, row->response->size);
    if (request == NULL || response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    CHY_TRY(chy_cli_args_fill(args, row->request, &cli->arena, request, err));
    CHY_TRY(chy_cli_client(cli, args, err));
    CHY_TRY(chy_client_call(cli->client, row->op, request, &cli->arena, response, err));
    *ret_response = response;
    return CHY_OK;
}

int chy_cli_run_operation(struct chy_cli *cli, const struct chy_cli_args *args)
{
    const struct chy_op_row *row = chy_op_row((int)args->command->op);
    struct chy_error err;
    void *response = NULL;
    if (call_row(cli, args, row, &response, &err) != CHY_OK ||
        chy_cli_print(cli, args->command->view, row->response, response, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    return CHY_CLI_DONE;
}

/* The first field of these responses is the text that is wanted. */
int chy_cli_run_to_file(struct chy_cli *cli, const struct chy_cli_args *args)
{
    const struct chy_op_row *row = chy_op_row((int)args->command->op);
    const struct chy_field *first = &row->response->fields[0];
    struct chy_str path = chy_cli_arg(args, "out");
    struct chy_error err;
    void *response = NULL;
    CHY_ASSERT(first->kind == CHY_KIND_STR);
    if (call_row(cli, args, row, &response, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    struct chy_str text = *(struct chy_str *)chy_field_at(first, response);
    bool is_secret = (first->flags & CHY_SECRET) != 0;
    enum chy_err r;
    if (path.n != 0) {
        r = chy_cli_write_file(cli, path, chy_str_bytes(text), is_secret ? 0600 : 0644, &err);
        if (is_secret)
            *(struct chy_str *)chy_field_at(first, response) = chy_cli_arg(args, "out");
        if (r == CHY_OK && (cli->is_json || is_secret))
            r = chy_cli_print(cli, args->command->view, row->response, response, &err);
    } else if (cli->is_json || args->command->view != NULL) {
        r = chy_cli_print(cli, args->command->view, row->response, response, &err);
    } else {
        chy_cli_print_text(cli->out, text);
        r = CHY_OK;
    }
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

/* --- the program --- */

static int run_command(struct chy_cli *cli, int argc, char *const *argv)
{
    struct chy_cli_args args;
    struct chy_error err;
    if (chy_cli_args_parse(argc, argv, &cli->arena, &args, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    if (args.wants_help) {
        if (chy_cli_print_help(cli->out, &args, &err) != CHY_OK)
            return chy_cli_fail(cli, &err);
        return argc > 1 ? CHY_CLI_DONE : CHY_CLI_USE;
    }
    cli->is_json = chy_cli_has(&args, "json");
    return args.command->run(cli, &args);
}

int chy_cli_run(int argc, char *const *argv, const struct chy_client_env *env, FILE *out, FILE *err)
{
    struct chy_cli cli = { .out = out, .err = err, .env = *env };
    chy_arena_init(&cli.arena, CHY_LIMIT_ARENA * (size_t)4);
    int code = run_command(&cli, argc, argv);
    chy_client_close(cli.client);
    if (cli.has_settings)
        chy_settings_done(&cli.settings);
    chy_arena_done(&cli.arena);
    /* A result that did not reach its file or pipe was not given. */
    if (fflush(out) != 0 || ferror(out) != 0) {
        (void)fputs("chancery: standard output could not be written\n", err);
        return CHY_CLI_TROUBLE;
    }
    return code;
}
