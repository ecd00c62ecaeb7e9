/* SPDX-License-Identifier: MIT */
/* A certificate that openpgp.h wrote: a key, one user id, its certification, and nothing else.
 * Other programs' certificates are not our business; of their signatures we read what was signed,
 * which is what the log has. Pure. */
#pragma once

#include "base/arena.h"
#include "crypto/pubkey.h"
#include "format/openpgp.h"

struct chy_openpgp_certificate {
    uint8_t fingerprint[CHY_OPENPGP_FINGERPRINT_BYTES];
    struct chy_bytes key_body;
    struct chy_str user_id;
    /* the certification */
    uint8_t algorithm; /* by OpenPGP's number, as is */
    uint8_t hash;
    struct chy_bytes hashed; /* from its version to its hashed subpackets */
    uint8_t left[2];         /* of the digest */
    struct chy_bytes numbers;
};

/* From its packets; all views are into `in`.
 * Errors: CHY_E_MALFORMED    truncated, bytes behind it, other packets, an empty user id or one
 *                            that is no plain text
 *         CHY_E_UNSUPPORTED  another version, or not a certification of class 0x13
 *         CHY_E_LIMIT        over CHY_LIMIT_OPENPGP_CERTIFICATE; CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_certificate_read(struct chy_bytes in,
                                                       struct chy_openpgp_certificate *ret,
                                                       struct chy_error *err);
/* Whether it is one of this key, by this key. `pubkey` is the same key as OpenSSL verifies by.
 * Errors: CHY_E_INTEGRITY  it is not
 *         CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_certificate_check(const struct chy_openpgp_certificate *c,
                                                        const struct chy_openpgp_key *key,
                                                        const struct chy_pubkey *pubkey,
                                                        struct chy_error *err);

/* --- a signature of any program's --- */

/* Version 4; views are into what it was read from. */
struct chy_openpgp_seal {
    uint8_t class;
    uint8_t algorithm; /* by OpenPGP's numbers, as are */
    uint8_t hash;
    struct chy_bytes hashed; /* from its version to its hashed subpackets */
    uint8_t left[2];         /* of the digest */
    struct chy_bytes numbers;
};

/* The packet at the front; `in` shrinks by it.
 * Errors: CHY_E_MALFORMED    truncated, or another packet
 *         CHY_E_UNSUPPORTED  another version */
CHY_MUST_USE enum chy_err chy_openpgp_seal_take(struct chy_bytes *in, struct chy_openpgp_seal *ret,
                                                struct chy_error *err);
/* CHY_HASH_NONE, CHY_ALG_NONE: of none that we sign by. */
enum chy_hash_alg chy_openpgp_seal_hash(const struct chy_openpgp_seal *s);
enum chy_sign_alg chy_openpgp_seal_alg(const struct chy_openpgp_seal *s);
/* Append the signature as our server gives it: of RSA as long as the modulus, of ECDSA in DER.
 * Errors: CHY_E_UNSUPPORTED  an algorithm that is none of ours
 *         CHY_E_MALFORMED    not the numbers of one; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_seal_value(const struct chy_openpgp_seal *s,
                                                 struct chy_buf *out, struct chy_error *err);
