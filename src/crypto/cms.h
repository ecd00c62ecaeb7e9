/* SPDX-License-Identifier: MIT */
/* CMS SignedData of one signer over content that stands elsewhere, made around a signature that a
 * token gives: write the signed attributes, hash them with the hash of the algorithm, have that
 * signed, and put all together. After a failure the buffer holds a part that is good for nothing.
 * What reads it is signed_data.h. Pure.
 *
 * Signed attributes: contentType (data), signingTime, messageDigest, signingCertificateV2.
 *
 * Source: RFC 5652 section 5; RFC 5754 sections 2 and 3; RFC 5035 section 3. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_buf;

struct chy_cms_request {
    const struct chy_certificate *chain; /* the signer's first; goes along as it is */
    size_t n;                            /* 1 to CHY_LIMIT_CHAIN */
    enum chy_sign_alg alg;
    struct chy_bytes digest; /* of the content, by the hash of the algorithm */
    int64_t time_us;         /* when it signs, as the signer says */
};

/* Append the attributes as they are hashed: a SET OF.
 * Errors: CHY_E_UNSUPPORTED  the algorithm has no hash: few read Ed25519 in CMS
 *         CHY_E_ARG          no certificate, a digest of another length, a time out of range
 *         CHY_E_LIMIT, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_cms_attributes(const struct chy_cms_request *request,
                                             struct chy_buf *out, struct chy_error *err);

/* Append the ContentInfo. `attributes` are from above, of the same request; the signature over them
 * has the form that verifiers want (DER for ECDSA).
 * Errors: CHY_E_ARG `attributes` are none, or there is no signature; CHY_E_MALFORMED the signer's
 * certificate; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cms_assemble(const struct chy_cms_request *request,
                                           struct chy_bytes attributes, struct chy_bytes signature,
                                           struct chy_buf *out, struct chy_error *err);
