/* SPDX-License-Identifier: MIT */
#include "token/token.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/init.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "proto/internal.h"
#include "proto/role.h"
#include "token/answer.h"
#include "token/guard.h"
#include "token/keys.h"
#include "token/pool.h"
#include "token/profile.h"

#define START_US      INT64_C(60000000) /* for the supervisor to send what we need */
#define LAST_WORDS_US INT64_C(2000000)  /* for a peer to take our last frames */
#define SEND_LIMIT    (2 * (size_t)CHY_LIMIT_FRAME)

struct token {
    struct chy_log log;
    struct chy_arena arena; /* holds the configuration */
    struct chy_token_config config;
    struct chy_secret *pin;
    struct chy_module *module;
    struct chy_slot *slot;
    struct chy_keys *keys;
    struct chy_pool *pool;
    struct chy_loop *loop;
    struct chy_channel *supervisor;
    struct chy_channel *signer;
    uint64_t signer_number; /* grows with each new signer: an answer for an old one is dropped */
    int signer_fd;          /* came before we were ready for it; -1 */
    size_t quarantined;     /* already told */
    size_t units;           /* done since we looked at the heap */
    bool is_retiring;
    bool is_draining;
    bool is_opening; /* module, sandbox, slot and PIN: what the configuration says */
    int exit_code;
};

static void token_stop(struct token *t, int exit_code)
{
    t->exit_code = exit_code;
    chy_loop_stop(t->loop);
}

/* --- with the signer --- */

static void signer_close(struct token *t)
{
    chy_channel_free(t->signer);
    t->signer = NULL;
}

static void signer_failed(struct token *t, const struct chy_error *err)
{
    chy_log(&t->log, CHY_LOG_ERROR, "token.signer_closed", CHY_L_STR("token", t->config.name),
            CHY_L_ERR(err));
    signer_close(t);
}

/* Written at once and not at the end of the turn: another batch may be at hand, and while it is
 * signed the signer makes use of this one. */
static void signer_send(struct token *t, const struct chy_frame *frame)
{
    struct chy_error err;
    if (t->signer == NULL)
        return;
    if (chy_channel_send(t->signer, frame, &err) != CHY_OK)
        signer_failed(t, &err);
    else
        /* What does not go now goes when the loop finds room, and it finds a peer that is gone. */
        CHY_IGNORE(chy_channel_flush_wait(t->signer, 0, NULL));
}

static void quarantine_tell(struct token *t, const struct chy_job *job)
{
    size_t n = chy_keys_quarantined(t->keys);
    if (n == t->quarantined || job->type != CHY_MSG_TOKEN_SIGN)
        return;
    t->quarantined = n;
    for (size_t i = 0; i < job->units; i++)
        if (job->results[i].code == CHY_E_INTEGRITY)
            chy_log(&t->log, CHY_LOG_ERROR, "token.key_quarantined",
                    CHY_L_STR("token", t->config.name),
                    CHY_L_HEX("object_id", job->request.sign.items.p[i].key.object_id),
                    CHY_L_CSTR("reason", job->results[i].text));
}

/* SoftHSM 2.6.1 loses 64 bytes at each Ed25519 signature, and others may be no better. */
static bool has_eaten(struct token *t, const struct chy_job *job)
{
    t->units += job->units;
    if (t->units < CHY_LIMIT_TOKEN_LOOK)
        return false;
    t->units = 0;
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd > CHY_LIMIT_TOKEN_HEAP;
}

static void on_job_done(void *ctx, struct chy_job *done)
{
    struct token *t = ctx;
    CHY_CLEANUP(chy_job_freep) struct chy_job *job = done;
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    struct chy_error err;
    struct chy_frame frame = { .id = job->frame_id };
    quarantine_tell(t, job);
    if (job->peer == t->signer_number) {
        if (chy_answer_encode(job, &frame.type, &body, &err) == CHY_OK) {
            frame.body = chy_buf_bytes(&body);
            signer_send(t, &frame);
        } else {
            signer_failed(t,
                          &err); /* it will ask again, which a missing answer would not tell it */
        }
    }
    const struct chy_error *why = chy_pool_broken(t->pool);
    if (why != NULL) {
        chy_log(&t->log, CHY_LOG_ERROR, "token.failed", CHY_L_STR("token", t->config.name),
                CHY_L_ERR(why));
        token_stop(t, CHY_TOKEN_EXIT_TROUBLE);
    } else if (t->is_draining && chy_pool_pending(t->pool) == 0) {
        token_stop(t, CHY_TOKEN_EXIT_DRAINED);
    } else if (has_eaten(t, job)) {
        chy_log(&t->log, CHY_LOG_NOTICE, "token.retired", CHY_L_STR("token", t->config.name));
        t->is_retiring = true;
    }
    if (t->is_retiring && chy_pool_pending(t->pool) == 0)
        token_stop(t, CHY_TOKEN_EXIT_RETIRED);
}

static void on_signer_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct token *t = ctx;
    (void)channel;
    struct chy_job *job = NULL;
    struct chy_error err;
    if (t->is_retiring)
        return; /* never begun: it is asked of the next process */
    if (chy_job_new((enum chy_msg)frame->type, frame->id, frame->body, &job, &err) != CHY_OK) {
        signer_failed(t, &err);
        return;
    }
    job->peer = t->signer_number;
    chy_pool_add(t->pool, job);
}

static void on_signer_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                            const struct chy_error *error)
{
    struct token *t = ctx;
    (void)channel;
    if (why == CHY_OK)
        signer_close(t);
    else
        signer_failed(t, error);
}

static enum chy_err info_send(struct token *t, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_answer_info(t->config.name, t->slot, &body, err));
    struct chy_frame frame = { .type = CHY_MSG_TOKEN_INFO, .body = chy_buf_bytes(&body) };
    return chy_channel_send(t->signer, &frame, err);
}

/* Takes `fd`, whatever happens. */
static enum chy_err signer_connect(struct token *t, int from, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = from;
    const struct chy_channel_options options = { .send_limit_bytes = SEND_LIMIT };
    const struct chy_channel_handler handler = { on_signer_frame, on_signer_close, t };
    signer_close(t);
    t->signer_number++;
    CHY_TRY(chy_channel_new(fd, &options, &t->signer, err));
    fd = -1;
    CHY_TRY(chy_channel_attach(t->signer, t->loop, &handler, err));
    return info_send(t, err);
}

/* --- with the supervisor --- */

static enum chy_err take_file(struct token *t, struct chy_bytes body, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(t->supervisor);
    struct chy_file_grant grant;
    CHY_TRY(chy_schema_decode(&chy_file_grant_schema, body, &arena, &grant, err));
    if (!chy_str_equal_c(grant.name, "pin") || fd < 0 || t->pin != NULL || t->slot != NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "a token takes one file, the PIN, before it is ready");
    return chy_file_read_secret_fd(fd, &t->pin, err);
}

static enum chy_err take_peer(struct token *t, struct chy_bytes body, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(t->supervisor);
    struct chy_peer peer;
    CHY_TRY(chy_schema_decode(&chy_peer_schema, body, &arena, &peer, err));
    if (peer.process != CHY_PROCESS_SIGNER || fd < 0)
        return chy_fail(err, CHY_E_PROTOCOL, "a token's only peer is the signer, on a socket");
    if (t->pool != NULL)
        return signer_connect(t, chy_fd_take(&fd), err);
    chy_fd_closep(&t->signer_fd);
    t->signer_fd = chy_fd_take(&fd);
    return CHY_OK;
}

static enum chy_err take_frame(struct token *t, const struct chy_frame *frame,
                               struct chy_error *err)
{
    if (frame->type == CHY_MSG_FILE)
        return take_file(t, frame->body, err);
    if (frame->type == CHY_MSG_PEER)
        return take_peer(t, frame->body, err);
    if (frame->type == CHY_MSG_DRAIN) {
        t->is_draining = true;
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_PROTOCOL, "the supervisor sent a frame of type %u out of turn",
                    frame->type);
}

static void on_supervisor_frame(void *ctx, struct chy_channel *channel,
                                const struct chy_frame *frame)
{
    struct token *t = ctx;
    struct chy_error err;
    (void)channel;
    if (take_frame(t, frame, &err) != CHY_OK) {
        chy_log(&t->log, CHY_LOG_ERROR, "token.protocol", CHY_L_STR("token", t->config.name),
                CHY_L_ERR(&err));
        token_stop(t, CHY_TOKEN_EXIT_TROUBLE);
    } else if (t->is_draining && chy_pool_pending(t->pool) == 0) {
        token_stop(t, CHY_TOKEN_EXIT_DRAINED);
    }
}

static void on_supervisor_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                                const struct chy_error *error)
{
    (void)channel;
    (void)why;
    (void)error;
    token_stop(ctx, CHY_TOKEN_EXIT_TROUBLE); /* nobody is left to tell */
}

/* --- start --- */

static enum chy_err receive_start(struct token *t, struct chy_error *err)
{
    int64_t deadline_us = chy_clock_monotonic_us() + START_US;
    CHY_TRY(chy_role_config(t->supervisor, &chy_token_config_schema, &t->arena, &t->config, err));
    t->log.level = chy_log_level_of(t->config.log_level);
    while (t->pin == NULL && !t->is_draining) {
        struct chy_frame frame;
        CHY_TRY(chy_channel_receive_wait(t->supervisor, deadline_us, &frame, err));
        CHY_TRY(take_frame(t, &frame, err));
    }
    return CHY_OK;
}

/* A process of this token may have been killed while it logged in: see guard.h. */
static enum chy_err files_restore(struct token *t, struct chy_error *err)
{
    size_t count = 0;
    if (t->config.directory.n == 0 || !t->config.is_software)
        return CHY_OK;
    CHY_TRY(chy_guard_restore(t->config.directory, &count, err));
    if (count > 0)
        chy_log(&t->log, CHY_LOG_WARNING, "token.restored", CHY_L_STR("token", t->config.name),
                CHY_L_CSTR("why", "its file was torn when a process was killed"));
    return CHY_OK;
}

static enum chy_err files_save(struct token *t, struct chy_error *err)
{
    if (t->config.directory.n == 0 || !t->config.is_software)
        return CHY_OK;
    return chy_guard_save(t->config.directory, err);
}

static enum chy_err slot_start(struct token *t, struct chy_error *err)
{
    const struct chy_slot_options options = {
        .label = t->config.slot_label,
        .serial = t->config.slot_serial,
        .pin = t->pin,
        .is_software = t->config.is_software,
    };
    CHY_TRY(chy_module_lock_at(t->module, t->config.lock, err));
    CHY_TRY(files_restore(t, err));
    CHY_TRY(chy_module_load(t->module, t->config.lock, err));
    enum chy_err r = chy_slot_open(t->module, &options, &t->slot, err);
    if (r == CHY_OK)
        r = files_save(t, err);
    chy_module_unlock(t->module);
    /* Whether it was right or wrong, the PIN is not needed again. */
    chy_secret_freep(&t->pin);
    t->pin = NULL;
    return r;
}

static enum chy_err work_start(struct token *t, struct chy_error *err)
{
    const struct chy_keys_options keys_options = {
        .copies = t->config.copy_keys,
        .verify_signatures = t->config.verify_signatures,
        .module = t->module,
    };
    CHY_TRY(chy_keys_new(t->slot, &keys_options, &t->keys, err));
    CHY_TRY(chy_loop_new(&t->loop, err));
    const struct chy_pool_options pool_options = {
        .slot = t->slot,
        .keys = t->keys,
        /* Threads in a software token only wait for each other: it has processes instead. */
        .threads = chy_slot_info(t->slot)->is_software ? 1 : t->config.threads,
        .loop = t->loop,
        .on_done = on_job_done,
        .ctx = t,
    };
    return chy_pool_new(&pool_options, &t->pool, err);
}

static enum chy_err ready_send(struct token *t, const struct chy_sandbox_result *sandbox,
                               struct chy_error *err)
{
    const struct chy_slot_info *info = chy_slot_info(t->slot);
    struct chy_str text =
        chy_arena_printf(&t->arena, "%s token %s, serial %s, of %s; seccomp %s, Landlock ABI %d%s",
                         info->is_software ? "software" : "hardware", info->label, info->serial,
                         info->manufacturer, sandbox->limits_calls ? "on" : "off",
                         sandbox->landlock_abi, sandbox->is_loose ? ", loose build" : "");
    if (text.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a text");
    return chy_role_ready(t->supervisor, text, err);
}

static enum chy_err token_start(struct token *t, struct chy_error *err)
{
    const struct chy_channel_handler handler = { on_supervisor_frame, on_supervisor_close, t };
    CHY_TRY(chy_role_open(SEND_LIMIT, &t->supervisor, err));
    CHY_TRY(chy_crypto_init(err));
    CHY_TRY(receive_start(t, err));
    if (t->is_draining)
        return CHY_OK;
    struct chy_sandbox_result sandbox;
    t->is_opening = true;
    CHY_TRY(chy_module_open(t->config.module, t->config.module_sha256, &t->module, err));
    CHY_TRY(chy_profile_enter(&t->config, secure_getenv("SOFTHSM2_CONF"), &sandbox, err));
    CHY_TRY(slot_start(t, err));
    t->is_opening = false;
    CHY_TRY(work_start(t, err));
    CHY_TRY(chy_channel_attach(t->supervisor, t->loop, &handler, err));
    if (t->signer_fd >= 0)
        CHY_TRY(signer_connect(t, chy_fd_take(&t->signer_fd), err));
    return ready_send(t, &sandbox, err);
}

/* What a person must put right first, so that starting again would not help. */
static bool is_lasting(enum chy_err r)
{
    return r == CHY_E_ARG || r == CHY_E_INTEGRITY || r == CHY_E_CONFLICT ||
           r == CHY_E_UNAUTHENTICATED || r == CHY_E_LIMIT || r == CHY_E_UNSUPPORTED;
}

static int token_run(struct token *t)
{
    struct chy_error err;
    enum chy_err r = token_start(t, &err);
    if (r == CHY_OK && t->is_draining)
        return CHY_TOKEN_EXIT_DRAINED;
    const char *event = r == CHY_OK ? "token.loop_failed" : "token.start_failed";
    if (r == CHY_OK)
        r = chy_loop_run(t->loop, &err);
    if (r == CHY_OK)
        return t->exit_code;
    chy_log(&t->log, CHY_LOG_ERROR, event, CHY_L_STR("token", t->config.name), CHY_L_ERR(&err));
    return t->is_opening && is_lasting(r) ? CHY_TOKEN_EXIT_CONFIG : CHY_TOKEN_EXIT_TROUBLE;
}

static void last_words(struct chy_channel *channel)
{
    if (channel != NULL && chy_channel_is_open(channel))
        /* Who does not take them in time does without. */
        CHY_IGNORE(chy_channel_flush_wait(channel, chy_clock_monotonic_us() + LAST_WORDS_US, NULL));
}

int chy_token_main(void)
{
    struct token t = { .signer_fd = -1 };
    chy_arena_init(&t.arena, CHY_LIMIT_ARENA);
    chy_log_init(&t.log, STDERR_FILENO, CHY_LOG_NOTICE, "token", chy_log_is_journal(STDERR_FILENO));
    int exit_code = token_run(&t);
    last_words(t.signer);
    last_words(t.supervisor);
    /* A module that failed, or in which threads still are, is not asked to clean up: it may
     * hang. */
    bool is_idle =
        t.pool == NULL || (chy_pool_broken(t.pool) == NULL && chy_pool_pending(t.pool) == 0);
    if (t.module != NULL && is_idle)
        chy_module_end(t.module);
    _exit(exit_code); /* checksrc: exit handlers of a module's C++ library crash */
}
