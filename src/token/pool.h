/* SPDX-License-Identifier: MIT */
/* The work of a token process: requests as jobs, done in order by one session in the caller's
 * thread, or by a thread for each session. The items of one sign request are spread over the
 * threads; a job is done when its last item is.
 *
 * Threads: everything here is called from the thread of the loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "os/loop.h"
#include "proto/internal.h"
#include "token/keys.h"
#include "token/slot.h"

struct chy_pool;

struct chy_job_signature {
    enum chy_err code;
    struct chy_signature signature;  /* of CHY_OK */
    char text[CHY_ERROR_TEXT_BYTES]; /* of an error */
};

struct chy_job {
    enum chy_msg type; /* TOKEN_SIGN, GENERATE, FIND or DROP */
    uint64_t frame_id;
    uint64_t peer;          /* the caller's mark of who asked */
    struct chy_arena arena; /* what follows lives in it */
    union {
        struct chy_token_sign sign;
        struct chy_token_generate generate;
        struct chy_token_find find;
        struct chy_token_drop drop;
    } request;
    struct chy_job_signature *results; /* SIGN: one for each item */
    struct chy_token_key_reply key;    /* GENERATE, FIND */
    enum chy_err code;                 /* GENERATE, FIND, DROP */
    struct chy_error error;

    /* The pool's. */
    struct chy_job *next;
    size_t units;
    size_t units_taken;
    size_t units_done;
    bool is_finished;
};

/* Decode a request. The job borrows nothing from `body`.
 * Errors: CHY_E_PROTOCOL not a request for a token; as chy_schema_decode(); CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_job_new(enum chy_msg type, uint64_t frame_id, struct chy_bytes body,
                                      struct chy_job **ret_job, struct chy_error *err);
void chy_job_free(struct chy_job *job);
void chy_job_freep(struct chy_job **job);
/* Answer a job without doing it, or what is left of it. */
void chy_job_refuse(struct chy_job *job, enum chy_err code, const char *text);

/* Called in the loop's thread with each job that is done; it now belongs to the callee. */
typedef void chy_pool_done_fn(void *ctx, struct chy_job *job);

struct chy_pool_options {
    struct chy_slot *slot;
    struct chy_keys *keys;
    uint32_t threads; /* 1: no thread, the work is done within chy_pool_add() */
    struct chy_loop *loop;
    chy_pool_done_fn *on_done;
    void *ctx;
};

/* Errors: CHY_E_ARG a wrong number of threads; CHY_E_TOKEN no session; CHY_E_BUSY no thread;
 *         CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_pool_new(const struct chy_pool_options *options,
                                       struct chy_pool **ret_pool, struct chy_error *err);
/* Only of a pool without threads. Threads that are in the module cannot be waited for, they may
 * hang there: with them this is a no-op, and the pool ends with the process. */
void chy_pool_free(struct chy_pool *pool);

/* Takes the job. With CHY_LIMIT_TOKEN_JOBS waiting, or once the pool is broken, the job comes back
 * at once as refused (CHY_E_BUSY, CHY_E_TOKEN). */
void chy_pool_add(struct chy_pool *pool, struct chy_job *job);
/* Jobs that are not done. */
size_t chy_pool_pending(const struct chy_pool *pool);
/* The module, the device or a session failed for good: nothing is signed any more, the process
 * should end. Answers the error that says why, or NULL. */
const struct chy_error *chy_pool_broken(struct chy_pool *pool);
