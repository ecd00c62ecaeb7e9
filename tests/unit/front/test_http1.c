/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/http1.h"

#define HOST     "Host: a\r\n"
#define BODY_MAX 100

struct outcome {
    enum chy_http1_step step;
    int status;
    size_t used;
};

static struct chy_http_request request;

/* Give the parser `step` bytes more each time, always from a fresh place in memory as a buffer that
 * moved would be, so that a pointer kept from an earlier call shows under AddressSanitizer. */
static struct outcome feed(struct chy_bytes all, size_t step, uint8_t **ret_memory)
{
    struct chy_http1 h;
    struct outcome o = { .step = CHY_HTTP1_STEP_HEAD };
    chy_http1_init(&h, BODY_MAX);
    *ret_memory = NULL;
    for (size_t n = 0; n < all.n;) {
        n = CHY_MIN(n + step, all.n);
        chy_free(*ret_memory);
        *ret_memory = chy_malloc(n);
        assert_non_null(*ret_memory);
        chy_copy(*ret_memory, all.p, n);
        o.step = chy_http1_read(&h, (struct chy_bytes){ *ret_memory, n }, &request, &o.used);
        if (o.step == CHY_HTTP1_STEP_REFUSED || o.step == CHY_HTTP1_STEP_READY)
            break;
    }
    o.status = o.step == CHY_HTTP1_STEP_REFUSED ? h.why.status : 0;
    return o;
}

static struct outcome feed_both_ways(struct chy_str text)
{
    uint8_t *memory;
    struct outcome slow = feed(chy_str_bytes(text), 1, &memory);
    chy_free(memory);
    struct outcome fast = feed(chy_str_bytes(text), text.n, &memory);
    chy_free(memory);
    assert_int_equal(slow.step, fast.step);
    assert_int_equal(slow.status, fast.status);
    if (slow.step == CHY_HTTP1_STEP_READY)
        assert_int_equal(slow.used, fast.used);
    return fast;
}

static void assert_refused(const char *text, size_t n, int status)
{
    struct outcome o = feed_both_ways((struct chy_str){ text, n });
    if (o.step != CHY_HTTP1_STEP_REFUSED || o.status != status)
        print_error("step %d, status %d, expected %d for:\n%.*s\n", (int)o.step, o.status, status,
                    (int)n, text);
    assert_int_equal(o.step, CHY_HTTP1_STEP_REFUSED);
    assert_int_equal(o.status, status);
}

#define REFUSED(status, lit) assert_refused("" lit, sizeof(lit) - 1, (status))
#define READY(lit)                                        \
    do {                                                  \
        struct outcome o_ = feed_both_ways(CHY_STR(lit)); \
        assert_int_equal(o_.step, CHY_HTTP1_STEP_READY);  \
        assert_int_equal(o_.used, sizeof(lit) - 1);       \
    } while (0)

static void test_read__whole_request(void **state)
{
    (void)state;
    static const char text[] = "POST /v1/sign?wait=1 HTTP/1.1\r\nhost:example.com:8443\r\n"
                               "Content-Length:  5 \t\r\nX-Empty:\r\n\r\nhelloNEXT";
    uint8_t *memory;
    struct outcome o = feed((struct chy_bytes){ (const uint8_t *)text, sizeof text - 1 },
                            sizeof text - 1, &memory);
    assert_int_equal(o.step, CHY_HTTP1_STEP_READY);
    assert_int_equal(o.used, sizeof text - 1 - 4);
    assert_int_equal(request.method, CHY_HTTP_POST);
    assert_true(chy_str_equal_c(request.target, "/v1/sign?wait=1"));
    assert_true(chy_str_equal_c(request.host, "example.com:8443"));
    assert_int_equal(request.field_count, 3);
    assert_true(chy_str_equal_c(request.fields[1].value, "5"));
    assert_true(chy_str_equal_c(request.fields[2].name, "X-Empty"));
    assert_int_equal(request.fields[2].value.n, 0);
    assert_int_equal(request.body.n, 5);
    assert_memory_equal(request.body.p, "hello", 5);
    assert_false(request.wants_close);
    assert_false(request.expects_continue);
    chy_free(memory);
}

static void test_read__accepts(void **state)
{
    (void)state;
    READY("GET / HTTP/1.1\r\n" HOST "\r\n");
    READY("HEAD /healthz HTTP/1.1\r\n" HOST "\r\n");
    READY("DELETE /v1/keys/a%2Fb HTTP/1.1\r\n" HOST "\r\n");
    READY("PUT / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    READY("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n{");
    READY("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    READY("GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
    READY("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
}

/* What libmicrohttpd, evhttp, h2o and libwebsockets let through. */
static void test_read__refuses_what_embedded_servers_accept(void **state)
{
    (void)state;
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +2\r\n\r\nab");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length : 2\r\n\r\nab");
    REFUSED(400, "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n");
}

static void test_read__refuses_lengths(void **state)
{
    (void)state;
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "content-length: 4\r\nCONTENT-LENGTH: 4\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4, 4\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x4\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 04\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4 4\r\n\r\nabcd");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.1\r\n" HOST "tRANSFER-eNCODING: gzip, chunked\r\n\r\n");
}

static void test_read__refuses_lines(void **state)
{
    (void)state;
    REFUSED(400, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "\nGET / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "\r\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X\t: a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X(y): a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: \xc3\xa9\r\n\r\n");
}

static void test_read__refuses_request_lines(void **state)
{
    (void)state;
    REFUSED(400, "GET /\r\n");
    REFUSED(400, "GET / HTTP/1.0\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/0.9\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/2.0\r\n" HOST "\r\n");
    REFUSED(400, "GET / http/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1 \r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.10\r\n" HOST "\r\n");
    REFUSED(400, "GET  / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /  HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET\t/\tHTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, " GET / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /a b HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http://a/ HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET a:80 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET * HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET v1/keys HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /#a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\\ HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /% HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /%4 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /%4g HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\x80 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "G@T / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    REFUSED(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n");
}

static void test_read__refuses_unknown_methods(void **state)
{
    (void)state;
    REFUSED(501, "OPTIONS / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(501, "PATCH / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(501, "TRACE / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(501, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(501, "get / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(501, "GETT / HTTP/1.1\r\n" HOST "\r\n");
}

static void test_read__refuses_hosts(void **state)
{
    (void)state;
    REFUSED(400, "GET / HTTP/1.1\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\nHost: [::1]8\r\n\r\n");
}

static void test_read__refuses_what_comes_twice(void **state)
{
    (void)state;
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nauthorization: b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n");
}

static void test_read__expectations(void **state)
{
    (void)state;
    REFUSED(417, "POST / HTTP/1.1\r\n" HOST "Expect: 200-maybe\r\n\r\n");
    REFUSED(417, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue, x\r\n\r\n");
    struct outcome o = feed_both_ways(
        CHY_STR("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"));
    assert_int_equal(o.step, CHY_HTTP1_STEP_BODY);
    assert_true(request.expects_continue);
    assert_int_equal(request.content_length, 3);
}

static void test_read__close(void **state)
{
    (void)state;
    READY("GET / HTTP/1.1\r\n" HOST "Connection: TE , Close\r\n\r\n");
    assert_true(request.wants_close);
    READY("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n");
    assert_true(request.wants_close);
    READY("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, closed,,\r\n\r\n");
    assert_false(request.wants_close);
}

static void test_read__pipelined_requests_one_after_another(void **state)
{
    (void)state;
    static const char text[] = "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
                               "GET /2 HTTP/1.1\r\n" HOST "\r\n"
                               "GET /3 HTTP/1.1\r\n" HOST "Bad\r\n\r\n";
    struct chy_bytes in = { (const uint8_t *)text, sizeof text - 1 };
    struct chy_http1 h;
    size_t used = 0;
    chy_http1_init(&h, BODY_MAX);
    assert_int_equal(chy_http1_read(&h, in, &request, &used), CHY_HTTP1_STEP_READY);
    assert_true(chy_str_equal_c(request.target, "/1"));
    in = (struct chy_bytes){ in.p + used, in.n - used };
    chy_http1_init(&h, BODY_MAX);
    assert_int_equal(chy_http1_read(&h, in, &request, &used), CHY_HTTP1_STEP_READY);
    assert_true(chy_str_equal_c(request.target, "/2"));
    in = (struct chy_bytes){ in.p + used, in.n - used };
    chy_http1_init(&h, BODY_MAX);
    assert_int_equal(chy_http1_read(&h, in, &request, &used), CHY_HTTP1_STEP_REFUSED);
    /* and stays refused, whatever comes */
    assert_int_equal(chy_http1_read(&h, in, &request, &used), CHY_HTTP1_STEP_REFUSED);
}

/* A head with a target, a number of fields and a padding, all of given sizes. */
static struct outcome feed_sized(size_t target_n, size_t field_count, size_t head_n)
{
    struct chy_buf b;
    chy_buf_init(&b, 100000);
    chy_buf_append_c(&b, "GET /");
    for (size_t i = 1; i < target_n; i++)
        chy_buf_append_c(&b, "a");
    chy_buf_append_c(&b, " HTTP/1.1\r\n" HOST);
    for (size_t i = 1; i < field_count; i++)
        chy_buf_append_c(&b, "x:\r\n");
    if (head_n > 0) {
        chy_buf_append_c(&b, "y:");
        while (b.n < head_n - 4)
            chy_buf_append_c(&b, "z");
        chy_buf_append_c(&b, "\r\n");
    }
    chy_buf_append_c(&b, "\r\n");
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    struct outcome o = feed_both_ways(chy_buf_str(&b));
    chy_buf_done(&b);
    return o;
}

static void test_read__limits(void **state)
{
    (void)state;
    assert_int_equal(feed_sized(CHY_LIMIT_HTTP_TARGET, 1, 0).step, CHY_HTTP1_STEP_READY);
    assert_int_equal(feed_sized(CHY_LIMIT_HTTP_TARGET + 1, 1, 0).status, 414);
    assert_int_equal(feed_sized(CHY_LIMIT_HTTP_HEAD * 2, 1, 0).status, 414);
    assert_int_equal(feed_sized(1, CHY_LIMIT_HTTP_FIELDS, 0).step, CHY_HTTP1_STEP_READY);
    assert_int_equal(feed_sized(1, CHY_LIMIT_HTTP_FIELDS + 1, 0).status, 431);
    assert_int_equal(feed_sized(1, 1, CHY_LIMIT_HTTP_HEAD).step, CHY_HTTP1_STEP_READY);
    assert_int_equal(feed_sized(1, 1, CHY_LIMIT_HTTP_HEAD + 1).status, 431);
    REFUSED(413, "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n");
}

static void test_read__body_at_its_limit(void **state)
{
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n";
    char text[sizeof head - 1 + 100];
    memset(text, 'b', sizeof text);
    memcpy(text, head, sizeof head - 1);
    struct outcome o = feed_both_ways((struct chy_str){ text, sizeof text });
    assert_int_equal(o.step, CHY_HTTP1_STEP_READY);
    assert_int_equal(o.used, sizeof text);
    o = feed_both_ways((struct chy_str){ text, sizeof text - 1 });
    assert_int_equal(o.step, CHY_HTTP1_STEP_BODY);
}

/* An endless head is refused as soon as it is too long, without an end ever coming. */
static void test_read__endless(void **state)
{
    (void)state;
    static char text[CHY_LIMIT_HTTP_HEAD];
    memset(text, 'a', sizeof text);
    uint8_t *memory;
    assert_int_equal(
        feed((struct chy_bytes){ (const uint8_t *)text, sizeof text }, 1, &memory).status, 414);
    chy_free(memory);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(
        feed((struct chy_bytes){ (const uint8_t *)text, sizeof text }, 4096, &memory).status, 431);
    chy_free(memory);
}

/* Any one byte of a request replaced by any other: never a crash, never more used than given. */
static void test_read__every_byte_changed(void **state)
{
    (void)state;
    static const char good[] = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}";
    char text[sizeof good - 1];
    size_t ready = 0;
    for (size_t i = 0; i < sizeof text; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, good, sizeof text);
            text[i] = (char)c;
            struct outcome o = feed_both_ways((struct chy_str){ text, sizeof text });
            if (o.step == CHY_HTTP1_STEP_READY) {
                ready++;
                assert_in_range(o.used, 1, sizeof text);
            }
        }
    }
    assert_in_range(ready, 100, 2000);
}

static void assert_written(const struct chy_http_response *r, const char *head, const char *body)
{
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    chy_http1_write(&b, r);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    assert_true(chy_buf_append_u8(&b, 0));
    const char *text = (const char *)b.p;
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, body);
    assert_true(chy_str_starts(chy_str_of(text), head));
    assert_non_null(strstr(text, "x-content-type-options: nosniff\r\n"));
    chy_buf_done(&b);
}

static void test_write__forms(void **state)
{
    (void)state;
    struct chy_http_field extra = { CHY_STR("chancery-request-id"), CHY_STR("00ff") };
    struct chy_http_response r = {
        .status = 200,
        .content_type = CHY_STR("text/plain"),
        .fields = &extra,
        .field_count = 1,
        .date = CHY_STR("Sun, 06 Nov 1994 08:49:37 GMT"),
        .body = { (const uint8_t *)"hi", 2 },
    };
    assert_written(&r,
                   "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                   "content-type: text/plain\r\ncontent-length: 2\r\n",
                   "hi");
    r.is_head = true;
    r.is_last = true;
    assert_written(&r,
                   "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                   "content-type: text/plain\r\ncontent-length: 2\r\n",
                   "");
    r = (struct chy_http_response){ .status = 204 };
    assert_written(&r, "HTTP/1.1 204 No Content\r\ncache-control: no-store\r\n", "");
    r = (struct chy_http_response){ .status = 204, .cache_control = CHY_STR("max-age=60") };
    assert_written(&r, "HTTP/1.1 204 No Content\r\ncache-control: max-age=60\r\n", "");
}

static void test_write__fails_when_full_or_without_memory(void **state)
{
    (void)state;
    struct chy_http_response r = { .status = 404 };
    struct chy_buf b;
    chy_buf_init(&b, 64);
    chy_http1_write(&b, &r);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
    for (size_t n = 0;; n++) {
        chy_buf_init(&b, 4096);
        chy_mem_fail_after(n);
        chy_http1_write(&b, &r);
        bool failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(chy_buf_check(&b, NULL), failed ? CHY_E_NOMEM : CHY_OK);
        chy_buf_done(&b);
        if (!failed)
            break;
    }
}

static void test_date__known_and_out_of_range(void **state)
{
    (void)state;
    char text[CHY_HTTP_DATE_BYTES];
    chy_http_date(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    chy_http_date(INT64_MAX, text);
    assert_string_equal(text, "");
    chy_http_date(-3000000000, text);
    assert_string_equal(text, "");
}

static void test_names__found_and_unknown(void **state)
{
    (void)state;
    enum chy_http_method m = CHY_HTTP_GET;
    assert_true(chy_http_method_find(CHY_STR("DELETE"), &m));
    assert_int_equal(m, CHY_HTTP_DELETE);
    assert_false(chy_http_method_find(CHY_STR("DELETED"), &m));
    assert_false(chy_http_method_find(CHY_STR(""), &m));
    assert_string_equal(chy_http_reason(429), "Too Many Requests");
    assert_string_equal(chy_http_reason(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__whole_request),
        cmocka_unit_test(test_read__accepts),
        cmocka_unit_test(test_read__refuses_what_embedded_servers_accept),
        cmocka_unit_test(test_read__refuses_lengths),
        cmocka_unit_test(test_read__refuses_lines),
        cmocka_unit_test(test_read__refuses_request_lines),
        cmocka_unit_test(test_read__refuses_unknown_methods),
        cmocka_unit_test(test_read__refuses_hosts),
        cmocka_unit_test(test_read__refuses_what_comes_twice),
        cmocka_unit_test(test_read__expectations),
        cmocka_unit_test(test_read__close),
        cmocka_unit_test(test_read__pipelined_requests_one_after_another),
        cmocka_unit_test(test_read__limits),
        cmocka_unit_test(test_read__body_at_its_limit),
        cmocka_unit_test(test_read__endless),
        cmocka_unit_test(test_read__every_byte_changed),
        cmocka_unit_test(test_write__forms),
        cmocka_unit_test(test_write__fails_when_full_or_without_memory),
        cmocka_unit_test(test_date__known_and_out_of_range),
        cmocka_unit_test(test_names__found_and_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
