/* SPDX-License-Identifier: MIT */
#include "front/front.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "doc/doc.h"
#include "front/openapi.h"
#include "front/server.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sandbox.h"
#include "os/socket.h"
#include "proto/role.h"

#define TICK_US               250000
#define DRAIN_US              30000000    /* what is still in flight then is lost */
#define TICKET_KEYS_US        43200000000 /* a ticket key older than this makes no more tickets */
#define ACCEPTS_PER_TURN      64
#define SUPERVISOR_SEND_LIMIT 65536 /* bytes: READY is all that we ever say */
#define SPARE_FILES           64    /* descriptors that are no connections */

/* --- TLS material --- */

static enum chy_err tls_make(struct front *f, const struct chy_secret *certificate,
                             const struct chy_secret *key, struct chy_tls_server **ret_tls,
                             struct chy_error *err)
{
    const struct chy_bytes ca = chy_buf_bytes(&f->client_ca);
    const struct chy_tls_settings settings = {
        .chain_pem = chy_secret_bytes(certificate),
        .key_pem = key,
        .client_cas = &ca,
        .client_ca_count = ca.n > 0 ? 1 : 0,
        .has_http2 = true,
    };
    return chy_tls_server_new(&settings, ret_tls, err);
}

static void tls_use(struct front *f, struct chy_tls_server *tls)
{
    chy_tls_server_free(f->tls);
    f->tls = tls;
    f->tls_made_us = chy_clock_monotonic_us();
}

/* The same material again: for another client CA, and for new ticket keys. */
static enum chy_err tls_renew(struct front *f, struct chy_error *err)
{
    struct chy_tls_server *tls = NULL;
    if (f->certificate == NULL)
        return CHY_OK;
    CHY_TRY(tls_make(f, f->certificate, f->key, &tls, err));
    tls_use(f, tls);
    return CHY_OK;
}

/* Certificate and key come one after the other; they are used once both are here and fit. */
static enum chy_err tls_replace(struct front *f, struct chy_error *err)
{
    struct chy_tls_server *tls = NULL;
    if (f->next_certificate == NULL || f->next_key == NULL)
        return CHY_OK;
    enum chy_err r = tls_make(f, f->next_certificate, f->next_key, &tls, err);
    if (r == CHY_OK) {
        tls_use(f, tls);
        chy_secret_free(f->certificate);
        chy_secret_free(f->key);
        f->certificate = CHY_TAKE(f->next_certificate);
        f->key = CHY_TAKE(f->next_key);
    }
    chy_secret_free(f->next_certificate);
    chy_secret_free(f->next_key);
    f->next_certificate = NULL;
    f->next_key = NULL;
    return r;
}

void front_set_trust(struct front *f, const struct chy_trust *trust)
{
    struct chy_error err;
    if (chy_bytes_equal(chy_buf_bytes(&f->client_ca), trust->client_ca))
        return;
    chy_buf_clear(&f->client_ca);
    chy_buf_append(&f->client_ca, trust->client_ca);
    enum chy_err r = chy_buf_check(&f->client_ca, &err);
    if (r == CHY_OK)
        r = tls_renew(f, &err);
    if (r != CHY_OK) {
        /* Whom the old CA has admitted may not be admitted any more: trust nobody. */
        chy_log(&f->log, CHY_LOG_ERROR, "trust.unusable", CHY_L_ERR(&err));
        chy_buf_clear(&f->client_ca);
        if (tls_renew(f, &err) != CHY_OK)
            tls_use(f, NULL);
    }
    chy_conns_drain(f->conns); /* they were not asked, or by the old CA's rules */
}

/* --- listeners --- */

static void on_accept(void *ctx, uint32_t events);

static void accept_stop(struct front *f)
{
    for (size_t i = 0; i < f->listener_count; i++) {
        chy_watch_free(f->listener_watches[i]);
        f->listener_watches[i] = NULL;
    }
    f->is_accepting = false;
}

static void accept_start(struct front *f)
{
    struct chy_error err;
    if (f->is_accepting || f->is_draining || f->tls == NULL)
        return;
    f->is_accepting = true;
    for (size_t i = 0; i < f->listener_count; i++) {
        if (chy_watch_new(f->loop, f->listeners[i], EPOLLIN, on_accept, f, &f->listener_watches[i],
                          &err) == CHY_OK)
            continue;
        chy_log(&f->log, CHY_LOG_ERROR, "accept.start", CHY_L_ERR(&err));
        accept_stop(f); /* the next tick tries again */
        return;
    }
}

static enum chy_err accept_from(struct front *f, int listener, struct chy_error *err)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        char address[CHY_SOCKET_TEXT_BYTES];
        int fd = -1;
        CHY_TRY(chy_socket_accept(listener, &fd, address, err));
        if (fd < 0)
            break;
        chy_conns_add(f->conns, f->tls, fd, address);
    }
    return CHY_OK;
}

static void on_accept(void *ctx, uint32_t events)
{
    (void)events;
    struct front *f = ctx;
    struct chy_error err;
    for (size_t i = 0; i < f->listener_count && f->tls != NULL; i++) {
        enum chy_err r = accept_from(f, f->listeners[i], &err);
        if (r == CHY_OK)
            continue;
        chy_log(&f->log, CHY_LOG_WARNING, "accept.failed", CHY_L_ERR(&err));
        if (r == CHY_E_BUSY) { /* no descriptors: the next tick tries again */
            accept_stop(f);
            return;
        }
    }
}

static enum chy_err listener_add(struct front *f, int fd, struct chy_error *err)
{
    if (f->listener_count == FRONT_LISTENERS_MAX || f->listener_count == f->config.listeners)
        return chy_fail(err, CHY_E_PROTOCOL, "a listener came that was not announced");
    CHY_TRY(chy_fd_set_nonblocking(fd, true, err));
    accept_stop(f);
    CHY_TRY(chy_fd_dup(fd, &f->listeners[f->listener_count], err));
    f->listener_count++;
    return CHY_OK;
}

/* --- the supervisor --- */

static void write_addresses(const struct front *f, struct chy_buf *out)
{
    chy_buf_append_c(out, "listening on");
    for (size_t i = 0; i < f->listener_count; i++) {
        char text[CHY_SOCKET_TEXT_BYTES];
        if (chy_socket_address(f->listeners[i], text, NULL) == CHY_OK)
            chy_buf_printf(out, " %s", text);
    }
}

static enum chy_err say_ready(struct front *f, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TEXT);
    write_addresses(f, &text);
    CHY_TRY(chy_buf_check(&text, err));
    return chy_role_ready(f->supervisor, chy_buf_str(&text), err);
}

/* Anything that came may have been the last that was missing. */
static enum chy_err start_when_complete(struct front *f, struct chy_error *err)
{
    if (f->tls == NULL || f->listener_count < f->config.listeners || f->is_accepting)
        return CHY_OK;
    accept_start(f);
    if (f->has_said_ready)
        return CHY_OK;
    f->has_said_ready = true;
    return say_ready(f, err);
}

static enum chy_err take_file(struct front *f, struct chy_str name, int fd, struct chy_error *err)
{
    struct chy_secret **half = NULL;
    if (chy_str_equal_c(name, "listener"))
        return listener_add(f, fd, err);
    if (chy_str_equal_c(name, "tls-certificate"))
        half = &f->next_certificate;
    else if (chy_str_equal_c(name, "tls-key"))
        half = &f->next_key;
    else
        return chy_fail(err, CHY_E_PROTOCOL, "a file came that front has no use for");
    chy_secret_free(*half);
    *half = NULL;
    CHY_TRY(chy_file_read_secret_fd(fd, half, err));
    return tls_replace(f, err);
}

static enum chy_err on_file(struct front *f, const struct chy_frame *frame, struct chy_error *err)
{
    struct chy_file_grant grant;
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(f->supervisor);
    chy_arena_reset(&f->arena);
    CHY_TRY(chy_schema_decode(&chy_file_grant_schema, frame->body, &f->arena, &grant, err));
    if (fd < 0)
        return chy_fail(err, CHY_E_PROTOCOL, "a file came without its descriptor");
    CHY_TRY(take_file(f, grant.name, fd, err));
    return start_when_complete(f, err);
}

static enum chy_err on_peer(struct front *f, const struct chy_frame *frame, struct chy_error *err)
{
    struct chy_peer peer;
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(f->supervisor);
    chy_arena_reset(&f->arena);
    CHY_TRY(chy_schema_decode(&chy_peer_schema, frame->body, &f->arena, &peer, err));
    if (fd < 0)
        return chy_fail(err, CHY_E_PROTOCOL, "a peer came without its descriptor");
    if (peer.process == CHY_PROCESS_SIGNER)
        return front_backend_set(&f->signer, chy_fd_take(&fd), err);
    if (peer.process == CHY_PROCESS_QUERY)
        return front_backend_set(&f->query, chy_fd_take(&fd), err);
    return chy_fail(err, CHY_E_PROTOCOL, "a peer came that front has no use for");
}

static void drain(void *ctx)
{
    struct front *f = ctx;
    if (f->is_draining)
        return;
    f->is_draining = true;
    f->drain_until_us = chy_clock_monotonic_us() + DRAIN_US;
    accept_stop(f);
    for (size_t i = 0; i < f->listener_count; i++)
        chy_fd_closep(&f->listeners[i]);
    f->listener_count = 0;
    chy_conns_drain(f->conns);
    chy_log(&f->log, CHY_LOG_INFO, "front.drain",
            CHY_L_U64("connections", chy_conns_counts(f->conns).open));
}

static void on_supervisor_frame(void *ctx, struct chy_channel *channel,
                                const struct chy_frame *frame)
{
    (void)channel;
    struct front *f = ctx;
    struct chy_error err;
    enum chy_err r = CHY_E_INTERNAL;
    if (frame->type == CHY_MSG_FILE)
        r = on_file(f, frame, &err);
    else if (frame->type == CHY_MSG_PEER)
        r = on_peer(f, frame, &err);
    else if (frame->type == CHY_MSG_DRAIN)
        drain(f);
    else
        chy_log(&f->log, CHY_LOG_ERROR, "frame.unexpected", CHY_L_U64("type", frame->type));
    if (frame->type == CHY_MSG_DRAIN || r == CHY_OK)
        return;
    if (frame->type == CHY_MSG_FILE || frame->type == CHY_MSG_PEER)
        chy_log(&f->log, CHY_LOG_ERROR, "supervisor.refused", CHY_L_ERR(&err));
}

static void on_supervisor_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                                const struct chy_error *error)
{
    (void)channel;
    struct front *f = ctx;
    if (why != CHY_OK)
        chy_log(&f->log, CHY_LOG_ERROR, "supervisor.broken", CHY_L_ERR(error));
    f->is_orphan = true;
    chy_loop_stop(f->loop);
}

/* --- time --- */

static void on_tick(void *ctx)
{
    struct front *f = ctx;
    struct chy_error err;
    int64_t now_us = chy_clock_monotonic_us();
    chy_timer_set(f->tick, now_us + TICK_US);
    chy_conns_tick(f->conns, now_us);
    front_calls_tick(f, now_us);
    front_backend_poll(&f->signer);
    front_backend_poll(&f->query);
    if (f->listener_count == f->config.listeners)
        accept_start(f);
    if (f->tls != NULL && now_us - f->tls_made_us > TICKET_KEYS_US && tls_renew(f, &err) != CHY_OK)
        chy_log(&f->log, CHY_LOG_ERROR, "tls.renew", CHY_L_ERR(&err));
    if (f->is_draining && (chy_conns_counts(f->conns).open == 0 || now_us > f->drain_until_us))
        chy_loop_stop(f->loop);
}

/* --- start --- */

static enum chy_err read_config(struct front *f, struct chy_error *err)
{
    CHY_TRY(chy_role_config(f->supervisor, &chy_front_config_schema, &f->config_arena, &f->config,
                            err));
    const struct chy_front_config *c = &f->config;
    if (c->listeners == 0 || c->listeners > FRONT_LISTENERS_MAX || c->max_connections == 0 ||
        c->max_calls == 0 || c->max_calls_per_connection == 0 || c->max_calls_per_principal == 0 ||
        c->header_timeout_ms == 0 || c->body_timeout_ms == 0 || c->idle_timeout_ms == 0)
        return chy_fail(err, CHY_E_ARG,
                        "a limit of the configuration is 0, or there are no listeners");
    f->log.level = chy_log_level_of(c->log_level);
    return CHY_OK;
}

/* As many connections as descriptors allow, if that is fewer than configured. */
static uint64_t clamp_connections(struct front *f)
{
    struct rlimit limit = { 0 };
    uint64_t wanted = (uint64_t)f->config.max_connections + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= wanted)
        return wanted;
    f->config.max_connections = (uint32_t)CHY_MAX(limit.rlim_max, SPARE_FILES + 1u) - SPARE_FILES;
    chy_log(&f->log, CHY_LOG_WARNING, "front.descriptors",
            CHY_L_U64("connections", f->config.max_connections));
    return limit.rlim_max;
}

static enum chy_err enter_sandbox(struct front *f, struct chy_error *err)
{
    char user[CHY_LIMIT_NAME + 1] = "";
    chy_copy(user, f->config.user.p, f->config.user.n);
    const struct chy_sandbox sandbox = {
        .name = "front",
        .user = user[0] != '\0' ? user : NULL,
        .max_files = clamp_connections(f),
        .limits_files = true,
        .limits_calls = true,
        .calls = CHY_CALLS_ACCEPT,
    };
    struct chy_sandbox_result result;
    chy_json_prepare(); /* which opens a file */
    CHY_TRY(chy_sandbox_enter(&sandbox, &result, err));
    chy_log(&f->log, CHY_LOG_INFO, "sandbox.entered", CHY_L_BOOL("loose", result.is_loose),
            CHY_L_BOOL("user", result.has_changed_user), CHY_L_I64("landlock", result.landlock_abi),
            CHY_L_BOOL("calls", result.limits_calls));
    return CHY_OK;
}

static enum chy_err make_parts(struct front *f, struct chy_error *err)
{
    const struct chy_conn_settings settings = {
        .max_connections = f->config.max_connections,
        .body_max = CHY_LIMIT_JSON,
        .buffered_max = CHY_LIMIT_HTTP_BUFFERED,
        .header_timeout_us = (int64_t)f->config.header_timeout_ms * 1000,
        .body_timeout_us = (int64_t)f->config.body_timeout_ms * 1000,
        .idle_timeout_us = (int64_t)f->config.idle_timeout_ms * 1000,
    };
    const struct chy_conn_host host = { serve_request, serve_refused, serve_gone, f };
    const struct chy_channel_handler handler = { on_supervisor_frame, on_supervisor_close, f };
    CHY_TRY(chy_openapi_write(f->config.version, f->config.signserver, &f->openapi, err));
    CHY_TRY(chy_calls_new(f->config.max_calls, &f->calls, err));
    CHY_TRY(chy_conns_new(f->loop, &settings, &host, &f->conns, err));
    CHY_TRY(chy_timer_new(f->loop, on_tick, f, &f->tick, err));
    CHY_TRY(chy_loop_signal(f->loop, SIGTERM, drain, f, err));
    chy_timer_set(f->tick, chy_clock_monotonic_us() + TICK_US);
    return chy_channel_attach(f->supervisor, f->loop, &handler, err);
}

static void backend_init(struct front_backend *b, struct front *f, const char *name)
{
    b->front = f;
    b->name = name;
    chy_arena_init(&b->arena, CHY_LIMIT_ARENA);
}

static struct front *front_new(void)
{
    struct front *f = chy_new(struct front);
    if (f == NULL)
        return NULL;
    chy_log_init(&f->log, 2, CHY_LOG_NOTICE, "front", chy_log_is_journal(2));
    chy_arena_init(&f->config_arena, CHY_LIMIT_FRAME);
    chy_arena_init(&f->arena, CHY_LIMIT_ARENA);
    chy_buf_init(&f->client_ca, CHY_LIMIT_CERTIFICATE);
    chy_buf_init(&f->message, CHY_LIMIT_HTTP_ANSWER);
    chy_buf_init(&f->body, CHY_LIMIT_HTTP_ANSWER);
    chy_buf_init(&f->openapi, CHY_LIMIT_OPENAPI);
    backend_init(&f->signer, f, "signer");
    backend_init(&f->query, f, "query");
    for (size_t i = 0; i < FRONT_LISTENERS_MAX; i++)
        f->listeners[i] = -1;
    return f;
}

static void front_freep(struct front **fp)
{
    struct front *f = *fp;
    if (f == NULL)
        return;
    accept_stop(f);
    for (size_t i = 0; i < FRONT_LISTENERS_MAX; i++)
        chy_fd_closep(&f->listeners[i]);
    chy_conns_free(f->conns);
    chy_calls_free(f->calls);
    front_backend_done(&f->signer);
    front_backend_done(&f->query);
    chy_timer_free(f->tick);
    chy_channel_free(f->supervisor);
    chy_loop_free(f->loop);
    chy_tls_server_free(f->tls);
    chy_secret_free(f->certificate);
    chy_secret_free(f->key);
    chy_secret_free(f->next_certificate);
    chy_secret_free(f->next_key);
    chy_arena_done(&f->config_arena);
    chy_arena_done(&f->arena);
    chy_buf_done(&f->client_ca);
    chy_buf_done(&f->message);
    chy_buf_done(&f->body);
    chy_buf_done(&f->openapi);
    chy_free(f);
}

static enum chy_err front_run(struct front *f, struct chy_error *err)
{
    CHY_TRY(chy_role_open(SUPERVISOR_SEND_LIMIT, &f->supervisor, err));
    CHY_TRY(read_config(f, err));
    CHY_TRY(enter_sandbox(f, err));
    CHY_TRY(chy_loop_new(&f->loop, err));
    CHY_TRY(make_parts(f, err));
    CHY_TRY(chy_loop_run(f->loop, err));
    if (f->is_orphan && !f->is_draining)
        return chy_fail(err, CHY_E_STATE, "the supervisor is gone");
    return CHY_OK;
}

int chy_front_main(void)
{
    struct chy_error err;
    CHY_CLEANUP(front_freep) struct front *f = front_new();
    if (f == NULL)
        return chy_err_exit_code(CHY_E_NOMEM);
    enum chy_err r = front_run(f, &err);
    if (r != CHY_OK)
        chy_log(&f->log, CHY_LOG_ERROR, "front.end", CHY_L_ERR(&err));
    return r == CHY_OK ? 0 : 3;
}
