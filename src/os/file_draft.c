/* SPDX-License-Identifier: MIT */
#include "os/file_draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/random.h"
#include "os/sys.h"

#define TEMP_NAME_BYTES 32
#define COPY_BYTES      65536

struct chy_file_draft {
    int fd;
    int dir;
    char *path;
    bool is_replace;
    bool leaves_folder;
    const char *name;           /* in `path`; NULL: never to be kept */
    char temp[TEMP_NAME_BYTES]; /* the name that it has meanwhile; "": none */
};

static enum chy_err fail_path(struct chy_error *err, const char *doing, const char *path)
{
    return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot %s %s: %s", doing, path,
                        chy_sys_text(errno));
}

static enum chy_err temp_name(struct chy_file_draft *d, struct chy_error *err)
{
    uint64_t number;
    CHY_TRY(chy_random_fill(&number, sizeof number, err));
    snprintf(d->temp, sizeof d->temp, ".chancery-%016llx", (unsigned long long)number);
    return CHY_OK;
}

/* The folder of `path` becomes d->dir, what is behind the last slash d->name. */
static enum chy_err parent_open(struct chy_file_draft *d, const char *path, struct chy_error *err)
{
    d->path = chy_strdup(chy_str_of(path));
    if (d->path == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a path");
    char *slash = strrchr(d->path, '/');
    d->name = slash != NULL ? slash + 1 : d->path;
    if (d->name[0] == '\0' || strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
        return chy_fail(err, CHY_E_ARG, "\"%s\" names no file", path);
    if (slash == NULL || slash == d->path)
        return chy_dir_open(AT_FDCWD, slash == NULL ? "." : "/", &d->dir, err);
    *slash = '\0';
    enum chy_err r = chy_dir_open(AT_FDCWD, d->path, &d->dir, err);
    *slash = '/';
    return r;
}

static enum chy_err place_open(struct chy_file_draft *d, const char *path, struct chy_error *err)
{
    const char *dir = secure_getenv("TMPDIR");
    if (path != NULL)
        return parent_open(d, path, err);
    return chy_dir_open(AT_FDCWD, dir != NULL && dir[0] == '/' ? dir : "/tmp", &d->dir, err);
}

/* Some file systems have no files without a name. What is never kept loses its name at once. */
static enum chy_err file_open(struct chy_file_draft *d, mode_t mode, struct chy_error *err)
{
    d->fd = openat(d->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (d->fd >= 0)
        return CHY_OK;
    CHY_TRY(temp_name(d, err));
    d->fd = openat(d->dir, d->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (d->fd < 0) {
        enum chy_err r = fail_path(err, "make", d->path != NULL ? d->path : "a temporary file");
        d->temp[0] = '\0';
        return r;
    }
    if (d->name == NULL && unlinkat(d->dir, d->temp, 0) == 0)
        d->temp[0] = '\0';
    return CHY_OK;
}

/* Before the work is done, and not only when its result has no place. */
static enum chy_err place_check(const struct chy_file_draft *d, struct chy_error *err)
{
    struct stat st;
    if (d->name == NULL || fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return CHY_OK;
    if (!S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is there already, and no regular file", d->path);
    if (!d->is_replace)
        return chy_fail(err, CHY_E_EXISTS, "%s is there already", d->path);
    return CHY_OK;
}

enum chy_err chy_file_draft_new(const struct chy_file_draft_options *options,
                                struct chy_file_draft **ret_draft, struct chy_error *err)
{
    CHY_CLEANUP(chy_file_draft_freep) struct chy_file_draft *d = chy_new(struct chy_file_draft);
    if (d == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a file's draft");
    d->fd = -1;
    d->dir = -1;
    d->is_replace = options->is_replace;
    d->leaves_folder = options->leaves_folder;
    CHY_TRY(place_open(d, options->path, err));
    CHY_TRY(place_check(d, err));
    CHY_TRY(file_open(d, options->mode, err));
    *ret_draft = CHY_TAKE(d);
    return CHY_OK;
}

void chy_file_draft_free(struct chy_file_draft *d)
{
    if (d == NULL)
        return;
    if (d->temp[0] != '\0')
        CHY_IGNORE(unlinkat(d->dir, d->temp, 0)); /* there is nobody to tell */
    chy_fd_closep(&d->fd);
    chy_fd_closep(&d->dir);
    chy_free(d->path);
    chy_free(d);
}

void chy_file_draft_freep(struct chy_file_draft **d)
{
    chy_file_draft_free(*d);
}

int chy_file_draft_fd(const struct chy_file_draft *d)
{
    return d->fd;
}

enum chy_err chy_file_draft_set_mode(struct chy_file_draft *d, mode_t mode, struct chy_error *err)
{
    if (fchmod(d->fd, mode) != 0)
        return fail_path(err, "set the mode of", d->path != NULL ? d->path : "a temporary file");
    return CHY_OK;
}

/* By way of /proc, since AT_EMPTY_PATH is for root alone. */
static bool link_as(const struct chy_file_draft *d, const char *name)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
    return linkat(AT_FDCWD, self, d->dir, name, AT_SYMLINK_FOLLOW) == 0;
}

/* What has no name can get one that is free, and no other. */
static enum chy_err temp_link(struct chy_file_draft *d, struct chy_error *err)
{
    if (d->temp[0] != '\0')
        return CHY_OK;
    CHY_TRY(temp_name(d, err));
    if (link_as(d, d->temp))
        return CHY_OK;
    d->temp[0] = '\0';
    return fail_path(err, "write", d->path);
}

enum chy_err chy_file_draft_keep(struct chy_file_draft *d, struct chy_error *err)
{
    CHY_ASSERT(d->name != NULL);
    if (fsync(d->fd) != 0)
        return fail_path(err, "write", d->path);
    if (d->temp[0] == '\0' && !d->is_replace) {
        if (!link_as(d, d->name))
            return fail_path(err, "write", d->path);
    } else {
        CHY_TRY(temp_link(d, err));
        unsigned flags = d->is_replace ? 0 : RENAME_NOREPLACE;
        if (renameat2(d->dir, d->temp, d->dir, d->name, flags) != 0)
            return fail_path(err, "write", d->path);
        d->temp[0] = '\0';
    }
    if (!d->leaves_folder && fsync(d->dir) != 0)
        return fail_path(err, "make durable", d->path);
    return CHY_OK;
}

enum chy_err chy_file_draft_copy(const struct chy_file_draft *d, int to_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) uint8_t *part = chy_malloc(COPY_BYTES);
    if (part == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a part of a file");
    for (uint64_t at = 0;;) {
        size_t n = 0;
        CHY_TRY(chy_file_pread(d->fd, part, COPY_BYTES, at, &n, err));
        if (n == 0)
            return CHY_OK;
        CHY_TRY(chy_fd_write(to_fd, (struct chy_bytes){ part, n }, err));
        at += n;
    }
}
