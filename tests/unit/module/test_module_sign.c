/* SPDX-License-Identifier: MIT */
/* Signatures, verifications and digests through the module as a tool loads it, held against
 * OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/limits.h"
#include "module_fixture.h"

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    module_open();
    return 0;
}

/* A mechanism, a key for it, and how OpenSSL calls it. */
static const struct row {
    CK_MECHANISM_TYPE type;
    const CK_RSA_PKCS_PSS_PARAMS *pss;
    const char *key;
    const char *digest;
    CK_ULONG signature_bytes;
} rows[] = {
    { CKM_SHA256_RSA_PKCS, NULL, "rsa-2048", "SHA256", 256 },
    { CKM_SHA384_RSA_PKCS, NULL, "rsa-2048", "SHA384", 256 },
    { CKM_SHA512_RSA_PKCS, NULL, "rsa-3072", "SHA512", 384 },
    { CKM_SHA256_RSA_PKCS_PSS, &pss_256, "rsa-2048", "SHA256", 256 },
    { CKM_SHA384_RSA_PKCS_PSS, &pss_384, "rsa-3072", "SHA384", 384 },
    { CKM_SHA512_RSA_PKCS_PSS, &pss_512, "rsa-2048", "SHA512", 256 },
    { CKM_ECDSA_SHA256, NULL, "p256", "SHA256", 64 },
    { CKM_ECDSA_SHA384, NULL, "p384", "SHA384", 96 },
    { CKM_ECDSA_SHA512, NULL, "p521", "SHA512", 132 },
    { CKM_ECDSA_SHA256, NULL, "p521", "SHA256", 132 },
    { CKM_EDDSA, NULL, "ed25519", NULL, 64 },
};

static CK_MECHANISM mechanism_of(const struct row *row)
{
    return (CK_MECHANISM){ row->type, (void *)(uintptr_t)row->pss,
                           row->pss != NULL ? sizeof *row->pss : 0 };
}

static CK_RV verify(CK_MECHANISM *mechanism, const char *label, struct chy_bytes data,
                    const struct signature *s)
{
    CK_RV rv = fx.f->C_VerifyInit(fx.session, mechanism, object_find(CKO_PUBLIC_KEY, label));
    if (rv != CKR_OK)
        return rv;
    return fx.f->C_Verify(fx.session, (CK_BYTE *)(uintptr_t)data.p, data.n,
                          (CK_BYTE *)(uintptr_t)s->bytes, s->n);
}

static void test_sign__each_mechanism(void **state)
{
    (void)state;
    struct chy_bytes data = chy_str_bytes(CHY_STR("the bytes of an artifact"));
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct signature s;
        CK_MECHANISM m = mechanism_of(&rows[i]);
        assert_rv(sign_with(&m, object_find(CKO_PRIVATE_KEY, rows[i].key), data, &s), CKR_OK);
        assert_int_equal(s.n, rows[i].signature_bytes);
        assert_true(is_good(rows[i].key, rows[i].digest, rows[i].pss != NULL, false, data, &s));
        assert_rv(verify(&m, rows[i].key, data, &s), CKR_OK);
        s.bytes[s.n - 1] ^= 1;
        assert_rv(verify(&m, rows[i].key, data, &s), CKR_SIGNATURE_INVALID);
        s.n--;
        assert_rv(verify(&m, rows[i].key, data, &s), CKR_SIGNATURE_LEN_RANGE);
    }
}

static CK_BYTE big[3 * CHY_LIMIT_DOOR_PART + 5];

static void big_fill(void)
{
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (CK_BYTE)(i * 7 + i / 251);
}

static struct chy_bytes big_bytes(size_t n)
{
    return (struct chy_bytes){ big, n };
}

/* At the limit the message itself goes along, past it only what the agent hashes of it. */
static void test_sign__messages_of_any_length(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0,
                                      1,
                                      CHY_LIMIT_CONTENT,
                                      CHY_LIMIT_CONTENT + 1,
                                      CHY_LIMIT_DOOR_PART,
                                      CHY_LIMIT_DOOR_PART + 1,
                                      sizeof big };
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    big_fill();
    for (size_t i = 0; i < CHY_ARRAY_LEN(lengths); i++) {
        struct signature s;
        log_clear();
        assert_rv(sign_with(&m, key, big_bytes(lengths[i]), &s), CKR_OK);
        assert_int_equal(log_count("sign-stream"), lengths[i] > CHY_LIMIT_CONTENT);
        assert_int_equal(log_count("sign"), 1);
        assert_true(is_good("p256", "SHA256", false, false, big_bytes(lengths[i]), &s));
        assert_rv(verify(&m, "p256", big_bytes(lengths[i]), &s), CKR_OK);
        s.bytes[0] ^= 1;
        assert_rv(verify(&m, "p256", big_bytes(lengths[i]), &s), CKR_SIGNATURE_INVALID);
    }
}

static CK_RV sign_parts(CK_MECHANISM *m, CK_OBJECT_HANDLE key, size_t n, size_t part,
                        struct signature *s)
{
    CK_RV rv = fx.f->C_SignInit(fx.session, m, key);
    for (size_t at = 0; rv == CKR_OK && at < n; at += part)
        rv = fx.f->C_SignUpdate(fx.session, big + at, CHY_MIN(part, n - at));
    s->n = sizeof s->bytes;
    return rv == CKR_OK ? fx.f->C_SignFinal(fx.session, s->bytes, &s->n) : rv;
}

static CK_RV verify_parts(CK_MECHANISM *m, const char *key, size_t n, size_t part,
                          struct signature *s)
{
    CK_RV rv = fx.f->C_VerifyInit(fx.session, m, object_find(CKO_PUBLIC_KEY, key));
    for (size_t at = 0; rv == CKR_OK && at < n; at += part)
        rv = fx.f->C_VerifyUpdate(fx.session, big + at, CHY_MIN(part, n - at));
    return rv == CKR_OK ? fx.f->C_VerifyFinal(fx.session, s->bytes, s->n) : rv;
}

static void test_sign__in_parts(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        size_t part;
    } cases[] = { { 0, 1 },
                  { 10, 3 },
                  { CHY_LIMIT_CONTENT, 1000 },
                  { CHY_LIMIT_CONTENT + 1, CHY_LIMIT_CONTENT },
                  { 300000, 999 },
                  { sizeof big, CHY_LIMIT_DOOR_PART + 1 } };
    big_fill();
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct signature s;
        CK_MECHANISM m = { CKM_SHA384_RSA_PKCS_PSS, PSS(pss_384) };
        size_t n = cases[i].n;
        assert_rv(sign_parts(&m, object_find(CKO_PRIVATE_KEY, "rsa-2048"), n, cases[i].part, &s),
                  CKR_OK);
        assert_true(is_good("rsa-2048", "SHA384", true, false, big_bytes(n), &s));
        assert_rv(verify_parts(&m, "rsa-2048", n, cases[i].part, &s), CKR_OK);
        s.bytes[9] ^= 1;
        assert_rv(verify_parts(&m, "rsa-2048", n, cases[i].part, &s), CKR_SIGNATURE_INVALID);
    }
}

/* Tools digest themselves and hand over what PKCS#1 or the curve signs. */
static void test_sign__digests(void **state)
{
    (void)state;
    static const CK_BYTE info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    CK_BYTE pkcs1[sizeof info + 32];
    CK_BYTE digest[64];
    struct signature s;
    CK_MECHANISM rsa = { CKM_RSA_PKCS, NULL, 0 };
    CK_MECHANISM pss = { CKM_RSA_PKCS_PSS, PSS(pss_256) };
    CK_MECHANISM ec = { CKM_ECDSA, NULL, 0 };
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (CK_BYTE)i;
    memcpy(pkcs1, info, sizeof info);
    memcpy(pkcs1 + sizeof info, digest, 32);
    struct chy_bytes d = { digest, 32 };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    assert_rv(sign_with(&rsa, key, (struct chy_bytes){ pkcs1, sizeof pkcs1 }, &s), CKR_OK);
    assert_true(is_good("rsa-2048", "SHA256", false, true, d, &s));
    assert_rv(sign_with(&pss, key, d, &s), CKR_OK);
    assert_true(is_good("rsa-2048", "SHA256", true, true, d, &s));
    key = object_find(CKO_PRIVATE_KEY, "p256");
    static const char *const names[] = { "SHA256", "SHA384", "SHA512" };
    for (size_t i = 0; i < 3; i++) {
        d.n = 32 + 16 * i;
        assert_rv(sign_with(&ec, key, d, &s), CKR_OK);
        assert_true(is_good("p256", names[i], false, true, d, &s));
        assert_rv(verify(&ec, "p256", d, &s), CKR_OK);
    }
}

static void test_sign__data_of_the_wrong_length(void **state)
{
    (void)state;
    CK_MECHANISM pss = { CKM_RSA_PKCS_PSS, PSS(pss_256) };
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *key;
        size_t good;
        size_t bad;
    } cases[] = { { CKM_RSA_PKCS, "rsa-2048", 245, 246 },
                  { CKM_ECDSA, "p256", 32, 31 },
                  { CKM_ECDSA, "p521", 64, 65 },
                  { CKM_ECDSA, "p384", 48, 20 },
                  { CKM_EDDSA, "ed25519", CHY_LIMIT_CONTENT, CHY_LIMIT_CONTENT + 1 } };
    struct signature s;
    big_fill();
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        CK_MECHANISM m = { cases[i].type, NULL, 0 };
        CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, cases[i].key);
        assert_rv(sign_with(&m, key, big_bytes(cases[i].good), &s), CKR_OK);
        assert_rv(sign_with(&m, key, big_bytes(cases[i].bad), &s), CKR_DATA_LEN_RANGE);
        assert_rv(sign_parts(&m, key, cases[i].good, 7, &s), CKR_OK);
        assert_rv(sign_parts(&m, key, cases[i].bad, 7, &s), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, &s.n), CKR_OPERATION_NOT_INITIALIZED);
    }
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    assert_rv(sign_with(&pss, key, big_bytes(31), &s), CKR_DATA_LEN_RANGE);
    assert_rv(sign_with(&pss, key, big_bytes(48), &s), CKR_DATA_LEN_RANGE);
}

static void test_sign_init__wrong_key_or_mechanism(void **state)
{
    (void)state;
    CK_RSA_PKCS_PSS_PARAMS sha1 = { 0x220, 1, 20 };
    CK_RSA_PKCS_PSS_PARAMS other_mgf = { CKM_SHA256, CKG_MGF1_SHA384, 32 };
    CK_RSA_PKCS_PSS_PARAMS short_salt = { CKM_SHA256, CKG_MGF1_SHA256, 20 };
    CK_BYTE context[16] = { 0 };
    const struct {
        CK_MECHANISM m;
        const char *key;
        CK_RV wanted;
    } cases[] = {
        { { CKM_ECDSA, NULL, 0 }, "rsa-2048", CKR_KEY_TYPE_INCONSISTENT },
        { { CKM_RSA_PKCS, NULL, 0 }, "p256", CKR_KEY_TYPE_INCONSISTENT },
        { { CKM_EDDSA, NULL, 0 }, "p256", CKR_KEY_TYPE_INCONSISTENT },
        { { CKM_SHA256, NULL, 0 }, "p256", CKR_MECHANISM_INVALID },
        { { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, "p256", CKR_MECHANISM_INVALID },
        { { CKM_ECDSA, context, 1 }, "p256", CKR_MECHANISM_PARAM_INVALID },
        { { CKM_EDDSA, context, sizeof context }, "ed25519", CKR_MECHANISM_PARAM_INVALID },
        { { CKM_RSA_PKCS_PSS, PSS(sha1) }, "rsa-2048", CKR_MECHANISM_PARAM_INVALID },
        { { CKM_RSA_PKCS_PSS, PSS(other_mgf) }, "rsa-2048", CKR_MECHANISM_PARAM_INVALID },
        { { CKM_RSA_PKCS_PSS, PSS(short_salt) }, "rsa-2048", CKR_MECHANISM_PARAM_INVALID },
        { { CKM_SHA384_RSA_PKCS_PSS, PSS(pss_256) }, "rsa-2048", CKR_MECHANISM_PARAM_INVALID },
    };
    struct signature s;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        CK_MECHANISM m = cases[i].m;
        CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, cases[i].key);
        assert_rv(sign_with(&m, key, chy_str_bytes(CHY_STR("x")), &s), cases[i].wanted);
    }
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE public_key = object_find(CKO_PUBLIC_KEY, "p256");
    CK_OBJECT_HANDLE private_key = object_find(CKO_PRIVATE_KEY, "p256");
    CK_OBJECT_HANDLE certificate = object_find(CKO_CERTIFICATE, "p256");
    assert_rv(fx.f->C_SignInit(fx.session, &m, public_key), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_rv(fx.f->C_VerifyInit(fx.session, &m, private_key), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_rv(fx.f->C_SignInit(fx.session, &m, certificate), CKR_KEY_HANDLE_INVALID);
    assert_rv(fx.f->C_SignInit(fx.session, &m, 0), CKR_KEY_HANDLE_INVALID);
    assert_rv(fx.f->C_SignInit(fx.session, &m, ~0UL), CKR_KEY_HANDLE_INVALID);
}

/* Asked for the length, the module does not ask the agent: no signature is made for it. */
static void test_sign__length_and_short_buffer(void **state)
{
    (void)state;
    CK_BYTE data[] = "x";
    struct signature s = { .n = 0 };
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p521");
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_Sign(fx.session, data, 1, NULL, &s.n), CKR_OK);
    assert_int_equal(s.n, 132);
    s.n = 131;
    assert_rv(fx.f->C_Sign(fx.session, data, 1, s.bytes, &s.n), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(s.n, 132);
    assert_int_equal(log_count("sign"), 0);
    assert_rv(fx.f->C_Sign(fx.session, data, 1, s.bytes, &s.n), CKR_OK);
    assert_int_equal(log_count("sign"), 1);
    assert_true(is_good("p521", "SHA256", false, false, (struct chy_bytes){ data, 1 }, &s));
    assert_rv(fx.f->C_Sign(fx.session, data, 1, s.bytes, &s.n), CKR_OPERATION_NOT_INITIALIZED);

    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SignUpdate(fx.session, data, 1), CKR_OK);
    assert_rv(fx.f->C_SignFinal(fx.session, NULL, &s.n), CKR_OK);
    s.n = 1;
    assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, &s.n), CKR_BUFFER_TOO_SMALL);
    assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, &s.n), CKR_OK);
    assert_true(is_good("p521", "SHA256", false, false, (struct chy_bytes){ data, 1 }, &s));
}

static void test_sign__wrong_order(void **state)
{
    (void)state;
    CK_BYTE data[] = "x";
    struct signature s = { .n = sizeof s.bytes };
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    CK_OBJECT_HANDLE public_key = object_find(CKO_PUBLIC_KEY, "p256");
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OPERATION_ACTIVE);
    assert_rv(fx.f->C_SignUpdate(fx.session, data, 1), CKR_OK);
    assert_rv(fx.f->C_Sign(fx.session, data, 1, s.bytes, &s.n), CKR_OPERATION_ACTIVE);
    assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, &s.n), CKR_OPERATION_NOT_INITIALIZED);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_Sign(fx.session, data, 1, s.bytes, NULL), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_Sign(fx.session, NULL, 1, s.bytes, &s.n), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SignUpdate(fx.session, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, NULL), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_VerifyInit(fx.session, &m, public_key), CKR_OK);
    assert_rv(fx.f->C_Verify(fx.session, data, 1, NULL, 64), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_VerifyInit(fx.session, &m, public_key), CKR_OK);
    assert_rv(fx.f->C_VerifyUpdate(fx.session, data, 1), CKR_OK);
    assert_rv(fx.f->C_Verify(fx.session, data, 1, s.bytes, 64), CKR_OPERATION_ACTIVE);
    assert_int_equal(log_count("sign") + log_count("verify"), 0);
}

static void test_sign__is_cancelled(void **state)
{
    (void)state;
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_Login(fx.session, CKU_CONTEXT_SPECIFIC, NULL, 0), CKR_OK);
    assert_rv(fx.f->C_SignInit(fx.session, NULL, 0), CKR_OK);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SessionCancel(fx.session, CKF_SIGN | CKF_DIGEST | CKF_FIND_OBJECTS), CKR_OK);
    assert_rv(fx.f->C_SignUpdate(fx.session, NULL, 0), CKR_OPERATION_NOT_INITIALIZED);
    /* Half a stream too: the agent forgets it, or it would have no room for the next. */
    big_fill();
    for (int i = 0; i < 20; i++) {
        assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
        assert_rv(fx.f->C_SignUpdate(fx.session, big, CHY_LIMIT_CONTENT + 1), CKR_OK);
        assert_rv(fx.f->C_SessionCancel(fx.session, CKF_SIGN), CKR_OK);
    }
}

/* Two sessions stream at once, and others sign meanwhile. */
static void test_sign__streams_side_by_side(void **state)
{
    (void)state;
    CK_SESSION_HANDLE other;
    struct signature s = { .n = sizeof s.bytes };
    struct signature t = { .n = sizeof t.bytes };
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_MECHANISM d = { CKM_SHA512, NULL, 0 };
    CK_BYTE digest[64];
    CK_ULONG n = sizeof digest;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    big_fill();
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &other), CKR_OK);
    assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_OK);
    assert_rv(fx.f->C_SignInit(other, &m, key), CKR_OK);
    assert_rv(fx.f->C_DigestInit(other, &d), CKR_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_rv(fx.f->C_SignUpdate(fx.session, big + i * 100000, 100000), CKR_OK);
        assert_rv(fx.f->C_SignUpdate(other, big, 70000), CKR_OK);
        assert_rv(fx.f->C_DigestUpdate(other, big, 70000), CKR_OK);
    }
    assert_rv(fx.f->C_DigestFinal(other, digest, &n), CKR_OK);
    assert_rv(fx.f->C_SignFinal(other, t.bytes, &t.n), CKR_OK);
    assert_rv(fx.f->C_SignFinal(fx.session, s.bytes, &s.n), CKR_OK);
    assert_true(is_good("p256", "SHA256", false, false, big_bytes(300000), &s));
    assert_int_equal(log_count("hello"), 1);
}

static void test_digest__each_mechanism_and_length(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *name;
    } hashes[] = { { CKM_SHA256, "SHA256" }, { CKM_SHA384, "SHA384" }, { CKM_SHA512, "SHA512" } };
    static const size_t lengths[] = { 0, 1, CHY_LIMIT_CONTENT, CHY_LIMIT_CONTENT + 1, sizeof big };
    big_fill();
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++)
        for (size_t k = 0; k < CHY_ARRAY_LEN(lengths); k++) {
            CK_MECHANISM m = { hashes[i].type, NULL, 0 };
            CK_BYTE whole[64];
            CK_BYTE parts[64];
            unsigned char wanted[EVP_MAX_MD_SIZE];
            CK_ULONG n = sizeof whole;
            size_t wanted_n = 0;
            assert_rv(fx.f->C_DigestInit(fx.session, &m), CKR_OK);
            assert_rv(fx.f->C_Digest(fx.session, big, lengths[k], whole, &n), CKR_OK);
            EVP_Q_digest(NULL, hashes[i].name, NULL, big, lengths[k], wanted, &wanted_n);
            assert_int_equal(n, wanted_n);
            assert_memory_equal(whole, wanted, n);
            assert_rv(fx.f->C_DigestInit(fx.session, &m), CKR_OK);
            for (size_t at = 0; at < lengths[k]; at += 9999)
                assert_rv(fx.f->C_DigestUpdate(fx.session, big + at,
                                               CHY_MIN((size_t)9999, lengths[k] - at)),
                          CKR_OK);
            assert_rv(fx.f->C_DigestFinal(fx.session, parts, &n), CKR_OK);
            assert_memory_equal(parts, wanted, n);
        }
}

static void test_digest__length_and_wrong_use(void **state)
{
    (void)state;
    CK_MECHANISM m = { CKM_SHA384, NULL, 0 };
    CK_MECHANISM signs = { CKM_ECDSA, NULL, 0 };
    CK_BYTE out[48];
    CK_ULONG n = 0;
    assert_rv(fx.f->C_DigestInit(fx.session, &signs), CKR_MECHANISM_INVALID);
    assert_rv(fx.f->C_DigestInit(fx.session, &m), CKR_OK);
    assert_rv(fx.f->C_DigestInit(fx.session, &m), CKR_OPERATION_ACTIVE);
    assert_rv(fx.f->C_Digest(fx.session, out, 1, NULL, &n), CKR_OK);
    assert_int_equal(n, 48);
    n = 47;
    assert_rv(fx.f->C_Digest(fx.session, out, 1, out, &n), CKR_BUFFER_TOO_SMALL);
    assert_rv(fx.f->C_Digest(fx.session, out, 1, out, &n), CKR_OK);
    assert_rv(fx.f->C_DigestFinal(fx.session, out, &n), CKR_OPERATION_NOT_INITIALIZED);
    assert_rv(fx.f->C_DigestInit(fx.session, &m), CKR_OK);
    assert_rv(fx.f->C_DigestKey(fx.session, 1), CKR_FUNCTION_NOT_SUPPORTED);
    assert_rv(fx.f->C_DigestFinal(fx.session, out, NULL), CKR_ARGUMENTS_BAD);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sign__each_mechanism),
        T(test_sign__messages_of_any_length),
        T(test_sign__in_parts),
        T(test_sign__digests),
        T(test_sign__data_of_the_wrong_length),
        T(test_sign_init__wrong_key_or_mechanism),
        T(test_sign__length_and_short_buffer),
        T(test_sign__wrong_order),
        T(test_sign__is_cancelled),
        T(test_sign__streams_side_by_side),
        T(test_digest__each_mechanism_and_length),
        T(test_digest__length_and_wrong_use),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
