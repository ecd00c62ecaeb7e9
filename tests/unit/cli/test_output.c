/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"
#include "cli/view.h"
#include "proto/api.h"

static char *text;
static size_t text_n;
static FILE *out;

static int setup(void **state)
{
    (void)state;
    out = open_memstream(&text, &text_n);
    return out != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

static void assert_printed(const char *expected)
{
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
}

static void test_record__sentences_one_a_line(void **state)
{
    (void)state;
    const struct chy_str warnings[] = { CHY_STR("it ends, soon"), CHY_STR("so\nwhat") };
    const struct chy_key key = { .name = CHY_STR("k"),
                                 .type = CHY_KEY_P256,
                                 .warnings = { warnings, 2 } };
    assert_int_equal(chy_cli_print_record(out, &chy_key_schema, &key, NULL), CHY_OK);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\nwarnings:\n  - it ends, soon\n  - so?what\n"));
}

static const struct chy_str groups[] = { { "a", 1 }, { "b\nc", 3 } };

static void test_record__of_a_user(void **state)
{
    (void)state;
    struct chy_api_token_info token = { .description = CHY_STR("ci"),
                                        .expires_us = 1763769600000000 };
    token.id[0] = 0xab;
    struct chy_user user = { .name = CHY_STR("alice"),
                             .groups = { groups, 2 },
                             .api_tokens = { &token, 1 } };
    assert_int_equal(chy_cli_print_record(out, &chy_user_schema, &user, NULL), CHY_OK);
    assert_printed("name:        alice\n"
                   "is_disabled: no\n"
                   "groups:      a, b?c\n"
                   "api_tokens 1:\n"
                   "  id:          ab000000000000000000000000000000\n"
                   "  description: ci\n"
                   "  expires:     2025-11-22T00:00:00Z\n"
                   "  is_revoked:  no\n");
}

static void test_record__lines_are_set_in(void **state)
{
    (void)state;
    struct chy_pem pem = { CHY_STR("one\n\x1b[2Jtwo\n") };
    assert_int_equal(chy_cli_print_record(out, &chy_pem_schema, &pem, NULL), CHY_OK);
    assert_printed("pem:\n  one\n  ?[2Jtwo\n");
}

static void test_record__long_bytes_are_cut(void **state)
{
    (void)state;
    static const uint8_t bytes[37];
    struct chy_raw raw = { .content_type = CHY_STR("x"), .body = { bytes, 36 } };
    assert_int_equal(chy_cli_print_record(out, &chy_raw_schema, &raw, NULL), CHY_OK);
    raw.body.n = 37;
    assert_int_equal(chy_cli_print_record(out, &chy_raw_schema, &raw, NULL), CHY_OK);
    assert_printed("content_type: x\n"
                   "body:         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                   "max_age_s:    0\n"
                   "content_type: x\n"
                   "body:         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                   "... (whole with --json)\n"
                   "max_age_s:    0\n");
}

static void test_view__table(void **state)
{
    (void)state;
    static const struct chy_user users[] = {
        { .name = { "al\xc3\xad"
                    "ce",
                    6 },
          .roles = { groups, 1 } },
        { .name = { "b", 1 }, .is_disabled = true, .description = { "builds", 6 } },
    };
    struct chy_user_list list = { { users, 2 } };
    assert_int_equal(chy_cli_print_view(out, &chy_view_users, &chy_user_list_schema, &list, NULL),
                     CHY_OK);
    assert_printed("NAME   STATE     ROLES  GROUPS  TOKENS  DESCRIPTION\n"
                   "al\xc3\xad"
                   "ce  active    a\n"
                   "b      disabled                         builds\n");
}

static void test_view__empty_table(void **state)
{
    (void)state;
    struct chy_user_list list = { 0 };
    assert_int_equal(chy_cli_print_view(out, &chy_view_users, &chy_user_list_schema, &list, NULL),
                     CHY_OK);
    assert_printed("There are no principals.\n");
}

static void test_view__none_is_a_record(void **state)
{
    (void)state;
    struct chy_csr csr = { CHY_STR("x") };
    assert_int_equal(chy_cli_print_view(out, NULL, &chy_csr_schema, &csr, NULL), CHY_OK);
    assert_printed("csr: x\n");
}

static void test_text__control_characters(void **state)
{
    (void)state;
    chy_cli_print_text(out, CHY_STR("a\tb\n\x1b]0;title\x07\r\x7f"));
    chy_cli_print_text(out, CHY_STR("\xc2\x9b\xc2\xa0\xe2\x80\xae\xe2\x80\xaf\xe2\x81\xa6\xe2"));
    assert_printed("a\tb\n?]0;title????\xc2\xa0?\xe2\x80\xaf?\xe2");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_record__sentences_one_a_line),
        T(test_record__of_a_user),
        T(test_record__lines_are_set_in),
        T(test_record__long_bytes_are_cut),
        T(test_view__table),
        T(test_view__empty_table),
        T(test_view__none_is_a_record),
        T(test_text__control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
