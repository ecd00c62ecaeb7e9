/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_fixture.h"
#include "tlog/checkpoint.h"

#define ROOT "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="

static struct chy_hasher *hasher;

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_hasher_free(hasher);
    return 0;
}

static void test_checkpoint__round_trips(void **state)
{
    (void)state;
    static const char text[] = "example.com/log\n9223372036854775807\n" ROOT "\n";
    struct chy_tlog_checkpoint cp;
    assert_int_equal(chy_tlog_checkpoint_parse(chy_str_of(text), &cp, NULL), CHY_OK);
    assert_true(chy_str_equal_c(cp.origin, "example.com/log"));
    assert_true(cp.size == INT64_MAX);
    struct chy_buf b;
    chy_buf_init(&b, 256);
    assert_true(chy_tlog_checkpoint_append(&b, &cp));
    assert_true(chy_str_equal_c(chy_buf_str(&b), text));
    chy_buf_done(&b);
    assert_int_equal(
        chy_tlog_checkpoint_parse(CHY_STR("o\n0\n" ROOT "\nextension\nanother\n"), &cp, NULL),
        CHY_OK);
    assert_true(cp.size == 0);
}

static void test_checkpoint_parse__refuses_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "o\n",
        "o\n1\n",
        "o\n1\n" ROOT,
        "\n1\n" ROOT "\n",
        "o\n\n" ROOT "\n",
        "o\n01\n" ROOT "\n",
        "o\n-1\n" ROOT "\n",
        "o\n+1\n" ROOT "\n",
        "o\n 1\n" ROOT "\n",
        "o\n1a\n" ROOT "\n",
        "o\n9223372036854775808\n" ROOT "\n",
        "o\n18446744073709551616\n" ROOT "\n",
        "o\n99999999999999999999\n" ROOT "\n",
        "o\n1\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383ct=\n", /* spare bits */
        "o\n1\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v38\n",
        "o\n1\n" ROOT " \n",
        "o\n1\n" ROOT "\n\n",
        "o\n1\n" ROOT "\nextension",
        "o\x01\n1\n" ROOT "\n",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_tlog_checkpoint cp;
        assert_int_equal(chy_tlog_checkpoint_parse(chy_str_of(bad[i]), &cp, NULL), CHY_E_MALFORMED);
    }
}

static void test_checkpoint_open__origin_must_sign(void **state)
{
    (void)state;
    const struct chy_tlog_vkey keys[] = { fixture_vkey(hasher, "log-a", 1),
                                          fixture_vkey(hasher, "log-b", 2) };
    struct chy_tlog_checkpoint cp;
    struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    fixture_note(hasher, &note, CHY_STR("log-a\n1\n" ROOT "\n"), "log-a", 1);
    assert_int_equal(chy_tlog_checkpoint_open(chy_buf_bytes(&note), keys, 2, &cp, NULL), CHY_OK);
    assert_true(cp.size == 1);
    assert_int_equal(chy_tlog_checkpoint_open(chy_buf_bytes(&note), keys + 1, 1, &cp, NULL),
                     CHY_E_INTEGRITY);
    /* The head of log a, signed by the key of log b, which is trusted for b alone. */
    chy_buf_clear(&note);
    fixture_note(hasher, &note, CHY_STR("log-a\n1\n" ROOT "\n"), "log-b", 2);
    assert_int_equal(chy_tlog_checkpoint_open(chy_buf_bytes(&note), keys, 2, &cp, NULL),
                     CHY_E_INTEGRITY);
    chy_buf_clear(&note);
    fixture_note(hasher, &note, CHY_STR("log-a\n1\n"), "log-a", 1);
    assert_int_equal(chy_tlog_checkpoint_open(chy_buf_bytes(&note), keys, 2, &cp, NULL),
                     CHY_E_MALFORMED);
    assert_int_equal(
        chy_tlog_checkpoint_open(chy_str_bytes(CHY_STR("log-a\n")), keys, 2, &cp, NULL),
        CHY_E_MALFORMED);
    chy_buf_done(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint__round_trips),
        cmocka_unit_test(test_checkpoint_parse__refuses_other_forms),
        cmocka_unit_test(test_checkpoint_open__origin_must_sign),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, group_setup, group_teardown);
}
