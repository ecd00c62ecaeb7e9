/* SPDX-License-Identifier: MIT */
/* Random bytes of the kernel, fit for ids, nonces and tokens. Threads: any. */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Errors: CHY_E_CRYPTO the kernel gave none; `p` must then not be used. */
CHY_MUST_USE enum chy_err chy_random_fill(void *p, size_t n, struct chy_error *err);
