/* SPDX-License-Identifier: MIT */
#include "signer/signer.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/init.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sandbox.h"
#include "policy/zone.h"
#include "proto/role.h"
#include "signer/callers.h"
#include "signer/denials.h"
#include "signer/job.h"
#include "signer/ledger.h"
#include "signer/own.h"
#include "signer/state.h"
#include "signer/status.h"
#include "signer/tokens.h"

#define SECOND_US     INT64_C(1000000)
#define DAY_US        (INT64_C(86400) * SECOND_US)
#define LAST_WORDS_US (2 * SECOND_US) /* for a front to take our last answers */

enum {
    PACE_WHEN_FULL = 20, /* times the pace of commits */
};

void signer_die(struct signer *s, const struct chy_error *why)
{
    if (!s->has_failed) {
        chy_log(&s->log, CHY_LOG_ERROR, "signer.failed", CHY_L_ERR(why));
        job_tell_all(s, why);
    }
    s->has_failed = true;
    chy_loop_stop(s->loop);
}

enum chy_err signer_must(struct signer *s, enum chy_err r, const struct chy_error *err)
{
    if (r != CHY_OK)
        signer_die(s, err);
    return r;
}

enum chy_err signer_code(uint32_t wire)
{
    int code = -(int)CHY_MIN(wire, (uint32_t)INT16_MAX);
    return chy_err_is_known(code) ? (enum chy_err)code : CHY_E_PROTOCOL;
}

/* --- keys --- */

/* FNV-1a: names are chosen by key managers, not by attackers, and a long chain is only slow. */
static struct key **key_bucket(struct signer *s, struct chy_str name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (uint8_t)name.p[i]) * 16777619u;
    return &s->key_table[h % KEY_BUCKETS];
}

struct key *signer_key(struct signer *s, struct chy_str name)
{
    struct key *key = *key_bucket(s, name);
    while (key != NULL && !chy_str_equal(key->record.key.name, name))
        key = key->by_name;
    return key;
}

static enum chy_err guard_compile(const struct chy_key_record *record, struct chy_arena *arena,
                                  struct chy_policy_guard **ret, struct chy_error *err)
{
    struct chy_policy_guard_doc doc;
    if (record->guard.n == 0)
        return CHY_OK;
    CHY_TRY(chy_policy_guard_decode(record->guard, arena, &doc, err));
    return chy_policy_guard_compile(&doc, chy_clock_realtime_us(), ret, err);
}

static struct key *key_new(struct signer *s, struct chy_str name)
{
    struct key *key = chy_new(struct key);
    if (key == NULL)
        return NULL;
    struct key **bucket = key_bucket(s, name);
    key->by_name = *bucket;
    *bucket = key;
    LL_PREPEND(s->keys, key);
    return key;
}

enum chy_err signer_key_put(struct signer *s, const struct chy_key_record *record,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_policy_guard_freep) struct chy_policy_guard *guard = NULL;
    struct chy_key_record own;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_copy(&chy_key_record_schema, record, &arena, &own, err));
    CHY_TRY(guard_compile(&own, &arena, &guard, err));
    struct key *key = signer_key(s, own.key.name);
    if (key == NULL)
        key = key_new(s, own.key.name);
    if (key == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    struct chy_arena old_arena = key->arena;
    struct chy_policy_guard *old_guard = key->guard;
    key->arena = arena;
    key->record = own;
    key->guard = guard;
    arena = old_arena; /* freed at the end of the scope, as the guard */
    guard = old_guard;
    return CHY_OK;
}

static enum chy_err load_key(void *ctx, struct chy_str name, struct chy_bytes body,
                             struct chy_error *err)
{
    struct signer *s = ctx;
    struct chy_key_record record;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    if (chy_schema_decode(&chy_key_record_schema, body, &arena, &record, err) != CHY_OK)
        return chy_fail(err, CHY_E_INTEGRITY, "the stored key \"%.*s\" does not decode",
                        CHY_STR_ARG(name));
    return signer_key_put(s, &record, err);
}

static void keys_free(struct signer *s)
{
    struct key *key;
    struct key *next;
    LL_FOREACH_SAFE(s->keys, key, next)
    {
        chy_policy_guard_free(key->guard);
        chy_arena_done(&key->arena);
        chy_free(key);
    }
}

/* --- the policy --- */

static enum chy_err policy_compile(const struct chy_policy_record *record, struct chy_arena *arena,
                                   struct chy_policy_rules **ret, struct chy_error *err)
{
    /* Without any policy there are no rules, and nothing is allowed. */
    struct chy_policy_doc doc = { .version = CHY_POLICY_VERSION };
    if (record->policy.number != 0)
        CHY_TRY(chy_policy_doc_decode(record->canonical, arena, &doc, err));
    return chy_policy_compile(&doc, chy_clock_realtime_us(), ret, err);
}

enum chy_err signer_policy_put(struct signer *s, const struct chy_policy_record *record,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_policy_rules_freep) struct chy_policy_rules *policy = NULL;
    struct chy_policy_record own;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_schema_copy(&chy_policy_record_schema, record, &arena, &own, err));
    CHY_TRY(policy_compile(&own, &arena, &policy, err));
    struct chy_policy_rules *old = s->policy;
    struct chy_arena old_arena = s->policy_arena;
    s->policy = policy;
    s->policy_arena = arena;
    s->policy_record = own;
    memcpy(s->policy_hash, own.policy.hash, sizeof s->policy_hash);
    policy = old;
    arena = old_arena;
    chy_timer_set(s->policy_timer, chy_clock_monotonic_us() + DAY_US);
    return CHY_OK;
}

static enum chy_err load_policy(struct signer *s, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_record record = { 0 };
    uint64_t number = 0;
    CHY_TRY(chy_record_policy_number(s->store, &number, err));
    if (number != 0) {
        struct chy_str name = chy_record_policy_name(&arena, number);
        if (name.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
        CHY_TRY(chy_record_get(s->store, CHY_OBJECT_POLICY, name, &chy_policy_record_schema, &arena,
                               &record, err));
    }
    return signer_policy_put(s, &record, err);
}

/* Windows of time are compiled so and so many days ahead: do it anew every day, for guards as well.
 * A compile that fails leaves the old one, whose windows end in time: what is unknown grants
 * nothing. */
static void renew_windows(void *ctx)
{
    struct signer *s = ctx;
    struct chy_error err;
    struct chy_policy_rules *policy = NULL;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_timer_set(s->policy_timer, chy_clock_monotonic_us() + DAY_US);
    if (policy_compile(&s->policy_record, &arena, &policy, &err) != CHY_OK) {
        chy_log(&s->log, CHY_LOG_ERROR, "policy.not_renewed", CHY_L_ERR(&err));
        return;
    }
    chy_policy_rules_free(s->policy);
    s->policy = policy;
    struct key *key;
    LL_FOREACH(s->keys, key)
    {
        struct chy_policy_guard *guard = NULL;
        chy_arena_reset(&arena);
        if (guard_compile(&key->record, &arena, &guard, &err) != CHY_OK) {
            chy_log(&s->log, CHY_LOG_ERROR, "guard.not_renewed",
                    CHY_L_STR("key", key->record.key.name), CHY_L_ERR(&err));
            continue;
        }
        chy_policy_guard_free(key->guard);
        key->guard = guard;
    }
}

/* --- peers --- */

static void peer_free(struct peer *p)
{
    chy_channel_free(p->channel);
    chy_free(p);
}

static void peer_lost(struct peer *p)
{
    struct signer *s = p->s;
    if (p == s->inspect) {
        s->inspect = NULL;
        job_inspect_gone(s);
    } else {
        LL_DELETE(s->fronts, p);
        job_front_gone(s, p);
    }
    peer_free(p);
}

static void on_peer_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct peer *p = ctx;
    struct signer *s = p->s;
    (void)channel;
    if (p == s->inspect && frame->type == CHY_MSG_INSPECT_REPLY) {
        job_inspect_reply(s, frame);
    } else if (p != s->inspect && frame->type == CHY_MSG_CALL) {
        job_begin(s, p, frame);
    } else if (p != s->inspect && frame->type == CHY_MSG_STATUS) {
        status_reply(s, p, frame->id);
    } else {
        chy_log(&s->log, CHY_LOG_ERROR, "peer.bad_frame", CHY_L_U64("type", frame->type));
        peer_lost(p);
    }
}

static void on_peer_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                          const struct chy_error *error)
{
    (void)channel;
    (void)why;
    (void)error; /* the supervisor tells how the process ended */
    peer_lost(ctx);
}

static enum chy_err peer_new(struct signer *s, int fd, struct peer **ret, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int own = fd;
    struct chy_channel_options options = { .send_limit_bytes = (size_t)4 * CHY_LIMIT_FRAME };
    CHY_CLEANUP(chy_freep) struct peer *p = chy_new(struct peer);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a peer");
    p->s = s;
    CHY_TRY(chy_channel_new(own, &options, &p->channel, err));
    own = -1;
    struct chy_channel_handler handler = { on_peer_frame, on_peer_close, p };
    enum chy_err r = chy_channel_attach(p->channel, s->loop, &handler, err);
    if (r != CHY_OK) {
        chy_channel_free(p->channel);
        return r;
    }
    *ret = CHY_TAKE(p);
    return CHY_OK;
}

static enum chy_err connect_peer(struct signer *s, const struct chy_peer *peer, int fd,
                                 struct chy_error *err)
{
    struct peer *p = NULL;
    if (peer->process == CHY_PROCESS_TOKEN)
        return tokens_connect(s, peer, fd, err);
    if (peer->process != CHY_PROCESS_FRONT && peer->process != CHY_PROCESS_INSPECT) {
        chy_fd_closep(&fd);
        return chy_fail(err, CHY_E_PROTOCOL, "the signer does not talk to %s",
                        chy_enum_name(&chy_process_enum, (int)peer->process));
    }
    CHY_TRY(peer_new(s, fd, &p, err));
    if (peer->process == CHY_PROCESS_FRONT) {
        LL_APPEND(s->fronts, p);
        own_tell_trust(s, p);
        return CHY_OK;
    }
    if (s->inspect != NULL)
        peer_lost(s->inspect);
    s->inspect = p;
    return CHY_OK;
}

/* Finish what is in flight, write that this is the end, have a checkpoint cover it, stop. */
static void drain_check(struct signer *s)
{
    if (!s->is_draining || s->jobs != NULL || !ledger_is_idle(s->ledger))
        return;
    if (!s->is_stop_written) {
        s->is_stop_written = true;
        own_stop(s);
        chy_loop_wake(s->loop);
    } else if (!s->is_bootstrapped || ledger_published(s->ledger) == ledger_size(s->ledger)) {
        chy_loop_stop(s->loop);
    }
}

static enum chy_err supervisor_frame(struct signer *s, struct chy_channel *channel,
                                     const struct chy_frame *frame, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_peer peer;
    chy_arena_init(&arena, CHY_LIMIT_PATH);
    if (frame->type == CHY_MSG_DRAIN) {
        s->is_draining = true;
        return CHY_OK;
    }
    if (frame->type != CHY_MSG_PEER)
        return chy_fail(err, CHY_E_PROTOCOL, "the supervisor sent frame %u", frame->type);
    int fd = chy_channel_take_fd(channel);
    if (fd < 0)
        return chy_fail(err, CHY_E_PROTOCOL, "a peer without a descriptor");
    enum chy_err r = chy_schema_decode(&chy_peer_schema, frame->body, &arena, &peer, err);
    if (r != CHY_OK) {
        chy_fd_closep(&fd);
        return r;
    }
    return connect_peer(s, &peer, fd, err);
}

static void on_supervisor_frame(void *ctx, struct chy_channel *channel,
                                const struct chy_frame *frame)
{
    struct signer *s = ctx;
    struct chy_error err;
    if (supervisor_frame(s, channel, frame, &err) != CHY_OK)
        signer_die(s, &err);
}

static void on_supervisor_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                                const struct chy_error *error)
{
    struct signer *s = ctx;
    (void)channel;
    (void)why;
    (void)error;
    chy_loop_stop(s->loop); /* nobody would restart what fails from here on */
}

/* --- the turn --- */

/* Digests that wait for a token are logged already, and what is logged now for the same token would
 * only wait with them: so their commit can be one with many others, unless it has something else to
 * bring. One alone never waits for company: with nothing at the tokens nothing more will come by
 * itself. */
static int64_t commit_pace_us(const struct signer *s)
{
    if (tokens_in_flight(s) == 0)
        return 0;
    bool is_in_line = tokens_are_full(s) && !ledger_is_urgent(s->ledger);
    return (int64_t)s->config.commit_pace_us * (is_in_line ? PACE_WHEN_FULL : 1);
}

static void turn(void *ctx)
{
    struct signer *s = ctx;
    if (s->has_failed)
        return;
    own_continue(s); /* before the commit: nothing may wait for it over a sleep */
    ledger_turn(s->ledger, commit_pace_us(s));
    if (s->has_failed)
        return;
    tokens_turn(s);
    drain_check(s);
}

static void housekeeping(void *ctx)
{
    struct signer *s = ctx;
    int64_t now = chy_clock_monotonic_us();
    tokens_check(s, now);
    job_inspect_expire(s, now);
    ledger_expire(s->ledger, now);
    /* The turn retries what the start still lacks. */
    chy_timer_set(s->housekeeping, now + SECOND_US);
}

/* --- the start --- */

static enum chy_err enter_sandbox(struct signer *s, struct chy_error *err)
{
    const char *store = chy_role_folder(s->config.store, &s->config_arena).p;
    const char *anchor = chy_role_folder(s->config.anchor, &s->config_arena).p;
    const char *user = chy_arena_str(&s->config_arena, s->config.user).p;
    if (store == NULL || anchor == NULL || user == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the sandbox");
    const struct chy_sandbox_path paths[] = {
        { store, CHY_PATH_READ | CHY_PATH_WRITE, false },
        { anchor, CHY_PATH_READ | CHY_PATH_WRITE, false },
        { CHY_ZONE_FOLDER, CHY_PATH_READ, true },
    };
    const struct chy_sandbox sandbox = {
        .name = "signer",
        .user = s->config.user.n > 0 ? user : NULL,
        .limits_files = true,
        .paths = paths,
        .path_count = CHY_ARRAY_LEN(paths),
        .limits_calls = true,
        .calls = CHY_CALLS_WRITE_FILES,
    };
    /* Files of the store are for query to read, and for nobody else. */
    umask(027);
    return chy_sandbox_enter(&sandbox, &s->sandbox, err);
}

static enum chy_err ready_send(struct signer *s, struct chy_error *err)
{
    struct chy_str text =
        chy_arena_printf(&s->config_arena, "log of %llu entries; own user %d, files %d, calls %d",
                         (unsigned long long)ledger_size(s->ledger), s->sandbox.has_changed_user,
                         s->sandbox.limits_files, s->sandbox.limits_calls);
    if (text.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to say ready");
    return chy_role_ready(s->supervisor, text, err);
}

void signer_ready(struct signer *s)
{
    struct chy_error err;
    if (ready_send(s, &err) != CHY_OK)
        signer_die(s, &err);
}

static enum chy_err open_store(struct signer *s, struct chy_error *err)
{
    size_t closed = 0;
    struct chy_str path = chy_arena_str(&s->config_arena, s->config.store);
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the store's path");
    CHY_TRY(chy_store_open(path.p, CHY_STORE_WRITE, &s->store, err));
    CHY_TRY(chy_store_walk(s->store, CHY_OBJECT_KEY, CHY_STR(""), load_key, s, err));
    CHY_TRY(load_policy(s, err));
    CHY_TRY(ledger_open(s, &s->ledger, err));
    CHY_TRY(ledger_close_open_intents(s->ledger, &closed, err));
    if (closed > 0)
        chy_log(&s->log, CHY_LOG_WARNING, "log.intents_closed", CHY_L_U64("count", closed));
    return CHY_OK;
}

static enum chy_err start(struct signer *s, struct chy_error *err)
{
    struct chy_channel_handler handler = { on_supervisor_frame, on_supervisor_close, s };
    CHY_TRY(chy_role_open(CHY_LIMIT_FRAME, &s->supervisor, err));
    CHY_TRY(chy_role_config(s->supervisor, &chy_signer_config_schema, &s->config_arena, &s->config,
                            err));
    s->log.level = chy_log_level_of(s->config.log_level);
    CHY_TRY(chy_crypto_init(err));
    CHY_TRY(enter_sandbox(s, err));
    CHY_TRY(chy_loop_new(&s->loop, err));
    CHY_TRY(chy_timer_new(s->loop, renew_windows, s, &s->policy_timer, err));
    CHY_TRY(chy_timer_new(s->loop, housekeeping, s, &s->housekeeping, err));
    CHY_TRY(tokens_new(s, err));
    CHY_TRY(open_store(s, err));
    chy_loop_set_before_sleep(s->loop, turn, s);
    chy_timer_set(s->housekeeping, chy_clock_monotonic_us());
    return chy_channel_attach(s->supervisor, s->loop, &handler, err);
}

static void fronts_end(struct signer *s)
{
    int64_t deadline = chy_clock_monotonic_us() + LAST_WORDS_US;
    struct peer *p;
    struct peer *next;
    LL_FOREACH_SAFE(s->fronts, p, next)
    {
        /* Who does not take them in time does without. */
        CHY_IGNORE(chy_channel_flush_wait(p->channel, deadline, NULL));
        peer_free(p);
    }
}

static void stop(struct signer *s)
{
    fronts_end(s);
    if (s->inspect != NULL)
        peer_free(s->inspect);
    tokens_free(s);
    job_free_all(s);
    ledger_close(s->ledger);
    chy_store_close(s->store);
    keys_free(s);
    denials_free(s);
    callers_forget(s);
    chy_policy_rules_free(s->policy);
    chy_arena_done(&s->policy_arena);
    chy_channel_free(s->supervisor);
    chy_timer_free(s->policy_timer);
    chy_timer_free(s->housekeeping);
    chy_loop_free(s->loop);
    chy_arena_done(&s->config_arena);
    chy_free(s);
}

int chy_signer_main(void)
{
    struct chy_error err;
    struct signer *s = chy_new(struct signer);
    if (s == NULL)
        return EXIT_FAILURE;
    chy_arena_init(&s->config_arena, CHY_LIMIT_FRAME);
    chy_log_init(&s->log, STDERR_FILENO, CHY_LOG_NOTICE, "signer",
                 chy_log_is_journal(STDERR_FILENO));
    enum chy_err r = start(s, &err);
    if (r == CHY_OK)
        r = chy_loop_run(s->loop, &err);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "signer.failed", CHY_L_ERR(&err));
    bool ok = r == CHY_OK && !s->has_failed;
    stop(s);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
