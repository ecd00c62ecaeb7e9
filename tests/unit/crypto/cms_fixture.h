/* SPDX-License-Identifier: MIT */
/* An authority, somebody with its certificate, and what he signs, all made by OpenSSL. */
#pragma once

#include <stdbool.h>

#include <openssl/cms.h>

#include "base/buf.h"

#define CMS_NOW_US (INT64_C(1800000000) * 1000000) /* 2027-01-15 */
#define CMS_DAY_US (INT64_C(86400) * 1000000)

struct cms_party {
    EVP_PKEY *key;
    X509 *cert;
};

struct cms_party_options {
    const char *name;
    const struct cms_party *issuer; /* NULL: itself, an authority */
    bool is_authority;              /* also one that another has made */
    const char *usage;              /* extended key usage; NULL: none */
    const char *key_usage;          /* NULL: digitalSignature, of an authority keyCertSign */
    const char *algorithm;          /* as fixture_evp(); NULL: RSA 2048 */
    const char *size;
    int64_t not_after_us; /* 0: a year after CMS_NOW_US */
};
struct cms_party cms_party_make(const struct cms_party_options *options);
void cms_party_done(struct cms_party *p);
struct chy_buf cms_party_der(const struct cms_party *p);

struct cms_crl_options {
    const struct cms_party *issuer;
    const struct cms_party *key_of;  /* whose key signs; NULL: the issuer's */
    const struct cms_party *revoked; /* NULL: nobody */
    int64_t revoked_us;
    int64_t invalid_us; /* 0: not told */
    int reason;         /* -1: none */
    int64_t made_us;    /* 0: a day before CMS_NOW_US */
    int64_t next_us;    /* 0: a day after it */
    bool is_delta;
    const EVP_MD *md; /* NULL: SHA-256 */
};
struct chy_buf cms_crl_make(const struct cms_crl_options *options);

/* CMS over `content`, `flags` those of CMS_sign(); DER. */
struct chy_buf cms_make(const struct cms_party *signer, struct chy_bytes content, unsigned flags,
                        const EVP_MD *md);
/* That signature, by SHA-256 and RSA, without its attributes, which `ret_content` gets: it fits
 * them. */
struct chy_buf cms_confuse(const struct cms_party *signer, const struct chy_buf *cms,
                           struct chy_buf *ret_content);

/* The answer of an authority to a request for a time stamp: it is CMS_NOW_US, if the request's hash
 * is `takes`. */
struct chy_buf cms_stamp_answer(const struct cms_party *by, struct chy_bytes request,
                                const EVP_MD *takes);
