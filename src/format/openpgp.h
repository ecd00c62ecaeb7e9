/* SPDX-License-Identifier: MIT */
/* OpenPGP, version 4: public keys made of ours, signatures by them, and certificates, which tie a
 * user id to a key. Writing is here, reading in openpgp_read.h.
 *
 *   packet          | tag 1 | length 1, 2 or 4 | body |          lengths are big-endian
 *   public key      | 4 | created 4 | algorithm 1 | numbers of the key |
 *   signature       | 4 | class 1 | algorithm 1 | hash 1 |
 *                   | n 2 | hashed subpackets | m 2 | other subpackets | digest's first 2 | numbers
 *                   |
 *   a number (MPI)  | bits 2 | bytes, no leading zero |
 *
 * What a signature signs is the digest of: the data, then the signature's own bytes from its
 * version to its hashed subpackets, then | 4 | 0xff | length of those 4 |. RSA signs that digest as
 * PKCS#1 v1.5, ECDSA as it is, Ed25519 takes it for its message.
 *
 * Pure. Source: RFC 4880 (sections 5.2, 5.5.2, 12.2), RFC 6637 (ECDSA), RFC 9580 section 5.5.5.5
 * and 5.2.3.3 (EdDSALegacy: Ed25519 in version 4 as every GnuPG since 2.1 has it). */
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "proto/types.h"

#define CHY_OPENPGP_FINGERPRINT_BYTES CHY_SHA1_BYTES
#define CHY_OPENPGP_KEY_ID_BYTES      8 /* the last ones of the fingerprint */

enum chy_openpgp_class {
    CHY_OPENPGP_BINARY = 0x00,
    CHY_OPENPGP_TEXT = 0x01,          /* line ends are CR LF */
    CHY_OPENPGP_CERTIFICATION = 0x13, /* of a user id, by the key itself */
};

struct chy_openpgp_key {
    enum chy_key_type type;
    uint32_t created_unix_s; /* part of the fingerprint: another time is another key */
    uint8_t fingerprint[CHY_OPENPGP_FINGERPRINT_BYTES];
    uint8_t body[CHY_LIMIT_OPENPGP_KEY]; /* of its packet */
    size_t body_n;
};

struct chy_openpgp_signature {
    enum chy_openpgp_class class;
    const struct chy_openpgp_key *key;
    enum chy_hash_alg hash;
    uint32_t created_unix_s;
};

/* The key whose SubjectPublicKeyInfo this is.
 * Errors: CHY_E_MALFORMED    it is not one of that type
 *         CHY_E_UNSUPPORTED  no type of key that OpenPGP has
 *         CHY_E_ARG          a time before 1970 or after 2106
 *         CHY_E_LIMIT        an exponent that no key of ours has; CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_key_make(enum chy_key_type type, struct chy_bytes spki,
                                               int64_t created_unix_s,
                                               struct chy_openpgp_key *ret_key,
                                               struct chy_error *err);

/* Set the fingerprint of a key whose body is there. Errors: CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_key_name(struct chy_openpgp_key *key, struct chy_error *err);

/* Numbers of RFC 4880 section 9.1 and 9.4, 0 for what is not there. */
uint8_t chy_openpgp_algorithm_number(enum chy_key_type type);
uint8_t chy_openpgp_hash_number(enum chy_hash_alg hash);
/* "SHA512", as in the header of a clear-signed text; NULL for CHY_HASH_NONE. */
const char *chy_openpgp_hash_name(enum chy_hash_alg hash);
/* Any case, with or without '-'; CHY_HASH_NONE for what we do not sign by. */
enum chy_hash_alg chy_openpgp_hash_find(struct chy_str name);
/* The shortest hash that a key signs: of ECDSA one that is as long as the curve's order, since
 * GnuPG takes no shorter one. Source: RFC 6637 section 13 */
enum chy_hash_alg chy_openpgp_hash_least(enum chy_key_type type);
/* How our server calls a signature of that kind by such a key. */
enum chy_sign_alg chy_openpgp_sign_alg(enum chy_key_type type, enum chy_hash_alg hash);

/* Append what is hashed behind the data. Errors: CHY_E_LIMIT, CHY_E_NOMEM of the buffer */
CHY_MUST_USE enum chy_err chy_openpgp_tail_write(const struct chy_openpgp_signature *s,
                                                 struct chy_buf *out, struct chy_error *err);
/* Append the data of a certification: the key and the user id. Errors: as above; CHY_E_LIMIT a user
 * id over CHY_LIMIT_OPENPGP_USER_ID */
CHY_MUST_USE enum chy_err chy_openpgp_certified_write(const struct chy_openpgp_key *key,
                                                      struct chy_str user_id, struct chy_buf *out,
                                                      struct chy_error *err);

/* Append the packet of a signature. `digest` is what was signed, `signature` as the server gives it
 * (ECDSA: DER).
 * Errors: CHY_E_MALFORMED no signature of such a key; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openpgp_signature_write(const struct chy_openpgp_signature *s,
                                                      struct chy_bytes digest,
                                                      struct chy_bytes signature,
                                                      struct chy_buf *out, struct chy_error *err);
/* Append the packets of a key and of a user id, which stand before its certification. */
CHY_MUST_USE enum chy_err chy_openpgp_key_write(const struct chy_openpgp_key *key,
                                                struct chy_buf *out, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_openpgp_user_id_write(struct chy_str user_id, struct chy_buf *out,
                                                    struct chy_error *err);

/* --- a signed message: one-pass signature, literal data, signature ---
 *
 * Data of a length that is not known yet goes out in parts of CHY_OPENPGP_PART_BYTES, but for the
 * last. Source: RFC 4880 sections 4.2.2.4, 5.4, 5.9 */
#define CHY_OPENPGP_PART_BYTES 65536

struct chy_openpgp_message {
    struct chy_buf part; /* what has not gone out yet */
};

void chy_openpgp_message_init(struct chy_openpgp_message *m);
void chy_openpgp_message_done(struct chy_openpgp_message *m);
/* Append the beginning, data as it comes, and what ends the data; the signature's packet follows.
 * Errors: CHY_E_LIMIT, CHY_E_NOMEM of the buffer */
CHY_MUST_USE enum chy_err chy_openpgp_message_begin(struct chy_openpgp_message *m,
                                                    const struct chy_openpgp_signature *s,
                                                    struct chy_buf *out, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_openpgp_message_add(struct chy_openpgp_message *m,
                                                  struct chy_bytes data, struct chy_buf *out,
                                                  struct chy_error *err);
CHY_MUST_USE enum chy_err chy_openpgp_message_end(struct chy_openpgp_message *m,
                                                  struct chy_buf *out, struct chy_error *err);
