/* SPDX-License-Identifier: MIT */
/* Folders with all that is in them: walked, removed; and new files that are written in parts.
 * Symbolic links are never followed below the folder that is named. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

enum chy_tree_kind {
    CHY_TREE_FILE,
    CHY_TREE_DIR,
    CHY_TREE_OTHER, /* a link, socket, pipe or device */
};

struct chy_tree_entry {
    const char *path; /* below the folder, "a/b"; lives during the call */
    int parent_fd;    /* the folder that it is in, whatever leads there by now; likewise */
    const char *name; /* in that, "b" */
    enum chy_tree_kind kind;
    mode_t mode; /* permission bits alone */
    uint64_t size_bytes;
};

/* `dir_fd` is the folder that was named: open or change what `entry` tells of with the *at
 * functions. */
typedef enum chy_err chy_tree_fn(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                                 struct chy_error *err);

/* Call `fn` for everything in the folder, in the order of names, a folder before what is in it. The
 * first result other than CHY_OK ends the walk. What is there is read folder by folder before `fn`
 * sees it. Errors: CHY_E_NOT_FOUND, CHY_E_IO; CHY_E_LIMIT deeper than CHY_LIMIT_TREE_DEPTH or more
 * than
 *         CHY_LIMIT_TREE_ENTRIES in one folder; CHY_E_NOMEM; those of `fn` */
CHY_MUST_USE enum chy_err chy_tree_walk(int dir_fd, const char *path, chy_tree_fn *fn, void *ctx,
                                        struct chy_error *err);

/* Errors: CHY_E_NOT_FOUND there is no such folder; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_tree_is_empty(int dir_fd, const char *path, bool *ret_is_empty,
                                            struct chy_error *err);

/* Remove what is in the folder, and the folder too unless `keeps_folder`. Goes on after a failure
 * and tells the first one. Allocates nothing with base/mem.h. Errors: as chy_tree_walk() */
CHY_MUST_USE enum chy_err chy_tree_remove(int dir_fd, const char *path, bool keeps_folder,
                                          struct chy_error *err);

/* A new, empty file to be written; `mode` is not subject to the umask.
 * Errors: CHY_E_EXISTS, CHY_E_NOT_FOUND the folder is not there, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_make(int dir_fd, const char *path, mode_t mode, int *ret_fd,
                                        struct chy_error *err);
/* What was written to a file, and that it is in its folder, outlives a power cut. Errors:
 * CHY_E_IO */
CHY_MUST_USE enum chy_err chy_fd_sync(int fd, struct chy_error *err);
