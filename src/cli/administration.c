/* SPDX-License-Identifier: MIT */
/* Commands about keys, people and this client that are more than one row of the table. */
#include <unistd.h>

#include "base/ct.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "client/enroll.h"
#include "os/file_stream.h"

/* Call and show; for requests that were filled by hand. */
static int call_and_print(struct chy_cli *cli, const struct chy_cli_args *args, const void *request)
{
    const struct chy_op_row *row = chy_op_row((int)args->command->op);
    struct chy_error err;
    void *response = chy_arena_alloc(&cli->arena, 1, row->response->size);
    enum chy_err r = response != NULL ? chy_cli_client(cli, args, &err)
                                      : chy_fail(&err, CHY_E_NOMEM, "no memory for an answer");
    if (r == CHY_OK)
        r = chy_client_call(cli->client, row->op, request, &cli->arena, response, &err);
    if (r == CHY_OK)
        r = chy_cli_print(cli, args->command->view, row->response, response, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

int chy_cli_run_guard(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_key_guard request = { .name = chy_cli_arg(args, "NAME") };
    struct chy_error err = { 0 };
    bool has_file = chy_cli_has(args, "FILE");
    if (has_file == chy_cli_has(args, "clear")) {
        CHY_IGNORE(chy_fail(&err, CHY_E_ARG, "give either a FILE with the guard or --clear"));
        return chy_cli_fail(cli, &err);
    }
    if (has_file && chy_cli_read_text(chy_cli_arg(args, "FILE"), CHY_LIMIT_GUARD, &cli->arena,
                                      &request.guard, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    return call_and_print(cli, args, &request);
}

/* *ret_texts stays NULL when nothing was said; `none` says that nothing shall be left. */
static enum chy_err replaced(struct chy_cli *cli, const struct chy_cli_args *args,
                             const char *option, const char *none, struct chy_texts *texts,
                             const struct chy_texts **ret_texts, struct chy_error *err)
{
    bool is_given = chy_cli_has(args, option);
    if (is_given && chy_cli_has(args, none))
        return chy_fail(err, CHY_E_ARG, "--%s and --%s exclude each other", option, none);
    CHY_TRY(chy_cli_arg_all(args, option, &cli->arena, &texts->values, err));
    if (is_given || chy_cli_has(args, none))
        *ret_texts = texts;
    return CHY_OK;
}

int chy_cli_run_user_update(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_user_update request = { .name = chy_cli_arg(args, "NAME") };
    struct chy_texts groups = { 0 };
    struct chy_texts roles = { 0 };
    struct chy_switch is_disabled = { .value = chy_cli_has(args, "disable") };
    struct chy_error err;
    enum chy_err r = replaced(cli, args, "group", "no-groups", &groups, &request.groups, &err);
    if (r == CHY_OK)
        r = replaced(cli, args, "role", "no-roles", &roles, &request.roles, &err);
    if (is_disabled.value || chy_cli_has(args, "enable"))
        request.is_disabled = &is_disabled;
    if (r == CHY_OK && is_disabled.value && chy_cli_has(args, "enable"))
        r = chy_fail(&err, CHY_E_ARG, "--disable and --enable exclude each other");
    if (r == CHY_OK && request.groups == NULL && request.roles == NULL &&
        request.is_disabled == NULL)
        r = chy_fail(&err, CHY_E_ARG, "nothing is to be changed; see chancery help users");
    return r == CHY_OK ? call_and_print(cli, args, &request) : chy_cli_fail(cli, &err);
}

/* --- roles: they are built in, so nobody is asked --- */

struct role {
    struct chy_str name;
    struct chy_strs operations;
};
struct role_list {
    CHY_LIST_OF(struct role) roles;
};
static const struct chy_field role_fields[] = {
    CHY_F_STR(struct role, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "the role"),
    CHY_F_STRS(struct role, operations, 0, CHY_OP_LAST, CHY_LIMIT_NAME, "what it may call"),
};
static const struct chy_schema role_schema =
    CHY_SCHEMA("Role", struct role, role_fields, "A role.");
static const struct chy_field role_list_fields[] = {
    CHY_F_LIST(struct role_list, roles, &role_schema, struct role, 0, 0, 16, "the roles"),
};
static const struct chy_schema role_list_schema =
    CHY_SCHEMA("RoleList", struct role_list, role_list_fields, "The built-in roles.");

static void print_roles(FILE *out, const void *response)
{
    const struct role_list *list = response;
    for (size_t i = 0; i < list->roles.n; i++) {
        const struct role *role = &list->roles.p[i];
        (void)fprintf(out, "%.*s\n", CHY_STR_ARG(role->name));
        for (size_t k = 0; k < role->operations.n; k++)
            (void)fprintf(out, "  %.*s\n", CHY_STR_ARG(role->operations.p[k]));
    }
    (void)fputs(
        "Every principal may call whoami, keys.list, keys.show, log.receipt, and sign as far "
        "as policy allows: signing needs no role.\n",
        out);
}
static const struct chy_cli_view roles_view = { .print = print_roles };

int chy_cli_run_roles(struct chy_cli *cli, const struct chy_cli_args *args)
{
    static const struct {
        enum chy_role role;
        unsigned may;
    } rows[] = {
        { CHY_ROLE_ADMINISTRATOR, CHY_MAY_ADMINISTRATOR },
        { CHY_ROLE_KEY_MANAGER, CHY_MAY_KEY_MANAGER },
        { CHY_ROLE_POLICY_AUTHOR, CHY_MAY_POLICY_AUTHOR },
        { CHY_ROLE_AUDITOR, CHY_MAY_AUDITOR },
    };
    (void)args;
    struct chy_str ids[CHY_ARRAY_LEN(rows)][CHY_OP_LAST];
    struct role roles[CHY_ARRAY_LEN(rows)];
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        size_t n = 0;
        for (size_t k = 0; k < chy_op_rows_n; k++) {
            if ((chy_op_rows[k].may & rows[i].may) != 0)
                ids[i][n++] = chy_str_of(chy_op_rows[k].id);
        }
        roles[i].name = chy_str_of(chy_enum_name(&chy_role_enum, (int)rows[i].role));
        roles[i].operations = (struct chy_strs){ ids[i], n };
    }
    struct role_list list = { { roles, CHY_ARRAY_LEN(roles) } };
    struct chy_error err;
    if (chy_cli_print(cli, &roles_view, &role_list_schema, &list, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    return CHY_CLI_DONE;
}

/* --- version --- */

struct versions {
    struct chy_str client;
    uint32_t api;
    struct chy_str server;
};
static const struct chy_field versions_fields[] = {
    CHY_F_STR(struct versions, client, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "this program"),
    CHY_F_U32(struct versions, api, 0, 0, UINT32_MAX, "the interface version that it speaks"),
    CHY_F_STR(struct versions, server, 0, 0, CHY_LIMIT_NAME, "the server"),
};
static const struct chy_schema versions_schema =
    CHY_SCHEMA("Versions", struct versions, versions_fields, "Versions.");

int chy_cli_run_version(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct versions v = { .client = CHY_STR(CHY_VERSION), .api = CHY_API_MAX };
    struct chy_empty nothing = { 0 };
    struct chy_hello hello = { 0 };
    struct chy_error err;
    enum chy_err r = chy_cli_settings(cli, args, &err);
    /* Without a server there is still a version to tell. */
    if (r == CHY_OK && cli->settings.profile.url.n != 0) {
        r = chy_client_open(&cli->settings, &cli->client, &err);
        if (r == CHY_OK)
            r = chy_client_call(cli->client, CHY_OP_HELLO, &nothing, &cli->arena, &hello, &err);
        v.server = hello.server;
    }
    if (r == CHY_OK)
        r = chy_cli_print(cli, NULL, &versions_schema, &v, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

/* --- enrolment --- */

/* One line of standard input; a terminal shows what is typed, as the code works only once. */
static enum chy_err read_code(struct chy_cli *cli, struct chy_str *ret_code, struct chy_error *err)
{
    char line[CHY_LIMIT_TEXT];
    size_t n = 0;
    if (isatty(STDIN_FILENO) != 0)
        (void)fputs("Enrolment code: ", cli->err);
    (void)fflush(cli->err);
    while (n < sizeof line) {
        size_t got = 0;
        CHY_TRY(chy_fd_read(STDIN_FILENO, line + n, 1, &got, err));
        if (got == 0 || line[n] == '\n')
            break;
        n++;
    }
    while (n != 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    *ret_code = chy_arena_str(&cli->arena, (struct chy_str){ line, n });
    chy_wipe(line, sizeof line);
    if (ret_code->p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the code");
    return CHY_OK;
}

static void print_enrolled(FILE *out, const void *response)
{
    const struct chy_profile *p = response;
    chy_cli_say(out, CHY_STR("You are \""), p->principal, CHY_STR("\" at "), p->url,
                CHY_STR(" (profile \""), p->name, CHY_STR("\").\n"));
}
static const struct chy_cli_view enrolled_view = { .print = print_enrolled };

/* The profile that is made: named by the option, the environment, or "default". */
static struct chy_str profile_name(const struct chy_cli *cli, const struct chy_cli_args *args)
{
    if (chy_cli_has(args, "profile"))
        return chy_cli_arg(args, "profile");
    return cli->env.profile != NULL ? chy_str_of(cli->env.profile) : CHY_STR("default");
}

int chy_cli_run_enroll(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    struct chy_str code = { NULL, 0 };
    struct chy_str url =
        chy_cli_has(args, "url") ? chy_cli_arg(args, "url") : chy_str_of(cli->env.url);
    struct chy_str dir;
    struct chy_profile profile;
    enum chy_err r = chy_client_dir(&cli->env, &cli->arena, &dir, &err);
    if (r == CHY_OK)
        r = read_code(cli, &code, &err);
    if (r == CHY_OK)
        r = chy_client_enroll(dir, profile_name(cli, args), code, url, &cli->arena, &profile, &err);
    if (r == CHY_OK)
        r = chy_cli_print(cli, &enrolled_view, &chy_profile_schema, &profile, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}
