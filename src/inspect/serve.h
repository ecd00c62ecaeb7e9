/* SPDX-License-Identifier: MIT */
/* The serving half of the process, with what its readers do as a parameter: tests put a reader in
 * its place that does what a hostile document would like to. Private to src/inspect and its
 * tests. */
#pragma once

#include "inspect/run.h"

enum {
    INSPECT_EXIT_DRAINED = 0,
    INSPECT_EXIT_TROUBLE = 3,
};

int inspect_serve(inspect_run_fn *run);
