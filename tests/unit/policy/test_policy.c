/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/match.h"
#include "policy_fixture.h"

#define HEAD "version: 1\nrules:\n"

static struct chy_policy_request plain_request(void)
{
    return (struct chy_policy_request){
        .key = { .name = CHY_STR("rel"), .purpose = CHY_STR("release"), .type = CHY_KEY_P256 },
        .caller = { .principal = CHY_STR("ci-1"), .method = CHY_AUTH_CERTIFICATE },
        .algorithm = CHY_ALG_ECDSA_SHA256,
        .address = CHY_STR("10.1.2.3"),
        .time_us = NOW_US,
    };
}

static struct chy_policy_decision decide(const char *yaml, const struct chy_policy_request *request)
{
    struct chy_policy_decision d;
    struct chy_policy_rules *rules = policy_of(yaml);
    chy_policy_evaluate(rules, request, &d);
    /* Names of rules borrow from the policy: only the number may be looked at. */
    chy_policy_rules_free(rules);
    return d;
}

/* The summary; lives until the next call. */
static const char *summary(const char *yaml, const struct chy_policy_request *request)
{
    static char text[CHY_LIMIT_TEXT + 1];
    struct chy_policy_decision d;
    struct chy_arena arena;
    chy_arena_init(&arena, 4096);
    struct chy_policy_rules *rules = policy_of(yaml);
    chy_policy_evaluate(rules, request, &d);
    struct chy_str s = chy_policy_summarize(rules, request, &d, &arena);
    assert_non_null(s.p);
    assert_true(s.n <= CHY_LIMIT_TEXT);
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    chy_arena_done(&arena);
    chy_policy_rules_free(rules);
    return text;
}

static void test_policy_evaluate__nothing_is_allowed_by_nothing(void **state)
{
    (void)state;
    struct chy_policy_request r = plain_request();
    struct chy_policy_decision d = decide("version: 1\nrules: []\n", &r);
    assert_int_equal(d.decision, CHY_DECISION_DENIED);
    assert_int_equal(d.rule_count, 0);
    assert_string_equal(summary("version: 1\nrules: []\n", &r), "no rule allows this");
    assert_int_equal(
        decide(HEAD "- {name: a, effect: require, requirement: reason}\n", &r).decision,
        CHY_DECISION_DENIED);
}

static void test_policy_evaluate__deny_wins_over_allow_and_require_holds(void **state)
{
    (void)state;
    struct chy_policy_request r = plain_request();
#define ALLOW   "- {name: allow-ci, effect: allow, match: {key: rel, principal: ci-*}}\n"
#define REQUIRE "- {name: why, effect: require, requirement: reason, match: {purpose: release}}\n"
#define DENY    "- {name: no-ci, effect: deny, description: not today, match: {principal: ci-1}}\n"
    assert_int_equal(decide(HEAD ALLOW, &r).decision, CHY_DECISION_ALLOWED);
    assert_string_equal(summary(HEAD ALLOW, &r), "allowed by rule \"allow-ci\"");
    assert_int_equal(decide(HEAD ALLOW DENY, &r).decision, CHY_DECISION_DENIED);
    assert_string_equal(summary(HEAD ALLOW DENY, &r), "denied by rule \"no-ci\": not today");

    struct chy_policy_decision d = decide(HEAD ALLOW REQUIRE, &r);
    assert_int_equal(d.decision, CHY_DECISION_HELD);
    assert_int_equal(d.rule_count, 1);
    assert_true(d.is_reason_missing);
    assert_string_equal(summary(HEAD ALLOW REQUIRE, &r), "a reason is required by rule \"why\"");
    r.reason = CHY_STR(" \t\n");
    assert_int_equal(decide(HEAD ALLOW REQUIRE, &r).decision, CHY_DECISION_HELD);
    r.reason = CHY_STR(" release 1.2 ");
    d = decide(HEAD ALLOW REQUIRE, &r);
    assert_int_equal(d.decision, CHY_DECISION_ALLOWED);
    assert_int_equal(d.rule_count, 2);
    assert_string_equal(summary(HEAD ALLOW REQUIRE, &r), "allowed by rules \"allow-ci\", \"why\"");
    assert_int_equal(decide(HEAD ALLOW REQUIRE DENY, &r).decision, CHY_DECISION_DENIED);
}

static void test_policy_summarize__names_what_came_closest(void **state)
{
    (void)state;
    struct chy_policy_request r = plain_request();
    assert_string_equal(
        summary(HEAD "- {name: far, effect: allow, match: {key: x, principal: y, host: h}}\n"
                     "- {name: near, effect: allow, match: {key: rel, principal: boss, host: h}}\n",
                &r),
        "no rule allows this; the closest is rule \"near\", which fails at principal, host");
}

/* host is the one matcher: what becomes of a fact of each basis. */
static enum chy_decision with_host(const char *yaml, const char *value, enum chy_basis basis)
{
    struct chy_policy_request r = plain_request();
    struct chy_fact fact = { CHY_STR("host"), chy_str_of(value), basis };
    r.facts[1].p = &fact;
    r.facts[1].n = value != NULL ? 1 : 0;
    return decide(yaml, &r).decision;
}

static void test_policy_evaluate__what_is_believed_depends_on_who_says_it(void **state)
{
    (void)state;
    static const char allow[] = HEAD "- {name: a, effect: allow, match: {host: build-*}}\n";
    static const char trusting[] =
        HEAD "- {name: a, effect: allow, match: {host: {value: build-*, basis: declared}}}\n";
    static const char strict[] =
        HEAD "- {name: a, effect: allow, match: {host: {value: build-*, basis: server}}}\n";
    assert_int_equal(with_host(allow, "build-1", CHY_BASIS_AGENT), CHY_DECISION_ALLOWED);
    assert_int_equal(with_host(allow, "build-1", CHY_BASIS_SERVER), CHY_DECISION_ALLOWED);
    assert_int_equal(with_host(allow, "build-1", CHY_BASIS_DECLARED), CHY_DECISION_DENIED);
    assert_int_equal(with_host(allow, "laptop", CHY_BASIS_AGENT), CHY_DECISION_DENIED);
    assert_int_equal(with_host(allow, NULL, CHY_BASIS_AGENT), CHY_DECISION_DENIED);
    assert_int_equal(with_host(trusting, "build-1", CHY_BASIS_DECLARED), CHY_DECISION_ALLOWED);
    assert_int_equal(with_host(strict, "build-1", CHY_BASIS_AGENT), CHY_DECISION_DENIED);
    assert_int_equal(with_host(strict, "build-1", CHY_BASIS_SERVER), CHY_DECISION_ALLOWED);

    static const char deny[] = HEAD "- {name: a, effect: allow}\n"
                                    "- {name: d, effect: deny, match: {host: laptop}}\n";
    static const char doubting[] =
        HEAD "- {name: a, effect: allow}\n"
             "- {name: d, effect: deny, match: {host: {value: laptop, basis: agent}}}\n";
    assert_int_equal(with_host(deny, "laptop", CHY_BASIS_DECLARED), CHY_DECISION_DENIED);
    assert_int_equal(with_host(deny, "build-1", CHY_BASIS_DECLARED), CHY_DECISION_ALLOWED);
    assert_int_equal(with_host(deny, NULL, CHY_BASIS_DECLARED), CHY_DECISION_DENIED);
    assert_int_equal(with_host(doubting, "build-1", CHY_BASIS_DECLARED), CHY_DECISION_DENIED);
    assert_int_equal(with_host(doubting, "build-1", CHY_BASIS_AGENT), CHY_DECISION_ALLOWED);

    /* An unless grants, so it does not believe what is merely declared. */
    static const char unless[] = HEAD "- {name: a, effect: allow}\n"
                                      "- {name: d, effect: deny, unless: {host: build-*}}\n";
    assert_int_equal(with_host(unless, "build-1", CHY_BASIS_AGENT), CHY_DECISION_ALLOWED);
    assert_int_equal(with_host(unless, "build-1", CHY_BASIS_DECLARED), CHY_DECISION_DENIED);
    assert_int_equal(with_host(unless, "laptop", CHY_BASIS_AGENT), CHY_DECISION_DENIED);
    assert_int_equal(with_host(unless, NULL, CHY_BASIS_AGENT), CHY_DECISION_DENIED);
}

static enum chy_decision with_two_hosts(const char *yaml, const char *a, const char *b)
{
    struct chy_policy_request r = plain_request();
    struct chy_fact facts[] = { { CHY_STR("host"), chy_str_of(a), CHY_BASIS_AGENT },
                                { CHY_STR("host"), chy_str_of(b), CHY_BASIS_DECLARED } };
    r.facts[0].p = &facts[0];
    r.facts[0].n = 1;
    r.facts[2].p = &facts[1];
    r.facts[2].n = 1;
    return decide(yaml, &r).decision;
}

static void test_policy_evaluate__two_values_of_one_fact_are_none(void **state)
{
    (void)state;
    static const char allow[] = HEAD "- {name: a, effect: allow, match: {host: build-*}}\n";
    static const char deny[] = HEAD "- {name: a, effect: allow}\n"
                                    "- {name: d, effect: deny, match: {host: laptop}}\n";
    assert_int_equal(with_two_hosts(allow, "build-1", "build-1"), CHY_DECISION_ALLOWED);
    assert_int_equal(with_two_hosts(allow, "build-1", "build-2"), CHY_DECISION_DENIED);
    assert_int_equal(with_two_hosts(allow, "build-1", "laptop"), CHY_DECISION_DENIED);
    assert_int_equal(with_two_hosts(deny, "build-1", "laptop"), CHY_DECISION_DENIED);
    assert_int_equal(with_two_hosts(deny, "laptop", "build-1"), CHY_DECISION_DENIED);
    assert_int_equal(with_two_hosts(deny, "build-1", "build-1"), CHY_DECISION_ALLOWED);
}

static void test_policy_evaluate__artifact_type_found_by_the_server_counts_for_more(void **state)
{
    (void)state;
    static const char allow[] = HEAD "- {name: a, effect: allow, match: {artifact_type: jar}}\n";
    static const char by_fact[] =
        HEAD "- {name: a, effect: allow, match: {fact: {artifact.type: jar}}}\n";
    static const char *const both[] = { allow, by_fact };
    for (size_t i = 0; i < 2; i++) {
        struct chy_policy_request r = plain_request();
        struct chy_fact found = { CHY_STR("artifact.type"), CHY_STR("jar"), CHY_BASIS_SERVER };
        r.artifact_type = CHY_STR("jar");
        assert_int_equal(decide(both[i], &r).decision, CHY_DECISION_DENIED);
        r.facts[0].p = &found;
        r.facts[0].n = 1;
        assert_int_equal(decide(both[i], &r).decision, CHY_DECISION_ALLOWED);
        r.artifact_type = CHY_STR("pe");
        assert_int_equal(decide(both[i], &r).decision, CHY_DECISION_DENIED);
    }
}

static void test_policy_evaluate__a_pattern_over_its_limit_never_grants(void **state)
{
    (void)state;
    struct chy_policy_request r = plain_request();
    struct chy_fact fact = { CHY_STR("application.command"),
                             CHY_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!"),
                             CHY_BASIS_AGENT };
    r.facts[0].p = &fact;
    r.facts[0].n = 1;
    assert_int_equal(
        decide(HEAD "- {name: a, effect: allow, match: {application: {command: '(a+)+b.?'}}}\n", &r)
            .decision,
        CHY_DECISION_ALLOWED);
    static const char slow[] =
        HEAD "- {name: a, effect: allow, match: {application: {command: '(a+)+b'}}}\n";
    assert_int_equal(decide(slow, &r).decision, CHY_DECISION_DENIED);
    assert_int_equal(
        decide(HEAD "- {name: a, effect: allow}\n"
                    "- {name: d, effect: deny, match: {application: {command: '(a+)+b'}}}\n",
               &r)
            .decision,
        CHY_DECISION_DENIED);
}

static void test_policy_evaluate__a_guard_only_narrows(void **state)
{
    (void)state;
    static const char allow[] = HEAD "- {name: a, effect: allow}\n";
    struct chy_policy_request r = plain_request();
    struct chy_policy_guard *mine =
        guard_of("- principal: nobody\n- {principal: ci-1, host: build-*}\n");
    r.key.guard = mine;
    struct chy_policy_decision d = decide(allow, &r);
    assert_int_equal(d.decision, CHY_DECISION_DENIED);
    assert_true(d.is_outside_guard);
    assert_int_equal(d.rule_count, 0);
    assert_non_null(strstr(summary(allow, &r), "the owners of key \"rel\""));

    struct chy_fact host = { CHY_STR("host"), CHY_STR("build-1"), CHY_BASIS_DECLARED };
    r.facts[0].p = &host;
    r.facts[0].n = 1;
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_DENIED);
    host.basis = CHY_BASIS_AGENT;
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_ALLOWED);
    assert_int_equal(decide("version: 1\nrules: []\n", &r).decision, CHY_DECISION_DENIED);
    chy_policy_guard_free(mine);
}

static void test_policy_evaluate__windows(void **state)
{
    (void)state;
    static const char allow[] =
        HEAD "- name: a\n  effect: allow\n  match:\n    window:\n"
             "    - {zone: Europe/Berlin, days: mon-fri, from: 08:00, to: 18:00}\n"
             "    - {zone: UTC, days: sat, from: 22:00}\n";
    struct chy_policy_request r = plain_request(); /* a Saturday, 22:26 UTC */
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_ALLOWED);
    r.time_us = NOW_US - 3600 * INT64_C(1000000);
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_DENIED);
    r.time_us = NOW_US + 36 * 3600 * INT64_C(1000000); /* Monday, 11:26 in Berlin */
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_ALLOWED);
    r.time_us = NOW_US + 420 * DAY_US; /* a Saturday as well, but past what is known */
    assert_int_equal(decide(allow, &r).decision, CHY_DECISION_DENIED);
    static const char freeze[] =
        HEAD "- {name: a, effect: allow}\n"
             "- {name: d, effect: deny, match: {window: {zone: UTC, days: mon}}}\n";
    r.time_us = NOW_US;
    assert_int_equal(decide(freeze, &r).decision, CHY_DECISION_ALLOWED);
    r.time_us = NOW_US + 420 * DAY_US;
    assert_int_equal(decide(freeze, &r).decision, CHY_DECISION_DENIED);
    r.time_us = 0;
    assert_int_equal(decide(freeze, &r).decision, CHY_DECISION_DENIED);
}

static void test_policy_compile__a_wrong_time_zone_names_the_rule(void **state)
{
    (void)state;
    struct chy_arena arena;
    struct chy_error err = { .text = "" };
    struct chy_policy_rules *rules = NULL;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc = policy_doc(
        HEAD "- {name: late, effect: deny, match: {window: {zone: Europe/Berlni}}}\n", &arena);
    assert_int_equal(chy_policy_compile(&doc, NOW_US, &rules, &err), CHY_E_MALFORMED);
    assert_null(rules);
    assert_non_null(strstr(err.text, "rule \"late\""));
    assert_non_null(strstr(err.text, "Europe/Berlni"));
    chy_arena_done(&arena);
}

static enum chy_err compile_windows(size_t n)
{
    struct chy_buf b;
    struct chy_arena arena;
    struct chy_policy_rules *rules = NULL;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_append_c(&b, HEAD);
    for (size_t i = 0; i < n; i++)
        chy_buf_printf(
            &b, "- {name: r%zu, effect: deny, match: {window: {zone: UTC, to: '%02zu:%02zu'}}}\n",
            i, 1 + i / 60, i % 60);
    /* One that is there already costs nothing. */
    chy_buf_printf(&b,
                   "- {name: again, effect: deny, match: {window: {zone: UTC, to: '01:00'}}}\n");
    chy_buf_append_u8(&b, 0);
    struct chy_policy_doc doc = policy_doc((const char *)b.p, &arena);
    enum chy_err r = chy_policy_compile(&doc, NOW_US, &rules, NULL);
    chy_policy_rules_free(rules);
    chy_arena_done(&arena);
    chy_buf_done(&b);
    return r;
}

static void test_policy_compile__windows_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(compile_windows(CHY_LIMIT_WINDOWS), CHY_OK);
    assert_int_equal(compile_windows(CHY_LIMIT_WINDOWS + 1), CHY_E_LIMIT);
}

static void test_policy_evaluate__names_the_first_rules_only(void **state)
{
    (void)state;
    struct chy_buf b;
    struct chy_arena arena;
    struct chy_policy_decision d;
    struct chy_policy_request r = plain_request();
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_append_c(&b, HEAD);
    /* Found by key, by principal and by neither, so that order has to be made. */
    static const char *const matches[] = { "key: rel", "principal: ci-1", "key: re*" };
    for (size_t i = 100; i < 200; i++)
        chy_buf_printf(&b, "- {name: r%zu, effect: deny, match: {%s}}\n", 299 - i, matches[i % 3]);
    chy_buf_append_u8(&b, 0);
    struct chy_policy_rules *rules = policy_of((const char *)b.p);
    chy_policy_evaluate(rules, &r, &d);
    assert_int_equal(d.rule_total, 100);
    assert_int_equal(d.rule_count, CHY_LIMIT_REASONS);
    for (size_t i = 0; i < d.rule_count; i++) {
        char name[8];
        snprintf(name, sizeof name, "r%zu", 100 + i);
        assert_true(chy_str_equal_c(d.rules[i], name));
    }
    assert_non_null(strstr(summary((const char *)b.p, &r), "and 92 more"));
    chy_policy_rules_free(rules);
    chy_arena_done(&arena);
    chy_buf_done(&b);
}

static void test_policy_evaluate__takes_no_memory(void **state)
{
    (void)state;
    static const char yaml[] = HEAD
        "- {name: a, effect: allow, match: {key: rel, principal: ci-*, network: 10.0.0.0/8}}\n"
        "- {name: b, effect: allow, match: {principal: ci-1, window: {zone: UTC, days: sat}}}\n"
        "- {name: c, effect: deny, match: {host: x}, unless: {fact: {ci.a: '*b*'}}}\n"
        "- {name: d, effect: require, requirement: reason, match: {label: {l: v}}}\n";
    struct chy_policy_request r = plain_request();
    struct chy_policy_decision d;
    struct chy_policy_rules *rules = policy_of(yaml);
    struct chy_policy_guard *guard = guard_of("- {principal: ci-*}\n");
    r.key.guard = guard;
    chy_mem_fail_after(0);
    chy_policy_evaluate(rules, &r, &d);
    bool may_use = chy_policy_may_use(rules, &r.key, &r.caller);
    bool asked_for_memory = chy_mem_has_failed();
    chy_mem_fail_after(SIZE_MAX);
    assert_false(asked_for_memory);
    assert_true(may_use);
    assert_int_equal(d.decision, CHY_DECISION_DENIED); /* by c: nothing is known of the host */
    assert_int_equal(d.rule_count, 1);
    chy_policy_rules_free(rules);
    chy_policy_guard_free(guard);
}

/* Signing bytes as they are gets around what rules say of digests: only a rule that means it. */
static void test_policy_evaluate__rsa_pkcs1_raw_must_be_named(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        enum chy_decision decision;
    } cases[] = {
        { HEAD "- {name: a, effect: allow}\n", CHY_DECISION_DENIED },
        { HEAD "- {name: a, effect: allow, match: {key: rel}}\n", CHY_DECISION_DENIED },
        { HEAD "- {name: a, effect: allow, match: {algorithm: '*'}}\n", CHY_DECISION_DENIED },
        { HEAD "- {name: a, effect: allow, match: {algorithm: rsa-pkcs1-ra?}}\n",
          CHY_DECISION_DENIED },
        { HEAD "- {name: a, effect: allow, match: {algorithm: rsa-pkcs1-raw}}\n",
          CHY_DECISION_ALLOWED },
        { HEAD "- {name: a, effect: allow, match: {algorithm: ['*', rsa-pkcs1-raw]}}\n",
          CHY_DECISION_ALLOWED },
#define NAMED HEAD "- {name: a, effect: allow, match: {algorithm: rsa-pkcs1-raw}}\n"
        /* What refuses need not name it, nor what exempts from that. */
        { NAMED "- {name: d, effect: deny}\n", CHY_DECISION_DENIED },
        { NAMED "- {name: d, effect: deny, match: {algorithm: rsa-*}}\n", CHY_DECISION_DENIED },
        { NAMED "- {name: r, effect: require, requirement: reason}\n", CHY_DECISION_HELD },
        { NAMED "- {name: d, effect: deny, unless: {key: rel}}\n", CHY_DECISION_ALLOWED },
    };
    struct chy_policy_request r = plain_request();
    r.key.type = CHY_KEY_RSA_3072;
    r.algorithm = CHY_ALG_RSA_PKCS1_RAW;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++)
        if (decide(cases[i].yaml, &r).decision != cases[i].decision)
            fail_msg("%s", cases[i].yaml);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(summary(cases[i].yaml, &r),
                            "no rule allows this; the closest is rule \"a\", which fails at "
                            "algorithm (rsa-pkcs1-raw must be named)");
    /* Nor does an allow say yes while nobody knows which algorithm it is. */
    r.algorithm = CHY_ALG_NONE;
    assert_int_equal(decide(cases[0].yaml, &r).decision, CHY_DECISION_DENIED);
}

static void test_policy_evaluate__a_guard_must_name_rsa_pkcs1_raw(void **state)
{
    (void)state;
    static const char *const guards[] = { "- {key: '*'}\n", "- {key: rel}\n",
                                          "- {algorithm: '*'}\n",
                                          "- {algorithm: rsa-pkcs1-raw}\n" };
    struct chy_policy_request r = plain_request();
    for (size_t i = 0; i < CHY_ARRAY_LEN(guards); i++) {
        struct chy_policy_guard *guard = guard_of(guards[i]);
        bool names_it = i == CHY_ARRAY_LEN(guards) - 1;
        r.key.guard = guard;
        r.algorithm = CHY_ALG_RSA_PKCS1_RAW;
        assert_int_equal(decide(NAMED, &r).decision,
                         names_it ? CHY_DECISION_ALLOWED : CHY_DECISION_DENIED);
        r.algorithm = CHY_ALG_RSA_PKCS1_SHA256;
        assert_int_equal(decide(HEAD "- {name: a, effect: allow}\n", &r).decision,
                         names_it ? CHY_DECISION_DENIED : CHY_DECISION_ALLOWED);
        chy_policy_guard_free(guard);
    }
}

enum {
    PAIRS = CHY_TEST_ANSWERS + 100, /* of rules with one test in common */
    NAMES = CHY_TEST_STATEMENTS + 8,
};

/* More equal tests, and more names of facts, than a decision keeps answers of. */
static void test_policy_evaluate__more_in_common_than_is_kept(void **state)
{
    (void)state;
    struct chy_buf yaml;
    chy_buf_init(&yaml, CHY_LIMIT_YAML);
    chy_buf_append_c(&yaml, HEAD);
    for (int i = 0; i < 2 * PAIRS; i++)
        chy_buf_printf(&yaml, "- {name: r%d, effect: allow, match: {purpose: p%d, key: '*%d'}}\n",
                       i, i / 2, i);
    for (int i = 0; i < NAMES; i++)
        chy_buf_printf(&yaml, "- {name: f%d, effect: allow, match: {fact: {ci.f%d: yes}}}\n", i, i);
    chy_buf_append_u8(&yaml, 0);
    struct chy_policy_rules *rules = policy_of((const char *)yaml.p);
    struct chy_policy_request r = plain_request();
    struct chy_policy_decision d;
    for (int i = 0; i < 2 * PAIRS; i += 97) {
        char purpose[16];
        char key[16];
        snprintf(purpose, sizeof purpose, "p%d", i / 2);
        snprintf(key, sizeof key, "k-%d", i);
        r.key.purpose = chy_str_of(purpose);
        r.key.name = chy_str_of(key);
        chy_policy_evaluate(rules, &r, &d);
        assert_int_equal(d.decision, CHY_DECISION_ALLOWED);
        r.key.purpose = CHY_STR("p");
        chy_policy_evaluate(rules, &r, &d);
        assert_int_equal(d.decision, CHY_DECISION_DENIED);
    }
    r.key = plain_request().key;
    for (int i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "ci.f%d", i);
        struct chy_fact fact = { chy_str_of(name), CHY_STR("yes"), CHY_BASIS_AGENT };
        r.facts[0].p = &fact;
        r.facts[0].n = 1;
        chy_policy_evaluate(rules, &r, &d);
        assert_int_equal(d.decision, CHY_DECISION_ALLOWED);
        assert_int_equal(d.rule_total, 1);
    }
    chy_policy_rules_free(rules);
    chy_buf_done(&yaml);
}

static void test_policy_compile__allocation_sweep(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc =
        policy_doc(HEAD "- {name: a, effect: allow, match: {purpose: x, fact: {ci.a: b}}}\n"
                        "- {name: b, effect: deny, match: {purpose: x}, unless: {purpose: x}}\n",
                   &arena);
    enum chy_err result = CHY_E_NOMEM;
    size_t i = 0;
    for (; result != CHY_OK; i++) {
        struct chy_policy_rules *rules = NULL;
        chy_mem_fail_after(i);
        result = chy_policy_compile(&doc, NOW_US, &rules, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_true(result == CHY_OK || result == CHY_E_NOMEM);
        chy_policy_rules_free(rules);
    }
    assert_true(i > 5);
    chy_arena_done(&arena);
}

static void assert_reason(const struct chy_rule_explanation *row, const char *text)
{
    for (size_t i = 0; i < row->reasons.n; i++)
        if (chy_str_equal_c(row->reasons.p[i], text))
            return;
    for (size_t i = 0; i < row->reasons.n; i++)
        print_error("has: %.*s\n", CHY_STR_ARG(row->reasons.p[i]));
    fail_msg("no reason: %s", text);
}

static void test_policy_explain__says_which_matcher_failed_on_which_value(void **state)
{
    (void)state;
    static const char yaml[] = HEAD
        "- {name: a1, effect: allow,\n"
        "   match: {key: [rel, test], principal: [bob, eve], host: build-*}}\n"
        "- {name: a2, effect: allow, match: {key: test, group: [g, h], network: 192.0.2.0/24}}\n"
        "- {name: a3, effect: allow, match: {label: {branch: main}, fact: {ci.ref: x}}}\n"
        "- {name: a4, effect: allow, match: {window: {zone: UTC, days: mon}}}\n"
        "- {name: a5, effect: allow, match: {application: {command: '(a+)+b'}}}\n"
        "- {name: d1, effect: deny, match: {host: laptop}, unless: {principal: bob}}\n"
        "- {name: d2, effect: deny, match: {purpose: release}, unless: {principal: ci-*}}\n"
        "- {name: r1, effect: require, requirement: reason}\n";
    struct chy_policy_request r = plain_request();
    struct chy_label label = { CHY_STR("branch"), CHY_STR("main") };
    struct chy_fact facts[] = {
        { CHY_STR("host"), CHY_STR("build-1"), CHY_BASIS_DECLARED },
        { CHY_STR("ci.ref"), CHY_STR("x"), CHY_BASIS_AGENT },
        { CHY_STR("ci.ref"), CHY_STR("y"), CHY_BASIS_AGENT },
        { CHY_STR("application.command"), CHY_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!"),
          CHY_BASIS_AGENT },
    };
    r.labels.p = &label;
    r.labels.n = 1;
    r.facts[0].p = facts;
    r.facts[0].n = CHY_ARRAY_LEN(facts);
    struct chy_policy_guard *guard = guard_of("- principal: nobody\n- {role: auditor, key: rel}\n");
    r.key.guard = guard;

    struct chy_arena arena;
    struct chy_policy_explanation e;
    chy_arena_init(&arena, 1 << 20);
    struct chy_policy_rules *rules = policy_of(yaml);
    assert_int_equal(chy_policy_explain(rules, &r, &arena, &e, NULL), CHY_OK);
    assert_true(chy_str_equal_c(e.key, "rel"));
    assert_int_equal(e.decision, CHY_DECISION_DENIED);
    assert_int_equal(e.rules.n, 9);
    assert_int_equal(chy_schema_check(&chy_policy_explanation_schema, &e, NULL), CHY_OK);
    const struct chy_rule_explanation *row = e.rules.p;

    assert_true(chy_str_equal_c(row[0].rule, "(guard)"));
    assert_true(chy_str_equal_c(row[0].matched, "no"));
    assert_true(row[0].applies);
    assert_reason(&row[0], "alternative 1: principal: \"ci-1\" is not nobody");
    assert_reason(&row[0], "alternative 2: role: none is not auditor");

    assert_true(chy_str_equal_c(row[1].effect, "allow"));
    assert_true(chy_str_equal_c(row[1].matched, "no"));
    assert_false(row[1].applies);
    assert_int_equal(row[1].reasons.n, 2);
    assert_reason(&row[1], "principal: \"ci-1\" is none of bob, eve");
    assert_reason(&row[1], "host: \"build-1\" is of basis declared, agent is needed");
    assert_reason(&row[2], "key: \"rel\" is not test");
    assert_reason(&row[2], "group: none is none of g, h");
    assert_reason(&row[2], "network: \"10.1.2.3\" is none of 1 networks");
    assert_true(chy_str_equal_c(row[3].matched, "unknown"));
    assert_reason(&row[3], "label branch: \"main\" is of basis declared, agent is needed");
    assert_reason(&row[3], "fact ci.ref: \"x\", but stated a second time with another value");
    assert_reason(&row[4], "window: the time is none of 1 windows");
    assert_reason(
        &row[5],
        "application.command: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab!\" took a pattern too long");
    assert_true(chy_str_equal_c(row[6].matched, "no"));
    assert_false(row[6].applies);
    assert_reason(&row[6], "host: \"build-1\" is not laptop");
    assert_false(row[7].applies);
    assert_reason(&row[7], "unless: matches");
    assert_true(row[8].applies);
    assert_true(chy_str_equal_c(row[8].matched, "yes"));
    assert_reason(&row[8], "requirement: reason is not met");
    chy_policy_rules_free(rules);
    chy_policy_guard_free(guard);
    chy_arena_done(&arena);
}

static void test_policy_explain__says_that_rsa_pkcs1_raw_must_be_named(void **state)
{
    (void)state;
    struct chy_arena arena;
    struct chy_policy_explanation e;
    struct chy_policy_request r = plain_request();
    r.algorithm = CHY_ALG_RSA_PKCS1_RAW;
    chy_arena_init(&arena, 1 << 20);
    struct chy_policy_rules *rules =
        policy_of(HEAD "- {name: a, effect: allow}\n"
                       "- {name: b, effect: allow, match: {algorithm: rsa-*}}\n");
    assert_int_equal(chy_policy_explain(rules, &r, &arena, &e, NULL), CHY_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(e.rules.p[i].reasons.n, 1);
        assert_reason(&e.rules.p[i], "algorithm: \"rsa-pkcs1-raw\" must stand there by its name");
    }
    chy_policy_rules_free(rules);
    chy_arena_done(&arena);
}

static void test_policy_explain__long_values_are_cut_at_a_character(void **state)
{
    (void)state;
    char value[CHY_LIMIT_COMMAND];
    for (size_t i = 0; i < sizeof value; i += 2)
        memcpy(value + i, "ü", 2);
    struct chy_policy_request r = plain_request();
    struct chy_fact fact = { CHY_STR("application.command"),
                             { value, sizeof value },
                             CHY_BASIS_AGENT };
    r.facts[0].p = &fact;
    r.facts[0].n = 1;
    struct chy_arena arena;
    struct chy_policy_explanation e;
    chy_arena_init(&arena, 1 << 20);
    struct chy_policy_rules *rules =
        policy_of(HEAD "- {name: a, effect: allow, match: {application: {command: x}}}\n");
    assert_int_equal(chy_policy_explain(rules, &r, &arena, &e, NULL), CHY_OK);
    assert_int_equal(chy_schema_check(&chy_policy_explanation_schema, &e, NULL), CHY_OK);
    assert_true(e.rules.p[0].reasons.p[0].n > CHY_LIMIT_TEXT - 4);
    chy_policy_rules_free(rules);
    chy_arena_done(&arena);
}

static void test_policy_explain__allocation_sweep(void **state)
{
    (void)state;
    struct chy_policy_request r = plain_request();
    struct chy_policy_rules *rules =
        policy_of(HEAD "- {name: a, effect: allow, match: {key: x}}\n");
    bool done = false;
    for (size_t n = 0; !done; n++) {
        struct chy_arena arena;
        struct chy_policy_explanation e;
        chy_arena_init(&arena, 1 << 20);
        chy_mem_fail_after(n);
        enum chy_err result = chy_policy_explain(rules, &r, &arena, &e, NULL);
        done = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(result, done ? CHY_OK : CHY_E_NOMEM);
        chy_arena_done(&arena);
    }
    chy_policy_rules_free(rules);
}

static bool may_use(const char *yaml, const char *guard_yaml)
{
    const struct chy_policy_request r = plain_request();
    struct chy_policy_key key = r.key;
    struct chy_policy_rules *rules = policy_of(yaml);
    struct chy_policy_guard *guard = guard_yaml != NULL ? guard_of(guard_yaml) : NULL;
    key.guard = guard;
    bool b = chy_policy_may_use(rules, &key, &r.caller);
    chy_policy_rules_free(rules);
    chy_policy_guard_free(guard);
    return b;
}

static void test_policy_may_use__takes_what_depends_on_the_request_as_possible(void **state)
{
    (void)state;
    assert_false(may_use("version: 1\nrules: []\n", NULL));
    assert_true(may_use(HEAD "- {name: a, effect: allow, match: {key: rel, host: x}}\n", NULL));
    assert_true(may_use(
        HEAD "- {name: a, effect: allow, match: {window: {zone: UTC, days: mon}}}\n", NULL));
    assert_true(may_use(HEAD "- {name: a, effect: allow, match: {algorithm: rsa-*}}\n", NULL));
    assert_false(
        may_use(HEAD "- {name: a, effect: allow, match: {key: rel, principal: x}}\n", NULL));
    assert_false(may_use(
        HEAD "- {name: a, effect: allow}\n- {name: d, effect: deny, match: {key: rel}}\n", NULL));
    assert_true(may_use(
        HEAD "- {name: a, effect: allow}\n- {name: d, effect: deny, match: {host: x}}\n", NULL));
    assert_true(may_use(
        HEAD "- {name: a, effect: allow}\n- {name: d, effect: deny, unless: {host: x}}\n", NULL));
    assert_false(may_use(
        HEAD "- {name: a, effect: allow}\n- {name: d, effect: deny, unless: {principal: x}}\n",
        NULL));
    assert_true(may_use(HEAD "- {name: a, effect: allow}\n"
                             "- {name: r, effect: require, requirement: reason}\n",
                        NULL));
    assert_true(may_use(HEAD "- {name: a, effect: allow}\n", "- {principal: ci-1, host: y}\n"));
    assert_false(may_use(HEAD "- {name: a, effect: allow}\n", "- principal: x\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_evaluate__nothing_is_allowed_by_nothing),
        cmocka_unit_test(test_policy_evaluate__deny_wins_over_allow_and_require_holds),
        cmocka_unit_test(test_policy_summarize__names_what_came_closest),
        cmocka_unit_test(test_policy_evaluate__what_is_believed_depends_on_who_says_it),
        cmocka_unit_test(test_policy_evaluate__two_values_of_one_fact_are_none),
        cmocka_unit_test(test_policy_evaluate__artifact_type_found_by_the_server_counts_for_more),
        cmocka_unit_test(test_policy_evaluate__a_pattern_over_its_limit_never_grants),
        cmocka_unit_test(test_policy_evaluate__a_guard_only_narrows),
        cmocka_unit_test(test_policy_evaluate__rsa_pkcs1_raw_must_be_named),
        cmocka_unit_test(test_policy_evaluate__a_guard_must_name_rsa_pkcs1_raw),
        cmocka_unit_test(test_policy_explain__says_that_rsa_pkcs1_raw_must_be_named),
        cmocka_unit_test(test_policy_evaluate__more_in_common_than_is_kept),
        cmocka_unit_test(test_policy_compile__allocation_sweep),
        cmocka_unit_test(test_policy_evaluate__windows),
        cmocka_unit_test(test_policy_compile__a_wrong_time_zone_names_the_rule),
        cmocka_unit_test(test_policy_compile__windows_at_the_limit),
        cmocka_unit_test(test_policy_evaluate__names_the_first_rules_only),
        cmocka_unit_test(test_policy_evaluate__takes_no_memory),
        cmocka_unit_test(test_policy_explain__says_which_matcher_failed_on_which_value),
        cmocka_unit_test(test_policy_explain__long_values_are_cut_at_a_character),
        cmocka_unit_test(test_policy_explain__allocation_sweep),
        cmocka_unit_test(test_policy_may_use__takes_what_depends_on_the_request_as_possible),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
