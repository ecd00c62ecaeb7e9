/* SPDX-License-Identifier: MIT */
#include "doc/doc.h"

#define US_PER_S  INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)

/* Days since 1970-01-01 of a date in the Gregorian calendar, and back, counted in eras of 400 years
 * that begin on 1 March: the leap day is then the last of its year. */
enum {
    DAYS_PER_ERA = 146097,
    DAYS_TO_1970 = 719468
};

static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year % 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

struct date {
    int year;
    int month;
    int day;
};

static struct date date_of(int64_t days)
{
    days += DAYS_TO_1970;
    int64_t era = days / DAYS_PER_ERA;
    int64_t doe = days % DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (struct date){
        .year = (int)(era * 400 + yoe + (month <= 2)),
        .month = (int)month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
    };
}

static bool year_is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && year_is_leap(year) ? 29 : days[month - 1];
}

bool chy_time_write(struct chy_buf *out, int64_t time_us)
{
    if (time_us < 0 || time_us > CHY_TIME_MAX_US)
        return false;
    int64_t s = time_us / US_PER_S;
    int us = (int)(time_us % US_PER_S);
    struct date d = date_of(s / S_PER_DAY);
    int of_day = (int)(s % S_PER_DAY);
    chy_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", d.year, d.month, d.day, of_day / 3600,
                   of_day / 60 % 60, of_day % 60);
    if (us != 0)
        chy_buf_printf(out, ".%06d", us);
    return chy_buf_append_c(out, "Z");
}

/* What is left of the text; -1 in place of a number once something did not fit. */
struct scanner {
    struct chy_str in;
    bool is_bad;
};

static int64_t take_digits(struct scanner *s, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (i >= s->in.n || s->in.p[i] < '0' || s->in.p[i] > '9') {
            s->is_bad = true;
            return -1;
        }
        v = v * 10 + (s->in.p[i] - '0');
    }
    s->in.p += n;
    s->in.n -= n;
    return v;
}

static bool take_char(struct scanner *s, char c)
{
    if (s->in.n == 0 || s->in.p[0] != c)
        return false;
    s->in.p++;
    s->in.n--;
    return true;
}

static void expect_char(struct scanner *s, char c)
{
    if (!take_char(s, c))
        s->is_bad = true;
}

/* Up to nine digits behind a point; what is finer than a microsecond is dropped. */
static int64_t take_fraction_us(struct scanner *s)
{
    if (!take_char(s, '.'))
        return 0;
    int64_t us = 0;
    size_t n = 0;
    while (n < 9 && s->in.n > 0 && s->in.p[0] >= '0' && s->in.p[0] <= '9') {
        int64_t digit = take_digits(s, 1);
        if (n++ < 6)
            us = us * 10 + digit;
    }
    if (n == 0)
        s->is_bad = true;
    for (; n < 6; n++)
        us *= 10;
    return us;
}

static int64_t take_offset_s(struct scanner *s)
{
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return 0;
    bool is_west = take_char(s, '-');
    if (!is_west)
        expect_char(s, '+');
    int64_t hours = take_digits(s, 2);
    expect_char(s, ':');
    int64_t minutes = take_digits(s, 2);
    if (hours > 23 || minutes > 59)
        s->is_bad = true;
    int64_t offset = hours * 3600 + minutes * 60;
    return is_west ? -offset : offset;
}

/* Source: RFC 3339 section 5.6. No leap seconds: microseconds since 1970 do not count them. */
enum chy_err chy_time_read(struct chy_str text, int64_t *ret_time_us, struct chy_error *err)
{
    struct scanner s = { .in = text };
    int64_t year = take_digits(&s, 4);
    expect_char(&s, '-');
    int64_t month = take_digits(&s, 2);
    expect_char(&s, '-');
    int64_t day = take_digits(&s, 2);
    if (!take_char(&s, 't'))
        expect_char(&s, 'T');
    int64_t hour = take_digits(&s, 2);
    expect_char(&s, ':');
    int64_t minute = take_digits(&s, 2);
    expect_char(&s, ':');
    int64_t second = take_digits(&s, 2);
    int64_t us = take_fraction_us(&s);
    int64_t offset = take_offset_s(&s);
    if (s.is_bad || s.in.n != 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "\"%.*s\" is no time of RFC 3339, e.g. 2026-11-21T21:41:47Z",
                        CHY_STR_ARG(text));
    bool is_real = month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month) &&
                   hour <= 23 && minute <= 59 && second <= 59;
    if (!is_real)
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no time of any day", CHY_STR_ARG(text));
    int64_t t = days_of(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    t = t * US_PER_S + us;
    if (t < 0 || t > CHY_TIME_MAX_US)
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is not within the years 1970 to 9999",
                        CHY_STR_ARG(text));
    *ret_time_us = t;
    return CHY_OK;
}
