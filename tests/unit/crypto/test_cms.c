/* SPDX-License-Identifier: MIT */
/* CMS signatures, held against OpenSSL's own reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/der.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "crypto/signed_data.h"
#include "crypto/tbs.h"
#include "key_fixture.h"

#define CONTENT CHY_STR("what is signed")
#define NOW_US  INT64_C(1750000000000000)

static struct chy_buf der; /* of the certificate */
static struct chy_buf set;
static struct chy_buf out;
static struct chy_certificate certificate;
static uint8_t digest[CHY_LIMIT_DIGEST];
static struct chy_cms cms;
static struct chy_bytes cms_time_stamp; /* what make() puts in */

static int setup(void **state)
{
    (void)state;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    chy_buf_init(&set, 4096);
    chy_buf_init(&out, 65536);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&der);
    chy_buf_done(&set);
    chy_buf_done(&out);
    return 0;
}

static void sign(struct chy_privkey *key, enum chy_sign_alg alg, struct chy_bytes message,
                 struct chy_buf *signature)
{
    chy_buf_init(signature, CHY_LIMIT_SIGNATURE);
    assert_int_equal(chy_privkey_sign(key, alg, message, signature, NULL), CHY_OK);
}

/* As servers answer. */
static void put_in_x509_form(enum chy_key_type type, struct chy_buf *signature)
{
    struct chy_buf raw = *signature;
    if (chy_key_type_order_bytes(type) == 0)
        return;
    chy_buf_init(signature, CHY_LIMIT_SIGNATURE);
    assert_int_equal(chy_ecdsa_to_der(chy_buf_bytes(&raw), signature, NULL), CHY_OK);
    chy_buf_done(&raw);
}

static void make(enum chy_key_type type, enum chy_sign_alg alg, bool has_attributes)
{
    struct chy_privkey *key = fixture_key_of(type);
    const struct chy_cert_request request = {
        .profile = CHY_CERT_TLS_SERVER,
        .serial = { 0x80, 1 },
        .subject = CHY_STR("CN=name"),
        .spki = chy_pubkey_spki(chy_privkey_public(key)),
        .alg = chy_key_type_default_alg(type),
        .not_before_us = 1700000000000000,
        .not_after_us = 1800000000000000,
    };
    struct chy_buf tbs;
    struct chy_buf signature;
    chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_tbs_certificate(&request, &tbs, NULL), CHY_OK);
    sign(key, request.alg, chy_buf_bytes(&tbs), &signature);
    assert_int_equal(chy_signed_assemble(chy_buf_bytes(&tbs), request.alg,
                                         chy_buf_bytes(&signature), &der, NULL),
                     CHY_OK);
    chy_buf_done(&tbs);
    chy_buf_done(&signature);
    certificate = (struct chy_certificate){ .der = chy_buf_bytes(&der) };
    assert_int_equal(chy_hash(chy_sign_alg_hash(alg), chy_str_bytes(CONTENT), digest, NULL),
                     CHY_OK);
    cms = (struct chy_cms){
        .alg = alg,
        .content_digest = { digest, chy_hash_alg_bytes(chy_sign_alg_hash(alg)) },
        .certificates = &certificate,
        .n_certificates = 1,
        .has_attributes = has_attributes,
        .holds_certificates = has_attributes,
        .time_us = NOW_US,
        .time_stamp = cms_time_stamp,
    };
    if (has_attributes)
        assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_OK);
    sign(key, alg, has_attributes ? chy_buf_bytes(&set) : chy_str_bytes(CONTENT), &signature);
    put_in_x509_form(type, &signature);
    assert_int_equal(
        chy_cms_assemble(&cms, chy_buf_bytes(&set), chy_buf_bytes(&signature), &out, NULL), CHY_OK);
    chy_buf_done(&signature);
}

/* Whether OpenSSL finds it good for this content, with the signer's certificate at hand. */
static bool is_good(struct chy_str content)
{
    const uint8_t *p = out.p;
    const uint8_t *q = der.p;
    CMS_ContentInfo *info = d2i_CMS_ContentInfo(NULL, &p, (long)out.n);
    X509 *cert = d2i_X509(NULL, &q, (long)der.n);
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *data = BIO_new_mem_buf(content.p, (int)content.n);
    assert_non_null(info);
    assert_ptr_equal(p, out.p + out.n);
    assert_non_null(cert);
    assert_int_equal(sk_X509_push(certs, cert), 1);
    int r = CMS_verify(info, certs, NULL, data, NULL,
                       CMS_BINARY | CMS_DETACHED | CMS_NO_SIGNER_CERT_VERIFY);
    BIO_free(data);
    sk_X509_free(certs);
    X509_free(cert);
    CMS_ContentInfo_free(info);
    return r == 1;
}

static const struct {
    enum chy_key_type type;
    enum chy_sign_alg alg;
} rows[] = {
    { CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA256 }, { CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA384 },
    { CHY_KEY_RSA_2048, CHY_ALG_RSA_PSS_SHA256 },   { CHY_KEY_P256, CHY_ALG_ECDSA_SHA256 },
    { CHY_KEY_P384, CHY_ALG_ECDSA_SHA384 },         { CHY_KEY_P521, CHY_ALG_ECDSA_SHA512 },
};

static void test_cms__with_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        chy_buf_clear(&der);
        chy_buf_clear(&set);
        chy_buf_clear(&out);
        make(rows[i].type, rows[i].alg, true);
        assert_true(is_good(CONTENT));
        assert_false(is_good(CHY_STR("what is signeD")));
    }
}

static void test_cms__without_attributes(void **state)
{
    (void)state;
    make(CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA256, false);
    assert_true(is_good(CONTENT));
    assert_false(is_good(CHY_STR("")));
    /* nobody's certificate is in it */
    assert_null(memmem(out.p, out.n, der.p, der.n));
}

/* RFC 3161 appendix A: an attribute that is not signed. Any value stands for a token here. */
static void test_cms__with_time_stamp(void **state)
{
    static const uint8_t token[] = { 0x30, 0x03, 0x02, 0x01, 0x05 };
    struct chy_signed_data data;
    (void)state;
    cms_time_stamp = (struct chy_bytes){ token, sizeof token };
    make(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256, true);
    cms_time_stamp = (struct chy_bytes){ NULL, 0 };
    assert_true(is_good(CONTENT));
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&out), &data, NULL), CHY_OK);
    assert_true(
        chy_bytes_equal(data.signers[0].time_stamp, (struct chy_bytes){ token, sizeof token }));
}

/* RFC 5652 section 5.3 and X.690 section 11.6. */
static void test_attributes__are_a_sorted_set(void **state)
{
    struct chy_bytes in;
    struct chy_bytes body;
    struct chy_der_item before = { 0 };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        chy_buf_clear(&der);
        chy_buf_clear(&set);
        chy_buf_clear(&out);
        make(rows[i].type, rows[i].alg, true);
        in = chy_buf_bytes(&set);
        assert_int_equal(chy_der_take(&in, CHY_DER_SET, &body, NULL), CHY_OK);
        size_t n = 0;
        for (; body.n != 0; n++) {
            struct chy_der_item item;
            assert_int_equal(chy_der_next(&body, &item, NULL), CHY_OK);
            if (n != 0)
                assert_true(chy_bytes_compare(before.whole, item.whole) < 0);
            before = item;
        }
        assert_int_equal(n, 4);
    }
}

static void test_cms__errors(void **state)
{
    struct chy_buf small;
    (void)state;
    make(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256, true);
    const struct chy_bytes signature = { digest, 64 };
    chy_buf_init(&small, 16);
    assert_int_equal(chy_cms_attributes(&cms, &small, NULL), CHY_E_LIMIT);
    chy_buf_done(&small);
    cms.content_digest.n--;
    assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_E_ARG);
    assert_int_equal(chy_cms_assemble(&cms, chy_buf_bytes(&set), signature, &out, NULL), CHY_E_ARG);
    cms.content_digest.n++;
    cms.time_us = -1;
    assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_E_ARG);
    cms.time_us = NOW_US;
    cms.alg = CHY_ALG_RSA_PKCS1_RAW;
    assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_E_UNSUPPORTED);
    cms.alg = CHY_ALG_ED25519;
    assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_E_UNSUPPORTED);
    cms.alg = CHY_ALG_ECDSA_SHA256;
    certificate.der.n--;
    assert_int_equal(chy_cms_assemble(&cms, chy_buf_bytes(&set), signature, &out, NULL),
                     CHY_E_MALFORMED);
    cms.n_certificates = 0;
    assert_int_equal(chy_cms_attributes(&cms, &set, NULL), CHY_E_ARG);
}

static int drop_keys(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_cms__with_attributes), T(test_cms__without_attributes),
        T(test_cms__with_time_stamp), T(test_attributes__are_a_sorted_set),
        T(test_cms__errors),
    };
    return cmocka_run_group_tests(tests, NULL, drop_keys);
}
