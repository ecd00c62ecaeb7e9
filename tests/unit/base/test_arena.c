/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

static void test_arena__memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct chy_arena a;
    uint8_t *before = NULL;
    size_t before_n = 0;
    chy_arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 300; n++) {
        uint8_t *p = chy_arena_alloc(&a, n, 7);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        assert_true(is_zero(p, n * 7));
        memset(p, 0xff, n * 7);
        for (size_t i = 0; i < before_n; i++)
            assert_int_equal(before[i], 0xff);
        assert_true(before == NULL || p != before);
        before = p;
        before_n = n * 7;
    }
    chy_arena_done(&a);
    assert_null(a.blocks);
    assert_int_equal(a.max, 0);
}

static void test_arena__maximum_and_overflow(void **state)
{
    (void)state;
    struct chy_arena a;
    chy_arena_init(&a, 64);
    assert_non_null(chy_arena_alloc(&a, 1, 48));
    assert_null(chy_arena_alloc(&a, 1, 17));
    assert_non_null(chy_arena_alloc(&a, 1, 16));
    assert_null(chy_arena_alloc(&a, 0, 0));
    assert_int_equal(a.used, 64);
    chy_arena_reset(&a);
    assert_non_null(chy_arena_alloc(&a, 64, 1));
    chy_arena_done(&a);
    chy_arena_init(&a, SIZE_MAX);
    assert_null(chy_arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_null(chy_arena_alloc(&a, SIZE_MAX, 1));
    assert_non_null(chy_arena_alloc(&a, 0, 8));
    chy_arena_done(&a);
}

static void test_arena_reset__memory_is_zeroed_again(void **state)
{
    (void)state;
    struct chy_arena a;
    chy_arena_init(&a, 1 << 16);
    uint8_t *p = chy_arena_alloc(&a, 1000, 1);
    memset(p, 1, 1000);
    assert_non_null(chy_arena_alloc(&a, 10000, 1));
    chy_arena_reset(&a);
    assert_int_equal(a.used, 0);
    p = chy_arena_alloc(&a, 1000, 1);
    assert_true(is_zero(p, 1000));
    chy_arena_done(&a);
}

static void test_arena__copies(void **state)
{
    (void)state;
    struct chy_arena a;
    chy_arena_init(&a, 1 << 16);
    char from[] = "ab\0c";
    struct chy_str s = chy_arena_str(&a, (struct chy_str){ from, 4 });
    struct chy_bytes none = chy_arena_bytes(&a, (struct chy_bytes){ NULL, 0 });
    struct chy_str printed = chy_arena_printf(&a, "%d-%s", 5, "x");
    memset(from, 'z', sizeof from);
    assert_memory_equal(s.p, "ab\0c", 5); /* its NUL too */
    assert_int_equal(s.n, 4);
    assert_non_null(none.p);
    assert_int_equal(none.n, 0);
    assert_true(chy_str_equal_c(printed, "5-x"));
    assert_int_equal(printed.p[3], 0);
    chy_arena_done(&a);
}

static void test_arena__what_does_not_fit_is_null(void **state)
{
    (void)state;
    struct chy_arena a;
    chy_arena_init(&a, 16);
    assert_null(chy_arena_str(&a, CHY_STR("0123456789abcdef")).p); /* no room for its NUL */
    assert_null(chy_arena_printf(&a, "%s", "0123456789abcdef").p);
    assert_int_equal(chy_arena_printf(&a, "%s", "0123456789abcdef").n, 0);
    assert_null(chy_arena_bytes(&a, (struct chy_bytes){ (const uint8_t *)"", SIZE_MAX }).p);
    assert_non_null(chy_arena_str(&a, CHY_STR("0123456789abcde")).p);
    chy_arena_done(&a);
}

static void test_arena__survives_a_failed_allocation(void **state)
{
    (void)state;
    struct chy_arena a;
    chy_arena_init(&a, 1 << 20);
    char *p = chy_arena_alloc(&a, 1, 16);
    memset(p, 'k', 16);
    chy_mem_fail_after(0);
    assert_null(chy_arena_alloc(&a, 1, 100000));
    assert_int_equal(a.used, 16);
    assert_non_null(chy_arena_alloc(&a, 1, 16)); /* in the block that is there */
    chy_mem_fail_after(SIZE_MAX);
    assert_non_null(chy_arena_alloc(&a, 1, 100000));
    assert_memory_equal(p, "kkkkkkkkkkkkkkkk", 16);
    chy_arena_done(&a);
    chy_arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_arena__maximum_and_overflow),
        cmocka_unit_test(test_arena_reset__memory_is_zeroed_again),
        cmocka_unit_test(test_arena__copies),
        cmocka_unit_test(test_arena__what_does_not_fit_is_null),
        cmocka_unit_test(test_arena__survives_a_failed_allocation),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
