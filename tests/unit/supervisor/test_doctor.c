/* SPDX-License-Identifier: MIT */
/* chanceryd doctor while memory is short: for every n the n-th allocation fails. It does not find
 * all to be well of what it could not look at. What it finds otherwise is seen by
 * tests/system/test_doctor.py. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/init.h"
#include "os/tree.h"
#include "supervisor/doctor.h"
#include "supervisor/init.h"

#define STEPS_MAX 5000 /* a sweep that does not end */

static char folder[64] = "/tmp/chancery-doctor-XXXXXX";
static char config[128];
static size_t found; /* with all the memory that is wanted */

static int setup(void **state)
{
    char data[128];
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_init_result made;
    struct chy_error err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(config, sizeof config, "%s/data/chanceryd.yaml", folder);
    chy_arena_init(&arena, 1048576);
    const struct chy_init_options options = { .data = data };
    if (chy_init(&options, &arena, &made, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return chy_tree_remove(AT_FDCWD, folder, false, NULL) == CHY_OK ? 0 : -1;
}

static enum chy_err look(size_t n, unsigned how, struct chy_arena *arena,
                         struct chy_findings *ret_findings, bool *ret_has_failed)
{
    chy_arena_init(arena, CHY_LIMIT_ARENA);
    chy_mem_fail_from(n, how);
    enum chy_err r = chy_doctor(config, arena, ret_findings, NULL);
    *ret_has_failed = chy_mem_has_failed();
    chy_mem_fail_after(SIZE_MAX);
    return r;
}

/* Whether an allocation was refused. */
static bool step(size_t n, unsigned how)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_findings f;
    bool has_failed = false;
    enum chy_err r = look(n, how, &arena, &f, &has_failed);
    assert_true(r == CHY_OK || (r == CHY_E_NOMEM && has_failed));
    if (r == CHY_OK && f.is_well && f.findings.n + f.more < found)
        fail_msg("allocation %zu, way %u: well by %zu findings, not %zu", n, how, f.findings.n,
                 found);
    return has_failed;
}

static void test_doctor__no_memory(void **state)
{
    static const unsigned ways[] = { CHY_MEM_ARENAS, CHY_MEM_ARENAS | CHY_MEM_ONCE };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(ways); i++) {
        size_t n = 0;
        while (step(n, ways[i]))
            assert_true(++n < STEPS_MAX);
        assert_true(n > 50);
    }
}

static void test_doctor__all_is_well(void **state)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_findings f;
    bool has_failed = false;
    (void)state;
    assert_int_equal(look(SIZE_MAX, 0, &arena, &f, &has_failed), CHY_OK);
    found = f.findings.n;
    for (size_t i = 0; i < f.findings.n; i++) {
        if (f.findings.p[i].state == CHY_FINDING_PROBLEM)
            fail_msg("%.*s", CHY_STR_ARG(f.findings.p[i].text));
    }
    assert_true(found >= 8);
}

int main(void)
{
    struct chy_error err;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doctor__all_is_well),
        cmocka_unit_test(test_doctor__no_memory),
    };
    if (kernel_skips_all())
        return 0;
    if (chy_crypto_init(&err) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
