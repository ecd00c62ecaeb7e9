/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/target.h"

static struct chy_arena arena;
static struct chy_target target;

static int arena_up(void **state)
{
    (void)state;
    chy_arena_init(&arena, 65536);
    return 0;
}

static int arena_down(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static enum chy_err parse(const char *text)
{
    return chy_target_parse(chy_str_of(text), &arena, &target, NULL);
}

static void test_parse__segments(void **state)
{
    (void)state;
    assert_int_equal(parse("/"), CHY_OK);
    assert_int_equal(target.segment_count, 0);
    assert_int_equal(parse("/v1/keys/a%2Fb+%c3%A9"), CHY_OK);
    assert_int_equal(target.segment_count, 3);
    assert_true(chy_str_equal_c(target.segments[0], "v1"));
    assert_true(chy_str_equal_c(target.segments[2], "a/b+\xc3\xa9"));
    assert_true(chy_str_equal_c(target.path, "/v1/keys/a%2Fb+%c3%A9"));
    assert_int_equal(parse("/console/"), CHY_OK);
    assert_int_equal(target.segment_count, 2);
    assert_int_equal(target.segments[1].n, 0);
}

static void test_parse__parameters(void **state)
{
    (void)state;
    assert_int_equal(parse("/a?name=x%26y+z&empty=&q=a=b?c/d"), CHY_OK);
    assert_int_equal(target.segment_count, 1);
    assert_int_equal(target.param_count, 3);
    assert_true(chy_str_equal_c(*chy_target_param(&target, "name"), "x&y z"));
    assert_int_equal(chy_target_param(&target, "empty")->n, 0);
    assert_true(chy_str_equal_c(*chy_target_param(&target, "q"), "a=b?c/d"));
    assert_null(chy_target_param(&target, "other"));
    assert_int_equal(parse("/a?"), CHY_OK);
    assert_int_equal(target.param_count, 0);
}

static void test_parse__malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         "a",        "?a=1",        "//",         "/a//b",
        "/./a",     "/a/..",    "/%2e%2E/a",   "/a/%2e",     "/a%00b",
        "/a%0a",    "/a%7f",    "/%c3",        "/%c0%80",    "/%ed%a0%80",
        "/%",       "/%4",      "/%zz",        "/a?b",       "/a?=1",
        "/a?a=1&",  "/a?&a=1",  "/a?a=1&&b=2", "/a?a=1&a=2", "/a?a=1&%61=2",
        "/a?a=%00", "/a?a=%ff", "/a?%=1",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        if (parse(bad[i]) != CHY_E_MALFORMED)
            fail_msg("\"%s\" was not refused", bad[i]);
    }
}

static enum chy_err parse_many(size_t segments, size_t params)
{
    char text[4096];
    size_t n = 0;
    for (size_t i = 0; i < segments; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "/s%zu", i);
    for (size_t i = 0; i < params; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%cp%zu=", i == 0 ? '?' : '&', i);
    return parse(text);
}

static void test_parse__limits(void **state)
{
    (void)state;
    assert_int_equal(parse_many(CHY_LIMIT_HTTP_SEGMENTS, CHY_LIMIT_HTTP_PARAMS), CHY_OK);
    assert_int_equal(target.segment_count, CHY_LIMIT_HTTP_SEGMENTS);
    assert_int_equal(target.param_count, CHY_LIMIT_HTTP_PARAMS);
    assert_int_equal(parse_many(CHY_LIMIT_HTTP_SEGMENTS + 1, 0), CHY_E_LIMIT);
    assert_int_equal(parse_many(1, CHY_LIMIT_HTTP_PARAMS + 1), CHY_E_LIMIT);
}

static void test_parse__every_allocation_fails(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        chy_arena_done(&arena);
        chy_arena_init(&arena, 65536);
        chy_mem_fail_after(n);
        enum chy_err r = parse("/a%20b?c=%41");
        bool failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, failed ? CHY_E_NOMEM : CHY_OK);
        if (!failed)
            break;
        assert_in_range(n, 0, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse__segments, arena_up, arena_down),
        cmocka_unit_test_setup_teardown(test_parse__parameters, arena_up, arena_down),
        cmocka_unit_test_setup_teardown(test_parse__malformed, arena_up, arena_down),
        cmocka_unit_test_setup_teardown(test_parse__limits, arena_up, arena_down),
        cmocka_unit_test_setup_teardown(test_parse__every_allocation_fails, arena_up, arena_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
