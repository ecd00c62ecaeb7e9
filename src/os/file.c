/* SPDX-License-Identifier: MIT */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/random.h"
#include "os/sys.h"

#define READ_CHUNK 65536

static enum chy_err fail_path(struct chy_error *err, const char *doing, const char *path)
{
    return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot %s %s: %s", doing, path,
                        chy_sys_text(errno));
}

/* O_NONBLOCK keeps the open of a FIFO from waiting for its writer; it means nothing to a file. */
static enum chy_err regular_open(int dir_fd, const char *path, int flags, int *ret_fd,
                                 struct stat *ret_st, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
    if (fd < 0)
        return fail_path(err, "open", path);
    if (fstat(fd, ret_st) != 0)
        return fail_path(err, "look at", path);
    if (!S_ISREG(ret_st->st_mode))
        return chy_fail(err, CHY_E_IO, "%s is not a regular file", path);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

static ssize_t read_some(int fd, void *to, size_t n)
{
    ssize_t got;
    do
        got = read(fd, to, n);
    while (got < 0 && errno == EINTR);
    return got;
}

static enum chy_err read_to_end(int fd, const char *path, struct chy_buf *to, struct chy_error *err)
{
    for (;;) {
        /* At the maximum one byte more is tried, on the side, to tell "full" from "too long". */
        uint8_t past;
        size_t room = CHY_MIN((size_t)READ_CHUNK, to->max - to->n);
        uint8_t *p = room != 0 ? chy_buf_room(to, room) : &past;
        if (p == NULL)
            return chy_buf_check(to, err);
        ssize_t got = read_some(fd, p, room != 0 ? room : 1);
        if (got < 0)
            return fail_path(err, "read", path);
        if (got == 0)
            return CHY_OK;
        if (room == 0)
            return chy_fail(err, CHY_E_LIMIT, "%s is larger than the limit of %zu bytes", path,
                            to->max);
        chy_buf_added(to, (size_t)got);
    }
}

enum chy_err chy_file_read(int dir_fd, const char *path, struct chy_buf *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct stat st;
    CHY_TRY(regular_open(dir_fd, path, 0, &fd, &st, err));
    size_t before = to->n;
    enum chy_err r = read_to_end(fd, path, to, err);
    if (r != CHY_OK) {
        to->n = before;
        to->is_over = false;
        to->is_out_of_memory = false;
    }
    return r;
}

enum chy_err chy_file_read_secret_fd(int fd, struct chy_secret **ret_secret, struct chy_error *err)
{
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *s = NULL;
    CHY_TRY(chy_secret_new(CHY_LIMIT_SECRET, &s, err));
    size_t n = 0;
    for (;;) {
        uint8_t past;
        size_t room = CHY_LIMIT_SECRET - n;
        ssize_t got =
            read_some(fd, room != 0 ? chy_secret_room(s) + n : &past, room != 0 ? room : 1);
        if (got < 0)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot read a secret: %s",
                                chy_sys_text(errno));
        if (got == 0)
            break;
        if (room == 0)
            return chy_fail(err, CHY_E_LIMIT, "a secret is larger than %d bytes", CHY_LIMIT_SECRET);
        n += (size_t)got;
    }
    if (n > 0 && chy_secret_room(s)[n - 1] == '\n')
        n--;
    if (n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "a secret is empty");
    chy_secret_set_len(s, n);
    *ret_secret = CHY_TAKE(s);
    return CHY_OK;
}

/* The folder part of a path, and the name in it; "" and names that end in '/' are refused. */
static enum chy_err parent_open(int dir_fd, const char *path, int *ret_fd, const char **ret_name,
                                struct chy_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return chy_fail(err, CHY_E_ARG, "\"%s\" names no file", path);
    CHY_CLEANUP(chy_freep) char *parent = NULL;
    if (slash == NULL)
        parent = chy_strdup(CHY_STR("."));
    else /* "/name" has the folder "/" */
        parent = chy_strdup((struct chy_str){ path, CHY_MAX((size_t)(slash - path), (size_t)1) });
    if (parent == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a path");
    CHY_TRY(chy_dir_open(dir_fd, parent, ret_fd, err));
    *ret_name = name;
    return CHY_OK;
}

static bool is_in_credentials(int dir_fd, const char *path)
{
    const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");
    if (credentials == NULL || credentials[0] != '/')
        return false;
    CHY_CLEANUP(chy_fd_closep) int parent = -1;
    const char *name;
    struct stat a;
    struct stat b;
    return parent_open(dir_fd, path, &parent, &name, NULL) == CHY_OK && fstat(parent, &a) == 0 &&
           stat(credentials, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static enum chy_err secret_check(int dir_fd, const char *path, const struct stat *st,
                                 struct chy_error *err)
{
    uid_t me = geteuid();
    if (me != 0 && st->st_uid != me && st->st_uid != 0)
        return chy_fail(err, CHY_E_FORBIDDEN, "%s holds a secret, but user %u owns it", path,
                        (unsigned)st->st_uid);
    mode_t bad = 077;
    if ((st->st_mode & bad) != 0 && is_in_credentials(dir_fd, path))
        bad = 037;
    if ((st->st_mode & bad) != 0)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "%s holds a secret, but has mode %04o; expected 0600 or less", path,
                        (unsigned)(st->st_mode & 07777));
    return CHY_OK;
}

enum chy_err chy_file_read_secret(int dir_fd, const char *path, struct chy_secret **ret_secret,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct stat st;
    CHY_TRY(regular_open(dir_fd, path, O_NOFOLLOW, &fd, &st, err));
    CHY_TRY(secret_check(dir_fd, path, &st, err));
    enum chy_err r = chy_file_read_secret_fd(fd, ret_secret, err);
    return r == CHY_OK ? r : chy_error_prefix(err, r, "%s", path);
}

#define TEMP_NAME_BYTES 32

static enum chy_err temp_name(char ret_name[TEMP_NAME_BYTES], struct chy_error *err)
{
    uint64_t number;
    CHY_TRY(chy_random_fill(&number, sizeof number, err));
    snprintf(ret_name, TEMP_NAME_BYTES, ".chancery-%016llx", (unsigned long long)number);
    return CHY_OK;
}

static enum chy_err temp_write(int dir_fd, const char *temp, struct chy_bytes content, mode_t mode,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_path(err, "make", temp);
    enum chy_err r = chy_fd_write(fd, content, err);
    if (r == CHY_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        r = fail_path(err, "write", temp);
    if (r != CHY_OK)
        CHY_IGNORE(unlinkat(dir_fd, temp, 0)); /* the first error is the one to tell */
    return r;
}

static enum chy_err file_put(int dir_fd, const char *path, struct chy_bytes content, mode_t mode,
                             unsigned rename_flags, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int parent = -1;
    const char *name;
    CHY_TRY(parent_open(dir_fd, path, &parent, &name, err));
    char temp[TEMP_NAME_BYTES];
    CHY_TRY(temp_name(temp, err));
    enum chy_err r = temp_write(parent, temp, content, mode, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%s", path);
    if (renameat2(parent, temp, parent, name, rename_flags) != 0) {
        r = fail_path(err, "write", path);
        CHY_IGNORE(unlinkat(parent, temp, 0)); /* the first error is the one to tell */
        return r;
    }
    if (fsync(parent) != 0)
        return fail_path(err, "make durable", path);
    return CHY_OK;
}

enum chy_err chy_file_replace(int dir_fd, const char *path, struct chy_bytes content, mode_t mode,
                              struct chy_error *err)
{
    return file_put(dir_fd, path, content, mode, 0, err);
}

enum chy_err chy_file_create(int dir_fd, const char *path, struct chy_bytes content, mode_t mode,
                             struct chy_error *err)
{
    return file_put(dir_fd, path, content, mode, RENAME_NOREPLACE, err);
}

enum chy_err chy_file_open_anchor(int dir_fd, const char *path, mode_t mode, int *ret_fd,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);
    if (fd < 0)
        return fail_path(err, "open", path);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_path(err, "look at", path);
    if (!S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is not a regular file", path);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_file_open_read(int dir_fd, const char *path, int *ret_fd, struct chy_error *err)
{
    struct stat st;
    return regular_open(dir_fd, path, O_NOFOLLOW, ret_fd, &st, err);
}

static enum chy_err pwrite_all(int fd, struct chy_bytes bytes, uint64_t offset,
                               struct chy_error *err)
{
    while (bytes.n > 0) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot write: %s",
                                chy_sys_text(errno));
        bytes.p += n;
        bytes.n -= (size_t)n;
        offset += (uint64_t)n;
    }
    if (fdatasync(fd) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot make a write durable: %s",
                            chy_sys_text(errno));
    return CHY_OK;
}

static enum chy_err offset_check(uint64_t offset, size_t n, struct chy_error *err)
{
    if (offset > (uint64_t)INT64_MAX || n > (uint64_t)INT64_MAX - offset)
        return chy_fail(err, CHY_E_ARG, "offset %llu is past the end of any file",
                        (unsigned long long)offset);
    return CHY_OK;
}

enum chy_err chy_file_pwrite_sync(int fd, struct chy_bytes bytes, uint64_t offset,
                                  struct chy_error *err)
{
    CHY_TRY(offset_check(offset, bytes.n, err));
    return pwrite_all(fd, bytes, offset, err);
}

enum chy_err chy_file_append_sync(int fd, struct chy_bytes bytes, struct chy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot look at a file: %s", chy_sys_text(errno));
    enum chy_err r = pwrite_all(fd, bytes, (uint64_t)st.st_size, err);
    if (r != CHY_OK)
        CHY_IGNORE(ftruncate(fd, st.st_size)); /* the first error is the one to tell */
    return r;
}

enum chy_err chy_file_pread(int fd, void *to, size_t n, uint64_t offset, size_t *ret_n,
                            struct chy_error *err)
{
    CHY_TRY(offset_check(offset, n, err));
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot read: %s", chy_sys_text(errno));
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_n = done;
    return CHY_OK;
}

enum chy_err chy_file_remove(int dir_fd, const char *path, struct chy_error *err)
{
    return unlinkat(dir_fd, path, 0) == 0 ? CHY_OK : fail_path(err, "remove", path);
}

enum chy_err chy_link_make(const char *target, int dir_fd, const char *path, struct chy_error *err)
{
    return symlinkat(target, dir_fd, path) == 0 ? CHY_OK : fail_path(err, "make the link", path);
}

enum chy_err chy_file_chown(int dir_fd, const char *path, uid_t uid, gid_t gid,
                            struct chy_error *err)
{
    if (fchownat(dir_fd, path, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_path(err, "change the owner of", path);
    return CHY_OK;
}

enum chy_err chy_dir_make(int dir_fd, const char *path, mode_t mode, struct chy_error *err)
{
    if (mkdirat(dir_fd, path, mode & 0700) != 0)
        return fail_path(err, "make the folder", path);
    /* By descriptor, and only if it is a folder: nothing else can be put in its place meanwhile. */
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) != 0)
        return fail_path(err, "set the mode of", path);
    return CHY_OK;
}

enum chy_err chy_dir_check_own(const char *path, struct chy_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return fail_path(err, "look at", path);
    if (!S_ISDIR(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is not a folder", path);
    bool is_ours = st.st_uid == geteuid() || st.st_uid == 0;
    bool is_open = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0;
    if (!is_ours || is_open)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "others may write the folder %s: make it your own, mode 0700", path);
    return CHY_OK;
}

enum chy_err chy_dir_open(int dir_fd, const char *path, int *ret_fd, struct chy_error *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_path(err, "open the folder", path);
    *ret_fd = fd;
    return CHY_OK;
}
