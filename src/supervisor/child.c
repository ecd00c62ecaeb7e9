/* SPDX-License-Identifier: MIT */
#include "supervisor/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#define MS            INT64_C(1000)
#define WAIT_FIRST_US (100 * MS)
#define WAIT_LAST_US  (5000 * MS)
#define LIVED_LONG_US (30000 * MS) /* after such a life the next death is a first one again */
#define CLOSED_US     (1000 * MS)  /* from the close of its channel to its end */
#define TRACED_US     (100 * MS)   /* then look again whether it can be collected */
#define SEND_BYTES    ((size_t)4 * 1048576) /* frames to a child are small: settings, names */
#define FRAME_ARENA   65536

static const char *role_of(enum chy_process_kind process)
{
    switch (process) {
    case CHY_PROCESS_FRONT:
        return "@front";
    case CHY_PROCESS_QUERY:
        return "@query";
    case CHY_PROCESS_INSPECT:
        return "@inspect";
    case CHY_PROCESS_SIGNER:
        return "@signer";
    case CHY_PROCESS_TOKEN:
        return "@token";
    case CHY_PROCESS_SUPERVISOR:
    default:
        return NULL;
    }
}

/* --- its end --- */

/* After it has ended: nothing of it is left but the struct. */
static void child_clear(struct child *child)
{
    chy_watch_freep(&child->watch);
    chy_channel_freep(&child->channel);
    chy_process_endp(&child->process);
    chy_timer_clear(child->timer);
    child->state = CHILD_DOWN;
    child->is_draining = false;
    child->is_killed = false;
    child->is_traced = false;
}

static void wait_and_start(struct child *child)
{
    int64_t now = chy_clock_monotonic_us();
    if (child->wait_us == 0 || now - child->started_us >= LIVED_LONG_US)
        child->wait_us = WAIT_FIRST_US;
    else
        child->wait_us = CHY_MIN(2 * child->wait_us, WAIT_LAST_US);
    chy_log(child->log, CHY_LOG_NOTICE, "process.waits", CHY_L_CSTR("process", child->name),
            CHY_L_I64("wait_ms", child->wait_us / MS));
    chy_timer_set(child->timer, now + child->wait_us);
}

/* Ended, and in the hands of a debugger: its pidfd would tell so without end. */
static void wait_for_tracer(struct child *child)
{
    child->is_traced = true;
    CHY_IGNORE(chy_watch_modify(child->watch, 0, NULL)); /* else we only look more often */
    chy_timer_set(child->timer, chy_clock_monotonic_us() + TRACED_US);
}

static void on_process_end(void *ctx, uint32_t events)
{
    struct child *child = ctx;
    (void)events;
    struct chy_process_end end;
    struct chy_error error;
    pid_t pid = child->process.pid;
    enum chy_err r = chy_process_wait(&child->process, 0, &end, &error);
    if (r == CHY_E_TIMEOUT) {
        wait_for_tracer(child);
        return;
    }
    if (r != CHY_OK) {
        chy_log(child->log, CHY_LOG_ERROR, "process.lost", CHY_L_CSTR("process", child->name),
                CHY_L_ERR(&error));
        return;
    }
    char text[CHY_PROCESS_END_TEXT_BYTES];
    chy_process_end_text(end, text);
    bool is_wanted = child->is_killed || (child->is_draining && !end.was_signal && end.value == 0);
    chy_log(child->log, is_wanted ? CHY_LOG_INFO : CHY_LOG_ERROR, "process.ended",
            CHY_L_CSTR("process", child->name), CHY_L_I64("child", pid), CHY_L_CSTR("how", text));
    child_clear(child);
    if (child->events->on_end(child->events->ctx, child, end))
        wait_and_start(child);
}

void child_kill(struct child *child)
{
    struct chy_error error;
    child->is_killed = child_is_running(child);
    if (child->is_killed && chy_process_signal(&child->process, SIGKILL, &error) != CHY_OK)
        chy_log(child->log, CHY_LOG_ERROR, "process.unkillable", CHY_L_CSTR("process", child->name),
                CHY_L_ERR(&error));
}

/* --- its messages --- */

static void protocol_broken(struct child *child, const struct chy_error *error)
{
    chy_log(child->log, CHY_LOG_ERROR, "process.misbehaves", CHY_L_CSTR("process", child->name),
            CHY_L_ERR(error));
    child_kill(child);
}

static enum chy_err ready_take(struct child *child, const struct chy_frame *frame,
                               struct chy_arena *arena, struct chy_error *err)
{
    struct chy_ready ready;
    CHY_TRY(chy_schema_decode(&chy_ready_schema, frame->body, arena, &ready, err));
    if (child->state != CHILD_STARTING)
        return chy_fail(err, CHY_E_PROTOCOL, "it said twice that it is ready");
    child->state = CHILD_READY;
    if (!child->is_traced)
        chy_timer_clear(child->timer);
    chy_log(child->log, CHY_LOG_INFO, "process.ready", CHY_L_CSTR("process", child->name),
            CHY_L_I64("child", child->process.pid), CHY_L_STR("text", ready.text));
    child->events->on_ready(child->events->ctx, child);
    return CHY_OK;
}

static enum chy_err hung_take(struct child *child, const struct chy_frame *frame,
                              struct chy_arena *arena, struct chy_error *err)
{
    struct chy_peer peer;
    CHY_TRY(chy_schema_decode(&chy_peer_schema, frame->body, arena, &peer, err));
    child->events->on_hung(child->events->ctx, child, &peer);
    return CHY_OK;
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct child *child = ctx;
    (void)channel;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, FRAME_ARENA);
    struct chy_error error;
    enum chy_err r;
    if (frame->type == CHY_MSG_READY)
        r = ready_take(child, frame, &arena, &error);
    else if (frame->type == CHY_MSG_HUNG)
        r = hung_take(child, frame, &arena, &error);
    else
        r = chy_fail(&error, CHY_E_PROTOCOL, "it sent a frame of type %u", frame->type);
    if (r != CHY_OK)
        protocol_broken(child, &error);
}

/* Its end is told by the pidfd; one that lives on without its channel is of no use. */
static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    struct child *child = ctx;
    (void)channel;
    if (why != CHY_OK)
        protocol_broken(child, error);
    else if (!child->is_draining)
        chy_timer_set(child->timer, chy_clock_monotonic_us() + CLOSED_US);
}

enum chy_err child_send(struct child *child, enum chy_msg type, const struct chy_schema *schema,
                        const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(schema, value, &body, err));
    struct chy_frame frame = { .type = (uint16_t)type, .body = chy_buf_bytes(&body) };
    return chy_channel_send(child->channel, &frame, err);
}

enum chy_err child_send_fd(struct child *child, enum chy_msg type, const struct chy_schema *schema,
                           const void *value, int fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(schema, value, &body, err));
    struct chy_frame frame = { .type = (uint16_t)type, .body = chy_buf_bytes(&body) };
    return chy_channel_send_fds(child->channel, &frame, &fd, 1, err);
}

void child_drain(struct child *child)
{
    if (!child_is_running(child) || child->is_draining)
        return;
    child->is_draining = true;
    struct chy_empty empty = { .unused = false };
    struct chy_error error;
    if (child_send(child, CHY_MSG_DRAIN, &chy_empty_schema, &empty, &error) != CHY_OK)
        protocol_broken(child, &error);
}

/* --- its start --- */

bool child_is_running(const struct child *child)
{
    return child->process.pidfd >= 0;
}

/* A copy of the supervisor's environment would hand on whatever the administrator's shell had. */
static const char *const environment_kept[] = {
    "SOFTHSM2_CONF",
    "GLIBC_TUNABLES",
    "ASAN_OPTIONS",
    "LSAN_OPTIONS",
    "TSAN_OPTIONS",
    "UBSAN_OPTIONS",
    "JOURNAL_STREAM", /* tells the log that its lines go to the journal */
    NULL,
};

/* A signature in SoftHSM and OpenSSL allocates and frees hundreds of small pieces, more of a size
 * than glibc keeps at hand (7): with 127 a P-256 signature takes a tenth less
 * (docs/performance.md). Other C libraries do not read it. */
#define HEAP_TUNABLES "glibc.malloc.tcache_count=127"

static enum chy_err process_spawn(struct child *child, int channel_fd, struct chy_error *err)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): the supervisor has one thread */
    if (setenv("GLIBC_TUNABLES", HEAP_TUNABLES, 1) != 0 ||
        (child->environment != NULL && setenv("SOFTHSM2_CONF", child->environment, 1) != 0))
        return chy_fail(err, CHY_E_NOMEM, "out of memory for an environment");
    /* NOLINTEND(concurrency-mt-unsafe) */
    struct chy_process_spec spec = {
        .role = child->role,
        .fds = &channel_fd,
        .fd_count = 1,
        .env_keep = environment_kept,
    };
    enum chy_err r = chy_process_spawn(&spec, &child->process, err);
    CHY_IGNORE(unsetenv("SOFTHSM2_CONF")); /* NOLINT: one thread; fails only for odd names */
    return r;
}

static enum chy_err process_begin(struct child *child, struct chy_error *err)
{
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int theirs = pair[1];
    CHY_TRY(process_spawn(child, theirs, err));
    struct chy_channel_options options = { .send_limit_bytes = SEND_BYTES, .takes_fds = false };
    CHY_TRY(chy_channel_new(ours, &options, &child->channel, err));
    chy_fd_take(&ours);
    struct chy_channel_handler handler = { on_frame, on_close, child };
    CHY_TRY(chy_channel_attach(child->channel, child->loop, &handler, err));
    CHY_TRY(chy_watch_new(child->loop, child->process.pidfd, EPOLLIN, on_process_end, child,
                          &child->watch, err));
    return child->events->on_start(child->events->ctx, child, err);
}

enum chy_err child_start(struct child *child, struct chy_error *err)
{
    child->started_us = chy_clock_monotonic_us();
    enum chy_err r = process_begin(child, err);
    if (r != CHY_OK) {
        child_clear(child);
        return r;
    }
    child->state = CHILD_STARTING;
    chy_timer_set(child->timer, child->started_us + CHY_LIMIT_START_MS * MS);
    return CHY_OK;
}

static void on_timer(void *ctx)
{
    struct child *child = ctx;
    if (child->is_traced) {
        on_process_end(child, EPOLLIN);
        return;
    }
    if (child_is_running(child) && !chy_channel_is_open(child->channel)) {
        child_kill(child);
        return;
    }
    if (child->state == CHILD_STARTING) {
        chy_log(child->log, CHY_LOG_ERROR, "process.not_ready", CHY_L_CSTR("process", child->name),
                CHY_L_I64("waited_ms", CHY_LIMIT_START_MS));
        child_kill(child);
        return;
    }
    struct chy_error error;
    if (child->state == CHILD_DOWN && child_start(child, &error) != CHY_OK) {
        chy_log(child->log, CHY_LOG_ERROR, "process.not_started",
                CHY_L_CSTR("process", child->name), CHY_L_ERR(&error));
        wait_and_start(child);
    }
}

enum chy_err child_init(struct child *child, struct chy_loop *loop, struct chy_log *log,
                        const struct child_events *events, const struct chy_peer *who,
                        const char *environment, struct chy_error *err)
{
    *child = (struct child){
        .loop = loop,
        .log = log,
        .events = events,
        .who = *who,
        .role = role_of(who->process),
        .environment = environment,
        .process = { -1, -1 },
    };
    const char *name = chy_enum_name(&chy_process_enum, (int)who->process);
    if (who->process == CHY_PROCESS_TOKEN)
        (void)snprintf(child->name, sizeof child->name, "%s %.*s %u", name, CHY_STR_ARG(who->token),
                       who->worker);
    else
        (void)snprintf(child->name, sizeof child->name, "%s", name);
    return chy_timer_new(loop, on_timer, child, &child->timer, err);
}

void child_done(struct child *child)
{
    if (child->timer == NULL)
        return;
    child_clear(child);
    chy_timer_freep(&child->timer);
}

/* --- links --- */

void link_reset(struct link *link)
{
    chy_fd_closep(&link->fds[0]);
    chy_fd_closep(&link->fds[1]);
    link->is_made = false;
}

/* An end whose channel breaks is about to be collected, and the link with it: that is no
 * failure. */
static enum chy_err end_hand_over(struct link *link, size_t i, bool *ret_is_done,
                                  struct chy_error *err)
{
    if (link->fds[i] < 0)
        return CHY_OK;
    struct child *to = link->ends[i];
    enum chy_err r = child_send_fd(to, CHY_MSG_PEER, &chy_peer_schema, &link->ends[1 - i]->who,
                                   link->fds[i], err);
    if (r == CHY_E_BUSY) {
        *ret_is_done = false;
        return CHY_OK;
    }
    if (r != CHY_OK && r != CHY_E_STATE)
        return r;
    chy_fd_closep(&link->fds[i]);
    return CHY_OK;
}

enum chy_err link_advance(struct link *link, bool *ret_is_done, struct chy_error *err)
{
    if (!child_is_running(link->ends[0]) || !child_is_running(link->ends[1]))
        return CHY_OK;
    if (!link->is_made) {
        CHY_TRY(chy_socket_pair(link->fds, err));
        link->is_made = true;
    }
    CHY_TRY(end_hand_over(link, 0, ret_is_done, err));
    return end_hand_over(link, 1, ret_is_done, err);
}
