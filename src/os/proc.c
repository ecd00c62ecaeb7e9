/* SPDX-License-Identifier: MIT */
#include "os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/fd.h"
#include "os/sys.h"

#ifndef SO_PEERPIDFD /* Debian 12's headers are older than the kernels that it may run on */
#    if defined(__hppa__)
#        define SO_PEERPIDFD 0x404B
#    elif defined(__sparc__)
#        define SO_PEERPIDFD 0x0056
#    else
#        define SO_PEERPIDFD 77
#    endif
#endif

#define STAT_BYTES 512 /* the fields up to the parent are far within */

/* A process that has gone answers ESRCH, or its folder is not there. */
static enum chy_err fail_proc(struct chy_error *err, const char *what)
{
    enum chy_err code = errno == ESRCH ? CHY_E_NOT_FOUND : chy_sys_code(errno);
    return chy_fail_sys(err, code, errno, "cannot learn %s of a process: %s", what,
                        chy_sys_text(errno));
}

static enum chy_err proc_open(pid_t pid, int *ret_fd, struct chy_error *err)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%lld", (long long)pid);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_proc(err, "anything");
    *ret_fd = fd;
    return CHY_OK;
}

/* A pidfd becomes readable when its process has ended. */
static bool is_alive(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    return poll(&p, 1, 0) == 0;
}

enum chy_err chy_proc_open_peer(int socket, struct chy_socket_cred *ret_cred, int *ret_fd,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int pidfd = -1;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    socklen_t n = sizeof pidfd;
    CHY_TRY(chy_socket_peer_cred(socket, ret_cred, err));
    bool has_pidfd = getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n) == 0;
    CHY_TRY(proc_open(ret_cred->pid, &fd, err));
    /* The number was not given to another process before the folder was opened. */
    if (has_pidfd && !is_alive(pidfd))
        return chy_fail(err, CHY_E_NOT_FOUND, "the process at the other end has ended");
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

/* One read of a file of /proc, which the kernel makes whole. */
static enum chy_err file_read(int proc_fd, const char *name, void *to, size_t n, size_t *ret_n,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_proc(err, name);
    ssize_t got = read(fd, to, n);
    if (got < 0)
        return fail_proc(err, name);
    *ret_n = (size_t)got;
    return CHY_OK;
}

/* "PID (name) state parent ...": the name may hold anything, so it ends at the last ')'.
 * Source: proc(5) */
static bool parent_parse(const char *text, size_t n, pid_t *ret_parent)
{
    const char *p = memrchr(text, ')', n);
    const char *end = text + n;
    pid_t parent = 0;
    if (p == NULL || end - p < 6)
        return false;
    for (p += 4; p < end && *p >= '0' && *p <= '9'; p++) {
        if (parent > (INT32_MAX - 9) / 10)
            return false;
        parent = parent * 10 + (*p - '0');
    }
    *ret_parent = parent;
    return parent > 0;
}

enum chy_err chy_proc_open_parent(int proc_fd, int *ret_fd, struct chy_error *err)
{
    char text[STAT_BYTES];
    size_t n = 0;
    pid_t parent;
    pid_t again;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(file_read(proc_fd, "stat", text, sizeof text, &n, err));
    if (!parent_parse(text, n, &parent))
        return chy_fail(err, CHY_E_NOT_FOUND, "a process without a parent");
    CHY_TRY(proc_open(parent, &fd, err));
    /* Still its parent: so the number was not another's meanwhile. */
    CHY_TRY(file_read(proc_fd, "stat", text, sizeof text, &n, err));
    if (!parent_parse(text, n, &again) || again != parent)
        return chy_fail(err, CHY_E_NOT_FOUND, "the parent of a process has ended");
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_proc_command(int proc_fd, struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = openat(proc_fd, "cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_proc(err, "the command line");
    for (;;) {
        size_t room = out->max - out->n;
        uint8_t *to = room != 0 ? chy_buf_room(out, CHY_MIN(room, (size_t)4096)) : NULL;
        if (to == NULL)
            return chy_buf_check(out, err);
        ssize_t n = read(fd, to, CHY_MIN(room, (size_t)4096));
        if (n < 0)
            return fail_proc(err, "the command line");
        if (n == 0)
            return CHY_OK;
        chy_buf_added(out, (size_t)n);
    }
}

enum chy_err chy_proc_program(int proc_fd, struct chy_file_stamp *ret_stamp, struct chy_error *err)
{
    /* Followed to the file itself, not to what its path names now. */
    return chy_file_stamp(proc_fd, "exe", ret_stamp, err);
}

enum chy_err chy_proc_program_path(int proc_fd, struct chy_buf *out, struct chy_error *err)
{
    char path[CHY_LIMIT_PATH + 1];
    struct stat runs;
    struct stat named;
    ssize_t n = readlinkat(proc_fd, "exe", path, sizeof path - 1);
    if (n < 0 || fstatat(proc_fd, "exe", &runs, 0) != 0)
        return fail_proc(err, "the program's path");
    path[n] = '\0';
    if (path[0] != '/' || stat(path, &named) != 0 || named.st_dev != runs.st_dev ||
        named.st_ino != runs.st_ino)
        return chy_fail(err, CHY_E_NOT_FOUND, "the path of a program leads to another file here");
    chy_buf_append(out, (struct chy_bytes){ (const uint8_t *)path, (size_t)n });
    return chy_buf_check(out, err);
}

enum chy_err chy_proc_program_open(int proc_fd, int *ret_fd, struct chy_file_stamp *ret_stamp,
                                   struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = openat(proc_fd, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_proc(err, "the program");
    CHY_TRY(chy_file_stamp_of(fd, ret_stamp, err));
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}
