/* SPDX-License-Identifier: MIT */
/* The timers of one event loop, kept as a binary heap ordered by time. Private to loop.c;
 * chy_timer_set and its like, declared in loop.h, are in timers.c too. Not shared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "os/loop.h"

struct chy_timers {
    struct chy_timer **heap; /* those that are set, the earliest first */
    size_t n;
    size_t cap;
    size_t made;         /* timers that exist: the heap has room for each of them */
    int64_t earliest_us; /* while they fire: no timer is set for earlier, so a round always ends */
};

void chy_timers_init(struct chy_timers *t);
CHY_MUST_USE enum chy_err chy_timers_add(struct chy_timers *t, chy_loop_fn *fn, void *ctx,
                                         struct chy_timer **ret_timer, struct chy_error *err);
/* All timers must be freed before. */
void chy_timers_done(struct chy_timers *t);
/* CHY_NO_DEADLINE when none is set. */
int64_t chy_timers_next_us(const struct chy_timers *t);
/* Call those that are due; not those that were set by a callback of this same round. */
void chy_timers_fire(struct chy_timers *t, int64_t now_us);
