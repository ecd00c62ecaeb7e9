/* SPDX-License-Identifier: MIT */
/* CMS SignedData, as detached signatures, kernel modules, Authenticode, JARs and time stamps have
 * it: what it says, before anything of it is believed. signature_check.h does that. Pure; all views
 * are of the input.
 *
 *   ContentInfo  { 1.2.840.113549.1.7.2, [0] SignedData }
 *   SignedData   { version, digestAlgorithms, { eContentType, [0] eContent }, [0] certificates,
 *                  [1] crls, signerInfos }
 *   SignerInfo   { version, sid, digestAlgorithm, [0] signedAttrs, signatureAlgorithm, signature,
 *                  [1] unsignedAttrs }
 *
 * PKCS#7 of Authenticode has a SEQUENCE where CMS has the OCTET STRING of eContent; both are taken,
 * and `content` is what stands inside, which is what is hashed in either.
 *
 * Source: RFC 5652 sections 3 and 5; RFC 2315 section 9; Windows Authenticode Portable Executable
 * Signature Format, 2008. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/types.h"

struct chy_arena;

enum chy_padding {
    CHY_PADDING_NONE = 0, /* ECDSA, Ed25519 */
    CHY_PADDING_PKCS1 = 1,
    CHY_PADDING_PSS = 2,
};

struct chy_signer_info {
    struct chy_bytes issuer;       /* Name, DER; or */
    struct chy_bytes serial;       /* magnitude, big-endian */
    struct chy_bytes key_id;       /* subject key identifier */
    enum chy_hash_alg hash;        /* of the content */
    enum chy_key_type family;      /* RSA_2048, P256 or ED25519 stands for all of its kind */
    enum chy_padding padding;      /* of RSA */
    struct chy_bytes signed_attrs; /* whole, with its tag 0xa0; p is NULL if there are none */
    struct chy_bytes content_type; /* OID of that attribute */
    struct chy_bytes digest;       /* of the attribute messageDigest */
    struct chy_bytes signature;
    struct chy_bytes time_stamp; /* RFC 3161 token, DER; p is NULL if there is none */
    bool has_old_time_stamp;     /* a counter-signature of PKCS#9, which we do not read */
};

struct chy_signed_data {
    struct chy_bytes content_type; /* OID */
    struct chy_bytes content;      /* p is NULL if it is elsewhere: a detached signature */
    struct chy_bytes certificates[CHY_LIMIT_CMS_CERTIFICATES]; /* DER */
    size_t n_certificates;
    struct chy_signer_info signers[CHY_LIMIT_CMS_SIGNERS]; /* 1 at least */
    size_t n_signers;
};

/* Errors: CHY_E_MALFORMED    not SignedData, nothing is signed, or an attribute is there twice
 *         CHY_E_LIMIT        over CHY_LIMIT_CMS bytes, CHY_LIMIT_CMS_CERTIFICATES,
 *                            CHY_LIMIT_CMS_SIGNERS
 *         CHY_E_UNSUPPORTED  a hash below SHA-256, or an algorithm that we do not know */
CHY_MUST_USE enum chy_err chy_signed_data_parse(struct chy_bytes der,
                                                struct chy_signed_data *ret_data,
                                                struct chy_error *err);

/* The same of BER as well, which some tools write: it is put into DER first, in the arena. */
CHY_MUST_USE enum chy_err chy_signed_data_read(struct chy_bytes ber, struct chy_arena *arena,
                                               struct chy_signed_data *ret_data,
                                               struct chy_error *err);

/* Whether content, of which `head` is the front, is a SET OF Attribute in DER, or begins as one:
 * who signed such attributes has signed it, too, if it comes without attributes. Source: RFC 5652
 * section 5.4. */
#define CHY_CONTENT_HEAD_BYTES 32
bool chy_content_is_attributes(struct chy_bytes head, uint64_t size_bytes);

/* Take the AlgorithmIdentifier of a hash, as a DigestInfo begins with.
 * Errors: CHY_E_MALFORMED, CHY_E_UNSUPPORTED */
CHY_MUST_USE enum chy_err chy_hash_alg_take(struct chy_bytes *in, enum chy_hash_alg *ret_hash,
                                            struct chy_error *err);

/* The OID's body of what Authenticode signs, and of CMS data. */
struct chy_bytes chy_oid_authenticode(void);
struct chy_bytes chy_oid_data(void);
