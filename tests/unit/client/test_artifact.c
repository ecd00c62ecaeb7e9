/* SPDX-License-Identifier: MIT */
/* Files looked at in a child: what it says comes back, and nothing of this process changes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "client/artifact.h"
#include "os/fd.h"
#include "os/file.h"
#include "temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct chy_arena arena;
    int fd;
    struct chy_format_facts facts;
    struct chy_error err;
};
static struct fixture fx;

static int setup(void **state)
{
    (void)state;
    fx = (struct fixture){ .fd = -1 };
    temp_dir_make(&fx.dir);
    chy_arena_init(&fx.arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_fd_closep(&fx.fd);
    chy_arena_done(&fx.arena);
    temp_dir_remove(&fx.dir);
    return 0;
}

static void make_file(struct chy_str content)
{
    chy_fd_closep(&fx.fd);
    assert_int_equal(chy_file_replace(fx.dir.fd, "f", chy_str_bytes(content), 0600, NULL), CHY_OK);
    assert_int_equal(chy_file_open_read(fx.dir.fd, "f", &fx.fd, NULL), CHY_OK);
}

static enum chy_err inspect(struct chy_str name)
{
    return chy_artifact_inspect(fx.fd, name, &fx.arena, &fx.facts, &fx.err);
}

static void test_artifact_inspect__kind(void **state)
{
    (void)state;
    make_file(CHY_STR("# SIG # Begin signature block"));
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_OK);
    assert_int_equal(fx.facts.kind, CHY_FORMAT_POWERSHELL);
    assert_true(fx.facts.is_signed && fx.facts.is_by_name);
    assert_int_equal(fx.facts.fault.n, 0);
    assert_int_equal(inspect(CHY_STR("x")), CHY_OK);
    assert_int_equal(fx.facts.kind, CHY_FORMAT_UNKNOWN);
    assert_false(fx.facts.is_signed);
}

static void test_artifact_inspect__what_is_broken(void **state)
{
    (void)state;
    make_file(CHY_STR("PK\3\4"));
    assert_int_equal(inspect(CHY_STR("x.jar")), CHY_OK);
    assert_int_equal(fx.facts.kind, CHY_FORMAT_JAR);
    assert_true(chy_str_equal_c(fx.facts.fault, "the archive's directory is not there"));
}

static void put_le(char *to, unsigned long value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (char)(value >> 8 * i);
}

/* A compound file whose directory goes round between two sectors, far from each other. */
static void test_artifact_inspect__error_of_the_reader(void **state)
{
    static char content[65536] = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    (void)state;
    put_le(content + 30, 9, 2);          /* sectors of 512 bytes */
    put_le(content + 48, 1, 4);          /* the directory begins in sector 1 */
    put_le(content + 68, 0xfffffffe, 4); /* all of the table's sectors are in the header: */
    put_le(content + 76, 0, 4);          /* number 0 */
    put_le(content + 512 + 4, 60, 4);    /* behind sector 1 comes 60 */
    put_le(content + 512 + 240, 1, 4);   /* behind 60 comes 1 */
    memcpy(content + 1024 + 80, "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", 16);
    make_file((struct chy_str){ content, sizeof content });
    assert_int_equal(inspect(CHY_STR("")), CHY_E_LIMIT);
    assert_non_null(strstr(fx.err.text, "67108864"));
}

static void test_artifact_inspect__no_file(void **state)
{
    (void)state;
    assert_int_equal(chy_dir_open(fx.dir.fd, ".", &fx.fd, NULL), CHY_OK);
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_E_ARG);
}

static void test_artifact_inspect__closed_descriptor(void **state)
{
    (void)state;
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_E_ARG);
}

/* Written only: the child is the one to find out. */
static void test_artifact_inspect__cannot_be_read(void **state)
{
    (void)state;
    make_file(CHY_STR("text"));
    chy_fd_closep(&fx.fd);
    fx.fd = openat(fx.dir.fd, "f", O_WRONLY | O_CLOEXEC);
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_E_IO);
}

static void test_artifact_inspect__leaves_no_trace(void **state)
{
    (void)state;
    make_file(CHY_STR("text"));
    assert_int_equal(lseek(fx.fd, 2, SEEK_SET), 2);
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_OK);
    assert_int_equal(lseek(fx.fd, 0, SEEK_CUR), 2);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    int next = dup(fx.fd);
    assert_int_equal(close(next), 0);
    assert_int_equal(inspect(CHY_STR("x.ps1")), CHY_OK);
    int again = dup(fx.fd);
    assert_int_equal(again, next);
    assert_int_equal(close(again), 0);
}

static void test_artifact_inspect__arena_is_full(void **state)
{
    struct chy_arena small;
    (void)state;
    chy_arena_init(&small, 1);
    make_file(CHY_STR("text"));
    assert_int_equal(chy_artifact_inspect(fx.fd, CHY_STR("x"), &small, &fx.facts, &fx.err),
                     CHY_E_NOMEM);
    chy_arena_done(&small);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_artifact_inspect__kind),
        T(test_artifact_inspect__what_is_broken),
        T(test_artifact_inspect__error_of_the_reader),
        T(test_artifact_inspect__no_file),
        T(test_artifact_inspect__closed_descriptor),
        T(test_artifact_inspect__cannot_be_read),
        T(test_artifact_inspect__leaves_no_trace),
        T(test_artifact_inspect__arena_is_full),
    };
    if (kernel_skips_all()) /* files are read in a child */
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
