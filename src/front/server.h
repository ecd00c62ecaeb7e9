/* SPDX-License-Identifier: MIT */
/* The front process's state, private to this folder. Its parts:
 *
 *   front.c     start, supervisor's messages, TLS material, listeners, drain
 *   backend.c   the channels to signer and query, calls in flight, their status
 *   serve.c     what a request asks for, and its answer
 *   exchange.c  what every answer has
 *   signserver.c  SignServer's door
 *   conn.c      bytes
 *
 * One thread, one loop; lives from chy_front_main() to its end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "front/calls.h"
#include "front/conn.h"
#include "front/http.h"
#include "front/target.h"
#include "os/channel.h"
#include "os/log.h"
#include "os/loop.h"
#include "proto/internal.h"

#define FRONT_LISTENERS_MAX 16
#define REQUEST_IDS         64
#define FRONT_STATUSES      600 /* counted by status: 0 to 599 */

/* Signer or query: who serves calls. */
struct front_backend {
    struct front *front;
    const char *name;
    struct chy_channel *channel; /* NULL: not there */
    uint64_t status_id;          /* of the last STATUS frame */
    int64_t status_us;           /* when it was answered; 0: never */
    struct chy_status status;    /* borrows from the arena below */
    struct chy_arena arena;
};

struct front {
    struct chy_log log;
    struct chy_loop *loop;
    struct chy_channel *supervisor;
    struct chy_timer *tick;
    struct chy_front_config config;
    struct chy_arena config_arena;

    struct chy_tls_server *tls;     /* NULL: no material yet */
    struct chy_secret *certificate; /* in use */
    struct chy_secret *key;
    struct chy_secret *next_certificate; /* came, waits for its other half */
    struct chy_secret *next_key;
    struct chy_buf client_ca; /* DER */
    int64_t tls_made_us;      /* monotonic clock */

    int listeners[FRONT_LISTENERS_MAX];
    struct chy_watch *listener_watches[FRONT_LISTENERS_MAX];
    size_t listener_count;
    bool is_accepting;
    bool has_said_ready;
    bool is_orphan; /* the supervisor is gone */
    bool is_draining;
    int64_t drain_until_us;

    struct chy_conns *conns;
    struct chy_calls *calls;
    struct front_backend signer;
    struct front_backend query;

    /* Scratch of one request or one answer; nothing in them outlives it. */
    struct chy_arena arena;
    struct chy_buf message;
    struct chy_buf body;
    struct chy_target target;

    uint8_t request_ids[REQUEST_IDS]
                       [CHY_ID_BYTES]; /* drawn ahead: a system call for each is dear */
    size_t request_ids_left;
    struct chy_buf openapi;
    int64_t date_s;
    char date[CHY_HTTP_DATE_BYTES];
    uint64_t answers[FRONT_STATUSES];
    uint64_t calls_late;
};

/* --- backend.c --- */

/* Use this descriptor, which is taken in any case, as the channel; an older one is closed. */
CHY_MUST_USE enum chy_err front_backend_set(struct front_backend *b, int fd, struct chy_error *err);
void front_backend_done(struct front_backend *b);
/* Ask for its status; called on every tick. */
void front_backend_poll(struct front_backend *b);
/* It is there, has said lately how it is, and is ready; else the reason. */
bool front_backend_is_ready(const struct front_backend *b, int64_t now_us, struct chy_str *ret_why);

struct front_ask {
    enum chy_call_purpose purpose;
    const struct chy_op_row *row;
    const uint8_t *request_id;
    struct chy_conn *conn;
    int32_t stream;
    bool is_head;
    const struct chy_caller *caller;
    struct chy_bytes request; /* canonical */
    void *state;              /* of the slot: taken over if the call is sent; may be NULL */
    void (*state_free)(void *state);
};

/* Send a call; its answer comes by serve_reply() or serve_failure().
 * Errors: CHY_E_BUSY no slot, no backend, or it does not keep up; CHY_E_RATE the caller has too
 * many in
 *         flight; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err front_call(struct front *f, const struct front_ask *ask,
                                     struct chy_error *err);
/* Answer calls whose deadline has passed. */
void front_calls_tick(struct front *f, int64_t now_us);
/* The connection is gone, or one stream of it (not 0): its answers are for nobody. */
void front_calls_forget(struct front *f, const struct chy_conn *conn, int32_t stream);

/* --- serve.c --- */

void serve_request(void *ctx, struct chy_conn *c, int32_t stream,
                   const struct chy_http_request *request);
void serve_refused(void *ctx, struct chy_conn *c, int32_t stream,
                   const struct chy_http_refusal *why);
void serve_gone(void *ctx, struct chy_conn *c, int32_t stream);
/* The slot is released by the caller, afterwards. */
void serve_reply(struct front *f, struct chy_call_slot *slot, const struct chy_reply *reply);
void serve_failure(struct front *f, const struct chy_call_slot *slot, enum chy_err code,
                   const char *text);

/* --- front.c --- */

/* The signer says whose clients to trust. */
void front_set_trust(struct front *f, const struct chy_trust *trust);

/* --- metrics.c --- */

/* Append the Prometheus text. A failure shows in chy_buf_check(). */
void front_metrics_write(const struct front *f, int64_t now_us, struct chy_buf *out);
