/* SPDX-License-Identifier: MIT */
/* Private to src/crypto: OpenSSL objects owned by a scope, and OpenSSL's errors as ours. */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "crypto/hash.h"

/* Like chy_fail(), with the oldest error of OpenSSL's queue as `sys` and its reason behind the
 * text; empties the queue. Out of memory inside OpenSSL becomes CHY_E_NOMEM. */
#define chy_fail_openssl(err, code, ...) \
    chy_failed(chy_openssl_error((err), (code), CHY_WHERE, __VA_ARGS__))
CHY_PRINTF(4, 5)
enum chy_err chy_openssl_error(struct chy_error *err, enum chy_err code, const char *where,
                               const char *fmt, ...);

/* NULL for CHY_HASH_NONE. */
const EVP_MD *chy_openssl_md(enum chy_hash_alg hash);

/* For CHY_CLEANUP. */
void chy_bio_freep(BIO **p);
void chy_evp_pkey_freep(EVP_PKEY **p);
void chy_evp_pkey_ctx_freep(EVP_PKEY_CTX **p);
void chy_evp_md_ctx_freep(EVP_MD_CTX **p);
void chy_x509_freep(X509 **p);
void chy_x509_req_freep(X509_REQ **p);
