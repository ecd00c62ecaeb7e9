/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "signer/denials.h"

static struct signer s;

static int setup(void **state)
{
    (void)state;
    s = (struct signer){ .config = { .denials_per_minute = 2 } };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_mem_fail_after(SIZE_MAX);
    denials_free(&s);
    return 0;
}

static enum chy_err count(const char *principal)
{
    struct chy_error err = { 0 };
    enum chy_err r = denials_count(&s, chy_str_of(principal), &err);
    assert_int_equal(err.code, r);
    return r;
}

static void test_denials_count__each_principal_has_its_own_bucket(void **state)
{
    (void)state;
    assert_int_equal(count("alice"), CHY_OK);
    assert_int_equal(count("alice"), CHY_OK);
    assert_int_equal(count("alice"), CHY_E_RATE);
    assert_int_equal(count("bob"), CHY_OK);
    assert_int_equal(count("alice"), CHY_E_RATE);
}

static void test_denials_count__a_longest_name_is_told_from_its_neighbour(void **state)
{
    char name[CHY_LIMIT_NAME + 1] = "";
    (void)state;
    memset(name, 'a', CHY_LIMIT_NAME);
    assert_int_equal(count(name), CHY_OK);
    assert_int_equal(count(name), CHY_OK);
    assert_int_equal(count(name), CHY_E_RATE);
    name[CHY_LIMIT_NAME - 1] = 'b';
    assert_int_equal(count(name), CHY_OK);
}

/* The first takes three allocations: its bucket, and two of the table. */
static void test_denials_count__no_memory_is_an_error_and_not_the_end(void **state)
{
    size_t n = 0;
    (void)state;
    for (;; n++) {
        chy_mem_fail_after(n);
        enum chy_err r = count("alice");
        chy_mem_fail_after(SIZE_MAX);
        if (r == CHY_OK)
            break;
        assert_int_equal(r, CHY_E_NOMEM);
        assert_null(s.denials);
    }
    assert_int_equal(n, 3);
    chy_mem_fail_after(0);
    assert_int_equal(count("bob"), CHY_E_NOMEM);
    assert_int_equal(count("alice"), CHY_OK); /* has its bucket */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_denials_count__each_principal_has_its_own_bucket,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_denials_count__a_longest_name_is_told_from_its_neighbour, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denials_count__no_memory_is_an_error_and_not_the_end,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
