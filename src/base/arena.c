/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum {
    BLOCK_BYTES = 4096
};

struct chy_arena_block {
    struct chy_arena_block *next;
    size_t cap;
    size_t n;
    alignas(max_align_t) uint8_t data[];
};

void chy_arena_init(struct chy_arena *a, size_t max_bytes)
{
    *a = (struct chy_arena){ .max = max_bytes };
}

static void blocks_free(struct chy_arena_block *b)
{
    while (b != NULL) {
        struct chy_arena_block *next = b->next;
        chy_free(b);
        b = next;
    }
}

void chy_arena_done(struct chy_arena *a)
{
    blocks_free(a->blocks);
    *a = (struct chy_arena){ 0 };
}

void chy_arena_reset(struct chy_arena *a)
{
    if (a->blocks != NULL) {
        blocks_free(a->blocks->next);
        a->blocks->next = NULL;
        a->blocks->n = 0;
    }
    a->used = 0;
}

static struct chy_arena_block *block_with_room(struct chy_arena *a, size_t n)
{
    struct chy_arena_block *b = a->blocks;
    if (b != NULL && b->cap - b->n >= n)
        return b;
    size_t cap = CHY_MAX(n, (size_t)BLOCK_BYTES);
    b = chy_malloc(sizeof *b + cap);
    if (b == NULL)
        return NULL;
    *b = (struct chy_arena_block){ .next = a->blocks, .cap = cap };
    a->blocks = b;
    return b;
}

void *chy_arena_alloc(struct chy_arena *a, size_t count, size_t size)
{
    size_t n;
    size_t align = alignof(max_align_t);
    if (__builtin_mul_overflow(count, size, &n) || __builtin_add_overflow(n, align - 1, &n))
        return NULL;
    n -= n % align;
    n = CHY_MAX(n, align);
    if (n > a->max || a->used > a->max - n || !chy_mem_may_carve())
        return NULL;
    struct chy_arena_block *b = block_with_room(a, n);
    if (b == NULL)
        return NULL;
    void *p = b->data + b->n;
    b->n += n;
    a->used += n;
    memset(p, 0, n);
    return p;
}

struct chy_bytes chy_arena_bytes(struct chy_arena *a, struct chy_bytes b)
{
    size_t n;
    if (__builtin_add_overflow(b.n, (size_t)1, &n))
        return (struct chy_bytes){ NULL, 0 };
    uint8_t *p = chy_arena_alloc(a, n, 1);
    if (p == NULL)
        return (struct chy_bytes){ NULL, 0 };
    chy_copy(p, b.p, b.n);
    return (struct chy_bytes){ p, b.n };
}

struct chy_str chy_arena_str(struct chy_arena *a, struct chy_str s)
{
    return chy_bytes_str(chy_arena_bytes(a, chy_str_bytes(s)));
}

struct chy_str chy_arena_printf(struct chy_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : chy_arena_alloc(a, (size_t)n + 1, 1);
    if (p != NULL)
        n = vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct chy_str){ p, p != NULL ? (size_t)CHY_MAX(n, 0) : 0 };
}
