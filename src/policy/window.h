/* SPDX-License-Identifier: MIT */
/* Calendar windows. A moment is inside a window exactly when a clock on the wall, in the window's
 * zone, shows a day and a time that the window names. So an hour that the clock skips is in no
 * window, and an hour that it shows twice is inside both times. A window whose end is not behind
 * its begin crosses midnight and belongs to the day it begins on. Threads: pure. */
#pragma once

#include "policy/document.h"
#include "policy/truth.h"
#include "policy/zone.h"

/* [begin_us, end_us) */
struct chy_span {
    int64_t begin_us;
    int64_t end_us;
};

struct chy_spans {
    const struct chy_span *p; /* sorted; neither overlapping nor touching */
    size_t n;
    int64_t from_us; /* outside of [from_us, to_us) nothing is known */
    int64_t to_us;
};

/* Everything but the zone's existence. Errors: CHY_E_MALFORMED. */
CHY_MUST_USE enum chy_err chy_window_check(const struct chy_policy_window *window,
                                           struct chy_error *err);
/* The window's spans in the time that `zone` covers. Errors: as above, and CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_window_compile(const struct chy_policy_window *window,
                                             const struct chy_zone *zone, struct chy_arena *arena,
                                             struct chy_spans *ret_spans, struct chy_error *err);
enum chy_truth chy_spans_have(const struct chy_spans *spans, int64_t time_us);
