/* SPDX-License-Identifier: MIT */
/* Counts of durations in buckets that grow with the value, so that a percentile is right to 3 %
 * however long the tail is. Plain memory: may stand in a mapping that processes share, one writer
 * each. */
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 32, /* buckets of one doubling */
    HISTOGRAM_BUCKETS = 60 * HISTOGRAM_STEPS,
};

struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *h, const struct histogram *other);
/* The value that `percent` of all are not above, in nanoseconds; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned percent);
