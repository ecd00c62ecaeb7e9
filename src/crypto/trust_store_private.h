/* SPDX-License-Identifier: MIT */
/* Private to src/crypto: certificates of a signature as OpenSSL objects, and the way from one of
 * them to a trusted one. */
#pragma once

#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "crypto/signature_check.h"

struct chy_trust_store {
    X509_STORE *store;
    X509 *certs[CHY_LIMIT_TRUST_CERTIFICATES]; /* the same, to be found by name */
    size_t n;
    X509_CRL *crls[CHY_LIMIT_TRUST_CRLS];
    size_t n_crls;
};

/* The certificates that came with a signature. */
struct chy_certs {
    STACK_OF(X509) * stack;
};
CHY_MUST_USE enum chy_err chy_certs_load(const struct chy_bytes *ders, size_t n,
                                         struct chy_certs *ret_certs, struct chy_error *err);
void chy_certs_done(struct chy_certs *c);

/* As of when a path is looked at, and for what. */
struct chy_path_terms {
    const struct chy_trust_store *roots;
    int64_t now_us;
    int64_t stamped_us; /* when a time stamp says that it was used; 0: now */
    bool ignores_time;
    bool is_stamp; /* it must be for time stamps, else for signing code */
};
CHY_MUST_USE enum chy_err chy_path_check(const struct chy_path_terms *terms, X509 *leaf,
                                         const struct chy_certs *others, struct chy_error *err);

/* Whether a list of the store's has revoked one of the path, which begins with the leaf and ends
 * with one that is trusted as it is. Errors: as chy_signer_check() */
CHY_MUST_USE enum chy_err chy_revocation_check(const struct chy_path_terms *terms,
                                               STACK_OF(X509) * path, struct chy_error *err);
/* Whether this very certificate is one of them. */
bool chy_trust_store_holds(const struct chy_trust_store *roots, const X509 *cert);
void chy_trust_store_crls_free(struct chy_trust_store *s);

/* Check a time stamp of `signature`; tells when it was made and by whom.
 * Errors: as chy_signer_check() */
CHY_MUST_USE enum chy_err chy_time_stamp_check(const struct chy_trust_store *roots, int64_t now_us,
                                               struct chy_bytes token, struct chy_bytes signature,
                                               struct chy_arena *arena, int64_t *ret_time_us,
                                               struct chy_str *ret_authority,
                                               struct chy_error *err);
/* Whether the token is signed by a certificate that is for time stamps and leads to one of these,
 * as of that time, and names it. Errors: CHY_E_INTEGRITY, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_time_stamp_signature_check(X509 *const *roots, size_t n, PKCS7 *token,
                                                         int64_t at_us, struct chy_error *err);
/* When it says that it was made. Errors: CHY_E_MALFORMED */
CHY_MUST_USE enum chy_err chy_time_stamp_time(PKCS7 *token, int64_t *ret_us, struct chy_error *err);
/* What a certificate is called: its common name, else its subject. */
CHY_MUST_USE enum chy_err chy_x509_called(X509 *cert, struct chy_arena *arena,
                                          struct chy_str *ret_name, struct chy_error *err);
