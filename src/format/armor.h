/* SPDX-License-Identifier: MIT */
/* OpenPGP's ASCII armor: base 64 in lines of 64 characters between two lines that say what it is,
 * with a checksum. Pure. Source: RFC 4880 section 6 */
#pragma once

#include "base/buf.h"

#define CHY_ARMOR_LINE_BYTES 48 /* of data, 64 characters */

#define CHY_ARMOR_SIGNATURE  "SIGNATURE"
#define CHY_ARMOR_MESSAGE    "MESSAGE"
#define CHY_ARMOR_PUBLIC_KEY "PUBLIC KEY BLOCK"

/* Written as data comes. */
struct chy_armor {
    const char *kind; /* one of the above */
    uint32_t checksum;
    uint8_t line[CHY_ARMOR_LINE_BYTES]; /* what has not gone out yet */
    size_t line_n;
};

/* Failures are kept in the buffer: check it. */
void chy_armor_begin(struct chy_armor *a, const char *kind, struct chy_buf *out);
void chy_armor_add(struct chy_armor *a, struct chy_bytes data, struct chy_buf *out);
void chy_armor_end(struct chy_armor *a, struct chy_buf *out);

/* Append what is in the armor of this kind. Before it may stand blank lines, behind it, too;
 * headers ("Comment: x") are passed over. The checksum may be missing.
 * Errors: CHY_E_MALFORMED  it is not that
 *         CHY_E_LIMIT, CHY_E_NOMEM of the buffer */
CHY_MUST_USE enum chy_err chy_armor_read(struct chy_str text, const char *kind, struct chy_buf *out,
                                         struct chy_error *err);
