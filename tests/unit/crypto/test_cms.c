/* SPDX-License-Identifier: MIT */
/* What is written is read by our own reader; tests/interop/test_gpgsm.py has OpenSSL and gpgsm read
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "crypto/signed_data.h"
#include "key_fixture.h"

#define NOW_US INT64_C(1764428400000000) /* 2025-11-29T15:00:00Z */

static struct chy_buf certificate;
static struct chy_certificate chain[CHY_LIMIT_CHAIN + 1];
static uint8_t digest[CHY_LIMIT_DIGEST];
static struct chy_cms_request request;
static struct chy_buf attributes;
static struct chy_buf signature; /* as verifiers have it */
static struct chy_buf out;
static struct chy_arena arena;

static void set_up(enum chy_key_type type, enum chy_sign_alg alg)
{
    const struct chy_cert_request of_leaf = {
        .profile = CHY_CERT_TLS_SERVER,
        .serial = { 0x80, 2, 3 },
        .subject = CHY_STR("CN=leaf"),
        .not_before_us = 1700000000000000,
        .not_after_us = 1800000000000000,
    };
    chy_buf_init(&certificate, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_privkey_self_signed(fixture_key_of(type), &of_leaf, &certificate, NULL),
                     CHY_OK);
    for (size_t i = 0; i < CHY_ARRAY_LEN(chain); i++)
        chain[i] = (struct chy_certificate){ .der = chy_buf_bytes(&certificate) };
    assert_int_equal(chy_sha256(chain[0].der, chain[0].sha256, NULL), CHY_OK);
    memset(digest, 0x5a, sizeof digest);
    request = (struct chy_cms_request){
        .chain = chain,
        .n = 1,
        .alg = alg,
        .digest = { digest, chy_hash_alg_bytes(chy_sign_alg_hash(alg)) },
        .time_us = NOW_US,
    };
    chy_buf_init(&attributes, CHY_LIMIT_CONTENT);
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&out, CHY_LIMIT_CMS);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
}

static int tear_down(void **state)
{
    (void)state;
    chy_buf_done(&certificate);
    chy_buf_done(&attributes);
    chy_buf_done(&signature);
    chy_buf_done(&out);
    chy_arena_done(&arena);
    return 0;
}

static void sign(enum chy_key_type type)
{
    struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_SIGNATURE);
    assert_int_equal(
        chy_privkey_sign(fixture_key_of(type), request.alg, chy_buf_bytes(&attributes), &raw, NULL),
        CHY_OK);
    if (chy_key_type_order_bytes(type) != 0)
        assert_int_equal(chy_ecdsa_to_der(chy_buf_bytes(&raw), &signature, NULL), CHY_OK);
    else
        assert_true(chy_buf_append(&signature, chy_buf_bytes(&raw)));
    chy_buf_done(&raw);
}

/* --- what is right --- */

static void assert_round_trip(enum chy_key_type type, enum chy_sign_alg alg)
{
    static struct chy_signed_data data;
    set_up(type, alg);
    request.n = 2;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_OK);
    sign(type);
    assert_int_equal(chy_cms_assemble(&request, chy_buf_bytes(&attributes),
                                      chy_buf_bytes(&signature), &out, NULL),
                     CHY_OK);
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&out), &data, NULL), CHY_OK);
    assert_null(data.content.p);
    assert_int_equal(data.n_certificates, 2);
    assert_int_equal(data.n_signers, 1);
    const struct chy_signer_info *si = &data.signers[0];
    assert_int_equal(si->hash, chy_sign_alg_hash(alg));
    assert_true(chy_bytes_equal(si->digest, request.digest));
    assert_true(chy_bytes_equal(si->content_type, chy_oid_data()));
    assert_true(chy_bytes_equal(si->signature, chy_buf_bytes(&signature)));
    assert_int_equal(si->signed_attrs.n, attributes.n);
    assert_memory_equal(si->signed_attrs.p + 1, attributes.p + 1, attributes.n - 1);
    tear_down(NULL);
}

static void test_assemble__each_algorithm_is_read_back(void **state)
{
    (void)state;
    assert_round_trip(CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA256);
    assert_round_trip(CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA512);
    assert_round_trip(CHY_KEY_RSA_2048, CHY_ALG_RSA_PSS_SHA256);
    assert_round_trip(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256);
    assert_round_trip(CHY_KEY_P384, CHY_ALG_ECDSA_SHA384);
    assert_round_trip(CHY_KEY_P521, CHY_ALG_ECDSA_SHA512);
}

/* X.690 section 11.6: the elements of the SET stand in the order of their bytes. */
static void test_attributes__are_in_order(void **state)
{
    (void)state;
    set_up(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256);
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_OK);
    const uint8_t *p = attributes.p + 3; /* SET, its length in two bytes */
    const uint8_t *end = attributes.p + attributes.n;
    assert_int_equal(attributes.p[0], 0x31);
    assert_int_equal(attributes.p[1], 0x81);
    struct chy_bytes before = { p, 0 };
    size_t n = 0;
    for (; p < end; n++) {
        struct chy_bytes now = { p, 2 + (size_t)p[1] };
        assert_true(n == 0 || chy_bytes_compare(before, now) < 0);
        before = now;
        p += now.n;
    }
    assert_ptr_equal(p, end);
    assert_int_equal(n, 4);
}

/* --- what is wrong --- */

static void test_attributes__refuses(void **state)
{
    (void)state;
    set_up(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256);
    request.digest.n = 31;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_ARG);
    request.digest.n = 32;
    request.n = 0;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_ARG);
    request.n = CHY_LIMIT_CHAIN + 1;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_ARG);
    request.n = CHY_LIMIT_CHAIN;
    request.time_us = -1;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_ARG);
    request.time_us = INT64_C(253402300800000000); /* the year 10000 */
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_ARG);
    request.time_us -= 1;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_OK);
    request.alg = CHY_ALG_ED25519;
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_UNSUPPORTED);
    request.alg = CHY_ALG_ECDSA_SHA256;
    chy_buf_done(&attributes);
    chy_buf_init(&attributes, 16);
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_E_LIMIT);
}

static void test_assemble__refuses(void **state)
{
    (void)state;
    static const uint8_t large[CHY_LIMIT_SIGNATURE + 1];
    struct chy_bytes any = { large, 8 };
    set_up(CHY_KEY_P256, CHY_ALG_ECDSA_SHA256);
    assert_int_equal(chy_cms_attributes(&request, &attributes, NULL), CHY_OK);
    const struct chy_bytes set = chy_buf_bytes(&attributes);
    const struct chy_bytes none = { NULL, 0 };
    assert_int_equal(chy_cms_assemble(&request, set, none, &out, NULL), CHY_E_ARG);
    any.n = CHY_LIMIT_SIGNATURE + 1;
    assert_int_equal(chy_cms_assemble(&request, set, any, &out, NULL), CHY_E_ARG);
    any.n = CHY_LIMIT_SIGNATURE;
    chy_buf_clear(&out);
    assert_int_equal(chy_cms_assemble(&request, set, any, &out, NULL), CHY_OK);
    chy_buf_clear(&out);
    const struct chy_bytes cut = { set.p, set.n - 1 };
    assert_int_equal(chy_cms_assemble(&request, cut, any, &out, NULL), CHY_E_ARG);
    chy_buf_clear(&out);
    chain[0].der = any;
    assert_int_equal(chy_cms_assemble(&request, set, any, &out, NULL), CHY_E_MALFORMED);
    chain[0].der = chy_buf_bytes(&certificate);
    chy_buf_done(&out);
    chy_buf_init(&out, 64);
    assert_int_equal(chy_cms_assemble(&request, set, any, &out, NULL), CHY_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assemble__each_algorithm_is_read_back),
        cmocka_unit_test_teardown(test_attributes__are_in_order, tear_down),
        cmocka_unit_test_teardown(test_attributes__refuses, tear_down),
        cmocka_unit_test_teardown(test_assemble__refuses, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
