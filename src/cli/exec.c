/* SPDX-License-Identifier: MIT */
/* chancery exec: a tool that knows nothing of us signs here, and we tell what became of it. */
#include "cli/exec.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/machine.h"
#include "codec/hex.h"
#include "doc/doc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/random.h"
#include "os/socket.h"
#include "os/tree.h"

#define LOOK_US ((int64_t)2000000) /* for the kernel to say whether an agent listens */

struct run {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    struct chy_machine machine;
    struct chy_exec_setup setup;
    struct chy_exec_plan plan;
    uint8_t tag[CHY_ID_BYTES];
    struct chy_str dir; /* that was made */
    bool is_helper;
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for what the tool needs");
}

/* --- the setup --- */

static enum chy_err random_hex(struct run *run, uint8_t *bytes, size_t n, struct chy_str *ret_text,
                               struct chy_error *err)
{
    char hex[CHY_HEX_SIZE(CHY_ID_BYTES)];
    CHY_TRY(chy_random_fill(bytes, n, err));
    chy_hex_encode((struct chy_bytes){ bytes, n }, hex);
    *ret_text = chy_arena_str(&run->cli->arena, chy_str_of(hex));
    return ret_text->p != NULL ? CHY_OK : no_memory(err);
}

/* Tools may change their folder. */
static enum chy_err make_absolute(struct run *run, struct chy_str path, struct chy_str *ret_path,
                                  struct chy_error *err)
{
    char here[CHY_LIMIT_PATH];
    *ret_path = path;
    if (path.n == 0 || path.p[0] == '/')
        return CHY_OK;
    if (getcwd(here, sizeof here) == NULL)
        return chy_fail(err, CHY_E_IO, "the working folder is not there any more");
    *ret_path = chy_arena_printf(&run->cli->arena, "%s/%.*s", here, CHY_STR_ARG(path));
    return ret_path->p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err set_up(struct run *run, struct chy_error *err)
{
    struct chy_exec_setup *s = &run->setup;
    const struct chy_cli_args *args = run->args;
    const char *const *environ_now = (const char *const *)environ;
    struct chy_arena *arena = &run->cli->arena;
    uint8_t name[8];
    struct chy_str suffix;
    int naming;
    CHY_TRY(chy_cli_arg_all(args, "TOOL", arena, &s->words, err));
    CHY_TRY(chy_cli_arg_all(args, "key", arena, &s->keys, err));
    CHY_TRY(chy_machine_read(environ_now, arena, &run->machine, err));
    CHY_TRY(random_hex(run, name, sizeof name, &suffix, err));
    CHY_TRY(random_hex(run, run->tag, sizeof run->tag, &s->tag, err));
    CHY_TRY(make_absolute(run, chy_cli_arg(args, "receipts"), &s->receipts, err));
    s->environ = environ_now;
    s->module = run->machine.module;
    s->engine = run->machine.engine;
    s->openssl_cnf = run->machine.openssl_cnf;
    s->openssl_section = run->machine.openssl_section;
    s->openssl_providers = run->machine.openssl_providers;
    s->provider = run->machine.provider;
    s->reason = chy_cli_arg(args, "reason");
    s->naming = chy_cli_arg(args, "naming");
    if (s->naming.n != 0 &&
        chy_enum_find(&chy_door_naming_enum, s->naming, &naming, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "--naming is plain or signum, not \"%.*s\"",
                        CHY_STR_ARG(s->naming));
    s->dir = chy_arena_printf(arena, "%.*s/chancery-exec-%.*s", CHY_STR_ARG(run->machine.dir),
                              CHY_STR_ARG(suffix));
    return s->dir.p != NULL ? CHY_OK : no_memory(err);
}

/* One that was named is used or nothing; one at the usual place if it is there. */
static bool is_answered(struct run *run, struct chy_str socket)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_str address = chy_arena_printf(&run->cli->arena, "unix:%.*s", CHY_STR_ARG(socket));
    return run->cli->settings.is_agent_named ||
           (socket.n != 0 && address.p != NULL &&
            chy_socket_connect(address, chy_clock_monotonic_us() + LOOK_US, &fd, NULL) == CHY_OK);
}

static enum chy_err choose_agent(struct run *run, struct chy_error *err)
{
    struct chy_str socket = run->cli->settings.agent_socket;
    if (!is_answered(run, socket))
        socket = (struct chy_str){ 0 };
    run->is_helper = socket.n == 0;
    if (run->is_helper)
        socket = chy_arena_printf(&run->cli->arena, "%.*s/agent.sock", CHY_STR_ARG(run->setup.dir));
    run->setup.socket = socket;
    return socket.p != NULL ? CHY_OK : no_memory(err);
}

/* --- the private folder --- */

static enum chy_err make_dir(struct run *run, struct chy_error *err)
{
    CHY_TRY(chy_dir_make(AT_FDCWD, run->setup.dir.p, 0700, err));
    run->dir = run->setup.dir;
    for (size_t i = 0; i < run->plan.files.n; i++) {
        const struct chy_exec_file *f = &run->plan.files.p[i];
        CHY_TRY(chy_file_create(AT_FDCWD, f->path.p, chy_str_bytes(f->text), 0600, err));
    }
    return CHY_OK;
}

static void remove_dir(struct run *run)
{
    struct chy_error err;
    if (run->dir.n != 0 && chy_tree_remove(AT_FDCWD, run->dir.p, false, &err) != CHY_OK)
        (void)fprintf(run->cli->err, "chancery: %s\n", err.text);
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

static enum chy_err run_tool(struct run *run, struct chy_exec_report *ret_report,
                             struct chy_error *err)
{
    struct chy_exec_door_options options = {
        .socket = run->setup.socket,
        .is_helper = run->is_helper,
        .token = run->cli->env.token,
        .profile = chy_cli_arg(run->args, "profile"),
        .url = chy_cli_arg(run->args, "url"),
        .tag = run->tag,
        .arena = &run->cli->arena,
    };
    CHY_CLEANUP(chy_exec_door_closep) struct chy_exec_door *door = NULL;
    CHY_TRY(make_dir(run, err));
    CHY_TRY(chy_exec_door_open(&options, &door, err));
    struct chy_error why;
    enum chy_err r = chy_exec_door_run(door, &run->plan, ret_report, &why);
    /* A tool that is not there is not to be mistaken for what a server has not got. */
    return r == CHY_OK ? CHY_OK
                       : chy_fail(err, r == CHY_E_NOT_FOUND ? CHY_E_ARG : r, "%s", why.text);
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
    remove_dir(run);
    if (r != CHY_OK)
        return chy_cli_fail(run->cli, &err);
    chy_exec_report_print(run->cli->err, &report);
    if (write_report(run, &report, &err) != CHY_OK) {
        int code = chy_cli_fail(run->cli, &err);
        return report.exit_code != 0 ? (int)report.exit_code : code;
    }
    return (int)report.exit_code;
}

int chy_cli_run_exec(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct run run = { .cli = cli, .args = args };
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
    if (r == CHY_OK)
        r = choose_agent(&run, &err);
    if (r == CHY_OK && run.is_helper && !is_dry && cli->settings.profile.url.n == 0)
        r = chy_fail(&err, CHY_E_STATE, "nothing names the server that is to sign");
    if (r == CHY_OK)
        r = chy_exec_plan_make(&run.setup, &cli->arena, &run.plan, &err);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    return is_dry ? dry_run(&run) : run_and_report(&run);
}
