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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sign__each_mechanism),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
