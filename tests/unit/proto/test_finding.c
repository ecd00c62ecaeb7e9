/* SPDX-License-Identifier: MIT */
/* Findings: gathered, bounded, told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proto/finding.h"

static struct chy_arena arena;
static struct chy_finding_list list;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    assert_int_equal(chy_finding_list_init(&list, &arena, NULL), CHY_OK);
    list.check = "disk";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static void test_add__only_a_problem_is_not_well(void **state)
{
    (void)state;
    chy_finding_add(&list, CHY_FINDING_OK, NULL, "%d GB are free", 7);
    chy_finding_add(&list, CHY_FINDING_WARNING, "make room", "it is nearly full");
    assert_true(chy_finding_list_end(&list).is_well);
    chy_finding_add(&list, CHY_FINDING_PROBLEM, "make room", "it is full");
    struct chy_findings f = chy_finding_list_end(&list);
    assert_false(f.is_well);
    assert_int_equal(f.findings.n, 3);
    assert_true(chy_str_equal_c(f.findings.p[0].text, "7 GB are free"));
    assert_true(chy_str_equal_c(f.findings.p[2].mend, "make room"));
    assert_int_equal(chy_schema_check(&chy_findings_schema, &f, NULL), CHY_OK);
}

static void test_add__at_the_limit_and_past_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_FINDINGS_MAX; i++)
        chy_finding_add(&list, CHY_FINDING_OK, NULL, "fine");
    assert_int_equal(chy_finding_list_end(&list).more, 0);
    chy_finding_add(&list, CHY_FINDING_PROBLEM, NULL, "not fine");
    struct chy_findings f = chy_finding_list_end(&list);
    assert_int_equal(f.findings.n, CHY_FINDINGS_MAX);
    assert_int_equal(f.more, 1);
    assert_false(f.is_well); /* although it is not shown */
    assert_int_equal(chy_schema_check(&chy_findings_schema, &f, NULL), CHY_OK);
}

static void test_add__a_long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[2 * CHY_LIMIT_TEXT + 2];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\0';
    chy_finding_add(&list, CHY_FINDING_OK, NULL, "x%s", text);
    chy_finding_add(&list, CHY_FINDING_OK, NULL, "%s", text);
    struct chy_findings f = chy_finding_list_end(&list);
    assert_true(chy_utf8_is_valid(f.findings.p[0].text));
    assert_true(chy_utf8_is_valid(f.findings.p[1].text));
    assert_int_equal(chy_schema_check(&chy_findings_schema, &f, NULL), CHY_OK);
}

static void test_write__for_people(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, 4096);
    chy_finding_add(&list, CHY_FINDING_OK, NULL, "much is free");
    list.check = "clock";
    chy_finding_add(&list, CHY_FINDING_PROBLEM, "set it", "it is an hour behind");
    list.more = 2;
    struct chy_findings f = chy_finding_list_end(&list);
    chy_findings_write(&f, &out);
    assert_true(chy_str_equal_c(chy_buf_str(&out), "ok       disk           much is free\n"
                                                   "problem  clock          it is an hour behind\n"
                                                   "                        -> set it\n"
                                                   "and 2 more\n"));
}

static void test_add__out_of_memory_still_counts(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_arena_done) struct chy_arena small;
    struct chy_finding_list l;
    chy_arena_init(&small, CHY_FINDINGS_MAX * sizeof(struct chy_finding) + 64);
    assert_int_equal(chy_finding_list_init(&l, &small, NULL), CHY_OK);
    l.check = "x";
    for (size_t i = 0; i < 100; i++)
        chy_finding_add(&l, CHY_FINDING_PROBLEM, NULL, "a text that takes room");
    assert_true(l.more > 0);
    assert_false(chy_finding_list_end(&l).is_well);
    chy_arena_done(&small);
    chy_arena_init(&small, 64);
    assert_int_equal(chy_finding_list_init(&l, &small, NULL), CHY_E_NOMEM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_add__only_a_problem_is_not_well),        T(test_add__at_the_limit_and_past_it),
        T(test_add__a_long_text_is_cut_at_a_character), T(test_write__for_people),
        T(test_add__out_of_memory_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
