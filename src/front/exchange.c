/* SPDX-License-Identifier: MIT */
#include "front/exchange.h"

#include <stdio.h>

#include "front/problem.h"
#include "os/clock.h"

#define RETRY_AFTER_S 1

static struct chy_str date_now(struct front *f)
{
    int64_t now_s = chy_clock_realtime_us() / 1000000;
    if (now_s != f->date_s) {
        chy_http_date(now_s, f->date);
        f->date_s = now_s;
    }
    return chy_str_of(f->date);
}

void answer_add_field(struct answer *a, struct chy_str name, struct chy_str value)
{
    CHY_ASSERT(a->response.field_count < ANSWER_FIELDS);
    a->fields[a->response.field_count++] = (struct chy_http_field){ name, value };
}

void exchange_send(const struct exchange *x, struct answer *a, int status)
{
    struct front *f = x->front;
    struct chy_http_response *r = &a->response;
    r->status = status;
    r->fields = a->fields;
    r->date = date_now(f);
    r->is_head = x->is_head;
    chy_hex_encode((struct chy_bytes){ x->request_id, CHY_ID_BYTES }, a->request_id);
    CHY_IGNORE(snprintf(a->api, sizeof a->api, "%d", CHY_API_MAX)); /* a digit or two */
    answer_add_field(a, CHY_STR("chancery-request-id"), chy_str_of(a->request_id));
    answer_add_field(a, CHY_STR("chancery-api"), chy_str_of(a->api));
    f->answers[status > 0 && status < FRONT_STATUSES ? status : 0]++;
    chy_conn_respond(x->conn, x->stream, r);
}

void answer_add_refusal(struct answer *a, int status, const struct refusal *why)
{
    if (status == 401)
        answer_add_field(a, CHY_STR("www-authenticate"), why->challenge);
    if (why->allow.n > 0)
        answer_add_field(a, CHY_STR("allow"), why->allow);
    if (status == 429 || status == 503) {
        CHY_IGNORE(snprintf(a->retry_after, sizeof a->retry_after, "%u",
                            CHY_MAX(why->retry_after_s, (uint32_t)RETRY_AFTER_S))); /* ten digits */
        answer_add_field(a, CHY_STR("retry-after"), chy_str_of(a->retry_after));
    }
}

void exchange_send_body(const struct exchange *x, struct chy_str type, struct chy_bytes body,
                        uint32_t max_age_s)
{
    struct answer a = { .response = { .content_type = type, .body = body } };
    if (max_age_s > 0) {
        CHY_IGNORE(snprintf(a.cache_control, sizeof a.cache_control, "public, max-age=%u",
                            max_age_s)); /* 27 characters at most */
        a.response.cache_control = chy_str_of(a.cache_control);
    }
    exchange_send(x, &a, 200);
}

void exchange_log_failure(struct front *f, const uint8_t *request_id, enum chy_err code,
                          struct chy_str text)
{
    struct chy_bytes id = { request_id, CHY_ID_BYTES };
    chy_log(&f->log, chy_problem_is_public(code) ? CHY_LOG_INFO : CHY_LOG_ERROR, "request.failed",
            CHY_L_HEX("req", id), CHY_L_CSTR("error", chy_err_name(code)), CHY_L_STR("text", text));
}

void exchange_caller(const struct exchange *x, const struct chy_http_request *request,
                     struct chy_caller *ret_caller)
{
    const struct chy_http_field *agent = chy_http_field_find(request, "user-agent");
    *ret_caller = (struct chy_caller){ .address = chy_conn_address(x->conn) };
    if (agent != NULL &&
        chy_text_is_plain(agent->value)) /* a tab may be in a header, not in a text */
        ret_caller->user_agent =
            (struct chy_str){ agent->value.p, CHY_MIN(agent->value.n, (size_t)CHY_LIMIT_TEXT) };
}

int exchange_status_of(enum chy_err code)
{
    return code == CHY_E_EXPIRED ? 401 : 0;
}
