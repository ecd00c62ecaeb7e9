/* SPDX-License-Identifier: MIT */
/* Threads that ask the server, each over a connection of its own: one is kept, more are started
 * while work waits. Work that waits may be taken together, so that many small requests become one.
 *
 * A call that hangs must not hold up the others: once it has taken the upstream's slow_us, its
 * thread does not count any more, and another takes its place. When CHY_WORKERS_HUNG_MAX hang, the
 * server does not answer, and more work is refused at once. What waits is told when its deadline
 * passes, and not when a thread gets round to it.
 *
 * Threads: everything is called from the thread of the loop, but what takes a struct chy_worker: by
 * the worker that runs the work. */
#pragma once

#include "agent/login.h"
#include "agent/upstream.h"
#include "base/limits.h"
#include "os/loop.h"

struct chy_workers;
struct chy_pubkey;
struct chy_worker;
struct chy_work;

struct chy_work_kind {
    /* Do it; `first` heads the chain of all that is done together. In a worker. */
    void (*run)(struct chy_work *first, struct chy_worker *w);
    /* It is done: called for each of the chain, whose work this becomes. In the loop. */
    void (*done)(struct chy_work *work);
    /* Whether `other` may be taken along with `first`; NULL: never. In a worker, under a lock. */
    bool (*joins)(const struct chy_work *first, const struct chy_work *other);
};

/* First member of what is to be done. */
struct chy_work {
    const struct chy_work_kind *kind;
    size_t bytes; /* what it adds to a request; a chain has CHY_WORK_BYTES at most */
    struct chy_work *next;
    int64_t deadline_us; /* when it is given up if no worker has taken it */
    /* Set by run(), through chy_worker_finish(). */
    enum chy_err code;
    struct chy_error error;
    const char *mend;                    /* what to do about it; NULL: no advice */
    char request_id[CHY_LIMIT_NAME + 1]; /* the server's; "" if there is none */
};

#define CHY_WORK_BYTES       ((size_t)CHY_LIMIT_JSON / 4 * 3)
#define CHY_WORKERS_MAX      4  /* that ask at once, those that hang not counted */
#define CHY_WORKERS_HUNG_MAX 24 /* each has a thread and a connection */

/* All are borrowed and must outlive the workers. Errors: CHY_E_IO, CHY_E_BUSY, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_workers_new(struct chy_loop *loop, struct chy_login *login,
                                          const struct chy_upstream *upstream,
                                          struct chy_workers **ret_workers, struct chy_error *err);
/* Waits for the threads: only when nothing is in flight. What waits is not done any more, and its
 * done() is called with CHY_E_STATE. */
void chy_workers_free(struct chy_workers *ws);
void chy_workers_freep(struct chy_workers **ws);

/* Takes the work on CHY_OK; its done() is called later, never within this.
 * Errors: CHY_E_BUSY CHY_LIMIT_DOOR_WAITING wait already, or CHY_LIMIT_DOOR_WAITING_BYTES of
 * them, or the server does not answer */
CHY_MUST_USE enum chy_err chy_workers_add(struct chy_workers *ws, struct chy_work *work,
                                          struct chy_error *err);
/* Work whose done() was not called yet. */
size_t chy_workers_pending(const struct chy_workers *ws);

/* --- in a worker --- */

/* Call the server with the present settings. Errors: of chy_login_take(), chy_client_open() and
 * chy_client_call() */
CHY_MUST_USE enum chy_err chy_worker_call(struct chy_worker *w, enum chy_op op, const void *request,
                                          struct chy_arena *arena, void *response,
                                          struct chy_error *err);
/* What became of the work: the code with its error (NULL with CHY_OK), the server's id of the last
 * call, and what to do about it. */
void chy_worker_finish(const struct chy_worker *w, struct chy_work *work, enum chy_err r,
                       const struct chy_error *why);
/* The basis on which the server takes our facts; asks it when that is not known yet. */
CHY_MUST_USE enum chy_err chy_worker_basis(struct chy_worker *w, enum chy_basis *ret_basis,
                                           struct chy_error *err);
/* The verifier key of the server's log, as the profile has it; empty: not known. Lives until the
 * next call. */
struct chy_str chy_worker_log_key(const struct chy_worker *w);
/* The key of this SubjectPublicKeyInfo; the worker keeps the last one. Lives until the next call.
 * Errors: of chy_pubkey_from_spki() */
CHY_MUST_USE enum chy_err chy_worker_pubkey(struct chy_worker *w, struct chy_bytes spki,
                                            const struct chy_pubkey **ret_key,
                                            struct chy_error *err);
/* Renew the credential where it is due, and learn who we are. */
CHY_MUST_USE enum chy_err chy_worker_upkeep(struct chy_worker *w, struct chy_error *err);
