/* SPDX-License-Identifier: MIT */
/* uthash, but out of memory is an error and never the end of the process. After an addition
 * `hh.tbl` of the element is NULL if there was no memory, and the table is as before. */
#pragma once

#include "base/mem.h"

/* Its own default falls through a switch in every place of use, which clang warns of. */
#define HASH_FUNCTION     HASH_FNV
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n)  chy_malloc(n)
#define uthash_free(p, n) chy_free(p)

#include <uthash.h>
