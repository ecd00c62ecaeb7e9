/* SPDX-License-Identifier: MIT */
/* Time stamps of an authority (RFC 3161) for signatures, over HTTP (RFC 3161 section 3.4), some at
 * once, each on a connection that is kept open. Not shared between threads; it has some of its own
 * while it asks. */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_stamper;

/* The URL is borrowed. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_stamper_new(struct chy_str url, struct chy_stamper **ret_stamper,
                                          struct chy_error *err);
void chy_stamper_free(struct chy_stamper *s);
void chy_stamper_freep(struct chy_stamper **s);
/* For how long one answer is waited for: 15 s unless this says otherwise. */
void chy_stamper_set_timeout(struct chy_stamper *s, int64_t timeout_ms);

/* What one signature gets: a token, checked (time_stamp.h), or why there is none:
 *   CHY_E_TIMEOUT, CHY_E_NETWORK
 *   CHY_E_PROTOCOL no success, or no time stamp's type
 *   CHY_E_LIMIT, CHY_E_ARG the URL; CHY_E_UNSUPPORTED, CHY_E_NOMEM
 *   those of chy_time_stamp_answer() */
struct chy_stamp {
    struct chy_bytes signature; /* borrowed */
    struct chy_bytes token;     /* in the arena */
    enum chy_err code;
    struct chy_error why;
};

/* Up to CHY_LIMIT_STAMPS_AT_ONCE. An authority that three times in a row did not answer in time or
 * at all is not asked again. */
void chy_stamper_ask(struct chy_stamper *s, enum chy_hash_alg hash, struct chy_stamp *stamps,
                     size_t n, struct chy_arena *arena);
