/* SPDX-License-Identifier: MIT */
#include "front/api.h"
#include "front/exchange.h"
#include "front/problem.h"
#include "front/server.h"
#include "os/clock.h"
#include "os/random.h"

static void answer_problem(const struct exchange *x, struct chy_problem *p, uint32_t retry_after_s,
                           struct chy_str allow)
{
    struct answer a = { .response = { .content_type = CHY_STR(CHY_PROBLEM_CONTENT_TYPE) } };
    int status = chy_problem_status(p);
    p->request_id = x->request_id;
    chy_buf_clear(&x->front->message);
    chy_problem_write(p, &x->front->message);
    if (chy_buf_check(&x->front->message, NULL) == CHY_OK)
        a.response.body = chy_buf_bytes(&x->front->message);
    const struct refusal refusal = { .challenge = CHY_STR("Bearer realm=\"chancery\""),
                                     .allow = allow,
                                     .retry_after_s = retry_after_s };
    answer_add_refusal(&a, status, &refusal);
    exchange_send(x, &a, status);
}

static void answer_error(const struct exchange *x, int status, const struct chy_error *err)
{
    struct chy_problem p = { .status = status, .code = err->code, .detail = chy_str_of(err->text) };
    exchange_log_failure(x->front, x->request_id, err->code, p.detail);
    answer_problem(x, &p, 0, (struct chy_str){ 0 });
}

/* --- what is served here --- */

static void serve_health(const struct exchange *x)
{
    exchange_send_body(x, CHY_STR("text/plain"), chy_str_bytes(CHY_STR("alive\n")), 0);
}

static void serve_ready(const struct exchange *x)
{
    struct front *f = x->front;
    struct chy_str why = { 0 };
    int64_t now_us = chy_clock_monotonic_us();
    struct chy_error err;
    if (f->is_draining)
        CHY_IGNORE(chy_fail(&err, CHY_E_BUSY, "the server is about to end"));
    else if (!front_backend_is_ready(&f->signer, now_us, &why))
        CHY_IGNORE(chy_fail(&err, CHY_E_BUSY, "the signer is %.*s", CHY_STR_ARG(why)));
    else if (!front_backend_is_ready(&f->query, now_us, &why))
        CHY_IGNORE(chy_fail(&err, CHY_E_BUSY, "query is %.*s", CHY_STR_ARG(why)));
    else {
        exchange_send_body(x, CHY_STR("text/plain"), chy_str_bytes(CHY_STR("ready\n")), 0);
        return;
    }
    answer_error(x, 503, &err);
}

static void answer_metrics(const struct exchange *x)
{
    struct front *f = x->front;
    struct chy_error err;
    chy_buf_clear(&f->body);
    front_metrics_write(f, chy_clock_monotonic_us(), &f->body);
    if (chy_buf_check(&f->body, &err) == CHY_OK)
        exchange_send_body(x, CHY_STR("text/plain; version=0.0.4; charset=utf-8"),
                           chy_buf_bytes(&f->body), 0);
    else
        answer_error(x, 0, &err);
}

static enum chy_err find_caller(const struct exchange *x, const struct chy_http_request *request,
                                unsigned may, struct chy_caller *ret_caller, struct chy_error *err)
{
    exchange_caller(x, request, ret_caller);
    return chy_api_read_caller(request, chy_conn_peer(x->conn), chy_clock_realtime_us(), may,
                               ret_caller, err);
}

static enum chy_err ask_for(const struct exchange *x, enum chy_call_purpose purpose,
                            const struct chy_op_row *row, const struct chy_caller *caller,
                            struct chy_error *err)
{
    const struct front_ask ask = {
        .purpose = purpose,
        .row = row,
        .request_id = x->request_id,
        .conn = x->conn,
        .stream = x->stream,
        .is_head = x->is_head,
        .caller = caller,
        .request = chy_buf_bytes(&x->front->body),
    };
    return front_call(x->front, &ask, err);
}

/* Metrics may tell of keys and principals: they are for those who may read the log. Who that is the
 * front does not know; it asks on the caller's behalf. */
static enum chy_err serve_metrics(const struct exchange *x, const struct chy_http_request *request,
                                  struct chy_error *err)
{
    static const struct chy_empty nothing;
    struct front *f = x->front;
    if (f->config.metrics_for_everybody) {
        answer_metrics(x);
        return CHY_OK;
    }
    const struct chy_op_row *whoami = chy_op_row(CHY_OP_WHOAMI);
    struct chy_caller caller;
    CHY_TRY(find_caller(x, request, whoami->may, &caller, err));
    chy_buf_clear(&f->body);
    CHY_TRY(chy_schema_encode(&chy_empty_schema, &nothing, &f->body, err));
    return ask_for(x, CHY_CALL_METRICS, whoami, &caller, err);
}

static enum chy_err serve_own(const struct exchange *x, const struct chy_http_request *request,
                              bool *ret_is_ours, struct chy_error *err)
{
    struct chy_str path = x->front->target.path;
    *ret_is_ours = true;
    if (chy_str_equal_c(path, "/healthz"))
        serve_health(x);
    else if (chy_str_equal_c(path, "/readyz"))
        serve_ready(x);
    else if (chy_str_equal_c(path, "/openapi.json"))
        exchange_send_body(x, CHY_STR("application/json"), chy_buf_bytes(&x->front->openapi), 0);
    else if (chy_str_equal_c(path, "/metrics"))
        return serve_metrics(x, request, err);
    else
        *ret_is_ours = false;
    return CHY_OK;
}

/* --- operations --- */

static void answer_no_route(const struct exchange *x, struct chy_str allow)
{
    struct chy_problem p = { .code = CHY_E_NOT_FOUND,
                             .detail = CHY_STR("there is nothing at this path") };
    if (allow.n > 0)
        p = (struct chy_problem){ .status = 405,
                                  .code = CHY_E_UNSUPPORTED,
                                  .detail = CHY_STR("this path is not for this method") };
    answer_problem(x, &p, 0, allow);
}

static enum chy_err serve_operation(const struct exchange *x, const struct chy_op_match *match,
                                    const struct chy_http_request *request, struct chy_error *err)
{
    struct front *f = x->front;
    CHY_TRY(chy_api_check_version(request, err));
    /* Nobody's body is read before it is known that somebody is asking. */
    struct chy_caller caller;
    CHY_TRY(find_caller(x, request, match->row->may, &caller, err));
    if (!chy_api_body_is_json(request)) {
        struct chy_problem p = { .status = 415,
                                 .code = CHY_E_UNSUPPORTED,
                                 .detail = CHY_STR("the body is not application/json") };
        answer_problem(x, &p, 0, (struct chy_str){ 0 });
        return CHY_OK;
    }
    chy_buf_clear(&f->body);
    CHY_TRY(chy_api_read_request(match, request, &f->target, &f->arena, &f->body, err));
    return ask_for(x, CHY_CALL_API, match->row, &caller, err);
}

static enum chy_err serve_route(const struct exchange *x, const struct chy_http_request *request,
                                struct chy_error *err)
{
    struct front *f = x->front;
    bool is_ours = false;
    chy_arena_reset(&f->arena);
    CHY_TRY(chy_target_parse(request->target, &f->arena, &f->target, err));
    CHY_TRY(chy_api_check_site(request, err));
    enum chy_http_method method = x->is_head ? CHY_HTTP_GET : request->method;
    if (method == CHY_HTTP_GET)
        CHY_TRY(serve_own(x, request, &is_ours, err));
    if (is_ours || signserver_request(x, request))
        return CHY_OK;
    struct chy_op_match match;
    if (chy_op_find(method, f->target.path, &match))
        return serve_operation(x, &match, request, err);
    answer_no_route(x, chy_str_of(match.allow));
    return CHY_OK;
}

static enum chy_err new_request_id(struct front *f, uint8_t id[CHY_ID_BYTES], struct chy_error *err)
{
    if (f->request_ids_left == 0) {
        CHY_TRY(chy_random_fill(f->request_ids, sizeof f->request_ids, err));
        f->request_ids_left = REQUEST_IDS;
    }
    chy_copy(id, f->request_ids[--f->request_ids_left], CHY_ID_BYTES);
    return CHY_OK;
}

void serve_request(void *ctx, struct chy_conn *c, int32_t stream,
                   const struct chy_http_request *request)
{
    uint8_t id[CHY_ID_BYTES] = { 0 };
    struct chy_error err;
    struct exchange x = { ctx, c, stream, request->method == CHY_HTTP_HEAD, id };
    if (new_request_id(ctx, id, &err) == CHY_OK && serve_route(&x, request, &err) == CHY_OK)
        return;
    answer_error(&x, exchange_status_of(err.code), &err);
}

void serve_refused(void *ctx, struct chy_conn *c, int32_t stream,
                   const struct chy_http_refusal *why)
{
    uint8_t id[CHY_ID_BYTES] = { 0 };
    struct exchange x = { ctx, c, stream, false, id };
    CHY_IGNORE(new_request_id(ctx, id, NULL)); /* without one it stays zero */
    struct chy_problem p = {
        .status = why->status,
        .code = chy_problem_code_of(why->status),
        .detail = chy_str_of(why->detail),
    };
    answer_problem(&x, &p, 0, (struct chy_str){ 0 });
}

void serve_gone(void *ctx, struct chy_conn *c, int32_t stream)
{
    front_calls_forget(ctx, c, stream);
}

/* --- replies --- */

static struct exchange exchange_of(struct front *f, const struct chy_call_slot *slot)
{
    return (struct exchange){ f, slot->conn, slot->stream, slot->is_head, slot->request_id };
}

static enum chy_err answer_reply(const struct exchange *x, const struct chy_call_slot *slot,
                                 const struct chy_reply *reply, struct chy_error *err)
{
    struct front *f = x->front;
    enum chy_err code = (enum chy_err) - (int)CHY_MIN(reply->code, (uint32_t)INT16_MAX);
    struct chy_api_answer answer = { 0 };
    chy_buf_clear(&f->body);
    if (code == CHY_OK || reply->response.n > 0)
        CHY_TRY(
            chy_api_write_response(slot->row, reply->response, &f->arena, &f->body, &answer, err));
    if (code == CHY_OK) {
        exchange_send_body(x, answer.content_type, answer.body, answer.max_age_s);
        return CHY_OK;
    }
    if (!chy_err_is_known((int)code))
        return chy_fail(err, CHY_E_PROTOCOL, "a reply has the unknown code %u", reply->code);
    exchange_log_failure(f, slot->request_id, code, reply->text);
    struct chy_problem p = {
        .status = (slot->row->may & CHY_MAY_ANYBODY) != 0 ? 0 : exchange_status_of(code),
        .code = code,
        .detail = reply->text,
        .result = slot->row->is_raw ? (struct chy_str){ 0 } : chy_bytes_str(answer.body),
    };
    answer_problem(x, &p, reply->retry_after_s, (struct chy_str){ 0 });
    return CHY_OK;
}

static enum chy_err answer_metrics_reply(const struct exchange *x, const struct chy_reply *reply,
                                         struct chy_error *err)
{
    struct chy_whoami who;
    if (reply->code != 0)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "%.*s", CHY_STR_ARG(reply->text));
    CHY_TRY(chy_schema_decode(&chy_whoami_schema, reply->response, &x->front->arena, &who, err));
    for (size_t i = 0; i < who.roles.n; i++) {
        if (!chy_str_equal_c(who.roles.p[i], "auditor") &&
            !chy_str_equal_c(who.roles.p[i], "administrator"))
            continue;
        answer_metrics(x);
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_FORBIDDEN, "metrics are for auditors and administrators");
}

static bool is_signserver(const struct chy_call_slot *slot)
{
    return slot->purpose == CHY_CALL_SIGNSERVER_KEY || slot->purpose == CHY_CALL_SIGNSERVER_SIGN;
}

void serve_reply(struct front *f, struct chy_call_slot *slot, const struct chy_reply *reply)
{
    struct chy_error err;
    struct exchange x = exchange_of(f, slot);
    enum chy_err r = CHY_OK;
    if (slot->conn == NULL)
        return;
    if (is_signserver(slot))
        signserver_reply(&x, slot, reply);
    else if (slot->purpose == CHY_CALL_METRICS)
        r = answer_metrics_reply(&x, reply, &err);
    else
        r = answer_reply(&x, slot, reply, &err);
    if (r != CHY_OK)
        answer_error(&x, 0, &err);
    chy_log(&f->log, CHY_LOG_DEBUG, "request.done",
            CHY_L_HEX("req", ((struct chy_bytes){ slot->request_id, CHY_ID_BYTES })),
            CHY_L_CSTR("op", slot->row->id), CHY_L_STR("principal", reply->principal),
            CHY_L_U64("us", (uint64_t)(chy_clock_monotonic_us() - slot->since_us)));
}

void serve_failure(struct front *f, const struct chy_call_slot *slot, enum chy_err code,
                   const char *text)
{
    struct chy_error err;
    struct exchange x = exchange_of(f, slot);
    CHY_IGNORE(chy_fail(&err, code, "%s", text));
    if (slot->conn == NULL)
        exchange_log_failure(f, slot->request_id, code, chy_str_of(text));
    else if (is_signserver(slot))
        signserver_failure(&x, &err);
    else
        answer_error(&x, 0, &err);
}
