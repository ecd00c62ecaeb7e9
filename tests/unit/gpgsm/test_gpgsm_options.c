/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "gpgsm/options.h"

static struct chy_gnupg_options o;
static struct chy_error err;
static struct chy_arena arena;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

/* Of the words of a line, which lives as long as the test. */
static enum chy_err read_line(const char *line)
{
    static char text[256];
    static char name[] = "chancery-gpgsm";
    char *argv[16] = { name };
    int argc = 1;
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *p = text; *p != '\0' && argc < 15;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p != '\0')
            *p++ = '\0';
    }
    o = (struct chy_gnupg_options){ .command = CHY_GNUPG_HELP };
    return chy_gnupg_options_read(&chy_gpgsm_table, argc, argv, &arena, &o, &err);
}

/* The very words of git 2.39, gpg-interface.c. */
static void test_read__what_git_says(void **state)
{
    (void)state;
    assert_int_equal(read_line("--status-fd=2 -bsau KEY"), CHY_OK);
    assert_int_equal(o.command, CHY_GNUPG_DETACH_SIGN);
    assert_true(o.is_armored);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_true(chy_str_equal_c(o.status_fd, "2"));
    assert_int_equal(o.words.n, 0);
    assert_int_equal(read_line("--status-fd=1 --verify .git_vtag_tmpx -"), CHY_OK);
    assert_int_equal(o.command, CHY_GNUPG_VERIFY);
    assert_true(chy_str_equal_c(o.words.p[0], ".git_vtag_tmpx"));
    assert_true(chy_str_equal_c(o.words.p[1], "-"));
    assert_int_equal(o.words.n, 2);
}

static void test_read__other_ways_to_say_it(void **state)
{
    (void)state;
    assert_int_equal(read_line("--sign --detach-sign --armor --local-user KEY"), CHY_OK);
    assert_true(o.command == CHY_GNUPG_DETACH_SIGN && o.is_armored);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_int_equal(read_line("-uKEY -s -b -- -file"), CHY_OK);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_true(chy_str_equal_c(o.words.p[0], "-file"));
    assert_int_equal(read_line("--version"), CHY_OK);
    assert_int_equal(o.command, CHY_GNUPG_VERSION);
    assert_int_equal(read_line(""), CHY_OK);
    assert_int_equal(o.command, CHY_GNUPG_NOTHING);
}

static void test_read__refuses(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum chy_err want;
    } bad[] = {
        { "-bsau", CHY_E_ARG },           { "--local-user", CHY_E_ARG },
        { "--local-user=", CHY_E_ARG },   { "--status-fd", CHY_E_ARG },
        { "-x", CHY_E_UNSUPPORTED },      { "-bsx KEY", CHY_E_UNSUPPORTED },
        { "--sign=x", CHY_E_ARG },        { "--verify=x", CHY_E_ARG },
        { "--sign --verify", CHY_E_ARG }, { "--sig", CHY_E_UNSUPPORTED },
        { "-ua -ub", CHY_E_UNSUPPORTED }, { "--frobnicate", CHY_E_UNSUPPORTED },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        assert_int_equal(read_line(bad[i].line), bad[i].want);
        assert_int_equal(o.command, CHY_GNUPG_HELP); /* untouched */
    }
}

static void test_help__has_every_option(void **state)
{
    (void)state;
    struct chy_buf text;
    chy_buf_init(&text, 4096);
    chy_gnupg_options_help(&chy_gpgsm_table, &text);
    assert_int_equal(chy_buf_check(&text, NULL), CHY_OK);
    assert_true(chy_buf_append_u8(&text, 0));
    assert_non_null(strstr((const char *)text.p, "--local-user, -u "));
    assert_non_null(strstr((const char *)text.p, "--status-fd"));
    chy_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__what_git_says),
        cmocka_unit_test(test_read__other_ways_to_say_it),
        cmocka_unit_test(test_read__refuses),
        cmocka_unit_test(test_help__has_every_option),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
