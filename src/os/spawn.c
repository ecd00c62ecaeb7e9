/* SPDX-License-Identifier: MIT */
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

#define TARGET_FD 3
#define LOOK_US   10000 /* between two looks at a process that no descriptor stands for */

extern char **environ;

static enum chy_err fail_spawn(struct chy_error *err, const char *program, int e)
{
    return chy_fail_sys(err, chy_sys_code(e), e, "cannot start %s: %s", program, chy_sys_text(e));
}

/* Descriptors 0 to 2 may be closed in the tool, and `fd` one of them: the caller passes a copy that
 * is out of the way. */
static int actions_set(posix_spawn_file_actions_t *actions, int fd)
{
    int e = 0;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO && e == 0; i++)
        e = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, fd, TARGET_FD);
    if (e == 0)
        e = posix_spawn_file_actions_addclosefrom_np(actions, TARGET_FD + 1);
    return e;
}

static int attributes_set(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = posix_spawnattr_setsigmask(attributes, &none);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(attributes, &all);
    if (e == 0)
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETSID);
    return e;
}

static int spawn(const char *program, char *const argv[], int fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    posix_spawnattr_t attributes;
    e = posix_spawnattr_init(&attributes);
    if (e == 0) {
        e = actions_set(&actions, fd);
        if (e == 0)
            e = attributes_set(&attributes);
        if (e == 0)
            e = posix_spawn(ret_pid, program, &actions, &attributes, argv, environ);
        CHY_IGNORE(posix_spawnattr_destroy(&attributes)); /* it has no failure */
    }
    CHY_IGNORE(posix_spawn_file_actions_destroy(&actions)); /* likewise */
    return e;
}

/* Where the tool ignores SIGCHLD or waits for any child, ours may be collected already. */
static enum chy_err collect(const char *program, pid_t pid, struct chy_error *err)
{
    int status = 0;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got == pid && status != 0)
        return chy_fail(err, CHY_E_IO, "%s ended at once, with status %#x", program,
                        (unsigned)status);
    return CHY_OK;
}

static bool is_running(pid_t pid)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/* Where the kernel has no pidfd (before 5.3), the tool no descriptor left, or a filter of the
 * tool's forbids the call. */
static enum chy_err look_until_gone(pid_t pid, int64_t deadline_us, struct chy_error *err)
{
    while (is_running(pid)) {
        int64_t now_us = chy_clock_monotonic_us();
        if (now_us >= deadline_us)
            return chy_fail(err, CHY_E_TIMEOUT, "the deadline passed while waiting for a process");
        CHY_IGNORE(chy_fd_wait(-1, 0, CHY_MIN(deadline_us, now_us + LOOK_US), NULL));
    }
    return CHY_OK;
}

static enum chy_err first_process_end(const char *program, pid_t pid, int64_t deadline_us,
                                      struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int pidfd = pidfd_open(pid, 0);
    enum chy_err r = pidfd >= 0 ? chy_fd_wait(pidfd, POLLIN, deadline_us, err)
                                : look_until_gone(pid, deadline_us, err);
    if (r != CHY_OK) {
        /* Gone already is as good. */
        CHY_IGNORE(pidfd >= 0 ? pidfd_send_signal(pidfd, SIGKILL, NULL, 0) : kill(pid, SIGKILL));
        CHY_IGNORE(collect(program, pid, NULL)); /* it was killed: r tells why */
        return chy_error_prefix(err, r, "%s did not start", program);
    }
    return collect(program, pid, err);
}

enum chy_err chy_spawn_apart(const char *program, char *const argv[], int fd, int64_t deadline_us,
                             struct chy_error *err)
{
    if (program[0] != '/')
        return chy_fail(err, CHY_E_ARG, "a program's path must be absolute, not \"%s\"", program);
    CHY_CLEANUP(chy_fd_closep) int copy = fcntl(fd, F_DUPFD_CLOEXEC, TARGET_FD + 1);
    if (copy < 0)
        return fail_spawn(err, program, errno);
    pid_t pid = 0;
    int e = spawn(program, argv, copy, &pid);
    if (e != 0)
        return fail_spawn(err, program, e);
    return first_process_end(program, pid, deadline_us, err);
}
