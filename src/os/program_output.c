/* SPDX-License-Identifier: MIT */
#include "os/program_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

#define PART_BYTES 8192

static int actions_set(posix_spawn_file_actions_t *actions, int in, int out)
{
    int e = in >= 0
                ? posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO)
                : posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, out, STDERR_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return e;
}

static int attributes_set(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t ours; /* what a program of ours ignores */
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    int e = posix_spawnattr_setsigmask(attributes, &none);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(attributes, &ours);
    if (e == 0)
        e = posix_spawnattr_setpgroup(attributes, 0);
    if (e == 0)
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETPGROUP);
    return e;
}

static int spawn(const struct chy_program_run *run, int in, int out, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    e = posix_spawnattr_init(&attributes);
    if (e == 0) {
        e = actions_set(&actions, in, out);
        if (e == 0)
            e = attributes_set(&attributes);
        if (e == 0)
            e = posix_spawnp(ret_pid, run->argv[0], &actions, &attributes,
                             CHY_UNCONST(char *const, run->argv),
                             CHY_UNCONST(char *const, run->env));
        CHY_IGNORE(posix_spawnattr_destroy(&attributes)); /* it has no failure */
    }
    CHY_IGNORE(posix_spawn_file_actions_destroy(&actions)); /* likewise */
    return e;
}

static enum chy_err start(const struct chy_program_run *run, int out, struct chy_process *ret,
                          struct chy_error *err)
{
    /* Out of the way of 0 to 2, which are put in their places one after the other. */
    CHY_CLEANUP(chy_fd_closep)
    int in_copy =
        run->stdin_fd >= 0 ? fcntl(run->stdin_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    CHY_CLEANUP(chy_fd_closep) int out_copy = fcntl(out, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    pid_t pid = 0;
    int e = errno;
    if (out_copy >= 0 && (in_copy >= 0) == (run->stdin_fd >= 0))
        e = spawn(run, in_copy, out_copy, &pid);
    if (e != 0)
        return chy_fail_sys(err, chy_sys_code(e), e, "cannot run %s: %s", run->argv[0],
                            chy_sys_text(e));
    *ret = (struct chy_process){ pid, pidfd_open(pid, 0) };
    return CHY_OK;
}

/* All that it started, too. */
static void kill_group(const struct chy_process *process)
{
    CHY_IGNORE(kill(-process->pid, SIGKILL)); /* gone already is as good */
}

/* `ret_n` is 0 at the end, and 1 at least when there is nothing yet. */
static enum chy_err part_take(int fd, struct chy_buf *out, size_t *ret_n, struct chy_error *err)
{
    uint8_t part[PART_BYTES];
    ssize_t n = read(fd, part, sizeof part);
    *ret_n = 1;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return CHY_OK;
    if (n < 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot read what a program says: %s",
                            chy_sys_text(errno));
    *ret_n = (size_t)n;
    size_t room = out->max - CHY_MIN(out->n, out->max);
    chy_buf_append(out, (struct chy_bytes){ part, CHY_MIN((size_t)n, room) });
    return chy_buf_check(out, err);
}

/* What it wrote is in the pipe when it has ended, and no more is waited for: a daemon that it
 * leaves behind may hold the pipe for ever, and talk. */
static enum chy_err rest_take(int fd, struct chy_buf *out, struct chy_error *err)
{
    int left = 0;
    if (ioctl(fd, FIONREAD, &left) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot read what a program says: %s",
                            chy_sys_text(errno));
    while (left > 0) {
        size_t n;
        CHY_TRY(part_take(fd, out, &n, err));
        left = n != 0 ? left - (int)n : 0;
    }
    return CHY_OK;
}

/* Until it has ended, or the other end of the pipe is closed. */
static enum chy_err read_all(const struct chy_program_run *run, const struct chy_process *process,
                             int fd, struct chy_buf *out, struct chy_error *err)
{
    for (size_t taken = 1; taken != 0;) {
        struct pollfd fds[] = { { fd, POLLIN, 0 }, { process->pidfd, POLLIN, 0 } };
        int64_t left_us = run->deadline_us - chy_clock_monotonic_us();
        int n = left_us > 0 ? poll(fds, CHY_ARRAY_LEN(fds), (int)(left_us / 1000 + 1)) : 0;
        if (n == 0)
            return chy_fail(err, CHY_E_TIMEOUT, "%s took too long", run->argv[0]);
        if (n > 0 && fds[1].revents != 0)
            return rest_take(fd, out, err);
        if (n > 0 && fds[0].revents != 0)
            CHY_TRY(part_take(fd, out, &taken, err));
    }
    return CHY_OK;
}

enum chy_err chy_program_output(const struct chy_program_run *run, struct chy_buf *out,
                                struct chy_process_end *ret_end, struct chy_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot run %s: %s", run->argv[0],
                            chy_sys_text(errno));
    CHY_CLEANUP(chy_fd_closep) int ours = ends[0];
    CHY_CLEANUP(chy_fd_closep) int its = ends[1];
    CHY_CLEANUP(chy_process_endp) struct chy_process process = { -1, -1 };
    CHY_TRY(start(run, its, &process, err));
    if (process.pidfd < 0) {
        kill_group(&process);
        return chy_fail(err, CHY_E_BUSY, "%s cannot be watched", run->argv[0]);
    }
    chy_fd_closep(&its);
    enum chy_err r = read_all(run, &process, ours, out, err);
    if (r == CHY_OK)
        r = chy_process_wait(&process, run->deadline_us, ret_end, err);
    if (r != CHY_OK)
        kill_group(&process);
    return r;
}
