/* SPDX-License-Identifier: MIT */
#include "crypto/openssl.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/err.h>

enum chy_err chy_openssl_error(struct chy_error *err, enum chy_err code, const char *where,
                               const char *fmt, ...)
{
    unsigned long sys = ERR_get_error();
    ERR_clear_error();
    if (ERR_GET_REASON(sys) == ERR_R_MALLOC_FAILURE)
        code = CHY_E_NOMEM;
    char text[CHY_ERROR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *reason = ERR_reason_error_string(sys);
    if (n < 0 || reason == NULL)
        return chy_error_set(err, code, (int64_t)sys, where, "%s", n < 0 ? fmt : text);
    return chy_error_set(err, code, (int64_t)sys, where, "%s (%s)", text, reason);
}

#define DEFINE_FREEP(name, type, free_fn)                                  \
    /* NOLINTNEXTLINE(bugprone-macro-parentheses): a type can have none */ \
    void name(type **p)                                                    \
    {                                                                      \
        free_fn(*p);                                                       \
    }

DEFINE_FREEP(chy_bio_freep, BIO, BIO_free_all)
DEFINE_FREEP(chy_evp_pkey_freep, EVP_PKEY, EVP_PKEY_free)
DEFINE_FREEP(chy_evp_pkey_ctx_freep, EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_FREEP(chy_evp_md_ctx_freep, EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_FREEP(chy_x509_freep, X509, X509_free)
DEFINE_FREEP(chy_x509_req_freep, X509_REQ, X509_REQ_free)

const EVP_MD *chy_openssl_md(enum chy_hash_alg hash)
{
    switch (hash) {
    case CHY_HASH_SHA256:
        return EVP_sha256();
    case CHY_HASH_SHA384:
        return EVP_sha384();
    case CHY_HASH_SHA512:
        return EVP_sha512();
    case CHY_HASH_NONE:
        return NULL;
    }
    return NULL;
}
