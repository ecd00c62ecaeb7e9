/* SPDX-License-Identifier: MIT */
/* What the kernel says of this machine: room on a disk, the clock. Threads: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_disk_room {
    uint64_t free_bytes; /* for those who are not root */
    uint64_t size_bytes;
    uint64_t free_files; /* UINT64_MAX where the file system counts none */
};

/* Of the file system that `path` is on. Errors: CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_disk_room(const char *path, struct chy_disk_room *ret_room,
                                        struct chy_error *err);
/* Whether something keeps the clock right (NTP). False also where the kernel does not tell. */
bool chy_clock_is_kept(void);
