/* SPDX-License-Identifier: MIT */
/* The examples of docs/policy.md: each block "yaml" is loaded, and each line of a block "requests"
 * is asked of the policy (and of the guard, if one stands behind the policy) above it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "policy/default.h"
#include "policy_fixture.h"

enum {
    PAGE_BYTES = 65536,
    LINE_BYTES = 512,
    LIST_MAX = 8
};

struct example {
    struct chy_policy_rules *rules;
    struct chy_policy_guard *guard;
    size_t policies;
    size_t guards;
    size_t requests;
};

struct asked {
    struct chy_policy_request r;
    struct chy_fact facts[LIST_MAX];
    size_t fact_n;
    struct chy_label labels[LIST_MAX];
    size_t label_n;
    struct chy_str key_groups[LIST_MAX];
    struct chy_str groups[LIST_MAX];
    struct chy_str roles[LIST_MAX];
};

static struct chy_strs split(struct chy_str text, struct chy_str *store)
{
    size_t n = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] != ',')
            continue;
        assert_true(n < LIST_MAX);
        store[n++] = (struct chy_str){ text.p + begin, i - begin };
        begin = i + 1;
    }
    return (struct chy_strs){ store, n };
}

/* value:basis, the value perhaps in quotes */
static void add_fact(struct asked *a, struct chy_str name, struct chy_str value)
{
    size_t colon = value.n;
    int basis = 0;
    while (colon > 0 && value.p[colon - 1] != ':')
        colon--;
    assert_true(colon > 0 && a->fact_n < LIST_MAX);
    struct chy_str basis_name = { value.p + colon, value.n - colon };
    assert_int_equal(chy_enum_find(&chy_basis_enum, basis_name, &basis, NULL), CHY_OK);
    struct chy_str text = { value.p, colon - 1 };
    if (text.p[0] == '"')
        text = (struct chy_str){ text.p + 1, text.n - 2 };
    a->facts[a->fact_n++] = (struct chy_fact){ name, text, (enum chy_basis)basis };
}

static void add_key_type(struct asked *a, struct chy_str value)
{
    int type = 0;
    assert_int_equal(chy_enum_find(&chy_key_type_enum, value, &type, NULL), CHY_OK);
    a->r.key.type = (enum chy_key_type)type;
}

static void add_algorithm(struct asked *a, struct chy_str value)
{
    int algorithm = 0;
    assert_int_equal(chy_enum_find(&chy_sign_alg_enum, value, &algorithm, NULL), CHY_OK);
    a->r.algorithm = (enum chy_sign_alg)algorithm;
}

static void add_word(struct asked *a, struct chy_str name, struct chy_str value)
{
    if (chy_str_equal_c(name, "key"))
        a->r.key.name = value;
    else if (chy_str_equal_c(name, "purpose"))
        a->r.key.purpose = value;
    else if (chy_str_equal_c(name, "key_type"))
        add_key_type(a, value);
    else if (chy_str_equal_c(name, "algorithm"))
        add_algorithm(a, value);
    else if (chy_str_equal_c(name, "key_group"))
        a->r.key.groups = split(value, a->key_groups);
    else if (chy_str_equal_c(name, "principal"))
        a->r.caller.principal = value;
    else if (chy_str_equal_c(name, "group"))
        a->r.caller.groups = split(value, a->groups);
    else if (chy_str_equal_c(name, "role"))
        a->r.caller.roles = split(value, a->roles);
    else if (chy_str_equal_c(name, "address"))
        a->r.address = value;
    else if (chy_str_equal_c(name, "reason"))
        a->r.reason = value;
    else if (chy_str_equal_c(name, "time"))
        assert_int_equal(chy_time_read(value, &a->r.time_us, NULL), CHY_OK);
    else if (chy_str_equal_c(name, "host"))
        add_fact(a, CHY_STR("host"), value);
    else if (chy_str_equal_c(name, "path"))
        add_fact(a, CHY_STR("application.path"), value);
    else if (chy_str_equal_c(name, "command"))
        add_fact(a, CHY_STR("application.command"), value);
    else if (chy_str_starts(name, "fact."))
        add_fact(a, (struct chy_str){ name.p + 5, name.n - 5 }, value);
    else if (chy_str_starts(name, "label.") && a->label_n < LIST_MAX)
        a->labels[a->label_n++] = (struct chy_label){ { name.p + 6, name.n - 6 }, value };
    else
        fail_msg("the page asks with an unknown word \"%.*s\"", CHY_STR_ARG(name));
}

/* Words up to "->"; returns what follows. */
static const char *read_words(struct asked *a, const char *line)
{
    *a = (struct asked){ .r = { .time_us = NOW_US, .algorithm = CHY_ALG_ECDSA_SHA256 } };
    const char *at = line;
    while (strncmp(at, "-> ", 3) != 0) {
        const char *equals = strchr(at, '=');
        if (equals == NULL)
            fail_msg("no answer in: %s", line);
        const char *end = equals + 1;
        for (bool quoted = false; *end != '\0' && (quoted || *end != ' '); end++)
            if (*end == '"')
                quoted = !quoted;
        add_word(a, (struct chy_str){ at, (size_t)(equals - at) },
                 (struct chy_str){ equals + 1, (size_t)(end - equals - 1) });
        for (at = end; *at == ' '; at++)
            ;
    }
    a->r.facts[0].p = a->facts;
    a->r.facts[0].n = a->fact_n;
    a->r.labels.p = a->labels;
    a->r.labels.n = a->label_n;
    return at + 3;
}

static void ask(struct example *e, const char *line)
{
    struct asked a;
    struct chy_policy_decision d;
    char answer[LINE_BYTES];
    const char *expected = read_words(&a, line);
    assert_non_null(e->rules);
    a.r.key.guard = e->guard;
    chy_policy_evaluate(e->rules, &a.r, &d);
    int n =
        snprintf(answer, sizeof answer, "%s", chy_enum_name(&chy_decision_enum, (int)d.decision));
    for (size_t i = 0; i < d.rule_count; i++)
        n += snprintf(answer + n, sizeof answer - (size_t)n, "%s%.*s", i == 0 ? ": " : ", ",
                      CHY_STR_ARG(d.rules[i]));
    if (strcmp(answer, expected) != 0)
        fail_msg("\"%s\" got \"%s\"", line, answer);
    e->requests++;
}

static void take_block(struct example *e, const char *kind, char *text)
{
    if (strcmp(kind, "yaml") == 0 && text[0] == '-') {
        assert_null(e->guard);
        e->guard = guard_of(text);
        e->guards++;
    } else if (strcmp(kind, "yaml") == 0) {
        chy_policy_rules_free(e->rules);
        chy_policy_guard_free(e->guard);
        e->guard = NULL;
        e->rules = policy_of(text);
        e->policies++;
    } else {
        assert_string_equal(kind, "requests");
        for (char *line = text; *line != '\0';) {
            char *end = strchr(line, '\n');
            *end = '\0';
            ask(e, line);
            line = end + 1;
        }
    }
}

static char *read_page(void)
{
    char path[4096];
    const char *source = getenv("CHANCERY_SOURCE"); /* checksrc: set by the build for tests */
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/docs/policy.md", source);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    char *page = malloc(PAGE_BYTES);
    assert_non_null(page);
    size_t n = fread(page, 1, PAGE_BYTES - 1, f);
    assert_true(n > 0 && n < PAGE_BYTES - 1);
    page[n] = '\0';
    fclose(f);
    return page;
}

static void test_examples__answer_as_the_page_says(void **state)
{
    (void)state;
    struct example e = { .rules = NULL };
    char *page = read_page();
    for (char *at = strstr(page, "\n```"); at != NULL; at = strstr(at, "\n```")) {
        char *kind = at + 4;
        char *text = strchr(kind, '\n') + 1;
        text[-1] = '\0';
        at = strstr(text, "\n```");
        assert_non_null(at);
        at[1] = '\0';
        take_block(&e, kind, text);
        at += 4;
    }
    assert_int_equal(e.policies, 10);
    assert_int_equal(e.guards, 1);
    assert_int_equal(e.requests, 46);
    chy_policy_rules_free(e.rules);
    chy_policy_guard_free(e.guard);
    free(page);
}

static void test_policy_default__allows_nothing(void **state)
{
    (void)state;
    struct chy_policy_rules *rules = policy_of(chy_policy_default().p);
    assert_int_equal(chy_policy_rules_count(rules), 0);
    chy_policy_rules_free(rules);
}

/* What its comment tells the reader to do works. */
static void test_policy_default__its_example_is_a_policy(void **state)
{
    (void)state;
    struct chy_str text = chy_policy_default();
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_buf_append_c(&b, "version: 1\n");
    bool inside = false;
    for (const char *line = text.p; *line != '\0'; line = strchr(line, '\n') + 1) {
        struct chy_str s = { line, (size_t)(strchr(line, '\n') - line) };
        inside |= chy_str_equal_c(s, "rules: []");
        if (inside && chy_str_starts(s, "#  "))
            chy_buf_printf(&b, "%.*s\n", (int)s.n - 3, s.p + 3);
    }
    chy_buf_append_u8(&b, 0);
    struct chy_policy_rules *rules = policy_of((const char *)b.p);
    struct chy_policy_request r = { .key = { .name = CHY_STR("k"), .purpose = CHY_STR("test") },
                                    .caller = { .principal = CHY_STR("ci-build") },
                                    .algorithm = CHY_ALG_ECDSA_SHA256 };
    struct chy_policy_decision d;
    chy_policy_evaluate(rules, &r, &d);
    assert_int_equal(d.decision, CHY_DECISION_ALLOWED);
    r.key.purpose = CHY_STR("release");
    chy_policy_evaluate(rules, &r, &d);
    assert_int_equal(d.decision, CHY_DECISION_DENIED);
    chy_policy_rules_free(rules);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples__answer_as_the_page_says),
        cmocka_unit_test(test_policy_default__allows_nothing),
        cmocka_unit_test(test_policy_default__its_example_is_a_policy),
    };
    return cmocka_run_group_tests_name("examples", tests, NULL, NULL);
}
