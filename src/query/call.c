/* SPDX-License-Identifier: MIT */
#include "query/call.h"

#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "query/handlers.h"

static void call_free(struct query_call *call)
{
    chy_policy_rules_free(call->rules);
    chy_arena_done(&call->arena);
    chy_free(call);
}

/* --- answering --- */

static uint32_t retry_after_s(enum chy_err code)
{
    return code == CHY_E_BUSY || code == CHY_E_STORE || code == CHY_E_NOMEM ? 1 : 0;
}

static enum chy_err reply_send(const struct query_call *call, struct chy_reply *reply,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_FRAME_BODY_MAX);
    reply->principal = call->who.name;
    CHY_TRY(chy_schema_encode(&chy_reply_schema, reply, &out, err));
    struct chy_frame frame = { .type = CHY_MSG_REPLY,
                               .id = call->frame_id,
                               .body = chy_buf_bytes(&out) };
    if (call->q->front == NULL)
        return CHY_OK;
    return chy_channel_send(call->q->front, &frame, err);
}

static void reply_error(struct query_call *call, const struct chy_error *why)
{
    struct query *q = call->q;
    struct chy_reply reply = { .code = (uint32_t) - (int)why->code,
                               .text = chy_str_of(why->text),
                               .retry_after_s = retry_after_s(why->code) };
    struct chy_error err;
    bool is_ours = chy_err_http_status(why->code) >= 500;
    q->counters.refused += is_ours ? 0 : 1;
    q->counters.failed += is_ours ? 1 : 0;
    if (is_ours && why->code != CHY_E_BUSY && why->code != CHY_E_TIMEOUT)
        chy_log(&q->log, CHY_LOG_ERROR, "call.failed",
                CHY_L_HEX("req", ((struct chy_bytes){ call->call.request_id, CHY_ID_BYTES })),
                CHY_L_ERR(why));
    if (reply_send(call, &reply, &err) != CHY_OK)
        chy_log(&q->log, CHY_LOG_ERROR, "call.reply_lost", CHY_L_ERR(&err));
}

static enum chy_err reply_response(struct query_call *call, const void *response,
                                   struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(call->row->response, response, &body, err));
    struct chy_reply reply = { .response = chy_buf_bytes(&body) };
    CHY_TRY(reply_send(call, &reply, err));
    call->q->counters.answered++;
    return CHY_OK;
}

/* --- one step --- */

static bool is_about_checkpoint(enum chy_op op)
{
    return op == CHY_OP_LOG_RECEIPT || op == CHY_OP_LOG_CHECKPOINT || op == CHY_OP_LOG_TILE ||
           op == CHY_OP_LOG_ENTRIES;
}

static enum chy_err checkpoint_read(struct query_call *call, struct chy_error *err)
{
    struct query *q = call->q;
    if (q->anchor == NULL) {
        enum chy_err r = chy_anchor_open(q->config.anchor.p, false, &q->anchor, err);
        if (r == CHY_E_NOT_FOUND)
            return CHY_OK;
        CHY_TRY(r);
    }
    struct chy_str text;
    CHY_TRY(chy_anchor_read(q->anchor, &call->arena, &call->note, err));
    if (call->note.n == 0)
        return CHY_OK;
    CHY_TRY(chy_tlog_note_text(call->note, &text, err));
    return chy_tlog_checkpoint_parse(text, &call->checkpoint, err);
}

/* What anybody may ask is answered to those as well whose credential has ended. */
static enum chy_err admit(struct query_call *call, struct chy_error *err)
{
    enum chy_err r = chy_principal_resolve(call->q->store, &call->call.caller, call->now_us,
                                           &call->arena, &call->who, err);
    bool is_nobody = r == CHY_E_UNAUTHENTICATED || r == CHY_E_EXPIRED;
    if (is_nobody && (call->row->may & CHY_MAY_ANYBODY) != 0) {
        call->who = (struct chy_principal){ .may = CHY_MAY_ANYBODY };
        return CHY_OK;
    }
    CHY_TRY(r);
    return chy_principal_check(&call->who, call->row, err);
}

static enum chy_err step_inside(struct query_call *call, query_fn *fn, void *response,
                                struct chy_error *err)
{
    CHY_TRY(admit(call, err));
    return fn(call, response, err);
}

static enum chy_err step(struct query_call *call, query_fn *fn, struct chy_error *err)
{
    struct query *q = call->q;
    if (q->store == NULL)
        return chy_fail(err, CHY_E_BUSY, "the server is starting");
    void *response = chy_arena_alloc(&call->arena, 1, call->row->response->size);
    if (response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
    call->now_us = chy_clock_realtime_us();
    if (is_about_checkpoint(call->row->op))
        CHY_TRY(checkpoint_read(call, err));
    CHY_TRY(chy_store_begin(q->store, err));
    enum chy_err r = step_inside(call, fn, response, err);
    chy_store_abort(q->store);
    CHY_TRY(r);
    return call->waits_for != 0 ? CHY_OK : reply_response(call, response, err);
}

static void run(struct query_call *call, query_fn *fn)
{
    struct chy_error err = { .code = CHY_E_INTERNAL };
    enum chy_err r = step(call, fn, &err);
    if (r == CHY_OK && call->waits_for != 0) {
        DL_APPEND(call->q->waiting, call);
        call->q->waiting_count++;
        return;
    }
    if (r != CHY_OK) {
        err.code = r;
        reply_error(call, &err);
    }
    call_free(call);
}

/* --- beginning --- */

static enum chy_err call_decode(struct query_call *call, struct chy_bytes body,
                                struct chy_error *err)
{
    struct chy_bytes own = chy_arena_bytes(&call->arena, body);
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a call");
    CHY_TRY(chy_schema_decode(&chy_call_schema, own, &call->arena, &call->call, err));
    call->row = chy_op_row((int)call->call.op);
    if (call->row == NULL || call->row->server != CHY_OP_BY_QUERY)
        return chy_fail(err, CHY_E_PROTOCOL, "operation %u is not query's", call->call.op);
    void *request = chy_arena_alloc(&call->arena, 1, call->row->request->size);
    if (request == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    call->request = request;
    return chy_schema_decode(call->row->request, call->call.request, &call->arena, request, err);
}

static enum chy_err call_check(const struct query_call *call, struct chy_error *err)
{
    if (call->q->is_draining)
        return chy_fail(err, CHY_E_BUSY, "the server is stopping");
    if (call->call.deadline_us != 0 && call->call.deadline_us < chy_clock_monotonic_us())
        return chy_fail(err, CHY_E_TIMEOUT, "the call waited too long for its turn");
    if (query_handler(call->row->op) == NULL)
        return chy_fail(err, CHY_E_INTERNAL, "%s has no handler", call->row->id);
    return CHY_OK;
}

void query_call_begin(struct query *q, const struct chy_frame *frame)
{
    struct query_call *call = chy_new(struct query_call);
    if (call == NULL) {
        /* Without memory for a call there is none for an answer: front's deadline answers. */
        chy_log(&q->log, CHY_LOG_ERROR, "call.no_memory");
        return;
    }
    call->q = q;
    call->frame_id = frame->id;
    chy_arena_init(&call->arena, CHY_LIMIT_ARENA);
    struct chy_error err = { .code = CHY_E_INTERNAL };
    enum chy_err r = call_decode(call, frame->body, &err);
    if (r == CHY_OK)
        r = call_check(call, &err);
    if (r == CHY_OK) {
        run(call, query_handler(call->row->op));
        return;
    }
    err.code = r;
    reply_error(call, &err);
    call_free(call);
}

/* --- inspect --- */

enum chy_err query_inspect(struct query_call *call, const struct chy_inspect_request *request,
                           query_fn *then, struct chy_error *err)
{
    struct query *q = call->q;
    if (q->inspect == NULL)
        return chy_fail(err, CHY_E_BUSY, "the process that reads documents is being restarted");
    if (q->waiting_count >= CHY_LIMIT_QUERY_WAITING)
        return chy_fail(err, CHY_E_BUSY, "too many drafts of policies are being read");
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(&chy_inspect_request_schema, request, &out, err));
    struct chy_frame frame = { .type = CHY_MSG_INSPECT,
                               .id = ++q->next_frame_id,
                               .body = chy_buf_bytes(&out) };
    CHY_TRY(chy_channel_send(q->inspect, &frame, err));
    call->waits_for = frame.id;
    call->then = then;
    return CHY_OK;
}

static void waiting_take(struct query_call *call)
{
    DL_DELETE(call->q->waiting, call);
    call->q->waiting_count--;
    call->waits_for = 0;
}

static enum chy_err inspected_read(struct query_call *call, struct chy_bytes body,
                                   struct chy_error *err)
{
    struct chy_inspect_reply *reply = chy_arena_new(&call->arena, struct chy_inspect_reply);
    struct chy_bytes own = chy_arena_bytes(&call->arena, body);
    if (reply == NULL || own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer of inspect");
    CHY_TRY(chy_schema_decode(&chy_inspect_reply_schema, own, &call->arena, reply, err));
    enum chy_err code = (enum chy_err) - (int)reply->code;
    if (code != CHY_OK)
        return chy_fail(err, chy_err_is_known((int)code) ? code : CHY_E_PROTOCOL, "%.*s",
                        CHY_STR_ARG(reply->text));
    call->inspected = reply;
    return CHY_OK;
}

void query_inspect_reply(struct query *q, const struct chy_frame *frame)
{
    struct query_call *call;
    DL_SEARCH_SCALAR(q->waiting, call, waits_for, frame->id);
    if (call == NULL)
        return; /* of a call whose front has gone */
    waiting_take(call);
    struct chy_error err = { .code = CHY_E_INTERNAL };
    enum chy_err r = inspected_read(call, frame->body, &err);
    if (r == CHY_OK) {
        run(call, call->then);
        return;
    }
    err.code = r;
    reply_error(call, &err);
    call_free(call);
}

void query_inspect_gone(struct query *q)
{
    while (q->waiting != NULL) {
        struct query_call *call = q->waiting;
        struct chy_error err;
        waiting_take(call);
        chy_fail(&err, CHY_E_BUSY, "the process that reads documents was restarted; try again");
        reply_error(call, &err);
        call_free(call);
    }
}

void query_front_gone(struct query *q)
{
    while (q->waiting != NULL) {
        struct query_call *call = q->waiting;
        waiting_take(call);
        call_free(call);
    }
}
