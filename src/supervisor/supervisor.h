/* SPDX-License-Identifier: MIT */
/* The supervisor: starts the other processes, hands each its configuration, descriptors and peers,
 * starts again what dies, and ends them in order. It parses nothing from outside but its own
 * configuration.
 *
 * A process that dies before all were ready once ends the start: what is wrong is said, not
 * retried. Afterwards it is started again, at once the first time, then after ever longer waits.
 * One thread. Owns the lock of the data directory while it runs. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_supervisor_options {
    const char *config; /* path */
    bool accept_older_store;
};

/* Run until a signal ends it: TERM or INT finish what is in flight, a second one ends at once, HUP
 * reads the configuration again. Writes the operators' log to standard error.
 * Errors: what kept the server from starting; CHY_E_BUSY the data directory is in use */
CHY_MUST_USE enum chy_err chy_supervisor_run(const struct chy_supervisor_options *options,
                                             struct chy_error *err);
