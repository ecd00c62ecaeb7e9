/* SPDX-License-Identifier: MIT */
/* What a reader does from its fork to its end. Private to src/inspect. */
#pragma once

#include "inspect/run.h"

/* Close everything but `fd`, enter the reader's sandbox, read the one request in `body`, write the
 * reply to `fd` and end the process: with 0 when the reply is whole, whatever it says. */
CHY_NORETURN void inspect_child_run(inspect_run_fn *run, struct chy_bytes body, int fd);
