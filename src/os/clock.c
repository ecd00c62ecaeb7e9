/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <time.h>

#include "base/err.h"

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;
    /* Fails only for a clock that does not exist or a bad pointer. */
    CHY_ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t chy_clock_realtime_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

int64_t chy_clock_monotonic_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}
