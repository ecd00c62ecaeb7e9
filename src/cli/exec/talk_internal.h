/* SPDX-License-Identifier: MIT */
/* Talking to an agent or a helper; private to what runs tools. */
#pragma once

#include "cli/exec/exec.h"
#include "os/channel.h"

#define EXEC_SOON_US    ((int64_t)10000000) /* for an agent to answer what needs no server */
#define EXEC_SEND_BYTES 65536               /* requests of ours that wait: they are a few */

CHY_MUST_USE enum chy_err exec_send(struct chy_channel *channel, uint16_t type, uint64_t id,
                                    const struct chy_schema *schema, const void *value,
                                    struct chy_error *err);
/* Ask and wait for the answer, which has no content that matters here.
 * Errors: what the agent says; CHY_E_TIMEOUT, CHY_E_PROTOCOL, CHY_E_NOT_FOUND it is gone */
CHY_MUST_USE enum chy_err exec_ask(struct chy_channel *channel, uint16_t type,
                                   const struct chy_schema *schema, const void *value,
                                   uint16_t answer, struct chy_error *err);
/* Takes the descriptor. */
CHY_MUST_USE enum chy_err exec_channel(int *fd, struct chy_channel **ret_channel,
                                       struct chy_error *err);
