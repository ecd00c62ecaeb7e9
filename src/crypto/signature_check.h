/* SPDX-License-Identifier: MIT */
/* Whether a signer of SignedData is to be believed: the signature fits the content, its certificate
 * leads to one that the verifier has named, was for signing code, and was in time when it signed.
 * When that was, an RFC 3161 time stamp tells; without one it is now. Lists of revoked certificates
 * are those that the verifier has; none is fetched.
 *
 * Pure after chy_crypto_init(). A trust store is made once and then only read; one thread at a
 * time. Source: RFC 5652 section 5.6, RFC 5280 section 6, RFC 3161 section 2.4. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/signed_data.h"
#include "crypto/x509.h"

/* Certificates that are believed as they are: roots, or others that end a chain just as well. */
struct chy_trust_store;

/* Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_trust_store_new(struct chy_trust_store **ret_store,
                                              struct chy_error *err);
void chy_trust_store_free(struct chy_trust_store *s);
void chy_trust_store_freep(struct chy_trust_store **s);
/* One certificate in DER; one that is there already is no error.
 * Errors: CHY_E_MALFORMED; CHY_E_LIMIT over CHY_LIMIT_TRUST_CERTIFICATES; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_trust_store_add(struct chy_trust_store *s, struct chy_bytes der,
                                              struct chy_error *err);
/* Append certificate `i` as PEM. Errors: CHY_E_ARG there is none, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_trust_store_pem(const struct chy_trust_store *s, size_t i,
                                              struct chy_buf *out, struct chy_error *err);
/* Whether the certificate with this SHA-256 is one of them. */
bool chy_trust_store_has(const struct chy_trust_store *s, const uint8_t sha256[CHY_HASH_BYTES]);
/* One list of revoked certificates (RFC 5280 section 5) in DER. With one at least, whoever signs
 * must be of an authority with a list here, unless his own certificate is trusted as it is.
 * Errors: CHY_E_MALFORMED; CHY_E_UNSUPPORTED it tells of changes alone, of some certificates, or is
 *         signed with a weak hash; CHY_E_LIMIT over CHY_LIMIT_TRUST_CRLS; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_trust_store_add_crl(struct chy_trust_store *s, struct chy_bytes der,
                                                  struct chy_error *err);
size_t chy_trust_store_size(const struct chy_trust_store *s);

struct chy_check_terms {
    const struct chy_trust_store *roots;       /* of who signs */
    const struct chy_trust_store *stamp_roots; /* of who stamps */
    int64_t now_us;
    /* Android takes a certificate whenever it is or was in time: so do we for its packages. */
    bool ignores_time;
};

struct chy_checked_signer {
    const struct chy_x509 *certificate; /* in the arena; NULL: it was not found */
    enum chy_sign_alg algorithm;
    struct chy_bytes digest;    /* what was signed, as the log has it; in the arena */
    struct chy_bytes signature; /* a view of the SignedData */
    int64_t stamped_us;         /* 0: not */
    struct chy_str authority;   /* who stamped: common name, or subject */
};

/* What is signed, wherever it is. */
struct chy_signed_content {
    struct chy_bytes digest; /* by the signer's hash */
    struct chy_bytes head;   /* the first CHY_CONTENT_HEAD_BYTES, or all */
    uint64_t size_bytes;
};

/* Check signer `i` of `data`.
 * `ret_signer` is zeroed first and filled as far as it is known, even on failure: for a report.
 * Errors: CHY_E_INTEGRITY    the content is another one, or the signature is wrong, or the time
 *                            stamp is of another signature, or it is of attributes and not of
 *                            content
 *         CHY_E_NOT_FOUND    its certificate is not there
 *         CHY_E_FORBIDDEN    its certificate, or the time stamp's, leads to none that is trusted,
 *                            or is not for signing code, or the path breaks a rule; or one of
 *                            them is revoked, or on no list although there are lists
 *         CHY_E_EXPIRED      a certificate was not in time, or a list of revoked ones is not
 *         CHY_E_UNSUPPORTED  a weak algorithm, or a kind of key that we do not know
 *         CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_signer_check(const struct chy_check_terms *terms,
                                           const struct chy_signed_data *data, size_t i,
                                           const struct chy_signed_content *content,
                                           struct chy_arena *arena,
                                           struct chy_checked_signer *ret_signer,
                                           struct chy_error *err);

/* Whether this certificate, with `others` to get there, leads to a trusted one. Errors as above. */
CHY_MUST_USE enum chy_err chy_certificate_check(const struct chy_check_terms *terms,
                                                struct chy_bytes der,
                                                const struct chy_bytes *others, size_t n_others,
                                                struct chy_error *err);
