/* SPDX-License-Identifier: MIT */
/* One signature of one key handle: our algorithm as a PKCS#11 mechanism, and the bytes that go in.
 * Only lengths are checked here; keys.c verifies what comes out. Threads: each its session. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/types.h"
#include "token/pkcs11.h"
#include "token/session.h"

/* The mechanism that makes `alg` from a digest (or from the message). */
CK_MECHANISM_TYPE chy_sign_mechanism(enum chy_sign_alg alg);

/* Bytes of a raw signature by a key of this type. */
size_t chy_sign_raw_bytes(enum chy_key_type type);

struct chy_raw_signature {
    size_t n;
    uint8_t p[CHY_LIMIT_RAW_SIGNATURE];
};

/* C_SignInit and C_Sign. An ECDSA signature is r and s side by side.
 *
 * type    of the key; the algorithm fits it
 * input   the digest; where the algorithm takes a message that, of 1 byte to CHY_LIMIT_CONTENT, or
 *         of rsa-pkcs1-raw to CHY_RSA_PKCS1_PADDING_BYTES less than the modulus
 *
 * Errors: CHY_E_ARG         the algorithm does not fit the key, or the input is not as long as its
 *         hash
 *         CHY_E_LIMIT       a message that is longer
 *         CHY_E_UNSUPPORTED the token does not have the mechanism or the curve
 *         CHY_E_TOKEN       what else it answered */
CHY_MUST_USE enum chy_err chy_sign_raw(struct chy_session *session, CK_OBJECT_HANDLE key,
                                       enum chy_key_type type, enum chy_sign_alg alg,
                                       struct chy_bytes input,
                                       struct chy_raw_signature *ret_signature,
                                       struct chy_error *err);
