/* SPDX-License-Identifier: MIT */
/* Private to the files of the tokens: what they share. tokens.c has the processes and their
 * connections, tokens_sign.c the queues and batches of signatures, tokens_keys.c what is asked of
 * them about keys. */
#pragma once

#include "signer/tokens.h"

/* One frame at a worker that waits for its answer. */
struct flight {
    struct flight *next;
    uint64_t frame_id;
    enum chy_msg type;
    int64_t sent_us;
    struct sign_task *tasks; /* TOKEN_SIGN: in the order of the items */
    struct job *job;         /* else */
    job_fn *step;
};

struct worker {
    struct worker *next;
    struct token *token;
    uint32_t number;
    struct chy_channel *channel; /* NULL: none at the moment */
    bool is_ready;               /* has told its TOKEN_INFO */
    bool is_reported;            /* as hung */
    struct flight *flights;
    size_t flight_count;
    size_t tasks; /* in all flights */
};

struct token {
    struct token *next;
    struct signer *s;
    struct chy_signer_token config;
    struct worker *workers;
    struct sign_task *queue;
    size_t queued;
    size_t in_flight;
    int64_t served_us; /* when tokens_check() last saw a worker that is ready */
    struct chy_arena info_arena;
    struct chy_token_info info;
};

/* tokens.c */
bool token_has_worker(const struct token *t); /* one that is ready */
size_t token_workers_ready(const struct token *t);
/* A frame for a worker, not sent yet; NULL: no memory. */
struct flight *token_flight_new(struct worker *w, enum chy_msg type);
/* Once it is sent the worker owns it; on an error the caller does. Errors: those of
 * chy_schema_encode() and chy_channel_send() */
CHY_MUST_USE enum chy_err token_flight_send(struct worker *w, struct flight *f,
                                            const struct chy_schema *schema, const void *message,
                                            struct chy_error *err);

/* tokens_sign.c */
CHY_MUST_USE enum chy_err token_sign_replied(struct worker *w, struct flight *f,
                                             struct chy_bytes body, struct chy_error *err);
/* The worker died: what it was to sign goes back to the head of the queue, once. */
void token_requeue(struct worker *w, struct flight *f);
/* Fail what waited too long, and what waits for a token that does not come. */
void token_queue_expire(struct token *t, int64_t now_us);

/* tokens_keys.c: the flight stays the caller's. Errors: CHY_E_PROTOCOL not what was asked;
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err token_key_replied(struct flight *f, struct chy_bytes body,
                                            struct chy_error *err);
CHY_MUST_USE enum chy_err token_drop_replied(struct flight *f, struct chy_bytes body,
                                             struct chy_error *err);
/* The worker died before it answered. */
void token_key_lost(struct flight *f);
