/* SPDX-License-Identifier: MIT */
/* Files that cannot be written: a program that is linked with failing_io.c reads, writes, cuts,
 * syncs and renames its files, SQLite's among them, by functions that fail when a test wants it. A
 * failed write has written half of what it was given, as on a disk that is full or goes bad. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum failing_io_mode {
    FAILING_IO_ONCE, /* the disk is itself again */
    FAILING_IO_EVER, /* and all that come behind it */
    FAILING_IO_SYNC, /* of syncs alone, which are all that is counted; once */
};

/* Let `n` calls pass and fail the next; SIZE_MAX turns it off. Safe in a signal handler. */
void failing_io_after(size_t n, enum failing_io_mode mode);
/* Whether a call has failed since. */
bool failing_io_has_failed(void);
