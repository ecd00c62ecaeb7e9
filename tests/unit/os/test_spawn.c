/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/spawn.h"

#define SECONDS(n) (chy_clock_monotonic_us() + (n)*1000000)

static char path[64];
static int pair[2];

/* A shell script that leaves its first process, and what it then does with descriptor 3. */
static void script_write(const char *text)
{
    snprintf(path, sizeof path, "/tmp/chancery-spawn-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "#!/bin/sh\n%s\n", text) > 0);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    path[0] = '\0';
    return chy_socket_pair(pair, NULL) == CHY_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    if (path[0] != '\0')
        unlink(path);
    return 0;
}

static enum chy_err spawn(int64_t deadline_us, struct chy_error *err)
{
    char name[] = "name";
    char role[] = "@role";
    char *const argv[] = { name, role, NULL };
    enum chy_err r = chy_spawn_apart(path, argv, pair[1], deadline_us, err);
    chy_fd_closep(&pair[1]); /* the end of the program is the end of the file */
    pair[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return r;
}

/* All that the program writes to descriptor 3. */
static void answer_read(char *to, size_t room)
{
    size_t n = 0;
    ssize_t got = 1;
    assert_int_equal(chy_fd_set_nonblocking(pair[0], false, NULL), CHY_OK);
    while (got > 0 && n + 1 < room) {
        got = read(pair[0], to + n, room - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    to[n] = '\0';
}

static void test_spawn_apart__runs_and_leaves_no_child(void **state)
{
    (void)state;
    char text[256];
    script_write("(echo \"$1\" >&3) & exit 0");
    assert_int_equal(spawn(SECONDS(60), NULL), CHY_OK);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    answer_read(text, sizeof text);
    assert_string_equal(text, "@role\n");
}

static void test_spawn_apart__gives_one_descriptor_and_no_more(void **state)
{
    (void)state;
    char text[256];
    int leak = open("/etc/passwd", O_RDONLY); /* as a tool may forget to mark it */
    assert_true(leak > 3);
    script_write("(for fd in 0 1 2 4 5 6 7 8 9; do readlink /proc/self/fd/$fd; done >&3) & exit 0");
    assert_int_equal(spawn(SECONDS(60), NULL), CHY_OK);
    answer_read(text, sizeof text);
    close(leak);
    assert_null(strstr(text, "passwd"));
    assert_non_null(strstr(text, "/dev/null"));
}

static void test_spawn_apart__gives_default_signals_and_a_session(void **state)
{
    (void)state;
    char text[4096];
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction old;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    assert_int_equal(sigaction(SIGUSR1, &ignore, &old), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0);
    script_write("(grep -E 'SigBlk|SigIgn' /proc/$$/status >&3;"
                 " cut -d' ' -f6 /proc/$$/stat >&3; echo $$ >&3) ; exit 0");
    enum chy_err r = spawn(SECONDS(60), NULL);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
    assert_int_equal(r, CHY_OK);
    answer_read(text, sizeof text);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    /* glibc itself leaves its own two, 32 and 33, ignored. */
    char *ignored = strstr(text, "SigIgn:\t");
    assert_non_null(ignored);
    assert_int_equal(strncmp(ignored + strlen("SigIgn:\t00000000") + 1, "0000000\n", 8), 0);
    char *session = strchr(ignored, '\n') + 1;
    char *pid = strchr(session, '\n') + 1;
    assert_int_equal(strncmp(session, pid, strlen(pid)), 0);
}

static void test_spawn_apart__no_such_program(void **state)
{
    (void)state;
    kernel_require();
    struct chy_error err;
    snprintf(path, sizeof path, "/nonexistent/program");
    assert_int_equal(spawn(SECONDS(60), &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/program"));
    path[0] = '\0';
}

static void test_spawn_apart__absolute_paths_alone(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "sh");
    assert_int_equal(spawn(SECONDS(60), NULL), CHY_E_ARG);
    path[0] = '\0';
}

static void test_spawn_apart__not_to_be_run(void **state)
{
    (void)state;
    script_write("exit 0");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(spawn(SECONDS(60), NULL), CHY_E_IO);
}

static void test_spawn_apart__its_first_process_fails(void **state)
{
    (void)state;
    struct chy_error err;
    script_write("exit 5");
    assert_int_equal(spawn(SECONDS(60), &err), CHY_E_IO);
    assert_non_null(strstr(err.text, "0x500"));
}

/* The deadline is past already: nothing is waited for. */
static void test_spawn_apart__its_first_process_stays(void **state)
{
    (void)state;
    char text[16];
    script_write("exec tail -f /dev/null");
    assert_int_equal(spawn(chy_clock_monotonic_us(), NULL), CHY_E_TIMEOUT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    answer_read(text, sizeof text);
    assert_string_equal(text, "");
}

/* A tool that lets the kernel collect its children. */
static void test_spawn_apart__where_sigchld_is_ignored(void **state)
{
    (void)state;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction old;
    assert_int_equal(sigaction(SIGCHLD, &ignore, &old), 0);
    script_write("exit 0");
    enum chy_err r = spawn(SECONDS(60), NULL);
    assert_int_equal(sigaction(SIGCHLD, &old, NULL), 0);
    assert_int_equal(r, CHY_OK);
}

/* One descriptor is left, which becomes the copy of ours: none for a pidfd. */
static enum chy_err spawn_without_pidfd(int64_t deadline_us)
{
    enum {
        MAX = 64
    };
    int fds[MAX];
    size_t n = 0;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = { .rlim_cur = MAX, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < MAX && (fds[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    assert_in_range(n, 1, MAX - 1);
    close(fds[--n]);
    enum chy_err r = spawn(deadline_us, NULL);
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    return r;
}

static void test_spawn_apart__no_descriptor_is_left_to_wait_with(void **state)
{
    (void)state;
    char text[256];
    script_write("(echo \"$1\" >&3) & exit 0");
    assert_int_equal(spawn_without_pidfd(SECONDS(60)), CHY_OK);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    answer_read(text, sizeof text);
    assert_string_equal(text, "@role\n");
}

static void test_spawn_apart__stays_and_no_descriptor_is_left(void **state)
{
    (void)state;
    script_write("exec tail -f /dev/null");
    assert_int_equal(spawn_without_pidfd(chy_clock_monotonic_us() + 50000), CHY_E_TIMEOUT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_spawn_apart__runs_and_leaves_no_child),
        T(test_spawn_apart__gives_one_descriptor_and_no_more),
        T(test_spawn_apart__gives_default_signals_and_a_session),
        T(test_spawn_apart__no_such_program),
        T(test_spawn_apart__absolute_paths_alone),
        T(test_spawn_apart__not_to_be_run),
        T(test_spawn_apart__its_first_process_fails),
        T(test_spawn_apart__its_first_process_stays),
        T(test_spawn_apart__where_sigchld_is_ignored),
        T(test_spawn_apart__no_descriptor_is_left_to_wait_with),
        T(test_spawn_apart__stays_and_no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
