/* SPDX-License-Identifier: MIT */
/* The PEM armour of public documents (RFC 7468), ours to write and to read. Private keys are not
 * for these functions: privkey.h has their own. Pure. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

/* One block, lines of 64 characters. `label` as in "CERTIFICATE". False as chy_buf_append(). */
bool chy_pem_append(struct chy_buf *out, const char *label, struct chy_bytes der);

/* Whether a line of `text` begins a block with this label. */
bool chy_pem_has(struct chy_bytes text, const char *label);

/* Take the next block with this label off `text`, skipping everything before it, and put its
 * content into `der` (which is cleared first).
 * Errors: CHY_E_NOT_FOUND  no further block begins
 *         CHY_E_MALFORMED  the block has no end, or is not canonical base 64 in its lines
 *         CHY_E_LIMIT, CHY_E_NOMEM  of the buffer */
CHY_MUST_USE enum chy_err chy_pem_take(struct chy_str *text, const char *label, struct chy_buf *der,
                                       struct chy_error *err);
