/* SPDX-License-Identifier: MIT */
/* Starting a program from within a stranger's process: the PKCS#11 module in somebody else's tool.
 * Nothing of the tool is changed or passed on but its environment, and its wait() is not disturbed.
 * Threads: any. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Start `program` (an absolute path) with `fd` as its descriptor 3 and no other: standard input,
 * output and error are /dev/null. It gets a session of its own, default signals and none blocked.
 * The program leaves its first process at once (it forks and the parent ends); that one is waited
 * for here until `deadline_us` of the monotonic clock, and killed when it is still there then, so
 * that the tool never sees a child that it did not make.
 *
 * argv  up to NULL; argv[0] is the name
 * fd    stays the caller's
 *
 * Errors: CHY_E_ARG       the path is not absolute
 *         CHY_E_NOT_FOUND no such program
 *         CHY_E_TIMEOUT   its first process did not end; it is killed
 *         CHY_E_IO        it may not be run, or its first process did not end with 0
 *         CHY_E_NOMEM, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_spawn_apart(const char *program, char *const argv[], int fd,
                                          int64_t deadline_us, struct chy_error *err);
