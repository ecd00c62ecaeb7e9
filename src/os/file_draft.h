/* SPDX-License-Identifier: MIT */
/* A file that is written part by part and appears whole or not at all: until it is kept it has no
 * name, so that a program that is killed leaves nothing behind (where the file system knows files
 * without a name, O_TMPFILE; elsewhere a .chancery-… may stay). Not shared. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_file_draft;

struct chy_file_draft_options {
    const char *path; /* NULL: of what only goes on by chy_file_draft_copy(), in TMPDIR or /tmp */
    mode_t mode;      /* under the umask */
    bool is_replace;  /* a file that is there may go */
    /* Its folder is made durable by the caller, once for many files (chy_dir_sync()). */
    bool leaves_folder;
};

/* Errors: CHY_E_EXISTS    something has that name already
 *         CHY_E_NOT_FOUND the folder is not there
 *         CHY_E_ARG       no file's name
 *         CHY_E_IO        no right, or what is there is no regular file; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_file_draft_new(const struct chy_file_draft_options *options,
                                             struct chy_file_draft **ret_draft,
                                             struct chy_error *err);
void chy_file_draft_free(struct chy_file_draft *d); /* what is not kept is gone */
void chy_file_draft_freep(struct chy_file_draft **d);

/* To be written to; lives as long as the draft. */
int chy_file_draft_fd(const struct chy_file_draft *d);
/* Its mode, not under the umask. Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_draft_set_mode(struct chy_file_draft *d, mode_t mode,
                                                  struct chy_error *err);
/* Give it its name, durable on CHY_OK (the name: but for leaves_folder). It had a path.
 * Errors: CHY_E_EXISTS something has that name meanwhile, and is not to be replaced; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_draft_keep(struct chy_file_draft *d, struct chy_error *err);
/* Write all of it to a blocking descriptor. Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_draft_copy(const struct chy_file_draft *d, int to_fd,
                                              struct chy_error *err);
