/* SPDX-License-Identifier: MIT */
#include <sys/epoll.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/exec/talk_internal.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/program.h"
#include "os/socket.h"

struct chy_exec_door {
    struct chy_exec_door_options options;
    struct chy_exec_start run;
    struct chy_channel *agent;
    struct chy_timer *timer;
    struct chy_watch *watch; /* of the tool's end */
    struct chy_process tool;
    bool is_waiting; /* the tool has ended; UNWATCHED is awaited */
    struct chy_deferred end;
    struct chy_door_event *events;
    size_t n_events;
    size_t room;
    struct chy_exec_report report;
    enum chy_err failed; /* while the loop ran */
    struct chy_error error;
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory to talk to the agent");
}

/* --- before the tool runs --- */

static enum chy_err agent_connect(struct chy_exec_door *door, struct chy_error *err)
{
    struct chy_str path = door->options.socket;
    struct chy_str address = chy_arena_printf(door->options.arena, "unix:%.*s", CHY_STR_ARG(path));
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_socket_cred cred;
    if (address.p == NULL)
        return no_memory(err);
    enum chy_err r = chy_socket_connect(address, chy_clock_monotonic_us() + EXEC_SOON_US, &fd, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "no agent at %.*s", CHY_STR_ARG(path));
    CHY_TRY(chy_socket_peer_cred(fd, &cred, err));
    if (cred.uid != geteuid() && cred.uid != 0)
        return chy_fail(err, CHY_E_FORBIDDEN, "the agent at %.*s is of user %u, not of yours",
                        CHY_STR_ARG(path), (unsigned)cred.uid);
    return exec_channel(&fd, &door->agent, err);
}

static enum chy_err greet(struct chy_exec_door *door, struct chy_error *err)
{
    const struct chy_exec_door_options *o = &door->options;
    struct chy_door_hello hello = o->hello;
    hello.version = CHY_DOOR_VERSION;
    hello.software = CHY_STR("chancery exec " CHY_VERSION);
    struct chy_door_watch watch = { .tag = { o->tag, CHY_ID_BYTES } };
    CHY_TRY(exec_ask(door->agent, CHY_DOOR_HELLO, &chy_door_hello_schema, &hello, CHY_DOOR_WELCOME,
                     err));
    CHY_TRY(exec_ask(door->agent, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING,
                     err));
    return o->artifact == NULL ? CHY_OK
                               : exec_ask(door->agent, CHY_DOOR_ARTIFACT, &chy_artifact_schema,
                                          o->artifact, CHY_DOOR_ARTIFACT_TAKEN, err);
}

void chy_exec_door_detach(struct chy_exec_door *door)
{
    if (door->run.loop != NULL)
        chy_loop_undefer(door->run.loop, &door->end);
    chy_watch_freep(&door->watch);
    chy_timer_freep(&door->timer);
    chy_channel_free(door->agent);
    door->agent = NULL;
    door->run.loop = NULL;
}

static enum chy_err open_ssh(struct chy_exec_door *door, struct chy_error *err)
{
    const struct chy_door_listen listen = { door->options.ssh_socket };
    if (listen.path.n == 0)
        return CHY_OK;
    enum chy_err r = exec_ask(door->agent, CHY_DOOR_SSH, &chy_door_listen_schema, &listen,
                              CHY_DOOR_SSH_OPENED, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "the agent serves no SSH");
}

void chy_exec_door_close(struct chy_exec_door *door)
{
    if (door == NULL)
        return;
    chy_exec_door_detach(door);
    chy_process_endp(&door->tool);
    chy_free(door);
}

void chy_exec_door_closep(struct chy_exec_door **door)
{
    chy_exec_door_close(*door);
}

enum chy_err chy_exec_door_open(const struct chy_exec_door_options *options,
                                struct chy_exec_door **ret_door, struct chy_error *err)
{
    CHY_CLEANUP(chy_exec_door_closep) struct chy_exec_door *door = chy_new(struct chy_exec_door);
    if (door == NULL)
        return no_memory(err);
    door->options = *options;
    door->tool = (struct chy_process){ -1, -1 };
    CHY_TRY(agent_connect(door, err));
    CHY_TRY(greet(door, err));
    CHY_TRY(open_ssh(door, err));
    *ret_door = CHY_TAKE(door);
    return CHY_OK;
}

/* --- while it runs --- */

static void on_done(void *ctx)
{
    struct chy_exec_door *door = ctx;
    door->run.done(door->run.ctx);
}

static void finish(struct chy_exec_door *door)
{
    chy_loop_defer(door->run.loop, &door->end);
}

static bool has_room(struct chy_exec_door *door)
{
    if (door->n_events < door->room)
        return true;
    if (door->room >= CHY_LIMIT_EXEC_EVENTS)
        return false;
    size_t room = door->room != 0 ? door->room * 2 : 16;
    struct chy_door_event *more = chy_arena_array(door->options.arena, struct chy_door_event, room);
    if (more == NULL)
        return false;
    chy_copy(more, door->events, door->n_events * sizeof *more);
    door->events = more;
    door->room = room;
    return true;
}

static enum chy_err take_event(struct chy_exec_door *door, const struct chy_frame *frame,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_event event;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_decode(&chy_door_event_schema, frame->body, &arena, &event, err));
    if (!has_room(door) || chy_schema_copy(&chy_door_event_schema, &event, door->options.arena,
                                           &door->events[door->n_events], NULL) != CHY_OK) {
        door->report.more++;
        return CHY_OK;
    }
    door->n_events++;
    return CHY_OK;
}

static enum chy_err take_status(struct chy_exec_door *door, const struct chy_frame *frame,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_status status;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_decode(&chy_door_status_schema, frame->body, &arena, &status, err));
    door->report.trouble = chy_arena_str(door->options.arena, status.trouble);
    return door->report.trouble.p != NULL ? CHY_OK : no_memory(err);
}

static void lose_agent(struct chy_exec_door *door, const char *why)
{
    chy_channel_close(door->agent);
    door->report.trouble = chy_arena_printf(
        door->options.arena,
        "the agent was lost (%s): of signatures after that the log alone tells", why);
    if (door->report.trouble.p == NULL)
        door->report.trouble = CHY_STR("the agent was lost: the log alone tells of signatures");
    if (door->is_waiting)
        finish(door);
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct chy_exec_door *door = ctx;
    struct chy_error err = { 0 };
    enum chy_err r = CHY_OK;
    (void)channel;
    if (frame->type == CHY_DOOR_EVENT)
        r = take_event(door, frame, &err);
    else if (frame->type == CHY_DOOR_STATUS_REPLY && door->is_waiting)
        r = take_status(door, frame, &err);
    else if (frame->type == CHY_DOOR_UNWATCHED && door->is_waiting)
        finish(door);
    else
        r = chy_fail(&err, CHY_E_PROTOCOL, "it said %u, which nobody asked for", frame->type);
    if (r != CHY_OK)
        lose_agent(door, err.text);
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    (void)channel;
    lose_agent(ctx, why == CHY_OK ? "it ended" : error->text);
}

static void on_timeout(void *ctx)
{
    lose_agent(ctx, "it does not answer");
}

/* What is behind the tool's last signature is told before UNWATCHED. */
static void on_tool_end(void *ctx, uint32_t events)
{
    static const struct chy_empty nothing;
    struct chy_exec_door *door = ctx;
    struct chy_process_end end;
    (void)events;
    chy_watch_freep(&door->watch);
    enum chy_err r = chy_process_wait(&door->tool, 0, &end, &door->error);
    if (r != CHY_OK) {
        door->failed = r;
        finish(door);
        return;
    }
    door->report.exit_code = (uint32_t)(end.was_signal ? 128 + end.value : end.value);
    door->is_waiting = true;
    chy_timer_set(door->timer, chy_clock_monotonic_us() + EXEC_SOON_US);
    if (!chy_channel_is_open(door->agent))
        finish(door);
    else if (exec_send(door->agent, CHY_DOOR_STATUS, 2, &chy_empty_schema, &nothing,
                       &door->error) != CHY_OK ||
             exec_send(door->agent, CHY_DOOR_UNWATCH, 3, &chy_empty_schema, &nothing,
                       &door->error) != CHY_OK)
        lose_agent(door, door->error.text);
}

void chy_exec_door_signal(struct chy_exec_door *door, int number)
{
    if (door->tool.pidfd >= 0)
        CHY_IGNORE(chy_process_signal(&door->tool, number, NULL)); /* it may just have ended */
}

static enum chy_err program_start(struct chy_exec_door *door, const struct chy_exec_plan *plan,
                                  struct chy_error *err)
{
    const char **argv = chy_arena_array(door->options.arena, const char *, plan->argv.n + 1);
    if (argv == NULL)
        return no_memory(err);
    for (size_t i = 0; i < plan->argv.n; i++)
        argv[i] = plan->argv.p[i].p; /* words of argv and of the arena end with NUL */
    struct chy_program program = { .argv = argv, .env = plan->env };
    for (; program.n_kept < door->run.n_locks; program.n_kept++)
        program.kept[program.n_kept] = door->run.locks[program.n_kept];
    if (door->run.output_fd < 0)
        return chy_program_start(&program, &door->tool, err);
    return chy_program_start_quiet(&program, door->run.output_fd, &door->tool, err);
}

enum chy_err chy_exec_door_start(struct chy_exec_door *door, const struct chy_exec_plan *plan,
                                 const struct chy_exec_start *run, struct chy_error *err)
{
    struct chy_channel_handler handler = { on_frame, on_close, door };
    door->run = *run;
    door->end = (struct chy_deferred){ .fn = on_done, .ctx = door };
    door->report.tool = plan->argv.p[0];
    CHY_TRY(chy_timer_new(run->loop, on_timeout, door, &door->timer, err));
    CHY_TRY(chy_channel_attach(door->agent, run->loop, &handler, err));
    CHY_TRY(program_start(door, plan, err));
    return chy_watch_new(run->loop, door->tool.pidfd, EPOLLIN, on_tool_end, door, &door->watch,
                         err);
}

enum chy_err chy_exec_door_result(struct chy_exec_door *door, struct chy_exec_report *ret_report,
                                  struct chy_error *err)
{
    if (door->failed != CHY_OK)
        return chy_fail(err, door->failed, "%s", door->error.text);
    door->report.signatures.p = door->events;
    door->report.signatures.n = door->n_events;
    *ret_report = door->report;
    return CHY_OK;
}
