/* SPDX-License-Identifier: MIT */
/* chancery sign: files in the format that each has (files.h), or with --raw and --digest the
 * signature alone (raw.c). */
#include <unistd.h>

#include "base/limits.h"
#include "cli/sign/files.h"
#include "os/interrupt.h"

/* Tools wait for the server half of their time. */
#define JOBS_PER_CORE 2

static enum chy_err read_jobs(struct sign_run *run, struct chy_error *err)
{
    struct chy_str text = chy_cli_arg(run->args, "jobs");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t jobs = 0;
    run->jobs = cores > 0 ? (size_t)cores * JOBS_PER_CORE : 1;
    run->jobs = CHY_MIN(run->jobs, (size_t)CHY_LIMIT_SIGN_JOBS);
    if (text.n == 0)
        return CHY_OK;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || jobs > CHY_LIMIT_SIGN_JOBS)
            jobs = CHY_LIMIT_SIGN_JOBS + 1;
        else
            jobs = jobs * 10 + (size_t)(text.p[i] - '0');
    }
    if (jobs == 0 || jobs > CHY_LIMIT_SIGN_JOBS)
        return chy_fail(err, CHY_E_ARG, "--jobs takes a number from 1 to %d", CHY_LIMIT_SIGN_JOBS);
    run->jobs = jobs;
    return CHY_OK;
}

static enum chy_err read_type(struct sign_run *run, struct chy_error *err)
{
    struct chy_str text = chy_cli_arg(run->args, "type");
    int kind;
    if (text.n == 0)
        return CHY_OK;
    if (chy_enum_find(&chy_format_kind_enum, text, &kind, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "--type knows no \"%.*s\"; see chancery help sign",
                        CHY_STR_ARG(text));
    run->has_type = true;
    run->type = (enum chy_format_kind)kind;
    return CHY_OK;
}

/* The option's folder, else that of the environment, as the agent keeps them for the tools. */
static void choose_receipts(struct sign_run *run)
{
    run->receipts = run->setup.receipts;
    if (run->receipts.n == 0)
        run->receipts = chy_str_of(run->cli->env.receipts);
}

static void tell_stamps(const struct sign_run *run)
{
    size_t without = 0;
    for (size_t i = 0; i < run->n; i++)
        without += sign_takes_stamp(&run->files[i]) && run->tsa.n == 0 ? 1 : 0;
    if (without != 0 && !chy_cli_has(run->args, "no-timestamp"))
        (void)fprintf(run->cli->err,
                      "chancery: NO TIME STAMPS: the signatures of %zu files end with the "
                      "certificate. " CHY_EXEC_AUTHORITY_HINT,
                      without);
}

static enum chy_err check_use(const struct sign_run *run, struct chy_error *err)
{
    static const char *const raw_only[] = { "algorithm", "hash", "receipt", "artifact-type" };
    if (chy_cli_arg_count(run->args, "FILE") == 0)
        return chy_fail(err, CHY_E_ARG, "give a FILE to sign, or a --digest");
    for (size_t i = 0; i < CHY_ARRAY_LEN(raw_only); i++)
        if (chy_cli_has(run->args, raw_only[i]))
            return chy_fail(err, CHY_E_ARG, "--%s goes with --raw or --digest", raw_only[i]);
    if (chy_cli_has(run->args, "detached") && chy_cli_has(run->args, "tool"))
        return chy_fail(err, CHY_E_ARG, "--detached signs without a tool: leave --tool out");
    return CHY_OK;
}

static enum chy_err prepare(struct sign_run *run, struct chy_error *err)
{
    struct chy_str *key = chy_arena_new(&run->cli->arena, struct chy_str);
    if (key == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key's name");
    CHY_TRY(check_use(run, err));
    CHY_TRY(read_jobs(run, err));
    CHY_TRY(read_type(run, err));
    CHY_TRY(chy_cli_settings(run->cli, run->args, err));
    CHY_TRY(chy_exec_setup_make(run->cli, run->args, &run->setup, err));
    run->tsa = run->setup.tsa;
    choose_receipts(run);
    CHY_TRY(chy_cli_check_receipts(run->cli, run->receipts, err));
    run->key = *key = chy_cli_arg(run->args, "key");
    run->setup.keys = (struct chy_strs){ key, 1 };
    CHY_TRY(sign_inputs_read(run, err));
    return chy_exec_agent_choose(run->cli, run->args, &run->setup, &run->agent, err);
}

/* What every tool of the run finds in the private folder. */
static enum chy_err make_folder(struct sign_run *run, struct chy_error *err)
{
    struct chy_exec_plan plan = { 0 };
    unsigned files = CHY_EXEC_JAVA | CHY_EXEC_SECURITY;
    if (run->setup.engine.n != 0)
        files |= CHY_EXEC_ENGINE; /* sbsign alone reads it */
    if (run->setup.gpg.n != 0)
        files |= CHY_EXEC_GPG;
    CHY_TRY(chy_exec_files_make(&run->setup, files, &run->cli->arena, &plan, err));
    return chy_exec_dir_make(run->setup.dir, &plan, &run->folder_fd, err);
}

static enum chy_err sign_all(struct sign_run *run, struct chy_error *err)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->files[i].result.state != SIGN_WAITING)
            sign_file_done(run, &run->files[i]);
    chy_interrupt_catch();
    CHY_TRY(make_folder(run, err));
    enum chy_err r = sign_certificates_read(run, err);
    if (r == CHY_OK)
        tell_stamps(run);
    if (r == CHY_OK)
        r = sign_run_tools(run, err);
    if (r == CHY_OK)
        r = sign_run_own(run, err);
    if (r == CHY_OK)
        sign_tell_interrupted(run, chy_interrupt_number());
    chy_exec_dir_remove(run->cli, run->setup.dir, &run->folder_fd);
    return r;
}

static int sign_files(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct sign_run run = { .cli = cli, .args = args, .folder_fd = -1 };
    struct chy_error err;
    bool is_dry = chy_cli_has(args, "dry-run");
    enum chy_err r = prepare(&run, &err);
    run.shows_progress = !is_dry && run.n > 1 && isatty(fileno(cli->err)) != 0;
    if (r == CHY_OK && is_dry)
        r = sign_certificates_read(&run, &err);
    else if (r == CHY_OK)
        r = sign_all(&run, &err);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    if (is_dry)
        return sign_dry_run(&run);
    r = sign_folders_sync(&run, &err);
    int code = sign_report(&run);
    return r == CHY_OK ? code : chy_cli_fail(cli, &err);
}

int chy_cli_run_sign(struct chy_cli *cli, const struct chy_cli_args *args)
{
    bool is_raw = chy_cli_has(args, "raw") || chy_cli_has(args, "digest");
    return is_raw ? chy_cli_run_sign_raw(cli, args) : sign_files(cli, args);
}
