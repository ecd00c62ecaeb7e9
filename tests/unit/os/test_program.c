/* SPDX-License-Identifier: MIT */
/* Programs of somebody else, run and looked for. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "kernel_fixture.h"
#include "os/clock.h"
#include "os/program.h"

#define SOON_US ((int64_t)60000000)

static const char *const environment[] = { "PATH=/usr/bin:/bin", "WORD=there", NULL };

/* The exit code of a line of shell; minus the signal that ended it. */
static int shell(const char *line)
{
    const char *const argv[] = { "sh", "-c", line, NULL };
    const struct chy_program program = { .argv = argv, .env = environment };
    struct chy_process process;
    struct chy_process_end end;
    struct chy_error err;
    assert_int_equal(chy_program_start(&program, &process, &err), CHY_OK);
    assert_int_equal(chy_process_wait(&process, chy_clock_monotonic_us() + SOON_US, &end, &err),
                     CHY_OK);
    return end.was_signal ? -end.value : end.value;
}

static void test_start__code_and_environment(void **state)
{
    (void)state;
    kernel_require();
    assert_int_equal(shell("exit 7"), 7);
    assert_int_equal(shell("test \"$WORD\" = there && test -z \"$HOME\""), 0);
    assert_int_equal(shell("kill -TERM $$"), -SIGTERM);
}

static void test_start__group_descriptors_and_signals(void **state)
{
    (void)state;
    kernel_require();
    char line[128];
    int fd = open("/dev/null", O_RDWR);
    assert_true(fd > 2);
    (void)snprintf(line, sizeof line, "test -e /proc/self/fd/%d && test $(ps -o pgid= $$) -eq %d",
                   fd, (int)getpgrp());
    assert_int_equal(shell(line), 0);
    assert_int_equal(close(fd), 0);
    /* SIGPIPE, which our programs ignore, ends the tool as it is used to. */
    chy_process_ignore_sigpipe();
    assert_int_equal(shell("kill -PIPE $$; exit 0"), -SIGPIPE);
}

static void test_start__ignored_signals_stay_ignored(void **state)
{
    (void)state;
    kernel_require();
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction before;
    assert_int_equal(sigaction(SIGHUP, &ignore, &before), 0);
    assert_int_equal(shell("kill -HUP $$; exit 5"), 5);
    assert_int_equal(sigaction(SIGHUP, &before, NULL), 0);
}

static void test_start__no_such_program(void **state)
{
    (void)state;
    kernel_require();
    const char *const argv[] = { "/no/such/tool", NULL };
    const char *const folder[] = { "/tmp", NULL };
    const struct chy_program program = { .argv = argv, .env = environment };
    const struct chy_program no_program = { .argv = folder, .env = environment };
    struct chy_process process;
    struct chy_error err;
    assert_int_equal(chy_program_start(&program, &process, &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such/tool"));
    assert_int_equal(chy_program_start(&no_program, &process, &err), CHY_E_IO);
}

static void test_start_quiet__output_and_no_input(void **state)
{
    (void)state;
    kernel_require();
    const char *const argv[] = { "sh", "-c", "cat; echo said; echo complained >&2", NULL };
    const struct chy_program program = { .argv = argv, .env = environment };
    struct chy_process process;
    struct chy_process_end end;
    struct chy_error err;
    char text[64];
    int fd = memfd_create("output", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(chy_program_start_quiet(&program, fd, &process, &err), CHY_OK);
    assert_int_equal(chy_process_wait(&process, chy_clock_monotonic_us() + SOON_US, &end, &err),
                     CHY_OK);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, "said\ncomplained\n");
    assert_int_equal(close(fd), 0);
    assert_int_equal(chy_program_start_quiet(&program, -1, &process, &err), CHY_E_ARG);
}

/* The others that are closed on exec are closed, and for the next program all of them. */
static void test_start__keeps_what_it_must_hold(void **state)
{
    (void)state;
    kernel_require();
    char line[128];
    int kept = memfd_create("kept", MFD_CLOEXEC);
    int other = memfd_create("other", MFD_CLOEXEC);
    assert_true(kept >= 0 && other >= 0);
    (void)snprintf(line, sizeof line, "test -e /proc/self/fd/%d && ! test -e /proc/self/fd/%d",
                   kept, other);
    const char *const argv[] = { "sh", "-c", line, NULL };
    const struct chy_program program = {
        .argv = argv, .env = environment, .kept = { kept }, .n_kept = 1
    };
    struct chy_process process;
    struct chy_process_end end;
    struct chy_error err;
    assert_int_equal(chy_program_start(&program, &process, &err), CHY_OK);
    assert_int_equal(chy_process_wait(&process, chy_clock_monotonic_us() + SOON_US, &end, &err),
                     CHY_OK);
    assert_int_equal(end.value, 0);
    assert_int_equal(shell(line), 1);
    assert_int_equal(close(kept), 0);
    assert_int_equal(close(other), 0);
}

static void test_become__is_the_program_with_usual_signals(void **state)
{
    (void)state;
    char shell[] = "sh";
    char option[] = "-c";
    char script[] = "kill -PIPE $$; exit 7";
    char *argv[] = { shell, option, script, NULL };
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        const struct sigaction ignore = { .sa_handler = SIG_IGN };
        CHY_IGNORE(sigaction(SIGPIPE, &ignore, NULL));
        CHY_IGNORE(chy_program_become("/bin/sh", argv, NULL));
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void test_become__no_such_program(void **state)
{
    (void)state;
    char word[] = "x";
    char *argv[] = { word, NULL };
    assert_int_equal(chy_program_become("/no/such/program", argv, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_program_become("/etc/passwd", argv, NULL), CHY_E_IO);
}

static void test_find__path(void **state)
{
    (void)state;
    char path[CHY_LIMIT_PATH];
    assert_true(chy_program_find("/no/such:/usr/bin:/bin", "env", path));
    assert_string_equal(path, "/usr/bin/env");
    assert_true(chy_program_find(NULL, "/bin/sh", path));
    assert_false(chy_program_find("/usr/bin", "no-such-tool", path));
    assert_false(chy_program_find("/usr/bin", "/etc/passwd", path));
    assert_false(chy_program_find("", "env", path));
    assert_false(chy_program_find("/", "etc", path));
    char longest[CHY_LIMIT_PATH + 2];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(chy_program_find(longest, "env", path));
    assert_false(chy_program_find(NULL, longest, path));
}

static void test_probe__a_library(void **state)
{
    (void)state;
    kernel_require();
    struct chy_error err;
    assert_int_equal(chy_library_probe("libc.so.6", "printf", &err), CHY_OK);
    assert_int_equal(chy_library_probe("libc.so.6", "no_such_symbol", &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "no_such_symbol"));
    assert_int_equal(chy_library_probe("/no/such.so", "f", &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such.so"));
    assert_int_equal(chy_library_probe("/etc/passwd", "f", &err), CHY_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start__code_and_environment),
        cmocka_unit_test(test_start__group_descriptors_and_signals),
        cmocka_unit_test(test_start__ignored_signals_stay_ignored),
        cmocka_unit_test(test_start__no_such_program),
        cmocka_unit_test(test_start_quiet__output_and_no_input),
        cmocka_unit_test(test_start__keeps_what_it_must_hold),
        cmocka_unit_test(test_become__is_the_program_with_usual_signals),
        cmocka_unit_test(test_become__no_such_program),
        cmocka_unit_test(test_find__path),
        cmocka_unit_test(test_probe__a_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
