/* SPDX-License-Identifier: MIT */
#include "base/ct.h"

bool chy_ct_equal(struct chy_bytes a, struct chy_bytes b)
{
    if (a.n != b.n)
        return false;
    /* volatile keeps the compiler from leaving the loop at the first difference */
    volatile uint8_t diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}

void chy_wipe(void *p, size_t n)
{
    if (n == 0)
        return;
    memset(p, 0, n);
    /* The barrier claims to read the memory, so the stores above must happen. mingw has no
     * explicit_bzero(). */
    __asm__ __volatile__("" : : "r"(p) : "memory");
}
