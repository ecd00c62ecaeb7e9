/* SPDX-License-Identifier: MIT */
#include "os/file_stamp.h"

#include <errno.h>
#include <sys/stat.h>

#include "os/sys.h"

bool chy_file_stamp_is_same(const struct chy_file_stamp *a, const struct chy_file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

static int64_t ns_of(struct timespec t)
{
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct chy_file_stamp stamp_from(const struct stat *st)
{
    return (struct chy_file_stamp){
        .device = st->st_dev,
        .inode = st->st_ino,
        .size_bytes = (uint64_t)st->st_size,
        .modified_ns = ns_of(st->st_mtim),
        .changed_ns = ns_of(st->st_ctim),
    };
}

static enum chy_err fail(struct chy_error *err)
{
    enum chy_err code = errno == ESRCH ? CHY_E_NOT_FOUND : chy_sys_code(errno);
    return chy_fail_sys(err, code, errno, "cannot look at a file: %s", chy_sys_text(errno));
}

enum chy_err chy_file_stamp(int dir_fd, const char *path, struct chy_file_stamp *ret_stamp,
                            struct chy_error *err)
{
    struct stat st;
    if (fstatat(dir_fd, path, &st, 0) != 0)
        return fail(err);
    *ret_stamp = stamp_from(&st);
    return CHY_OK;
}

enum chy_err chy_file_stamp_of(int fd, struct chy_file_stamp *ret_stamp, struct chy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail(err);
    *ret_stamp = stamp_from(&st);
    return CHY_OK;
}
