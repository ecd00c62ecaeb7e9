/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/exec.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/program.h"
#include "os/socket.h"

#define SOON_US    ((int64_t)10000000) /* for an agent to answer what needs no server */
#define SEND_BYTES 65536               /* requests of ours that wait: they are a few */

struct chy_exec_door {
    struct chy_exec_door_options options;
    struct chy_process helper;
    struct chy_channel *control; /* of the helper; closing it ends it */
    struct chy_channel *agent;
    struct chy_loop *loop;
    struct chy_timer *timer;
    struct chy_watch *watch; /* of the tool's end */
    struct chy_process tool;
    bool is_waiting; /* the tool has ended; UNWATCHED is awaited */
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

static enum chy_err send(struct chy_channel *channel, uint16_t type, uint64_t id,
                         const struct chy_schema *schema, const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(schema, value, &body, err));
    struct chy_frame frame = { type, id, chy_buf_bytes(&body) };
    return chy_channel_send(channel, &frame, err);
}

static enum chy_err tell_failure(const struct chy_frame *frame, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_failure failure;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_decode(&chy_door_failure_schema, frame->body, &arena, &failure, err));
    int code = failure.code <= INT16_MAX ? -(int)failure.code : 0;
    if (code == 0 || !chy_err_is_known(code))
        code = CHY_E_INTERNAL;
    return chy_fail(err, (enum chy_err)code, "%.*s", CHY_STR_ARG(failure.text));
}

/* Ask and wait for the answer, which has no content that matters here. */
static enum chy_err ask(struct chy_channel *channel, uint16_t type, const struct chy_schema *schema,
                        const void *value, uint16_t answer, struct chy_error *err)
{
    int64_t deadline = chy_clock_monotonic_us() + SOON_US;
    struct chy_frame frame;
    CHY_TRY(send(channel, type, 1, schema, value, err));
    CHY_TRY(chy_channel_receive_wait(channel, deadline, &frame, err));
    if (frame.type == CHY_DOOR_FAILED)
        return tell_failure(&frame, err);
    if (frame.type != answer || frame.id != 1)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent answered %u, expected %u", frame.type,
                        answer);
    return CHY_OK;
}

/* A variable for the helper alone; what was there before is put back. */
struct lent {
    const char *name;
    struct chy_str value;
    char *before;
};

static void lend(struct lent *l, struct chy_arena *arena)
{
    const char *old = secure_getenv(l->name);
    struct chy_str value = chy_arena_str(arena, l->value);
    if (l->value.n == 0 || value.p == NULL)
        return;
    l->before = old != NULL ? chy_strdup(chy_str_of(old)) : NULL;
    CHY_IGNORE(setenv(l->name, value.p, 1)); /* NOLINT: there is one thread */
}

static void take_back(struct lent *l)
{
    if (l->value.n == 0)
        return;
    if (l->before != NULL)
        CHY_IGNORE(setenv(l->name, l->before, 1)); /* NOLINT: there is one thread */
    else
        CHY_IGNORE(unsetenv(l->name)); /* NOLINT: there is one thread */
    chy_free(l->before);
}

/* Its login is ours: what names it, and how the server is reached. */
static enum chy_err spawn(struct chy_exec_door *door, int fd, struct chy_error *err)
{
    static const char *const keep[] = {
        "HOME",
        "PATH",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "TMPDIR",
        "LANG",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "ASAN_OPTIONS",
        "LSAN_OPTIONS",
        "UBSAN_OPTIONS",
        "TSAN_OPTIONS",
        "CHANCERY_URL",
        "CHANCERY_CA",
        "CHANCERY_CERT",
        "CHANCERY_KEY",
        "CHANCERY_TOKEN",
        "CHANCERY_TOKEN_FILE",
        "CHANCERY_PROFILE",
        NULL,
    };
    const struct chy_exec_door_options *o = &door->options;
    struct lent lent[] = {
        { "CHANCERY_TOKEN", chy_str_of(o->token), NULL },
        { "CHANCERY_PROFILE", o->profile, NULL },
        { "CHANCERY_URL", o->url, NULL },
    };
    struct chy_process_spec spec = {
        .role = CHY_DOOR_HELPER_ROLE,
        .fds = &fd,
        .fd_count = 1,
        .is_silent = true, /* the terminal is the tool's */
        .env_keep = keep,
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lent); i++)
        lend(&lent[i], o->arena);
    enum chy_err r = chy_process_spawn(&spec, &door->helper, err);
    for (size_t i = 0; i < CHY_ARRAY_LEN(lent); i++)
        take_back(&lent[i]);
    return r;
}

static enum chy_err channel_of(int *fd, struct chy_channel **ret_channel, struct chy_error *err)
{
    struct chy_channel_options options = { .send_limit_bytes = SEND_BYTES };
    CHY_TRY(chy_channel_new(*fd, &options, ret_channel, err));
    *fd = -1;
    return CHY_OK;
}

static enum chy_err helper_start(struct chy_exec_door *door, struct chy_error *err)
{
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int its = pair[1];
    CHY_TRY(spawn(door, its, err));
    chy_fd_closep(&its);
    CHY_TRY(channel_of(&ours, &door->control, err));
    struct chy_door_listen listen = { .path = door->options.socket };
    enum chy_err r = ask(door->control, CHY_DOOR_LISTEN, &chy_door_listen_schema, &listen,
                         CHY_DOOR_LISTENING, err);
    if (r == CHY_E_NOT_FOUND && !chy_channel_is_open(door->control))
        return chy_fail(err, CHY_E_STATE, "the helper ended at once");
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "the helper does not start");
}

static enum chy_err agent_connect(struct chy_exec_door *door, struct chy_error *err)
{
    struct chy_str path = door->options.socket;
    struct chy_str address = chy_arena_printf(door->options.arena, "unix:%.*s", CHY_STR_ARG(path));
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_socket_cred cred;
    if (address.p == NULL)
        return no_memory(err);
    enum chy_err r = chy_socket_connect(address, chy_clock_monotonic_us() + SOON_US, &fd, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "no agent at %.*s", CHY_STR_ARG(path));
    CHY_TRY(chy_socket_peer_cred(fd, &cred, err));
    if (cred.uid != geteuid() && cred.uid != 0)
        return chy_fail(err, CHY_E_FORBIDDEN, "the agent at %.*s is of user %u, not of yours",
                        CHY_STR_ARG(path), (unsigned)cred.uid);
    return channel_of(&fd, &door->agent, err);
}

static enum chy_err greet(struct chy_exec_door *door, struct chy_error *err)
{
    struct chy_door_hello hello = {
        .version = CHY_DOOR_VERSION,
        .software = CHY_STR("chancery exec " CHY_VERSION),
    };
    struct chy_door_watch watch = { .tag = { door->options.tag, CHY_ID_BYTES } };
    CHY_TRY(
        ask(door->agent, CHY_DOOR_HELLO, &chy_door_hello_schema, &hello, CHY_DOOR_WELCOME, err));
    return ask(door->agent, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING, err);
}

void chy_exec_door_close(struct chy_exec_door *door)
{
    if (door == NULL)
        return;
    chy_watch_free(door->watch);
    chy_channel_free(door->agent);
    chy_channel_free(door->control);
    chy_timer_free(door->timer);
    chy_loop_free(door->loop);
    chy_process_endp(&door->helper); /* of the process that was started; the helper left it */
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
    door->helper = door->tool = (struct chy_process){ -1, -1 };
    if (options->is_helper)
        CHY_TRY(helper_start(door, err));
    CHY_TRY(agent_connect(door, err));
    CHY_TRY(greet(door, err));
    *ret_door = CHY_TAKE(door);
    return CHY_OK;
}

/* --- while it runs --- */

static void give_up(struct chy_exec_door *door, enum chy_err r)
{
    if (door->failed == CHY_OK)
        door->failed = r;
    chy_loop_stop(door->loop);
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
        chy_loop_stop(door->loop);
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
        chy_loop_stop(door->loop);
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
        give_up(door, r);
        return;
    }
    door->report.exit_code = (uint32_t)(end.was_signal ? 128 + end.value : end.value);
    door->is_waiting = true;
    chy_timer_set(door->timer, chy_clock_monotonic_us() + SOON_US);
    if (!chy_channel_is_open(door->agent))
        chy_loop_stop(door->loop);
    else if (send(door->agent, CHY_DOOR_STATUS, 2, &chy_empty_schema, &nothing, &door->error) !=
                 CHY_OK ||
             send(door->agent, CHY_DOOR_UNWATCH, 3, &chy_empty_schema, &nothing, &door->error) !=
                 CHY_OK)
        lose_agent(door, door->error.text);
}

static void hand_on(struct chy_exec_door *door, int number)
{
    if (door->tool.pidfd >= 0)
        CHY_IGNORE(chy_process_signal(&door->tool, number, NULL)); /* it may just have ended */
}

static void on_terminate(void *ctx)
{
    hand_on(ctx, SIGTERM);
}

static void on_hangup(void *ctx)
{
    hand_on(ctx, SIGHUP);
}

static void on_user_1(void *ctx)
{
    hand_on(ctx, SIGUSR1);
}

static void on_user_2(void *ctx)
{
    hand_on(ctx, SIGUSR2);
}

/* The keyboard's signals reach the tool by themselves: once is enough. */
static void on_interrupt(void *ctx)
{
    if (!chy_program_has_keyboard())
        hand_on(ctx, SIGINT);
}

static void on_quit(void *ctx)
{
    if (!chy_program_has_keyboard())
        hand_on(ctx, SIGQUIT);
}

static enum chy_err watch_signals(struct chy_exec_door *door, struct chy_error *err)
{
    static const struct {
        int number;
        chy_loop_fn *fn;
    } rows[] = {
        { SIGTERM, on_terminate }, { SIGHUP, on_hangup },    { SIGUSR1, on_user_1 },
        { SIGUSR2, on_user_2 },    { SIGINT, on_interrupt }, { SIGQUIT, on_quit },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        CHY_TRY(chy_loop_signal(door->loop, rows[i].number, rows[i].fn, door, err));
    return CHY_OK;
}

static enum chy_err start(struct chy_exec_door *door, const struct chy_exec_plan *plan,
                          struct chy_error *err)
{
    const char **argv = chy_arena_array(door->options.arena, const char *, plan->argv.n + 1);
    struct chy_channel_handler handler = { on_frame, on_close, door };
    if (argv == NULL)
        return no_memory(err);
    for (size_t i = 0; i < plan->argv.n; i++)
        argv[i] = plan->argv.p[i].p; /* words of argv and of the arena end with NUL */
    CHY_TRY(chy_loop_new(&door->loop, err));
    CHY_TRY(chy_timer_new(door->loop, on_timeout, door, &door->timer, err));
    CHY_TRY(watch_signals(door, err));
    CHY_TRY(chy_channel_attach(door->agent, door->loop, &handler, err));
    CHY_TRY(chy_program_start(argv, plan->env, &door->tool, err));
    return chy_watch_new(door->loop, door->tool.pidfd, EPOLLIN, on_tool_end, door, &door->watch,
                         err);
}

enum chy_err chy_exec_door_run(struct chy_exec_door *door, const struct chy_exec_plan *plan,
                               struct chy_exec_report *ret_report, struct chy_error *err)
{
    door->report.tool = plan->argv.p[0];
    CHY_TRY(start(door, plan, err));
    CHY_TRY(chy_loop_run(door->loop, err));
    if (door->failed != CHY_OK)
        return chy_fail(err, door->failed, "%s", door->error.text);
    door->report.signatures.p = door->events;
    door->report.signatures.n = door->n_events;
    *ret_report = door->report;
    return CHY_OK;
}
