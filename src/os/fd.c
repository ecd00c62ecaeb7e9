/* SPDX-License-Identifier: MIT */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/sys.h"

void chy_fd_closep(int *fd)
{
    if (*fd < 0)
        return;
    int kept = errno;
    /* Linux closes even when it reports an error; a second close could hit another's descriptor.
     * Whoever needs to know that data arrived calls fsync. */
    CHY_IGNORE(close(*fd));
    errno = kept;
    *fd = -1;
}

int chy_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static enum chy_err flag_set(int fd, int get, int set, int flag, bool is_on, struct chy_error *err)
{
    int flags = fcntl(fd, get);
    int wanted = is_on ? flags | flag : flags & ~flag;
    if (flags < 0 || (wanted != flags && fcntl(fd, set, wanted) != 0))
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot set flags of descriptor %d: %s", fd,
                            chy_sys_text(errno));
    return CHY_OK;
}

enum chy_err chy_fd_set_nonblocking(int fd, bool is_on, struct chy_error *err)
{
    return flag_set(fd, F_GETFL, F_SETFL, O_NONBLOCK, is_on, err);
}

enum chy_err chy_fd_set_cloexec(int fd, bool is_on, struct chy_error *err)
{
    return flag_set(fd, F_GETFD, F_SETFD, FD_CLOEXEC, is_on, err);
}

enum chy_err chy_fd_dup(int fd, int *ret_fd, struct chy_error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot duplicate descriptor %d: %s",
                            fd, chy_sys_text(errno));
    *ret_fd = copy;
    return CHY_OK;
}

enum chy_err chy_fd_write(int fd, struct chy_bytes bytes, struct chy_error *err)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot write: %s",
                                chy_sys_text(errno));
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return CHY_OK;
}

enum chy_err chy_fd_wait(int fd, short events, int64_t deadline_us, struct chy_error *err)
{
    struct pollfd pfd = { .fd = fd, .events = events };
    for (;;) {
        int64_t left_us = 0;
        if (deadline_us != CHY_NO_DEADLINE)
            left_us = CHY_MAX(deadline_us - chy_clock_monotonic_us(), (int64_t)0);
        struct timespec ts = { .tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000 };
        int n = ppoll(&pfd, 1, deadline_us == CHY_NO_DEADLINE ? NULL : &ts, NULL);
        if (n > 0 && (pfd.revents & POLLNVAL) != 0)
            return chy_fail(err, CHY_E_IO, "descriptor %d is not open", fd);
        if (n > 0)
            return CHY_OK;
        if (n == 0)
            return chy_fail(err, CHY_E_TIMEOUT,
                            "the deadline passed while waiting for a descriptor");
        if (errno != EINTR)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot wait for a descriptor: %s",
                                chy_sys_text(errno));
    }
}

enum chy_err chy_fd_of_text(struct chy_str text, int *ret_fd, struct chy_error *err)
{
    int fd = 0;
    if (text.n == 0 || text.n > 4)
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no descriptor", CHY_STR_ARG(text));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no descriptor", CHY_STR_ARG(text));
        fd = 10 * fd + text.p[i] - '0';
    }
    if (fcntl(fd, F_GETFD) < 0)
        return chy_fail(err, CHY_E_ARG, "descriptor %d is not open", fd);
    *ret_fd = fd;
    return CHY_OK;
}
