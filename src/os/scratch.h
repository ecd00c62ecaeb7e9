/* SPDX-License-Identifier: MIT */
/* Folders in which a program works: beside the files that it makes, so that a rename puts these in
 * their place; or with what the tools need that it runs. A process that is killed leaves its own;
 * the next one that works there removes it: whoever uses a folder holds a lock on it, which the
 * kernel lets go with the process, or with the last of those that inherit it. */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

/* Of the names of the one and the other; 16 digits of lower-case hex follow. */
#define CHY_SCRATCH_PREFIX      ".chancery-"
#define CHY_SCRATCH_EXEC_PREFIX "chancery-exec-"

/* A new one, of mode 0700, in use until `ret_fd` is closed: remove it first.
 * Errors: CHY_E_EXISTS, CHY_E_NOT_FOUND (its parent), CHY_E_IO */
CHY_MUST_USE enum chy_err chy_scratch_make(const char *path, int *ret_fd, struct chy_error *err);

/* Remove those of our user in `folder` that nobody uses and in which nothing came or went for a
 * minute. What cannot be removed stays. Errors: CHY_E_NOT_FOUND, CHY_E_IO the folder cannot be
 * read */
CHY_MUST_USE enum chy_err chy_scratch_sweep(const char *folder, struct chy_error *err);
