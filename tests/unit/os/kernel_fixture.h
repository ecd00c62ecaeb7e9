/* SPDX-License-Identifier: MIT */
/* Debian 12's valgrind knows no pidfds and checks every pointer before the kernel does: what needs
 * either is skipped under it. */
#pragma once

#include <stdbool.h>
#include <sys/pidfd.h>
#include <unistd.h>

static inline bool kernel_is_bare(void)
{
    int fd = pidfd_open(getpid(), 0);
    return fd >= 0 && close(fd) == 0;
}
