/* SPDX-License-Identifier: MIT */
/* The way from load to first signature with ten thousand keys, and the enumeration of all; prints
 * its figures, and checks what was asked of the agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module_fixture.h"
#include "os/clock.h"

#define KEYS_TEXT "9994"
#define KEYS      10000

static CK_OBJECT_HANDLE found[3 * KEYS + 10];
static int64_t from_us;

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    folder_write("keys", KEYS_TEXT);
    from_us = chy_clock_monotonic_us();
    return 0;
}

static void print_since(const char *what)
{
    int64_t now_us = chy_clock_monotonic_us();
    print_message("# %s: %.1f ms\n", what, (double)(now_us - from_us) / 1000);
    from_us = now_us;
}

static void sign_now(CK_OBJECT_HANDLE key)
{
    CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
    struct signature s;
    assert_rv(sign_with(&m, key, chy_str_bytes(CHY_STR("x")), &s), CKR_OK);
}

static void test_scale__one_by_label(void **state)
{
    (void)state;
    module_open();
    sign_now(object_find(CKO_PRIVATE_KEY, "key-05000"));
    print_since("load, one key by its label, signature");
    assert_int_equal(log_count("keys"), 0);
}

static void test_scale__all(void **state)
{
    (void)state;
    module_open();
    assert_int_equal(objects_find(NULL, 0, found, 3 * KEYS + 10), 3 * KEYS + 1);
    print_since("load, all 30,001 objects");
    sign_now(object_find(CKO_PRIVATE_KEY, "key-05000"));
    print_since("one of them by its label, signature");
    assert_int_equal(log_count("keys"), KEYS / 500 + 1);
    assert_int_equal(objects_find(NULL, 0, found, 3 * KEYS + 10), 3 * KEYS + 1);
    print_since("all once more");
}

/* As SunPKCS11 does: for each key its attributes, then what has its id, then the issuer. */
static void test_scale__as_java_enumerates(void **state)
{
    (void)state;
    CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY;
    CK_OBJECT_CLASS certificate = CKO_CERTIFICATE;
    CK_ATTRIBUTE all = { CKA_CLASS, &private_key, sizeof private_key };
    module_open();
    size_t n = objects_find(&all, 1, found, KEYS);
    assert_int_equal(n, KEYS);
    for (size_t i = 0; i < n; i++) {
        CK_OBJECT_HANDLE one[2];
        CK_BYTE id[64];
        struct chy_bytes value = attribute_of(found[i], CKA_ID);
        memcpy(id, value.p, value.n);
        CK_ATTRIBUTE attrs[] = { { CKA_CLASS, &certificate, sizeof certificate },
                                 { CKA_ID, id, value.n } };
        assert_int_equal(objects_find(attrs, 2, one, 2), 1);
        struct chy_bytes issuer = attribute_of(one[0], CKA_ISSUER);
        CK_ATTRIBUTE subject = { CKA_SUBJECT, (void *)(uintptr_t)issuer.p, issuer.n };
        assert_int_equal(objects_find(&subject, 1, one, 2), 1);
    }
    print_since("10,000 keys with their certificates, 20,000 finds");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_scale__one_by_label),
        T(test_scale__all),
        T(test_scale__as_java_enumerates),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
