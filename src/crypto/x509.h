/* SPDX-License-Identifier: MIT */
/* Certificates and certificate requests: what they say, and whether a chain is good for a key. What
 * is parsed lives in the caller's arena. For the process `inspect` and for our own CA; never for
 * the front. Pure after chy_crypto_init(). */
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

/* Of the key usage extension (RFC 5280 section 4.2.1.3); all set where there is none. */
#define CHY_KEY_USAGE_DIGITAL_SIGNATURE (1u << 0)
#define CHY_KEY_USAGE_CERT_SIGN         (1u << 1)
/* Of the extended key usage extension. Without one: none, and has_purposes is false. */
#define CHY_PURPOSE_CODE_SIGNING (1u << 0)
#define CHY_PURPOSE_CLIENT       (1u << 1)
#define CHY_PURPOSE_SERVER       (1u << 2)

struct chy_x509 {
    struct chy_certificate summary;
    struct chy_str common_name; /* the first of the subject; p is NULL if there is none */
    struct chy_bytes spki;
    uint8_t spki_hash[CHY_HASH_BYTES];
    enum chy_key_type key_type; /* CHY_KEY_NONE for a kind of key that we do not sign with */
    bool is_ca;
    bool is_self_issued; /* issuer and subject are the same */
    bool has_key_usage;
    unsigned key_usage;
    bool has_purposes;
    unsigned purposes;
    const struct chy_str *sans; /* see name.h */
    size_t n_sans;
};

struct chy_x509_chain {
    struct chy_x509 certs[CHY_LIMIT_CHAIN]; /* as given, the leaf first if it is right */
    size_t n;
};

/* One certificate in DER.
 * Errors: CHY_E_MALFORMED; CHY_E_LIMIT  over CHY_LIMIT_CERTIFICATE, or the arena is full;
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_x509_parse(struct chy_arena *a, struct chy_bytes der,
                                         struct chy_x509 *ret_cert, struct chy_error *err);

/* A chain as people have it: PEM blocks with whatever text between, or certificates in DER one
 * after the other.
 * Errors: as above; CHY_E_MALFORMED when there is none; CHY_E_LIMIT when more than CHY_LIMIT_CHAIN
 *  */
CHY_MUST_USE enum chy_err chy_x509_chain_parse(struct chy_arena *a, struct chy_bytes in,
                                               struct chy_x509_chain *ret_chain,
                                               struct chy_error *err);

/* CHY_OK only if this chain is good for signing code with the key: the first certificate has this
 * key, each one is issued and signed by the next with SHA-256 or better, all are in time, the
 * first allows code signing. It need not reach a root, and nothing is said of trust.
 * Errors: CHY_E_CONFLICT     of another key, in the wrong order, or with a gap: the text says which
 *         CHY_E_EXPIRED      a certificate has ended or has not begun
 *         CHY_E_UNSUPPORTED  not for code signing, or signed with a weak algorithm
 *         CHY_E_INTEGRITY    a signature is wrong, or the path breaks a rule of RFC 5280
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_x509_chain_check(const struct chy_x509_chain *chain,
                                               struct chy_bytes spki, int64_t now_us,
                                               struct chy_error *err);

struct chy_x509_csr {
    struct chy_str subject;     /* RFC 4514 */
    struct chy_str common_name; /* p is NULL if there is none */
    struct chy_bytes spki;
    enum chy_key_type key_type; /* never CHY_KEY_NONE */
    const struct chy_str *sans;
    size_t n_sans;
};

/* A PKCS#10 request, PEM or DER, whose own signature shows that its maker has the key.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM
 *         CHY_E_INTEGRITY    its signature is wrong
 *         CHY_E_UNSUPPORTED  a kind of key that we do not take, or a weak signature */
CHY_MUST_USE enum chy_err chy_csr_parse(struct chy_arena *a, struct chy_bytes in,
                                        struct chy_x509_csr *ret_csr, struct chy_error *err);
