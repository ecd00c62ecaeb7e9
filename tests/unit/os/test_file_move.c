/* SPDX-License-Identifier: MIT */
/* Files that are copied and put in the place of others. */
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
#include "os/file.h"
#include "os/file_move.h"
#include "os/tree.h"

static char folder[] = "/tmp/chancery-test-XXXXXX";
static char from[64];
static char to[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/chancery-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(from, sizeof from, "%s/from", folder);
    (void)snprintf(to, sizeof to, "%s/to", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return chy_tree_remove(AT_FDCWD, folder, false, NULL) == CHY_OK ? 0 : 1;
}

static void put(const char *path, struct chy_str text)
{
    assert_int_equal(chy_file_replace(AT_FDCWD, path, chy_str_bytes(text), 0600, NULL), CHY_OK);
}

static void expect(const char *path, struct chy_str text, mode_t mode)
{
    struct chy_buf got;
    struct stat st;
    chy_buf_init(&got, 1 << 20);
    assert_int_equal(chy_file_read(AT_FDCWD, path, &got, NULL), CHY_OK);
    assert_true(chy_str_equal(chy_buf_str(&got), text));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    chy_buf_done(&got);
}

static void test_copy__more_than_a_part(void **state)
{
    static char text[200000];
    (void)state;
    memset(text, 'x', sizeof text);
    put(from, (struct chy_str){ text, sizeof text });
    mode_t before = umask(077);
    assert_int_equal(chy_file_copy(from, to, 0644, NULL), CHY_OK);
    umask(before);
    expect(to, (struct chy_str){ text, sizeof text }, 0644);
}

static void test_copy__errors(void **state)
{
    (void)state;
    assert_int_equal(chy_file_copy(from, to, 0600, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_file_copy(folder, to, 0600, NULL), CHY_E_IO);
    put(from, CHY_STR("new"));
    put(to, CHY_STR("old"));
    assert_int_equal(chy_file_copy(from, to, 0600, NULL), CHY_E_EXISTS);
    expect(to, CHY_STR("old"), 0600);
}

static void test_move__in_the_place_of_another(void **state)
{
    (void)state;
    put(from, CHY_STR("new"));
    put(to, CHY_STR("old"));
    assert_int_equal(chy_file_move(from, to, 0755, NULL), CHY_OK);
    expect(to, CHY_STR("new"), 0755);
    assert_int_equal(access(from, F_OK), -1);
}

static void test_move__errors(void **state)
{
    struct chy_error err;
    (void)state;
    assert_int_equal(chy_file_move(from, to, 0600, NULL), CHY_E_NOT_FOUND);
    put(from, CHY_STR("new"));
    assert_int_equal(chy_file_move(from, folder, 0600, &err), CHY_E_IO);
    expect(from, CHY_STR("new"), 0600);
    assert_int_equal(symlink("from", to), 0);
    /* The link is replaced, and what it points to is left alone. */
    put(from, CHY_STR("target"));
    char other[80];
    (void)snprintf(other, sizeof other, "%s/other", folder);
    put(other, CHY_STR("new"));
    assert_int_equal(chy_file_move(other, to, 0600, NULL), CHY_OK);
    expect(from, CHY_STR("target"), 0600);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_copy__more_than_a_part),
        T(test_copy__errors),
        T(test_move__in_the_place_of_another),
        T(test_move__errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
