/* SPDX-License-Identifier: MIT */
#include "os/file_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/sys.h"

enum chy_err chy_file_open_stream(int dir_fd, const char *path, int *ret_fd, uint64_t *ret_size,
                                  struct chy_error *err)
{
    /* O_NONBLOCK keeps the open of a FIFO from waiting for its writer; it means nothing to a
     * file. */
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot open %s: %s", path,
                            chy_sys_text(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < 0)
        return chy_fail(err, CHY_E_IO, "%s is not a regular file", path);
    *ret_size = (uint64_t)st.st_size;
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_file_open_input(int dir_fd, const char *path, int *ret_fd, bool *ret_is_file,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot open %s: %s", path,
                            chy_sys_text(errno));
    if (S_ISDIR(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is a folder", path);
    *ret_is_file = S_ISREG(st.st_mode);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_fd_read(int fd, void *to, size_t n, size_t *ret_n, struct chy_error *err)
{
    ssize_t got;
    do
        got = read(fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot read: %s", chy_sys_text(errno));
    *ret_n = (size_t)got;
    return CHY_OK;
}

enum chy_err chy_file_open_append(int dir_fd, const char *path, mode_t mode, int *ret_fd,
                                  struct chy_error *err)
{
    /* O_NONBLOCK as above; a FIFO without a reader is refused by it. */
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path,
                    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
                    mode);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot open %s: %s", path,
                            chy_sys_text(errno));
    if (!S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is not a regular file", path);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}
