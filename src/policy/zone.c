/* SPDX-License-Identifier: MIT */
#include "policy/zone.h"

#include <libical/ical.h>

#include "base/limits.h"
#include "base/mem.h"

enum {
    NAME_PARTS_MAX = 3, /* America/Argentina/Buenos_Aires */
    STEP_S = 6 * 3600,  /* no zone ever changed its clock twice in this time */
    PARTS_MAX = 64,     /* Morocco changes four times a year */
};

static const int64_t last_known_s = INT64_C(2145916800); /* 2038-01-01 */

static bool is_zone_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-';
}

bool chy_zone_name_is_plausible(struct chy_str name)
{
    unsigned parts = 1;
    size_t part_n = 0;
    if (name.n > CHY_LIMIT_NAME)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '/') {
            if (part_n == 0)
                return false;
            parts++;
            part_n = 0;
        } else if (is_zone_char(name.p[i])) {
            part_n++;
        } else {
            return false;
        }
    }
    return part_n != 0 && parts <= NAME_PARTS_MAX;
}

static int32_t offset_at(icaltimezone *zone, int64_t t_s)
{
    struct icaltimetype at =
        icaltime_from_timet_with_zone((time_t)t_s, 0, icaltimezone_get_utc_timezone());
    int is_daylight;
    return icaltimezone_get_utc_offset_of_utc_time(zone, &at, &is_daylight);
}

/* The first second in (low_s, high_s] that has another offset than low_s. */
static int64_t find_change(icaltimezone *zone, int64_t low_s, int64_t high_s)
{
    int32_t before = offset_at(zone, low_s);
    while (high_s - low_s > 1) {
        int64_t middle_s = low_s + (high_s - low_s) / 2;
        if (offset_at(zone, middle_s) == before)
            low_s = middle_s;
        else
            high_s = middle_s;
    }
    return high_s;
}

enum chy_err chy_zone_load(struct chy_str name, int64_t from_s, int64_t to_s,
                           struct chy_arena *arena, struct chy_zone *ret_zone,
                           struct chy_error *err)
{
    if (!chy_zone_name_is_plausible(name))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no name of a time zone",
                        CHY_STR_ARG(name));
    CHY_CLEANUP(chy_freep) char *z = chy_strdup(name);
    struct chy_zone_part *parts = chy_arena_array(arena, struct chy_zone_part, PARTS_MAX);
    if (z == NULL || parts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a time zone");
    icaltimezone *zone = icaltimezone_get_builtin_timezone(z);
    if (zone == NULL)
        return chy_fail(err, CHY_E_MALFORMED,
                        "there is no time zone \"%.*s\"; names are those of " CHY_ZONE_FOLDER
                        ", e.g. Europe/Berlin",
                        CHY_STR_ARG(name));

    size_t n = 0;
    to_s = CHY_MIN(to_s, last_known_s);
    from_s = CHY_MIN(from_s, to_s);
    parts[n++] = (struct chy_zone_part){ from_s, offset_at(zone, from_s) };
    for (int64_t t = from_s; t < to_s; t += STEP_S) {
        int64_t next = CHY_MIN(t + STEP_S, to_s);
        int32_t offset = offset_at(zone, next);
        if (offset == parts[n - 1].offset_s)
            continue;
        if (n == PARTS_MAX)
            return chy_fail(err, CHY_E_LIMIT, "the time zone \"%.*s\" changes over %d times",
                            CHY_STR_ARG(name), PARTS_MAX);
        parts[n++] = (struct chy_zone_part){ find_change(zone, t, next), offset };
    }
    *ret_zone = (struct chy_zone){ .p = parts, .n = n, .from_s = from_s, .to_s = to_s };
    return CHY_OK;
}
