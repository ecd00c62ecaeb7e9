/* SPDX-License-Identifier: MIT */
/* Base 16 (RFC 4648 section 8): lower case out, either case in. Pure; not for secrets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

/* Room for the text of `n` bytes and its NUL. */
#define CHY_HEX_SIZE(n) (2 * (n) + 1)

/* Writes 2 * in.n digits and a NUL to `out`, CHY_HEX_SIZE(in.n) bytes. */
void chy_hex_encode(struct chy_bytes in, char *out);
/* The same at the end of a buffer, without a NUL; false as chy_buf_append(). */
bool chy_hex_append(struct chy_buf *out, struct chy_bytes in);

/* Exactly 2 * n digits become `n` bytes at `out`, which is untouched on failure.
 * Errors: CHY_E_MALFORMED  another length, or a character that is no digit */
CHY_MUST_USE enum chy_err chy_hex_decode(struct chy_str in, uint8_t *out, size_t n,
                                         struct chy_error *err);
