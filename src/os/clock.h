/* SPDX-License-Identifier: MIT */
/* The two clocks, in microseconds. Threads: any. */
#pragma once

#include <stdint.h>

/* Since the Unix epoch, UTC; may jump. For what is written down. */
int64_t chy_clock_realtime_us(void);
/* Since some time in the past; never goes back. For deadlines and durations. */
int64_t chy_clock_monotonic_us(void);
