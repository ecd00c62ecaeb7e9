/* SPDX-License-Identifier: MIT */
#include "supervisor/copy.h"

#include <limits.h>
#include <string.h>

#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"
#include "os/tree.h"

enum chy_err copy_make_parents(int dir_fd, const char *path, struct chy_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return chy_fail(err, CHY_E_LIMIT, "a path is longer than %zu bytes", sizeof part);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        struct chy_error error;
        enum chy_err r = chy_dir_make(dir_fd, part, 0700, &error);
        if (r != CHY_OK && r != CHY_E_EXISTS) {
            if (err != NULL)
                *err = error;
            return r;
        }
        part[i] = '/';
    }
    return CHY_OK;
}

static enum chy_err content_copy(int from, int to, struct chy_error *err)
{
    for (;;) {
        uint8_t block[8192];
        size_t n;
        CHY_TRY(chy_fd_read(from, block, sizeof block, &n, err));
        if (n == 0)
            return chy_fd_sync(to, err);
        CHY_TRY(chy_fd_write(to, (struct chy_bytes){ block, n }, err));
    }
}

enum chy_err copy_file(int from_dir, const char *from, int to_dir, const char *to,
                       struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int source = -1;
    CHY_CLEANUP(chy_fd_closep) int target = -1;
    CHY_TRY(chy_file_open_read(from_dir, from, &source, err));
    CHY_TRY(copy_make_parents(to_dir, to, err));
    CHY_TRY(chy_file_make(to_dir, to, 0600, &target, err));
    enum chy_err r = content_copy(source, target, err);
    return r == CHY_OK ? r : chy_error_prefix(err, r, "%s", to);
}

bool copy_is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return chy_str_starts(chy_str_of(path), "/") &&
           chy_bytes_equal((struct chy_bytes){ (const uint8_t *)path, strnlen(path, n) },
                           (struct chy_bytes){ (const uint8_t *)folder, n }) &&
           (path[n] == '\0' || path[n] == '/' || n == 1);
}
