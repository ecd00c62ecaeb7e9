/* SPDX-License-Identifier: MIT */
/* A job: one call (or work of the signer's own) on its way through steps. A step either arranges a
 * wait for exactly one thing and names the next step, or finishes the job. A step that returns an
 * error has the job answered with it. After job_reply() the job is gone. */
#pragma once

#include "proto/internal.h"
#include "signer/state.h"

struct job;
typedef enum chy_err job_fn(struct job *job, struct chy_error *err);

struct job {
    struct job *prev;
    struct job *next;
    struct signer *s;
    struct chy_arena arena; /* everything of the job */
    struct peer *front;     /* NULL: the signer's own work, or front has gone */
    uint64_t frame_id;
    struct chy_call call;
    const struct chy_op_row *row; /* NULL: the signer's own work */
    struct chy_principal who;
    struct caller *caller; /* what `who` borrows from, see callers.h; NULL: the arena */
    void *request;         /* the row's request struct */
    void *state;           /* of the operation */
    struct chy_str lock;   /* what it holds, see job_lock(); empty: nothing */

    /* Waiting: for the ledger, or for the answer to the frame `waits_for`. */
    job_fn *step;
    struct job **wait_list; /* the ledger's list that it is in; NULL: none */
    struct job *wait_prev;
    struct job *wait_next;
    uint64_t wait_index;
    uint64_t waits_for; /* frame id at inspect; 0: none */
    bool has_intent;    /* it wrote an intent, the first one at `first_intent` */
    uint64_t first_intent;
    const struct chy_entry *owed; /* the outcome of an intent that has none yet; see job_owe() */
    uint32_t tasks;               /* token tasks and calls under way that point to this job */

    /* What the last wait brought. */
    const struct chy_inspect_reply *inspected; /* in the arena */
    const struct chy_token_key_reply *token_key;
    enum chy_err token_code;
    struct chy_str token_text;
    struct chy_bytes signature;
};

/* A call from front. Answers it at once when it is malformed, unknown or not permitted. */
void job_begin(struct signer *s, struct peer *front, const struct chy_frame *frame);
/* Work of the signer's own, as principal "@signer"; one at a time. */
CHY_MUST_USE enum chy_err job_begin_own(struct signer *s, job_fn *first, struct chy_error *err);
/* What a step that fails has added to the ledger is taken back, before the job is failed. */
void job_run(struct job *job, job_fn *step);
/* Answer and free. `schema` NULL: nothing but the code. */
void job_reply(struct job *job, enum chy_err code, const struct chy_error *why,
               const struct chy_schema *schema, const void *response);
void job_fail(struct job *job, const struct chy_error *why);
/* The process ends: tell every caller so, also of jobs that are at a token. The jobs stay. */
void job_tell_all(struct signer *s, const struct chy_error *why);
/* The common ending: done, with the response of the operation. Always answers CHY_OK. */
enum chy_err job_done(struct job *job, const void *response);
void job_front_gone(struct signer *s, const struct peer *front);

/* Hold a name ("key:NAME") until the job ends, so that two changes of one thing do not interleave.
 * Errors: CHY_E_CONFLICT another job holds it; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err job_lock(struct job *job, const char *kind, struct chy_str name,
                                   struct chy_error *err);

/* Ask inspect; job->inspected holds the answer in the next step. An answer that says no ends the
 * job with its error. Errors: CHY_E_BUSY inspect is not there; those of encode */
CHY_MUST_USE enum chy_err job_inspect(struct job *job, const struct chy_inspect_request *request,
                                      job_fn *next, struct chy_error *err);
void job_inspect_reply(struct signer *s, const struct chy_frame *frame);
void job_inspect_gone(struct signer *s);
/* Jobs whose callers have gone while inspect was silent. */
void job_inspect_expire(struct signer *s, int64_t now_us);
/* Free all without a word: the end of the process. */
void job_free_all(struct signer *s);

/* An entry about this job's call, with who and how filled in. */
struct chy_entry job_entry(const struct job *job, enum chy_entry_kind kind, const char *action,
                           struct chy_str subject);
struct chy_entry_detail job_detail(const struct job *job, struct chy_str text);

/* The job has written an intent and owes this outcome. If it fails, it is written as failed, with
 * the error; who writes the outcome otherwise clears job->owed. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err job_owe(struct job *job, const struct chy_entry *outcome,
                                  struct chy_error *err);

/* The operations, by enum chy_op; NULL for those that query serves. */
job_fn *job_handler(enum chy_op op);
