/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy_fixture.h"

#define HEAD "version: 1\nrules:\n"

static const char every_matcher[] =
    HEAD "  - name: b.everything\n"
         "    effect: allow\n"
         "    description: all there is\n"
         "    match:\n"
         "      key: [rel-b, rel-a, rel-b]\n"
         "      key_group: g*\n"
         "      key_type: [p256, rsa-*]\n"
         "      purpose: release\n"
         "      algorithm: ecdsa-sha256\n"
         "      principal: ci-?\n"
         "      group: builders\n"
         "      role: auditor\n"
         "      method: api-token\n"
         "      network: [10.0.0.0/8, \"2001:db8::/32\"]\n"
         "      host: {value: [build-2, build-1], basis: server}\n"
         "      application:\n"
         "        path: /usr/bin/*\n"
         "        sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
         "        command: 'jarsigner .*'\n"
         "        basis: agent\n"
         "      artifact_type: jar\n"
         "      label: {branch: main, app: {value: [x, y], basis: declared}}\n"
         "      fact: {ci.repo: \"*\"}\n"
         "      window:\n"
         "        zone: Europe/Berlin\n"
         "        days: mon-fri\n"
         "        from: 08:00\n"
         "        to: 18:00\n"
         "        except: [2026-12-24..2027-01-01]\n"
         "  - {name: a, effect: require, requirement: reason, match: {purpose: release},\n"
         "     unless: {group: robots}}\n";

static void test_policy_from_yaml__reads_every_matcher_in_order(void **state)
{
    (void)state;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc = policy_doc(every_matcher, &arena);
    assert_int_equal(doc.version, 1);
    assert_int_equal(doc.rules.n, 2);
    assert_true(chy_str_equal_c(doc.rules.p[0].name, "a"));
    assert_int_equal(doc.rules.p[0].requirement, CHY_REQUIREMENT_REASON);
    assert_true(chy_str_equal_c(doc.rules.p[0].unless->group.p[0], "robots"));

    const struct chy_policy_match *m = &doc.rules.p[1].match;
    assert_int_equal(doc.rules.p[1].effect, CHY_EFFECT_ALLOW);
    assert_null(doc.rules.p[1].unless);
    assert_int_equal(m->key.n, 2);
    assert_true(chy_str_equal_c(m->key.p[0], "rel-a"));
    assert_true(chy_str_equal_c(m->key.p[1], "rel-b"));
    assert_true(chy_str_equal_c(m->host->value.p[0], "build-1"));
    assert_int_equal(m->host->basis, CHY_POLICY_BASIS_SERVER);
    assert_int_equal(m->artifact_type->basis, CHY_POLICY_BASIS_DEFAULT);
    assert_int_equal(m->application->basis, CHY_POLICY_BASIS_AGENT);
    assert_int_equal(m->label.n, 2);
    assert_true(chy_str_equal_c(m->label.p[0].name, "app"));
    assert_int_equal(m->label.p[0].basis, CHY_POLICY_BASIS_DECLARED);
    assert_true(chy_str_equal_c(m->label.p[1].value.p[0], "main"));
    assert_true(chy_str_equal_c(m->fact.p[0].name, "ci.repo"));
    assert_int_equal(m->window.n, 1);
    assert_true(chy_str_equal_c(m->window.p[0].from, "08:00"));
    chy_arena_done(&arena);
}

static void test_policy_doc__bytes_round_trip_and_are_canonical(void **state)
{
    (void)state;
    struct chy_arena arena;
    struct chy_policy_doc again;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc = policy_doc(every_matcher, &arena);
    struct chy_buf a = canonical_of(&doc);
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&a), &arena, &again, NULL), CHY_OK);
    struct chy_buf b = canonical_of(&again);
    assert_true(chy_bytes_equal(chy_buf_bytes(&a), chy_buf_bytes(&b)));

    /* Cut anywhere, or with any bit turned, it is refused or means something else: never the same.
     * */
    for (size_t i = 0; i < a.n; i++)
        assert_int_not_equal(
            chy_policy_doc_decode((struct chy_bytes){ a.p, i }, &arena, &again, NULL), CHY_OK);
    for (size_t i = 0; i < a.n * 8; i++) {
        a.p[i / 8] ^= (uint8_t)(1u << i % 8);
        chy_arena_reset(&arena);
        if (chy_policy_doc_decode(chy_buf_bytes(&a), &arena, &again, NULL) == CHY_OK) {
            struct chy_buf c = canonical_of(&again);
            assert_true(chy_bytes_equal(chy_buf_bytes(&a), chy_buf_bytes(&c)));
            assert_false(chy_bytes_equal(chy_buf_bytes(&b), chy_buf_bytes(&c)));
            chy_buf_done(&c);
        }
        a.p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    chy_buf_done(&a);
    chy_buf_done(&b);
    chy_arena_done(&arena);
}

/* The frozen layout of version 1: docs/formats/policy.md. */
static void test_policy_doc__golden_bytes(void **state)
{
    (void)state;
    static const uint8_t golden[] = {
        0, 0, 0, 1, 0,   0, 0, 1,                              /* version, one rule */
        0, 0, 0, 1, 'r', 0, 1, 0, 0,   0,   0, 0, 2, 'n', 'o', /* name, deny, none, description */
        0, 0, 0, 1, 0,   0, 0, 1, 'k',                         /* key */
        0, 0, 0, 0, 0,   0, 0, 0, 0,   0,   0, 0, 0, 0,   0,   0, /* key_group to algorithm */
        0, 0, 0, 0, 0,   0, 0, 0, 0,   0,   0, 0, 0, 0,   0,   0, /* principal to method */
        0, 0, 0, 0,                                               /* network */
        1, 0, 0, 0, 1,   0, 0, 0, 1,   'h', 0, 2,                 /* host, agent */
        0, 0,                                                     /* application, artifact_type */
        0, 0, 0, 0, 0,   0, 0, 0, 0,   0,   0, 0,                 /* label, fact, window */
        0,                                                        /* unless */
    };
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc =
        policy_doc(HEAD "- {name: r, effect: deny, description: 'no',\n"
                        "   match: {key: k, host: {value: h, basis: agent}}}\n",
                   &arena);
    struct chy_buf b = canonical_of(&doc);
    assert_int_equal(b.n, sizeof golden);
    assert_memory_equal(b.p, golden, sizeof golden);
    chy_buf_done(&b);
    chy_arena_done(&arena);
}

static void test_policy_from_yaml__order_and_layout_do_not_change_the_bytes(void **state)
{
    (void)state;
    static const char *const same[] = {
        HEAD "- {name: a, effect: deny, match: {key: [x, y], label: {p: '1', q: [s, r]}}}\n"
             "- {name: b, effect: allow, match: {window: [{zone: UTC}, {zone: Europe/Berlin}]}}\n",
        "# a comment\nrules:\n"
        "- match:\n    window:\n    - zone: Europe/Berlin\n    - zone: UTC\n    - zone: UTC\n"
        "  effect: allow\n  name: b\n"
        "- {effect: deny, name: a,\n"
        "   match: {label: {q: {value: [r, s, s]}, p: \"1\"}, key: [y, x, x]}}\n"
        "version: 1\n",
    };
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc one = policy_doc(same[0], &arena);
    struct chy_policy_doc two = policy_doc(same[1], &arena);
    struct chy_buf a = canonical_of(&one);
    struct chy_buf b = canonical_of(&two);
    assert_true(chy_bytes_equal(chy_buf_bytes(&a), chy_buf_bytes(&b)));
    chy_buf_done(&a);
    chy_buf_done(&b);
    chy_arena_done(&arena);
}

struct wrong {
    const char *yaml;
    const char *says; /* all the words between bars */
};

static const struct wrong wrongs[] = {
    { HEAD "- {name: a, effect: allow, match: {keys: x}}\n", "line 3|keys|key_group|principal" },
    { HEAD "- name: a\n  effect: allow\n  match:\n    host: {name: x}\n", "line 6|name|value" },
    { HEAD "- {name: a, effect: permit}\n", "line 3|permit|deny, allow, require" },
    { HEAD "- {effect: allow}\n", "line 3|name" },
    { HEAD "- {name: a}\n", "line 3|effect" },
    { HEAD "- {name: a, effect: allow, colour: red}\n", "line 3|colour|description" },
    { "rules: []\n", "version" },
    { "version: 1\n", "rules" },
    { "version: 2\nrules: []\n", "line 1|version|2" },
    { "[]\n", "map" },
    { "", "" },
    { HEAD "- {name: a b, effect: allow}\n", "line 3|a b|letters" },
    { HEAD "- {name: -a, effect: allow}\n", "line 3|letters" },
    { HEAD "- {name: a, effect: deny}\n- {name: b, effect: deny}\n- {name: a, effect: deny}\n",
      "line 5|\"a\"|line 3" },
    { HEAD "- {name: a, effect: require}\n", "line 3|needs a requirement|reason" },
    { HEAD "- {name: a, effect: deny, requirement: reason}\n", "line 3|only a require" },
    { HEAD "- {name: a, effect: require, requirement: approvals}\n", "approvals|not built yet" },
    { HEAD "- {name: a, effect: require, requirement: release}\n", "release|not built yet" },
    { HEAD "- {name: a, effect: require, requirement: builders}\n", "builders|not built yet" },
    { HEAD "- {name: a, effect: require, requirement: provenance}\n", "provenance|not built yet" },
    { HEAD "- {name: a, effect: require, requirement: scan}\n", "scan|not built yet" },
    { HEAD "- {name: a, effect: require, requirement: luck}\n", "luck|reason" },
    { HEAD "- {name: a, effect: allow, unless: {key: x}}\n", "line 3|an allow has no unless" },
    { HEAD "- {name: a, effect: deny, unless: {}}\n", "line 3|unless|everything" },
    { HEAD "- {name: a, effect: allow, match: {principal: []}}\n",
      "line 3|principal|leave the matcher out" },
    { HEAD "- {name: a, effect: allow, match: {principal: }}\n",
      "line 3|principal|leave the matcher out" },
    { HEAD "- {name: a, effect: allow, match: {principal: ''}}\n", "line 3|principal" },
    { HEAD "- {name: a, effect: allow, match: {host: {value: []}}}\n", "host: no value" },
    { HEAD "- {name: a, effect: allow, match: {host: {basis: agent}}}\n", "host: no value" },
    { HEAD "- {name: a, effect: allow, match: {host: {value: x, basis: hearsay}}}\n",
      "line 3|hearsay|declared, agent, server" },
    { HEAD "- {name: a, effect: allow, match: {label: {x: }}}\n", "line 3|x has no value" },
    { HEAD "- {name: a, effect: allow, match: {label: {x: {basis: agent}}}}\n", "label: no value" },
    { HEAD "- {name: a, effect: allow, match: {label: {x: {name: y, value: z}}}}\n",
      "line 3|in front" },
    { HEAD "- {name: a, effect: allow, match: {label: [x]}}\n", "line 3|label|map" },
    { HEAD "- {name: a, effect: allow, match: {fact: {Host: x}}}\n", "line 3|Host|ci.branch" },
    { HEAD "- {name: a, effect: allow, match: {network: 10.0.0.0/33}}\n",
      "line 3|network|10.0.0.0/33" },
    { HEAD "- {name: a, effect: allow, match: {network: build.example}}\n",
      "network|build.example" },
    { HEAD "- {name: a, effect: allow, match: {algorithm: md5}}\n", "algorithm|md5|ecdsa-sha256" },
    { HEAD "- {name: a, effect: allow, match: {algorithm: dsa-*}}\n", "algorithm|dsa-*" },
    { HEAD "- {name: a, effect: allow, match: {key_type: none}}\n", "key_type|none|p256" },
    { HEAD "- {name: a, effect: allow, match: {role: boss}}\n", "role|boss|auditor" },
    { HEAD "- {name: a, effect: allow, match: {method: magic}}\n", "method|magic|api-token" },
    { HEAD "- {name: a, effect: allow, match: {application: {basis: agent}}}\n",
      "application|neither" },
    { HEAD "- {name: a, effect: allow, match: {application: {sha256: abc}}}\n", "sha256|64" },
    { HEAD "- {name: a, effect: allow, match: {application: {sha256: "
           "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef}}}\n",
      "sha256|64" },
    { HEAD "- {name: a, effect: allow, match: {application: {command: 'a('}}}\n",
      "line 3|application.command|character 3" },
    { HEAD "- {name: a, effect: deny, unless: {application: {command: 'a('}}}\n",
      "line 3|unless|application.command" },
    { HEAD "- {name: a, effect: allow, match: {window: {days: mon}}}\n", "line 3|zone" },
    { HEAD "- {name: a, effect: allow, match: {window: {zone: 'a b'}}}\n", "line 3|window|a b" },
    { HEAD "- {name: a, effect: allow, match: {window: {zone: UTC, days: monday}}}\n",
      "window|monday" },
    { HEAD "- {name: a, effect: allow, match: {window: {zone: UTC, to: '25:00'}}}\n",
      "window|25:00" },
    { HEAD "- &x {name: a, effect: allow}\n- *x\n", "line 3" },
};

static void assert_says(const char *text, const char *words, const char *yaml)
{
    char word[96];
    if (*text == '\0')
        fail_msg("was taken: %s", yaml);
    for (const char *at = words; *at != '\0';) {
        const char *bar = strchr(at, '|');
        size_t n = bar != NULL ? (size_t)(bar - at) : strlen(at);
        assert_true(n < sizeof word);
        memcpy(word, at, n);
        word[n] = '\0';
        if (strstr(text, word) == NULL)
            fail_msg("\"%s\" does not say \"%s\", of: %s", text, word, yaml);
        at += n + (bar != NULL ? 1 : 0);
    }
}

static void test_policy_from_yaml__says_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrongs); i++)
        assert_says(policy_error(wrongs[i].yaml), wrongs[i].says, wrongs[i].yaml);
}

/* It can be stored, but not written any more: what was let through once must not stop a server. */
static void test_policy_guard_decode__takes_an_open_alternative(void **state)
{
    (void)state;
    const struct chy_policy_match open = { .key = { NULL, 0 } };
    const struct chy_policy_guard_doc guard = { .version = CHY_POLICY_VERSION,
                                                .alternatives = { &open, 1 } };
    struct chy_policy_guard_doc back;
    struct chy_arena arena;
    struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_POLICY);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    assert_int_equal(chy_policy_guard_encode(&guard, &bytes, NULL), CHY_OK);
    assert_int_equal(chy_policy_guard_decode(chy_buf_bytes(&bytes), &arena, &back, NULL), CHY_OK);
    assert_int_equal(back.alternatives.n, 1);
    chy_arena_done(&arena);
    chy_buf_done(&bytes);
}

static void test_guard_from_yaml__is_a_list_of_alternatives(void **state)
{
    (void)state;
    struct chy_policy_guard_doc doc;
    struct chy_policy_guard_doc again;
    struct chy_arena arena;
    struct chy_buf b;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_init(&b, 4 * CHY_LIMIT_GUARD);
    struct chy_bytes text = chy_str_bytes(CHY_STR(
        "- principal: [ci-2, ci-1]\n  host: build-*\n- {group: managers, window: {zone: UTC}}\n"));
    assert_int_equal(chy_policy_guard_from_yaml(text, &arena, &doc, NULL), CHY_OK);
    assert_int_equal(doc.alternatives.n, 2);
    assert_true(chy_str_equal_c(doc.alternatives.p[0].principal.p[0], "ci-1"));
    assert_int_equal(chy_policy_guard_encode(&doc, &b, NULL), CHY_OK);
    assert_int_equal(chy_policy_guard_decode(chy_buf_bytes(&b), &arena, &again, NULL), CHY_OK);
    assert_int_equal(again.alternatives.n, 2);
    chy_buf_done(&b);
    chy_arena_done(&arena);

    assert_says(guard_error("[]\n"), "at least one", "[]");
    assert_says(guard_error("principal: x\n"), "line 1|list", "map");
    assert_says(guard_error("- principal: x\n- nobody: y\n"), "line 2|nobody|principal", "nobody");
    assert_says(guard_error("- principal: x\n- network: y\n"), "line 2|network", "network");
    assert_says(guard_error("- x\n"), "line 1", "text");
    assert_says(guard_error("- principal: x\n- {}\n"), "line 2|without matchers", "{}");
}

static void add_guard(struct chy_buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        chy_buf_append_c(b, "- {key: a}\n");
    chy_buf_append_u8(b, 0);
}

static void test_guard_from_yaml__alternatives_at_the_limit(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 1 << 16);
    add_guard(&b, CHY_LIMIT_GUARD_ALTERNATIVES);
    assert_string_equal(guard_error((const char *)b.p), "");
    chy_buf_clear(&b);
    add_guard(&b, CHY_LIMIT_GUARD_ALTERNATIVES + 1);
    assert_says(guard_error((const char *)b.p), "33|32", "33 alternatives");
    chy_buf_done(&b);
}

static enum chy_err read_rules(size_t n, struct chy_error *err)
{
    struct chy_buf b;
    struct chy_arena arena;
    struct chy_policy_doc doc;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_append_c(&b, HEAD);
    for (size_t i = 0; i < n; i++)
        chy_buf_printf(&b,
                       "- {name: r%zu, effect: allow, description: some words,\n"
                       "   match: {key: [key-%zu, other], principal: 'ci-*', host: build-*,\n"
                       "           label: {branch: {value: main, basis: declared}}}}\n",
                       i, i);
    enum chy_err r = chy_buf_check(&b, err);
    if (r == CHY_OK)
        r = chy_policy_from_yaml(chy_buf_bytes(&b), &arena, &doc, err);
    if (r == CHY_OK) {
        struct chy_buf bytes = canonical_of(&doc);
        struct chy_policy_rules *rules = NULL;
        assert_true(bytes.n < CHY_LIMIT_POLICY);
        r = chy_policy_compile(&doc, NOW_US, &rules, err);
        assert_int_equal(chy_policy_rules_count(rules), n);
        chy_policy_rules_free(rules);
        chy_buf_done(&bytes);
    }
    chy_arena_done(&arena);
    chy_buf_done(&b);
    return r;
}

static void test_policy_from_yaml__10000_rules_and_no_more(void **state)
{
    (void)state;
    struct chy_error err = { .text = "" };
    if (read_rules(CHY_LIMIT_RULES, &err) != CHY_OK)
        fail_msg("%s", err.text);
    assert_int_equal(read_rules(CHY_LIMIT_RULES + 1, &err), CHY_E_LIMIT);
    assert_says(err.text, "line 2|10001|10000", "10,001 rules");
}

static enum chy_err read_values(const char *matcher, size_t values, size_t length)
{
    struct chy_buf b;
    struct chy_arena arena;
    struct chy_policy_doc doc;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_printf(&b, HEAD "- {name: a, effect: allow, match: {%s: [", matcher);
    for (size_t i = 0; i < values; i++) {
        chy_buf_printf(&b, "%sv%0*zu", i != 0 ? ", " : "", (int)length - 1, i);
    }
    chy_buf_append_c(&b, "]}}\n");
    enum chy_err r = chy_policy_from_yaml(chy_buf_bytes(&b), &arena, &doc, NULL);
    chy_arena_done(&arena);
    chy_buf_done(&b);
    return r;
}

static void test_policy_from_yaml__values_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(read_values("key", CHY_LIMIT_MATCHER_VALUES, 8), CHY_OK);
    assert_int_equal(read_values("key", CHY_LIMIT_MATCHER_VALUES + 1, 8), CHY_E_LIMIT);
    assert_int_equal(read_values("key", 1, CHY_LIMIT_NAME), CHY_OK);
    assert_int_equal(read_values("key", 1, CHY_LIMIT_NAME + 1), CHY_E_LIMIT);
    assert_int_equal(read_values("host", CHY_LIMIT_MATCHER_VALUES, 8), CHY_OK);
    assert_int_equal(read_values("host", CHY_LIMIT_MATCHER_VALUES + 1, 8), CHY_E_LIMIT);
    assert_int_equal(read_values("host", 1, CHY_LIMIT_PATTERN), CHY_OK);
    assert_int_equal(read_values("host", 1, CHY_LIMIT_PATTERN + 1), CHY_E_LIMIT);
}

static void test_policy_doc_decode__refuses_what_is_out_of_order(void **state)
{
    (void)state;
    struct chy_str ba[] = { CHY_STR("b"), CHY_STR("a") };
    struct chy_policy_rule rules[] = {
        { .name = CHY_STR("b"), .effect = CHY_EFFECT_DENY },
        { .name = CHY_STR("a"), .effect = CHY_EFFECT_DENY },
    };
    struct chy_policy_doc doc = { .version = 1, .rules = { rules, 2 } };
    struct chy_policy_doc out;
    struct chy_buf b;
    struct chy_arena arena;
    chy_buf_init(&b, 4096);
    chy_arena_init(&arena, 1 << 16);
    assert_int_equal(chy_policy_doc_encode(&doc, &b, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_schema_encode(&chy_policy_doc_schema, &doc, &b, NULL), CHY_OK);
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&b), &arena, &out, NULL), CHY_E_MALFORMED);

    rules[1].name = CHY_STR("b");
    chy_buf_clear(&b);
    assert_int_equal(chy_schema_encode(&chy_policy_doc_schema, &doc, &b, NULL), CHY_OK);
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&b), &arena, &out, NULL), CHY_E_MALFORMED);

    doc.rules.n = 1;
    rules[0].match.group = (struct chy_strs){ ba, 2 };
    chy_buf_clear(&b);
    assert_int_equal(chy_schema_encode(&chy_policy_doc_schema, &doc, &b, NULL), CHY_OK);
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&b), &arena, &out, NULL), CHY_E_MALFORMED);
    rules[0].match.group.n = 1;
    rules[0].requirement = CHY_REQUIREMENT_SCAN;
    rules[0].effect = CHY_EFFECT_REQUIRE;
    chy_buf_clear(&b);
    assert_int_equal(chy_schema_encode(&chy_policy_doc_schema, &doc, &b, NULL), CHY_OK);
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&b), &arena, &out, NULL),
                     CHY_E_UNSUPPORTED);
    chy_arena_done(&arena);
    chy_buf_done(&b);
}

/* Each allocation fails once: an error comes back, and nothing leaks or is left half done. */
static void test_policy__allocation_sweep(void **state)
{
    (void)state;
    struct chy_bytes text = chy_str_bytes(chy_str_of(every_matcher));
    bool done = false;
    for (size_t n = 0; !done && n < 5000; n++) {
        struct chy_arena arena;
        struct chy_policy_doc doc;
        struct chy_policy_rules *rules = NULL;
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = chy_policy_from_yaml(text, &arena, &doc, NULL);
        if (r == CHY_OK)
            r = chy_policy_compile(&doc, NOW_US, &rules, NULL);
        done = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, done ? CHY_OK : CHY_E_NOMEM);
        assert_true(done == (rules != NULL));
        chy_policy_rules_free(rules);
        chy_arena_done(&arena);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_guard_decode__takes_an_open_alternative),
        cmocka_unit_test(test_policy_from_yaml__reads_every_matcher_in_order),
        cmocka_unit_test(test_policy_doc__bytes_round_trip_and_are_canonical),
        cmocka_unit_test(test_policy_doc__golden_bytes),
        cmocka_unit_test(test_policy_from_yaml__order_and_layout_do_not_change_the_bytes),
        cmocka_unit_test(test_policy_from_yaml__says_what_is_wrong_and_where),
        cmocka_unit_test(test_guard_from_yaml__is_a_list_of_alternatives),
        cmocka_unit_test(test_guard_from_yaml__alternatives_at_the_limit),
        cmocka_unit_test(test_policy_from_yaml__10000_rules_and_no_more),
        cmocka_unit_test(test_policy_from_yaml__values_at_the_limit),
        cmocka_unit_test(test_policy_doc_decode__refuses_what_is_out_of_order),
        cmocka_unit_test(test_policy__allocation_sweep),
    };
    return cmocka_run_group_tests_name("policy document", tests, NULL, NULL);
}
