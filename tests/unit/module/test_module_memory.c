/* SPDX-License-Identifier: MIT */
/* Each allocation of the module fails in turn. The module is linked here, not loaded, so that its
 * allocator can be told to. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "module/entry.h"
#include "module_fixture.h"

#define STEPS_MAX 20000

static CK_BYTE message[] = "message";
static CK_BYTE big[CHY_LIMIT_CONTENT + 100];

static int setup(void **state)
{
    CK_INTERFACE *interface = NULL;
    CK_VERSION version = { 3, 0 };
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    assert_rv(C_GetInterface(NULL, &version, &interface, 0), CKR_OK);
    fx.f = interface->pFunctionList;
    return 0;
}

static int teardown(void **state)
{
    chy_mem_fail_after(SIZE_MAX);
    fx.f->C_Finalize(NULL);
    return fixture_teardown(state);
}

static CK_RV up(void)
{
    CK_RV rv = fx.f->C_Initialize(NULL);
    return rv == CKR_OK ? fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session) : rv;
}

static CK_RV find(CK_ATTRIBUTE *attrs, CK_ULONG n, CK_OBJECT_HANDLE *ret_object)
{
    CK_ULONG found = 0;
    CK_RV rv = fx.f->C_FindObjectsInit(fx.session, attrs, n);
    if (rv == CKR_OK)
        rv = fx.f->C_FindObjects(fx.session, ret_object, 1, &found);
    if (rv == CKR_OK)
        rv = fx.f->C_FindObjectsFinal(fx.session);
    return rv == CKR_OK && found != 1 ? CKR_GENERAL_ERROR : rv;
}

static CK_RV find_key(const char *label, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret_key)
{
    CK_ATTRIBUTE attrs[] = { { CKA_CLASS, &class, sizeof class },
                             { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) } };
    return find(attrs, 2, ret_key);
}

/* From nothing to a signature and back. */
static CK_RV run_sign(void)
{
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE key = 0;
    struct signature s = { .n = sizeof s.bytes };
    CK_RV rv = up();
    if (rv == CKR_OK)
        rv = find_key("p256", CKO_PRIVATE_KEY, &key);
    if (rv == CKR_OK)
        rv = fx.f->C_SignInit(fx.session, &m, key);
    if (rv == CKR_OK)
        rv = fx.f->C_Sign(fx.session, message, sizeof message, s.bytes, &s.n);
    return rv;
}

static CK_RV run_sign_parts(void)
{
    CK_MECHANISM m = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_OBJECT_HANDLE key = 0;
    struct signature s = { .n = sizeof s.bytes };
    CK_RV rv = up();
    if (rv == CKR_OK)
        rv = find_key("rsa-2048", CKO_PRIVATE_KEY, &key);
    if (rv == CKR_OK)
        rv = fx.f->C_SignInit(fx.session, &m, key);
    if (rv == CKR_OK)
        rv = fx.f->C_SignUpdate(fx.session, message, sizeof message);
    if (rv == CKR_OK)
        rv = fx.f->C_SignUpdate(fx.session, big, sizeof big);
    if (rv == CKR_OK)
        rv = fx.f->C_SignFinal(fx.session, s.bytes, &s.n);
    return rv;
}

/* All keys, the list once more, and one of its objects. */
static CK_RV run_find(void)
{
    CK_OBJECT_HANDLE first = 0;
    CK_OBJECT_HANDLE object = 0;
    CK_RV rv = up();
    if (rv == CKR_OK)
        rv = find(NULL, 0, &first);
    if (rv == CKR_OK)
        rv = find(NULL, 0, &object);
    if (rv == CKR_OK && object != first)
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        rv = find_key("Fake CA", CKO_CERTIFICATE, &object);
    return rv;
}

static CK_RV run_digest(void)
{
    CK_MECHANISM m = { CKM_SHA512, NULL, 0 };
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    CK_RV rv = up();
    if (rv == CKR_OK)
        rv = fx.f->C_DigestInit(fx.session, &m);
    if (rv == CKR_OK)
        rv = fx.f->C_Digest(fx.session, big, sizeof big, out, &n);
    return rv;
}

static CK_RV run_helper(void)
{
    CK_OBJECT_HANDLE key = 0;
    CK_RV rv = up();
    return rv == CKR_OK ? find_key("p256", CKO_PRIVATE_KEY, &key) : rv;
}

/* It ends with CKR_HOST_MEMORY, leaks nothing (the sanitizer tells), and works the next time. */
static void sweep(CK_RV (*run)(void))
{
    size_t n = 0;
    bool has_failed = true;
    for (; has_failed && n < STEPS_MAX; n++) {
        chy_mem_fail_after(n);
        CK_RV rv = run();
        has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_rv(rv, has_failed ? CKR_HOST_MEMORY : CKR_OK);
        rv = fx.f->C_Finalize(NULL);
        assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    assert_false(has_failed);
    assert_true(n > 10);
}

static void test_memory__of_a_signature(void **state)
{
    (void)state;
    sweep(run_sign);
}

static void test_memory__of_a_signature_in_parts(void **state)
{
    (void)state;
    sweep(run_sign_parts);
}

static void test_memory__of_finds(void **state)
{
    (void)state;
    sweep(run_find);
}

static void test_memory__of_a_digest(void **state)
{
    (void)state;
    sweep(run_digest);
}

static void test_memory__of_a_helper(void **state)
{
    (void)state;
    helper_use();
    sweep(run_helper);
}

/* The state that is left works on without C_Finalize too. */
static void test_memory__comes_back(void **state)
{
    (void)state;
    bool has_failed = true;
    assert_rv(up(), CKR_OK);
    for (size_t n = 0; has_failed && n < STEPS_MAX; n++) {
        CK_OBJECT_HANDLE object = 0;
        chy_mem_fail_after(n);
        CK_RV rv = find(NULL, 0, &object);
        has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_rv(rv, has_failed ? CKR_HOST_MEMORY : CKR_OK);
    }
    CK_OBJECT_HANDLE all[64];
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attr = { CKA_CLASS, &class, sizeof class };
    assert_int_equal(objects_find(&attr, 1, all, 64), 6);
    assert_int_equal(objects_find(NULL, 0, all, 64), 19);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_memory__of_a_signature), T(test_memory__of_a_signature_in_parts),
        T(test_memory__of_finds),       T(test_memory__of_a_digest),
        T(test_memory__of_a_helper),    T(test_memory__comes_back),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
