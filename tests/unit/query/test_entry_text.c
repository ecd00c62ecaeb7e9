/* SPDX-License-Identifier: MIT */
/* What people read of each kind of entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "query/entry_text.h"

static const struct chy_str one_rule[] = { { "main", 4 } };
static const struct chy_str many_rules[] = { { "a", 1 },
                                             { "b", 1 },
                                             { "c", 1 },
                                             { "d", 1 },
                                             { "e", 1 } };
static const uint8_t digest[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static const struct {
    struct chy_entry entry;
    const char *text;
    const char *key;
} rows[] = {
    { { .kind = CHY_ENTRY_SERVER_START, .node = { "n1", 2 } }, "node \"n1\" began to serve", "" },
    { { .kind = CHY_ENTRY_SERVER_STOP, .node = { "n1", 2 } }, "node \"n1\" stopped", "" },
    { { .kind = CHY_ENTRY_SIGN_INTENT,
        .principal = { "bob", 3 },
        .action = { "sign", 4 },
        .subject = { "release", 7 },
        .algorithm = CHY_ALG_ECDSA_SHA256,
        .digest = { digest, sizeof digest },
        .decision = CHY_DECISION_ALLOWED,
        .rules = { one_rule, 1 } },
      "bob asked for a signature by key \"release\" (ecdsa-sha256, digest 0001020304050607…): "
      "allowed by rule \"main\"",
      "release" },
    { { .kind = CHY_ENTRY_SIGN_INTENT,
        .subject = { "release", 7 },
        .decision = CHY_DECISION_DENIED,
        .rules = { many_rules, 5 } },
      "somebody asked for a signature by key \"release\": denied by rules \"a\", \"b\", \"c\", "
      "\"d\" and 1 more",
      "release" },
    { { .kind = CHY_ENTRY_SIGN_INTENT,
        .principal = { "bob", 3 },
        .subject = { "k", 1 },
        .decision = CHY_DECISION_HELD },
      "bob asked for a signature by key \"k\": held",
      "k" },
    { { .kind = CHY_ENTRY_SIGN_OUTCOME,
        .principal = { "bob", 3 },
        .subject = { "k", 1 },
        .outcome = CHY_OUTCOME_DONE,
        .intent_index = 7 },
      "signature by key \"k\" for bob: done (intent 7)",
      "k" },
    { { .kind = CHY_ENTRY_SIGN_OUTCOME,
        .principal = { "bob", 3 },
        .subject = { "k", 1 },
        .outcome = CHY_OUTCOME_UNKNOWN,
        .intent_index = 7 },
      "signature by key \"k\" for bob: unknown, not answered (intent 7)",
      "k" },
    { { .kind = CHY_ENTRY_KEY,
        .principal = { "karl", 4 },
        .action = { "certificate.import", 18 },
        .subject = { "k", 1 },
        .outcome = CHY_OUTCOME_FAILED,
        .intent_index = 3 },
      "karl: certificate.import of key \"k\": failed (intent 3)",
      "k" },
    { { .kind = CHY_ENTRY_KEY_INTENT,
        .principal = { "dora", 4 },
        .action = { "user.enroll", 11 },
        .subject = { "dora", 4 } },
      "dora: user.enroll of principal \"dora\": about to be done",
      "" },
    { { .kind = CHY_ENTRY_USER,
        .principal = { "alice", 5 },
        .action = { "user.create", 11 },
        .subject = { "dora", 4 } },
      "alice: user.create of principal \"dora\"",
      "" },
    { { .kind = CHY_ENTRY_POLICY, .principal = { "paula", 5 }, .policy_number = 9 },
      "paula put policy 9 in force",
      "" },
    { { .kind = CHY_ENTRY_RECOVERY, .principal = { "@signer", 7 } },
      "@signer accepted an older store",
      "" },
};

static void test_entry_text__every_kind(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_str text = query_entry_text(&rows[i].entry, NULL, NULL, &arena);
        assert_non_null(text.p);
        assert_string_equal(text.p, rows[i].text);
        assert_true(chy_str_equal_c(query_entry_key(&rows[i].entry), rows[i].key));
    }
    chy_arena_done(&arena);
}

static void test_entry_text__detail_in_one_line(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    const struct chy_entry_detail detail = { .artifact_name = CHY_STR("a.jar"),
                                             .reason = CHY_STR("release\n2"),
                                             .text = CHY_STR("forged\r\x1b[31m") };
    struct chy_str text = query_entry_text(&rows[0].entry, &detail, NULL, &arena);
    assert_string_equal(text.p,
                        "node \"n1\" began to serve; file a.jar; reason: release 2; forged  [31m");
    chy_arena_done(&arena);
}

/* However long the free text is, the line fits its field, whole characters alone. */
static void test_entry_text__cut(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    char *long_text = chy_arena_alloc(&arena, 4 * CHY_LIMIT_TEXT, 1);
    for (size_t i = 0; i + 2 <= 4 * CHY_LIMIT_TEXT; i += 2)
        memcpy(long_text + i, "\xc3\xa9", 2);
    for (size_t n = 4 * CHY_LIMIT_TEXT - 100; n <= 4 * CHY_LIMIT_TEXT; n += 2) {
        const struct chy_entry_detail detail = { .reason = { long_text, n },
                                                 .text = { long_text, n } };
        struct chy_str text = query_entry_text(&rows[0].entry, &detail, NULL, &arena);
        assert_non_null(text.p);
        assert_in_range(text.n, 4 * CHY_LIMIT_TEXT - 200, 4 * CHY_LIMIT_TEXT);
        assert_true(chy_text_is_plain(text));
    }
    chy_arena_done(&arena);
}

static void test_entry_text__no_memory(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, 1);
    assert_null(query_entry_text(&rows[0].entry, NULL, NULL, &arena).p);
    chy_arena_done(&arena);
}

/* Whatever the path, it is a short name, and who says so. */
static void test_text__names_the_application(void **state)
{
    (void)state;
    static const struct {
        struct chy_fact fact;
        const char *text;
    } cases[] = {
        { { .value = { "/usr/bin/jarsigner", 18 }, .basis = CHY_BASIS_AGENT },
          " with \"jarsigner\" (agent)" },
        { { .value = { "C:\\Tools\\signtool.exe", 21 }, .basis = CHY_BASIS_DECLARED },
          " with \"signtool.exe\" (declared)" },
        { { .value = { "rpmsign", 7 }, .basis = CHY_BASIS_SERVER }, " with \"rpmsign\" (server)" },
        { { .value = { "/a/", 3 } }, " with \"\" (declared)" },
    };
    struct chy_arena arena;
    chy_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        const struct chy_entry intent = rows[2].entry;
        const struct chy_entry outcome = rows[5].entry;
        struct chy_str text = query_entry_text(&intent, NULL, &cases[i].fact, &arena);
        assert_non_null(strstr(text.p, "by key \"release\" with "));
        assert_non_null(strstr(text.p, cases[i].text));
        text = query_entry_text(&outcome, NULL, &cases[i].fact, &arena);
        assert_non_null(strstr(text.p, "for bob with "));
        assert_non_null(strstr(text.p, cases[i].text));
        /* An entry of another kind has none. */
        text = query_entry_text(&rows[0].entry, NULL, &cases[i].fact, &arena);
        assert_null(strstr(text.p, "with"));
    }
    static char path[CHY_LIMIT_COMMAND];
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = "\xe2\x82\xac"[i % 3];
    const struct chy_fact huge = { .value = { path, sizeof path } };
    struct chy_str text = query_entry_text(&rows[2].entry, NULL, &huge, &arena);
    assert_non_null(text.p);
    assert_true(text.n < 300 && chy_utf8_is_valid(text));
    chy_arena_done(&arena);
}

static void test_application__the_best_known(void **state)
{
    (void)state;
    const struct chy_fact facts[] = {
        { CHY_STR("application.command"), CHY_STR("x"), CHY_BASIS_AGENT },
        { CHY_STR("application.path"), CHY_STR("/declared"), CHY_BASIS_DECLARED },
        { CHY_STR("application.path"), CHY_STR("/seen"), CHY_BASIS_AGENT },
        { CHY_STR("application.path"), CHY_STR("/second"), CHY_BASIS_AGENT },
    };
    struct chy_entry_detail detail = { .facts = { facts, CHY_ARRAY_LEN(facts) } };
    assert_ptr_equal(query_entry_application(&detail), &facts[2]);
    detail.facts.n = 2;
    assert_ptr_equal(query_entry_application(&detail), &facts[1]);
    detail.facts.n = 1;
    assert_null(query_entry_application(&detail));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__names_the_application),
        cmocka_unit_test(test_application__the_best_known),
        cmocka_unit_test(test_entry_text__every_kind),
        cmocka_unit_test(test_entry_text__detail_in_one_line),
        cmocka_unit_test(test_entry_text__cut),
        cmocka_unit_test(test_entry_text__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
