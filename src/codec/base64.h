/* SPDX-License-Identifier: MIT */
/* Base 64 (RFC 4648 section 4, standard alphabet with padding), strict: every byte string has
 * exactly one text and only that one is read. No white space, no missing padding, no spare bits.
 * Pure; not for secrets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

/* Characters of the text of `n` bytes. */
#define CHY_BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Appends CHY_BASE64_LEN(in.n) characters; false as chy_buf_append(). */
bool chy_base64_append(struct chy_buf *out, struct chy_bytes in);

/* Appends what `in` stands for to `out`.
 * Errors: CHY_E_MALFORMED  not base 64 in its one canonical form; nothing was appended
 *         CHY_E_LIMIT, CHY_E_NOMEM  of the buffer */
CHY_MUST_USE enum chy_err chy_base64_decode(struct chy_str in, struct chy_buf *out,
                                            struct chy_error *err);

/* The same for a value whose length is known: exactly `n` bytes at `out`, undefined on failure.
 * Errors: CHY_E_MALFORMED  as above, or another length */
CHY_MUST_USE enum chy_err chy_base64_decode_exact(struct chy_str in, uint8_t *out, size_t n,
                                                  struct chy_error *err);
