/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

static void test_mem__allocates_and_frees(void **state)
{
    (void)state;
    char *p = chy_malloc(0);
    assert_non_null(p);
    chy_free(p);
    chy_free(NULL);
    p = chy_calloc(10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    memset(p, 'a', 100);
    p = chy_realloc(p, 1000);
    assert_non_null(p);
    assert_int_equal(p[99], 'a');
    chy_freep(&p);
    assert_null(p);
    chy_freep(&p);
}

static void test_mem_calloc__overflow_is_null(void **state)
{
    (void)state;
    size_t half = SIZE_MAX / 2 + 1;
    assert_null(chy_calloc(half, 2));
    assert_null(chy_calloc(SIZE_MAX, SIZE_MAX));
    void *p = chy_calloc(0, 0);
    assert_non_null(p);
    chy_free(p);
}

static void test_mem_strdup(void **state)
{
    (void)state;
    char *s = chy_strdup((struct chy_str){ "abcd", 3 });
    assert_string_equal(s, "abc");
    chy_free(s);
    s = chy_strdup((struct chy_str){ NULL, 0 });
    assert_string_equal(s, "");
    chy_free(s);
    assert_null(chy_strdup(CHY_STR("a\0b")));
}

static void test_mem_fail_after__counts(void **state)
{
    (void)state;
    void *kept[3];
    chy_mem_fail_after(3);
    assert_false(chy_mem_has_failed());
    kept[0] = chy_malloc(1);
    kept[1] = chy_calloc(1, 1);
    kept[2] = chy_realloc(NULL, 1);
    assert_true(kept[0] != NULL && kept[1] != NULL && kept[2] != NULL);
    assert_false(chy_mem_has_failed());
    assert_null(chy_malloc(1));
    assert_true(chy_mem_has_failed());
    assert_null(chy_calloc(1, 1));
    assert_null(chy_realloc(kept[0], 100)); /* which stays as it was */
    assert_null(chy_strdup(CHY_STR("a")));
    chy_mem_fail_after(SIZE_MAX);
    assert_false(chy_mem_has_failed());
    for (size_t i = 0; i < 3; i++)
        chy_free(kept[i]);
    void *p = chy_malloc(1);
    assert_non_null(p);
    chy_free(p);
}

static void test_mem_fail_from__arenas_and_once(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, 10000);
    chy_mem_fail_from(2, CHY_MEM_ARENAS); /* a piece, and the block it is cut from */
    assert_non_null(chy_arena_alloc(&arena, 1, 1));
    assert_null(chy_arena_alloc(&arena, 1, 1)); /* of the same block */
    assert_null(chy_arena_alloc(&arena, 1, 1));
    chy_mem_fail_from(0, CHY_MEM_ARENAS | CHY_MEM_ONCE);
    assert_null(chy_arena_alloc(&arena, 1, 1));
    assert_true(chy_mem_has_failed());
    assert_non_null(chy_arena_alloc(&arena, 1, 1));
    chy_mem_fail_from(0, 0);
    assert_non_null(chy_arena_alloc(&arena, 1, 1));
    assert_false(chy_mem_has_failed());
    chy_mem_fail_after(SIZE_MAX);
    chy_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem__allocates_and_frees),
        cmocka_unit_test(test_mem_calloc__overflow_is_null),
        cmocka_unit_test(test_mem_strdup),
        cmocka_unit_test(test_mem_fail_after__counts),
        cmocka_unit_test(test_mem_fail_from__arenas_and_once),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
