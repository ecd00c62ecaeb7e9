/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "policy/facts.h"
#include "policy/glob.h"

struct row {
    const char *pattern;
    const char *text;
    bool matches;
};

static void test_glob_match__table(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "", "", true },
        { "", "a", false },
        { "a", "a", true },
        { "a", "A", false },
        { "a", "ab", false },
        { "ab", "a", false },
        { "*", "", true },
        { "*", "anything/at all", true },
        { "**", "x", true },
        { "?", "", false },
        { "?", "x", true },
        { "?", "xy", false },
        { "?", "ü", true },
        { "??", "ü", false },
        { "a?c", "a€c", true },
        { "*€", "1€", true },
        { "*.jar", "a.jar", true },
        { "*.jar", "a.jar.exe", false },
        { "rel-*", "rel-", true },
        { "rel-*", "rel", false },
        { "a*b*c", "axxbyyc", true },
        { "a*b*c", "axxbyyd", false },
        { "*ab", "aab", true },
        { "*aab", "aaaab", true },
        { "a*?", "a", false },
        { "a*?", "ab", true },
        { "/usr/*/x", "/usr/local/bin/x", true },
        { "[a]", "a", false },
        { "a\\*", "a*", false },
        { "a?", "a*", true },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (chy_glob_match(chy_str_of(rows[i].pattern), chy_str_of(rows[i].text)) !=
            rows[i].matches)
            fail_msg("\"%s\" on \"%s\"", rows[i].pattern, rows[i].text);
}

static void test_glob_match__many_stars_end_soon(void **state)
{
    (void)state;
    /* Were each star taken back, this would not end in a lifetime. */
    char pattern[CHY_LIMIT_PATTERN];
    char text[CHY_LIMIT_PATH];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 == 0 ? 'a' : '*';
    pattern[sizeof pattern - 1] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(chy_glob_match((struct chy_str){ pattern, sizeof pattern },
                                (struct chy_str){ text, sizeof text }));
    text[sizeof text - 1] = 'b';
    assert_true(chy_glob_match((struct chy_str){ pattern, sizeof pattern },
                               (struct chy_str){ text, sizeof text }));
}

static void test_glob_match__bytes_that_are_no_text(void **state)
{
    (void)state;
    struct chy_str bad = { "\xff\x80", 2 };
    assert_true(chy_glob_match(CHY_STR("??"), bad));
    assert_true(chy_glob_match(CHY_STR("*"), bad));
    assert_false(chy_glob_match(CHY_STR("?"), bad));
}

static void test_glob_is_exact(void **state)
{
    (void)state;
    assert_true(chy_glob_is_exact(CHY_STR("release.key-1")));
    assert_true(chy_glob_is_exact(CHY_STR("")));
    assert_false(chy_glob_is_exact(CHY_STR("a*")));
    assert_false(chy_glob_is_exact(CHY_STR("?a")));
}

static void test_fact_name_is_valid(void **state)
{
    (void)state;
    char longest[CHY_LIMIT_NAME + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(chy_fact_name_is_valid(CHY_STR("application.path")));
    assert_true(chy_fact_name_is_valid(CHY_STR("ci.pull_request-1")));
    assert_true(chy_fact_name_is_valid((struct chy_str){ longest, CHY_LIMIT_NAME }));
    assert_false(chy_fact_name_is_valid((struct chy_str){ longest, CHY_LIMIT_NAME + 1 }));
    assert_false(chy_fact_name_is_valid(CHY_STR("")));
    assert_false(chy_fact_name_is_valid(CHY_STR("1a")));
    assert_false(chy_fact_name_is_valid(CHY_STR("Host")));
    assert_false(chy_fact_name_is_valid(CHY_STR("a b")));
    assert_false(chy_fact_name_is_valid(CHY_STR("a\xc3\xbc")));
}

static void test_fact_is_public__only_what_is_known_to_be(void **state)
{
    (void)state;
    assert_true(chy_fact_is_public(CHY_STR("host")));
    assert_true(chy_fact_is_public(CHY_STR("artifact.type")));
    assert_true(chy_fact_is_public(CHY_STR("application.sha256")));
    assert_true(chy_fact_is_public(CHY_STR("ci.branch")));
    assert_false(chy_fact_is_public(CHY_STR("application.command")));
    assert_false(chy_fact_is_public(CHY_STR("application.path")));
    assert_false(chy_fact_is_public(CHY_STR("user")));
    assert_false(chy_fact_is_public(CHY_STR("hosts")));
    assert_false(chy_fact_is_public(CHY_STR("ci.Branch")));
    assert_false(chy_fact_is_public(CHY_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob_match__table),
        cmocka_unit_test(test_glob_match__many_stars_end_soon),
        cmocka_unit_test(test_glob_match__bytes_that_are_no_text),
        cmocka_unit_test(test_glob_is_exact),
        cmocka_unit_test(test_fact_name_is_valid),
        cmocka_unit_test(test_fact_is_public__only_what_is_known_to_be),
    };
    return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
