/* SPDX-License-Identifier: MIT */
/* What root may do, cut down: for a process that stays root to start others as their own users. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Flags. */
#define CHY_CAPABILITY_DAC_READ_SEARCH (UINT64_C(1) << 2) /* find what belongs to other users */
#define CHY_CAPABILITY_KILL            (UINT64_C(1) << 5) /* signal processes of other users */
#define CHY_CAPABILITY_SETGID          (UINT64_C(1) << 6)
#define CHY_CAPABILITY_SETUID          (UINT64_C(1) << 7)

/* Give up every other capability, for this process and for all it will start, for good.
 * Capabilities in `keep` that the process does not have are not gained. Does nothing when the
 * process has none.
 * Source: capabilities(7). Errors: CHY_E_IO; CHY_E_INTEGRITY the kernel kept more */
CHY_MUST_USE enum chy_err chy_capability_keep(uint64_t keep, struct chy_error *err);
