/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* The one piece of mutable state in this file, for tests: see chy_mem_fail_from(). */
static atomic_size_t fail_after = SIZE_MAX;
static atomic_uint fail_flags;
static atomic_bool has_failed;

static bool may_allocate(void)
{
    size_t left = atomic_load_explicit(&fail_after, memory_order_relaxed);
    if (left == SIZE_MAX)
        return true;
    if (left == 0) {
        atomic_store(&has_failed, true);
        if ((atomic_load(&fail_flags) & CHY_MEM_ONCE) != 0)
            atomic_store(&fail_after, SIZE_MAX);
        return false;
    }
    atomic_store(&fail_after, left - 1);
    return true;
}

void chy_mem_fail_after(size_t n)
{
    chy_mem_fail_from(n, 0);
}

void chy_mem_fail_from(size_t n, unsigned flags)
{
    atomic_store(&fail_after, SIZE_MAX); /* not by the old flags, while they change */
    atomic_store(&has_failed, false);
    atomic_store(&fail_flags, flags);
    atomic_store(&fail_after, n);
}

bool chy_mem_may_carve(void)
{
    if (atomic_load_explicit(&fail_after, memory_order_relaxed) == SIZE_MAX ||
        (atomic_load(&fail_flags) & CHY_MEM_ARENAS) == 0)
        return true;
    return may_allocate();
}

bool chy_mem_has_failed(void)
{
    return atomic_load(&has_failed);
}

void chy_free(void *p)
{
    free(p);
}

void *chy_malloc(size_t n)
{
    return may_allocate() ? malloc(n != 0 ? n : 1) : NULL;
}

void *chy_calloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) /* a sanitizer's calloc() would end the process */
        return NULL;
    return may_allocate() ? calloc(n != 0 ? n : 1, 1) : NULL;
}

void *chy_realloc(void *p, size_t n)
{
    return may_allocate() ? realloc(p, n != 0 ? n : 1) : NULL;
}

char *chy_strdup(struct chy_str s)
{
    if (s.n != 0 && memchr(s.p, 0, s.n) != NULL)
        return NULL;
    char *copy = chy_malloc(s.n + 1);
    if (copy == NULL)
        return NULL;
    chy_copy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

void chy_freep(void *pp)
{
    void **p = pp;
    chy_free(*p);
    *p = NULL;
}
