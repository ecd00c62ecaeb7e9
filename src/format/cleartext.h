/* SPDX-License-Identifier: MIT */
/* A text that stays readable with its signature behind it (apt's InRelease). What is signed are its
 * lines without the blanks at their ends, CR LF between them, and no end of the last; what is
 * written are the lines as they are, with "- " before those that begin with a dash.
 *
 * Not shared. Source: RFC 4880 section 7 */
#pragma once

#include "base/buf.h"
#include "crypto/hash.h"

struct chy_cleartext {
    struct chy_buf line; /* the one that has not ended yet */
    bool has_lines;      /* one has ended */
};

void chy_cleartext_init(struct chy_cleartext *c);
void chy_cleartext_done(struct chy_cleartext *c);

/* Append the lines before the text. Errors: of the buffer, as all below */
CHY_MUST_USE enum chy_err chy_cleartext_begin(enum chy_hash_alg hash, struct chy_buf *out,
                                              struct chy_error *err);
/* Hash, and append, what of the text is there as whole lines.
 * Errors: CHY_E_LIMIT  a line over CHY_LIMIT_CLEARTEXT_LINE, which GnuPG could not verify */
CHY_MUST_USE enum chy_err chy_cleartext_add(struct chy_cleartext *c, struct chy_bytes text,
                                            struct chy_hasher *hasher, struct chy_buf *out,
                                            struct chy_error *err);
/* The last line may lack its end; it gets one. The armor of the signature follows. */
CHY_MUST_USE enum chy_err chy_cleartext_end(struct chy_cleartext *c, struct chy_hasher *hasher,
                                            struct chy_buf *out, struct chy_error *err);
