/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "codec/der.h"
#include "crypto/signature.h"

#define BYTES(...)                                         \
    ((struct chy_bytes){ (const uint8_t[]){ __VA_ARGS__ }, \
                         sizeof((const uint8_t[]){ __VA_ARGS__ }) })

static void test_ecdsa__forms_round_trip(void **state)
{
    (void)state;
    static const size_t widths[] = { 32, 48, 66 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(widths); i++) {
        /* r: top bit set; short, with zeros in front; as long as can be. */
        static const uint8_t firsts[] = { 0x80, 0x00, 0x7f, 0xff };
        for (size_t k = 0; k < CHY_ARRAY_LEN(firsts); k++) {
            uint8_t raw[132];
            memset(raw, 0x5a, sizeof raw);
            raw[0] = firsts[k];
            raw[widths[i]] = firsts[3 - k];
            const struct chy_bytes in = { raw, 2 * widths[i] };
            struct chy_buf der;
            struct chy_buf again;
            chy_buf_init(&der, 160);
            chy_buf_init(&again, 160);
            assert_int_equal(chy_ecdsa_to_der(in, &der, NULL), CHY_OK);
            assert_int_equal(chy_ecdsa_to_raw(chy_buf_bytes(&der), widths[i], &again, NULL),
                             CHY_OK);
            assert_true(chy_bytes_equal(chy_buf_bytes(&again), in));
            chy_buf_done(&der);
            chy_buf_done(&again);
        }
    }
}

static void test_ecdsa_to_der__known_bytes_and_errors(void **state)
{
    (void)state;
    struct chy_buf der;
    chy_buf_init(&der, 16);
    assert_int_equal(chy_ecdsa_to_der(BYTES(0x00, 0x81, 0x00, 0x01), &der, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&der), BYTES(0x30, 7, 2, 2, 0, 0x81, 2, 1, 1)));
    assert_int_equal(chy_ecdsa_to_der(BYTES(1, 2, 3), &der, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ecdsa_to_der((struct chy_bytes){ NULL, 0 }, &der, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ecdsa_to_der(BYTES(0, 0, 1, 1), &der, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ecdsa_to_der(BYTES(1, 1, 0, 0), &der, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ecdsa_to_der(BYTES(1, 1, 1, 1), &der, NULL), CHY_E_LIMIT);
    chy_buf_done(&der);
}

static void test_ecdsa_to_raw__errors(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint8_t der[16];
    } bad[] = {
        { 0, { 0 } },
        { 2, { 0x30, 0 } },
        { 5, { 0x30, 3, 2, 1, 1 } },
        { 8, { 0x30, 6, 2, 1, 0, 2, 1, 1 } },        /* r is 0 */
        { 8, { 0x30, 6, 2, 1, 1, 2, 1, 0 } },        /* s is 0 */
        { 8, { 0x30, 6, 2, 1, 1, 2, 1, 0x80 } },     /* s is negative */
        { 9, { 0x30, 6, 2, 1, 1, 2, 1, 1, 0 } },     /* more behind it */
        { 9, { 0x30, 7, 2, 1, 1, 2, 1, 1, 0 } },     /* more inside it */
        { 10, { 0x30, 8, 2, 3, 1, 1, 1, 2, 1, 1 } }, /* r is longer than the order */
        { 9, { 0x30, 7, 2, 2, 0, 1, 2, 1, 1 } },     /* not shortest */
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_buf raw;
        chy_buf_init(&raw, 16);
        assert_int_equal(
            chy_ecdsa_to_raw((struct chy_bytes){ bad[i].der, bad[i].n }, 2, &raw, NULL),
            CHY_E_MALFORMED);
        chy_buf_done(&raw);
    }
}

/* OpenSSL reads every AlgorithmIdentifier as what it is meant to be. */
static void test_sign_alg_write__openssl_agrees(void **state)
{
    (void)state;
    static const int nids[] = {
        [CHY_ALG_RSA_PKCS1_SHA256] = NID_sha256WithRSAEncryption,
        [CHY_ALG_RSA_PKCS1_SHA384] = NID_sha384WithRSAEncryption,
        [CHY_ALG_RSA_PKCS1_SHA512] = NID_sha512WithRSAEncryption,
        [CHY_ALG_RSA_PSS_SHA256] = NID_rsassaPss,
        [CHY_ALG_RSA_PSS_SHA384] = NID_rsassaPss,
        [CHY_ALG_RSA_PSS_SHA512] = NID_rsassaPss,
        [CHY_ALG_ECDSA_SHA256] = NID_ecdsa_with_SHA256,
        [CHY_ALG_ECDSA_SHA384] = NID_ecdsa_with_SHA384,
        [CHY_ALG_ECDSA_SHA512] = NID_ecdsa_with_SHA512,
        [CHY_ALG_ED25519] = NID_ED25519,
    };
    for (enum chy_sign_alg alg = CHY_ALG_RSA_PKCS1_SHA256; alg <= CHY_ALG_ED25519; alg++) {
        struct chy_buf der;
        struct chy_der_writer w;
        chy_buf_init(&der, 256);
        chy_der_writer_init(&w, &der);
        assert_int_equal(chy_sign_alg_write(&w, alg, NULL), CHY_OK);
        const uint8_t *p = der.p;
        X509_ALGOR *parsed = d2i_X509_ALGOR(NULL, &p, (long)der.n);
        assert_non_null(parsed);
        assert_ptr_equal(p, der.p + der.n);
        const ASN1_OBJECT *oid = NULL;
        X509_ALGOR_get0(&oid, NULL, NULL, parsed);
        assert_int_equal(OBJ_obj2nid(oid), nids[alg]);
        X509_ALGOR_free(parsed);
        chy_buf_done(&der);
    }
    struct chy_buf der;
    struct chy_der_writer w;
    chy_buf_init(&der, 256);
    chy_der_writer_init(&w, &der);
    assert_int_equal(chy_sign_alg_write(&w, CHY_ALG_NONE, NULL), CHY_E_ARG);
    chy_buf_done(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecdsa__forms_round_trip),
        cmocka_unit_test(test_ecdsa_to_der__known_bytes_and_errors),
        cmocka_unit_test(test_ecdsa_to_raw__errors),
        cmocka_unit_test(test_sign_alg_write__openssl_agrees),
    };
    return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
