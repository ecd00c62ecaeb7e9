/* SPDX-License-Identifier: MIT */
/* The token processes as the signer sees them: one queue of digests a token, several workers that
 * take from it in batches. A worker that dies gives its batch back to the queue, once; one that
 * does not answer in time is reported to the supervisor, which kills it. */
#pragma once

#include "signer/job.h"
#include "signer/state.h"

struct sign_task;
typedef void sign_done_fn(struct sign_task *task, enum chy_err code, struct chy_str text,
                          struct chy_bytes signature);

/* One signature that a token is asked for. Everything in it lives until `done` was called. */
struct sign_task {
    struct sign_task *prev;
    struct sign_task *next;
    struct key *key;
    enum chy_sign_alg algorithm;
    struct chy_bytes input;
    int64_t deadline_us;     /* monotonic; 0: none */
    bool for_administration; /* may use a key that is not active, or none of the signing class */
    sign_done_fn *done;
    void *ctx;
    unsigned attempts;
};

CHY_MUST_USE enum chy_err tokens_new(struct signer *s, struct chy_error *err);
void tokens_free(struct signer *s);
/* A new connection to a worker. Errors: CHY_E_PROTOCOL no such token or worker; CHY_E_NOMEM,
 * CHY_E_IO */
CHY_MUST_USE enum chy_err tokens_connect(struct signer *s, const struct chy_peer *peer, int fd,
                                         struct chy_error *err);

/* Errors: CHY_E_BUSY the queue is full, or no worker is ready; CHY_E_NOT_FOUND the key's token is
 * not configured */
CHY_MUST_USE enum chy_err tokens_sign(struct signer *s, struct sign_task *task,
                                      struct chy_error *err);
/* Send what is queued; once a turn. */
void tokens_turn(struct signer *s);
/* Look for workers that hang, and for what waits in vain; once a second. */
void tokens_check(struct signer *s, int64_t now_us);
size_t tokens_in_flight(const struct signer *s);
/* Every token that signs has more to do than its processes were sent. */
bool tokens_are_full(const struct signer *s);
/* Digests wait for the token of this key already. */
bool tokens_are_full_for(struct signer *s, const struct key *key);
bool tokens_are_ready(const struct signer *s, struct chy_str *ret_missing);

struct token *tokens_find(struct signer *s, struct chy_str name);
bool token_is_software(const struct token *t);
struct chy_str token_name(const struct token *t);

/* Ask one worker; job->token_key holds the answer in the next step, whatever its code.
 * `type` is CHY_MSG_TOKEN_GENERATE or CHY_MSG_TOKEN_FIND. Errors: CHY_E_BUSY no worker is ready */
CHY_MUST_USE enum chy_err tokens_ask_key(struct job *job, struct token *t, enum chy_msg type,
                                         const struct chy_schema *schema, const void *request,
                                         job_fn *next, struct chy_error *err);
/* Have every worker forget the key; with `destroy`, one of them then destroys it in the token. The
 * next step finds the code in job->token_code. */
CHY_MUST_USE enum chy_err tokens_drop(struct job *job, struct key *key, bool destroy, job_fn *next,
                                      struct chy_error *err);
/* One signature for a job; job->token_code, token_text and signature tell in the next step. */
CHY_MUST_USE enum chy_err tokens_sign_job(struct job *job, struct key *key,
                                          enum chy_sign_alg algorithm, struct chy_bytes input,
                                          job_fn *next, struct chy_error *err);

/* Filled for OP_TOKENS_LIST, in the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err tokens_list(struct signer *s, struct chy_arena *arena,
                                      struct chy_token_list *ret_list, struct chy_error *err);
