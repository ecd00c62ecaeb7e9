/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "policy/rules.h"

enum {
    REASONS_MAX = 32,       /* of one rule: struct chy_rule_explanation */
    VALUES_SHOWN_MAX = 8,   /* of one matcher */
    CLOSEST_NAMES_MAX = 12, /* matchers named in a summary */
};

/* A text that is cut, at a character, where it gets too long. */
struct text {
    char p[CHY_LIMIT_TEXT];
    size_t n;
};

CHY_PRINTF(2, 3) static void say(struct text *t, const char *fmt, ...)
{
    char *to = t->p + t->n;
    size_t room = sizeof t->p - t->n;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(to, room, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n < room) {
        t->n += (size_t)n;
        return;
    }
    size_t kept = 0;
    while (kept < room - 1) {
        size_t c = chy_utf8_char((struct chy_str){ to + kept, room - 1 - kept });
        if (c == 0)
            break;
        kept += c;
    }
    t->n += kept;
}

/* --- why one test failed --- */

static struct chy_str value_of(const struct chy_test *test, size_t i)
{
    if (test->kind == CHY_TEST_COMMAND)
        return chy_command_pattern(test->values.commands[i]);
    return test->values.patterns[i].text;
}

static void say_wanted(struct text *t, const struct chy_test *test)
{
    if (test->kind == CHY_TEST_NETWORK || test->kind == CHY_TEST_WINDOW) {
        say(t, "none of %zu %s", test->n, test->kind == CHY_TEST_NETWORK ? "networks" : "windows");
        return;
    }
    say(t, test->n == 1 ? "not " : "none of ");
    for (size_t i = 0; i < test->n && i < VALUES_SHOWN_MAX; i++)
        say(t, "%s%.*s", i != 0 ? ", " : "", CHY_STR_ARG(value_of(test, i)));
    if (test->n > VALUES_SHOWN_MAX)
        say(t, " and %zu more", test->n - VALUES_SHOWN_MAX);
}

static void say_name(struct text *t, const struct chy_test *test)
{
    say(t, "%s", chy_test_name(test->kind));
    if (test->name.n != 0)
        say(t, " %.*s", CHY_STR_ARG(test->name));
}

static void say_subject(struct text *t, const struct chy_test *test, const struct chy_asked *asked)
{
    const struct chy_strs *subjects = &asked->subjects[test->kind];
    if (subjects->n == 0)
        say(t, "none");
    for (size_t i = 0; i < subjects->n && i < VALUES_SHOWN_MAX; i++)
        say(t, "%s\"%.*s\"", i != 0 ? ", " : "", CHY_STR_ARG(subjects->p[i]));
    if (subjects->n > VALUES_SHOWN_MAX)
        say(t, " and %zu more", subjects->n - VALUES_SHOWN_MAX);
}

static void say_statement(struct text *t, const struct chy_test *test, enum chy_truth truth,
                          struct chy_asked *asked)
{
    struct chy_statement s = chy_test_statement(test, asked);
    if (!s.is_stated) {
        say(t, "not stated");
        return;
    }
    say(t, "\"%.*s\"", CHY_STR_ARG(s.value));
    if (s.is_contradictory) {
        say(t, ", but stated a second time with another value");
    } else if (s.basis < test->need) {
        say(t, " is of basis %s, %s is needed", chy_enum_name(&chy_basis_enum, (int)s.basis),
            chy_enum_name(&chy_basis_enum, (int)test->need));
    } else if (truth == CHY_TRUTH_UNKNOWN) {
        say(t, " took a pattern too long");
    } else {
        say(t, " is ");
        say_wanted(t, test);
    }
}

static void say_why(struct text *t, const struct chy_test *test, enum chy_truth truth,
                    struct chy_asked *asked)
{
    say_name(t, test);
    say(t, ": ");
    if (chy_test_is_of_fact(test->kind)) {
        say_statement(t, test, truth, asked);
        return;
    }
    if (test->is_strict && asked->is_raw) {
        say(t, "\"%s\" must stand there by its name",
            chy_enum_name(&chy_sign_alg_enum, (int)asked->request->algorithm));
        return;
    }
    if (truth == CHY_TRUTH_UNKNOWN) {
        say(t, test->kind == CHY_TEST_WINDOW ? "the time is outside of what windows are known for"
                                             : "not known");
        return;
    }
    if (test->kind == CHY_TEST_WINDOW)
        say(t, "the time");
    else if (test->kind == CHY_TEST_NETWORK)
        say(t, "\"%.*s\"", CHY_STR_ARG(asked->request->address));
    else
        say_subject(t, test, asked);
    say(t, " is ");
    say_wanted(t, test);
}

/* --- rule by rule --- */

struct reasons {
    struct chy_arena *arena;
    struct chy_str p[REASONS_MAX];
    size_t n;
};

static enum chy_err add_reason(struct reasons *r, const struct text *t, struct chy_error *err)
{
    if (r->n == REASONS_MAX || t->n == 0)
        return CHY_OK;
    r->p[r->n] = chy_arena_str(r->arena, (struct chy_str){ t->p, t->n });
    if (r->p[r->n].p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an explanation");
    r->n++;
    return CHY_OK;
}

/* Each test of the set that is not plainly satisfied. */
static enum chy_err explain_set(struct reasons *reasons, const char *prefix, size_t number,
                                const struct chy_test_set *set, struct chy_asked *asked,
                                struct chy_error *err)
{
    for (size_t i = 0; i < set->n; i++) {
        enum chy_truth truth = chy_test_ask(&set->p[i], asked);
        if (truth == CHY_TRUTH_YES)
            continue;
        struct text t = { .n = 0 };
        say(&t, "%s", prefix);
        if (number != 0)
            say(&t, "%zu: ", number);
        say_why(&t, &set->p[i], truth, asked);
        CHY_TRY(add_reason(reasons, &t, err));
    }
    return CHY_OK;
}

static enum chy_err explain_unless(struct reasons *reasons, const struct chy_compiled_rule *rule,
                                   struct chy_asked *asked, struct chy_error *err)
{
    if (chy_test_set_ask(&rule->unless, asked) != CHY_TRUTH_YES)
        return explain_set(reasons, "unless: ", 0, &rule->unless, asked, err);
    struct text t = { .n = 0 };
    say(&t, "unless: matches");
    return add_reason(reasons, &t, err);
}

static const char *truth_name(enum chy_truth t)
{
    return t == CHY_TRUTH_YES ? "yes" : t == CHY_TRUTH_NO ? "no" : "unknown";
}

static enum chy_err put_reasons(const struct reasons *reasons, struct chy_rule_explanation *row,
                                struct chy_error *err)
{
    struct chy_str *p = chy_arena_array(reasons->arena, struct chy_str, reasons->n);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an explanation");
    chy_copy(p, reasons->p, reasons->n * sizeof *p);
    row->reasons = (struct chy_strs){ p, reasons->n };
    return CHY_OK;
}

static enum chy_err explain_rule(const struct chy_compiled_rule *rule, struct chy_asked *asked,
                                 struct chy_arena *arena, struct chy_rule_explanation *row,
                                 struct chy_error *err)
{
    struct reasons reasons = { .arena = arena };
    enum chy_truth truth = chy_compiled_rule_ask(rule, asked);
    CHY_TRY(explain_set(&reasons, "", 0, &rule->match, asked, err));
    if (rule->has_unless && chy_test_set_ask(&rule->match, asked) != CHY_TRUTH_NO)
        CHY_TRY(explain_unless(&reasons, rule, asked, err));
    row->applies = chy_compiled_rule_applies(rule, truth);
    if (row->applies && rule->source->effect == CHY_EFFECT_REQUIRE) {
        struct text t = { .n = 0 };
        bool is_met = chy_requirement_is_met(rule->source->requirement, asked->request);
        say(&t, "requirement: %s is %s",
            chy_enum_name(&chy_requirement_enum, (int)rule->source->requirement),
            is_met ? "met" : "not met");
        CHY_TRY(add_reason(&reasons, &t, err));
    }
    row->rule = rule->source->name;
    row->effect = chy_str_of(chy_enum_name(&chy_policy_effect_enum, (int)rule->source->effect));
    row->matched = chy_str_of(truth_name(truth));
    return put_reasons(&reasons, row, err);
}

static enum chy_err explain_guard(const struct chy_policy_guard *guard, struct chy_asked *asked,
                                  struct chy_arena *arena, struct chy_rule_explanation *row,
                                  struct chy_error *err)
{
    struct reasons reasons = { .arena = arena };
    enum chy_truth truth = chy_policy_guard_ask(guard, asked);
    for (size_t i = 0; truth != CHY_TRUTH_YES && i < guard->n; i++)
        CHY_TRY(explain_set(&reasons, "alternative ", i + 1, &guard->alternatives[i], asked, err));
    row->rule = CHY_STR("(guard)");
    row->effect = CHY_STR("guard");
    row->applies = truth != CHY_TRUTH_YES;
    row->matched = chy_str_of(truth_name(truth));
    return put_reasons(&reasons, row, err);
}

enum chy_err chy_policy_explain(const struct chy_policy_rules *rules,
                                const struct chy_policy_request *request, struct chy_arena *arena,
                                struct chy_policy_explanation *ret_explanation,
                                struct chy_error *err)
{
    struct chy_asked asked;
    struct chy_policy_decision decision;
    size_t guard_n = request->key.guard != NULL ? 1 : 0;
    struct chy_rule_explanation *rows =
        chy_arena_array(arena, struct chy_rule_explanation, rules->n + guard_n);
    if (rows == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an explanation");
    chy_asked_init(&asked, request);
    if (guard_n != 0)
        CHY_TRY(explain_guard(request->key.guard, &asked, arena, &rows[0], err));
    for (size_t i = 0; i < rules->n; i++)
        CHY_TRY(explain_rule(&rules->rules[i], &asked, arena, &rows[guard_n + i], err));

    chy_policy_evaluate(rules, request, &decision);
    struct chy_policy_explanation e = { .key = request->key.name, .decision = decision.decision };
    e.summary = chy_policy_summarize(rules, request, &decision, arena);
    if (e.summary.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an explanation");
    e.rules.p = rows;
    e.rules.n = rules->n + guard_n;
    *ret_explanation = e;
    return CHY_OK;
}

/* --- in one sentence --- */

static void say_rules(struct text *t, const struct chy_policy_decision *d)
{
    say(t, "%s ", d->rule_total == 1 ? "rule" : "rules");
    for (size_t i = 0; i < d->rule_count && i < VALUES_SHOWN_MAX; i++)
        say(t, "%s\"%.*s\"", i != 0 ? ", " : "", CHY_STR_ARG(d->rules[i]));
    if (d->rule_total > VALUES_SHOWN_MAX)
        say(t, " and %zu more", d->rule_total - VALUES_SHOWN_MAX);
}

static const struct chy_compiled_rule *find_rule(const struct chy_policy_rules *rules,
                                                 struct chy_str name)
{
    size_t low = 0;
    size_t high = rules->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = chy_str_compare(rules->rules[middle].source->name, name);
        if (order == 0)
            return &rules->rules[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void say_description(struct text *t, const struct chy_policy_rules *rules,
                            const struct chy_policy_decision *d)
{
    const struct chy_compiled_rule *first =
        d->rule_count != 0 ? find_rule(rules, d->rules[0]) : NULL;
    if (first != NULL && first->source->description.n != 0)
        say(t, ": %.*s", CHY_STR_ARG(first->source->description));
}

static size_t count_failures(const struct chy_test_set *set, struct chy_asked *asked)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += chy_test_ask(&set->p[i], asked) != CHY_TRUTH_YES;
    return n;
}

/* The allow with the fewest matchers that failed; the first by name among equals. */
static void say_closest(struct text *t, const struct chy_policy_rules *rules,
                        struct chy_asked *asked)
{
    const struct chy_compiled_rule *closest = NULL;
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < rules->n; i++) {
        const struct chy_compiled_rule *rule = &rules->rules[i];
        if (rule->source->effect != CHY_EFFECT_ALLOW)
            continue;
        size_t n = count_failures(&rule->match, asked);
        if (n < fewest) {
            fewest = n;
            closest = rule;
        }
    }
    if (closest == NULL)
        return;
    say(t, "; the closest is rule \"%.*s\", which fails at ", CHY_STR_ARG(closest->source->name));
    size_t named = 0;
    for (size_t i = 0; i < closest->match.n && named < CLOSEST_NAMES_MAX; i++) {
        if (chy_test_ask(&closest->match.p[i], asked) == CHY_TRUTH_YES)
            continue;
        say(t, named++ != 0 ? ", " : "");
        say_name(t, &closest->match.p[i]);
        if (closest->match.p[i].is_strict && asked->is_raw)
            say(t, " (rsa-pkcs1-raw must be named)"); /* it may have no word about algorithms */
    }
}

struct chy_str chy_policy_summarize(const struct chy_policy_rules *rules,
                                    const struct chy_policy_request *request,
                                    const struct chy_policy_decision *decision,
                                    struct chy_arena *arena)
{
    struct text t = { .n = 0 };
    if (decision->decision == CHY_DECISION_ALLOWED) {
        say(&t, "allowed by ");
        say_rules(&t, decision);
    } else if (decision->decision == CHY_DECISION_HELD) {
        say(&t, "a reason is required by ");
        say_rules(&t, decision);
        say_description(&t, rules, decision);
    } else if (decision->rule_count != 0) {
        say(&t, "denied by ");
        say_rules(&t, decision);
        say_description(&t, rules, decision);
    } else if (decision->is_outside_guard) {
        say(&t, "the owners of key \"%.*s\" do not let it be used like this (its guard)",
            CHY_STR_ARG(request->key.name));
    } else {
        struct chy_asked asked;
        chy_asked_init(&asked, request);
        say(&t, "no rule allows this");
        say_closest(&t, rules, &asked);
    }
    return chy_arena_str(arena, (struct chy_str){ t.p, t.n });
}
