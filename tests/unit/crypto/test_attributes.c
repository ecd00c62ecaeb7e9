/* SPDX-License-Identifier: MIT */
/* That the parts are right ones is held against the other direction in tests/unit/agent; here is
 * what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/attributes.h"
#include "key_fixture.h"

static struct chy_arena arena;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, 65536);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static const enum chy_key_type types[] = { CHY_KEY_RSA_2048, CHY_KEY_P256, CHY_KEY_P384,
                                           CHY_KEY_P521, CHY_KEY_ED25519 };

static void test_pubkey__of_its_type_alone(void **state)
{
    (void)state;
    struct chy_pubkey_attributes a;
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(types[i])));
        for (size_t k = 0; k < CHY_ARRAY_LEN(types); k++) {
            enum chy_err r = chy_pubkey_attributes(types[k], spki, &arena, &a, NULL);
            assert_int_equal(r, i == k ? CHY_OK : CHY_E_MALFORMED);
        }
        assert_int_equal(chy_pubkey_attributes(CHY_KEY_NONE, spki, &arena, &a, NULL),
                         CHY_E_MALFORMED);
    }
}

static void test_pubkey__cut_anywhere(void **state)
{
    (void)state;
    struct chy_pubkey_attributes a;
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(types[i])));
        for (size_t n = 0; n < spki.n; n++)
            assert_int_equal(
                chy_pubkey_attributes(types[i], (struct chy_bytes){ spki.p, n }, &arena, &a, NULL),
                CHY_E_MALFORMED);
    }
}

static void certificate(struct chy_buf *der)
{
    const struct chy_cert_request request = {
        .profile = CHY_CERT_TLS_SERVER,
        .serial = { 0x80, 1 },
        .subject = CHY_STR("CN=name"),
        .not_before_us = 1700000000000000,
        .not_after_us = 1800000000000000,
    };
    chy_buf_init(der, 65536);
    assert_int_equal(chy_privkey_self_signed(fixture_key_of(CHY_KEY_P256), &request, der, NULL),
                     CHY_OK);
}

static void test_x509(void **state)
{
    (void)state;
    struct chy_buf der;
    struct chy_x509_attributes a;
    struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_P256)));
    certificate(&der);
    assert_int_equal(chy_x509_attributes(chy_buf_bytes(&der), &a, NULL), CHY_OK);
    assert_true(chy_bytes_equal(a.spki, spki));
    assert_true(chy_bytes_equal(a.subject, a.issuer)); /* it is its own */
    assert_int_equal(a.serial.p[0], 0x02);
    for (size_t n = 0; n < der.n; n++)
        assert_int_equal(chy_x509_attributes((struct chy_bytes){ der.p, n }, &a, NULL),
                         CHY_E_MALFORMED);
    assert_true(chy_buf_append_u8(&der, 0));
    assert_int_equal(chy_x509_attributes(chy_buf_bytes(&der), &a, NULL), CHY_E_MALFORMED);
    chy_buf_done(&der);
}

static void test_pubkey__no_memory(void **state)
{
    (void)state;
    struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_P256)));
    bool is_over = false;
    for (size_t n = 0; !is_over; n++) {
        struct chy_pubkey_attributes a;
        chy_mem_fail_after(n);
        enum chy_err r = chy_pubkey_attributes(CHY_KEY_P256, spki, &arena, &a, NULL);
        is_over = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, is_over ? CHY_OK : CHY_E_NOMEM);
        chy_arena_done(&arena);
        chy_arena_init(&arena, 65536);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pubkey__of_its_type_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pubkey__cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_x509, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pubkey__no_memory, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
