/* SPDX-License-Identifier: MIT */
/* A call on its way: resolved, permitted and answered within one reading transaction, so that
 * everything it says is of one moment. The one kind of call that waits (for inspect) begins anew
 * when it goes on: it is resolved and permitted again. Private to src/query. */
#pragma once

#include "query/state.h"

/* Fills the response of the row, or asks inspect and fills nothing. */
typedef enum chy_err query_fn(struct query_call *call, void *response, struct chy_error *err);

struct query_call {
    struct query_call *prev;
    struct query_call *next;
    struct query *q;
    struct chy_arena arena; /* everything of the call */
    uint64_t frame_id;
    struct chy_call call;
    const struct chy_op_row *row;
    const void *request; /* the row's request struct */
    int64_t now_us;      /* one moment for the whole call */
    struct chy_principal who;

    /* For operations on the log: the newest checkpoint, read before the transaction began, so that
     * the store holds all that it covers. Size 0 and no note: none was published yet. */
    struct chy_bytes note;
    struct chy_tlog_checkpoint checkpoint;

    /* A policy that was compiled for this call alone: its answer borrows names from it. */
    struct chy_policy_rules *rules;

    uint64_t waits_for; /* frame id at inspect; 0: for nothing */
    query_fn *then;
    const struct chy_inspect_reply *inspected;
};

/* A CALL frame from front: answers it, now or later. */
void query_call_begin(struct query *q, const struct chy_frame *frame);
/* Ask inspect; `then` goes on with call->inspected. An answer that says no ends the call with it.
 * Errors: CHY_E_BUSY inspect is not there, or too many calls wait for it; those of encode */
CHY_MUST_USE enum chy_err query_inspect(struct query_call *call,
                                        const struct chy_inspect_request *request, query_fn *then,
                                        struct chy_error *err);
void query_inspect_reply(struct query *q, const struct chy_frame *frame);
void query_inspect_gone(struct query *q);
/* Nobody waits for the answers any more. */
void query_front_gone(struct query *q);
