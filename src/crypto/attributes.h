/* SPDX-License-Identifier: MIT */
/* Public keys and certificates in the parts that attributes of PKCS#11 objects hold. Nothing is
 * verified: what is taken apart was checked by the server when it took it on. Views point into the
 * input. Pure. Source: PKCS#11 3.0 section 2; RFC 5280 section 4.1 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_pubkey_attributes {
    struct chy_bytes modulus; /* RSA: big-endian, no leading zero */
    struct chy_bytes public_exponent;
    struct chy_bytes ec_params; /* EC: DER of the curve's OID; Ed25519: of its name */
    struct chy_bytes ec_point;  /* in a DER OCTET STRING, in the arena */
};

/* Of a SubjectPublicKeyInfo of a key of this type.
 * Errors: CHY_E_MALFORMED not one of that type; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_pubkey_attributes(enum chy_key_type type, struct chy_bytes spki,
                                                struct chy_arena *arena,
                                                struct chy_pubkey_attributes *ret_attributes,
                                                struct chy_error *err);

struct chy_x509_attributes {
    struct chy_bytes subject; /* DER of the Name */
    struct chy_bytes issuer;
    struct chy_bytes serial; /* DER of the INTEGER */
    struct chy_bytes spki;   /* DER of the SubjectPublicKeyInfo */
};

/* Of a certificate in DER. Errors: CHY_E_MALFORMED */
CHY_MUST_USE enum chy_err chy_x509_attributes(struct chy_bytes der,
                                              struct chy_x509_attributes *ret_attributes,
                                              struct chy_error *err);
