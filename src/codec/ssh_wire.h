/* SPDX-License-Identifier: MIT */
/* The data types of SSH that keys, signatures and the agent's messages are made of. Pure; not for
 * secrets.
 *
 * A reader is a `struct chy_bytes` that shrinks from the front as values are taken; on failure it
 * stays where it was. A writer's failures are kept in its buffer: check once at the end.
 *
 *   uint32   4 bytes, big-endian
 *   string   uint32 length | bytes
 *   mpint    a string: big-endian, no leading zero but one that keeps it from being negative
 *
 * Source: RFC 4251 section 5. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

/* Each fails with CHY_E_MALFORMED alone: fewer bytes are there than it takes. */
CHY_MUST_USE enum chy_err chy_ssh_take_u8(struct chy_bytes *in, uint8_t *ret_v,
                                          struct chy_error *err);
CHY_MUST_USE enum chy_err chy_ssh_take_u32(struct chy_bytes *in, uint32_t *ret_v,
                                           struct chy_error *err);
/* Answers its content, a view into `in`. */
CHY_MUST_USE enum chy_err chy_ssh_take_string(struct chy_bytes *in, struct chy_bytes *ret_content,
                                              struct chy_error *err);
/* Nothing may follow. */
CHY_MUST_USE enum chy_err chy_ssh_end(struct chy_bytes in, struct chy_error *err);

/* False as chy_buf_append(). */
bool chy_ssh_put_string(struct chy_buf *out, struct chy_bytes content);
bool chy_ssh_put_text(struct chy_buf *out, const char *text);
/* A number that is not negative; leading zeros of its magnitude are dropped. */
bool chy_ssh_put_mpint(struct chy_buf *out, struct chy_bytes magnitude);
