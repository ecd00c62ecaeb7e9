/* SPDX-License-Identifier: MIT */
#include "os/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sys.h"

static enum chy_err fail_path(struct chy_error *err, const char *doing, const char *path)
{
    return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot %s %s: %s", doing, path,
                        chy_sys_text(errno));
}

/* --- the names of one folder --- */

struct names {
    char **p;
    size_t n;
    size_t cap;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        chy_free(names->p[i]);
    chy_free(names->p);
    *names = (struct names){ NULL, 0, 0 };
}

static void dir_closep(DIR **dir)
{
    if (*dir != NULL)
        CHY_IGNORE(closedir(*dir)); /* only read from */
    *dir = NULL;
}

static enum chy_err names_add(struct names *names, const char *name, struct chy_error *err)
{
    if (names->n == CHY_LIMIT_TREE_ENTRIES)
        return chy_fail(err, CHY_E_LIMIT, "a folder has more than %d entries",
                        CHY_LIMIT_TREE_ENTRIES);
    if (names->n == names->cap) {
        size_t cap = names->cap == 0 ? 16 : 2 * names->cap;
        char **p = chy_new_array(char *, cap);
        if (p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "out of memory for the names in a folder");
        if (names->n != 0)
            memcpy(p, names->p, names->n * sizeof *p);
        chy_free(names->p);
        names->p = p;
        names->cap = cap;
    }
    char *copy = chy_strdup(chy_str_of(name));
    if (copy == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for the names in a folder");
    names->p[names->n++] = copy;
    return CHY_OK;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names but "." and "..", sorted; `fd` stays the caller's. */
static enum chy_err names_read(int fd, const char *path, struct names *names, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHY_CLEANUP(dir_closep) DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (dir == NULL)
        return fail_path(err, "read the folder", path);
    chy_fd_take(&own); /* closed with `dir` */
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir); /* NOLINT: the stream is ours alone */
        if (entry == NULL && errno != 0)
            return fail_path(err, "read the folder", path);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            CHY_TRY(names_add(names, entry->d_name, err));
    }
    if (names->n > 1)
        qsort(names->p, names->n, sizeof *names->p, name_compare);
    return CHY_OK;
}

/* --- walking --- */

struct walk {
    int root_fd;
    chy_tree_fn *fn;
    void *ctx;
    char path[PATH_MAX]; /* of the present entry, below the root */
    size_t n;
};

static enum chy_err walk_dir(struct walk *w, int fd, unsigned depth, struct chy_error *err);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static enum chy_err walk_entry(struct walk *w, int fd, const char *name, unsigned depth,
                               struct chy_error *err)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_path(err, "look at", w->path);
    struct chy_tree_entry entry = {
        .path = w->path,
        .parent_fd = fd,
        .name = name,
        .kind = S_ISREG(st.st_mode)   ? CHY_TREE_FILE
                : S_ISDIR(st.st_mode) ? CHY_TREE_DIR
                                      : CHY_TREE_OTHER,
        .mode = st.st_mode & 07777,
        .size_bytes = (uint64_t)st.st_size,
    };
    CHY_TRY(w->fn(w->ctx, w->root_fd, &entry, err));
    if (entry.kind != CHY_TREE_DIR)
        return CHY_OK;
    CHY_CLEANUP(chy_fd_closep)
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return fail_path(err, "open the folder", w->path);
    return walk_dir(w, below, depth + 1, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static enum chy_err walk_names(struct walk *w, int fd, const struct names *names, unsigned depth,
                               struct chy_error *err)
{
    size_t before = w->n;
    for (size_t i = 0; i < names->n; i++) {
        int n = snprintf(w->path + before, sizeof w->path - before, "%s%s", before > 0 ? "/" : "",
                         names->p[i]);
        if (n < 0 || (size_t)n >= sizeof w->path - before)
            return chy_fail(err, CHY_E_LIMIT, "a path is longer than %zu bytes", sizeof w->path);
        w->n = before + (size_t)n;
        CHY_TRY(walk_entry(w, fd, names->p[i], depth, err));
    }
    w->n = before;
    w->path[before] = '\0';
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static enum chy_err walk_dir(struct walk *w, int fd, unsigned depth, struct chy_error *err)
{
    if (depth > CHY_LIMIT_TREE_DEPTH)
        return chy_fail(err, CHY_E_LIMIT, "folders are nested deeper than %d: %s",
                        CHY_LIMIT_TREE_DEPTH, w->path);
    CHY_CLEANUP(names_done) struct names names = { NULL, 0, 0 };
    CHY_TRY(names_read(fd, w->n == 0 ? "to be walked" : w->path, &names, err));
    return walk_names(w, fd, &names, depth, err);
}

enum chy_err chy_tree_walk(int dir_fd, const char *path, chy_tree_fn *fn, void *ctx,
                           struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_dir_open(dir_fd, path, &fd, err));
    CHY_CLEANUP(chy_freep) struct walk *w = chy_new(struct walk);
    if (w == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a walk");
    w->root_fd = fd;
    w->fn = fn;
    w->ctx = ctx;
    return walk_dir(w, fd, 1, err);
}

enum chy_err chy_tree_is_empty(int dir_fd, const char *path, bool *ret_is_empty,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_dir_open(dir_fd, path, &fd, err));
    CHY_CLEANUP(names_done) struct names names = { NULL, 0, 0 };
    CHY_TRY(names_read(fd, path, &names, err));
    *ret_is_empty = names.n == 0;
    return CHY_OK;
}

/* --- removing ---
 *
 * It is what a scope does when memory is out, so nothing of ours is allocated: the folder is read
 * again until nothing more can be removed. */

struct removing {
    enum chy_err first; /* failure of the present pass */
    struct chy_error *err;
};

static enum chy_err remove_dir(int fd, const char *name, bool keeps_folder, unsigned depth,
                               struct chy_error *err);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static enum chy_err remove_name(int fd, const char *name, unsigned depth, struct chy_error *err)
{
    if (unlinkat(fd, name, 0) == 0)
        return CHY_OK;
    if (errno != EISDIR)
        return fail_path(err, "remove", name);
    return remove_dir(fd, name, false, depth + 1, err);
}

/* One pass; whether anything went away. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static bool remove_pass(DIR *dir, unsigned depth, struct removing *r)
{
    bool is_less = false;
    r->first = CHY_OK;
    rewinddir(dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir); /* NOLINT: the stream is ours alone */
        if (entry == NULL && errno != 0 && r->first == CHY_OK)
            r->first = fail_path(r->err, "read a folder to", "remove it");
        if (entry == NULL)
            return is_less;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        enum chy_err one =
            remove_name(dirfd(dir), entry->d_name, depth, r->first == CHY_OK ? r->err : NULL);
        is_less |= one == CHY_OK;
        if (r->first == CHY_OK)
            r->first = one;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_TREE_DEPTH */
static enum chy_err remove_dir(int fd, const char *name, bool keeps_folder, unsigned depth,
                               struct chy_error *err)
{
    if (depth > CHY_LIMIT_TREE_DEPTH)
        return chy_fail(err, CHY_E_LIMIT, "folders are nested deeper than %d",
                        CHY_LIMIT_TREE_DEPTH);
    CHY_CLEANUP(chy_fd_closep)
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CHY_CLEANUP(dir_closep) DIR *dir = below < 0 ? NULL : fdopendir(below);
    if (dir == NULL)
        return fail_path(err, "open the folder", name);
    chy_fd_take(&below); /* closed with `dir` */
    struct removing r = { CHY_OK, err };
    while (remove_pass(dir, depth, &r))
        ;
    if (r.first == CHY_OK && !keeps_folder && unlinkat(fd, name, AT_REMOVEDIR) != 0)
        return fail_path(err, "remove the folder", name);
    return r.first;
}

enum chy_err chy_tree_remove(int dir_fd, const char *path, bool keeps_folder, struct chy_error *err)
{
    return remove_dir(dir_fd, path, keeps_folder, 1, err);
}

/* --- new files --- */

enum chy_err chy_file_make(int dir_fd, const char *path, mode_t mode, int *ret_fd,
                           struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_path(err, "make", path);
    if (fchmod(fd, mode) != 0)
        return fail_path(err, "set the mode of", path);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_fd_sync(int fd, struct chy_error *err)
{
    if (fsync(fd) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot make a write durable: %s",
                            chy_sys_text(errno));
    return CHY_OK;
}
