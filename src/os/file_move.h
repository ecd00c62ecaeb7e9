/* SPDX-License-Identifier: MIT */
/* Big files beside others: copied in parts, put in the place of another at once. */
#pragma once

#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

/* A new file with the content of another, which must be regular; `mode` is not subject to the
 * umask. What was written of it stays when it fails.
 * Errors: CHY_E_EXISTS, CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_copy(const char *from, const char *to, mode_t mode,
                                        struct chy_error *err);
/* Make `from` durable, with this mode, and put it in the place of `to` (whatever is there), so that
 * a crash leaves the old file or the new. Both are on one file system.
 * Errors: CHY_E_NOT_FOUND, CHY_E_IO (no regular file, another file system) */
CHY_MUST_USE enum chy_err chy_file_move(const char *from, const char *to, mode_t mode,
                                        struct chy_error *err);
