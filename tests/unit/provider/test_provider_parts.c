/* SPDX-License-Identifier: MIT */
/* The provider's pure parts: keys of all kinds with their limits, identifiers of algorithms, names
 * of hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "provider/algorithm.h"
#include "provider/key.h"
#include "provider/sign.h"

static uint8_t bytes[CHY_LIMIT_P11_RSA + 1];
static const struct chy_bytes exponent = { (const uint8_t *)"\1\0\1", 3 };

static enum chy_err rsa_try(size_t n, int *ret_bits)
{
    struct chy_prov_key *key = NULL;
    enum chy_err r = chy_prov_key_of_rsa((struct chy_bytes){ bytes, n }, exponent, &key, NULL);
    if (r == CHY_OK)
        *ret_bits = chy_prov_key_bits(key);
    chy_prov_key_unref(key);
    return r;
}

static void test_key_of_rsa__limits(void **state)
{
    (void)state;
    int bits = 0;
    memset(bytes, 0x7f, sizeof bytes);
    assert_int_equal(rsa_try(0, &bits), CHY_E_ARG);
    assert_int_equal(rsa_try(CHY_LIMIT_P11_RSA, &bits), CHY_OK);
    assert_int_equal(bits, 8 * CHY_LIMIT_P11_RSA - 1);
    assert_int_equal(rsa_try(CHY_LIMIT_P11_RSA + 1, &bits), CHY_E_LIMIT);
    bytes[0] = 0;
    assert_int_equal(rsa_try(256, &bits), CHY_E_ARG);
    bytes[0] = 0x80;
    assert_int_equal(rsa_try(256, &bits), CHY_OK);
    assert_int_equal(bits, 2048);
}

static enum chy_err point_try(enum chy_prov_kind kind, const char *curve, size_t n)
{
    struct chy_prov_key *key = NULL;
    enum chy_err r = chy_prov_key_of_point(kind, curve, (struct chy_bytes){ bytes, n }, &key, NULL);
    chy_prov_key_unref(key);
    return r;
}

static void test_key_of_point__lengths(void **state)
{
    (void)state;
    bytes[0] = 4;
    assert_int_equal(point_try(CHY_PROV_EC, "P-256", 65), CHY_OK);
    assert_int_equal(point_try(CHY_PROV_EC, "prime256v1", 64), CHY_E_ARG);
    assert_int_equal(point_try(CHY_PROV_EC, "secp521r1", 133), CHY_OK);
    assert_int_equal(point_try(CHY_PROV_EC, "secp256k1", 65), CHY_E_ARG);
    assert_int_equal(point_try(CHY_PROV_ED25519, NULL, 32), CHY_OK);
    assert_int_equal(point_try(CHY_PROV_ED25519, NULL, 33), CHY_E_ARG);
    bytes[0] = 2; /* compressed */
    assert_int_equal(point_try(CHY_PROV_EC, "P-256", 65), CHY_E_ARG);
}

/* What OpenSSL reads is what was meant. */
static int signature_nid(enum chy_door_scheme scheme, enum chy_hash_alg hash)
{
    struct chy_buf der;
    chy_buf_init(&der, CHY_PROV_ALGORITHM_MAX);
    assert_int_equal(chy_prov_algorithm_write(scheme, hash, &der, NULL), CHY_OK);
    const unsigned char *at = der.p;
    X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)der.n);
    assert_non_null(algorithm);
    assert_ptr_equal(at, der.p + der.n);
    const ASN1_OBJECT *oid = NULL;
    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    int nid = OBJ_obj2nid(oid);
    X509_ALGOR_free(algorithm);
    chy_buf_done(&der);
    return nid;
}

static void test_algorithm_write__all(void **state)
{
    (void)state;
    static const struct {
        enum chy_door_scheme scheme;
        int nids[3];
    } rows[] = {
        { CHY_DOOR_RSA_PKCS1,
          { NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption,
            NID_sha512WithRSAEncryption } },
        { CHY_DOOR_RSA_PSS, { NID_rsassaPss, NID_rsassaPss, NID_rsassaPss } },
        { CHY_DOOR_ECDSA, { NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512 } },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        for (int h = 0; h < 3; h++)
            assert_int_equal(
                signature_nid(rows[i].scheme, (enum chy_hash_alg)(CHY_HASH_SHA256 + h)),
                rows[i].nids[h]);
    assert_int_equal(signature_nid(CHY_DOOR_ED25519, CHY_HASH_NONE), NID_ED25519);
}

static void test_algorithm_write__without_a_hash(void **state)
{
    (void)state;
    struct chy_buf der;
    chy_buf_init(&der, CHY_PROV_ALGORITHM_MAX);
    assert_int_equal(chy_prov_algorithm_write(CHY_DOOR_ECDSA, CHY_HASH_NONE, &der, NULL),
                     CHY_E_UNSUPPORTED);
    chy_buf_done(&der);
}

static void test_hash_of__names(void **state)
{
    (void)state;
    enum chy_hash_alg hash = CHY_HASH_NONE;
    assert_int_equal(chy_prov_hash_of("sha2-512", &hash, NULL), CHY_OK);
    assert_int_equal(hash, CHY_HASH_SHA512);
    assert_int_equal(chy_prov_hash_of("SHA1", &hash, NULL), CHY_E_UNSUPPORTED);
    assert_string_equal(chy_prov_hash_name(CHY_HASH_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_of_rsa__limits),
        cmocka_unit_test(test_key_of_point__lengths),
        cmocka_unit_test(test_algorithm_write__all),
        cmocka_unit_test(test_algorithm_write__without_a_hash),
        cmocka_unit_test(test_hash_of__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
