/* SPDX-License-Identifier: MIT */
/* A private copy of a file that somebody else may change or put another in the place of. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Put what `from` holds into `to`, an empty file that is open for writing: shared with it where the
 * file system can do that, else copied within the kernel, else part by part. Where the descriptors
 * stand is of no matter; both stay the caller's.
 * Errors: CHY_E_LIMIT over `max_bytes`, and `to` holds a part; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_fd_copy(int from, int to, uint64_t max_bytes,
                                      uint64_t *ret_size_bytes, struct chy_error *err);
