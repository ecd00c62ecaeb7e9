/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gpgsm/options.h"

static struct chy_gpgsm_options o;
static struct chy_error err;

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
    o = (struct chy_gpgsm_options){ .command = CHY_GPGSM_HELP };
    return chy_gpgsm_options_read(argc, argv, &o, &err);
}

/* The very words of git 2.39, gpg-interface.c. */
static void test_read__what_git_says(void **state)
{
    (void)state;
    assert_int_equal(read_line("--status-fd=2 -bsau KEY"), CHY_OK);
    assert_int_equal(o.command, CHY_GPGSM_SIGN);
    assert_true(o.is_detached && o.is_armored);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_true(chy_str_equal_c(o.status_fd, "2"));
    assert_int_equal(o.n_words, 0);
    assert_int_equal(read_line("--status-fd=1 --verify .git_vtag_tmpx -"), CHY_OK);
    assert_int_equal(o.command, CHY_GPGSM_VERIFY);
    assert_true(chy_str_equal_c(o.words[0], ".git_vtag_tmpx"));
    assert_true(chy_str_equal_c(o.words[1], "-"));
    assert_int_equal(o.n_words, 2);
}

static void test_read__other_ways_to_say_it(void **state)
{
    (void)state;
    assert_int_equal(read_line("--sign --detach-sign --armor --local-user KEY"), CHY_OK);
    assert_true(o.command == CHY_GPGSM_SIGN && o.is_detached && o.is_armored);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_int_equal(read_line("-uKEY -s -b -- -file"), CHY_OK);
    assert_true(chy_str_equal_c(o.local_user, "KEY"));
    assert_true(chy_str_equal_c(o.words[0], "-file"));
    assert_int_equal(read_line("--version"), CHY_OK);
    assert_int_equal(o.command, CHY_GPGSM_VERSION);
    assert_int_equal(read_line(""), CHY_OK);
    assert_int_equal(o.command, CHY_GPGSM_NOTHING);
}

static void test_read__refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "-bsau",        "--local-user", "--local-user=", "--status-fd",     "-x",    "-bsx KEY",
        "--frobnicate", "--sign=x",     "--verify=x",    "--sign --verify", "a b c", "--sig",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        assert_int_equal(read_line(bad[i]), CHY_E_ARG);
        assert_int_equal(o.command, CHY_GPGSM_HELP); /* untouched */
    }
}

static void test_help__has_every_option(void **state)
{
    (void)state;
    struct chy_buf text;
    chy_buf_init(&text, 4096);
    chy_gpgsm_options_help(&text);
    assert_int_equal(chy_buf_check(&text, NULL), CHY_OK);
    assert_true(chy_buf_append_u8(&text, 0));
    assert_non_null(strstr((const char *)text.p, "-u, --local-user"));
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
