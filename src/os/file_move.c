/* SPDX-License-Identifier: MIT */
#include "os/file_move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "os/fd.h"
#include "os/file_copy.h"
#include "os/file_stream.h"
#include "os/sys.h"
#include "os/tree.h"

enum chy_err chy_file_copy(const char *from, const char *to, mode_t mode, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int in = -1;
    CHY_CLEANUP(chy_fd_closep) int out = -1;
    uint64_t size;
    CHY_TRY(chy_file_open_stream(AT_FDCWD, from, &in, &size, err));
    CHY_TRY(chy_file_make(AT_FDCWD, to, mode, &out, err));
    return chy_fd_copy(in, out, INT64_MAX, &size, err);
}

enum chy_err chy_file_move(const char *from, const char *to, mode_t mode, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint64_t size;
    CHY_TRY(chy_file_open_stream(AT_FDCWD, from, &fd, &size, err));
    if (fchmod(fd, mode) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot set the mode of %s: %s", from,
                            chy_sys_text(errno));
    CHY_TRY(chy_fd_sync(fd, err));
    if (rename(from, to) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot write %s: %s", to,
                            chy_sys_text(errno));
    return CHY_OK;
}
