/* SPDX-License-Identifier: MIT */
/* One process under the supervisor, and the links between pairs of them. Private to this folder.
 *
 *   DOWN ──start──▶ STARTING ──READY──▶ READY
 *    ▲                 │ end, deadline     │ end
 *    └──── wait ◀──────┴───────────────────┘
 *
 * A link is a socket pair, one end for each of two processes that both run. When one of them ends,
 * so does the link; when it runs again, both get ends of a new one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/channel.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/process.h"
#include "proto/internal.h"

#define CHY_CHILD_NAME_BYTES 192

enum child_state {
    CHILD_DOWN,
    CHILD_STARTING,
    CHILD_READY,
};

struct child;

/* What the owner of the children does when something happens to one. */
struct child_events {
    /* It runs, and has its channel: send what it needs. */
    enum chy_err (*on_start)(void *ctx, struct child *child, struct chy_error *err);
    void (*on_ready)(void *ctx, struct child *child);
    /* It ended and was collected. True: start it again after the wait. */
    bool (*on_end)(void *ctx, struct child *child, struct chy_process_end end);
    /* It says that this peer hangs. */
    void (*on_hung)(void *ctx, struct child *child, const struct chy_peer *peer);
    void *ctx;
};

struct child {
    struct chy_loop *loop;
    struct chy_log *log;
    const struct child_events *events;
    struct chy_peer who;             /* as its peers know it; `token` lives in the plan */
    const char *role;                /* "@token" */
    const char *environment;         /* value of SOFTHSM2_CONF; NULL: none */
    char name[CHY_CHILD_NAME_BYTES]; /* "token soft 0", for the log */

    enum child_state state;
    struct chy_process process;
    struct chy_channel *channel;
    struct chy_watch *watch; /* of its end */
    struct chy_timer *timer; /* DOWN: when to start; STARTING: when to give up */
    int64_t started_us;
    int64_t wait_us; /* before the next start */
    bool is_draining;
    bool is_killed; /* by us: its end is no news */
    bool is_traced; /* it has ended, and a debugger has not collected it yet */
};

/* In place; `child` must not move afterwards. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err child_init(struct child *child, struct chy_loop *loop,
                                     struct chy_log *log, const struct child_events *events,
                                     const struct chy_peer *who, const char *environment,
                                     struct chy_error *err);
/* Kills it if it runs. */
void child_done(struct child *child);

/* Errors: of starting a process, and of on_start; it is DOWN then. */
CHY_MUST_USE enum chy_err child_start(struct child *child, struct chy_error *err);
/* Ends it by SIGKILL; on_end follows from the loop. */
void child_kill(struct child *child);
/* Ask it to finish what is in flight; once. */
void child_drain(struct child *child);
bool child_is_running(const struct child *child);

/* One struct by its schema. Errors: of the schema and of chy_channel_send() */
CHY_MUST_USE enum chy_err child_send(struct child *child, enum chy_msg type,
                                     const struct chy_schema *schema, const void *value,
                                     struct chy_error *err);
/* The same with one descriptor, which stays the caller's. Errors: CHY_E_BUSY as well: try again
 * later */
CHY_MUST_USE enum chy_err child_send_fd(struct child *child, enum chy_msg type,
                                        const struct chy_schema *schema, const void *value, int fd,
                                        struct chy_error *err);

struct link {
    struct child *ends[2];
    int fds[2]; /* [i] goes to ends[i]; -1: handed over, or not made */
    bool is_made;
};

/* Drop the link's descriptors; nothing is left to hand over. */
void link_reset(struct link *link);
/* Make it if both run and it is not made; hand over what is still to be. *ret_is_done is false when
 * one of the ends could not take more now. Errors: CHY_E_BUSY, CHY_E_NETWORK no socket pair;
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err link_advance(struct link *link, bool *ret_is_done, struct chy_error *err);
