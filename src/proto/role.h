/* SPDX-License-Identifier: MIT */
/* How a process of the server begins, whatever its role: it takes over the supervisor's channel,
 * receives its configuration, and later says that it is ready. What comes in between, and when the
 * sandbox is entered, is the role's own. */
#pragma once

#include "codec/schema.h"
#include "os/channel.h"

/* Take over descriptor CHY_SUPERVISOR_FD; descriptors may come on it.
 * Errors: CHY_E_STATE it is not open: not started by the supervisor; CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_role_open(size_t send_limit_bytes, struct chy_channel **ret_channel,
                                        struct chy_error *err);
/* Wait for the configuration, CHY_LIMIT_START_MS at most. What it points to lives in the arena.
 * Errors: CHY_E_PROTOCOL another frame came first; of waiting for a frame; as chy_schema_decode();
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_role_config(struct chy_channel *channel,
                                          const struct chy_schema *schema, struct chy_arena *arena,
                                          void *ret_config, struct chy_error *err);
/* The folder that a path is in, "/" of "/a", in the arena with its NUL; p is NULL when there is no
 * memory. */
CHY_MUST_USE struct chy_str chy_role_folder(struct chy_str path, struct chy_arena *arena);
/* Tell the supervisor, in one line for its log. Errors: of sending; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_role_ready(struct chy_channel *channel, struct chy_str text,
                                         struct chy_error *err);
