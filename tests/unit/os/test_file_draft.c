/* SPDX-License-Identifier: MIT */
#include <dirent.h>
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

#include "base/mem.h"
#include "os/fd.h"
#include "os/file_draft.h"

static char dir[64];
static char path[80];

static int setup(void **state)
{
    (void)state;
    umask(022);
    snprintf(dir, sizeof dir, "/tmp/chancery-draft-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a", dir);
    return 0;
}

static size_t names_count(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int teardown(void **state)
{
    (void)state;
    CHY_IGNORE(unlink(path));
    return rmdir(dir);
}

static struct chy_file_draft *draft_of(const char *at, bool is_replace, const char *content)
{
    struct chy_file_draft *d = NULL;
    const struct chy_file_draft_options options = { at, 0666, is_replace, false };
    assert_int_equal(chy_file_draft_new(&options, &d, NULL), CHY_OK);
    assert_true((fcntl(chy_file_draft_fd(d), F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(chy_fd_write(chy_file_draft_fd(d), chy_str_bytes(chy_str_of(content)), NULL),
                     CHY_OK);
    return d;
}

static void assert_content(const char *expected)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    close(fd);
    assert_string_equal(text, expected);
}

static void test_draft_keep__is_there_then_and_not_before(void **state)
{
    (void)state;
    struct stat st;
    struct chy_file_draft *d = draft_of(path, false, "one");
    assert_int_equal(names_count(), 0);
    assert_int_equal(chy_file_draft_keep(d, NULL), CHY_OK);
    chy_file_draft_free(d);
    assert_content("one");
    assert_int_equal(names_count(), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_draft_free__leaves_nothing(void **state)
{
    (void)state;
    chy_file_draft_free(draft_of(path, false, "one"));
    chy_file_draft_free(NULL);
    assert_int_equal(names_count(), 0);
}

static void test_draft_keep__replaces_where_it_may(void **state)
{
    (void)state;
    struct chy_file_draft *d = draft_of(path, true, "one");
    assert_int_equal(chy_file_draft_keep(d, NULL), CHY_OK);
    chy_file_draft_free(d);
    d = draft_of(path, true, "two");
    assert_content("one");
    assert_int_equal(chy_file_draft_keep(d, NULL), CHY_OK);
    chy_file_draft_free(d);
    assert_content("two");
    assert_int_equal(names_count(), 1);
}

static void test_draft__two_at_once(void **state)
{
    (void)state;
    struct chy_file_draft *first = draft_of(path, false, "one");
    struct chy_file_draft *second = draft_of(path, false, "two");
    assert_int_equal(chy_file_draft_keep(first, NULL), CHY_OK);
    assert_int_equal(chy_file_draft_keep(second, NULL), CHY_E_EXISTS);
    chy_file_draft_free(first);
    chy_file_draft_free(second);
    assert_content("one");
    assert_int_equal(names_count(), 1);
}

static void assert_refused(const char *at, bool is_replace, enum chy_err want)
{
    struct chy_file_draft *d = NULL;
    struct chy_error err;
    const struct chy_file_draft_options options = { at, 0666, is_replace, false };
    assert_int_equal(chy_file_draft_new(&options, &d, &err), want);
    assert_int_equal(err.code, want);
    assert_null(d);
}

static void test_draft_new__errors(void **state)
{
    (void)state;
    char other[96];
    struct chy_file_draft *d = draft_of(path, false, "one");
    assert_int_equal(chy_file_draft_keep(d, NULL), CHY_OK);
    chy_file_draft_free(d);
    assert_refused(path, false, CHY_E_EXISTS);
    assert_refused("/dev/null", true, CHY_E_IO);
    assert_refused("", true, CHY_E_ARG);
    assert_refused("/tmp/.", true, CHY_E_ARG);
    snprintf(other, sizeof other, "%s/no/b", dir);
    assert_refused(other, false, CHY_E_NOT_FOUND);
    snprintf(other, sizeof other, "%s/link", dir);
    assert_int_equal(symlink(path, other), 0);
    assert_refused(other, true, CHY_E_IO);
    assert_int_equal(unlink(other), 0);
    assert_content("one");
}

static void test_draft_copy__gives_all_of_it(void **state)
{
    (void)state;
    int ends[2];
    char text[8] = "";
    struct chy_file_draft *d = draft_of(NULL, false, "one");
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(chy_file_draft_copy(d, ends[1], NULL), CHY_OK);
    assert_int_equal(read(ends[0], text, sizeof text), 3);
    assert_string_equal(text, "one");
    close(ends[0]);
    close(ends[1]);
    chy_file_draft_free(d);
}

static void test_draft__out_of_memory(void **state)
{
    (void)state;
    bool is_done = false;
    for (size_t n = 0; !is_done; n++) {
        struct chy_file_draft *d = NULL;
        const struct chy_file_draft_options options = { path, 0666, false, false };
        assert_true(n < 10);
        chy_mem_fail_after(n);
        enum chy_err r = chy_file_draft_new(&options, &d, NULL);
        if (r == CHY_OK)
            r = chy_file_draft_copy(d, -1, NULL);
        is_done = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, is_done ? CHY_OK : CHY_E_NOMEM);
        chy_file_draft_free(d);
    }
    assert_int_equal(names_count(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_draft_set_mode__not_under_the_umask(void **state)
{
    struct stat st;
    (void)state;
    struct chy_file_draft *d = draft_of(path, false, "a");
    assert_int_equal(chy_file_draft_set_mode(d, 0666, NULL), CHY_OK);
    assert_int_equal(chy_file_draft_keep(d, NULL), CHY_OK);
    chy_file_draft_free(d);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_draft_keep__is_there_then_and_not_before),
        T(test_draft_free__leaves_nothing),
        T(test_draft_keep__replaces_where_it_may),
        T(test_draft__two_at_once),
        T(test_draft_new__errors),
        T(test_draft_copy__gives_all_of_it),
        T(test_draft_set_mode__not_under_the_umask),
        T(test_draft__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
