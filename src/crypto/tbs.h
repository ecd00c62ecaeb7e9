/* SPDX-License-Identifier: MIT */
/* What is signed to make a certificate or a certificate request, and how the signature is put to
 * it. The private key may be in a token: hash the result of a chy_tbs_...() with the hash of the
 * algorithm (for Ed25519 sign it as it is), have it signed, and hand both to chy_signed_assemble().
 * After a failure the buffer holds a part that is good for nothing. Pure.
 *
 * Source: RFC 5280 section 4, RFC 2986 section 4. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

struct chy_buf;

enum chy_cert_profile {
    CHY_CERT_DEVELOPMENT_CA =
        1, /* self-signed root of the built-in CA; signs end certificates only */
    CHY_CERT_CODE_SIGNING = 2, /* by the development CA, and marked as such */
    CHY_CERT_CLIENT_CA = 3,    /* self-signed root of the clients' certificates */
    CHY_CERT_CLIENT = 4,       /* for TLS clients */
    CHY_CERT_TLS_SERVER = 5,   /* self-signed certificate of a TLS server */
};

/* What the development CA puts into the subject of all that it issues, as OU. */
#define CHY_CERT_DEVELOPMENT_MARK "development, not trusted"

struct chy_cert_request {
    enum chy_cert_profile profile;
    uint8_t serial[16];     /* random; made positive here */
    struct chy_str subject; /* RFC 4514, see name.h */
    struct chy_bytes spki;  /* the subject's key */
    /* The certificate of the issuer in DER; without it this one is issued by itself. */
    struct chy_bytes issuer_der;
    enum chy_sign_alg alg; /* that the issuer signs with */
    int64_t not_before_us;
    int64_t not_after_us;
    const struct chy_str *sans; /* see name.h; n_sans 0: none */
    size_t n_sans;
};

/* Append the TBSCertificate.
 * Errors: CHY_E_ARG        a name, a time or the algorithm is wrong; not_after before not_before;
 * an
 *                          issuer for a self-signed profile, or none for one that needs it
 *         CHY_E_MALFORMED, CHY_E_UNSUPPORTED  the issuer's certificate or the key
 *         CHY_E_LIMIT, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_tbs_certificate(const struct chy_cert_request *request,
                                              struct chy_buf *out, struct chy_error *err);

/* Append the CertificationRequestInfo of PKCS#10.
 * Errors: as above */
CHY_MUST_USE enum chy_err chy_tbs_csr(struct chy_str subject, struct chy_bytes spki,
                                      const struct chy_str *sans, size_t n_sans,
                                      struct chy_buf *out, struct chy_error *err);

/* Append the certificate or request: `tbs` from above, and a signature over it in the form that
 * tokens give (raw for ECDSA).
 * Errors: CHY_E_ARG  `tbs` or the algorithm is none; CHY_E_MALFORMED  nor is the signature;
 *         CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_signed_assemble(struct chy_bytes tbs, enum chy_sign_alg alg,
                                              struct chy_bytes signature, struct chy_buf *out,
                                              struct chy_error *err);
