/* SPDX-License-Identifier: MIT */
/* A request to the agent and its answer, over whatever link there is, repeated where that is
 * safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"

struct chy_guest;

struct chy_guest_ask {
    uint16_t type;
    const struct chy_schema *schema;
    const void *value;
    uint16_t reply_type;
    const struct chy_schema *reply_schema;
    int64_t timeout_us;
    /* To ask twice does no harm. Else it is asked again only if the request was not received. */
    bool may_repeat;
    int streams;     /* by how many the link has more or fewer when it is done: 1, 0, -1 */
    uint64_t serial; /* the only link that will do, 0: any. Afterwards: the link it was */
};

/* What an answer borrows from. */
struct chy_guest_answer {
    struct chy_buf in;
    struct chy_arena arena;
    bool is_failure; /* of the agent: the call failed because it said so */
};

void chy_guest_answer_init(struct chy_guest_answer *answer);
void chy_guest_answer_done(struct chy_guest_answer *answer);

/* ret_reply  the struct of reply_schema; borrows from `answer`, which is made and freed by the
 *            caller and may be used again
 *
 * A connection that breaks, or that nobody greets in time, is made anew, CHY_GUEST_TRIES times; an
 * agent of CHANCERY_AGENT_SOCK that does not answer is waited for until the time is over.
 *
 * Errors: any of the agent, with answer->is_failure. Else
 *         CHY_E_NETWORK, CHY_E_TIMEOUT, CHY_E_IO  it was not asked, or did not answer
 *         CHY_E_PROTOCOL  it answered nonsense; CHY_E_FORBIDDEN somebody else's socket
 *         CHY_E_STATE     the end began
 *         CHY_E_ARG, CHY_E_LIMIT  `value` breaks its schema; CHY_E_NOMEM, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_guest_ask(struct chy_guest *g, struct chy_guest_ask *ask,
                                        struct chy_guest_answer *answer, void *ret_reply,
                                        struct chy_error *err);
