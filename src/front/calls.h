/* SPDX-License-Identifier: MIT */
/* The calls in flight: requests that were handed to signer or query and are not answered yet. A
 * fixed number of slots; the id of a call's frame names its slot and how often that was used, so
 * that a late reply meets nobody. Not shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "proto/ops.h"

struct chy_calls;

enum chy_call_purpose {
    CHY_CALL_API,             /* the answer goes to the client */
    CHY_CALL_METRICS,         /* a whoami on behalf of GET /metrics */
    CHY_CALL_SIGNSERVER_KEY,  /* the key behind a worker of SignServer's door */
    CHY_CALL_SIGNSERVER_SIGN, /* and its signature */
};

struct chy_call_slot {
    uint64_t id; /* of the frame; 0: free */
    enum chy_call_purpose purpose;
    const struct chy_op_row *row;
    uint8_t request_id[CHY_ID_BYTES];
    void *conn; /* who asked; NULL: gone meanwhile */
    int32_t stream;
    bool is_head;
    uint64_t caller; /* equal for calls of one credential, or of one address without any */
    int64_t since_us;
    int64_t deadline_us; /* monotonic clock */
    /* What a door must remember until the reply; NULL: nothing. The slot's own. */
    void *state;
    void (*state_free)(void *state);
};

/* Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_calls_new(size_t max, struct chy_calls **ret_calls,
                                        struct chy_error *err);
void chy_calls_free(struct chy_calls *calls);
void chy_calls_freep(struct chy_calls **calls);

/* A free slot with a new id, everything else zero; NULL when all are taken. */
struct chy_call_slot *chy_calls_take(struct chy_calls *calls);
/* Frees its state, too. */
void chy_calls_release(struct chy_calls *calls, struct chy_call_slot *slot);
/* The call that waits for a reply of this id, or NULL. */
struct chy_call_slot *chy_calls_find(struct chy_calls *calls, uint64_t id);

size_t chy_calls_count(const struct chy_calls *calls);
size_t chy_calls_count_of(const struct chy_calls *calls, uint64_t caller);
/* The next taken slot after `slot` (NULL: the first); NULL at the end. `slot` may have been
 * released. */
struct chy_call_slot *chy_calls_next(struct chy_calls *calls, const struct chy_call_slot *slot);
