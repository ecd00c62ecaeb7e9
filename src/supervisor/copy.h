/* SPDX-License-Identifier: MIT */
/* Copying files between folders, for backup and restore. Private to this folder. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"

/* Copy one regular file; the new one has mode 0600 and is durable. Folders on its way are made,
 * 0700. Errors: CHY_E_EXISTS the new one is there; CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err copy_file(int from_dir, const char *from, int to_dir, const char *to,
                                    struct chy_error *err);
/* The folders on the way to `path`. Errors: CHY_E_IO, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err copy_make_parents(int dir_fd, const char *path, struct chy_error *err);
/* Whether `path` is `folder` or below it; both absolute, without links. */
bool copy_is_below(const char *path, const char *folder);
