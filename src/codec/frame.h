/* SPDX-License-Identifier: MIT */
/* A frame: what travels between processes, and between client and agent. Pure; not shared.
 *
 *    0        4      6      8                16                4 + length
 *    +--------+------+------+----------------+------------------+
 *    | length | type | flags| id             | body             |
 *    | u32    | u16  | u16  | u64            | length - 12      |
 *    +--------+------+------+----------------+------------------+
 *
 * All numbers are big-endian. `length` counts what follows it: 12 to CHY_LIMIT_FRAME. `flags` is 0.
 * `id` pairs an answer with its request; `type` says how to read the body (proto/). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"

#define CHY_FRAME_HEADER_BYTES 16
#define CHY_FRAME_LENGTH_BYTES 4
/* The longest body that a frame can carry. */
#define CHY_FRAME_BODY_MAX \
    ((size_t)CHY_LIMIT_FRAME - CHY_FRAME_HEADER_BYTES + CHY_FRAME_LENGTH_BYTES)

struct chy_frame {
    uint16_t type;
    uint64_t id;
    struct chy_bytes body; /* borrowed */
};

/* Append the header and the body, all or nothing.
 *
 * Errors:   CHY_E_LIMIT  the body is over CHY_FRAME_BODY_MAX, or `to` has no room for the frame
 *           CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_frame_encode(struct chy_buf *to, const struct chy_frame *frame,
                                           struct chy_error *err);

/* Read the frame at the start of `in`.
 *
 * ret_used  bytes of `in` that the frame takes; 0 when more bytes are needed to tell
 * ret_frame set only when ret_used is not 0; the body points into `in`
 *
 * Errors:   CHY_E_MALFORMED  length under 12, or flags not 0
 *           CHY_E_LIMIT      length over CHY_LIMIT_FRAME
 * Either is told as soon as the bytes that show it are there, so nothing waits for a body of 4
 * GiB. */
CHY_MUST_USE enum chy_err chy_frame_decode(struct chy_bytes in, struct chy_frame *ret_frame,
                                           size_t *ret_used, struct chy_error *err);
