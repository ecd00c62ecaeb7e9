/* SPDX-License-Identifier: MIT */
/* The program under test is this one: started as a role it answers by its exit code. */
#include <dirent.h>
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
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernel_fixture.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"

#define SOON (chy_clock_monotonic_us() + 20000000) /* never reached by a test that passes */

extern char **environ;

/* --- roles --- */

/* Descriptors 0 to 4 and no other. */
static int role_fds(void)
{
    if (chy_process_inherit(2, NULL) != CHY_OK || chy_process_inherit(3, NULL) != CHY_E_STATE)
        return 1;
    for (int fd = 5; fd < 200; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 2;
    if (fcntl(3, F_GETFD) != FD_CLOEXEC)
        return 3;
    char c = 0;
    char swapped[2];
    if (read(0, &c, 1) != 0) /* standard input is empty */
        return 4;
    if (read(3, &swapped[0], 1) != 1 || read(4, &swapped[1], 1) != 1)
        return 5;
    return memcmp(swapped, "ab", 2) == 0 ? 0 : 6;
}

static int role_env(void)
{
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    const char *kept = secure_getenv("CHANCERY_TEST_KEPT");
    return n == 1 && kept != NULL && strcmp(kept, "yes") == 0 ? 0 : 1;
}

/* Where what it says goes: 0 to nowhere. */
static int role_output(void)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        char path[64];
        char target[64] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) < 0 || strcmp(target, "/dev/null") != 0)
            return fd;
    }
    return 0;
}

static int role_signals(void)
{
    sigset_t blocked;
    struct sigaction action;
    int death = 0;
    if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0 || sigismember(&blocked, SIGTERM) != 0)
        return 1;
    if (sigaction(SIGTERM, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
        return 2;
    if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_IGN)
        return 3;
    if (prctl(PR_GET_PDEATHSIG, &death) != 0 || death != SIGKILL)
        return 4;
    return getsid(0) == getpid() ? 0 : 5;
}

static int role_echo(void)
{
    struct chy_channel_options o = { .send_limit_bytes = 1000 };
    struct chy_channel *ch = NULL;
    struct chy_frame f;
    if (chy_process_inherit(1, NULL) != CHY_OK ||
        chy_channel_new(CHY_PROCESS_FIRST_FD, &o, &ch, NULL) != CHY_OK)
        return 1;
    enum chy_err r = chy_channel_receive_wait(ch, CHY_NO_DEADLINE, &f, NULL);
    while (r == CHY_OK) {
        if (chy_channel_send(ch, &f, NULL) != CHY_OK ||
            chy_channel_flush_wait(ch, CHY_NO_DEADLINE, NULL) != CHY_OK)
            return 2;
        r = chy_channel_receive_wait(ch, CHY_NO_DEADLINE, &f, NULL);
    }
    chy_channel_free(ch);
    return r == CHY_E_NOT_FOUND ? 42 : 3;
}

static CHY_NORETURN int role_wait(void)
{
    for (;;)
        pause();
}

static const struct {
    const char *name;
    int (*run)(void);
} roles[] = {
    { "@fds", role_fds },   { "@env", role_env },   { "@signals", role_signals },
    { "@echo", role_echo }, { "@wait", role_wait }, { "@output", role_output },
};

/* --- tests --- */

static struct chy_process_end ended(struct chy_process *p)
{
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(p, SOON, &end, NULL), CHY_OK);
    assert_int_equal(p->pidfd, -1);
    return end;
}

static void assert_exits(const struct chy_process_spec *spec, int code)
{
    struct chy_process p;
    struct chy_error err;
    assert_int_equal(chy_process_spawn(spec, &p, &err), CHY_OK);
    struct chy_process_end end = ended(&p);
    assert_false(end.was_signal);
    assert_int_equal(end.value, code);
}

static void test_process_spawn__descriptors_in_order_and_no_others(void **state)
{
    (void)state;
    int a[2];
    int b[2];
    assert_int_equal(pipe(a), 0); /* not closed on exec: must not arrive by accident */
    assert_int_equal(pipe(b), 0);
    assert_int_equal(write(a[1], "a", 1), 1);
    assert_int_equal(write(b[1], "b", 1), 1);
    int fds[] = { a[0], b[0] };
    struct chy_process_spec spec = { .role = "@fds", .fds = fds, .fd_count = 2 };
    assert_exits(&spec, 0);
    /* The numbers that are to be given, in the wrong order. */
    assert_int_equal(write(a[1], "a", 1), 1);
    assert_int_equal(write(b[1], "b", 1), 1);
    int kept[2] = { fcntl(3, F_DUPFD_CLOEXEC, 50), fcntl(4, F_DUPFD_CLOEXEC, 50) };
    int low_b = fcntl(b[0], F_DUPFD_CLOEXEC, 60);
    int low_a = fcntl(a[0], F_DUPFD_CLOEXEC, 60);
    assert_int_equal(dup2(low_b, 3), 3);
    assert_int_equal(dup2(low_a, 4), 4);
    int crossed[] = { 4, 3 };
    spec.fds = crossed;
    assert_exits(&spec, 0);
    int all[] = { a[1], b[1], low_a, low_b };
    for (size_t i = 0; i < 2; i++) {
        close(3 + (int)i);
        if (kept[i] >= 0) {
            dup2(kept[i], 3 + (int)i);
            close(kept[i]);
        }
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(all); i++)
        close(all[i]);
    close(a[0]);
    close(b[0]);
}

static void test_process_spawn__environment(void **state)
{
    (void)state;
    static const char *const keep[] = { "CHANCERY_TEST_KEPT", "CHANCERY_TEST_ABSENT", NULL };
    struct chy_process_spec spec = { .role = "@env", .env_keep = keep };
    assert_int_equal(setenv("CHANCERY_TEST_KEPT", "yes", 1), 0);
    assert_int_equal(setenv("CHANCERY_TEST_KEPT_NOT", "no", 1), 0);
    assert_exits(&spec, 0);
    spec.env_keep = NULL;
    assert_exits(&spec, 1);
}

static void test_process_spawn__signals_and_session(void **state)
{
    (void)state;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &term, NULL), 0);
    struct chy_process_spec spec = { .role = "@signals" };
    assert_exits(&spec, 0);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &term, NULL), 0);
}

static void test_process_spawn__silent(void **state)
{
    (void)state;
    struct chy_process_spec spec = { .role = "@output", .is_silent = true };
    assert_exits(&spec, 0);
    spec.is_silent = false;
    assert_exits(&spec, STDOUT_FILENO);
}

static void test_process_spawn__channel_at_three(void **state)
{
    (void)state;
    int fds[2];
    struct chy_channel *ch = NULL;
    struct chy_channel_options o = { .send_limit_bytes = 1000 };
    struct chy_process p;
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    struct chy_process_spec spec = { .role = "@echo", .fds = &fds[1], .fd_count = 1 };
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_OK);
    close(fds[1]);
    assert_int_equal(chy_channel_new(fds[0], &o, &ch, NULL), CHY_OK);
    struct chy_frame f = { 1, 2, chy_str_bytes(CHY_STR("hello")) };
    struct chy_frame got;
    assert_int_equal(chy_channel_send(ch, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(ch, SOON, &got, NULL), CHY_OK);
    assert_true(chy_bytes_equal(got.body, f.body));
    chy_channel_free(ch);
    assert_int_equal(ended(&p).value, 42);
}

static void test_process_spawn__no_such_program(void **state)
{
    (void)state;
    struct chy_process p = { -1, -1 };
    struct chy_process_spec spec = { .role = "@x", .program = "/nonexistent/chanceryd" };
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_E_NOT_FOUND);
    spec.program = "/etc/passwd"; /* may not be executed */
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_E_IO);
    assert_int_equal(p.pidfd, -1);
}

static void test_process_spawn__too_many_descriptors(void **state)
{
    (void)state;
    int fds[CHY_PROCESS_FDS_MAX + 1] = { 0 };
    struct chy_process p;
    struct chy_process_spec spec = { .role = "@x",
                                     .fds = fds,
                                     .fd_count = CHY_PROCESS_FDS_MAX + 1 };
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_E_ARG);
}

static void test_process_spawn__out_of_memory(void **state)
{
    (void)state;
    struct chy_process p;
    struct chy_process_spec spec = { .role = "@wait" };
    chy_mem_fail_after(0);
    enum chy_err r = chy_process_spawn(&spec, &p, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

static void test_process__signal_wait_and_text(void **state)
{
    (void)state;
    struct chy_process p;
    struct chy_process_end end;
    struct chy_process_spec spec = { .role = "@wait" };
    char text[CHY_PROCESS_END_TEXT_BYTES];
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_OK);
    assert_int_equal(chy_process_wait(&p, 0, &end, NULL), CHY_E_TIMEOUT);
    assert_int_equal(chy_process_signal(&p, 0, NULL), CHY_OK);
    assert_int_equal(chy_process_signal(&p, SIGTERM, NULL), CHY_OK);
    assert_int_equal(chy_fd_wait(p.pidfd, POLLIN, SOON, NULL), CHY_OK);
    assert_int_equal(chy_process_signal(&p, SIGTERM, NULL), CHY_OK); /* ended, not yet collected */
    end = ended(&p);
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGTERM);
    chy_process_end_text(end, text);
    assert_string_equal(text, "was killed by SIGTERM (Terminated)");
    chy_process_end_text((struct chy_process_end){ false, 3 }, text);
    assert_string_equal(text, "exited with 3");
    chy_process_end_text((struct chy_process_end){ true, 63 }, text);
    assert_string_equal(text, "was killed by signal 63");
    assert_int_equal(chy_process_signal(&p, SIGTERM, NULL), CHY_E_IO);
    assert_int_equal(chy_process_wait(&p, 0, &end, NULL), CHY_E_TIMEOUT);
}

/* In a process of its own: kills the other, which it traces, and collects it when told so. */
static CHY_NORETURN void trace_and_kill(const struct chy_process *other, int told_fd, int tell_fd)
{
    char c = 't';
    bool ok = ptrace(PTRACE_SEIZE, other->pid, NULL, NULL) == 0 && kill(other->pid, SIGKILL) == 0 &&
              chy_fd_wait(other->pidfd, POLLIN, SOON, NULL) == CHY_OK &&
              write(tell_fd, &c, 1) == 1 && read(told_fd, &c, 1) == 1 &&
              waitpid(other->pid, NULL, __WALL) == other->pid;
    _exit(ok ? 0 : 1);
}

static void test_process_wait__does_not_wait_for_who_traces_it(void **state)
{
    (void)state;
    int told[2];
    int tell[2];
    struct chy_process p;
    struct chy_process tracer;
    struct chy_process_end end;
    bool is_child = false;
    char c = 'g';
    struct chy_process_spec spec = { .role = "@wait" };
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_OK);
    assert_int_equal(chy_process_fork(&tracer, &is_child, NULL), CHY_OK);
    if (is_child)
        trace_and_kill(&p, told[0], tell[1]);
    close(tell[1]);
    if (read(tell[0], &c, 1) != 1) { /* only root may trace a brother, on some machines */
        assert_int_equal(ended(&tracer).value, 1);
        chy_process_endp(&p);
        puts("may not trace another process");
        skip();
    }
    assert_int_equal(chy_process_wait(&p, 0, &end, NULL), CHY_E_TIMEOUT);
    int64_t begin_us = chy_clock_monotonic_us();
    assert_int_equal(chy_process_wait(&p, begin_us + 50000, &end, NULL), CHY_E_TIMEOUT);
    assert_true(chy_clock_monotonic_us() - begin_us >= 50000);
    assert_int_equal(write(told[1], &c, 1), 1);
    end = ended(&p);
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGKILL);
    assert_int_equal(ended(&tracer).value, 0);
    close(told[0]);
    close(told[1]);
    close(tell[0]);
}

static void test_process_endp__kills(void **state)
{
    (void)state;
    struct chy_process p;
    struct chy_process_spec spec = { .role = "@wait" };
    assert_int_equal(chy_process_spawn(&spec, &p, NULL), CHY_OK);
    pid_t pid = p.pid;
    chy_process_endp(&p);
    assert_int_equal(p.pidfd, -1);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    chy_process_endp(&p);
}

/* The middle one starts a child and dies; the child must die with it: then the pipe ends. */
static void test_process__dies_with_its_parent(void **state)
{
    (void)state;
    int fds[2];
    struct chy_process p;
    bool is_child = false;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(chy_process_fork(&p, &is_child, NULL), CHY_OK);
    if (is_child) {
        struct chy_process grandchild;
        struct chy_process_spec spec = { .role = "@wait", .fds = &fds[1], .fd_count = 1 };
        _exit(chy_process_spawn(&spec, &grandchild, NULL) == CHY_OK ? 0 : 1);
    }
    close(fds[1]);
    assert_int_equal(ended(&p).value, 0);
    char c;
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, SOON, NULL), CHY_OK);
    assert_int_equal(read(fds[0], &c, 1), 0);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < CHY_ARRAY_LEN(roles); i++)
        if (strcmp(argv[1], roles[i].name) == 0)
            return roles[i].run();
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_spawn__descriptors_in_order_and_no_others),
        cmocka_unit_test(test_process_spawn__environment),
        cmocka_unit_test(test_process_spawn__signals_and_session),
        cmocka_unit_test(test_process_spawn__silent),
        cmocka_unit_test(test_process_spawn__channel_at_three),
        cmocka_unit_test(test_process_spawn__no_such_program),
        cmocka_unit_test(test_process_spawn__too_many_descriptors),
        cmocka_unit_test(test_process_spawn__out_of_memory),
        cmocka_unit_test(test_process__signal_wait_and_text),
        cmocka_unit_test(test_process_wait__does_not_wait_for_who_traces_it),
        cmocka_unit_test(test_process_endp__kills),
        cmocka_unit_test(test_process__dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
