/* SPDX-License-Identifier: MIT */
/* The n-th read, write, cut or sync of a file fails in the signer: that one alone, or all behind it
 * as well. The store and the anchor are files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_io.h"
#include "sweep.h"

static struct fixture f;

static void limit_once(int n)
{
    failing_io_after(n == SWEEP_ALL ? SIZE_MAX : (size_t)n, FAILING_IO_ONCE);
}

static void limit_ever(int n)
{
    failing_io_after(n == SWEEP_ALL ? SIZE_MAX : (size_t)n, FAILING_IO_EVER);
}

static int setup_once(void **state)
{
    (void)state;
    sweep_setup(&f, limit_once);
    return 0;
}

static int setup_ever(void **state)
{
    (void)state;
    sweep_setup(&f, limit_ever);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

/* row 15 */
static void test_io__sign(void **state)
{
    (void)state;
    sweep(&f, CHY_OP_SIGN, sweep_begin_sign);
}

static void test_io__change_a_key(void **state)
{
    (void)state;
    fx_create_key(&f, "other", CHY_KEY_P256);
    fx_settle(&f);
    sweep(&f, CHY_OP_KEYS_DISABLE, sweep_begin_toggle);
}

static void test_io__apply_a_policy(void **state)
{
    (void)state;
    sweep(&f, CHY_OP_POLICIES_APPLY, sweep_begin_policy);
}

#define ONCE(name)                                      \
    {                                                   \
#        name "_once", name, setup_once, teardown, NULL \
    }
#define EVER(name)                                      \
    {                                                   \
#        name "_ever", name, setup_ever, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONCE(test_io__sign),         EVER(test_io__sign),           ONCE(test_io__change_a_key),
        EVER(test_io__change_a_key), ONCE(test_io__apply_a_policy), EVER(test_io__apply_a_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
