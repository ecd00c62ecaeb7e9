/* SPDX-License-Identifier: MIT */
/* An arena: memory that is given back all at once, with a maximum. What a decoded message points to
 * lives in one. Not for secrets. Not shared. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct chy_arena_block;

struct chy_arena {
    struct chy_arena_block *blocks;
    size_t used; /* bytes handed out since the last reset */
    size_t max;  /* bytes */
};

void chy_arena_init(struct chy_arena *a, size_t max_bytes);
void chy_arena_done(struct chy_arena *a);  /* frees all, leaves it zeroed */
void chy_arena_reset(struct chy_arena *a); /* keeps one block for the next use */

/* Zeroed memory aligned for any type; NULL when the maximum would be passed or memory is out. A
 * count * size that overflows gives NULL. n = 0 gives a valid pointer. */
CHY_MUST_USE void *chy_arena_alloc(struct chy_arena *a, size_t count, size_t size);
/* Copies; p is NULL in the result when it did not fit. The text copy is NUL-terminated behind its
 * end. */
CHY_MUST_USE struct chy_str chy_arena_str(struct chy_arena *a, struct chy_str s);
CHY_MUST_USE struct chy_bytes chy_arena_bytes(struct chy_arena *a, struct chy_bytes b);
/* A formatted text in the arena; p is NULL when it did not fit. */
CHY_MUST_USE CHY_PRINTF(2, 3) struct chy_str
    chy_arena_printf(struct chy_arena *a, const char *fmt, ...);

#define chy_arena_new(a, T)          ((T *)chy_arena_alloc((a), 1, sizeof(T)))
#define chy_arena_array(a, T, count) ((T *)chy_arena_alloc((a), (count), sizeof(T)))
