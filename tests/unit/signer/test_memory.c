/* SPDX-License-Identifier: MIT */
/* The n-th allocation of a request fails, of ours or of SQLite's, and all behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "sweep.h"

static struct fixture f;

static size_t steps_of(int n)
{
    return n == SWEEP_ALL ? SIZE_MAX : (size_t)n;
}

static void limit_ours(int n)
{
    chy_mem_fail_after(steps_of(n));
}

/* --- SQLite's --- */

static sqlite3_mem_methods sqlite_memory;
static atomic_size_t sqlite_left = SIZE_MAX;

static void limit_sqlite(int n)
{
    sqlite_left = steps_of(n);
}

static bool sqlite_may_allocate(void)
{
    size_t left = sqlite_left;
    if (left == SIZE_MAX)
        return true;
    if (left == 0)
        return false;
    sqlite_left = left - 1;
    return true;
}

static void *sqlite_malloc(int n)
{
    return sqlite_may_allocate() ? sqlite_memory.xMalloc(n) : NULL;
}

static void *sqlite_realloc(void *p, int n)
{
    return sqlite_may_allocate() ? sqlite_memory.xRealloc(p, n) : NULL;
}

static int sqlite_set_up(void **state)
{
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK)
        return -1;
    sqlite3_mem_methods ours = sqlite_memory;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK ? 0 : -1;
}

/* --- tests --- */

static int setup(void **state)
{
    (void)state;
    sweep_setup(&f, limit_ours);
    return 0;
}

static int setup_sqlite(void **state)
{
    (void)state;
    sweep_setup(&f, limit_sqlite);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

static void test_memory__sign(void **state)
{
    (void)state;
    sweep(&f, CHY_OP_SIGN, sweep_begin_sign);
}

static void test_memory__change_a_key(void **state)
{
    (void)state;
    fx_create_key(&f, "other", CHY_KEY_P256);
    fx_settle(&f);
    sweep(&f, CHY_OP_KEYS_DISABLE, sweep_begin_toggle);
}

static void test_memory__apply_a_policy(void **state)
{
    (void)state;
    sweep(&f, CHY_OP_POLICIES_APPLY, sweep_begin_policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory__sign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__change_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__apply_a_policy, setup, teardown),
        { "test_memory__sign_without_sqlites", test_memory__sign, setup_sqlite, teardown, NULL },
        { "test_memory__apply_a_policy_without_sqlites", test_memory__apply_a_policy, setup_sqlite,
          teardown, NULL },
    };
    return cmocka_run_group_tests(tests, sqlite_set_up, NULL);
}
