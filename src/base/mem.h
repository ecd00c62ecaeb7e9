/* SPDX-License-Identifier: MIT */
/* Allocation. Everything of ours is allocated here, so that tests can fail the n-th allocation.
 * Out of memory is an ordinary error: NULL comes back. Threads: as malloc; the test hook is not
 * for use while other threads run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"

void chy_free(void *p); /* NULL is a no-op */
CHY_MUST_USE CHY_MALLOC(chy_free) void *chy_malloc(size_t n);
/* Zeroed; NULL as well when count * size overflows. */
CHY_MUST_USE CHY_MALLOC(chy_free) void *chy_calloc(size_t count, size_t size);
/* On failure NULL, and `p` stays as it was. */
CHY_MUST_USE void *chy_realloc(void *p, size_t n);
/* A NUL-terminated copy; a view with a NUL inside gives NULL. */
CHY_MUST_USE CHY_MALLOC(chy_free)
char *chy_strdup(struct chy_str s);
void chy_freep(void *pp); /* for CHY_CLEANUP on any pointer */

#define chy_new(T)              ((T *)chy_calloc(1, sizeof(T)))
#define chy_new_array(T, count) ((T *)chy_calloc((count), sizeof(T)))

/* Tests only: let `n` allocations pass and fail all that follow; SIZE_MAX turns it off. */
void chy_mem_fail_after(size_t n);
enum {
    CHY_MEM_ARENAS = 1 << 0, /* each piece that an arena hands out counts as an allocation */
    CHY_MEM_ONCE = 1 << 1,   /* one fails, those behind it do not */
};
/* Tests only: the same, with flags. */
void chy_mem_fail_from(size_t n, unsigned flags);
/* Tests only: true once an allocation was refused since chy_mem_fail_after(). */
bool chy_mem_has_failed(void);
/* For base/arena.c: whether it may hand out a piece. */
bool chy_mem_may_carve(void);
