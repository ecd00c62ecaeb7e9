/* SPDX-License-Identifier: MIT */
/* The connections of the front process: TLS, then HTTP/1.1 or HTTP/2, on the event loop. A
 * connection turns bytes into requests for its host and the host's responses into bytes; it keeps
 * the deadlines, the limits on memory and the order of HTTP/1.1, and knows nothing of what is
 * asked. Not shared. */
#pragma once

#include <stdint.h>

#include "crypto/tls.h"
#include "front/http.h"
#include "os/loop.h"
#include "os/socket.h"

struct chy_conn;
struct chy_conns;

struct chy_conn_settings {
    size_t max_connections;
    size_t body_max;           /* bytes of one request */
    size_t buffered_max;       /* bytes of unfinished requests, all connections together */
    int64_t header_timeout_us; /* handshake; a head, from its first byte to its last */
    int64_t body_timeout_us;   /* a body; the peer taking bytes of an answer */
    int64_t idle_timeout_us;   /* between two requests */
};

struct chy_conn_host {
    /* A whole request, borrowed until this returns. Answer now or later by chy_conn_respond().
     * `stream` is 0 on HTTP/1.1. */
    void (*on_request)(void *ctx, struct chy_conn *c, int32_t stream,
                       const struct chy_http_request *request);
    /* One that is refused as it stands: answer at once. */
    void (*on_refused)(void *ctx, struct chy_conn *c, int32_t stream,
                       const struct chy_http_refusal *why);
    /* An answer that is still owed to on_request will reach nobody. `stream` 0: that goes for all
     * of this connection, which must not be used any more. */
    void (*on_gone)(void *ctx, struct chy_conn *c, int32_t stream);
    void *ctx;
};

struct chy_conn_counts {
    size_t open;
    uint64_t accepted;
    uint64_t turned_away; /* no room, and nobody idle to make some */
    uint64_t made_room;   /* idle ones closed for a new one */
    uint64_t tls_failed;
    uint64_t tls_resumed;
    uint64_t timed_out;
};

/* `settings` and `host` are copied; the loop must outlive the connections. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_conns_new(struct chy_loop *loop,
                                        const struct chy_conn_settings *settings,
                                        const struct chy_conn_host *host,
                                        struct chy_conns **ret_conns, struct chy_error *err);
/* Closes all, without on_gone. */
void chy_conns_free(struct chy_conns *all);
void chy_conns_freep(struct chy_conns **all);

/* Take on an accepted socket, which is closed in any case. Out of room the connection that has been
 * idle longest is closed for it; if none is idle, the new one is. */
void chy_conns_add(struct chy_conns *all, struct chy_tls_server *tls, int fd, const char *address);
/* Look at all deadlines; to be called a few times a second. */
void chy_conns_tick(struct chy_conns *all, int64_t now_us);
/* No new requests: idle connections are closed, the others after what is in flight. */
void chy_conns_drain(struct chy_conns *all);
struct chy_conn_counts chy_conns_counts(const struct chy_conns *all);

/* Once for every on_request and on_refused that was not followed by on_gone. `response->is_head`
 * and `is_last` are the connection's own affair where HTTP demands them. */
void chy_conn_respond(struct chy_conn *c, int32_t stream, const struct chy_http_response *response);

const struct chy_tls_peer *chy_conn_peer(const struct chy_conn *c);
struct chy_str chy_conn_address(const struct chy_conn *c);
/* Requests that wait for their answer. */
size_t chy_conn_asked_count(const struct chy_conn *c);
