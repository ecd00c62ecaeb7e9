/* SPDX-License-Identifier: MIT */
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/http2.h"

#define BODY_MAX 1000
#define LOG_MAX  300

/* Both ends of a connection and what each saw. */
struct pair {
    struct chy_http2 *server;
    nghttp2_session *client;
    struct chy_buf to_client;
    enum chy_err received; /* the server's last answer to bytes */
    /* the server's side */
    size_t request_count, refused_count, gone_count;
    int32_t ids[LOG_MAX];
    int status; /* of the last refusal */
    char target[64];
    char body[64];
    bool answers_at_once;
    bool is_sweep;
    struct chy_http_request last;
    /* the client's side */
    int statuses[LOG_MAX];
    size_t status_count;
    bool got_continue;
    char answer[256];
    size_t answer_n;
    char type[64];
    uint32_t goaway_code;
    bool has_goaway;
};

static void respond(struct pair *p, int32_t id, int status, const char *body)
{
    struct chy_http_field own = { CHY_STR("chancery-request-id"), CHY_STR("01") };
    struct chy_http_response r = {
        .status = status,
        .content_type = CHY_STR("text/plain"),
        .fields = &own,
        .field_count = 1,
        .date = CHY_STR("Sun, 06 Nov 1994 08:49:37 GMT"),
        .body = chy_str_bytes(chy_str_of(body)),
    };
    assert_int_equal(chy_http2_respond(p->server, id, &r, NULL), CHY_OK);
}

static void on_request(void *ctx, int32_t stream, const struct chy_http_request *request)
{
    struct pair *p = ctx;
    p->last = *request;
    p->ids[p->request_count++ % LOG_MAX] = stream;
    snprintf(p->target, sizeof p->target, "%.*s", CHY_STR_ARG(request->target));
    snprintf(p->body, sizeof p->body, "%.*s", CHY_STR_ARG(chy_bytes_str(request->body)));
    if (p->answers_at_once)
        respond(p, stream, 200, "at once");
}

static void on_refused(void *ctx, int32_t stream, const struct chy_http_refusal *why)
{
    struct pair *p = ctx;
    p->refused_count++;
    p->status = why->status;
    if (!p->is_sweep)
        respond(p, stream, why->status, why->detail);
}

static void on_gone(void *ctx, int32_t stream)
{
    (void)stream;
    struct pair *p = ctx;
    p->gone_count++;
}

static int client_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_n, const uint8_t *value,
                            size_t value_n, uint8_t flags, void *ctx)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct pair *p = ctx;
    if (name_n == 7 && memcmp(name, ":status", 7) == 0) {
        if (memcmp(value, "100", 3) == 0)
            p->got_continue = true;
        else
            p->statuses[p->status_count++ % LOG_MAX] =
                (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
    }
    if (name_n == 12 && memcmp(name, "content-type", 12) == 0)
        snprintf(p->type, sizeof p->type, "%.*s", (int)value_n, (const char *)value);
    return 0;
}

static int client_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t n, void *ctx)
{
    (void)session;
    (void)flags;
    (void)id;
    struct pair *p = ctx;
    size_t room = CHY_MIN(n, sizeof p->answer - 1 - p->answer_n);
    memcpy(p->answer + p->answer_n, data, room);
    p->answer_n += room;
    return 0;
}

static int client_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    (void)session;
    struct pair *p = ctx;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        p->has_goaway = true;
        p->goaway_code = frame->goaway.error_code;
    }
    return 0;
}

/* Carry bytes both ways until neither side has more to say. `step` bytes at a time for the server.
 * */
static void run(struct pair *p, size_t step)
{
    for (bool moved = true; moved;) {
        moved = false;
        const uint8_t *data;
        for (ssize_t n; (n = nghttp2_session_mem_send(p->client, &data)) > 0; moved = true) {
            for (size_t at = 0; at < (size_t)n && p->received == CHY_OK; at += step) {
                struct chy_bytes part = { data + at, CHY_MIN(step, (size_t)n - at) };
                p->received = chy_http2_receive(p->server, part, 5, NULL);
            }
        }
        assert_int_equal(chy_http2_send(p->server, &p->to_client, SIZE_MAX, NULL), CHY_OK);
        if (p->to_client.n > 0) {
            assert_true(nghttp2_session_mem_recv(p->client, p->to_client.p, p->to_client.n) >= 0);
            chy_buf_clear(&p->to_client);
            moved = true;
        }
    }
}

static int set_up(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    struct chy_http2_handler handler = { on_request, on_refused, on_gone, p };
    assert_non_null(p);
    assert_int_equal(chy_http2_new(&handler, BODY_MAX, &p->server, NULL), CHY_OK);
    nghttp2_session_callbacks *c;
    assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
    nghttp2_session_callbacks_set_on_header_callback(c, client_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, client_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, client_on_frame);
    nghttp2_option *o;
    assert_int_equal(nghttp2_option_new(&o), 0);
    nghttp2_option_set_no_http_messaging(o, 1); /* the client may send what it should not */
    assert_int_equal(nghttp2_session_client_new2(&p->client, c, p, o), 0);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    assert_int_equal(nghttp2_submit_settings(p->client, 0, NULL, 0), 0);
    chy_buf_init(&p->to_client, 1 << 24);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    chy_http2_free(p->server);
    nghttp2_session_del(p->client);
    chy_buf_done(&p->to_client);
    free(p);
    return 0;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                         strlen(value), NGHTTP2_NV_FLAG_NONE };
}

struct body_source {
    const char *text;
    size_t n;
    bool stays_open;
};

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t n,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)session;
    (void)id;
    (void)ctx;
    struct body_source *b = source->ptr;
    if (b->n == 0 && b->stays_open)
        return NGHTTP2_ERR_DEFERRED;
    size_t part = CHY_MIN(n, b->n);
    if (b->text != NULL)
        memcpy(to, b->text, part);
    else
        memset(to, 'b', part);
    b->n -= part;
    if (b->n == 0 && !b->stays_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

/* Ask with up to three fields more (NULL ends them); returns the stream. */
static int32_t ask(struct pair *p, const char *method, const char *path, struct body_source *body,
                   const char *extra[][2], size_t extra_n)
{
    nghttp2_nv list[CHY_LIMIT_HTTP_FIELDS + 8];
    size_t n = 0;
    list[n++] = nv(":method", method);
    list[n++] = nv(":scheme", "https");
    list[n++] = nv(":path", path);
    list[n++] = nv(":authority", "localhost:8443");
    for (size_t i = 0; i < extra_n; i++)
        list[n++] = nv(extra[i][0], extra[i][1]);
    nghttp2_data_provider provider = { .source.ptr = body, .read_callback = read_body };
    int32_t id =
        nghttp2_submit_request(p->client, NULL, list, n, body != NULL ? &provider : NULL, NULL);
    assert_true(id > 0);
    return id;
}

static void test_request__body_and_answer(void **state)
{
    struct pair *p = *state;
    struct body_source body = { "{\"a\":1}", 7, false };
    const char *extra[][2] = { { "content-type", "application/json" }, { "content-length", "7" } };
    int32_t id = ask(p, "POST", "/v1/sign?x=1", &body, extra, 2);
    run(p, 1);
    assert_int_equal(p->request_count, 1);
    assert_int_equal(p->ids[0], id);
    assert_string_equal(p->target, "/v1/sign?x=1");
    assert_string_equal(p->body, "{\"a\":1}");
    assert_int_equal(p->last.method, CHY_HTTP_POST);
    assert_int_equal(p->last.field_count, 2);
    assert_int_equal(p->last.content_length, 7);
    assert_int_equal(chy_http2_stream_count(p->server), 1);
    respond(p, id, 201, "made");
    run(p, 1);
    assert_int_equal(p->status_count, 1);
    assert_int_equal(p->statuses[0], 201);
    assert_string_equal(p->answer, "made");
    assert_string_equal(p->type, "text/plain");
    assert_int_equal(p->gone_count, 0);
    assert_int_equal(chy_http2_stream_count(p->server), 0);
    assert_int_equal(p->received, CHY_OK);
}

/* Each stream keeps its own method and body, whatever comes between its head and its end. */
static void test_request__streams_do_not_mix(void **state)
{
    struct pair *p = *state;
    struct body_source open = { "abc", 3, true };
    int32_t first = ask(p, "PUT", "/first", &open, NULL, 0);
    run(p, 7);
    assert_int_equal(p->request_count, 0);
    assert_int_equal(chy_http2_waiting_since_us(p->server), 5);
    assert_int_equal(chy_http2_body_bytes(p->server), 3);
    int32_t second = ask(p, "DELETE", "/second", NULL, NULL, 0);
    run(p, 7);
    assert_int_equal(p->request_count, 1);
    assert_int_equal(p->ids[0], second);
    assert_int_equal(p->last.method, CHY_HTTP_DELETE);
    open.stays_open = false;
    assert_int_equal(nghttp2_session_resume_data(p->client, first), 0);
    run(p, 7);
    assert_int_equal(p->request_count, 2);
    assert_int_equal(p->last.method, CHY_HTTP_PUT);
    assert_string_equal(p->target, "/first");
    assert_string_equal(p->body, "abc");
    assert_int_equal(chy_http2_waiting_since_us(p->server), INT64_MAX);
    assert_int_equal(chy_http2_body_bytes(p->server), 0);
    respond(p, second, 204, "");
    respond(p, first, 200, "1");
    run(p, 7);
    assert_int_equal(p->status_count, 2);
    assert_int_equal(p->gone_count, 0);
}

static void test_request__refusals(void **state)
{
    struct pair *p = *state;
    static char long_path[CHY_LIMIT_HTTP_TARGET + 2];
    memset(long_path, '/', sizeof long_path - 1);
    static char long_value[CHY_LIMIT_HTTP_HEAD + 1];
    memset(long_value, 'v', sizeof long_value - 1);
    const struct {
        int status;
        const char *method, *path, *name, *value;
    } rows[] = {
        { 501, "PATCH", "/", "x", "y" },
        { 501, "get", "/", "x", "y" },
        { 414, "GET", long_path, "x", "y" },
        { 431, "GET", "/", "x", long_value },
        { 400, "GET", "/a\"b", "x", "y" },
        { 400, "GET", "/", "x y", "z" },
        { 400, "GET", "/", "x", "a\x01" },
        { 400, "GET", "/%zz", "x", "y" },
        { 400, "GET", "/", "x", "\xc3\xa9" },
        { 400, "GET", "/", "host", "other" },
        { 417, "GET", "/", "expect", "more" },
        { 413, "POST", "/", "content-length", "1001" },
        { 400, "GET", "/", "content-length", "1" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        const char *extra[][2] = { { rows[i].name, rows[i].value } };
        /* A stream that announces a body may not end without one: leave it open. */
        struct body_source open = { NULL, 0, true };
        bool has_body = strcmp(rows[i].name, "content-length") == 0;
        p->status = 0;
        ask(p, rows[i].method, rows[i].path, has_body ? &open : NULL, extra, 1);
        run(p, 1000);
        if (p->status != rows[i].status)
            fail_msg("row %zu: %d instead of %d", i, p->status, rows[i].status);
        assert_int_equal(p->refused_count, i + 1);
        assert_int_equal(p->statuses[i], rows[i].status);
    }
    assert_int_equal(p->request_count, 0);
    assert_int_equal(p->received, CHY_OK);
}

/* What nghttp2 itself refuses never reaches us: the stream is reset, the connection lives. */
static void test_request__broken_messages_are_reset(void **state)
{
    struct pair *p = *state;
    const char *bad[][2] = { { ":path", "/" },
                             { "transfer-encoding", "chunked" },
                             { "connection", "close" },
                             { ":late", "a" } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        ask(p, "GET", "/", NULL, &bad[i], 1);
    const char *twice[][2] = { { "content-length", "1" }, { "content-length", "1" } };
    struct body_source body = { "a", 1, false };
    ask(p, "POST", "/", &body, twice, 2);
    struct body_source too_long = { "ab", 2, false };
    ask(p, "POST", "/", &too_long, twice, 1);
    run(p, 1000);
    assert_int_equal(p->request_count, 0);
    assert_int_equal(chy_http2_stream_count(p->server), 0);
    ask(p, "GET", "/good", NULL, NULL, 0);
    run(p, 1000);
    assert_int_equal(p->request_count, 1);
}

static void test_request__duplicates_are_refused(void **state)
{
    struct pair *p = *state;
    const char *twice[][2] = { { "authorization", "a" }, { "authorization", "b" } };
    ask(p, "GET", "/", NULL, twice, 2);
    run(p, 1000);
    assert_int_equal(p->status, 400);
    assert_int_equal(p->request_count, 0);
}

static void test_request__limits_of_fields_and_body(void **state)
{
    struct pair *p = *state;
    const char *many[CHY_LIMIT_HTTP_FIELDS + 1][2];
    for (size_t i = 0; i < CHY_ARRAY_LEN(many); i++) {
        many[i][0] = "x";
        many[i][1] = "";
    }
    ask(p, "GET", "/", NULL, many, CHY_LIMIT_HTTP_FIELDS);
    run(p, 1000);
    assert_int_equal(p->request_count, 1);
    ask(p, "GET", "/", NULL, many, CHY_LIMIT_HTTP_FIELDS + 1);
    run(p, 1000);
    assert_int_equal(p->status, 431);

    struct body_source body = { NULL, BODY_MAX, false };
    ask(p, "POST", "/", &body, NULL, 0);
    run(p, 1000);
    assert_int_equal(p->request_count, 2);
    body = (struct body_source){ NULL, BODY_MAX + 1, false };
    ask(p, "POST", "/", &body, NULL, 0);
    run(p, 1000);
    assert_int_equal(p->status, 413);
    assert_int_equal(p->request_count, 2);
}

static void test_request__expects_continue(void **state)
{
    struct pair *p = *state;
    struct body_source body = { "ab", 0, true };
    const char *extra[][2] = { { "expect", "100-continue" } };
    int32_t id = ask(p, "POST", "/", &body, extra, 1);
    run(p, 1000);
    assert_true(p->got_continue);
    assert_int_equal(p->request_count, 0);
    body = (struct body_source){ "ab", 2, false };
    assert_int_equal(nghttp2_session_resume_data(p->client, id), 0);
    run(p, 1000);
    assert_string_equal(p->body, "ab");
}

static void test_respond__head_and_gone_and_twice(void **state)
{
    struct pair *p = *state;
    int32_t id = ask(p, "HEAD", "/", NULL, NULL, 0);
    run(p, 1000);
    assert_int_equal(p->last.method, CHY_HTTP_HEAD);
    struct chy_http_response r = { .status = 200,
                                   .content_type = CHY_STR("a/b"),
                                   .body = { (const uint8_t *)"body", 4 },
                                   .is_head = true };
    assert_int_equal(chy_http2_respond(p->server, id, &r, NULL), CHY_OK);
    assert_int_equal(chy_http2_respond(p->server, id, &r, NULL), CHY_E_STATE);
    run(p, 1000);
    assert_int_equal(p->answer_n, 0);
    assert_int_equal(p->statuses[0], 200);

    id = ask(p, "GET", "/", NULL, NULL, 0);
    run(p, 1000);
    assert_int_equal(nghttp2_submit_rst_stream(p->client, 0, id, NGHTTP2_CANCEL), 0);
    run(p, 1000);
    assert_int_equal(p->gone_count, 1);
    r.is_head = false;
    assert_int_equal(chy_http2_respond(p->server, id, &r, NULL), CHY_OK); /* passed over */
    assert_int_equal(chy_http2_stream_count(p->server), 0);
}

static void test_respond__larger_than_the_windows(void **state)
{
    struct pair *p = *state;
    static char big[300000];
    memset(big, 'x', sizeof big - 1);
    int32_t id = ask(p, "GET", "/", NULL, NULL, 0);
    run(p, 1000);
    respond(p, id, 200, big);
    run(p, 1000);
    assert_int_equal(chy_http2_stream_count(p->server), 0);
    assert_int_equal(p->answer_n, sizeof p->answer - 1);
}

static void test_limits__streams_at_once(void **state)
{
    struct pair *p = *state;
    run(p, 1000); /* settings */
    for (size_t i = 0; i < CHY_LIMIT_HTTP2_STREAMS + 10; i++)
        ask(p, "GET", "/", NULL, NULL, 0);
    run(p, 1000);
    /* The client knows the limit and holds the rest back. */
    assert_int_equal(p->request_count, CHY_LIMIT_HTTP2_STREAMS);
    for (size_t i = 0; i < CHY_LIMIT_HTTP2_STREAMS; i++)
        respond(p, p->ids[i], 200, "");
    run(p, 1000);
    assert_int_equal(p->request_count, CHY_LIMIT_HTTP2_STREAMS + 10);
}

static void test_limits__rapid_reset(void **state)
{
    struct pair *p = *state;
    size_t sent = 0;
    for (; sent < 1000 && p->received == CHY_OK && !p->has_goaway; sent++) {
        int32_t id = ask(p, "GET", "/", NULL, NULL, 0);
        run(p, 1000);
        nghttp2_submit_rst_stream(p->client, 0, id, NGHTTP2_CANCEL);
        run(p, 1000);
    }
    assert_in_range(sent, 50, 500);
    assert_true(p->has_goaway);
    assert_true(chy_http2_is_over(p->server));
}

static void test_limits__ping_flood(void **state)
{
    struct pair *p = *state;
    run(p, 1000);
    enum chy_err r = CHY_OK;
    static const uint8_t ping[17] = { 0, 0, 8, 6, 0, 0, 0, 0, 0 };
    for (size_t i = 0; i < 5000 && r == CHY_OK; i++)
        r = chy_http2_receive(p->server, (struct chy_bytes){ ping, sizeof ping }, 5, NULL);
    assert_int_equal(r, CHY_E_PROTOCOL);
}

static void test_limits__continuation_flood(void **state)
{
    struct pair *p = *state;
    run(p, 1000);
    /* HEADERS without END_HEADERS, then CONTINUATION for ever, each with one harmless field. */
    static const uint8_t head[] = { 0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82 };
    static const uint8_t more[] = { 0, 0, 1, 9, 0, 0, 0, 0, 1, 0x90 };
    enum chy_err r = chy_http2_receive(p->server, (struct chy_bytes){ head, sizeof head }, 5, NULL);
    size_t sent = 0;
    for (; sent < 1000 && r == CHY_OK && !chy_http2_is_over(p->server); sent++) {
        r = chy_http2_receive(p->server, (struct chy_bytes){ more, sizeof more }, 5, NULL);
        chy_buf_clear(&p->to_client);
        if (r == CHY_OK)
            r = chy_http2_send(p->server, &p->to_client, SIZE_MAX, NULL);
    }
    assert_in_range(sent, 1, 100);
}

static void test_drain__finishes_what_was_begun(void **state)
{
    struct pair *p = *state;
    int32_t id = ask(p, "GET", "/", NULL, NULL, 0);
    run(p, 1000);
    assert_int_equal(chy_http2_drain(p->server, NULL), CHY_OK);
    run(p, 1000);
    assert_true(p->has_goaway);
    assert_int_equal(p->goaway_code, NGHTTP2_NO_ERROR);
    assert_false(chy_http2_is_over(p->server));
    respond(p, id, 200, "last");
    run(p, 1000);
    assert_string_equal(p->answer, "last");
    assert_true(chy_http2_is_over(p->server));
}

static void test_receive__not_http2(void **state)
{
    struct pair *p = *state;
    struct chy_bytes in = chy_str_bytes(CHY_STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(chy_http2_receive(p->server, in, 5, NULL), CHY_E_PROTOCOL);
}

static void test_send__in_portions_and_full(void **state)
{
    struct pair *p = *state;
    int32_t id = ask(p, "GET", "/", NULL, NULL, 0);
    run(p, 1000);
    respond(p, id, 200, "something longer than a few bytes");
    struct chy_buf small;
    chy_buf_init(&small, 4);
    assert_int_equal(chy_http2_send(p->server, &p->to_client, 1, NULL), CHY_OK);
    assert_in_range(p->to_client.n, 1, 400); /* the head alone */
    assert_int_equal(chy_http2_send(p->server, &small, SIZE_MAX, NULL), CHY_E_LIMIT);
    chy_buf_done(&small);
}

/* A whole exchange with the n-th allocation of the server failing: an error or a reset, never
 * more. */
static void test_sweep__every_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 0; failed && n < 500; n++) {
        void *other;
        assert_int_equal(set_up(&other), 0);
        struct pair *p = other;
        p->is_sweep = true;
        struct body_source body = { "ab", 2, false };
        ask(p, "POST", "/", &body, NULL, 0);
        uint8_t bytes[1024];
        size_t bytes_n = 0;
        const uint8_t *data;
        for (ssize_t k; (k = nghttp2_session_mem_send(p->client, &data)) > 0; bytes_n += (size_t)k)
            memcpy(bytes + bytes_n, data, (size_t)k);
        struct chy_http2_handler handler = { on_request, on_refused, on_gone, p };
        struct chy_http_response answer = { .status = 200, .body = { (const uint8_t *)"x", 1 } };
        chy_http2_free(p->server);
        p->server = NULL;
        chy_mem_fail_after(n);
        enum chy_err r = chy_http2_new(&handler, BODY_MAX, &p->server, NULL);
        if (r == CHY_OK)
            r = chy_http2_receive(p->server, (struct chy_bytes){ bytes, bytes_n }, 5, NULL);
        if (r == CHY_OK && p->request_count == 1)
            r = chy_http2_respond(p->server, p->ids[0], &answer, NULL);
        if (r == CHY_OK)
            r = chy_http2_send(p->server, &p->to_client, SIZE_MAX, NULL);
        failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        if (!failed) {
            assert_int_equal(r, CHY_OK);
            assert_true(p->to_client.n > 0);
            assert_int_equal(p->request_count, 1);
        }
        assert_int_equal(tear_down(&other), 0);
    }
    assert_false(failed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request__body_and_answer),
        TEST(test_request__streams_do_not_mix),
        TEST(test_request__refusals),
        TEST(test_request__broken_messages_are_reset),
        TEST(test_request__duplicates_are_refused),
        TEST(test_request__limits_of_fields_and_body),
        TEST(test_request__expects_continue),
        TEST(test_respond__head_and_gone_and_twice),
        TEST(test_respond__larger_than_the_windows),
        TEST(test_limits__streams_at_once),
        TEST(test_limits__rapid_reset),
        TEST(test_limits__ping_flood),
        TEST(test_limits__continuation_flood),
        TEST(test_drain__finishes_what_was_begun),
        TEST(test_receive__not_http2),
        TEST(test_send__in_portions_and_full),
        cmocka_unit_test(test_sweep__every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
