/* SPDX-License-Identifier: MIT */
/* Public keys: exactly those kinds that this system signs with, and what they verify. Immutable
 * after they are made; one thread at a time. */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "crypto/signature.h"
#include "proto/types.h"

struct chy_pubkey;

/* From a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7), in its one form: named curve,
 * uncompressed point on it.
 * Errors: CHY_E_LIMIT        over CHY_LIMIT_PUBLIC_KEY
 *         CHY_E_MALFORMED    not that, or bytes behind it
 *         CHY_E_UNSUPPORTED  another algorithm, curve or RSA size than enum chy_key_type has, or an
 *                            RSA exponent that is even, below 65537 or over 64 bits
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_pubkey_from_spki(struct chy_bytes spki, struct chy_pubkey **ret_key,
                                               struct chy_error *err);
/* The same from the attributes of a PKCS#11 object: CKA_MODULUS and CKA_PUBLIC_EXPONENT;
 * CKA_EC_PARAMS (a curve's OID in DER) and CKA_EC_POINT; CKA_EC_POINT of Ed25519. Points may stand
 * in a DER OCTET STRING, as the standard says, or bare, as some modules do. */
CHY_MUST_USE enum chy_err chy_pubkey_from_rsa(struct chy_bytes modulus, struct chy_bytes exponent,
                                              struct chy_pubkey **ret_key, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_pubkey_from_ec(struct chy_bytes params, struct chy_bytes point,
                                             struct chy_pubkey **ret_key, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_pubkey_from_ed25519(struct chy_bytes point,
                                                  struct chy_pubkey **ret_key,
                                                  struct chy_error *err);
void chy_pubkey_free(struct chy_pubkey *k);
void chy_pubkey_freep(struct chy_pubkey **k);

enum chy_key_type chy_pubkey_type(const struct chy_pubkey *k);
/* Both live as long as the key. The hash is the SHA-256 of the SubjectPublicKeyInfo. */
struct chy_bytes chy_pubkey_spki(const struct chy_pubkey *k);
const uint8_t *chy_pubkey_hash(const struct chy_pubkey *k); /* CHY_HASH_BYTES */

/* CHY_OK only if `signature` is one by this key. `digest` has the length of the algorithm's hash;
 * it is the message for those that take one.
 * Errors: CHY_E_INTEGRITY  it is not
 *         CHY_E_ARG        the algorithm does not fit the key, or the digest not the algorithm
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_pubkey_verify_digest(
    const struct chy_pubkey *k, enum chy_sign_alg alg, enum chy_signature_form form,
    struct chy_bytes digest, struct chy_bytes signature, struct chy_error *err);
/* The same over a message, which is hashed here where the algorithm wants a digest. */
CHY_MUST_USE enum chy_err chy_pubkey_verify(const struct chy_pubkey *k, enum chy_sign_alg alg,
                                            enum chy_signature_form form, struct chy_bytes message,
                                            struct chy_bytes signature, struct chy_error *err);
