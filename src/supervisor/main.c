/* SPDX-License-Identifier: MIT */
/* chanceryd: the server, and what sets it up, checks it, and keeps copies of it. Started by the
 * supervisor as `chanceryd @role` it is one of the other processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/init.h"
#include "doc/doc.h"
#include "front/front.h"
#include "inspect/inspect.h"
#include "query/query.h"
#include "signer/signer.h"
#include "supervisor/backup.h"
#include "supervisor/doctor.h"
#include "supervisor/init.h"
#include "supervisor/options.h"
#include "supervisor/plan.h"
#include "supervisor/supervisor.h"
#include "token/token.h"

#define ANSWER_BYTES 65536
#define EXIT_TROUBLE 3

static const struct {
    const char *name;
    int (*run)(void);
} roles[] = {
    { "@front", chy_front_main },   { "@inspect", chy_inspect_main }, { "@query", chy_query_main },
    { "@signer", chy_signer_main }, { "@token", chy_token_main },
};

static int tell_error(enum chy_err r, const struct chy_error *error)
{
    (void)fprintf(stderr, "chanceryd: %s\n", error->text);
    return chy_err_exit_code(r);
}

/* Print what a command answers: text for people, or its struct as JSON. */
static int answer(const struct options *options, const struct chy_schema *schema, const void *value,
                  void (*print)(const void *value, FILE *out))
{
    if (!options->json) {
        print(value, stdout);
    } else {
        CHY_CLEANUP(chy_buf_done) struct chy_buf out;
        struct chy_error error;
        chy_buf_init(&out, ANSWER_BYTES);
        enum chy_err r = chy_json_write(schema, value, 2, &out, &error);
        if (r != CHY_OK)
            return tell_error(r, &error);
        (void)printf("%.*s\n", CHY_STR_ARG(chy_buf_str(&out)));
    }
    if (fflush(stdout) != 0) {
        (void)fputs("chanceryd: the answer could not be written\n", stderr);
        return EXIT_TROUBLE;
    }
    return EXIT_SUCCESS;
}

static int run_server(const struct options *options)
{
    struct chy_supervisor_options o = {
        .config = options->config,
        .accept_older_store = options->accept_older_store,
    };
    struct chy_error error;
    enum chy_err r = chy_supervisor_run(&o, &error);
    return r == CHY_OK ? EXIT_SUCCESS : tell_error(r, &error);
}

static int run_init(const struct options *options)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, ANSWER_BYTES);
    struct chy_init_options o = {
        .data = options->data,
        .listen = options->listen.p,
        .listen_count = options->listen.n,
        .names = options->names.p,
        .name_count = options->names.n,
    };
    struct chy_init_result result;
    struct chy_error error;
    enum chy_err r = chy_init(&o, &arena, &result, &error);
    if (r != CHY_OK)
        return tell_error(r, &error);
    return answer(options, &chy_init_result_schema, &result, chy_init_print);
}

static int run_backup(const struct options *options)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_BACKUP_ARENA);
    struct chy_backup_result result;
    struct chy_error error;
    enum chy_err r =
        chy_backup(options->config, options->data, options->to, &arena, &result, &error);
    if (r != CHY_OK)
        return tell_error(r, &error);
    return answer(options, &chy_backup_result_schema, &result, chy_backup_print);
}

static int run_restore(const struct options *options)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_BACKUP_ARENA);
    struct chy_restore_result result;
    struct chy_error error;
    enum chy_err r = chy_restore(options->from, options->data, &arena, &result, &error);
    if (r != CHY_OK)
        return tell_error(r, &error);
    return answer(options, &chy_restore_result_schema, &result, chy_restore_print);
}

static int run_check(const struct options *options)
{
    struct chy_plan *plan = NULL;
    struct chy_error error;
    enum chy_err r = chy_plan_load(options->config, &plan, &error);
    if (r != CHY_OK)
        return tell_error(r, &error);
    chy_plan_free(plan);
    (void)printf("%s is right\n", options->config);
    return EXIT_SUCCESS;
}

static int run_doctor(const struct options *options)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_findings findings;
    struct chy_error error;
    enum chy_err r = chy_doctor(options->config, &arena, &findings, &error);
    if (r != CHY_OK)
        return tell_error(r, &error);
    int code = answer(options, &chy_findings_schema, &findings, chy_doctor_print);
    return code == EXIT_SUCCESS && !findings.is_well ? EXIT_FAILURE : code;
}

static const struct command commands[] = {
    { NULL, run_server, "--config FILE [--accept-older-store]",
      "run the server; HUP reads the configuration again, TERM finishes what is in flight",
      OPTION_CONFIG | OPTION_ACCEPT_OLDER_STORE, 0, OPTION_CONFIG },
    { "init", run_init, "init --data DIR [--listen ADDRESS]... [--name NAME]... [--json]",
      "make a working single-node server in DIR, which must be new or empty",
      OPTION_DATA | OPTION_LISTEN | OPTION_NAME | OPTION_JSON, 0, OPTION_DATA },
    { "check", run_check, "check --config FILE", "check a configuration and what it names",
      OPTION_CONFIG, 0, OPTION_CONFIG },
    { "doctor", run_doctor, "doctor --config FILE [--json]",
      "find out what is wrong with a server, or will soon be, and what to do about it",
      OPTION_CONFIG | OPTION_JSON, 0, OPTION_CONFIG },
    { "backup", run_backup, "backup (--data DIR | --config FILE) --to DIR [--json]",
      "copy everything that a server needs into a new folder; the server may run",
      OPTION_DATA | OPTION_CONFIG | OPTION_TO | OPTION_JSON, OPTION_DATA | OPTION_CONFIG,
      OPTION_TO },
    { "restore", run_restore, "restore --from DIR --data DIR [--json]",
      "check a backup and make a data directory of it, which must be new or empty",
      OPTION_FROM | OPTION_DATA | OPTION_JSON, 0, OPTION_FROM | OPTION_DATA },
};

static int run_role(const char *name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(roles); i++)
        if (strcmp(name, roles[i].name) == 0)
            return roles[i].run();
    (void)fprintf(stderr, "chanceryd: there is no process \"%s\"\n", name);
    return EXIT_TROUBLE;
}

static int run_command(int argc, char **argv)
{
    const struct command *command;
    struct options options;
    struct chy_error error;
    if (options_parse(commands, CHY_ARRAY_LEN(commands), (const char *const *)argv + 1,
                      (size_t)argc - 1, &command, &options, &error) != CHY_OK) {
        (void)fprintf(stderr, "chanceryd: %s\n`chanceryd --help` tells more\n", error.text);
        return chy_err_exit_code(CHY_E_ARG);
    }
    umask(077); /* what is made is the owner's alone, unless it says otherwise */
    enum chy_err r = chy_crypto_init(&error);
    return r == CHY_OK ? command->run(&options) : tell_error(r, &error);
}

int main(int argc, char **argv)
{
    if (argc == 2 && argv[1][0] == '@')
        return run_role(argv[1]);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("chanceryd " CHY_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        options_help(commands, CHY_ARRAY_LEN(commands), stdout);
        return EXIT_SUCCESS;
    }
    return run_command(argc, argv);
}
