/* SPDX-License-Identifier: MIT */
#include "front/server.h"
#include "os/clock.h"
#include "os/fd.h"

#define CALL_TIMEOUT_US 120000000 /* 1,000 RSA-4096 signatures take a software token 6 s */
#define STATUS_FRESH_US 5000000   /* an older one says nothing about now */
#define SEND_LIMIT      67108864  /* bytes that wait for a backend: four of the largest frames */

/* --- what comes from a backend --- */

static void on_reply(struct front_backend *b, const struct chy_frame *frame)
{
    struct front *f = b->front;
    struct chy_error err;
    struct chy_reply reply;
    struct chy_call_slot *slot = chy_calls_find(f->calls, frame->id);
    if (slot == NULL)
        return; /* it came after its deadline */
    chy_arena_reset(&f->arena);
    if (chy_schema_decode(&chy_reply_schema, frame->body, &f->arena, &reply, &err) == CHY_OK) {
        serve_reply(f, slot, &reply);
    } else {
        chy_log(&f->log, CHY_LOG_ERROR, "reply.malformed", CHY_L_CSTR("process", b->name),
                CHY_L_ERR(&err));
        serve_failure(f, slot, CHY_E_PROTOCOL, "a reply was malformed");
    }
    chy_calls_release(f->calls, slot);
}

static void on_status(struct front_backend *b, const struct chy_frame *frame)
{
    chy_arena_reset(&b->arena);
    b->status = (struct chy_status){ 0 };
    b->status_us = 0;
    /* The struct borrows from the frame, which does not stay: keep a copy. */
    struct chy_bytes copy = chy_arena_bytes(&b->arena, frame->body);
    struct chy_error err;
    if (frame->body.n > 0 && copy.p != NULL &&
        chy_schema_decode(&chy_status_schema, copy, &b->arena, &b->status, &err) == CHY_OK) {
        b->status_us = chy_clock_monotonic_us();
        return;
    }
    b->status = (struct chy_status){ 0 };
    chy_log(&b->front->log, CHY_LOG_ERROR, "status.malformed", CHY_L_CSTR("process", b->name));
}

static void on_trust(struct front_backend *b, const struct chy_frame *frame)
{
    struct front *f = b->front;
    struct chy_error err;
    struct chy_trust trust;
    chy_arena_reset(&f->arena);
    if (chy_schema_decode(&chy_trust_schema, frame->body, &f->arena, &trust, &err) == CHY_OK)
        front_set_trust(f, &trust);
    else
        chy_log(&f->log, CHY_LOG_ERROR, "trust.malformed", CHY_L_ERR(&err));
}

/* Every call that waits for this backend is lost; what it had begun it may have finished. */
static void fail_calls(struct front_backend *b)
{
    struct front *f = b->front;
    enum chy_op_server server = b == &f->signer ? CHY_OP_BY_SIGNER : CHY_OP_BY_QUERY;
    for (struct chy_call_slot *s = chy_calls_next(f->calls, NULL); s != NULL;
         s = chy_calls_next(f->calls, s)) {
        if (s->row->server != server)
            continue;
        serve_failure(f, s, CHY_E_BUSY,
                      server == CHY_OP_BY_SIGNER
                          ? "the signer ended before it answered; the log tells what became of this"
                          : "the process that answers this ended; try again");
        chy_calls_release(f->calls, s);
    }
}

static void drop_channel(struct front_backend *b)
{
    if (b->channel == NULL)
        return;
    chy_channel_free(b->channel);
    b->channel = NULL;
    b->status_us = 0;
    fail_calls(b);
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    (void)channel;
    struct front_backend *b = ctx;
    if (frame->type == CHY_MSG_REPLY) {
        on_reply(b, frame);
    } else if (frame->type == CHY_MSG_STATUS_REPLY) {
        on_status(b, frame);
    } else if (frame->type == CHY_MSG_TRUST && b == &b->front->signer) {
        on_trust(b, frame);
    } else {
        chy_log(&b->front->log, CHY_LOG_ERROR, "frame.unexpected", CHY_L_CSTR("process", b->name),
                CHY_L_U64("type", frame->type));
        drop_channel(b);
    }
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    (void)channel;
    struct front_backend *b = ctx;
    if (why == CHY_OK)
        chy_log(&b->front->log, CHY_LOG_WARNING, "backend.gone", CHY_L_CSTR("process", b->name));
    else
        chy_log(&b->front->log, CHY_LOG_ERROR, "backend.broken", CHY_L_CSTR("process", b->name),
                CHY_L_ERR(error));
    drop_channel(b);
}

/* --- the channel --- */

enum chy_err front_backend_set(struct front_backend *b, int fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_channel_freep) struct chy_channel *channel = NULL;
    const struct chy_channel_options options = { .send_limit_bytes = SEND_LIMIT };
    const struct chy_channel_handler handler = { on_frame, on_close, b };
    enum chy_err r = chy_channel_new(fd, &options, &channel, err);
    if (r != CHY_OK) {
        chy_fd_closep(&fd);
        return r;
    }
    CHY_TRY(chy_channel_attach(channel, b->front->loop, &handler, err));
    drop_channel(b);
    b->channel = CHY_TAKE(channel);
    front_backend_poll(b);
    return CHY_OK;
}

void front_backend_done(struct front_backend *b)
{
    chy_channel_free(b->channel);
    b->channel = NULL;
    chy_arena_done(&b->arena);
}

void front_backend_poll(struct front_backend *b)
{
    static const struct chy_empty nothing;
    struct front *f = b->front;
    if (b->channel == NULL)
        return;
    chy_buf_clear(&f->message);
    if (chy_schema_encode(&chy_empty_schema, &nothing, &f->message, NULL) != CHY_OK)
        return;
    struct chy_frame frame = { CHY_MSG_STATUS, ++b->status_id, chy_buf_bytes(&f->message) };
    /* A full queue shows as a status that is too old. */
    CHY_IGNORE(chy_channel_send(b->channel, &frame, NULL));
}

bool front_backend_is_ready(const struct front_backend *b, int64_t now_us, struct chy_str *ret_why)
{
    if (b->channel == NULL)
        *ret_why = CHY_STR("not running");
    else if (b->status_us == 0 || now_us - b->status_us > STATUS_FRESH_US)
        *ret_why = CHY_STR("not answering");
    else if (!b->status.is_ready)
        *ret_why = b->status.text;
    else
        return true;
    return false;
}

/* --- calls --- */

static uint64_t caller_of(const struct chy_caller *caller)
{
    uint64_t h = 0;
    if (caller->method != CHY_AUTH_NONE) {
        chy_copy(&h, caller->credential, sizeof h); /* of a SHA-256: any part of it will do */
        return h;
    }
    h = 1469598103934665603u; /* FNV-1a: a collision makes two addresses share one limit */
    for (size_t i = 0; i < caller->address.n; i++)
        h = (h ^ (uint8_t)caller->address.p[i]) * 1099511628211u;
    return h;
}

/* Who has too much in flight is told so; who has little is served while there is room at all. */
static enum chy_err check_share(struct front *f, const struct front_ask *ask, uint64_t caller,
                                struct chy_error *err)
{
    size_t max = f->config.max_calls_per_principal;
    if (chy_conn_asked_count(ask->conn) > f->config.max_calls_per_connection)
        return chy_fail(err, CHY_E_RATE, "this connection has %u requests in flight already",
                        f->config.max_calls_per_connection);
    if (chy_calls_count(f->calls) >= max && chy_calls_count_of(f->calls, caller) >= max)
        return chy_fail(err, CHY_E_RATE, "this caller has %zu requests in flight already", max);
    return CHY_OK;
}

static enum chy_err send_call(struct front *f, struct chy_channel *channel,
                              const struct front_ask *ask, const struct chy_call_slot *slot,
                              struct chy_error *err)
{
    struct chy_call call = {
        .op = (uint32_t)ask->row->op,
        .deadline_us = slot->deadline_us,
        .caller = *ask->caller,
        .request = ask->request,
    };
    chy_copy(call.request_id, ask->request_id, sizeof call.request_id);
    chy_buf_clear(&f->message);
    CHY_TRY(chy_schema_encode(&chy_call_schema, &call, &f->message, err));
    struct chy_frame frame = { CHY_MSG_CALL, slot->id, chy_buf_bytes(&f->message) };
    return chy_channel_send(channel, &frame, err);
}

enum chy_err front_call(struct front *f, const struct front_ask *ask, struct chy_error *err)
{
    struct front_backend *b = ask->row->server == CHY_OP_BY_SIGNER ? &f->signer : &f->query;
    uint64_t caller = caller_of(ask->caller);
    CHY_TRY(check_share(f, ask, caller, err));
    if (b->channel == NULL)
        return chy_fail(err, CHY_E_BUSY, "the process that answers this is not running");
    struct chy_call_slot *slot = chy_calls_take(f->calls);
    if (slot == NULL)
        return chy_fail(err, CHY_E_BUSY, "the server has %u requests in flight already",
                        f->config.max_calls);
    slot->purpose = ask->purpose;
    slot->row = ask->row;
    slot->conn = ask->conn;
    slot->stream = ask->stream;
    slot->is_head = ask->is_head;
    slot->caller = caller;
    slot->since_us = chy_clock_monotonic_us();
    slot->deadline_us = slot->since_us + CALL_TIMEOUT_US;
    chy_copy(slot->request_id, ask->request_id, sizeof slot->request_id);
    enum chy_err r = send_call(f, b->channel, ask, slot, err);
    if (r != CHY_OK) {
        chy_calls_release(f->calls, slot);
        return r == CHY_E_STATE ? CHY_E_BUSY : r; /* closed within this very turn */
    }
    slot->state = ask->state;
    slot->state_free = ask->state_free;
    return CHY_OK;
}

void front_calls_tick(struct front *f, int64_t now_us)
{
    for (struct chy_call_slot *s = chy_calls_next(f->calls, NULL); s != NULL;
         s = chy_calls_next(f->calls, s)) {
        if (now_us < s->deadline_us)
            continue;
        f->calls_late++;
        serve_failure(f, s, CHY_E_TIMEOUT,
                      "the answer took too long; the log tells what became of it");
        chy_calls_release(f->calls, s);
    }
}

void front_calls_forget(struct front *f, const struct chy_conn *conn, int32_t stream)
{
    for (struct chy_call_slot *s = chy_calls_next(f->calls, NULL); s != NULL;
         s = chy_calls_next(f->calls, s))
        if (s->conn == conn && (stream == 0 || s->stream == stream))
            s->conn = NULL;
}
