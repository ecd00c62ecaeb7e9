/* SPDX-License-Identifier: MIT */
/* HTTP/2: frames behind a preface that is always right. Every request is answered, every second
 * one at once; what is handed over must be as clean as a request of HTTP/1.1. The first byte says
 * in which pieces the rest comes. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "front/http2.h"

#define BODY_MAX    4096
#define WAITING_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct server {
    struct chy_http2 *h2;
    int32_t waiting[WAITING_MAX];
    size_t waiting_n;
    size_t requests;
};

static void answer(struct server *s, int32_t stream, int status)
{
    struct chy_http_response r = { .status = status,
                                   .content_type = CHY_STR("text/plain"),
                                   .body = { (const uint8_t *)"0123456789", 10 } };
    CHY_ASSERT(chy_http2_respond(s->h2, stream, &r, NULL) != CHY_E_STATE);
}

static void on_request(void *ctx, int32_t stream, const struct chy_http_request *r)
{
    struct server *s = ctx;
    CHY_ASSERT(r->body.n == r->content_length && r->body.n <= BODY_MAX);
    CHY_ASSERT(chy_http_is_host(r->host) && chy_http_is_target(r->target));
    CHY_ASSERT(chy_http_field_find(r, "transfer-encoding") == NULL);
    for (size_t i = 0; i < r->field_count; i++)
        CHY_ASSERT(chy_http_is_token(r->fields[i].name) &&
                   chy_http_is_field_value(r->fields[i].value));
    if (s->requests++ % 2 == 0 || s->waiting_n == WAITING_MAX)
        answer(s, stream, 200);
    else
        s->waiting[s->waiting_n++] = stream;
}

static void on_refused(void *ctx, int32_t stream, const struct chy_http_refusal *why)
{
    CHY_ASSERT(why->status >= 400 && why->detail != NULL);
    answer(ctx, stream, why->status);
}

/* Only what was handed over and not answered may be reported gone. */
static void on_gone(void *ctx, int32_t stream)
{
    struct server *s = ctx;
    size_t i = 0;
    while (i < s->waiting_n && s->waiting[i] != stream)
        i++;
    CHY_ASSERT(i < s->waiting_n);
    s->waiting[i] = s->waiting[--s->waiting_n];
}

static enum chy_err feed(struct server *s, struct chy_bytes in, size_t step, struct chy_buf *out)
{
    for (size_t at = 0; at < in.n; at += step) {
        CHY_TRY(chy_http2_receive(s->h2, (struct chy_bytes){ in.p + at, CHY_MIN(step, in.n - at) },
                                  (int64_t)at, NULL));
        chy_buf_clear(out);
        CHY_TRY(chy_http2_send(s->h2, out, 1000, NULL));
    }
    return CHY_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct server s = { .h2 = NULL };
    const struct chy_http2_handler handler = { on_request, on_refused, on_gone, &s };
    struct chy_buf out;
    if (n < 1 || chy_http2_new(&handler, BODY_MAX, &s.h2, NULL) != CHY_OK)
        return 0;
    chy_buf_init(&out, 1 << 22);
    size_t step = (size_t)data[0] + 1;
    if (feed(&s, (struct chy_bytes){ (const uint8_t *)preface, sizeof preface - 1 }, 64, &out) ==
        CHY_OK)
        CHY_IGNORE(
            feed(&s, (struct chy_bytes){ data + 1, n - 1 }, step, &out)); /* may be refused */
    while (s.waiting_n > 0)
        answer(&s, s.waiting[--s.waiting_n], 200);
    CHY_ASSERT(chy_http2_body_bytes(s.h2) <= CHY_LIMIT_HTTP2_BODIES);
    chy_http2_free(s.h2);
    chy_buf_done(&out);
    return 0;
}
