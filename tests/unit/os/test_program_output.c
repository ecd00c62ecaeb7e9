/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/program_output.h"

static struct chy_buf out;
static struct chy_process_end end;
static struct chy_error err;

static enum chy_err run(const char *script, int in, int64_t limit_us, size_t max)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    const char *const env[] = { "PATH=/usr/bin:/bin", "WHO=us", NULL };
    const struct chy_program_run program = { argv, env, in, chy_clock_monotonic_us() + limit_us };
    chy_buf_done(&out);
    chy_buf_init(&out, max);
    return chy_program_output(&program, &out, &end, &err);
}

#define LONG_US INT64_C(60000000)

static void assert_said(const char *text)
{
    assert_true(chy_str_equal_c(chy_buf_str(&out), text));
}

static void test_output(void **state)
{
    (void)state;
    assert_int_equal(run("echo out; echo err >&2; echo $WHO; exit 3", -1, LONG_US, 64), CHY_OK);
    assert_said("out\nerr\nus\n");
    assert_false(end.was_signal);
    assert_int_equal(end.value, 3);
    assert_int_equal(run("cat; kill -9 $$", -1, LONG_US, 64), CHY_OK); /* /dev/null is empty */
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGKILL);
}

static void test_output__standard_input(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int in = openat(AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
    assert_int_equal(run("head -c 5", in, LONG_US, 64), CHY_OK);
    assert_said("Name:");
}

/* More than is wanted, and no descriptor but three. */
static void test_output__limit(void **state)
{
    (void)state;
    assert_int_equal(run("head -c 300000 /dev/zero | tr '\\0' x", -1, LONG_US, 5), CHY_OK);
    assert_said("xxxxx");
    assert_int_equal(end.value, 0);
    assert_int_equal(run("ls /proc/self/fd | wc -l", -1, LONG_US, 64), CHY_OK);
    assert_said("4\n"); /* and the folder that ls reads */
}

static void test_output__not_there(void **state)
{
    (void)state;
    const char *const argv[] = { "/nonexistent/tool", NULL };
    const char *const env[] = { NULL };
    const struct chy_program_run program = { argv, env, -1, chy_clock_monotonic_us() + LONG_US };
    assert_int_equal(chy_program_output(&program, &out, &end, &err), CHY_E_NOT_FOUND);
}

/* What it started ends with it. */
static void test_output__takes_too_long(void **state)
{
    (void)state;
    assert_int_equal(run("sleep 1000 & echo $!; wait", -1, 500000, 64), CHY_E_TIMEOUT);
    chy_buf_append_u8(&out, 0);
    pid_t pid = 0;
    for (size_t i = 0; out.p[i] >= '0' && out.p[i] <= '9'; i++)
        pid = pid * 10 + (out.p[i] - '0');
    assert_true(pid > 0);
    int64_t limit = chy_clock_monotonic_us() + LONG_US;
    while (kill(pid, 0) == 0 && chy_clock_monotonic_us() < limit) {
        char status[256] = { 0 };
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        CHY_CLEANUP(chy_fd_closep) int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, status, sizeof status - 1) <= 0 || strstr(status, ") Z ") != NULL)
            return; /* nobody has collected it yet */
    }
    assert_true(chy_clock_monotonic_us() < limit);
}

/* All that is in the pipe when it ends, which we have not begun to read by then. */
static void test_output__all_of_it(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run("sleep 30 & head -c 65536 /dev/zero; kill $!", -1, LONG_US, 70000),
                         CHY_OK);
        assert_int_equal(out.n, 65536);
        assert_int_equal(end.value, 0);
    }
}

/* A daemon that holds the pipe does not hold us. */
static void test_output__leaves_a_daemon(void **state)
{
    (void)state;
    assert_int_equal(run("sleep 20 & echo $!", -1, LONG_US, 64), CHY_OK);
    pid_t pid = 0;
    for (size_t i = 0; i < out.n && out.p[i] >= '0' && out.p[i] <= '9'; i++)
        pid = pid * 10 + (out.p[i] - '0');
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

/* Nor one that talks. */
static void test_output__leaves_a_daemon_that_talks(void **state)
{
    (void)state;
    assert_int_equal(run("echo first; yes 2>/dev/null & exit 4", -1, LONG_US, 1 << 20), CHY_OK);
    assert_true(chy_str_starts(chy_buf_str(&out), "first\n"));
    assert_int_equal(end.value, 4);
}

int main(void)
{
    if (kernel_skips_all()) /* a pidfd */
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_output__standard_input),
        cmocka_unit_test(test_output__limit),
        cmocka_unit_test(test_output__not_there),
        cmocka_unit_test(test_output__takes_too_long),
        cmocka_unit_test(test_output__all_of_it),
        cmocka_unit_test(test_output__leaves_a_daemon),
        cmocka_unit_test(test_output__leaves_a_daemon_that_talks),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    chy_buf_done(&out);
    return failed;
}
