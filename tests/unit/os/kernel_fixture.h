/* SPDX-License-Identifier: MIT */
/* Debian 12's valgrind knows no pidfds, so that no process is started under it; it shows
 * descriptors and programs of its own, and checks every pointer before the kernel does. What needs
 * a bare kernel is skipped. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <cmocka.h>

#define KERNEL_SKIP "not under valgrind" /* tools/run-tests knows it */

static inline bool kernel_is_bare(void)
{
    int fd = pidfd_open(getpid(), 0);
    return fd >= 0 && close(fd) == 0;
}

/* In a test. */
static inline void kernel_require(void)
{
    if (!kernel_is_bare()) {
        print_message(KERNEL_SKIP "\n");
        skip();
    }
}

/* In main(), which ends with 0 when it is true. */
static inline bool kernel_skips_all(void)
{
    return !kernel_is_bare() && puts("1..0 # SKIP " KERNEL_SKIP) >= 0;
}
