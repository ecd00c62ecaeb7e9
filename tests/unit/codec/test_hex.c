/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/hex.h"

static void test_hex__every_byte_round_trips(void **state)
{
    (void)state;
    uint8_t in[256];
    uint8_t out[256];
    char text[CHY_HEX_SIZE(sizeof in)];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;

    chy_hex_encode((struct chy_bytes){ in, sizeof in }, text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 506, "fdfeff", 6);
    assert_int_equal(chy_hex_decode(chy_str_of(text), out, sizeof out, NULL), CHY_OK);
    assert_memory_equal(in, out, sizeof in);
}

static void test_hex_decode__takes_upper_case(void **state)
{
    (void)state;
    uint8_t out[3] = { 0 };
    assert_int_equal(chy_hex_decode(CHY_STR("aBCdeF"), out, 3, NULL), CHY_OK);
    assert_memory_equal(out, "\xab\xcd\xef", 3);
}

static void test_hex_decode__refuses_other_lengths_and_characters(void **state)
{
    (void)state;
    static const char *const bad[] = { "",       "a",      "abc",    "abcde",   "abcdef0",
                                       "00000g", "0x0000", " 00000", "00000\n", "/00000",
                                       ":00000", "@00000", "`00000" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        uint8_t out[3] = { 7, 7, 7 };
        struct chy_error err;
        assert_int_equal(chy_hex_decode(chy_str_of(bad[i]), out, 3, &err), CHY_E_MALFORMED);
        assert_int_equal(err.code, CHY_E_MALFORMED);
        assert_memory_equal(out, "\7\7\7", 3);
    }
    assert_int_equal(chy_hex_decode(CHY_STR(""), NULL, 0, NULL), CHY_OK);
}

static void test_hex_append__stops_at_the_maximum(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 4);
    assert_true(chy_hex_append(&b, chy_str_bytes(CHY_STR("\x01\xfe"))));
    assert_true(chy_str_equal_c(chy_buf_str(&b), "01fe"));
    assert_false(chy_hex_append(&b, chy_str_bytes(CHY_STR("x"))));
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex__every_byte_round_trips),
        cmocka_unit_test(test_hex_decode__takes_upper_case),
        cmocka_unit_test(test_hex_decode__refuses_other_lengths_and_characters),
        cmocka_unit_test(test_hex_append__stops_at_the_maximum),
    };
    return cmocka_run_group_tests_name("hex", tests, NULL, NULL);
}
