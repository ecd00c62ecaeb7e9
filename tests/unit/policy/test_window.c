/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "policy/window.h"
#include "policy_fixture.h"

#define S(us) ((us)*INT64_C(1000000))

/* 2026: Europe/Berlin goes from 02:00 to 03:00 on 29 March (01:00Z), back on 25 October (01:00Z);
 * America/New_York on 8 March (07:00Z) and 1 November (06:00Z). */
#define MARCH_29_BERLIN     INT64_C(1774738800) /* 2026-03-28T23:00Z: midnight there */
#define OCTOBER_25_BERLIN   INT64_C(1792879200) /* 2026-10-24T22:00Z */
#define MARCH_8_NEW_YORK    INT64_C(1772946000) /* 2026-03-08T05:00Z */
#define NOVEMBER_1_NEW_YORK INT64_C(1793505600) /* 2026-11-01T04:00Z */

struct texts {
    struct chy_str p[8];
};

/* "a b c" */
static struct chy_strs words(const char *text, struct texts *store)
{
    size_t n = 0;
    for (const char *at = text; *at != '\0';) {
        const char *space = strchr(at, ' ');
        size_t len = space != NULL ? (size_t)(space - at) : strlen(at);
        assert_true(n < CHY_ARRAY_LEN(store->p));
        store->p[n++] = (struct chy_str){ at, len };
        at += len + (space != NULL ? 1 : 0);
    }
    return (struct chy_strs){ store->p, n };
}

struct row {
    const char *zone;
    const char *days;
    const char *from;
    const char *to;
    const char *dates;
    const char *except;
};

struct window {
    struct texts store[3];
    struct chy_policy_window w;
    struct chy_arena arena;
    struct chy_spans spans;
};

static void window_init(struct window *w, const struct row *row, int64_t from_s, int64_t to_s)
{
    struct chy_zone zone;
    struct chy_error err = { .text = "" };
    w->w = (struct chy_policy_window){ .zone = chy_str_of(row->zone),
                                       .days = words(row->days, &w->store[0]),
                                       .from = chy_str_of(row->from),
                                       .to = chy_str_of(row->to),
                                       .dates = words(row->dates, &w->store[1]),
                                       .except = words(row->except, &w->store[2]) };
    chy_arena_init(&w->arena, 1 << 20);
    if (chy_zone_load(w->w.zone, from_s, to_s, &w->arena, &zone, &err) != CHY_OK ||
        chy_window_compile(&w->w, &zone, &w->arena, &w->spans, &err) != CHY_OK)
        fail_msg("%s", err.text);
}

static bool inside(const struct row *row, int64_t time_s)
{
    struct window w;
    window_init(&w, row, time_s - 3 * 86400, time_s + 3 * 86400);
    enum chy_truth t = chy_spans_have(&w.spans, S(time_s));
    chy_arena_done(&w.arena);
    assert_int_not_equal(t, CHY_TRUTH_UNKNOWN);
    return t == CHY_TRUTH_YES;
}

/* Every quarter of an hour, and the seconds around it, over the whole covered time. */
static void agree(const struct row *row, int64_t from_s, int64_t to_s)
{
    struct window w;
    window_init(&w, row, from_s, to_s);
    for (size_t i = 0; i < w.spans.n; i++) {
        assert_true(w.spans.p[i].begin_us < w.spans.p[i].end_us);
        if (i != 0)
            assert_true(w.spans.p[i - 1].end_us < w.spans.p[i].begin_us);
    }
    for (int64_t t = from_s; t < to_s; t += 900)
        for (int64_t at = S(t) - 1; at <= S(t); at++) {
            if (at < S(from_s))
                continue;
            int expected = ref_window(&w.w, at);
            if ((int)chy_spans_have(&w.spans, at) != expected)
                fail_msg("%s %s %s-%s at %lld: expected %d", row->zone, row->days, row->from,
                         row->to, (long long)at, expected);
        }
    chy_arena_done(&w.arena);
}

static const struct row rows[] = {
    { "Europe/Berlin", "", "", "", "", "" },
    { "Europe/Berlin", "mon-fri", "08:00", "18:00", "", "" },
    { "Europe/Berlin", "", "22:00", "06:00", "", "" },
    { "Europe/Berlin", "sat", "22:00", "02:30", "", "" },
    { "Europe/Berlin", "sun", "02:15", "02:45", "", "" },
    { "Europe/Berlin", "sun", "02:30", "03:30", "", "" },
    { "Europe/Berlin", "sun mon", "00:00", "24:00", "", "" },
    { "Europe/Berlin", "sun mon", "00:01", "00:00", "", "" },
    { "America/New_York", "sat-mon", "01:30", "02:30", "", "" },
    { "America/New_York", "", "23:00", "01:30", "", "2026-03-07 2026-10-31" },
    { "America/New_York", "", "", "12:00", "2026-03-07..2026-03-09 2026-11-01", "" },
    { "Australia/Lord_Howe", "", "01:15", "02:15", "", "" }, /* changes by half an hour */
    { "Africa/Casablanca", "", "02:30", "03:30", "", "" },   /* goes back for Ramadan */
    { "America/Havana", "sun", "00:00", "01:00", "", "" },   /* changes at midnight */
    { "Asia/Kathmandu", "wed", "05:45", "05:46", "", "" },   /* +05:45 */
    { "UTC", "fri-mon", "06:00", "05:59", "", "2026-04-03" },
};

static void test_window__is_what_a_clock_on_the_wall_shows(void **state)
{
    (void)state;
    static const int64_t starts[] = { MARCH_29_BERLIN, OCTOBER_25_BERLIN, MARCH_8_NEW_YORK,
                                      NOVEMBER_1_NEW_YORK };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < CHY_ARRAY_LEN(starts); k++)
            agree(&rows[i], starts[k] - 3 * 86400, starts[k] + 4 * 86400);
}

static void test_window__over_the_whole_horizon(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i += 3)
        agree(&rows[i], NOW_US / 1000000, NOW_US / 1000000 + CHY_LIMIT_WINDOW_DAYS * 86400);
}

static void test_window__an_hour_that_is_skipped_is_in_none(void **state)
{
    (void)state;
    const struct row in_gap = { "Europe/Berlin", "sun", "02:15", "02:45", "", "" };
    const struct row over_gap = { "Europe/Berlin", "sun", "02:30", "04:00", "", "" };
    for (int64_t t = MARCH_29_BERLIN; t < MARCH_29_BERLIN + 86400; t += 60)
        assert_false(inside(&in_gap, t - t % 60));
    /* 01:59:59 is followed by 03:00:00, which is inside. */
    assert_false(inside(&over_gap, MARCH_29_BERLIN + 2 * 3600 - 1));
    assert_true(inside(&over_gap, MARCH_29_BERLIN + 2 * 3600));
    assert_true(inside(&over_gap, MARCH_29_BERLIN + 3 * 3600 - 1));
    assert_false(inside(&over_gap, MARCH_29_BERLIN + 3 * 3600));
}

static void test_window__an_hour_that_comes_twice_is_inside_twice(void **state)
{
    (void)state;
    const struct row row = { "America/New_York", "sun", "01:00", "01:30", "", "" };
    int64_t midnight = NOVEMBER_1_NEW_YORK;
    assert_false(inside(&row, midnight + 3599));
    assert_true(inside(&row, midnight + 3600));
    assert_true(inside(&row, midnight + 5399));
    assert_false(inside(&row, midnight + 5400));
    assert_false(inside(&row, midnight + 7199));
    assert_true(inside(&row, midnight + 7200));
    assert_true(inside(&row, midnight + 8999));
    assert_false(inside(&row, midnight + 9000));
}

static void test_window__crossing_midnight_belongs_to_the_day_it_begins(void **state)
{
    (void)state;
    const struct row row = { "UTC", "fri", "22:00", "06:00", "", "" };
    int64_t friday = INT64_C(1795132800); /* 2026-11-20T00:00Z */
    assert_false(inside(&row, friday + 5 * 3600));
    assert_false(inside(&row, friday + 22 * 3600 - 1));
    assert_true(inside(&row, friday + 22 * 3600));
    assert_true(inside(&row, friday + 24 * 3600));
    assert_true(inside(&row, friday + 30 * 3600 - 1));
    assert_false(inside(&row, friday + 30 * 3600));
    assert_false(inside(&row, friday + 46 * 3600));
}

static void test_spans__past_the_horizon_is_unknown(void **state)
{
    (void)state;
    const struct row row = { "Europe/Berlin", "", "", "", "", "" };
    struct window w;
    int64_t from = NOW_US / 1000000;
    int64_t to = from + CHY_LIMIT_WINDOW_DAYS * 86400;
    window_init(&w, &row, from, to);
    assert_int_equal(w.spans.n, 1);
    assert_int_equal(chy_spans_have(&w.spans, S(from)), CHY_TRUTH_YES);
    assert_int_equal(chy_spans_have(&w.spans, S(from) - 1), CHY_TRUTH_UNKNOWN);
    assert_int_equal(chy_spans_have(&w.spans, S(to) - 1), CHY_TRUTH_YES);
    assert_int_equal(chy_spans_have(&w.spans, S(to)), CHY_TRUTH_UNKNOWN);
    chy_arena_done(&w.arena);
}

static void test_zone_load__nothing_is_known_from_2038_on(void **state)
{
    (void)state;
    const struct row row = { "Europe/Berlin", "", "", "", "", "" };
    struct window w;
    int64_t end = INT64_C(2145916800);
    window_init(&w, &row, end - 86400, end + 86400);
    assert_int_equal(chy_spans_have(&w.spans, S(end) - 1), CHY_TRUTH_YES);
    assert_int_equal(chy_spans_have(&w.spans, S(end)), CHY_TRUTH_UNKNOWN);
    chy_arena_done(&w.arena);
    window_init(&w, &row, end + 86400, end + 2 * 86400);
    assert_int_equal(chy_spans_have(&w.spans, S(end + 86400)), CHY_TRUTH_UNKNOWN);
    chy_arena_done(&w.arena);
}

static void test_zone_load__refuses_what_is_not_there(void **state)
{
    (void)state;
    static const char *const bad[] = { "Europe/Berlni", "Nowhere",          "",      "/UTC",
                                       "Europe/",       "../../etc/passwd", "UTC/",  "A//B",
                                       "A/B/C/D",       "Europe.Berlin",    "U T C", "zone.tab" };
    struct chy_arena arena;
    struct chy_zone zone;
    chy_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        if (chy_zone_load(chy_str_of(bad[i]), 0, 86400, &arena, &zone, NULL) != CHY_E_MALFORMED)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(chy_zone_load(CHY_STR("US/Eastern"), 0, 86400, &arena, &zone, NULL), CHY_OK);
    assert_int_equal(
        chy_zone_load(CHY_STR("America/Argentina/Buenos_Aires"), 0, 86400, &arena, &zone, NULL),
        CHY_OK);
    chy_arena_done(&arena);
}

static bool takes(const struct row *row)
{
    struct texts store[3];
    struct chy_error err;
    struct chy_policy_window w = { .zone = chy_str_of(row->zone),
                                   .days = words(row->days, &store[0]),
                                   .from = chy_str_of(row->from),
                                   .to = chy_str_of(row->to),
                                   .dates = words(row->dates, &store[1]),
                                   .except = words(row->except, &store[2]) };
    enum chy_err r = chy_window_check(&w, &err);
    assert_true(r == CHY_OK || r == CHY_E_MALFORMED);
    return r == CHY_OK;
}

static void test_window_check__refuses(void **state)
{
    (void)state;
    static const struct row bad[] = {
        { "UTC", "monday", "", "", "", "" },
        { "UTC", "Mon", "", "", "", "" },
        { "UTC", "mon-", "", "", "", "" },
        { "UTC", "mon-xyz", "", "", "", "" },
        { "UTC", "", "8:00", "", "", "" },
        { "UTC", "", "24:00", "", "", "" },
        { "UTC", "", "", "24:01", "", "" },
        { "UTC", "", "", "12:60", "", "" },
        { "UTC", "", "08:00", "08:00", "", "" },
        { "UTC", "", "", "00:00", "", "" },
        { "UTC", "", "08-00", "", "", "" },
        { "UTC", "", "", "", "2026-02-29", "" },
        { "UTC", "", "", "", "2026-13-01", "" },
        { "UTC", "", "", "", "2026-00-01", "" },
        { "UTC", "", "", "", "2026-01-00", "" },
        { "UTC", "", "", "", "1969-12-31", "" },
        { "UTC", "", "", "", "2026-1-1", "" },
        { "UTC", "", "", "", "2026-01-02..2026-01-01", "" },
        { "UTC", "", "", "", "2026-01-01.2026-01-02", "" },
        { "UTC", "", "", "", "", "2100-02-29" },
        { "Nope Zone", "", "", "", "", "" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        if (takes(&bad[i]))
            fail_msg("row %zu was taken", i);
    assert_true(takes(&(struct row){ "UTC", "sat-sun", "00:00", "24:00",
                                     "2028-02-29 2026-12-24..2027-01-01", "2000-02-29" }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window__is_what_a_clock_on_the_wall_shows),
        cmocka_unit_test(test_window__over_the_whole_horizon),
        cmocka_unit_test(test_window__an_hour_that_is_skipped_is_in_none),
        cmocka_unit_test(test_window__an_hour_that_comes_twice_is_inside_twice),
        cmocka_unit_test(test_window__crossing_midnight_belongs_to_the_day_it_begins),
        cmocka_unit_test(test_spans__past_the_horizon_is_unknown),
        cmocka_unit_test(test_zone_load__nothing_is_known_from_2038_on),
        cmocka_unit_test(test_zone_load__refuses_what_is_not_there),
        cmocka_unit_test(test_window_check__refuses),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
