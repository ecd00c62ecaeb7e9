/* SPDX-License-Identifier: MIT */
/* Somebody else's program, run for what it says: without a terminal, in a process group of its own,
 * with the descriptors that it is given and no others. Call from a process with one thread. */
#pragma once

#include "base/buf.h"
#include "os/process.h"

struct chy_program_run {
    const char *const *argv; /* ends with NULL; argv[0] is looked for in PATH */
    const char *const *env;  /* likewise */
    int stdin_fd;            /* -1: /dev/null; stays the caller's */
    int64_t deadline_us;     /* monotonic; then it and what it started is killed */
};

/* Append what it says on standard output and standard error to `out`; what is over the buffer's
 * maximum is read and dropped, and so is what it goes on to say after its own end.
 * Errors: CHY_E_NOT_FOUND there is no such program; CHY_E_TIMEOUT; CHY_E_IO, CHY_E_BUSY,
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_program_output(const struct chy_program_run *run, struct chy_buf *out,
                                             struct chy_process_end *ret_end,
                                             struct chy_error *err);
