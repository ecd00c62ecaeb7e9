/* SPDX-License-Identifier: MIT */
#include "inspect/serve.h"

#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/init.h"
#include "inspect/inspect.h"
#include "inspect/reader.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sandbox.h"
#include "proto/role.h"

#define LAST_WORDS_US      INT64_C(2000000) /* for peers to take our last frames */
#define SEND_LIMIT         (4 * (size_t)CHY_LIMIT_FRAME)
#define TIMEOUT_MS_DEFAULT 5000
/* Each reader costs a socket and a pidfd. */
#define MAX_FILES (64 + 2 * CHY_LIMIT_INSPECT_READERS)

struct inspect {
    struct chy_log log;
    struct chy_arena arena; /* holds the configuration */
    struct chy_inspect_config config;
    struct chy_loop *loop;
    struct chy_channel *supervisor;
    struct chy_channel *peers[INSPECT_PEERS]; /* signer, query; NULL: not there */
    struct inspect_readers *readers;
    bool is_draining;
    int exit_code;
};

static const char *const peer_names[INSPECT_PEERS] = { "signer", "query" };

static void stop(struct inspect *in, int exit_code)
{
    in->exit_code = exit_code;
    chy_loop_stop(in->loop);
}

static void stop_if_drained(struct inspect *in)
{
    if (in->is_draining && inspect_readers_pending(in->readers) == 0)
        stop(in, INSPECT_EXIT_DRAINED);
}

/* --- peers --- */

static void peer_close(struct inspect *in, unsigned peer)
{
    chy_channel_free(in->peers[peer]);
    in->peers[peer] = NULL;
    inspect_readers_drop(in->readers, peer);
}

static void peer_failed(struct inspect *in, unsigned peer, const struct chy_error *err)
{
    chy_log(&in->log, CHY_LOG_ERROR, "peer.failed", CHY_L_CSTR("peer", peer_names[peer]),
            CHY_L_ERR(err));
    peer_close(in, peer);
}

static void on_reader_answer(void *ctx, unsigned peer, uint64_t id, struct chy_bytes body)
{
    struct inspect *in = ctx;
    struct chy_frame frame = { .type = CHY_MSG_INSPECT_REPLY, .id = id, .body = body };
    struct chy_error err;
    if (in->peers[peer] != NULL && chy_channel_send(in->peers[peer], &frame, &err) != CHY_OK)
        peer_failed(in, peer, &err);
}

static unsigned peer_of(const struct inspect *in, const struct chy_channel *channel)
{
    for (unsigned i = 0; i < INSPECT_PEERS; i++)
        if (in->peers[i] == channel)
            return i;
    chy_assert_failed("a frame of a known peer", CHY_WHERE);
}

static void on_peer_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct inspect *in = ctx;
    unsigned peer = peer_of(in, channel);
    struct chy_error err;
    if (frame->type == CHY_MSG_INSPECT) {
        inspect_readers_add(in->readers, peer, frame->id, frame->body);
        return;
    }
    chy_fail(&err, CHY_E_PROTOCOL, "a frame of type %u, expected a document", frame->type);
    peer_failed(in, peer, &err);
}

static void on_peer_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                          const struct chy_error *error)
{
    struct inspect *in = ctx;
    unsigned peer = peer_of(in, channel);
    if (why == CHY_OK)
        peer_close(in, peer);
    else
        peer_failed(in, peer, error);
}

static enum chy_err peer_take(struct inspect *in, const struct chy_frame *frame,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(in->supervisor);
    struct chy_peer who;
    CHY_TRY(chy_schema_decode(&chy_peer_schema, frame->body, &arena, &who, err));
    bool is_known = who.process == CHY_PROCESS_SIGNER || who.process == CHY_PROCESS_QUERY;
    if (!is_known || fd < 0)
        return chy_fail(err, CHY_E_PROTOCOL, "inspect's peers are signer and query, on a socket");
    unsigned peer = who.process == CHY_PROCESS_SIGNER ? 0 : 1;
    peer_close(in, peer);
    const struct chy_channel_options options = { .send_limit_bytes = SEND_LIMIT };
    const struct chy_channel_handler handler = { on_peer_frame, on_peer_close, in };
    CHY_TRY(chy_channel_new(fd, &options, &in->peers[peer], err));
    fd = -1;
    return chy_channel_attach(in->peers[peer], in->loop, &handler, err);
}

/* --- the supervisor --- */

static enum chy_err supervisor_frame(struct inspect *in, const struct chy_frame *frame,
                                     struct chy_error *err)
{
    if (frame->type == CHY_MSG_PEER)
        return peer_take(in, frame, err);
    if (frame->type != CHY_MSG_DRAIN)
        return chy_fail(err, CHY_E_PROTOCOL, "the supervisor sent a frame of type %u out of turn",
                        frame->type);
    in->is_draining = true;
    return CHY_OK;
}

static void on_supervisor_frame(void *ctx, struct chy_channel *channel,
                                const struct chy_frame *frame)
{
    struct inspect *in = ctx;
    struct chy_error err;
    (void)channel;
    if (supervisor_frame(in, frame, &err) == CHY_OK)
        return;
    chy_log(&in->log, CHY_LOG_ERROR, "inspect.protocol", CHY_L_ERR(&err));
    stop(in, INSPECT_EXIT_TROUBLE);
}

static void on_supervisor_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                                const struct chy_error *error)
{
    (void)channel;
    (void)why;
    (void)error;
    stop(ctx, INSPECT_EXIT_TROUBLE); /* nobody is left to tell */
}

static void before_sleep(void *ctx)
{
    stop_if_drained(ctx);
}

/* --- start --- */

static enum chy_err config_take(struct inspect *in, struct chy_error *err)
{
    CHY_TRY(
        chy_role_config(in->supervisor, &chy_inspect_config_schema, &in->arena, &in->config, err));
    in->log.level = chy_log_level_of(in->config.log_level);
    if (in->config.timeout_ms == 0)
        in->config.timeout_ms = TIMEOUT_MS_DEFAULT;
    return CHY_OK;
}

static enum chy_err enter_sandbox(struct inspect *in, struct chy_sandbox_result *ret_result,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *user = chy_strdup(in->config.user);
    if (user == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a user's name");
    const struct chy_sandbox sandbox = {
        .name = "inspect",
        .user = user[0] != '\0' ? user : NULL,
        .max_files = MAX_FILES,
        .limits_files = true,
        .limits_calls = true,
        .calls = CHY_CALLS_FORK | CHY_CALLS_SANDBOX,
    };
    return chy_sandbox_enter(&sandbox, ret_result, err);
}

static enum chy_err ready_send(struct inspect *in, const struct chy_sandbox_result *sandbox,
                               struct chy_error *err)
{
    struct chy_str text = chy_arena_printf(
        &in->arena, "up to %d readers of %u ms; seccomp %s, Landlock ABI %d%s",
        CHY_LIMIT_INSPECT_READERS, in->config.timeout_ms, sandbox->limits_calls ? "on" : "off",
        sandbox->landlock_abi, sandbox->is_loose ? ", loose build" : "");
    if (text.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a text");
    return chy_role_ready(in->supervisor, text, err);
}

static enum chy_err inspect_start(struct inspect *in, inspect_run_fn *run, struct chy_error *err)
{
    const struct chy_channel_handler handler = { on_supervisor_frame, on_supervisor_close, in };
    struct chy_sandbox_result sandbox;
    CHY_TRY(chy_role_open(SEND_LIMIT, &in->supervisor, err));
    /* Before the sandbox, and before the first fork: a reader needs nothing that is not there. */
    CHY_TRY(chy_crypto_init(err));
    CHY_TRY(config_take(in, err));
    CHY_TRY(enter_sandbox(in, &sandbox, err));
    CHY_TRY(chy_loop_new(&in->loop, err));
    const struct inspect_readers_options readers = {
        .loop = in->loop,
        .log = &in->log,
        .run = run,
        .timeout_ms = in->config.timeout_ms,
        .answer = on_reader_answer,
        .ctx = in,
    };
    CHY_TRY(inspect_readers_new(&readers, &in->readers, err));
    chy_loop_set_before_sleep(in->loop, before_sleep, in);
    CHY_TRY(chy_channel_attach(in->supervisor, in->loop, &handler, err));
    return ready_send(in, &sandbox, err);
}

static void inspect_end(struct inspect *in)
{
    int64_t deadline_us = chy_clock_monotonic_us() + LAST_WORDS_US;
    for (unsigned i = 0; i < INSPECT_PEERS; i++) {
        if (in->peers[i] != NULL && in->exit_code == INSPECT_EXIT_DRAINED)
            /* Who does not take them in time does without. */
            CHY_IGNORE(chy_channel_flush_wait(in->peers[i], deadline_us, NULL));
        chy_channel_free(in->peers[i]);
    }
    inspect_readers_free(in->readers);
    chy_channel_free(in->supervisor);
    chy_loop_free(in->loop);
    chy_arena_done(&in->arena);
}

int inspect_serve(inspect_run_fn *run)
{
    struct inspect in = { .exit_code = INSPECT_EXIT_TROUBLE };
    struct chy_error err;
    chy_arena_init(&in.arena, CHY_LIMIT_ARENA);
    chy_log_init(&in.log, STDERR_FILENO, CHY_LOG_NOTICE, "inspect",
                 chy_log_is_journal(STDERR_FILENO));
    enum chy_err r = inspect_start(&in, run, &err);
    const char *event = r == CHY_OK ? "inspect.loop_failed" : "inspect.start_failed";
    if (r == CHY_OK)
        r = chy_loop_run(in.loop, &err);
    if (r != CHY_OK) {
        chy_log(&in.log, CHY_LOG_ERROR, event, CHY_L_ERR(&err));
        in.exit_code = INSPECT_EXIT_TROUBLE;
    }
    inspect_end(&in);
    return in.exit_code;
}

int chy_inspect_main(void)
{
    return inspect_serve(chy_inspect_run);
}
