/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/ssh_wire.h"

#define BYTES(text) chy_str_bytes(CHY_STR(text))

static void test_take__values_in_turn(void **state)
{
    (void)state;
    struct chy_bytes in = BYTES("\x07\x01\x02\x03\x04\0\0\0\x03"
                                "abc\0\0\0\0");
    struct chy_bytes content;
    uint8_t u8 = 0;
    uint32_t u32 = 0;
    assert_int_equal(chy_ssh_take_u8(&in, &u8, NULL), CHY_OK);
    assert_int_equal(u8, 7);
    assert_int_equal(chy_ssh_take_u32(&in, &u32, NULL), CHY_OK);
    assert_int_equal(u32, 0x01020304);
    assert_int_equal(chy_ssh_take_string(&in, &content, NULL), CHY_OK);
    assert_true(chy_bytes_equal(content, BYTES("abc")));
    assert_int_equal(chy_ssh_end(in, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_take_string(&in, &content, NULL), CHY_OK);
    assert_int_equal(content.n, 0);
    assert_int_equal(chy_ssh_end(in, NULL), CHY_OK);
}

static void test_take__refuses_what_is_cut_and_stays(void **state)
{
    (void)state;
    static const char *const cut[] = { "", "\0", "\0\0\0",
                                       "\0\0\0\x04"
                                       "abc",
                                       "\xff\xff\xff\xff"
                                       "abc" };
    static const size_t sizes[] = { 0, 1, 3, 7, 7 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cut); i++) {
        const struct chy_bytes whole = { (const uint8_t *)cut[i], sizes[i] };
        struct chy_bytes in = whole;
        struct chy_bytes content = { NULL, 99 };
        assert_int_equal(chy_ssh_take_string(&in, &content, NULL), CHY_E_MALFORMED);
        assert_ptr_equal(in.p, whole.p);
        assert_int_equal(in.n, whole.n);
    }
    struct chy_bytes in = BYTES("\0\0\0");
    uint32_t u32 = 0;
    uint8_t u8 = 0;
    assert_int_equal(chy_ssh_take_u32(&in, &u32, NULL), CHY_E_MALFORMED);
    in.n = 0;
    assert_int_equal(chy_ssh_take_u8(&in, &u8, NULL), CHY_E_MALFORMED);
}

static void assert_mpint(struct chy_bytes magnitude, struct chy_bytes expected)
{
    struct chy_buf out;
    chy_buf_init(&out, 64);
    assert_true(chy_ssh_put_mpint(&out, magnitude));
    assert_true(chy_bytes_equal(chy_buf_bytes(&out), expected));
    chy_buf_done(&out);
}

/* The examples of RFC 4251 section 5 that are not negative, and zeros in front. */
static void test_put_mpint__as_the_rfc_has_it(void **state)
{
    (void)state;
    assert_mpint(BYTES(""), BYTES("\0\0\0\0"));
    assert_mpint(BYTES("\0\0"), BYTES("\0\0\0\0"));
    assert_mpint(BYTES("\x09\xa3\x78\xf9\xb2\xe3\x32\xa7"),
                 BYTES("\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7"));
    assert_mpint(BYTES("\x80"), BYTES("\0\0\0\x02\0\x80"));
    assert_mpint(BYTES("\0\0\x7f"), BYTES("\0\0\0\x01\x7f"));
}

static void test_put__stops_at_the_maximum(void **state)
{
    (void)state;
    struct chy_buf out;
    chy_buf_init(&out, 7);
    assert_true(chy_ssh_put_text(&out, "abc"));
    assert_false(chy_ssh_put_text(&out, ""));
    assert_int_equal(chy_buf_check(&out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
    chy_buf_init(&out, 6);
    assert_false(chy_ssh_put_mpint(&out, BYTES("\x80\x01")));
    assert_int_equal(chy_buf_check(&out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take__values_in_turn),
        cmocka_unit_test(test_take__refuses_what_is_cut_and_stays),
        cmocka_unit_test(test_put_mpint__as_the_rfc_has_it),
        cmocka_unit_test(test_put__stops_at_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
