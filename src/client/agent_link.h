/* SPDX-License-Identifier: MIT */
/* A conversation with the agent (proto/door.h), one question at a time. Not shared. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/door.h"

struct chy_agent_link;

struct chy_agent_link_options {
    struct chy_str path;  /* of the socket */
    const char *software; /* who speaks */
    struct chy_bytes tag; /* of `chancery exec`, or empty */
};

/* Connect, see that the socket is our own user's or root's, and greet.
 * Errors: CHY_E_NETWORK      nobody listens there
 *         CHY_E_FORBIDDEN    it is another user's: nothing was said to it
 *         CHY_E_UNSUPPORTED  it speaks another version; CHY_E_TIMEOUT, CHY_E_PROTOCOL, CHY_E_IO,
 *                            CHY_E_ARG, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_agent_link_open(const struct chy_agent_link_options *options,
                                              struct chy_agent_link **ret_link,
                                              struct chy_error *err);
void chy_agent_link_close(struct chy_agent_link *l);
void chy_agent_link_closep(struct chy_agent_link **l);

struct chy_agent_question {
    enum chy_door_msg msg;
    const struct chy_schema *schema;
    const void *value;
    enum chy_door_msg reply;
    const struct chy_schema *reply_schema;
    int64_t timeout_ms;
};

/* Ask, and wait for the answer, which lives as long as the arena.
 * Errors: what the agent says (FAILED); CHY_E_NETWORK it is gone; CHY_E_TIMEOUT (the link is of no
 * use any more), CHY_E_PROTOCOL, CHY_E_IO, CHY_E_ARG, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_agent_link_ask(struct chy_agent_link *l,
                                             const struct chy_agent_question *question,
                                             struct chy_arena *arena, void *ret_reply,
                                             struct chy_error *err);
/* The server's id of the request that FAILED last spoke of; "" if there is none. Lives until the
 * next question. */
const char *chy_agent_link_request_id(const struct chy_agent_link *l);
