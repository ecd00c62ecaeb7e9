/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/command.h"

static enum chy_truth match_n(const char *pattern, struct chy_str text, size_t patterns)
{
    struct chy_command_set set;
    struct chy_error err = { .text = "" };
    const struct chy_command *c = NULL;
    assert_int_equal(chy_command_set_init(&set, &err), CHY_OK);
    for (size_t i = 0; i < patterns; i++)
        if (chy_command_set_add(&set, chy_str_of(pattern), &c, &err) != CHY_OK)
            fail_msg("%s", err.text);
    chy_command_set_seal(&set);
    enum chy_truth t = chy_command_match(&set, c, text);
    chy_command_set_done(&set);
    return t;
}

static enum chy_truth match(const char *pattern, const char *text)
{
    return match_n(pattern, chy_str_of(text), 1);
}

static void test_command_match__is_of_the_whole_line(void **state)
{
    (void)state;
    assert_int_equal(match("jarsigner .*", "jarsigner -tsa x a.jar"), CHY_TRUTH_YES);
    assert_int_equal(match("jarsigner", "jarsigner a.jar"), CHY_TRUTH_NO);
    assert_int_equal(match("signer .*", "jarsigner a.jar"), CHY_TRUTH_NO);
    assert_int_equal(match("a|b", "ab"), CHY_TRUTH_NO);
    assert_int_equal(match("a|ab", "ab"), CHY_TRUTH_YES);
    assert_int_equal(match("a$", "a\n"), CHY_TRUTH_NO);
    assert_int_equal(match("(?i)JAR.*", "jar x"), CHY_TRUTH_YES);
    assert_int_equal(match("ü.", "üß"), CHY_TRUTH_YES);
    assert_int_equal(match("", ""), CHY_TRUTH_YES);
    assert_int_equal(match_n("", (struct chy_str){ NULL, 0 }, 1), CHY_TRUTH_YES);
}

static void test_command_match__catastrophic_patterns_are_unknown(void **state)
{
    (void)state;
    /* Each has its last letter somewhere, or PCRE2 sees at once that there is no match. */
    static const struct {
        const char *pattern;
        const char *line;
    } rows[] = {
        { "(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!" },
        { "(a|a)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!" },
        { "(a|aa)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!" },
        { "(.*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!" },
        { "(?:a?){25}a{25}b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!" },
        { "(x+x+)+y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy!" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (match(rows[i].pattern, rows[i].line) != CHY_TRUTH_UNKNOWN)
            fail_msg("%s came to an end", rows[i].pattern);
}

static void test_command_match__the_steps_are_shared(void **state)
{
    (void)state;
    /* Some 4,000 steps: within the limit of one pattern, over that of one among 400. */
    char text[4000];
    memset(text, 'a', sizeof text);
    struct chy_str line = { text, sizeof text };
    assert_int_equal(match_n("(a|b)*", line, 1), CHY_TRUTH_YES);
    assert_int_equal(match_n("(a|b)*", line, 400), CHY_TRUTH_UNKNOWN);
    assert_int_equal(match_n("a*", line, 400), CHY_TRUTH_YES);
}

static void test_command_match__what_it_cannot_read_is_unknown(void **state)
{
    (void)state;
    static char text[CHY_LIMIT_COMMAND + 1];
    memset(text, 'a', sizeof text);
    assert_int_equal(match_n("a*", (struct chy_str){ text, CHY_LIMIT_COMMAND }, 1), CHY_TRUTH_YES);
    assert_int_equal(match_n("a*", (struct chy_str){ text, sizeof text }, 1), CHY_TRUTH_UNKNOWN);
    assert_int_equal(match_n(".*", (struct chy_str){ "\xff", 1 }, 1), CHY_TRUTH_UNKNOWN);
}

static void test_command_match__out_of_memory_is_unknown(void **state)
{
    (void)state;
    struct chy_command_set set;
    const struct chy_command *c;
    assert_int_equal(chy_command_set_init(&set, NULL), CHY_OK);
    assert_int_equal(chy_command_set_add(&set, CHY_STR("(a|b)*"), &c, NULL), CHY_OK);
    chy_command_set_seal(&set);
    bool done = false;
    for (size_t n = 0; !done; n++) {
        chy_mem_fail_after(n);
        enum chy_truth t = chy_command_match(&set, c, CHY_STR("abab"));
        done = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(t, done ? CHY_TRUTH_YES : CHY_TRUTH_UNKNOWN);
    }
    chy_command_set_done(&set);
}

static void test_command_check__says_where(void **state)
{
    (void)state;
    struct chy_error err = { .text = "" };
    assert_int_equal(chy_command_check(CHY_STR("a(b"), &err), CHY_E_MALFORMED);
    assert_non_null(strstr(err.text, "at character 4"));
    assert_int_equal(chy_command_check(CHY_STR("a\\Cb"), &err), CHY_E_MALFORMED);
    assert_int_equal(chy_command_check(CHY_STR("*a"), &err), CHY_E_MALFORMED);
    assert_int_equal(chy_command_check(CHY_STR("a.*"), &err), CHY_OK);
}

static void test_command_set_add__nesting_and_memory(void **state)
{
    (void)state;
    struct chy_error err = { .text = "" };
    assert_int_equal(
        chy_command_check(CHY_STR("((((((((((((((((((((((((((((((((a))))))))))))))))))))"
                                  "))))))))))))"),
                          &err),
        CHY_OK);
    assert_int_equal(
        chy_command_check(CHY_STR("(((((((((((((((((((((((((((((((((a)))))))))))))))))))"
                                  "))))))))))))))"),
                          &err),
        CHY_E_MALFORMED);
    /* 60 KB compiled each: a few hundred pass the limit. */
    struct chy_command_set set;
    const struct chy_command *c;
    assert_int_equal(chy_command_set_init(&set, &err), CHY_OK);
    enum chy_err r = CHY_OK;
    size_t n = 0;
    for (; r == CHY_OK && n < 1000; n++)
        r = chy_command_set_add(&set, CHY_STR("(abcdefghij){1500}"), &c, &err);
    assert_int_equal(r, CHY_E_LIMIT);
    assert_true(n > 100);
    chy_command_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_match__is_of_the_whole_line),
        cmocka_unit_test(test_command_match__catastrophic_patterns_are_unknown),
        cmocka_unit_test(test_command_match__the_steps_are_shared),
        cmocka_unit_test(test_command_match__what_it_cannot_read_is_unknown),
        cmocka_unit_test(test_command_match__out_of_memory_is_unknown),
        cmocka_unit_test(test_command_check__says_where),
        cmocka_unit_test(test_command_set_add__nesting_and_memory),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
