/* SPDX-License-Identifier: MIT */
/* Time stamps of an authority (RFC 3161) for signatures, over HTTP (RFC 3161 section 3.4), one
 * after the other on a connection that is kept open. Not shared between threads. */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_stamper;

/* The URL is borrowed. Errors: CHY_E_NOMEM, CHY_E_UNSUPPORTED */
CHY_MUST_USE enum chy_err chy_stamper_new(struct chy_str url, struct chy_stamper **ret_stamper,
                                          struct chy_error *err);
void chy_stamper_free(struct chy_stamper *s);
void chy_stamper_freep(struct chy_stamper **s);

/* A token over a signature, checked (time_stamp.h), in the arena. An authority that three times in
 * a row did not answer in time or at all is not asked again.
 * Errors: CHY_E_TIMEOUT, CHY_E_NETWORK; CHY_E_PROTOCOL no success, or no time stamp's type;
 *         CHY_E_LIMIT, CHY_E_ARG the URL; those of chy_time_stamp_answer() */
CHY_MUST_USE enum chy_err chy_stamper_ask(struct chy_stamper *s, enum chy_hash_alg hash,
                                          struct chy_bytes signature, struct chy_arena *arena,
                                          struct chy_bytes *ret_token, struct chy_error *err);
