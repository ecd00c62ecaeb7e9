/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/tree.h"
#include "token/guard.h"

static char folder[64];
static struct chy_error err;

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *p, size_t n)
{
    assert_int_equal(chy_file_replace(AT_FDCWD, at(name), (struct chy_bytes){ p, n }, 0600, &err),
                     CHY_OK);
}

static void expect(const char *name, const void *p, size_t n)
{
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    assert_int_equal(chy_file_read(AT_FDCWD, at(name), &b, &err), CHY_OK);
    assert_int_equal(b.n, n);
    assert_memory_equal(b.p, p, n);
    chy_buf_done(&b);
}

static void save(void)
{
    assert_int_equal(chy_guard_save(chy_str_of(folder), &err), CHY_OK);
}

static size_t restore(void)
{
    size_t n = 99;
    assert_int_equal(chy_guard_restore(chy_str_of(folder), &n, &err), CHY_OK);
    return n;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/chancery-guard-XXXXXX");
    return mkdtemp(folder) != NULL && mkdir(at("tokens"), 0700) == 0 &&
                   mkdir(at("tokens/one"), 0700) == 0 && mkdir(at("tokens/two"), 0700) == 0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return chy_tree_remove(AT_FDCWD, folder, false, &err) == CHY_OK ? 0 : -1;
}

static const char first[] = "\0\0\0\0\0\0\0\1whole and long";
static const char second[] = "\0\0\0\0\0\0\0\2whole, longer yet";

static void test_guard__puts_back_what_is_torn(void **state)
{
    (void)state;
    put("tokens/one/token.object", first, sizeof first);
    put("tokens/two/token.object", second, sizeof second);
    put("tokens/one/key.object", "key", 3);
    save();
    assert_int_equal(restore(), 0);
    for (size_t n = 0; n < sizeof first; n++) {
        put("tokens/one/token.object", first, n);
        assert_int_equal(restore(), 1);
        expect("tokens/one/token.object", first, sizeof first);
    }
    expect("tokens/two/token.object", second, sizeof second);
    expect("tokens/one/key.object", "key", 3);
}

static void test_guard__puts_back_what_a_power_cut_made_zero(void **state)
{
    (void)state;
    static const char zero[sizeof first + 10] = { 0 };
    put("tokens/one/token.object", first, sizeof first);
    save();
    put("tokens/one/token.object", zero, sizeof zero);
    assert_int_equal(restore(), 1);
    expect("tokens/one/token.object", first, sizeof first);
}

static void test_guard__keeps_what_is_newer(void **state)
{
    (void)state;
    put("tokens/one/token.object", first, sizeof first);
    save();
    put("tokens/one/token.object", second, sizeof second);
    assert_int_equal(restore(), 0);
    expect("tokens/one/token.object", second, sizeof second);
    save();
    put("tokens/one/token.object", "", 0);
    assert_int_equal(restore(), 1);
    expect("tokens/one/token.object", second, sizeof second);
}

static void test_guard__never_keeps_a_torn_file(void **state)
{
    (void)state;
    put("tokens/one/token.object", first, sizeof first);
    save();
    put("tokens/one/token.object", "", 0);
    save();
    assert_int_equal(restore(), 1);
    expect("tokens/one/token.object", first, sizeof first);
}

static void test_guard__without_a_copy_changes_nothing(void **state)
{
    (void)state;
    put("tokens/one/token.object", "", 0);
    assert_int_equal(restore(), 0);
    expect("tokens/one/token.object", "", 0);
}

static void test_guard__wants_the_tokens_folder(void **state)
{
    (void)state;
    size_t n = 0;
    assert_int_equal(chy_guard_save(CHY_STR("/tmp/chancery-no-such"), &err), CHY_E_NOT_FOUND);
    assert_int_equal(chy_guard_restore(CHY_STR("/tmp/chancery-no-such"), &n, &err),
                     CHY_E_NOT_FOUND);
}

static void test_guard__every_allocation_fails(void **state)
{
    (void)state;
    put("tokens/one/token.object", first, sizeof first);
    save();
    put("tokens/one/token.object", "", 0);
    for (size_t i = 0;; i++) {
        size_t n = 0;
        chy_mem_fail_after(i);
        enum chy_err r = chy_guard_restore(chy_str_of(folder), &n, &err);
        bool failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        if (!failed)
            break;
    }
    expect("tokens/one/token.object", first, sizeof first);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_guard__puts_back_what_is_torn),
        T(test_guard__puts_back_what_a_power_cut_made_zero),
        T(test_guard__keeps_what_is_newer),
        T(test_guard__never_keeps_a_torn_file),
        T(test_guard__without_a_copy_changes_nothing),
        T(test_guard__wants_the_tokens_folder),
        T(test_guard__every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
