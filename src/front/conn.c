/* SPDX-License-Identifier: MIT */
#include "front/conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/mem.h"
#include "front/http1.h"
#include "front/http2.h"
#include "os/clock.h"
#include "os/fd.h"

#define READ_BYTES     16384u    /* a TLS record */
#define READS_PER_TURN 16        /* then the others have their turn */
#define OUT_ENOUGH     262144u   /* bytes that wait to be sent before HTTP/2 is asked for more */
#define LINGER_US      2000000   /* how long a closed connection's last words may take to arrive */
#define LINGER_BYTES   33554432u /* and how much the peer may still send meanwhile */
#define KEEP_BUFFER_US 1000000   /* an idle connection gives its buffer back after this */

enum conn_phase {
    CONN_HANDSHAKE,
    CONN_IDLE,   /* between requests */
    CONN_HEAD,   /* some of a head has come */
    CONN_BODY,   /* some of a body is missing (HTTP/2: of any request) */
    CONN_BUSY,   /* the host works on it */
    CONN_WRITE,  /* the peer has to take bytes */
    CONN_LINGER, /* all is said; the peer has to close */
    CONN_DEAD,   /* waits to be freed at the end of this turn */
};

struct chy_conn {
    struct chy_conns *all;
    struct chy_conn *next;
    struct chy_conn *prev;
    int fd;
    struct chy_watch *watch;
    uint32_t events;
    struct chy_deferred work;
    struct chy_tls_conn *tls;
    enum chy_tls_want write_want;
    enum conn_phase phase;
    int64_t since_us;        /* when the phase began, or last got on */
    struct chy_http2 *http2; /* NULL: HTTP/1.1 */
    struct chy_http1 http1;
    struct chy_http_request request; /* scratch of one callback */
    struct chy_buf in;
    struct chy_buf out;
    size_t counted; /* of all->buffered */
    size_t asked;   /* requests that the host has and did not answer */
    size_t lingered;
    bool is_reading;  /* within conn_read_requests(): answers do not start it again */
    bool is_last;     /* HTTP/1.1: nothing is read any more; close when all is sent */
    bool is_draining; /* close as soon as nothing is in flight */
    bool has_said_continue;
    bool peer_closed; /* no more bytes will come */
    bool is_muted;    /* bytes wait that may not be read yet: do not be woken for them */
    char address[CHY_SOCKET_TEXT_BYTES];
};

struct chy_conns {
    struct chy_loop *loop;
    struct chy_conn_settings settings;
    struct chy_conn_host host;
    struct chy_conn *list;
    struct chy_conn_counts counts;
    size_t buffered;
};

/* --- the end of a connection --- */

static void conn_free(struct chy_conn *c)
{
    struct chy_conns *all = c->all;
    chy_loop_undefer(all->loop, &c->work);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        all->list = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    all->counts.open--;
    all->buffered -= c->counted;
    chy_watch_free(c->watch);
    chy_http2_free(c->http2);
    chy_tls_conn_free(c->tls);
    chy_fd_closep(&c->fd);
    chy_wipe(c->in.p, c->in.n);
    chy_buf_done(&c->in);
    chy_buf_done(&c->out);
    chy_free(c);
}

/* Callers further up the stack may hold `c`: the memory stays until the end of the turn. */
static void conn_kill(struct chy_conn *c)
{
    if (c->phase == CONN_DEAD)
        return;
    c->phase = CONN_DEAD;
    chy_watch_free(c->watch);
    c->watch = NULL;
    chy_fd_closep(&c->fd);
    if (c->asked > 0) {
        c->asked = 0;
        c->all->host.on_gone(c->all->host.ctx, c, 0);
    }
    chy_loop_defer(c->all->loop, &c->work);
}

static void conn_enter(struct chy_conn *c, enum conn_phase phase)
{
    if (c->phase == phase)
        return;
    c->phase = phase;
    c->since_us = chy_clock_monotonic_us();
}

/* A socket closed with unread bytes sends a reset, which may overtake our last answer: say that we
 * are done, then read on until the peer is done too (RFC 9112 section 9.6). */
static void conn_linger(struct chy_conn *c)
{
    chy_tls_close(c->tls);
    if (c->peer_closed || shutdown(c->fd, SHUT_WR) != 0) {
        conn_kill(c);
        return;
    }
    conn_enter(c, CONN_LINGER);
}

static void conn_drop_input(struct chy_conn *c)
{
    uint8_t waste[4096];
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(c->fd, waste, sizeof waste, 0);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                conn_kill(c);
            return;
        }
        c->lingered += (size_t)n;
        if (c->lingered > LINGER_BYTES) {
            conn_kill(c);
            return;
        }
    }
}

/* --- writing --- */

static void conn_flush(struct chy_conn *c)
{
    size_t sent = 0;
    c->write_want = CHY_TLS_WANT_NOTHING;
    while (sent < c->out.n && c->write_want == CHY_TLS_WANT_NOTHING) {
        size_t n = 0;
        struct chy_bytes left = { c->out.p + sent, c->out.n - sent };
        if (chy_tls_write(c->tls, left, &n, &c->write_want, NULL) != CHY_OK ||
            c->write_want == CHY_TLS_WANT_CLOSE) {
            conn_kill(c);
            return;
        }
        sent += n;
    }
    if (sent > 0)
        c->since_us = chy_clock_monotonic_us();
    chy_buf_consume(&c->out, sent);
}

static void conn_send(struct chy_conn *c)
{
    for (;;) {
        if (c->http2 != NULL && chy_http2_send(c->http2, &c->out, OUT_ENOUGH, NULL) != CHY_OK) {
            conn_kill(c);
            return;
        }
        size_t before = c->out.n;
        if (before == 0)
            return;
        conn_flush(c);
        if (c->phase == CONN_DEAD || c->out.n > 0 || c->http2 == NULL)
            return;
    }
}

void chy_conn_respond(struct chy_conn *c, int32_t stream, const struct chy_http_response *response)
{
    if (c->phase == CONN_DEAD)
        return;
    CHY_ASSERT(c->asked > 0);
    c->asked--;
    if (c->http2 != NULL) {
        if (chy_http2_respond(c->http2, stream, response, NULL) != CHY_OK) {
            conn_kill(c);
            return;
        }
    } else {
        struct chy_http_response r = *response;
        r.is_last = r.is_last || c->is_last || c->is_draining;
        c->is_last = r.is_last;
        chy_http1_write(&c->out, &r);
        if (chy_buf_check(&c->out, NULL) != CHY_OK) {
            conn_kill(c);
            return;
        }
    }
    if (!c->is_reading)
        chy_loop_defer(c->all->loop, &c->work);
}

/* --- reading --- */

static void conn_count(struct chy_conn *c)
{
    size_t now = c->http2 != NULL ? chy_http2_body_bytes(c->http2) : c->in.n;
    c->all->buffered = c->all->buffered - c->counted + now;
    c->counted = now;
}

static void conn_refuse(struct chy_conn *c, struct chy_http_refusal why)
{
    c->is_last = true;
    c->asked++;
    c->all->host.on_refused(c->all->host.ctx, c, 0, &why);
}

static void conn_consume(struct chy_conn *c, size_t n)
{
    chy_wipe(c->in.p, n); /* an API token was in it */
    chy_buf_consume(&c->in, n);
    chy_http1_init(&c->http1, c->all->settings.body_max);
    c->has_said_continue = false;
}

static void conn_await_body(struct chy_conn *c)
{
    size_t rest = c->request.content_length - CHY_MIN(c->in.n, c->request.content_length);
    if (rest >
        c->all->settings.buffered_max - CHY_MIN(c->all->buffered, c->all->settings.buffered_max)) {
        conn_refuse(c, (struct chy_http_refusal){ 503, "Too many large requests are under way." });
        return;
    }
    if (c->request.expects_continue && !c->has_said_continue) {
        chy_http1_write_continue(&c->out);
        c->has_said_continue = true;
    }
    conn_enter(c, CONN_BODY);
}

/* Requests one after another: the next one is looked at when the answer to this one is on its way.
 * */
static void conn_read_requests1(struct chy_conn *c)
{
    while (c->in.n > 0 && c->asked == 0 && !c->is_last && c->phase != CONN_DEAD) {
        size_t used = 0;
        switch (chy_http1_read(&c->http1, chy_buf_bytes(&c->in), &c->request, &used)) {
        case CHY_HTTP1_STEP_HEAD:
            conn_enter(c, CONN_HEAD);
            return;
        case CHY_HTTP1_STEP_BODY:
            conn_await_body(c);
            return;
        case CHY_HTTP1_STEP_REFUSED:
            conn_refuse(c, c->http1.why);
            return;
        case CHY_HTTP1_STEP_READY:
            c->asked++;
            c->is_last = c->request.wants_close;
            conn_enter(c, CONN_BUSY);
            c->all->host.on_request(c->all->host.ctx, c, 0, &c->request);
            conn_consume(c, used);
            break;
        }
    }
}

static void conn_read_requests(struct chy_conn *c)
{
    c->is_reading = true;
    if (c->http2 == NULL) {
        conn_read_requests1(c);
    } else if (c->in.n > 0) {
        enum chy_err r =
            chy_http2_receive(c->http2, chy_buf_bytes(&c->in), chy_clock_monotonic_us(), NULL);
        conn_consume(c, c->in.n);
        c->is_last = r != CHY_OK;
    }
    c->is_reading = false;
    conn_count(c);
    if (c->http2 != NULL && c->all->buffered > c->all->settings.buffered_max)
        conn_kill(c); /* HTTP/1.1 is asked before it sends */
}

static bool conn_may_read(const struct chy_conn *c)
{
    if (c->phase == CONN_DEAD || c->phase == CONN_LINGER || c->is_last || c->peer_closed)
        return false;
    return c->http2 != NULL ? c->out.n < OUT_ENOUGH : c->asked == 0;
}

static void conn_read(struct chy_conn *c)
{
    for (int i = 0; i < READS_PER_TURN && conn_may_read(c); i++) {
        size_t n = 0;
        enum chy_tls_want want = CHY_TLS_WANT_NOTHING;
        uint8_t *room = chy_buf_room(&c->in, READ_BYTES);
        if (room == NULL || chy_tls_read(c->tls, room, READ_BYTES, &n, &want, NULL) != CHY_OK) {
            conn_kill(c);
            return;
        }
        chy_buf_added(&c->in, n);
        if (want == CHY_TLS_WANT_CLOSE)
            c->peer_closed = true;
        if (n > 0)
            conn_read_requests(c);
        if (n == 0 || !chy_tls_has_more(c->tls))
            return;
    }
    if (conn_may_read(c) && chy_tls_has_more(c->tls)) {
        chy_loop_defer(c->all->loop, &c->work);
        chy_loop_wake(c->all->loop); /* no event will come for bytes that TLS holds */
    }
}

/* --- HTTP/2 in between --- */

static void http2_on_request(void *ctx, int32_t stream, const struct chy_http_request *request)
{
    struct chy_conn *c = ctx;
    if (c->phase == CONN_DEAD)
        return; /* killed within this very batch of frames */
    c->asked++;
    c->all->host.on_request(c->all->host.ctx, c, stream, request);
}

static void http2_on_refused(void *ctx, int32_t stream, const struct chy_http_refusal *why)
{
    struct chy_conn *c = ctx;
    if (c->phase == CONN_DEAD)
        return;
    c->asked++;
    c->all->host.on_refused(c->all->host.ctx, c, stream, why);
}

static void http2_on_gone(void *ctx, int32_t stream)
{
    struct chy_conn *c = ctx;
    if (c->phase == CONN_DEAD)
        return;
    c->asked--;
    c->all->host.on_gone(c->all->host.ctx, c, stream);
}

/* --- events --- */

static void conn_handshake(struct chy_conn *c)
{
    enum chy_tls_want want = CHY_TLS_WANT_NOTHING;
    if (chy_tls_handshake(c->tls, &want, NULL) != CHY_OK || want == CHY_TLS_WANT_CLOSE) {
        c->all->counts.tls_failed++;
        conn_kill(c);
        return;
    }
    c->write_want = want;
    if (want != CHY_TLS_WANT_NOTHING)
        return;
    c->all->counts.tls_resumed += chy_tls_is_resumed(c->tls);
    conn_enter(c, CONN_IDLE);
    if (chy_tls_is_http2(c->tls)) {
        struct chy_http2_handler handler = { http2_on_request, http2_on_refused, http2_on_gone, c };
        if (chy_http2_new(&handler, c->all->settings.body_max, &c->http2, NULL) != CHY_OK) {
            conn_kill(c);
            return;
        }
    }
    conn_read(c); /* the first request may have come with the end of the handshake */
}

static enum conn_phase conn_phase_now(const struct chy_conn *c)
{
    if (c->out.n > 0)
        return CONN_WRITE;
    if (c->asked > 0)
        return CONN_BUSY;
    if (c->http2 == NULL)
        return c->in.n == 0 ? CONN_IDLE : c->phase == CONN_BODY ? CONN_BODY : CONN_HEAD;
    if (chy_http2_stream_count(c->http2) == 0)
        return CONN_IDLE;
    /* Answered, but the peer's window is closed: it has to take bytes. */
    return chy_http2_waiting_since_us(c->http2) == INT64_MAX ? CONN_WRITE : CONN_BODY;
}

static bool conn_is_done(const struct chy_conn *c)
{
    if (c->out.n > 0 || c->asked > 0)
        return false;
    if (c->is_last || c->peer_closed)
        return true;
    if (c->http2 != NULL)
        return chy_http2_is_over(c->http2);
    return c->is_draining && c->in.n == 0;
}

static uint32_t conn_events(const struct chy_conn *c)
{
    if (c->phase == CONN_LINGER)
        return EPOLLIN;
    if (c->phase == CONN_HANDSHAKE)
        return c->write_want == CHY_TLS_WANT_WRITE ? EPOLLOUT : EPOLLIN;
    /* Most clients wait for their answer: not to listen meanwhile would cost two calls for
     * nothing. */
    uint32_t events = c->is_muted ? 0 : EPOLLIN;
    if (c->out.n > 0)
        events |= c->write_want == CHY_TLS_WANT_READ ? EPOLLIN : EPOLLOUT;
    return events;
}

/* After anything that happened: send, close, or say what is waited for. */
static void conn_settle(struct chy_conn *c)
{
    if (c->phase == CONN_DEAD)
        return;
    if (c->phase != CONN_HANDSHAKE && c->phase != CONN_LINGER) {
        conn_send(c);
        if (c->phase == CONN_DEAD)
            return;
        if (conn_is_done(c))
            conn_linger(c);
        else
            conn_enter(c, conn_phase_now(c));
        if (c->phase == CONN_DEAD)
            return;
    }
    c->is_muted = c->is_muted && !conn_may_read(c);
    uint32_t events = conn_events(c);
    if (events != c->events && chy_watch_modify(c->watch, events, NULL) != CHY_OK) {
        conn_kill(c);
        return;
    }
    c->events = events;
}

static void conn_on_event(void *ctx, uint32_t events)
{
    struct chy_conn *c = ctx;
    if (c->phase == CONN_LINGER)
        conn_drop_input(c);
    else if (c->phase == CONN_HANDSHAKE)
        conn_handshake(c);
    else if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !conn_may_read(c)))
        conn_kill(c); /* EPOLLHUP: both directions are closed, nobody hears an answer */
    else if ((events & (EPOLLIN | EPOLLHUP)) != 0 && conn_may_read(c))
        conn_read(c);
    else if ((events & EPOLLIN) != 0)
        c->is_muted = true;
    conn_settle(c);
}

/* At the end of the turn: answers given meanwhile, and what was read ahead of them. */
static void conn_on_work(void *ctx)
{
    struct chy_conn *c = ctx;
    if (c->phase == CONN_DEAD) {
        conn_free(c);
        return;
    }
    if (c->phase != CONN_LINGER && c->http2 == NULL)
        conn_read_requests(c);
    if (conn_may_read(c) && chy_tls_has_more(c->tls))
        conn_read(c);
    conn_settle(c);
}

/* --- deadlines --- */

static int64_t conn_deadline_us(const struct chy_conn *c)
{
    const struct chy_conn_settings *s = &c->all->settings;
    switch (c->phase) {
    case CONN_HANDSHAKE:
    case CONN_HEAD:
        return c->since_us + s->header_timeout_us;
    case CONN_IDLE:
        return c->since_us + s->idle_timeout_us;
    case CONN_BODY:
        if (c->http2 != NULL)
            return chy_http2_waiting_since_us(c->http2) + s->header_timeout_us + s->body_timeout_us;
        return c->since_us + s->body_timeout_us;
    case CONN_WRITE:
        return c->since_us + s->body_timeout_us;
    case CONN_LINGER:
        return c->since_us + LINGER_US;
    case CONN_BUSY:
    case CONN_DEAD:
        break;
    }
    return INT64_MAX;
}

static void conn_time_out(struct chy_conn *c)
{
    bool is_owed = c->http2 == NULL && (c->phase == CONN_HEAD || c->phase == CONN_BODY);
    if (c->phase != CONN_IDLE && c->phase != CONN_LINGER)
        c->all->counts.timed_out++;
    if (is_owed) {
        conn_refuse(c, (struct chy_http_refusal){ 408, "The request took too long to arrive." });
        conn_settle(c);
    } else if (c->phase == CONN_IDLE) {
        if (c->http2 != NULL)
            CHY_IGNORE(chy_http2_drain(c->http2, NULL)); /* a courtesy: it is closed anyway */
        c->is_last = true;
        conn_settle(c);
    } else {
        conn_kill(c);
    }
}

/* --- all of them --- */

enum chy_err chy_conns_new(struct chy_loop *loop, const struct chy_conn_settings *settings,
                           const struct chy_conn_host *host, struct chy_conns **ret_conns,
                           struct chy_error *err)
{
    struct chy_conns *all = chy_new(struct chy_conns);
    if (all == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for connections");
    all->loop = loop;
    all->settings = *settings;
    all->host = *host;
    *ret_conns = all;
    return CHY_OK;
}

void chy_conns_free(struct chy_conns *all)
{
    if (all == NULL)
        return;
    for (struct chy_conn *c = all->list, *next = NULL; c != NULL; c = next) {
        next = c->next;
        conn_free(c);
    }
    chy_free(all);
}

void chy_conns_freep(struct chy_conns **all)
{
    chy_conns_free(*all);
}

/* The connection that has been idle longest, or NULL. */
static struct chy_conn *conns_idlest(const struct chy_conns *all)
{
    struct chy_conn *found = NULL;
    for (struct chy_conn *c = all->list; c != NULL; c = c->next)
        if (c->phase == CONN_IDLE && (found == NULL || c->since_us < found->since_us))
            found = c;
    return found;
}

static bool conns_make_room(struct chy_conns *all)
{
    if (all->counts.open < all->settings.max_connections)
        return true;
    struct chy_conn *idle = conns_idlest(all);
    if (idle == NULL) {
        all->counts.turned_away++;
        return false;
    }
    all->counts.made_room++;
    conn_kill(idle);
    return true;
}

void chy_conns_add(struct chy_conns *all, struct chy_tls_server *tls, int fd, const char *address)
{
    struct chy_conn *c = NULL;
    all->counts.accepted++;
    if (conns_make_room(all))
        c = chy_new(struct chy_conn);
    if (c == NULL) {
        chy_fd_closep(&fd);
        return;
    }
    c->all = all;
    c->fd = fd;
    c->work = (struct chy_deferred){ .fn = conn_on_work, .ctx = c };
    c->phase = CONN_HANDSHAKE;
    c->since_us = chy_clock_monotonic_us();
    c->events = EPOLLIN;
    chy_copy(c->address, address, CHY_MIN(strlen(address), sizeof c->address - 1));
    chy_buf_init(&c->in, all->settings.body_max + CHY_LIMIT_HTTP_HEAD + (size_t)2 * READ_BYTES);
    chy_buf_init(&c->out, CHY_LIMIT_HTTP_ANSWER);
    chy_http1_init(&c->http1, all->settings.body_max);
    c->next = all->list;
    if (c->next != NULL)
        c->next->prev = c;
    all->list = c;
    all->counts.open++;
    if (chy_tls_conn_new(tls, fd, &c->tls, NULL) != CHY_OK ||
        chy_watch_new(all->loop, fd, EPOLLIN, conn_on_event, c, &c->watch, NULL) != CHY_OK)
        conn_free(c);
}

void chy_conns_tick(struct chy_conns *all, int64_t now_us)
{
    for (struct chy_conn *c = all->list; c != NULL; c = c->next) {
        if (now_us >= conn_deadline_us(c)) {
            conn_time_out(c);
        } else if (c->phase == CONN_IDLE && c->in.p != NULL && c->in.n == 0 &&
                   now_us - c->since_us > KEEP_BUFFER_US) {
            size_t max = c->in.max;
            chy_buf_done(&c->in);
            chy_buf_init(&c->in, max);
        }
    }
}

void chy_conns_drain(struct chy_conns *all)
{
    for (struct chy_conn *c = all->list; c != NULL; c = c->next) {
        c->is_draining = true;
        if (c->phase == CONN_HANDSHAKE ||
            (c->http2 != NULL && chy_http2_drain(c->http2, NULL) != CHY_OK))
            conn_kill(c);
        else
            conn_settle(c);
    }
}

struct chy_conn_counts chy_conns_counts(const struct chy_conns *all)
{
    return all->counts;
}

const struct chy_tls_peer *chy_conn_peer(const struct chy_conn *c)
{
    return chy_tls_peer(c->tls);
}

struct chy_str chy_conn_address(const struct chy_conn *c)
{
    return chy_str_of(c->address);
}

size_t chy_conn_asked_count(const struct chy_conn *c)
{
    return c->asked;
}
