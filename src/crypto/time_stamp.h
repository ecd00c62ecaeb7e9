/* SPDX-License-Identifier: MIT */
/* Asking an authority for a time stamp, and whether its answer is one. The bytes are carried by
 * somebody else. Pure after chy_crypto_init().
 *
 * Whether the authority is to be believed is not asked here: it is whoever verifies the signature
 * that names its roots (signature_check.h). A stamp that nobody could believe is refused, though:
 * of something else, of another question, or not signed by the certificate that comes with it.
 *
 * Source: RFC 3161 section 2.4. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

#define CHY_TIME_STAMP_NONCE 16 /* bytes */

/* Append the request, which asks for the authority's certificate. `nonce` is random and has
 * CHY_TIME_STAMP_NONCE bytes.
 * Errors: CHY_E_ARG a digest's or nonce's length; CHY_E_LIMIT, CHY_E_NOMEM of the buffer */
CHY_MUST_USE enum chy_err chy_time_stamp_request(enum chy_hash_alg hash, struct chy_bytes digest,
                                                 struct chy_bytes nonce, struct chy_buf *out,
                                                 struct chy_error *err);

/* The token of an answer, a view of it, when it is one to the request.
 * Errors: CHY_E_FORBIDDEN the authority refuses; the text has its words
 *         CHY_E_INTEGRITY another nonce or digest, or the signature is wrong
 *         CHY_E_NOT_FOUND the authority's certificate is not in it
 *         CHY_E_MALFORMED; CHY_E_LIMIT over CHY_LIMIT_TIME_STAMP bytes; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_time_stamp_answer(struct chy_bytes request, struct chy_bytes answer,
                                                struct chy_bytes *ret_token, struct chy_error *err);
