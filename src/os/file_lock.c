/* SPDX-License-Identifier: MIT */
/* The lock file holds the number of the process that has it, as text, for the message alone: what
 * locks is the kernel's lock on the open file description, which ends with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"
#include "os/sys.h"

/* 0 when it is not known. */
static unsigned long holder_read(int fd)
{
    char text[16];
    ssize_t n = pread(fd, text, sizeof text, 0);
    unsigned long pid = 0;
    for (ssize_t i = 0; i < n && text[i] != '\n'; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 10)
            return 0;
        pid = pid * 10 + (unsigned long)(text[i] - '0');
    }
    return pid;
}

static enum chy_err holder_write(int fd, const char *path, struct chy_error *err)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot write %s: %s", path, chy_sys_text(errno));
    return chy_file_pwrite_sync(fd, (struct chy_bytes){ (const uint8_t *)text, (size_t)n }, 0, err);
}

enum chy_err chy_file_lock(int dir_fd, const char *path, int *ret_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_file_open_anchor(dir_fd, path, 0600, &fd, err));
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot lock %s: %s", path,
                                chy_sys_text(errno));
        unsigned long holder = holder_read(fd);
        if (holder != 0)
            return chy_fail(err, CHY_E_BUSY, "%s is locked by process %lu", path, holder);
        return chy_fail(err, CHY_E_BUSY, "%s is locked by another process", path);
    }
    CHY_TRY(holder_write(fd, path, err));
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_file_is_locked(int dir_fd, const char *path, bool *ret_is_locked,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    enum chy_err r = chy_file_open_read(dir_fd, path, &fd, err);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (r == CHY_OK && fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot ask for the lock %s: %s", path,
                            chy_sys_text(errno));
    *ret_is_locked = r == CHY_OK && lock.l_type != F_UNLCK;
    return CHY_OK;
}
