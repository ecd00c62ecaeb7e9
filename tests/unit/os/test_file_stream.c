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

#include "os/fd.h"
#include "os/file_stream.h"

static char path[] = "/tmp/chancery-stream-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memcpy(path + sizeof path - 7, "XXXXXX", 7);
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, "hello", 5) != 5)
        return -1;
    return close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return remove(path);
}

static void test_open__reads_to_the_end(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint64_t size = 0;
    char part[3];
    size_t n = 0;
    assert_int_equal(chy_file_open_stream(AT_FDCWD, path, &fd, &size, NULL), CHY_OK);
    assert_int_equal(size, 5);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(chy_fd_read(fd, part, 3, &n, NULL), CHY_OK);
    assert_int_equal(n, 3);
    assert_int_equal(chy_fd_read(fd, part, 3, &n, NULL), CHY_OK);
    assert_int_equal(n, 2);
    assert_int_equal(chy_fd_read(fd, part, 3, &n, NULL), CHY_OK);
    assert_int_equal(n, 0);
}

static void test_open__absent(void **state)
{
    (void)state;
    int fd = -1;
    uint64_t size;
    assert_int_equal(chy_file_open_stream(AT_FDCWD, "/no/such", &fd, &size, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(fd, -1);
}

/* A FIFO without a writer must not be waited for. */
static void test_open__only_regular_files(void **state)
{
    (void)state;
    int fd = -1;
    uint64_t size;
    assert_int_equal(chy_file_open_stream(AT_FDCWD, "/tmp", &fd, &size, NULL), CHY_E_IO);
    assert_int_equal(chy_file_open_stream(AT_FDCWD, "/dev/null", &fd, &size, NULL), CHY_E_IO);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(chy_file_open_stream(AT_FDCWD, path, &fd, &size, NULL), CHY_E_IO);
}

static void test_open_input__takes_what_has_an_end(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_CLEANUP(chy_fd_closep) int device = -1;
    bool is_file = false;
    assert_int_equal(chy_file_open_input(AT_FDCWD, path, &fd, &is_file, NULL), CHY_OK);
    assert_true(is_file);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(chy_file_open_input(AT_FDCWD, "/dev/null", &device, &is_file, NULL), CHY_OK);
    assert_false(is_file);
}

static void test_open_input__errors(void **state)
{
    (void)state;
    int fd = -1;
    bool is_file;
    assert_int_equal(chy_file_open_input(AT_FDCWD, "/no/such", &fd, &is_file, NULL),
                     CHY_E_NOT_FOUND);
    assert_int_equal(chy_file_open_input(AT_FDCWD, "/tmp", &fd, &is_file, NULL), CHY_E_IO);
    assert_int_equal(fd, -1);
}

static void test_read__wrong_descriptor(void **state)
{
    (void)state;
    char part;
    size_t n;
    assert_int_equal(chy_fd_read(-1, &part, 1, &n, NULL), CHY_E_IO);
}

static void test_open_append__adds_to_the_end(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint64_t size = 0;
    assert_int_equal(chy_file_open_append(AT_FDCWD, path, 0600, &fd, NULL), CHY_OK);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(fd, " world", 6), 6);
    chy_fd_closep(&fd);
    assert_int_equal(chy_file_open_stream(AT_FDCWD, path, &fd, &size, NULL), CHY_OK);
    assert_int_equal(size, 11);
}

static void test_open_append__makes_a_file_for_its_owner(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct stat st;
    assert_int_equal(remove(path), 0);
    assert_int_equal(chy_file_open_append(AT_FDCWD, path, 0600, &fd, NULL), CHY_OK);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_open_append__only_regular_files(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(chy_file_open_append(AT_FDCWD, "/no/such/file", 0600, &fd, NULL),
                     CHY_E_NOT_FOUND);
    assert_int_equal(chy_file_open_append(AT_FDCWD, "/dev/null", 0600, &fd, NULL), CHY_E_IO);
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(chy_file_open_append(AT_FDCWD, path, 0600, &fd, NULL), CHY_E_IO);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(chy_file_open_append(AT_FDCWD, path, 0600, &fd, NULL), CHY_E_IO);
    assert_int_equal(fd, -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_open__reads_to_the_end),
        T(test_open__absent),
        T(test_open__only_regular_files),
        T(test_read__wrong_descriptor),
        T(test_open_append__adds_to_the_end),
        T(test_open_append__makes_a_file_for_its_owner),
        T(test_open_append__only_regular_files),
        T(test_open_input__takes_what_has_an_end),
        T(test_open_input__errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
