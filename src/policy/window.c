/* SPDX-License-Identifier: MIT */
#include "policy/window.h"

#include "base/limits.h"

#define US_OF_S INT64_C(1000000)

enum {
    MINUTES_OF_DAY = 24 * 60,
    SECONDS_OF_DAY = 24 * 3600,
    WEEK = 7,
    EPOCH_WEEKDAY = 3, /* 1970-01-01 was a Thursday; Monday is 0 */
};

static const char *const day_names[WEEK] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

/* Days since 1970-01-01, both ends inside. */
struct date_range {
    int64_t first;
    int64_t last;
};

struct date_ranges {
    struct date_range p[CHY_LIMIT_WINDOW_DATES];
    size_t n;
};

struct clock_rule {
    unsigned days;            /* bit 0 is Monday */
    int64_t from_s;           /* of the day */
    int64_t to_s;             /* up to 48 h: behind 24 h it is the next day */
    struct date_ranges dates; /* none: every date */
    struct date_ranges except;
};

static enum chy_err parse_digits(struct chy_str s, size_t at, size_t n, int64_t *ret)
{
    int64_t v = 0;
    if (at + n > s.n)
        return CHY_E_MALFORMED;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return CHY_E_MALFORMED;
        v = v * 10 + (s.p[i] - '0');
    }
    *ret = v;
    return CHY_OK;
}

/* "HH:MM", 00:00 to 24:00. */
static enum chy_err parse_time(struct chy_str s, int64_t *ret_s, struct chy_error *err)
{
    int64_t h;
    int64_t m;
    if (s.n != 5 || s.p[2] != ':' || parse_digits(s, 0, 2, &h) != CHY_OK ||
        parse_digits(s, 3, 2, &m) != CHY_OK || m > 59 || h * 60 + m > MINUTES_OF_DAY)
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no time such as 08:30 or 24:00",
                        CHY_STR_ARG(s));
    *ret_s = (h * 60 + m) * 60;
    return CHY_OK;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; -1 if there is none such. */
static int64_t day_number(int64_t year, int64_t month, int64_t day)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    if (year < 1970 || month < 1 || month > 12 || day < 1)
        return -1;
    int64_t leap = is_leap(year) ? 1 : 0;
    int64_t length = before[month] - before[month - 1] + (month == 2 ? leap : 0);
    if (day > length)
        return -1;
    int64_t y = year - 1;
    int64_t leaps = y / 4 - y / 100 + y / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (year - 1970) * 365 + leaps + before[month - 1] + (month > 2 ? leap : 0) + day - 1;
}

static enum chy_err parse_date(struct chy_str s, int64_t *ret_day)
{
    int64_t y;
    int64_t m;
    int64_t d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || parse_digits(s, 0, 4, &y) != CHY_OK ||
        parse_digits(s, 5, 2, &m) != CHY_OK || parse_digits(s, 8, 2, &d) != CHY_OK)
        return CHY_E_MALFORMED;
    *ret_day = day_number(y, m, d);
    return *ret_day >= 0 ? CHY_OK : CHY_E_MALFORMED;
}

/* "2026-12-24" or "2026-12-24..2027-01-01" */
static enum chy_err parse_date_range(struct chy_str s, struct date_range *ret,
                                     struct chy_error *err)
{
    struct chy_str first = { s.p, CHY_MIN(s.n, (size_t)10) };
    struct chy_str last = first;
    bool ok = s.n == 10 || s.n == 22;
    if (s.n == 22) {
        ok = s.p[10] == '.' && s.p[11] == '.';
        last = (struct chy_str){ s.p + 12, 10 };
    }
    if (!ok || parse_date(first, &ret->first) != CHY_OK || parse_date(last, &ret->last) != CHY_OK ||
        ret->first > ret->last)
        return chy_fail(err, CHY_E_MALFORMED,
                        "\"%.*s\" is no date such as 2026-12-24 or 2026-12-24..2027-01-01",
                        CHY_STR_ARG(s));
    return CHY_OK;
}

static enum chy_err parse_date_ranges(const struct chy_strs *texts, struct date_ranges *ret,
                                      struct chy_error *err)
{
    if (texts->n > CHY_LIMIT_WINDOW_DATES)
        return chy_fail(err, CHY_E_LIMIT, "a window has %zu dates, at most %d are allowed",
                        texts->n, CHY_LIMIT_WINDOW_DATES);
    for (size_t i = 0; i < texts->n; i++)
        CHY_TRY(parse_date_range(texts->p[i], &ret->p[i], err));
    ret->n = texts->n;
    return CHY_OK;
}

static int find_day(struct chy_str name)
{
    for (int i = 0; i < WEEK; i++)
        if (chy_str_equal_c(name, day_names[i]))
            return i;
    return -1;
}

/* "mon" or "mon-fri"; "sat-mon" goes over the week's end. */
static enum chy_err parse_days(struct chy_str s, unsigned *days, struct chy_error *err)
{
    int first = find_day((struct chy_str){ s.p, CHY_MIN(s.n, (size_t)3) });
    int last = first;
    if (s.n == 7 && s.p[3] == '-')
        last = find_day((struct chy_str){ s.p + 4, 3 });
    else if (s.n != 3)
        first = -1;
    if (first < 0 || last < 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "\"%.*s\" is no day; days are mon, tue, wed, thu, fri, sat, sun, mon-fri",
                        CHY_STR_ARG(s));
    for (int day = first;; day = (day + 1) % WEEK) {
        *days |= 1u << day;
        if (day == last)
            return CHY_OK;
    }
}

static enum chy_err parse_window(const struct chy_policy_window *w, struct clock_rule *ret,
                                 struct chy_error *err)
{
    ret->days = w->days.n == 0 ? (1u << WEEK) - 1 : 0;
    for (size_t i = 0; i < w->days.n; i++)
        CHY_TRY(parse_days(w->days.p[i], &ret->days, err));
    ret->from_s = 0;
    ret->to_s = SECONDS_OF_DAY;
    if (w->from.n != 0)
        CHY_TRY(parse_time(w->from, &ret->from_s, err));
    if (w->to.n != 0)
        CHY_TRY(parse_time(w->to, &ret->to_s, err));
    if (ret->from_s == SECONDS_OF_DAY || ret->from_s == ret->to_s)
        return chy_fail(err, CHY_E_MALFORMED, "a window from %.*s to %.*s is empty",
                        CHY_STR_ARG(w->from), CHY_STR_ARG(w->to));
    if (ret->to_s < ret->from_s)
        ret->to_s += SECONDS_OF_DAY;
    CHY_TRY(parse_date_ranges(&w->dates, &ret->dates, err));
    return parse_date_ranges(&w->except, &ret->except, err);
}

enum chy_err chy_window_check(const struct chy_policy_window *window, struct chy_error *err)
{
    struct clock_rule rule;
    if (!chy_zone_name_is_plausible(window->zone))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no name of a time zone",
                        CHY_STR_ARG(window->zone));
    return parse_window(window, &rule, err);
}

static bool ranges_have(const struct date_ranges *r, int64_t day)
{
    for (size_t i = 0; i < r->n; i++)
        if (day >= r->p[i].first && day <= r->p[i].last)
            return true;
    return false;
}

static bool rule_has_day(const struct clock_rule *rule, int64_t day)
{
    unsigned weekday = (unsigned)((day + EPOCH_WEEKDAY) % WEEK);
    return (rule->days & 1u << weekday) != 0 &&
           (rule->dates.n == 0 || ranges_have(&rule->dates, day)) &&
           !ranges_have(&rule->except, day);
}

struct span_list {
    struct chy_span *p;
    size_t n;
    size_t cap;
};

/* Spans come in order; one that touches the last is joined to it. */
static void add_span(struct span_list *list, int64_t begin_s, int64_t end_s)
{
    struct chy_span s = { begin_s * US_OF_S, end_s * US_OF_S };
    if (list->n != 0 && list->p[list->n - 1].end_us >= s.begin_us) {
        list->p[list->n - 1].end_us = s.end_us;
        return;
    }
    CHY_ASSERT(list->n < list->cap);
    list->p[list->n++] = s;
}

/* While the clock runs with one offset, what it shows is a straight line. */
static void add_part(const struct clock_rule *rule, int64_t begin_s, int64_t end_s,
                     int64_t offset_s, struct span_list *list)
{
    int64_t shown_first = begin_s + offset_s;
    int64_t shown_end = end_s + offset_s;
    for (int64_t day = shown_first / SECONDS_OF_DAY - 1; day * SECONDS_OF_DAY < shown_end; day++) {
        if (day < 0 || !rule_has_day(rule, day))
            continue;
        int64_t from = CHY_MAX(day * SECONDS_OF_DAY + rule->from_s, shown_first);
        int64_t to = CHY_MIN(day * SECONDS_OF_DAY + rule->to_s, shown_end);
        if (from < to)
            add_span(list, from - offset_s, to - offset_s);
    }
}

enum chy_err chy_window_compile(const struct chy_policy_window *window, const struct chy_zone *zone,
                                struct chy_arena *arena, struct chy_spans *ret_spans,
                                struct chy_error *err)
{
    struct clock_rule rule;
    CHY_TRY(parse_window(window, &rule, err));
    /* A span a day, and at each change of the clock two more: one is cut, one is shown again. */
    struct span_list list = { .cap = (size_t)((zone->to_s - zone->from_s) / SECONDS_OF_DAY) + 3 +
                                     zone->n * 3 };
    list.p = chy_arena_array(arena, struct chy_span, list.cap);
    if (list.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a window");
    for (size_t i = 0; i < zone->n; i++) {
        int64_t end_s = i + 1 < zone->n ? zone->p[i + 1].begin_s : zone->to_s;
        add_part(&rule, zone->p[i].begin_s, end_s, zone->p[i].offset_s, &list);
    }
    *ret_spans = (struct chy_spans){
        .p = list.p, .n = list.n, .from_us = zone->from_s * US_OF_S, .to_us = zone->to_s * US_OF_S
    };
    return CHY_OK;
}

enum chy_truth chy_spans_have(const struct chy_spans *spans, int64_t time_us)
{
    if (time_us < spans->from_us || time_us >= spans->to_us)
        return CHY_TRUTH_UNKNOWN;
    size_t low = 0; /* spans before this one end before or at time_us */
    size_t high = spans->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->p[middle].end_us <= time_us)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < spans->n && spans->p[low].begin_us <= time_us;
    return inside ? CHY_TRUTH_YES : CHY_TRUTH_NO;
}
