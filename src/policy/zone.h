/* SPDX-License-Identifier: MIT */
/* Time zones: when a zone's clock has which offset. The one place of this folder that touches
 * files: libical reads /usr/share/zoneinfo (Debian's tzdata) on the first use of a zone and keeps
 * what it read until the process ends. A sandbox must let that folder be read. libical is not to
 * be called by two threads at once, so neither is this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define CHY_ZONE_FOLDER "/usr/share/zoneinfo"

/* From begin_s (UTC, Unix epoch) until the next one begins, the clock shows UTC + offset_s. */
struct chy_zone_part {
    int64_t begin_s;
    int32_t offset_s;
};

struct chy_zone {
    const struct chy_zone_part *p; /* by begin_s; the first begins at from_s */
    size_t n;
    int64_t from_s;
    int64_t to_s; /* nothing is known from here on */
};

/* "Europe/Berlin": up to three parts of letters, digits, '_', '+' and '-'. No file is looked at. */
bool chy_zone_name_is_plausible(struct chy_str name);

/* The zone's parts in [from_s, to_s), or less at the end: libical 3 knows rules until 2037 only.
 * Errors: CHY_E_MALFORMED  there is no such zone
 *         CHY_E_LIMIT      it changes its offset too often to be true
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_zone_load(struct chy_str name, int64_t from_s, int64_t to_s,
                                        struct chy_arena *arena, struct chy_zone *ret_zone,
                                        struct chy_error *err);
