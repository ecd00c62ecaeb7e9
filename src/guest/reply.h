/* SPDX-License-Identifier: MIT */
/* What the agent answers, read as from a stranger. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/frame.h"
#include "codec/schema.h"

/* Read the answer that a request asks for, of kind `type`, into the struct at `ret_value`, which
 * borrows from the frame and from the arena.
 *
 * ret_is_answered  true when the agent said FAILED: the error is then the agent's own code and
 *                  text, and the connection is as good as before
 *
 * Errors: CHY_E_PROTOCOL  another kind of frame, or one that does not decode
 *         CHY_E_NOMEM
 *         any             of the agent (but CHY_OK, which would be none) */
CHY_MUST_USE enum chy_err chy_guest_reply_read(const struct chy_frame *frame, uint16_t type,
                                               const struct chy_schema *schema,
                                               struct chy_arena *arena, void *ret_value,
                                               bool *ret_is_answered, struct chy_error *err);
