/* SPDX-License-Identifier: MIT */
/* SHA-2. A hasher is made once and used for many values: with its digest fetched and its context
 * kept, a small value costs 0.4 µs, a third of the one-shot functions. Not shared between threads.
 *  */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_hasher;

/* Errors: CHY_E_NOMEM; CHY_E_ARG for no algorithm of the list; CHY_E_CRYPTO if OpenSSL has it not.
 *  */
CHY_MUST_USE enum chy_err chy_hasher_new(enum chy_hash_alg alg, struct chy_hasher **ret_hasher,
                                         struct chy_error *err);
void chy_hasher_free(struct chy_hasher *h);
void chy_hasher_freep(struct chy_hasher **h);

/* Add to the value being hashed. Neither of these can fail: nothing is allocated. */
void chy_hasher_add(struct chy_hasher *h, struct chy_bytes bytes);
/* The digest of all that was added, chy_hash_alg_bytes() of them; the next value begins. */
void chy_hasher_end(struct chy_hasher *h, uint8_t *out);

/* One value, without a hasher at hand: three times the cost. `out` has room for the digest.
 * Errors: CHY_E_NOMEM, CHY_E_ARG, CHY_E_CRYPTO as chy_hasher_new() */
CHY_MUST_USE enum chy_err chy_hash(enum chy_hash_alg alg, struct chy_bytes in, uint8_t *out,
                                   struct chy_error *err);
/* The SHA-1 of a certificate, by which Windows and Signum name it: a name, and no proof. */
#define CHY_THUMBPRINT_BYTES 20
CHY_MUST_USE enum chy_err chy_thumbprint(struct chy_bytes der, uint8_t out[CHY_THUMBPRINT_BYTES],
                                         struct chy_error *err);
CHY_MUST_USE enum chy_err chy_sha256(struct chy_bytes in, uint8_t out[CHY_HASH_BYTES],
                                     struct chy_error *err);
