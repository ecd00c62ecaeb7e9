/* SPDX-License-Identifier: MIT */
/* chancery exec: a tool that knows nothing of us signs here, and we tell what became of it. */
#include "cli/exec/exec.h"

#include <string.h>

#include "base/limits.h"
#include "cli/exec/machine.h"
#include "doc/doc.h"

struct run {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    struct chy_exec_setup setup;
    struct chy_exec_agent_options agent;
    struct chy_exec_plan plan;
    uint8_t tag[CHY_ID_BYTES];
    int folder_fd; /* locks the private folder; -1: it is not made */
};

static enum chy_err set_up(struct run *run, struct chy_error *err)
{
    struct chy_exec_setup *s = &run->setup;
    struct chy_arena *arena = &run->cli->arena;
    int naming;
    CHY_TRY(chy_exec_setup_make(run->cli, run->args, s, err));
    s->naming = chy_cli_arg(run->args, "naming");
    if (s->naming.n != 0 &&
        chy_enum_find(&chy_door_naming_enum, s->naming, &naming, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "--naming is plain or signum, not \"%.*s\"",
                        CHY_STR_ARG(s->naming));
    CHY_TRY(chy_cli_arg_all(run->args, "TOOL", arena, &s->words, err));
    CHY_TRY(chy_cli_arg_all(run->args, "key", arena, &s->keys, err));
    CHY_TRY(chy_exec_random(arena, run->tag, sizeof run->tag, &s->tag, err));
    CHY_TRY(chy_exec_agent_choose(run->cli, run->args, s, &run->agent, err));
    return chy_exec_plan_make(s, arena, &run->plan, err);
}

/* --- the tool --- */

static enum chy_err write_report(struct run *run, const struct chy_exec_report *report,
                                 struct chy_error *err)
{
    struct chy_str path = chy_cli_arg(run->args, "report");
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_RESPONSE);
    if (path.n == 0)
        return CHY_OK;
    CHY_TRY(chy_json_write(&chy_exec_report_schema, report, 2, &text, err));
    chy_buf_append_u8(&text, '\n');
    CHY_TRY(chy_buf_check(&text, err));
    return chy_cli_write_file(run->cli, path, chy_buf_bytes(&text), 0644, err);
}

/* CHANCERY_KEYS, as the module reads it: words between commas and blanks. */
static enum chy_err split_keys(struct chy_str text, struct chy_arena *arena,
                               struct chy_strs *ret_keys, struct chy_error *err)
{
    struct chy_str *keys = chy_arena_array(arena, struct chy_str, CHY_LIMIT_DOOR_PATTERNS);
    size_t n = 0;
    if (keys == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the names of keys");
    while (text.n != 0) {
        size_t end = 0;
        while (end < text.n && strchr(", \t\n", text.p[end]) == NULL)
            end++;
        if (end != 0 && n == CHY_LIMIT_DOOR_PATTERNS)
            return chy_fail(err, CHY_E_LIMIT, "CHANCERY_KEYS has more than %d words",
                            CHY_LIMIT_DOOR_PATTERNS);
        if (end != 0)
            keys[n++] = (struct chy_str){ text.p, end };
        end += end < text.n ? 1 : 0;
        text = (struct chy_str){ text.p + end, text.n - end };
    }
    *ret_keys = (struct chy_strs){ keys, n };
    return CHY_OK;
}

/* What the module would say of itself in the tool: SSH has no words for it. */
static enum chy_err fill_hello(struct run *run, struct chy_door_hello *hello, struct chy_error *err)
{
    const char *const *env = run->plan.env;
    struct chy_str receipts = chy_str_of(chy_machine_env(env, "CHANCERY_RECEIPTS"));
    struct chy_str keys = chy_str_of(chy_machine_env(env, "CHANCERY_KEYS"));
    hello->tag = (struct chy_bytes){ run->tag, sizeof run->tag };
    hello->reason = chy_str_of(chy_machine_env(env, "CHANCERY_REASON"));
    CHY_TRY(chy_exec_absolute(&run->cli->arena, receipts, &hello->receipts, err));
    return split_keys(keys, &run->cli->arena, &hello->keys, err);
}

/* Before the tool signs. */
static enum chy_err check_places(struct run *run, struct chy_str receipts, struct chy_error *err)
{
    struct chy_str report = chy_cli_arg(run->args, "report");
    CHY_TRY(chy_cli_check_receipts(run->cli, receipts, err));
    return report.n != 0 ? chy_cli_check_place(run->cli, report, err) : CHY_OK;
}

static enum chy_err run_tool(struct run *run, struct chy_exec_report *ret_report,
                             struct chy_error *err)
{
    struct chy_exec_door_options options = {
        .socket = run->setup.socket,
        .tag = run->tag,
        .ssh_socket = run->plan.ssh_socket,
        .arena = &run->cli->arena,
    };
    CHY_CLEANUP(chy_exec_agent_closep) struct chy_exec_agent *agent = NULL;
    CHY_CLEANUP(chy_exec_door_closep) struct chy_exec_door *door = NULL;
    CHY_TRY(fill_hello(run, &options.hello, err));
    CHY_TRY(check_places(run, options.hello.receipts, err));
    CHY_TRY(chy_exec_dir_make(run->setup.dir, &run->plan, &run->folder_fd, err));
    CHY_TRY(chy_exec_agent_open(&run->agent, &agent, err));
    CHY_TRY(chy_exec_door_open(&options, &door, err));
    struct chy_error why;
    enum chy_err r = chy_exec_door_run(door, &run->plan, run->folder_fd, ret_report, &why);
    /* A tool that is not there is not to be mistaken for what a server has not got. */
    return r == CHY_OK ? CHY_OK
                       : chy_fail(err, r == CHY_E_NOT_FOUND ? CHY_E_ARG : r, "%s", why.text);
}

static void tell_stamps(const struct run *run, const struct chy_exec_report *report)
{
    static const char no_stamp[] = "chancery: NO TIME STAMP: the signature ends with the "
                                   "certificate. " CHY_EXEC_AUTHORITY_HINT;
    size_t n = 0;
    for (size_t i = 0; i < report->signatures.n; i++)
        n += report->signatures.p[i].is_signed ? 1 : 0;
    if (n != 0 && run->plan.lacks_stamp && !chy_cli_has(run->args, "no-timestamp"))
        (void)fputs(no_stamp, run->cli->err);
}

static int dry_run(struct run *run)
{
    struct chy_error err;
    if (!run->cli->is_json)
        chy_exec_plan_print(run->cli->out, &run->plan);
    else if (chy_cli_print_json(run->cli, &chy_exec_plan_schema, &run->plan, &err) != CHY_OK)
        return chy_cli_fail(run->cli, &err);
    return CHY_CLI_DONE;
}

static int run_and_report(struct run *run)
{
    struct chy_error err;
    struct chy_exec_report report;
    enum chy_err r = run_tool(run, &report, &err);
    chy_exec_dir_remove(run->cli, run->setup.dir, &run->folder_fd);
    if (r != CHY_OK)
        return chy_cli_fail(run->cli, &err);
    chy_exec_report_print(run->cli->err, &report);
    tell_stamps(run, &report);
    if (write_report(run, &report, &err) != CHY_OK) {
        int code = chy_cli_fail(run->cli, &err);
        return report.exit_code != 0 ? (int)report.exit_code : code;
    }
    return (int)report.exit_code;
}

int chy_cli_run_exec(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct run run = { .cli = cli, .args = args, .folder_fd = -1 };
    struct chy_error err;
    bool is_dry = chy_cli_has(args, "dry-run");
    enum chy_err r = CHY_OK;
    if (cli->is_json && !is_dry)
        r = chy_fail(&err, CHY_E_ARG,
                     "standard output is the tool's: --report FILE writes what --json would print");
    if (r == CHY_OK)
        r = chy_cli_settings(cli, args, &err);
    if (r == CHY_OK)
        r = set_up(&run, &err);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    return is_dry ? dry_run(&run) : run_and_report(&run);
}
