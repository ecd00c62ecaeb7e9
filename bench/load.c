/* SPDX-License-Identifier: MIT */
/* bench-load: a client that keeps connections open and asks for signatures on each as fast as they
 * are answered, over TLS 1.3 with a client certificate and HTTP/1.1.
 *
 *     bench-load --address 127.0.0.1:8443 --ca FILE --identity FILE --key NAME
 *                --algorithm ecdsa-sha256 --connections 16 --batch 1 --warm-up-ms 200 --run-ms 1000
 *
 * One thread and little CPU of its own: requests are made once and only a counter in each digest
 * changes; answers are counted by status and not read further. A connection that the server closes
 * is opened again. Prints a line when it begins to measure, and one JSON object at the end. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "histogram.h"
#include "options.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/socket.h"

enum {
    CONNECTIONS_MAX = 4096,
    BATCH_MAX = 1000,
    COUNTER_DIGITS = 16,
    HEAD_MAX = 8192,
    READ_BYTES = 65536,
    CONNECT_S = 10,
    STATUSES = 600,
};

struct settings {
    const char *address;
    const char *ca;
    const char *identity;
    const char *key;
    const char *algorithm;
    unsigned connections;
    unsigned batch;
    unsigned warm_up_ms;
    unsigned run_ms;
};

struct load {
    struct settings settings;
    struct chy_loop *loop;
    struct chy_timer *timer;
    SSL_CTX *tls;
    struct conn *conns;
    unsigned answered_count; /* connections that have had an answer: TLS is behind them */
    uint64_t next_digest;
    struct chy_buf request; /* head and body, with places for counters */
    size_t body_at;
    size_t item_bytes;
    size_t counter_at;     /* in an item */
    char data[READ_BYTES]; /* what one read brought */

    bool is_measuring;
    uint64_t begin_ns;
    uint64_t end_ns;
    struct rusage usage;
    struct histogram latency; /* of answers 200 and 403: what was asked for, or a decision */
    uint64_t answers[STATUSES];
    uint64_t lost; /* connections that ended without an answer */
};

struct conn {
    struct load *load;
    struct chy_watch *watch;
    SSL *ssl;
    int fd;
    uint32_t events;
    bool is_open;
    bool has_answered;
    struct chy_buf request;
    size_t sent;
    uint64_t asked_ns;
    char head[HEAD_MAX];
    size_t head_n;
    size_t body_left;
    bool is_in_body;
    int status;
};

static void check(enum chy_err r, const struct chy_error *err)
{
    if (r != CHY_OK)
        die("%s", err->text);
}

/* --- the request --- */

/* 32 bytes: 64 hexadecimal digits, or 43 of base 64. The first sixteen digits are the counter. */
#define COUNTER "0000000000000000"

static void item_append(const struct settings *s, struct chy_buf *body)
{
    bool is_message = strcmp(s->algorithm, "ed25519") == 0;
    chy_buf_printf(body, "{\"key\":\"%s\",\"algorithm\":\"%s\",", s->key, s->algorithm);
    chy_buf_append_c(
        body, is_message ? "\"hashed_by\":\"nobody\",\"message\":\"" COUNTER
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},"
                         : "\"hashed_by\":\"client\",\"digest\":\"" COUNTER COUNTER COUNTER COUNTER
                           "\"},");
}

static void items_append(struct load *l, struct chy_buf *body)
{
    size_t at = body->n;
    item_append(&l->settings, body);
    l->item_bytes = body->n - at;
    const uint8_t *counter = memmem(body->p + at, l->item_bytes, COUNTER, COUNTER_DIGITS);
    if (counter == NULL)
        die("no memory for a request");
    l->counter_at = (size_t)(counter - (body->p + at));
    for (unsigned i = 1; i < l->settings.batch; i++)
        item_append(&l->settings, body);
    body->n--; /* the last comma */
}

static void request_make(struct load *l)
{
    static const char begin[] = "{\"items\":[";
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    struct chy_error err;
    chy_buf_init(&body, 1 << 20);
    chy_buf_append_c(&body, begin);
    items_append(l, &body);
    chy_buf_append_c(&body, "]}");
    chy_buf_init(&l->request, 1 << 20);
    chy_buf_printf(&l->request,
                   "POST /v1/sign HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   l->settings.address, body.n);
    l->body_at = l->request.n + strlen(begin);
    chy_buf_append(&l->request, chy_buf_bytes(&body));
    check(chy_buf_check(&l->request, &err), &err);
}

static void counter_write(uint8_t *to, uint64_t value)
{
    for (int i = COUNTER_DIGITS - 1; i >= 0; i--, value >>= 4)
        to[i] = (uint8_t) "0123456789abcdef"[value & 15];
}

static void request_number(struct conn *c)
{
    struct load *l = c->load;
    for (unsigned i = 0; i < l->settings.batch; i++)
        counter_write(c->request.p + l->body_at + i * l->item_bytes + l->counter_at,
                      l->next_digest++);
}

/* --- one connection --- */

static void conn_open(struct conn *c);

static void conn_want(struct conn *c, uint32_t events)
{
    struct chy_error err;
    if (c->events != events)
        check(chy_watch_modify(c->watch, events, &err), &err);
    c->events = events;
}

static void conn_close(struct conn *c)
{
    struct load *l = c->load;
    l->answered_count -= c->has_answered ? 1 : 0;
    c->has_answered = false;
    chy_watch_freep(&c->watch);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->is_open = false;
}

/* False: it would block, and the loop waits for it; or the connection was lost and made anew. */
static bool conn_did(struct conn *c, int result)
{
    if (result > 0)
        return true;
    int reason = SSL_get_error(c->ssl, result);
    ERR_clear_error();
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        conn_want(c, reason == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
        return false;
    }
    c->load->lost += c->load->is_measuring ? 1 : 0;
    conn_close(c);
    conn_open(c);
    return false;
}

static bool conn_send(struct conn *c)
{
    while (c->sent < c->request.n) {
        int n = SSL_write(c->ssl, c->request.p + c->sent, (int)(c->request.n - c->sent));
        if (!conn_did(c, n))
            return false;
        c->sent += (size_t)n;
    }
    conn_want(c, EPOLLIN);
    return true;
}

static void conn_ask(struct conn *c)
{
    request_number(c);
    c->sent = 0;
    c->asked_ns = clock_ns();
    CHY_IGNORE(conn_send(c)); /* what is left goes when the socket takes it */
}

static void conn_answered(struct conn *c)
{
    struct load *l = c->load;
    uint64_t now = clock_ns();
    if (l->is_measuring) {
        l->answers[c->status]++;
        if (c->status == 200 || c->status == 403)
            histogram_add(&l->latency, now - c->asked_ns);
    }
    l->answered_count += c->has_answered ? 0 : 1;
    c->has_answered = true;
    c->head_n = 0;
    c->is_in_body = false;
    conn_ask(c);
}

static size_t number_after(const char *head, const char *name)
{
    const char *p = strcasestr(head, name);
    size_t value = 0;
    for (p = p != NULL ? p + strlen(name) : ""; *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (size_t)(*p - '0');
    return value;
}

/* Takes the head of an answer from `p`; the bytes used. */
static size_t head_take(struct conn *c, const char *p, size_t n)
{
    size_t take = CHY_MIN(n, sizeof c->head - 1 - c->head_n);
    size_t before = c->head_n;
    memcpy(c->head + before, p, take);
    c->head[before + take] = '\0';
    const char *end = strstr(c->head, "\r\n\r\n");
    if (end == NULL && before + take == sizeof c->head - 1)
        die("an answer has a head of over %d bytes", HEAD_MAX);
    if (end == NULL) {
        c->head_n += take;
        return take;
    }
    c->status = (int)number_after(c->head, "HTTP/1.1 ");
    if (c->status < 100 || c->status >= STATUSES)
        die("this is no answer: %.40s", c->head);
    c->body_left = number_after(c->head, "\r\nContent-Length: ");
    c->is_in_body = true;
    return (size_t)(end + 4 - c->head) - before;
}

/* One request at a time: behind an answer there is nothing. */
static void conn_take(struct conn *c, const char *p, size_t n)
{
    if (!c->is_in_body) {
        size_t used = head_take(c, p, n);
        p += used;
        n -= used;
    }
    if (n > c->body_left)
        die("an answer is longer than it says");
    c->body_left -= c->is_in_body ? n : 0;
    if (c->is_in_body && c->body_left == 0)
        conn_answered(c);
}

static void conn_opened(struct conn *c)
{
    c->is_open = true;
    conn_ask(c);
}

static void conn_step(void *ctx, uint32_t events)
{
    struct conn *c = ctx;
    (void)events;
    if (!c->is_open) {
        if (conn_did(c, SSL_do_handshake(c->ssl)))
            conn_opened(c);
        return;
    }
    if (c->sent < c->request.n && !conn_send(c))
        return;
    int n = SSL_read(c->ssl, c->load->data, READ_BYTES);
    if (conn_did(c, n))
        conn_take(c, c->load->data, (size_t)n);
}

static void conn_open(struct conn *c)
{
    struct load *l = c->load;
    struct chy_error err;
    struct chy_str address = chy_str_of(l->settings.address);
    int64_t deadline_us = chy_clock_monotonic_us() + (int64_t)CONNECT_S * 1000000;
    check(chy_socket_connect(address, deadline_us, &c->fd, &err), &err);
    c->ssl = SSL_new(l->tls);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
        die("no memory for a connection");
    SSL_set_connect_state(c->ssl);
    c->events = EPOLLIN | EPOLLOUT;
    c->head_n = c->body_left = 0;
    c->is_in_body = false;
    check(chy_watch_new(l->loop, c->fd, c->events, conn_step, c, &c->watch, &err), &err);
}

/* --- all of them --- */

static SSL_CTX *tls_make(const struct settings *s)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(tls, s->ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, s->identity) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, s->identity, SSL_FILETYPE_PEM) != 1)
        die("TLS: %s", ERR_reason_error_string(ERR_get_error()));
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

static void timer_after(struct load *l, unsigned ms)
{
    chy_timer_set(l->timer, chy_clock_monotonic_us() + (int64_t)ms * 1000);
}

/* Before, while and after it is measured; it does not begin before all were answered. */
static void phase_next(void *ctx)
{
    struct load *l = ctx;
    if (l->is_measuring) {
        l->end_ns = clock_ns();
        chy_loop_stop(l->loop);
        return;
    }
    if (l->answered_count < l->settings.connections) {
        timer_after(l, l->settings.warm_up_ms);
        return;
    }
    l->is_measuring = true;
    l->begin_ns = clock_ns();
    getrusage(RUSAGE_SELF, &l->usage);
    printf("begin\n");
    fflush(stdout);
    timer_after(l, l->settings.run_ms);
}

static double cpu_us(const struct load *l)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    return (double)(now.ru_utime.tv_sec - l->usage.ru_utime.tv_sec) * 1e6 +
           (double)(now.ru_utime.tv_usec - l->usage.ru_utime.tv_usec) +
           (double)(now.ru_stime.tv_sec - l->usage.ru_stime.tv_sec) * 1e6 +
           (double)(now.ru_stime.tv_usec - l->usage.ru_stime.tv_usec);
}

static void report(const struct load *l)
{
    double seconds = (double)(l->end_ns - l->begin_ns) / 1e9;
    uint64_t all = 0;
    for (int i = 0; i < STATUSES; i++)
        all += l->answers[i];
    printf("{\"per_second\": %.1f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"client_cpu_us\": %.1f, "
           "\"lost\": %llu, \"answers\": {",
           (double)l->latency.count * l->settings.batch / seconds,
           (double)histogram_percentile(&l->latency, 50) / 1e6,
           (double)histogram_percentile(&l->latency, 99) / 1e6,
           all > 0 ? cpu_us(l) / (double)all : 0, (unsigned long long)l->lost);
    const char *comma = "";
    for (int i = 0; i < STATUSES; i++) {
        if (l->answers[i] == 0)
            continue;
        printf("%s\"%d\": %llu", comma, i, (unsigned long long)l->answers[i]);
        comma = ", ";
    }
    printf("}}\n");
}

static void conns_open(struct load *l)
{
    struct chy_error err;
    l->conns = chy_new_array(struct conn, l->settings.connections);
    if (l->conns == NULL)
        die("no memory for connections");
    for (unsigned i = 0; i < l->settings.connections; i++) {
        struct conn *c = &l->conns[i];
        c->load = l;
        chy_buf_init(&c->request, l->request.n);
        chy_buf_append(&c->request, chy_buf_bytes(&l->request));
        check(chy_buf_check(&c->request, &err), &err);
        conn_open(c);
    }
}

static void conns_close(struct load *l)
{
    for (unsigned i = 0; i < l->settings.connections; i++) {
        conn_close(&l->conns[i]);
        chy_buf_done(&l->conns[i].request);
    }
    chy_free(l->conns);
}

static void load_run(struct load *l)
{
    struct chy_error err;
    request_make(l);
    l->tls = tls_make(&l->settings);
    l->next_digest = clock_ns(); /* no two runs ask for the same */
    check(chy_loop_new(&l->loop, &err), &err);
    check(chy_timer_new(l->loop, phase_next, l, &l->timer, &err), &err);
    conns_open(l);
    timer_after(l, l->settings.warm_up_ms);
    check(chy_loop_run(l->loop, &err), &err);
    report(l);
    conns_close(l);
    chy_timer_free(l->timer);
    chy_loop_free(l->loop);
    SSL_CTX_free(l->tls);
    chy_buf_done(&l->request);
}

int main(int count, char **arguments)
{
    static struct load l = { .settings = { .algorithm = "ecdsa-sha256",
                                           .connections = 1,
                                           .batch = 1,
                                           .warm_up_ms = 200,
                                           .run_ms = 1000 } };
    struct settings *s = &l.settings;
    const struct option_row rows[] = {
        { "address", &s->address, NULL },     { "ca", &s->ca, NULL },
        { "identity", &s->identity, NULL },   { "key", &s->key, NULL },
        { "algorithm", &s->algorithm, NULL }, { "connections", NULL, &s->connections },
        { "batch", NULL, &s->batch },         { "warm-up-ms", NULL, &s->warm_up_ms },
        { "run-ms", NULL, &s->run_ms },
    };
    options_read(count, arguments, rows, CHY_ARRAY_LEN(rows));
    if (s->connections == 0 || s->connections > CONNECTIONS_MAX || s->batch == 0 ||
        s->batch > BATCH_MAX)
        die("%d connections and %d digests a request are the most", CONNECTIONS_MAX, BATCH_MAX);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &ignore, NULL);
    load_run(&l);
    return 0;
}
