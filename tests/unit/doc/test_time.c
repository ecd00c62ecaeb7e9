/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "doc/doc.h"

static const struct {
    int64_t us;
    const char *text;
} pairs[] = {
    { 0, "1970-01-01T00:00:00Z" },
    { 1, "1970-01-01T00:00:00.000001Z" },
    { INT64_C(951782400000000), "2000-02-29T00:00:00Z" },
    { INT64_C(951868799999999), "2000-02-29T23:59:59.999999Z" },
    { INT64_C(1795297307000250), "2026-11-21T21:41:47.000250Z" },
    { INT64_C(4107542399000000), "2100-02-28T23:59:59Z" },
    { INT64_C(4107542400000000), "2100-03-01T00:00:00Z" },
    { CHY_TIME_MAX_US, "9999-12-31T23:59:59.999999Z" },
};

static void test_time__known_times_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(pairs); i++) {
        struct chy_buf b;
        int64_t back = -1;
        chy_buf_init(&b, 64);
        assert_true(chy_time_write(&b, pairs[i].us));
        assert_true(chy_buf_append_u8(&b, 0));
        assert_string_equal((const char *)b.p, pairs[i].text);
        assert_int_equal(chy_time_read(chy_str_of(pairs[i].text), &back, NULL), CHY_OK);
        assert_true(back == pairs[i].us);
        chy_buf_done(&b);
    }
}

/* Every day from 1970 to 9999 counts one more than the day before. */
static void test_time__every_day_round_trips(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 64);
    int64_t day_us = INT64_C(86400000000);
    for (int64_t t = day_us - 1; t <= CHY_TIME_MAX_US; t += day_us) {
        int64_t back = -1;
        chy_buf_clear(&b);
        assert_true(chy_time_write(&b, t));
        assert_int_equal(chy_time_read(chy_buf_str(&b), &back, NULL), CHY_OK);
        if (back != t)
            fail_msg("%.*s", CHY_STR_ARG(chy_buf_str(&b)));
    }
    chy_buf_done(&b);
}

static void test_time_write__refuses_what_has_no_text(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 64);
    assert_false(chy_time_write(&b, -1));
    assert_false(chy_time_write(&b, CHY_TIME_MAX_US + 1));
    assert_false(chy_time_write(&b, INT64_MAX));
    assert_int_equal(b.n, 0);
    chy_buf_done(&b);
    chy_buf_init(&b, 19);
    assert_false(chy_time_write(&b, 0));
    assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

static void test_time_read__takes_offsets_and_fractions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        { "1970-01-01T01:00:00+01:00", 0 },   { "1969-12-31T23:30:00-00:30", 0 },
        { "1970-01-01T00:00:00-00:00", 0 },   { "1970-01-01t00:00:01z", 1000000 },
        { "1970-01-01T00:00:00.5Z", 500000 }, { "1970-01-01T00:00:00.123456789Z", 123456 },
        { "1970-01-01T23:59:00+23:59", 0 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(good); i++) {
        int64_t us = -1;
        assert_int_equal(chy_time_read(chy_str_of(good[i].text), &us, NULL), CHY_OK);
        assert_true(us == good[i].us);
    }
}

static void test_time_read__refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00Z ",
        " 1970-01-01T00:00:00Z",
        "1970-1-01T00:00:00Z",
        "1970-01-01T00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+01",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1990-12-31T23:59:60Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "+970-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z",
        "now",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        int64_t us = 77;
        struct chy_error err;
        if (chy_time_read(chy_str_of(bad[i]), &us, &err) != CHY_E_MALFORMED || us != 77)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time__known_times_both_ways),
        cmocka_unit_test(test_time__every_day_round_trips),
        cmocka_unit_test(test_time_write__refuses_what_has_no_text),
        cmocka_unit_test(test_time_read__takes_offsets_and_fractions),
        cmocka_unit_test(test_time_read__refuses_everything_else),
    };
    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
