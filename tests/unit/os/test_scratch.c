/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/scratch.h"
#include "os/tree.h"

static char dir[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/chancery-scratch-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return chy_tree_remove(AT_FDCWD, dir, false, NULL) == CHY_OK ? 0 : -1;
}

static const char *named(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void make_old(const char *name, time_t age_s)
{
    const time_t then = time(NULL) - age_s;
    const struct timespec times[2] = { { .tv_sec = then }, { .tv_sec = then } };
    assert_int_equal(utimensat(AT_FDCWD, named(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool is_there(const char *name)
{
    struct stat st;
    return lstat(named(name), &st) == 0;
}

#define EXEC "chancery-exec-0123456789abcdef"
#define NAME ".chancery-0123456789abcdef"

static void test_scratch_sweep__removes_what_nobody_uses(void **state)
{
    int fd = -1;
    (void)state;
    assert_int_equal(chy_scratch_make(named(NAME), &fd, NULL), CHY_OK);
    int file = open(named(NAME "/half"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    make_old(NAME, 3600);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    assert_true(is_there(NAME)); /* it is in use */
    chy_fd_closep(&fd);
    make_old(NAME, 50);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    assert_true(is_there(NAME)); /* it is new */
    make_old(NAME, 70);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    assert_false(is_there(NAME));
}

static void test_scratch_sweep__of_tools(void **state)
{
    int fd = -1;
    (void)state;
    assert_int_equal(chy_scratch_make(named(EXEC), &fd, NULL), CHY_OK);
    make_old(EXEC, 3600);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    assert_true(is_there(EXEC));
    chy_fd_closep(&fd);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    assert_false(is_there(EXEC));
}

static void test_scratch_sweep__leaves_other_things(void **state)
{
    static const char *const names[] = { ".chancery-0123456789abcde",
                                         ".chancery-0123456789abcdef0",
                                         ".chancery-0123456789abcdeF",
                                         "chancery-0123456789abcdef",
                                         "chancery-exec-",
                                         "chancery-exec-0123456789abcdeg" };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        assert_int_equal(mkdir(named(names[i]), 0700), 0);
        make_old(names[i], 3600);
    }
    assert_int_equal(symlink(names[0], named(NAME)), 0); /* nor what a link leads to */
    make_old(NAME, 3600);
    assert_int_equal(chy_scratch_sweep(dir, NULL), CHY_OK);
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        assert_true(is_there(names[i]));
    assert_true(is_there(NAME));
}

static void test_scratch__errors(void **state)
{
    int fd = -1;
    (void)state;
    assert_int_equal(chy_scratch_sweep(named("none"), NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_scratch_make(named("none/" NAME), &fd, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_scratch_make(named(NAME), &fd, NULL), CHY_OK);
    int again = -1;
    assert_int_equal(chy_scratch_make(named(NAME), &again, NULL), CHY_E_EXISTS);
    assert_int_equal(again, -1);
    chy_fd_closep(&fd);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_scratch_sweep__removes_what_nobody_uses),
        T(test_scratch_sweep__of_tools),
        T(test_scratch_sweep__leaves_other_things),
        T(test_scratch__errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
