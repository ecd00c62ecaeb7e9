/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/file_copy.h"

#define SIZE 300001 /* several parts, and one that is not whole */

static uint8_t content[SIZE];
static uint8_t copied[SIZE + 1];

/* An open file without a name, in a folder. */
static int nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static int source(size_t n)
{
    int fd = nameless("/tmp");
    for (size_t i = 0; i < n; i++)
        content[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(write(fd, content, n), n);
    return fd;
}

static void assert_copied(int to, size_t n)
{
    assert_int_equal(pread(to, copied, sizeof copied, 0), n);
    assert_memory_equal(copied, content, n);
}

static void test_copy__whole_wherever_it_stands(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 8192, 8193, SIZE };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHY_CLEANUP(chy_fd_closep) int from = source(sizes[i]);
        CHY_CLEANUP(chy_fd_closep) int to = nameless("/tmp");
        uint64_t size = 7;
        assert_int_equal(chy_fd_copy(from, to, SIZE, &size, NULL), CHY_OK);
        assert_int_equal(size, sizes[i]);
        assert_copied(to, sizes[i]);
        assert_int_equal(lseek(from, 0, SEEK_CUR), sizes[i]);
    }
}

/* Between file systems, and into what the kernel does not copy to: by hand. */
static void test_copy__to_another_file_system(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int from = source(SIZE);
    CHY_CLEANUP(chy_fd_closep) int to = memfd_create("copy", MFD_CLOEXEC);
    uint64_t size = 0;
    assert_true(to >= 0);
    assert_int_equal(chy_fd_copy(from, to, SIZE, &size, NULL), CHY_OK);
    assert_int_equal(size, SIZE);
    assert_copied(to, SIZE);
}

/* The kernel's own files tell no length, and are copied all the same. */
static void test_copy__of_a_file_that_is_made_when_read(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int from = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    CHY_CLEANUP(chy_fd_closep) int to = nameless("/tmp");
    uint64_t size = 0;
    assert_int_equal(chy_fd_copy(from, to, SIZE, &size, NULL), CHY_OK);
    assert_true(size > 100);
    assert_int_equal(pread(to, copied, 5, 0), 5);
    assert_memory_equal(copied, "Name:", 5);
}

static void test_copy__limit(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int from = source(9000);
    CHY_CLEANUP(chy_fd_closep) int at = nameless("/tmp");
    CHY_CLEANUP(chy_fd_closep) int past = nameless("/tmp");
    uint64_t size = 7;
    assert_int_equal(chy_fd_copy(from, at, 9000, &size, NULL), CHY_OK);
    assert_int_equal(size, 9000);
    size = 7;
    assert_int_equal(chy_fd_copy(from, past, 8999, &size, NULL), CHY_E_LIMIT);
    assert_int_equal(size, 7);
}

static void test_copy__cannot_be_written_or_read(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int from = source(10);
    CHY_CLEANUP(chy_fd_closep) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHY_CLEANUP(chy_fd_closep) int folder = open("/tmp", O_RDONLY | O_CLOEXEC);
    CHY_CLEANUP(chy_fd_closep) int to = nameless("/tmp");
    uint64_t size;
    assert_int_equal(chy_fd_copy(from, full, SIZE, &size, NULL), CHY_E_IO);
    assert_int_equal(chy_fd_copy(folder, to, SIZE, &size, NULL), CHY_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy__whole_wherever_it_stands),
        cmocka_unit_test(test_copy__to_another_file_system),
        cmocka_unit_test(test_copy__of_a_file_that_is_made_when_read),
        cmocka_unit_test(test_copy__limit),
        cmocka_unit_test(test_copy__cannot_be_written_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
