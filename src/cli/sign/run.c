/* SPDX-License-Identifier: MIT */
/* Tools side by side, each on one file, on one agent. A signed file is put in its place when its
 * tool has ended well and the agent told of a signature; until then the file is as it was. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/sign/files.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_move.h"
#include "os/file_stream.h"
#include "os/interrupt.h"
#include "os/program.h"
#include "os/scratch.h"
#include "os/tree.h"

#define TAIL_BYTES 400 /* of what a tool said last */

struct runner;

/* A place for one tool at a time. */
struct job {
    struct runner *runner;
    struct sign_file *file; /* NULL: free */
    struct chy_exec_door *door;
    struct chy_arena arena; /* of one tool */
    uint8_t tag[CHY_ID_BYTES];
    struct chy_str output; /* file with what it says */
    int output_fd;
    int aside_fd; /* locks the folder of its file */
};

struct runner {
    struct sign_run *run;
    struct chy_loop *loop;
    struct job *jobs;
    size_t n_running;
    size_t next;  /* file that is to be looked at */
    int ended_by; /* signal; 0: none */
};

/* --- what became of it --- */

/* The last line of it that says something, as one line. */
static struct chy_str last_words(struct job *job)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    char *text = chy_arena_array(&job->arena, char, TAIL_BYTES);
    uint64_t size;
    size_t n = 0;
    if (text == NULL || chy_file_open_stream(AT_FDCWD, job->output.p, &fd, &size, NULL) != CHY_OK ||
        chy_file_pread(fd, text, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0, &n, NULL) !=
            CHY_OK)
        return CHY_STR("what it said cannot be read");
    if (n == 0)
        return CHY_STR("it said nothing");
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = ' ';
    while (n > 0 && text[n - 1] == ' ')
        n--;
    return (struct chy_str){ text, n };
}

static const struct chy_door_event *first_refused(const struct chy_exec_report *r)
{
    for (size_t i = 0; i < r->signatures.n; i++)
        if (!r->signatures.p[i].is_signed)
            return &r->signatures.p[i];
    return NULL;
}

static enum chy_err judge(struct job *job, const struct chy_exec_report *r, struct chy_error *err)
{
    const struct chy_door_event *refused = first_refused(r);
    if (refused != NULL)
        return sign_refusal(refused, err);
    if (r->exit_code != 0)
        return chy_fail(err, CHY_E_CRYPTO, "%.*s ended with %u: %.*s", CHY_STR_ARG(r->tool),
                        r->exit_code,
                        CHY_STR_ARG(r->trouble.n != 0 ? r->trouble : last_words(job)));
    if (r->trouble.n != 0)
        return chy_fail(err, CHY_E_NETWORK, "%.*s", CHY_STR_ARG(r->trouble));
    if (r->signatures.n == 0)
        return chy_fail(err, CHY_E_CRYPTO, "%.*s asked for no signature: %.*s",
                        CHY_STR_ARG(r->tool), CHY_STR_ARG(last_words(job)));
    return sign_file_place(job->file, err);
}

enum chy_err sign_file_check_same(const struct sign_file *f, struct chy_error *err)
{
    struct chy_file_stamp now;
    CHY_TRY(chy_file_stamp(AT_FDCWD, f->path, &now, err));
    if (!chy_file_stamp_is_same(&now, &f->stamp))
        return chy_fail(err, CHY_E_CONFLICT, "it was changed while it was signed");
    return CHY_OK;
}

enum chy_err sign_file_place(const struct sign_file *f, struct chy_error *err)
{
    CHY_TRY(sign_file_check_same(f, err));
    return chy_file_move(f->unplaced, f->out, (mode_t)f->mode, err);
}

static enum chy_err keep_events(struct job *job, const struct chy_exec_report *r,
                                struct chy_error *err)
{
    struct chy_arena *arena = &job->runner->run->cli->arena;
    struct chy_door_event *own = chy_arena_array(arena, struct chy_door_event, r->signatures.n);
    if (own == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what was signed");
    for (size_t i = 0; i < r->signatures.n; i++)
        CHY_TRY(chy_schema_copy(&chy_door_event_schema, &r->signatures.p[i], arena, &own[i], err));
    job->file->result.signatures.p = own;
    job->file->result.signatures.n = r->signatures.n;
    return CHY_OK;
}

static enum chy_err conclude(struct job *job, struct chy_error *err)
{
    struct chy_exec_report report;
    CHY_TRY(chy_exec_door_result(job->door, &report, err));
    CHY_TRY(keep_events(job, &report, err));
    return judge(job, &report, err);
}

/* --- one tool --- */

static void job_done(struct job *job)
{
    chy_exec_door_close(CHY_TAKE(job->door));
    if (job->file != NULL && job->file->aside != NULL)
        CHY_IGNORE(chy_tree_remove(AT_FDCWD, job->file->aside, false, NULL)); /* may not be there */
    if (job->output_fd >= 0)
        CHY_IGNORE(chy_file_remove(AT_FDCWD, job->output.p, NULL)); /* it goes with the folder */
    chy_fd_closep(&job->output_fd);
    chy_fd_closep(&job->aside_fd);
    chy_arena_done(&job->arena);
    job->file = NULL;
}

static void job_finish(struct job *job, enum chy_err r, const struct chy_error *why)
{
    struct sign_run *run = job->runner->run;
    struct sign_file *f = job->file;
    if (r == CHY_OK)
        f->result.state = SIGN_SIGNED;
    else
        sign_file_fail(f, &run->cli->arena, why);
    job_done(job);
    sign_file_done(run, f);
}

static void start_more(struct runner *r);

static void on_done(void *ctx)
{
    struct job *job = ctx;
    struct chy_error err;
    enum chy_err r = conclude(job, &err);
    job->runner->n_running--;
    job_finish(job, r, &err);
    start_more(job->runner);
}

static enum chy_err open_output(struct job *job, struct chy_error *err)
{
    struct runner *r = job->runner;
    job->output = chy_arena_printf(&job->arena, "%.*s/output-%zu", CHY_STR_ARG(r->run->setup.dir),
                                   (size_t)(job->file - r->run->files));
    if (job->output.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    return chy_file_make(AT_FDCWD, job->output.p, 0600, &job->output_fd, err);
}

static enum chy_err prepare(struct job *job, struct chy_error *err)
{
    struct sign_file *f = job->file;
    CHY_TRY(sign_file_hash(f, err));
    CHY_TRY(chy_scratch_make(f->aside, &job->aside_fd, err));
    if ((f->tool->flags & SIGN_IN_PLACE) != 0)
        CHY_TRY(chy_file_copy(f->path, f->unplaced, 0600, err));
    return open_output(job, err);
}

static enum chy_err start_tool(struct job *job, struct chy_error *err)
{
    struct sign_run *run = job->runner->run;
    struct chy_exec_setup setup = run->setup;
    struct chy_exec_plan plan;
    CHY_TRY(sign_tool_words(run, job->file, &job->arena, &setup.words, err));
    CHY_TRY(chy_exec_random(&job->arena, job->tag, sizeof job->tag, &setup.tag, err));
    CHY_TRY(chy_exec_plan_make(&setup, &job->arena, &plan, err));
    const struct chy_exec_door_options options = {
        .socket = setup.socket,
        .tag = job->tag,
        .artifact = &job->file->artifact,
        .arena = &job->arena,
    };
    const struct chy_exec_start start = { .loop = job->runner->loop,
                                          .output_fd = job->output_fd,
                                          .done = on_done,
                                          .ctx = job,
                                          .locks = { run->folder_fd, job->aside_fd },
                                          .n_locks = 2 };
    CHY_TRY(chy_exec_door_open(&options, &job->door, err));
    return chy_exec_door_start(job->door, &plan, &start, err);
}

static void job_start(struct job *job, struct sign_file *f)
{
    struct chy_error err;
    job->file = f;
    job->output_fd = -1;
    job->aside_fd = -1;
    chy_arena_init(&job->arena, CHY_LIMIT_ARENA);
    enum chy_err r = prepare(job, &err);
    if (r == CHY_OK)
        r = start_tool(job, &err);
    if (r == CHY_OK)
        job->runner->n_running++;
    else
        job_finish(job, r, &err);
}

/* --- all of them --- */

static struct sign_file *next_file(struct runner *r)
{
    while (r->next < r->run->n) {
        struct sign_file *f = &r->run->files[r->next++];
        if (f->result.state == SIGN_WAITING && f->tool->words != NULL)
            return f;
    }
    return NULL;
}

static struct job *free_job(struct runner *r)
{
    for (size_t i = 0; i < r->run->jobs; i++)
        if (r->jobs[i].file == NULL)
            return &r->jobs[i];
    return NULL;
}

static void start_more(struct runner *r)
{
    struct job *job;
    while (r->ended_by == 0 && (job = free_job(r)) != NULL) {
        struct sign_file *f = next_file(r);
        if (f == NULL)
            break;
        job_start(job, f);
    }
    if (r->n_running == 0)
        chy_loop_stop(r->loop);
}

/* No more are begun. Those that run are told, unless the keyboard told them. */
static void end_by(struct runner *r, int number)
{
    bool is_told = number == SIGINT && chy_program_has_keyboard();
    r->ended_by = number;
    for (size_t i = 0; i < r->run->jobs && !is_told; i++)
        if (r->jobs[i].door != NULL)
            chy_exec_door_signal(r->jobs[i].door, SIGTERM);
    if (r->n_running == 0)
        chy_loop_stop(r->loop);
}

static void on_interrupt(void *ctx)
{
    end_by(ctx, SIGINT);
}

static void on_terminate(void *ctx)
{
    end_by(ctx, SIGTERM);
}

static void on_hangup(void *ctx)
{
    end_by(ctx, SIGHUP);
}

static enum chy_err turn(struct runner *r, struct chy_error *err)
{
    CHY_TRY(chy_loop_signal(r->loop, SIGINT, on_interrupt, r, err));
    CHY_TRY(chy_loop_signal(r->loop, SIGTERM, on_terminate, r, err));
    CHY_TRY(chy_loop_signal(r->loop, SIGHUP, on_hangup, r, err));
    start_more(r);
    return chy_loop_run(r->loop, err);
}

static enum chy_err run_all(struct runner *r, struct chy_error *err)
{
    CHY_CLEANUP(chy_exec_agent_closep) struct chy_exec_agent *agent = NULL;
    CHY_CLEANUP(chy_loop_freep) struct chy_loop *loop = NULL;
    CHY_TRY(chy_exec_agent_open(&r->run->agent, &agent, err));
    CHY_TRY(chy_loop_new(&loop, err));
    r->loop = loop;
    enum chy_err result = turn(r, err);
    for (size_t i = 0; i < r->run->jobs; i++)
        if (r->jobs[i].file != NULL)
            job_done(&r->jobs[i]);
    sign_tell_interrupted(r->run, r->ended_by);
    return result;
}

static bool has_tools(const struct sign_run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->files[i].result.state == SIGN_WAITING && run->files[i].tool->words != NULL)
            return true;
    return false;
}

static struct chy_str folder_of(const struct sign_file *f)
{
    const char *slash = strrchr(f->aside, '/');
    return (struct chy_str){ f->aside, (size_t)(slash - f->aside) };
}

/* Once for each folder of files in that state: files of one folder mostly stand together. */
static enum chy_err each_folder(struct sign_run *run, enum sign_state state,
                                enum chy_err (*fn)(const char *folder, struct chy_error *err),
                                struct chy_error *err)
{
    struct chy_str last = { 0 };
    for (size_t i = 0; i < run->n; i++) {
        const struct sign_file *f = &run->files[i];
        if (f->result.state != state || chy_str_equal(folder_of(f), last))
            continue;
        last = folder_of(f);
        struct chy_str path = chy_arena_printf(&run->cli->arena, "%.*s/", CHY_STR_ARG(last));
        if (path.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
        CHY_TRY(fn(path.p, err));
    }
    return CHY_OK;
}

/* What runs that were killed have left where the signed files go. */
static enum chy_err sweep(const char *folder, struct chy_error *err)
{
    CHY_IGNORE(chy_scratch_sweep(folder, err)); /* the tool will say what is wrong */
    return CHY_OK;
}

static enum chy_err sync_names(const char *folder, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_dir_open(AT_FDCWD, folder, &fd, err));
    return chy_fd_sync(fd, err);
}

enum chy_err sign_folders_sync(struct sign_run *run, struct chy_error *err)
{
    return each_folder(run, SIGN_SIGNED, sync_names, err);
}

enum chy_err sign_run_tools(struct sign_run *run, struct chy_error *err)
{
    struct runner r = { .run = run };
    if (!has_tools(run) || chy_interrupt_number() != 0)
        return CHY_OK;
    CHY_TRY(each_folder(run, SIGN_WAITING, sweep, err));
    r.jobs = chy_arena_array(&run->cli->arena, struct job, run->jobs);
    if (r.jobs == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for %zu tools at once", run->jobs);
    for (size_t i = 0; i < run->jobs; i++)
        r.jobs[i] = (struct job){ .runner = &r, .output_fd = -1, .aside_fd = -1 };
    return run_all(&r, err);
}
