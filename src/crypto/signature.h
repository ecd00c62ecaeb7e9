/* SPDX-License-Identifier: MIT */
/* The two forms of an ECDSA signature, and how signature algorithms are named in DER.
 *
 *   raw   r || s, both big-endian and as long as the curve's order: what PKCS#11 gives and takes
 *   DER   SEQUENCE { INTEGER r, INTEGER s }: what certificates, CMS and most verifiers want
 *
 * RSA and Ed25519 signatures have one form and pass unchanged. Pure. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_buf;
struct chy_der_writer;

enum chy_signature_form {
    CHY_SIGNATURE_RAW = 1,
    CHY_SIGNATURE_DER = 2,
};

/* Bytes of the order of the curve of this key type: 32, 48 or 66; 0 for what is no such curve. */
size_t chy_key_type_order_bytes(enum chy_key_type type);

/* Append the DER form of a raw ECDSA signature.
 * Errors: CHY_E_MALFORMED  empty, of an odd length, or r or s is 0; CHY_E_LIMIT, CHY_E_NOMEM
 * Source: RFC 3279 section 2.2.3 */
CHY_MUST_USE enum chy_err chy_ecdsa_to_der(struct chy_bytes raw, struct chy_buf *out,
                                           struct chy_error *err);
/* Append the raw form, 2 * order_bytes long, of a DER one.
 * Errors: CHY_E_MALFORMED  not DER, or r or s is 0 or longer than the order */
CHY_MUST_USE enum chy_err chy_ecdsa_to_raw(struct chy_bytes der, size_t order_bytes,
                                           struct chy_buf *out, struct chy_error *err);

/* Write the AlgorithmIdentifier of a signature algorithm.
 * Errors: CHY_E_ARG  none of the list
 * Source: RFC 4055 (RSA), RFC 5758 (ECDSA), RFC 8410 (Ed25519) */
CHY_MUST_USE enum chy_err chy_sign_alg_write(struct chy_der_writer *w, enum chy_sign_alg alg,
                                             struct chy_error *err);

/* Formats that write RSA's signature as a number drop its zeros in front: as long as the shortest
 * modulus of ours that holds `n` bytes. */
size_t chy_rsa_signature_bytes(size_t n);
