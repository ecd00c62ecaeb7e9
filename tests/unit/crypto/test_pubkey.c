/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/der.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "key_fixture.h"
#include "proto/digest_info.h"

static int group_teardown(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

/* PKCS#1 v1.5 of a digest is PKCS#1 v1.5 of the bytes of its DigestInfo, and of no others. */
static void test_pubkey_verify__raw_bytes_in_the_padding(void **state)
{
    (void)state;
    const struct chy_bytes message = chy_str_bytes(CHY_STR("to be signed"));
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_RSA_4096; type++) {
        const struct chy_pubkey *pub = chy_privkey_public(fixture_key_of(type));
        uint8_t in[CHY_DIGEST_INFO_HEAD_BYTES + CHY_HASH_BYTES + 1] = { 0 };
        struct chy_buf sig;
        chy_buf_init(&sig, 1024);
        assert_int_equal(
            chy_privkey_sign(fixture_key_of(type), CHY_ALG_RSA_PKCS1_SHA256, message, &sig, NULL),
            CHY_OK);
        memcpy(in, chy_digest_info_head(CHY_HASH_SHA256).p, CHY_DIGEST_INFO_HEAD_BYTES);
        assert_int_equal(chy_sha256(message, in + CHY_DIGEST_INFO_HEAD_BYTES, NULL), CHY_OK);
        struct chy_bytes bytes = { in, sizeof in - 1 };
#define VERIFY(b) \
    chy_pubkey_verify(pub, CHY_ALG_RSA_PKCS1_RAW, CHY_SIGNATURE_RAW, (b), chy_buf_bytes(&sig), NULL)
        assert_int_equal(VERIFY(bytes), CHY_OK);
        bytes.n--;
        assert_int_equal(VERIFY(bytes), CHY_E_INTEGRITY);
        bytes.n += 2;
        assert_int_equal(VERIFY(bytes), CHY_E_INTEGRITY);
        bytes.n = 0;
        assert_int_equal(VERIFY(bytes), CHY_E_INTEGRITY);
        bytes.n = sizeof in - 1;
        in[20] ^= 1;
        assert_int_equal(VERIFY(bytes), CHY_E_INTEGRITY);
        chy_buf_clear(&sig);
        assert_int_equal(
            chy_privkey_sign(fixture_key_of(type), CHY_ALG_RSA_PKCS1_RAW, bytes, &sig, NULL),
            CHY_E_ARG);
        chy_buf_done(&sig);
    }
}

/* Every algorithm with every kind of key: where it fits, a signature verifies in each form, and no
 * changed one does; where not, it is refused. */
static void test_pubkey__signs_and_verifies(void **state)
{
    (void)state;
    const struct chy_bytes message = chy_str_bytes(CHY_STR("to be signed"));
    const struct chy_bytes other = chy_str_bytes(CHY_STR("to be signee"));
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_ED25519; type++) {
        const struct chy_privkey *k = fixture_key_of(type);
        const struct chy_pubkey *pub = chy_privkey_public(k);
        assert_int_equal(chy_pubkey_type(pub), type);
        size_t n_fits = 0;
        for (enum chy_sign_alg alg = CHY_ALG_RSA_PKCS1_SHA256; alg <= CHY_ALG_ED25519; alg++) {
            struct chy_buf sig;
            chy_buf_init(&sig, 1024);
            enum chy_err r = chy_privkey_sign(k, alg, message, &sig, NULL);
            if (!chy_sign_alg_fits(alg, type)) {
                assert_int_equal(r, CHY_E_ARG);
                assert_int_equal(
                    chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, message, message, NULL),
                    CHY_E_ARG);
                chy_buf_done(&sig);
                continue;
            }
            n_fits++;
            assert_int_equal(r, CHY_OK);
            const struct chy_bytes s = chy_buf_bytes(&sig);
            assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, message, s, NULL),
                             CHY_OK);
            assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, other, s, NULL),
                             CHY_E_INTEGRITY);
            const struct chy_bytes cut = { s.p, s.n - 1 };
            assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, message, cut, NULL),
                             CHY_E_INTEGRITY);
            if (chy_key_type_order_bytes(type) > 0) {
                assert_int_equal(s.n, 2 * chy_key_type_order_bytes(type));
                struct chy_buf der;
                chy_buf_init(&der, 160);
                assert_int_equal(chy_ecdsa_to_der(s, &der, NULL), CHY_OK);
                assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_DER, message,
                                                   chy_buf_bytes(&der), NULL),
                                 CHY_OK);
                assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, message,
                                                   chy_buf_bytes(&der), NULL),
                                 CHY_E_INTEGRITY);
                assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_DER, message, s, NULL),
                                 CHY_E_INTEGRITY);
                chy_buf_done(&der);
            }
            for (size_t i = 0; i < sig.n; i += 7) {
                sig.p[i] ^= 0x20;
                assert_int_equal(chy_pubkey_verify(pub, alg, CHY_SIGNATURE_RAW, message, s, NULL),
                                 CHY_E_INTEGRITY);
                sig.p[i] ^= 0x20;
            }
            chy_buf_done(&sig);
        }
        assert_true(n_fits >= 1);
    }
}

static void test_pubkey_verify_digest__wants_the_right_length(void **state)
{
    (void)state;
    const struct chy_privkey *k = fixture_key_of(CHY_KEY_P256);
    struct chy_buf sig;
    chy_buf_init(&sig, 1024);
    assert_int_equal(
        chy_privkey_sign(k, CHY_ALG_ECDSA_SHA256, chy_str_bytes(CHY_STR("m")), &sig, NULL), CHY_OK);
    uint8_t digest[64];
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("m")), digest, NULL), CHY_OK);
    for (size_t n = 31; n <= 33; n++)
        assert_int_equal(
            chy_pubkey_verify_digest(chy_privkey_public(k), CHY_ALG_ECDSA_SHA256, CHY_SIGNATURE_RAW,
                                     (struct chy_bytes){ digest, n }, chy_buf_bytes(&sig), NULL),
            n == 32 ? CHY_OK : CHY_E_ARG);
    memset(sig.p, 0, sig.n);
    assert_int_equal(chy_pubkey_verify_digest(chy_privkey_public(k), CHY_ALG_ECDSA_SHA256,
                                              CHY_SIGNATURE_RAW, (struct chy_bytes){ digest, 32 },
                                              chy_buf_bytes(&sig), NULL),
                     CHY_E_INTEGRITY);
    chy_buf_done(&sig);
}

static void test_pubkey_from_spki__any_cut_or_tail_is_refused(void **state)
{
    (void)state;
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_ED25519; type++) {
        struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(type)));
        struct chy_buf b;
        struct chy_pubkey *k = NULL;
        uint8_t hash[32];
        chy_buf_init(&b, CHY_LIMIT_PUBLIC_KEY + 1);
        assert_true(chy_buf_append(&b, spki));
        assert_int_equal(chy_pubkey_from_spki(chy_buf_bytes(&b), &k, NULL), CHY_OK);
        assert_int_equal(chy_sha256(spki, hash, NULL), CHY_OK);
        assert_memory_equal(chy_pubkey_hash(k), hash, 32);
        assert_true(chy_bytes_equal(chy_pubkey_spki(k), spki));
        chy_pubkey_free(k);
        for (size_t n = 0; n < spki.n; n++)
            assert_int_equal(chy_pubkey_from_spki((struct chy_bytes){ b.p, n }, &k, NULL),
                             CHY_E_MALFORMED);
        assert_true(chy_buf_append_u8(&b, 0));
        assert_int_equal(chy_pubkey_from_spki(chy_buf_bytes(&b), &k, NULL), CHY_E_MALFORMED);
        chy_buf_done(&b);
    }
    static uint8_t big[CHY_LIMIT_PUBLIC_KEY + 1];
    struct chy_pubkey *k = NULL;
    assert_int_equal(chy_pubkey_from_spki((struct chy_bytes){ big, sizeof big }, &k, NULL),
                     CHY_E_LIMIT);
}

static void refuse_evp(EVP_PKEY *evp, enum chy_err expected)
{
    struct chy_buf spki = fixture_spki(evp);
    struct chy_pubkey *k = NULL;
    assert_int_equal(chy_pubkey_from_spki(chy_buf_bytes(&spki), &k, NULL), expected);
    assert_null(k);
    chy_buf_done(&spki);
    EVP_PKEY_free(evp);
}

static EVP_PKEY *rsa_with_exponent(unsigned exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;
    assert_int_equal(BN_set_word(e, exponent), 1);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void test_pubkey_from_spki__refuses_other_kinds(void **state)
{
    (void)state;
    refuse_evp(fixture_evp("RSA", "1024"), CHY_E_UNSUPPORTED);
    refuse_evp(rsa_with_exponent(3), CHY_E_UNSUPPORTED);
    refuse_evp(fixture_evp("EC", "secp256k1"), CHY_E_UNSUPPORTED);
    refuse_evp(fixture_evp("EC", "P-224"), CHY_E_UNSUPPORTED);
    refuse_evp(fixture_evp("ED448", NULL), CHY_E_UNSUPPORTED);
    refuse_evp(fixture_evp("X25519", NULL), CHY_E_UNSUPPORTED);
    EVP_PKEY *compressed = fixture_evp("EC", "P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(
                         compressed, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
                     1);
    refuse_evp(compressed, CHY_E_MALFORMED);
    EVP_PKEY *explicit = fixture_evp("EC", "P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit, OSSL_PKEY_PARAM_EC_ENCODING,
                                                    OSSL_PKEY_EC_ENCODING_EXPLICIT),
                     1);
    refuse_evp(explicit, CHY_E_UNSUPPORTED);
}

static void test_pubkey_from_spki__point_must_be_on_the_curve(void **state)
{
    (void)state;
    struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_P256)));
    uint8_t copy[128];
    struct chy_pubkey *k = NULL;
    memcpy(copy, spki.p, spki.n);
    copy[spki.n - 1] ^= 1;
    assert_int_equal(chy_pubkey_from_spki((struct chy_bytes){ copy, spki.n }, &k, NULL),
                     CHY_E_MALFORMED);
}

/* What a token says of the key gives the same SubjectPublicKeyInfo. */
static void same_key(struct chy_pubkey *k, const struct chy_pubkey *expected)
{
    assert_true(chy_bytes_equal(chy_pubkey_spki(k), chy_pubkey_spki(expected)));
    chy_pubkey_free(k);
}

static struct chy_bytes key_bits(const struct chy_pubkey *k, struct chy_bytes *ret_params)
{
    struct chy_bytes in = chy_pubkey_spki(k);
    struct chy_bytes seq;
    struct chy_bytes alg;
    struct chy_bytes oid;
    struct chy_bytes bits;
    assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &seq, NULL), CHY_OK);
    assert_int_equal(chy_der_take(&seq, CHY_DER_SEQUENCE, &alg, NULL), CHY_OK);
    assert_int_equal(chy_der_take_oid(&alg, &oid, NULL), CHY_OK);
    assert_int_equal(chy_der_take_bits(&seq, &bits, NULL), CHY_OK);
    *ret_params = alg;
    return bits;
}

static void test_pubkey__from_pkcs11_attributes(void **state)
{
    (void)state;
    struct chy_pubkey *k = NULL;
    struct chy_bytes params;
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_RSA_4096; type++) {
        const struct chy_pubkey *key = chy_privkey_public(fixture_key_of(type));
        struct chy_bytes seq;
        struct chy_bytes modulus;
        struct chy_bytes exponent;
        struct chy_bytes bits = key_bits(key, &params);
        assert_int_equal(chy_der_take(&bits, CHY_DER_SEQUENCE, &seq, NULL), CHY_OK);
        assert_int_equal(chy_der_take_uint(&seq, &modulus, NULL), CHY_OK);
        assert_int_equal(chy_der_take_uint(&seq, &exponent, NULL), CHY_OK);
        assert_int_equal(chy_pubkey_from_rsa(modulus, exponent, &k, NULL), CHY_OK);
        same_key(k, key);
    }
    for (enum chy_key_type type = CHY_KEY_P256; type <= CHY_KEY_ED25519; type++) {
        const struct chy_pubkey *key = chy_privkey_public(fixture_key_of(type));
        struct chy_bytes point = key_bits(key, &params);
        struct chy_buf wrapped;
        struct chy_der_writer w;
        chy_buf_init(&wrapped, 256);
        chy_der_writer_init(&w, &wrapped);
        chy_der_put(&w, CHY_DER_OCTET_STRING, point);
        const struct chy_bytes forms[] = { point, chy_buf_bytes(&wrapped) };
        for (size_t i = 0; i < CHY_ARRAY_LEN(forms); i++) {
            enum chy_err r = type == CHY_KEY_ED25519
                                 ? chy_pubkey_from_ed25519(forms[i], &k, NULL)
                                 : chy_pubkey_from_ec(params, forms[i], &k, NULL);
            assert_int_equal(r, CHY_OK);
            same_key(k, key);
        }
        const struct chy_bytes cut = { point.p, point.n - 1 };
        enum chy_err r = type == CHY_KEY_ED25519 ? chy_pubkey_from_ed25519(cut, &k, NULL)
                                                 : chy_pubkey_from_ec(params, cut, &k, NULL);
        assert_int_equal(r, CHY_E_MALFORMED);
        chy_buf_done(&wrapped);
    }
    static const uint8_t secp256k1[] = { 6, 5, 0x2b, 0x81, 4, 0, 10 };
    assert_int_equal(
        chy_pubkey_from_ec((struct chy_bytes){ secp256k1, sizeof secp256k1 }, params, &k, NULL),
        CHY_E_UNSUPPORTED);
}

static void test_pubkey__memory_that_fails(void **state)
{
    (void)state;
    struct chy_bytes params;
    const struct chy_pubkey *key = chy_privkey_public(fixture_key_of(CHY_KEY_P256));
    struct chy_bytes point = key_bits(key, &params);
    for (size_t i = 0;; i++) {
        struct chy_pubkey *k = NULL;
        chy_mem_fail_after(i);
        enum chy_err r = chy_pubkey_from_ec(params, point, &k, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        chy_pubkey_free(k);
        if (!has_failed)
            break;
    }
    chy_pubkey_free(NULL);
}

/* RFC 8032 section 7.1, test 3. */
static void test_ed25519_verify__known_answer(void **state)
{
    (void)state;
    static const uint8_t key[] = { 0xfc, 0x51, 0xcd, 0x8e, 0x62, 0x18, 0xa1, 0xa3, 0x8d, 0xa4, 0x7e,
                                   0xd0, 0x02, 0x30, 0xf0, 0x58, 0x08, 0x16, 0xed, 0x13, 0xba, 0x33,
                                   0x03, 0xac, 0x5d, 0xeb, 0x91, 0x15, 0x48, 0x90, 0x80, 0x25 };
    static const uint8_t sig[] = { 0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6,
                                   0x9c, 0x3a, 0xbe, 0x01, 0xa3, 0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74,
                                   0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac, 0x18,
                                   0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60,
                                   0x98, 0x4d, 0xc6, 0x59, 0x4a, 0x7c, 0x15, 0xe9, 0x71, 0x6e, 0xd2,
                                   0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a };
    static const uint8_t message[] = { 0xaf, 0x82 };
    const struct chy_bytes s = { sig, sizeof sig };
    assert_int_equal(chy_ed25519_verify(key, (struct chy_bytes){ message, 2 }, s, NULL), CHY_OK);
    assert_int_equal(chy_ed25519_verify(key, (struct chy_bytes){ message, 1 }, s, NULL),
                     CHY_E_INTEGRITY);
    assert_int_equal(chy_ed25519_verify(key, (struct chy_bytes){ message, 2 },
                                        (struct chy_bytes){ sig, 63 }, NULL),
                     CHY_E_INTEGRITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pubkey__signs_and_verifies),
        cmocka_unit_test(test_pubkey_verify__raw_bytes_in_the_padding),
        cmocka_unit_test(test_pubkey_verify_digest__wants_the_right_length),
        cmocka_unit_test(test_pubkey_from_spki__any_cut_or_tail_is_refused),
        cmocka_unit_test(test_pubkey_from_spki__refuses_other_kinds),
        cmocka_unit_test(test_pubkey_from_spki__point_must_be_on_the_curve),
        cmocka_unit_test(test_pubkey__from_pkcs11_attributes),
        cmocka_unit_test(test_pubkey__memory_that_fails),
        cmocka_unit_test(test_ed25519_verify__known_answer),
    };
    return cmocka_run_group_tests_name("pubkey", tests, NULL, group_teardown);
}
