/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "crypto/pem.h"

static void test_pem__every_length_round_trips(void **state)
{
    (void)state;
    uint8_t in[200];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof in; n++) {
        struct chy_buf text;
        struct chy_buf der;
        chy_buf_init(&text, 1024);
        chy_buf_init(&der, sizeof in);
        assert_true(chy_pem_append(&text, "CERTIFICATE", (struct chy_bytes){ in, n }));
        struct chy_str rest = chy_buf_str(&text);
        assert_int_equal(chy_pem_take(&rest, "CERTIFICATE", &der, NULL), CHY_OK);
        assert_true(chy_bytes_equal(chy_buf_bytes(&der), (struct chy_bytes){ in, n }));
        assert_int_equal(rest.n, 0);
        assert_int_equal(chy_pem_take(&rest, "CERTIFICATE", &der, NULL), CHY_E_NOT_FOUND);
        chy_buf_done(&text);
        chy_buf_done(&der);
    }
}

static void test_pem_take__skips_what_is_between(void **state)
{
    (void)state;
    struct chy_str text = CHY_STR("subject=CN = a\r\n"
                                  "-----BEGIN OTHER-----\nZg==\n-----END OTHER-----\n"
                                  "-----BEGIN CERTIFICATE-----  \r\nZm9v\r\nYmFy\t\r\n"
                                  "-----END CERTIFICATE-----\r\n"
                                  "-----BEGIN CERTIFICATE-----\nZg==\n-----END CERTIFICATE-----");
    struct chy_buf der;
    chy_buf_init(&der, 64);
    assert_true(chy_pem_has(chy_str_bytes(text), "OTHER"));
    assert_false(chy_pem_has(chy_str_bytes(text), "HER"));
    assert_int_equal(chy_pem_take(&text, "CERTIFICATE", &der, NULL), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&der), "foobar"));
    assert_int_equal(chy_pem_take(&text, "CERTIFICATE", &der, NULL), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&der), "f"));
    assert_int_equal(chy_pem_take(&text, "CERTIFICATE", &der, NULL), CHY_E_NOT_FOUND);
    chy_buf_done(&der);
}

static void test_pem_take__errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        enum chy_err r;
    } rows[] = {
        { "", 64, CHY_E_NOT_FOUND },
        { "-----BEGIN CERTIFICATE----\nZg==\n", 64, CHY_E_NOT_FOUND },
        { " -----BEGIN CERTIFICATE-----\nZg==\n", 64, CHY_E_NOT_FOUND },
        { "-----BEGIN CERTIFICATE-----\n", 64, CHY_E_MALFORMED },
        { "-----BEGIN CERTIFICATE-----\nZg==\n-----END OTHER-----\n", 64, CHY_E_MALFORMED },
        { "-----BEGIN CERTIFICATE-----\nZg=\n-----END CERTIFICATE-----\n", 64, CHY_E_MALFORMED },
        { "-----BEGIN CERTIFICATE-----\nZ g==\n-----END CERTIFICATE-----\n", 64, CHY_E_MALFORMED },
        { "-----BEGIN CERTIFICATE-----\nProc-Type: 4\n\nZg==\n-----END CERTIFICATE-----\n", 64,
          CHY_E_MALFORMED },
        { "-----BEGIN CERTIFICATE-----\nZm9vYmFy\n-----END CERTIFICATE-----\n", 6, CHY_OK },
        { "-----BEGIN CERTIFICATE-----\nZm9vYmFyZg==\n-----END CERTIFICATE-----\n", 6,
          CHY_E_LIMIT },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_str text = chy_str_of(rows[i].text);
        struct chy_buf der;
        chy_buf_init(&der, rows[i].max);
        assert_int_equal(chy_pem_take(&text, "CERTIFICATE", &der, NULL), rows[i].r);
        chy_buf_done(&der);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pem__every_length_round_trips),
        cmocka_unit_test(test_pem_take__skips_what_is_between),
        cmocka_unit_test(test_pem_take__errors),
    };
    return cmocka_run_group_tests_name("pem", tests, NULL, NULL);
}
