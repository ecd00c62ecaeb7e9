/* SPDX-License-Identifier: MIT */
/* Signatures beside a file: CMS SignedData over content that is not in it, by one signer whose key
 * may be in a token. Made in two steps, as certificates are (tbs.h): what is signed first, then all
 * around the signature.
 *
 * With attributes (content type, time, digest, and which certificate) what is signed is those; the
 * kernel's modules have none, and what is signed is the content itself. Pure.
 *
 * Ed25519 is left out: RFC 8419 has it, but OpenSSL 3.0 does not read that.
 *
 * Source: RFC 5652 section 5, RFC 5035 section 3. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"
#include "proto/api.h"

struct chy_cms {
    enum chy_sign_alg alg;
    struct chy_bytes content_digest;            /* by the hash of the algorithm */
    const struct chy_certificate *certificates; /* the signer's first; in DER */
    size_t n_certificates;
    bool has_attributes;
    bool holds_certificates; /* else a verifier must have them */
    int64_t time_us;         /* of signing, as the signer says */
    /* Token of an authority over the signature (time_stamp.h), DER; empty: none. It is put in when
     * all is assembled, as an attribute that is not signed: RFC 3161 appendix A. */
    struct chy_bytes time_stamp;
};

/* Append the attributes as they are signed (a SET): hash them with the algorithm's hash.
 * Errors: CHY_E_UNSUPPORTED an algorithm without a hash; CHY_E_ARG a digest's length or a time that
 *         is none; CHY_E_CRYPTO;
 *         CHY_E_LIMIT, CHY_E_NOMEM of the buffer */
CHY_MUST_USE enum chy_err chy_cms_attributes(const struct chy_cms *cms, struct chy_buf *out,
                                             struct chy_error *err);
/* Append the ContentInfo. `attributes` as above, empty without; `signature` as X.509 has it.
 * Errors: CHY_E_MALFORMED the signer's certificate; as above */
CHY_MUST_USE enum chy_err chy_cms_assemble(const struct chy_cms *cms, struct chy_bytes attributes,
                                           struct chy_bytes signature, struct chy_buf *out,
                                           struct chy_error *err);
