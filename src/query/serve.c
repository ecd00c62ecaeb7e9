/* SPDX-License-Identifier: MIT */
/* The process: its start, its peers, its end. */
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/init.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "policy/zone.h"
#include "query/call.h"
#include "query/query.h"
#include "query/status.h"

#define START_US      INT64_C(60000000) /* for the supervisor to send the configuration */
#define LAST_WORDS_US INT64_C(2000000)  /* for peers to take our last frames */
#define OPEN_RETRY_US INT64_C(100000)   /* until the signer has made the store */
#define SEND_LIMIT    (4 * (size_t)CHY_LIMIT_FRAME)
#define MAX_FILES     64 /* store, its two side files, the anchor, time zones, sockets */

static void stop(struct query *q, int exit_code)
{
    q->exit_code = exit_code;
    chy_loop_stop(q->loop);
}

/* --- peers --- */

static void front_close(struct query *q)
{
    chy_channel_free(q->front);
    q->front = NULL;
    query_front_gone(q);
}

static void inspect_close(struct query *q)
{
    chy_channel_free(q->inspect);
    q->inspect = NULL;
    query_inspect_gone(q);
}

static void peer_close(struct query *q, const struct chy_channel *channel)
{
    if (channel == q->front)
        front_close(q);
    else
        inspect_close(q);
}

static void on_peer_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct query *q = ctx;
    if (channel == q->front && frame->type == CHY_MSG_CALL) {
        query_call_begin(q, frame);
    } else if (channel == q->front && frame->type == CHY_MSG_STATUS) {
        query_status_reply(q, frame->id);
    } else if (channel == q->inspect && frame->type == CHY_MSG_INSPECT_REPLY) {
        query_inspect_reply(q, frame);
    } else {
        chy_log(&q->log, CHY_LOG_ERROR, "peer.bad_frame",
                CHY_L_CSTR("peer", channel == q->front ? "front" : "inspect"),
                CHY_L_U64("type", frame->type));
        peer_close(q, channel);
    }
}

static void on_peer_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                          const struct chy_error *error)
{
    struct query *q = ctx;
    if (why != CHY_OK)
        chy_log(&q->log, CHY_LOG_ERROR, "peer.failed",
                CHY_L_CSTR("peer", channel == q->front ? "front" : "inspect"), CHY_L_ERR(error));
    peer_close(q, channel);
}

static enum chy_err peer_connect(struct query *q, int from, struct chy_channel **to,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = from;
    const struct chy_channel_options options = { .send_limit_bytes = SEND_LIMIT };
    const struct chy_channel_handler handler = { on_peer_frame, on_peer_close, q };
    CHY_TRY(chy_channel_new(fd, &options, to, err));
    fd = -1;
    return chy_channel_attach(*to, q->loop, &handler, err);
}

static enum chy_err peer_take(struct query *q, const struct chy_frame *frame, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_PATH);
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(q->supervisor);
    struct chy_peer peer;
    CHY_TRY(chy_schema_decode(&chy_peer_schema, frame->body, &arena, &peer, err));
    if (fd >= 0 && peer.process == CHY_PROCESS_FRONT) {
        front_close(q);
        return peer_connect(q, chy_fd_take(&fd), &q->front, err);
    }
    if (fd >= 0 && peer.process == CHY_PROCESS_INSPECT) {
        inspect_close(q);
        return peer_connect(q, chy_fd_take(&fd), &q->inspect, err);
    }
    return chy_fail(err, CHY_E_PROTOCOL, "query's peers are front and inspect, on a socket");
}

/* --- the supervisor --- */

static enum chy_err supervisor_frame(struct query *q, const struct chy_frame *frame,
                                     struct chy_error *err)
{
    if (frame->type == CHY_MSG_PEER)
        return peer_take(q, frame, err);
    if (frame->type != CHY_MSG_DRAIN)
        return chy_fail(err, CHY_E_PROTOCOL, "the supervisor sent a frame of type %u out of turn",
                        frame->type);
    q->is_draining = true;
    return CHY_OK;
}

static void on_supervisor_frame(void *ctx, struct chy_channel *channel,
                                const struct chy_frame *frame)
{
    struct query *q = ctx;
    struct chy_error err;
    (void)channel;
    if (supervisor_frame(q, frame, &err) == CHY_OK)
        return;
    chy_log(&q->log, CHY_LOG_ERROR, "query.protocol", CHY_L_ERR(&err));
    stop(q, QUERY_EXIT_TROUBLE);
}

static void on_supervisor_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                                const struct chy_error *error)
{
    (void)channel;
    (void)why;
    (void)error;
    stop(ctx, QUERY_EXIT_TROUBLE); /* nobody is left to tell */
}

static void before_sleep(void *ctx)
{
    struct query *q = ctx;
    if (q->is_draining && q->waiting == NULL)
        stop(q, QUERY_EXIT_DRAINED);
}

/* --- the store --- */

static enum chy_err ready_send(struct query *q, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    const struct chy_ready ready = { .text = CHY_STR("the store is open for reading") };
    CHY_TRY(chy_schema_encode(&chy_ready_schema, &ready, &body, err));
    struct chy_frame frame = { .type = CHY_MSG_READY, .body = chy_buf_bytes(&body) };
    return chy_channel_send(q->supervisor, &frame, err);
}

/* The signer makes the store and brings it up to date: until then it is not there, too old, or
 * lacks the side files that only a writer can make. */
static void store_try(void *ctx)
{
    struct query *q = ctx;
    struct chy_error err;
    enum chy_err r = chy_store_open(q->config.store.p, CHY_STORE_READ, &q->store, &err);
    /* Whoever asks for a key by its id should not have to wait for it: a module has 50 ms. */
    if (r == CHY_OK)
        r = query_key_ids_read(&q->key_ids, q->store, &err);
    if (r == CHY_OK)
        r = ready_send(q, &err);
    if (r == CHY_OK)
        return;
    if (r != q->open_error.code)
        chy_log(&q->log, r == CHY_E_UNSUPPORTED ? CHY_LOG_ERROR : CHY_LOG_NOTICE, "store.awaited",
                CHY_L_ERR(&err));
    q->open_error = err;
    chy_store_closep(&q->store);
    chy_timer_set(q->open_timer, chy_clock_monotonic_us() + OPEN_RETRY_US);
}

/* --- start --- */

static enum chy_log_level log_level(struct chy_str name)
{
    static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
    for (int i = 0; i < (int)CHY_ARRAY_LEN(names); i++)
        if (chy_str_equal_c(name, names[i]))
            return (enum chy_log_level)(CHY_LOG_ERROR + i);
    return CHY_LOG_NOTICE;
}

/* A copy whose texts end in NUL, as paths must. */
static enum chy_err config_take(struct query *q, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_frame frame;
    struct chy_query_config config;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(
        chy_channel_receive_wait(q->supervisor, chy_clock_monotonic_us() + START_US, &frame, err));
    if (frame.type != CHY_MSG_CONFIG)
        return chy_fail(err, CHY_E_PROTOCOL, "the first frame is of type %u, not the configuration",
                        frame.type);
    CHY_TRY(chy_schema_decode(&chy_query_config_schema, frame.body, &arena, &config, err));
    q->config = (struct chy_query_config){
        .version = chy_arena_str(&q->config_arena, config.version),
        .store = chy_arena_str(&q->config_arena, config.store),
        .anchor = chy_arena_str(&q->config_arena, config.anchor),
        .origin = chy_arena_str(&q->config_arena, config.origin),
        .log_level = chy_arena_str(&q->config_arena, config.log_level),
        .user = chy_arena_str(&q->config_arena, config.user),
    };
    if (q->config.version.p == NULL || q->config.store.p == NULL || q->config.anchor.p == NULL ||
        q->config.origin.p == NULL || q->config.log_level.p == NULL || q->config.user.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the configuration");
    q->log.level = log_level(q->config.log_level);
    return CHY_OK;
}

/* "/a/b/c" gives "/a/b". NULL when there is no memory. */
static const char *folder_of(struct chy_str path, struct chy_arena *arena)
{
    size_t n = path.n;
    while (n > 1 && path.p[n - 1] != '/')
        n--;
    return chy_arena_str(arena, (struct chy_str){ path.p, n > 1 ? n - 1 : n }).p;
}

static enum chy_err enter_sandbox(struct query *q, struct chy_error *err)
{
    const char *store = folder_of(q->config.store, &q->config_arena);
    const char *anchor = folder_of(q->config.anchor, &q->config_arena);
    if (store == NULL || anchor == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the sandbox");
    const struct chy_sandbox_path paths[] = {
        { store, CHY_PATH_READ, false },
        { anchor, CHY_PATH_READ, false },
        { CHY_ZONE_FOLDER, CHY_PATH_READ, true },
    };
    const struct chy_sandbox sandbox = {
        .name = "query",
        .user = q->config.user.n > 0 ? q->config.user.p : NULL,
        .max_files = MAX_FILES,
        .limits_files = true,
        .paths = paths,
        .path_count = CHY_ARRAY_LEN(paths),
        .limits_calls = true,
        .calls = CHY_CALLS_READ_FILES,
    };
    struct chy_sandbox_result result;
    CHY_TRY(chy_sandbox_enter(&sandbox, &result, err));
    chy_log(&q->log, CHY_LOG_INFO, "query.sandbox", CHY_L_BOOL("seccomp", result.limits_calls),
            CHY_L_I64("landlock_abi", result.landlock_abi), CHY_L_BOOL("loose", result.is_loose));
    return CHY_OK;
}

static enum chy_err query_start(struct query *q, struct chy_error *err)
{
    const struct chy_channel_options options = { .send_limit_bytes = SEND_LIMIT,
                                                 .takes_fds = true };
    const struct chy_channel_handler handler = { on_supervisor_frame, on_supervisor_close, q };
    CHY_TRY(chy_process_inherit(1, err));
    CHY_TRY(chy_crypto_init(err));
    CHY_TRY(chy_channel_new(CHY_SUPERVISOR_FD, &options, &q->supervisor, err));
    CHY_TRY(config_take(q, err));
    CHY_TRY(enter_sandbox(q, err));
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &q->hasher, err));
    CHY_TRY(chy_loop_new(&q->loop, err));
    CHY_TRY(chy_timer_new(q->loop, store_try, q, &q->open_timer, err));
    chy_loop_set_before_sleep(q->loop, before_sleep, q);
    CHY_TRY(chy_channel_attach(q->supervisor, q->loop, &handler, err));
    store_try(q);
    return CHY_OK;
}

static void last_words(struct chy_channel *channel)
{
    if (channel != NULL && chy_channel_is_open(channel))
        /* Who does not take them in time does without. */
        CHY_IGNORE(chy_channel_flush_wait(channel, chy_clock_monotonic_us() + LAST_WORDS_US, NULL));
}

static void query_end(struct query *q)
{
    last_words(q->front);
    query_front_gone(q);
    chy_channel_free(q->front);
    chy_channel_free(q->inspect);
    chy_channel_free(q->supervisor);
    chy_timer_free(q->open_timer);
    chy_policy_rules_free(q->policy.rules);
    query_key_ids_done(&q->key_ids);
    chy_tlog_tree_free(q->tree);
    chy_hasher_free(q->hasher);
    chy_anchor_close(q->anchor);
    chy_store_close(q->store);
    chy_loop_free(q->loop);
    chy_arena_done(&q->config_arena);
}

int chy_query_main(void)
{
    struct query q = { .exit_code = QUERY_EXIT_TROUBLE };
    struct chy_error err;
    chy_arena_init(&q.config_arena, 16 * CHY_LIMIT_PATH);
    chy_log_init(&q.log, STDERR_FILENO, CHY_LOG_NOTICE, "query", chy_log_is_journal(STDERR_FILENO));
    enum chy_err r = query_start(&q, &err);
    const char *event = r == CHY_OK ? "query.loop_failed" : "query.start_failed";
    if (r == CHY_OK)
        r = chy_loop_run(q.loop, &err);
    if (r != CHY_OK) {
        chy_log(&q.log, CHY_LOG_ERROR, event, CHY_L_ERR(&err));
        q.exit_code = QUERY_EXIT_TROUBLE;
    }
    query_end(&q);
    return q.exit_code;
}
