/* SPDX-License-Identifier: MIT */
#include "cms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

#include "codec/der.h"
#include "crypto/signed_data.h"
#include "key_fixture.h"

#define DER_MAX ((size_t)1 << 21)

static void extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void extensions_add(X509 *cert, X509 *issuer, const struct cms_party_options *o)
{
    bool is_authority = o->issuer == NULL || o->is_authority;
    const char *usage = o->key_usage != NULL ? o->key_usage
                        : is_authority       ? "critical,keyCertSign,digitalSignature"
                                             : "critical,digitalSignature";
    extension_add(cert, issuer, NID_basic_constraints,
                  is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extension_add(cert, issuer, NID_key_usage, usage);
    extension_add(cert, issuer, NID_subject_key_identifier, "hash");
    if (o->usage != NULL)
        extension_add(cert, issuer, NID_ext_key_usage, o->usage);
}

static void names_set(X509 *cert, X509 *issuer, const char *name)
{
    X509_NAME *n = X509_NAME_new();
    assert_non_null(n);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0), 1);
    assert_int_equal(X509_set_subject_name(cert, n), 1);
    assert_int_equal(X509_set_issuer_name(cert, issuer != cert ? X509_get_subject_name(issuer) : n),
                     1);
    X509_NAME_free(n);
}

struct cms_party cms_party_make(const struct cms_party_options *o)
{
    static long serial = 1;
    struct cms_party p = {
        fixture_evp(o->algorithm != NULL ? o->algorithm : "RSA",
                    o->algorithm != NULL ? o->size : "2048"),
        X509_new(),
    };
    X509 *issuer = o->issuer != NULL ? o->issuer->cert : p.cert;
    EVP_PKEY *key = o->issuer != NULL ? o->issuer->key : p.key;
    int64_t end_us = o->not_after_us != 0 ? o->not_after_us : CMS_NOW_US + 365 * CMS_DAY_US;
    assert_non_null(p.cert);
    assert_int_equal(X509_set_version(p.cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(p.cert), 1000 + serial++), 1);
    ASN1_TIME_set(X509_getm_notBefore(p.cert), (time_t)(CMS_NOW_US / 1000000 - 10 * 86400));
    ASN1_TIME_set(X509_getm_notAfter(p.cert), (time_t)(end_us / 1000000));
    assert_int_equal(X509_set_pubkey(p.cert, p.key), 1);
    names_set(p.cert, issuer, o->name);
    extensions_add(p.cert, issuer, o);
    assert_true(X509_sign(p.cert, key,
                          EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
    return p;
}

void cms_party_done(struct cms_party *p)
{
    EVP_PKEY_free(p->key);
    X509_free(p->cert);
}

struct chy_buf cms_party_der(const struct cms_party *p)
{
    struct chy_buf b;
    uint8_t *der = NULL;
    int n = i2d_X509(p->cert, &der);
    assert_true(n > 0);
    chy_buf_init(&b, DER_MAX);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    return b;
}

struct chy_buf cms_make(const struct cms_party *signer, struct chy_bytes content, unsigned flags,
                        const EVP_MD *md)
{
    struct chy_buf b;
    uint8_t *der = NULL;
    BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, in, flags | CMS_PARTIAL | CMS_BINARY);
    assert_non_null(cms);
    assert_non_null(CMS_add1_signer(cms, signer->cert, signer->key, md, flags | CMS_BINARY));
    assert_int_equal(CMS_final(cms, in, NULL, flags | CMS_BINARY), 1);
    int n = i2d_CMS_ContentInfo(cms, &der);
    assert_true(n > 0);
    chy_buf_init(&b, DER_MAX);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return b;
}

struct chy_buf cms_confuse(const struct cms_party *signer, const struct chy_buf *made,
                           struct chy_buf *ret_content)
{
    const struct chy_bytes any = { (const uint8_t *)"any", 3 };
    struct chy_buf forged = cms_make(signer, any, CMS_DETACHED | CMS_NOATTR, EVP_sha256());
    struct chy_signed_data from;
    struct chy_signed_data to;
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(made), &from, NULL), CHY_OK);
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&forged), &to, NULL), CHY_OK);
    chy_buf_init(ret_content, DER_MAX);
    assert_true(chy_buf_append(ret_content, from.signers[0].signed_attrs));
    ret_content->p[0] = CHY_DER_SET;
    struct chy_bytes signature = from.signers[0].signature;
    assert_int_equal(signature.n, to.signers[0].signature.n);
    chy_copy(forged.p + (to.signers[0].signature.p - forged.p), signature.p, signature.n);
    return forged;
}

static ASN1_TIME *time_at(int64_t us)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)(us / 1000000));
    assert_non_null(t);
    return t;
}

static void crl_revoke(X509_CRL *crl, const struct cms_crl_options *o)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *at = time_at(o->revoked_us);
    ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
    assert_true(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(o->revoked->cert)) == 1 &&
                X509_REVOKED_set_revocationDate(r, at) == 1);
    assert_int_equal(ASN1_ENUMERATED_set(reason, o->reason), 1);
    if (o->reason >= 0)
        assert_int_equal(X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, reason, 0, 0), 1);
    if (o->invalid_us != 0) {
        ASN1_GENERALIZEDTIME *t = ASN1_GENERALIZEDTIME_set(NULL, (time_t)(o->invalid_us / 1000000));
        assert_int_equal(X509_REVOKED_add1_ext_i2d(r, NID_invalidity_date, t, 0, 0), 1);
        ASN1_GENERALIZEDTIME_free(t);
    }
    assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
    ASN1_ENUMERATED_free(reason);
    ASN1_TIME_free(at);
}

struct chy_buf cms_crl_make(const struct cms_crl_options *o)
{
    struct chy_buf b;
    uint8_t *der = NULL;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *last = time_at(o->made_us != 0 ? o->made_us : CMS_NOW_US - CMS_DAY_US);
    ASN1_TIME *next = time_at(o->next_us != 0 ? o->next_us : CMS_NOW_US + CMS_DAY_US);
    ASN1_INTEGER *base = ASN1_INTEGER_new();
    const struct cms_party *by = o->key_of != NULL ? o->key_of : o->issuer;
    assert_true(X509_CRL_set_version(crl, 1) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(o->issuer->cert)) == 1 &&
                X509_CRL_set1_lastUpdate(crl, last) == 1 &&
                X509_CRL_set1_nextUpdate(crl, next) == 1);
    if (o->is_delta)
        assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base, 1, 0), 1);
    if (o->revoked != NULL)
        crl_revoke(crl, o);
    assert_true(X509_CRL_sign(crl, by->key, o->md != NULL ? o->md : EVP_sha256()) > 0);
    int n = i2d_X509_CRL(crl, &der);
    assert_true(n > 0);
    chy_buf_init(&b, DER_MAX);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    ASN1_INTEGER_free(base);
    ASN1_TIME_free(next);
    ASN1_TIME_free(last);
    X509_CRL_free(crl);
    return b;
}

/* --- time stamps --- */

static int tell_time(struct TS_resp_ctx *ctx, void *data, long *sec, long *usec)
{
    (void)ctx;
    (void)data;
    *sec = (long)(CMS_NOW_US / 1000000);
    *usec = 0;
    return 1;
}

static TS_RESP_CTX *authority_new(const struct cms_party *by, const EVP_MD *takes)
{
    TS_RESP_CTX *ctx = TS_RESP_CTX_new();
    ASN1_OBJECT *policy = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    assert_int_equal(TS_RESP_CTX_set_signer_cert(ctx, by->cert), 1);
    assert_int_equal(TS_RESP_CTX_set_signer_key(ctx, by->key), 1);
    assert_int_equal(TS_RESP_CTX_set_signer_digest(ctx, EVP_sha256()), 1);
    assert_int_equal(TS_RESP_CTX_set_ess_cert_id_digest(ctx, EVP_sha256()), 1);
    assert_int_equal(TS_RESP_CTX_set_def_policy(ctx, policy), 1);
    assert_int_equal(TS_RESP_CTX_add_md(ctx, takes), 1);
    TS_RESP_CTX_set_time_cb(ctx, tell_time, NULL);
    ASN1_OBJECT_free(policy);
    return ctx;
}

struct chy_buf cms_stamp_answer(const struct cms_party *by, struct chy_bytes request,
                                const EVP_MD *takes)
{
    struct chy_buf b;
    uint8_t *der = NULL;
    TS_RESP_CTX *ctx = authority_new(by, takes);
    BIO *in = BIO_new_mem_buf(request.p, (int)request.n);
    TS_RESP *made = TS_RESP_create_response(ctx, in);
    assert_non_null(made);
    int n = i2d_TS_RESP(made, &der);
    assert_true(n > 0);
    chy_buf_init(&b, DER_MAX);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    TS_RESP_free(made);
    BIO_free(in);
    TS_RESP_CTX_free(ctx);
    return b;
}
