/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

static void test_buf__appends_in_order_and_big_endian(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 100);
    assert_true(chy_buf_append_u8(&b, 0x01));
    assert_true(chy_buf_append_u16(&b, 0x0203));
    assert_true(chy_buf_append_u32(&b, 0x04050607));
    assert_true(chy_buf_append_u64(&b, UINT64_C(0x08090a0b0c0d0e0f)));
    assert_true(chy_buf_append_c(&b, "ab"));
    assert_true(chy_buf_append_str(&b, CHY_STR("c")));
    assert_true(chy_buf_append(&b, (struct chy_bytes){ NULL, 0 }));
    assert_true(chy_buf_printf(&b, "%d%%", 7));
    assert_int_equal(b.n, 20);
    assert_memory_equal(b.p,
                        "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                        "abc7%",
                        20);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    assert_int_equal(chy_buf_bytes(&b).n, 20);
    assert_ptr_equal(chy_buf_str(&b).p, b.p);
    chy_buf_done(&b);
    assert_null(b.p);
    assert_int_equal(b.max, 0);
}

static void test_buf__maximum_is_exact_and_failure_sticks(void **state)
{
    (void)state;
    for (size_t max = 0; max <= 200; max++) {
        struct chy_buf b;
        struct chy_error err;
        chy_buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            assert_true(chy_buf_append_u8(&b, (uint8_t)i));
        assert_int_equal(chy_buf_check(&b, &err), CHY_OK);
        assert_false(chy_buf_append_u8(&b, 0));
        assert_false(chy_buf_append(&b, (struct chy_bytes){ NULL, 0 }));
        assert_null(chy_buf_room(&b, 0));
        assert_int_equal(b.n, max);
        assert_true(b.cap <= max);
        assert_int_equal(chy_buf_check(&b, &err), CHY_E_LIMIT);
        chy_buf_clear(&b);
        assert_int_equal(chy_buf_check(&b, &err), CHY_OK);
        assert_int_equal(chy_buf_append_u8(&b, 0), max > 0);
        chy_buf_done(&b);
    }
}

static void test_buf__what_does_not_fit_is_not_half_there(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 5);
    assert_true(chy_buf_append_c(&b, "ab"));
    assert_false(chy_buf_append_u32(&b, 1));
    assert_int_equal(b.n, 2);
    assert_false(chy_buf_append_u8(&b, 1));
    chy_buf_done(&b);
    chy_buf_init(&b, SIZE_MAX);
    assert_true(chy_buf_append_c(&b, "ab"));
    assert_null(chy_buf_room(&b, SIZE_MAX));
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

static void test_buf_room__is_counted_when_it_is_used(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 10);
    uint8_t *p = chy_buf_room(&b, 8);
    assert_non_null(p);
    memset(p, 'x', 8);
    assert_int_equal(b.n, 0);
    chy_buf_added(&b, 3);
    assert_int_equal(b.n, 3);
    assert_null(chy_buf_room(&b, 8));
    chy_buf_done(&b);
}

static void test_buf_printf__short_and_long(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'y', sizeof text);
    for (size_t n = 250; n <= 260; n++) {
        struct chy_buf b;
        chy_buf_init(&b, 1001);
        assert_true(chy_buf_printf(&b, "%.*s", (int)n, text));
        assert_int_equal(b.n, n);
        assert_memory_equal(b.p, text, n);
        chy_buf_done(&b);
    }
    struct chy_buf b;
    chy_buf_init(&b, 254);
    assert_false(chy_buf_printf(&b, "%.*s", 255, text));
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

static void test_buf_consume(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 10);
    chy_buf_consume(&b, 3);
    assert_true(chy_buf_append_c(&b, "abcdef"));
    chy_buf_consume(&b, 0);
    chy_buf_consume(&b, 2);
    assert_true(chy_str_equal_c(chy_buf_str(&b), "cdef"));
    chy_buf_consume(&b, 99);
    assert_int_equal(b.n, 0);
    assert_true(chy_buf_append_c(&b, "0123456789"));
    chy_buf_done(&b);
}

static void test_buf__keeps_its_content_when_memory_is_out(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    assert_true(chy_buf_append_c(&b, "kept"));
    chy_mem_fail_after(0);
    assert_null(chy_buf_room(&b, 4000));
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_NOMEM);
    assert_false(chy_buf_append_u8(&b, 1));
    assert_true(chy_str_equal_c(chy_buf_str(&b), "kept"));
    chy_buf_clear(&b);
    assert_true(chy_buf_append_u8(&b, 1));
    chy_buf_done(&b);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__appends_in_order_and_big_endian),
        cmocka_unit_test(test_buf__maximum_is_exact_and_failure_sticks),
        cmocka_unit_test(test_buf__what_does_not_fit_is_not_half_there),
        cmocka_unit_test(test_buf_room__is_counted_when_it_is_used),
        cmocka_unit_test(test_buf_printf__short_and_long),
        cmocka_unit_test(test_buf_consume),
        cmocka_unit_test(test_buf__keeps_its_content_when_memory_is_out),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
