/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ct.h"

static void test_ct_equal__every_bit_and_length(void **state)
{
    (void)state;
    uint8_t a[65];
    uint8_t b[65];
    for (size_t n = 0; n <= 64; n++) {
        memset(a, 0x5a, sizeof a);
        memset(b, 0x5a, sizeof b);
        b[n] ^= 1; /* behind the end: of no account */
        assert_true(chy_ct_equal((struct chy_bytes){ a, n }, (struct chy_bytes){ b, n }));
        assert_false(chy_ct_equal((struct chy_bytes){ a, n }, (struct chy_bytes){ a, n + 1 }));
        for (size_t bit = 0; bit < 8 * n; bit++) {
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(chy_ct_equal((struct chy_bytes){ a, n }, (struct chy_bytes){ b, n }));
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_true(chy_ct_equal((struct chy_bytes){ NULL, 0 }, (struct chy_bytes){ a, 0 }));
}

static void test_wipe__clears_that_and_no_more(void **state)
{
    (void)state;
    uint8_t a[40];
    for (size_t n = 0; n <= 38; n++) {
        memset(a, 0xff, sizeof a);
        chy_wipe(a + 1, n);
        for (size_t i = 0; i < sizeof a; i++)
            assert_int_equal(a[i], i >= 1 && i <= n ? 0 : 0xff);
    }
    chy_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ct_equal__every_bit_and_length),
        cmocka_unit_test(test_wipe__clears_that_and_no_more),
    };
    return cmocka_run_group_tests_name("ct", tests, NULL, NULL);
}
