/* SPDX-License-Identifier: MIT */
/* Which file it is, and which content of it: what was read once is still right while the stamp is
 * the same. A write changes the times. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t modified_ns;
    int64_t changed_ns;
};

bool chy_file_stamp_is_same(const struct chy_file_stamp *a, const struct chy_file_stamp *b);

/* Links are followed. Errors: CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_stamp(int dir_fd, const char *path,
                                         struct chy_file_stamp *ret_stamp, struct chy_error *err);
/* Of a file that is open. Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_stamp_of(int fd, struct chy_file_stamp *ret_stamp,
                                            struct chy_error *err);
