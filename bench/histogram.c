/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include "base/compiler.h"

enum {
    STEP_BITS = 5
};
_Static_assert(1 << STEP_BITS == HISTOGRAM_STEPS, "the bits of a step");

/* Below 32 ns each value has its own bucket; above, the five bits behind the highest choose one. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned high = 63u - (unsigned)__builtin_clzll(ns);
    unsigned step = (unsigned)(ns >> (high - STEP_BITS)) & (HISTOGRAM_STEPS - 1);
    return CHY_MIN((high - STEP_BITS + 1) * HISTOGRAM_STEPS + step, HISTOGRAM_BUCKETS - 1u);
}

static uint64_t lower_bound(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count++;
    h->buckets[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->buckets[i] += other->buckets[i];
}

uint64_t histogram_percentile(const struct histogram *h, unsigned percent)
{
    uint64_t wanted = (h->count * percent + 99) / 100;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > 0 && seen >= wanted)
            return lower_bound(i);
    }
    return 0;
}
