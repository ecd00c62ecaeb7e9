/* SPDX-License-Identifier: MIT */
#include "policy/policy.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/rules.h"

/* --- compiling --- */

static enum chy_match_use use_of(enum chy_policy_effect effect)
{
    return effect == CHY_EFFECT_ALLOW ? CHY_MATCH_GRANTS : CHY_MATCH_REFUSES;
}

static enum chy_err compile_rule(struct chy_match_compiler *c, const struct chy_policy_rule *source,
                                 struct chy_compiled_rule *rule)
{
    rule->source = source;
    CHY_TRY(chy_match_compile(c, &source->match, use_of(source->effect), &rule->match));
    rule->has_unless = source->unless != NULL;
    if (rule->has_unless)
        CHY_TRY(chy_match_compile(c, source->unless, CHY_MATCH_EXEMPTS, &rule->unless));
    return CHY_OK;
}

static enum chy_err share_tests(struct chy_policy_rules *r, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep)
    struct chy_test_set **sets = chy_new_array(struct chy_test_set *, 2 * r->n + 1);
    size_t n = 0;
    if (sets == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    for (size_t i = 0; i < r->n; i++) {
        sets[n++] = &r->rules[i].match;
        if (r->rules[i].has_unless)
            sets[n++] = &r->rules[i].unless;
    }
    return chy_match_share(sets, n, err);
}

static enum chy_err compile_rules(struct chy_policy_rules *r, int64_t now_us, struct chy_error *err)
{
    CHY_CLEANUP(chy_match_compiler_done)
    struct chy_match_compiler c = {
        .arena = &r->arena, .commands = &r->commands, .now_us = now_us, .err = err
    };
    r->n = r->doc.rules.n;
    r->rules = chy_arena_array(&r->arena, struct chy_compiled_rule, r->n);
    if (r->rules == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    for (size_t i = 0; i < r->n; i++) {
        const struct chy_policy_rule *source = &r->doc.rules.p[i];
        enum chy_err result = compile_rule(&c, source, &r->rules[i]);
        if (result != CHY_OK)
            return chy_error_prefix(err, result, "rule \"%.*s\"", CHY_STR_ARG(source->name));
    }
    chy_command_set_seal(&r->commands);
    return share_tests(r, err);
}

static bool all_exact(const struct chy_test_set *set, enum chy_test_kind kind,
                      const struct chy_test **ret_test)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->p[i].kind != kind)
            continue;
        for (size_t k = 0; k < set->p[i].n; k++)
            if (set->p[i].values.patterns[k].kind != CHY_PATTERN_EXACT)
                return false;
        *ret_test = &set->p[i];
        return true;
    }
    return false;
}

static int compare_entries(const void *va, const void *vb)
{
    const struct chy_rule_entry *a = va;
    const struct chy_rule_entry *b = vb;
    int c = chy_str_compare(a->name, b->name);
    return c != 0 ? c : (a->rule > b->rule) - (a->rule < b->rule);
}

/* Which of the three a rule belongs into; NULL is the rest. */
static struct chy_rule_index *index_of(struct chy_policy_rules *r, size_t rule,
                                       const struct chy_test **ret_test)
{
    if (all_exact(&r->rules[rule].match, CHY_TEST_KEY, ret_test))
        return &r->by_key;
    if (all_exact(&r->rules[rule].match, CHY_TEST_PRINCIPAL, ret_test))
        return &r->by_principal;
    return NULL;
}

static enum chy_err make_room(struct chy_policy_rules *r, struct chy_error *err)
{
    size_t key_n = 0;
    size_t principal_n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct chy_test *test = NULL;
        struct chy_rule_index *index = index_of(r, i, &test);
        key_n += index == &r->by_key ? test->n : 0;
        principal_n += index == &r->by_principal ? test->n : 0;
    }
    r->by_key.p = chy_arena_array(&r->arena, struct chy_rule_entry, key_n);
    r->by_principal.p = chy_arena_array(&r->arena, struct chy_rule_entry, principal_n);
    r->rest = chy_arena_array(&r->arena, uint32_t, r->n);
    if (r->by_key.p == NULL || r->by_principal.p == NULL || r->rest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    return CHY_OK;
}

static enum chy_err index_rules(struct chy_policy_rules *r, struct chy_error *err)
{
    CHY_TRY(make_room(r, err));
    for (size_t i = 0; i < r->n; i++) {
        const struct chy_test *test = NULL;
        struct chy_rule_index *index = index_of(r, i, &test);
        if (index == NULL) {
            r->rest[r->rest_n++] = (uint32_t)i;
            continue;
        }
        for (size_t k = 0; k < test->n; k++)
            index->p[index->n++] =
                (struct chy_rule_entry){ test->values.patterns[k].text, (uint32_t)i };
    }
    qsort(r->by_key.p, r->by_key.n, sizeof *r->by_key.p, compare_entries);
    qsort(r->by_principal.p, r->by_principal.n, sizeof *r->by_principal.p, compare_entries);
    return CHY_OK;
}

/* A copy that is known to be what decoding would have let through. */
static enum chy_err copy_doc(struct chy_policy_rules *r, const struct chy_policy_doc *doc,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_POLICY);
    CHY_TRY(chy_policy_doc_encode(doc, &bytes, err));
    struct chy_bytes own = chy_arena_bytes(&r->arena, chy_buf_bytes(&bytes));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    return chy_schema_decode(&chy_policy_doc_schema, own, &r->arena, &r->doc, err);
}

enum chy_err chy_policy_compile(const struct chy_policy_doc *doc, int64_t now_us,
                                struct chy_policy_rules **ret_rules, struct chy_error *err)
{
    CHY_CLEANUP(chy_policy_rules_freep)
    struct chy_policy_rules *r = chy_new(struct chy_policy_rules);
    if (r == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    chy_arena_init(&r->arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_command_set_init(&r->commands, err));
    CHY_TRY(copy_doc(r, doc, err));
    CHY_TRY(compile_rules(r, now_us, err));
    CHY_TRY(index_rules(r, err));
    *ret_rules = CHY_TAKE(r);
    return CHY_OK;
}

void chy_policy_rules_free(struct chy_policy_rules *rules)
{
    if (rules == NULL)
        return;
    chy_command_set_done(&rules->commands);
    chy_arena_done(&rules->arena);
    chy_free(rules);
}

void chy_policy_rules_freep(struct chy_policy_rules **rules)
{
    chy_policy_rules_free(*rules);
    *rules = NULL;
}

size_t chy_policy_rules_count(const struct chy_policy_rules *rules)
{
    return rules->n;
}

/* --- guards --- */

static enum chy_err copy_guard(struct chy_policy_guard *g, const struct chy_policy_guard_doc *doc,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_POLICY);
    CHY_TRY(chy_policy_guard_encode(doc, &bytes, err));
    struct chy_bytes own = chy_arena_bytes(&g->arena, chy_buf_bytes(&bytes));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a guard");
    return chy_schema_decode(&chy_policy_guard_doc_schema, own, &g->arena, &g->doc, err);
}

enum chy_err chy_policy_guard_compile(const struct chy_policy_guard_doc *doc, int64_t now_us,
                                      struct chy_policy_guard **ret_guard, struct chy_error *err)
{
    CHY_CLEANUP(chy_policy_guard_freep)
    struct chy_policy_guard *g = chy_new(struct chy_policy_guard);
    if (g == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a guard");
    chy_arena_init(&g->arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_command_set_init(&g->commands, err));
    CHY_TRY(copy_guard(g, doc, err));
    CHY_CLEANUP(chy_match_compiler_done)
    struct chy_match_compiler c = {
        .arena = &g->arena, .commands = &g->commands, .now_us = now_us, .err = err
    };
    g->n = g->doc.alternatives.n;
    g->alternatives = chy_arena_array(&g->arena, struct chy_test_set, g->n);
    if (g->alternatives == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a guard");
    for (size_t i = 0; i < g->n; i++) {
        enum chy_err result =
            chy_match_compile(&c, &g->doc.alternatives.p[i], CHY_MATCH_GRANTS, &g->alternatives[i]);
        if (result != CHY_OK)
            return chy_error_prefix(err, result, "alternative %zu", i + 1);
    }
    chy_command_set_seal(&g->commands);
    *ret_guard = CHY_TAKE(g);
    return CHY_OK;
}

void chy_policy_guard_free(struct chy_policy_guard *guard)
{
    if (guard == NULL)
        return;
    chy_command_set_done(&guard->commands);
    chy_arena_done(&guard->arena);
    chy_free(guard);
}

void chy_policy_guard_freep(struct chy_policy_guard **guard)
{
    chy_policy_guard_free(*guard);
    *guard = NULL;
}

enum chy_truth chy_policy_guard_ask(const struct chy_policy_guard *guard, struct chy_asked *asked)
{
    if (guard == NULL)
        return CHY_TRUTH_YES;
    enum chy_truth any = CHY_TRUTH_NO;
    for (size_t i = 0; i < guard->n && any != CHY_TRUTH_YES; i++) {
        enum chy_truth t = chy_test_set_ask(&guard->alternatives[i], asked);
        any = CHY_MAX(any, t);
    }
    return any;
}

/* --- one rule --- */

enum chy_truth chy_compiled_rule_ask(const struct chy_compiled_rule *rule, struct chy_asked *asked)
{
    enum chy_truth t = chy_test_set_ask(&rule->match, asked);
    if (t == CHY_TRUTH_NO || !rule->has_unless)
        return t;
    enum chy_truth not_unless =
        (enum chy_truth)(CHY_TRUTH_YES - chy_test_set_ask(&rule->unless, asked));
    return CHY_MIN(t, not_unless);
}

bool chy_compiled_rule_applies(const struct chy_compiled_rule *rule, enum chy_truth truth)
{
    return rule->source->effect == CHY_EFFECT_ALLOW ? truth == CHY_TRUTH_YES
                                                    : truth != CHY_TRUTH_NO;
}

static bool is_blank(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r')
            return false;
    return true;
}

bool chy_requirement_is_met(enum chy_requirement requirement,
                            const struct chy_policy_request *request)
{
    /* Loading refuses all others; were one here, it would hold. */
    return requirement == CHY_REQUIREMENT_REASON && !is_blank(request->reason);
}

/* --- evaluation --- */

/* The first CHY_LIMIT_REASONS of some rules by rank, in order. */
struct picked {
    uint32_t p[CHY_LIMIT_REASONS];
    size_t n;
    size_t total;
};

struct tally {
    struct picked denies;
    struct picked unmet;
    struct picked granting; /* allows, and requires that are met */
    size_t allow_count;
};

static void pick(struct picked *list, uint32_t rule)
{
    list->total++;
    if (list->n == CHY_LIMIT_REASONS && list->p[list->n - 1] < rule)
        return;
    size_t at = CHY_MIN(list->n, (size_t)CHY_LIMIT_REASONS - 1);
    for (; at > 0 && list->p[at - 1] > rule; at--)
        list->p[at] = list->p[at - 1];
    list->p[at] = rule;
    list->n = CHY_MIN(list->n + 1, (size_t)CHY_LIMIT_REASONS);
}

typedef void (*visit_fn)(void *ctx, const struct chy_policy_rules *rules, uint32_t rule,
                         struct chy_asked *asked);

static void visit_named(const struct chy_policy_rules *r, const struct chy_rule_index *index,
                        struct chy_str name, struct chy_asked *asked, visit_fn visit, void *ctx)
{
    size_t low = 0;
    size_t high = index->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chy_str_compare(index->p[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < index->n && chy_str_equal(index->p[low].name, name); low++)
        visit(ctx, r, index->p[low].rule, asked);
}

/* All rules whose answer can be anything but "no". A key or a principal that is not known makes
 * the answers of those that are looked up by it unknown, so then all are visited. */
static void visit_rules(const struct chy_policy_rules *r, struct chy_asked *asked, visit_fn visit,
                        void *ctx)
{
    if (!asked->is_known[CHY_TEST_KEY] || !asked->is_known[CHY_TEST_PRINCIPAL]) {
        for (size_t i = 0; i < r->n; i++)
            visit(ctx, r, (uint32_t)i, asked);
        return;
    }
    visit_named(r, &r->by_key, asked->request->key.name, asked, visit, ctx);
    visit_named(r, &r->by_principal, asked->request->caller.principal, asked, visit, ctx);
    for (size_t i = 0; i < r->rest_n; i++)
        visit(ctx, r, r->rest[i], asked);
}

static void count_rule(void *ctx, const struct chy_policy_rules *r, uint32_t index,
                       struct chy_asked *asked)
{
    struct tally *tally = ctx;
    const struct chy_compiled_rule *rule = &r->rules[index];
    if (!chy_compiled_rule_applies(rule, chy_compiled_rule_ask(rule, asked)))
        return;
    switch (rule->source->effect) {
    case CHY_EFFECT_DENY:
        pick(&tally->denies, index);
        return;
    case CHY_EFFECT_ALLOW:
        tally->allow_count++;
        pick(&tally->granting, index);
        return;
    case CHY_EFFECT_REQUIRE:
        if (chy_requirement_is_met(rule->source->requirement, asked->request))
            pick(&tally->granting, index);
        else
            pick(&tally->unmet, index);
        return;
    }
}

static void conclude(struct chy_policy_decision *d, const struct chy_policy_rules *r,
                     enum chy_decision decision, const struct picked *rules)
{
    d->decision = decision;
    d->rule_count = rules != NULL ? rules->n : 0;
    d->rule_total = rules != NULL ? rules->total : 0;
    for (size_t i = 0; i < d->rule_count; i++)
        d->rules[i] = r->rules[rules->p[i]].source->name;
}

void chy_policy_evaluate(const struct chy_policy_rules *rules,
                         const struct chy_policy_request *request,
                         struct chy_policy_decision *ret_decision)
{
    struct chy_asked asked;
    struct tally tally = { .allow_count = 0 };
    ret_decision->is_outside_guard = false;
    ret_decision->is_reason_missing = false;
    chy_asked_init(&asked, request);
    visit_rules(rules, &asked, count_rule, &tally);

    if (tally.denies.total != 0) {
        conclude(ret_decision, rules, CHY_DECISION_DENIED, &tally.denies);
    } else if (chy_policy_guard_ask(request->key.guard, &asked) != CHY_TRUTH_YES) {
        conclude(ret_decision, rules, CHY_DECISION_DENIED, NULL);
        ret_decision->is_outside_guard = true;
    } else if (tally.allow_count == 0) {
        conclude(ret_decision, rules, CHY_DECISION_DENIED, NULL);
    } else if (tally.unmet.total != 0) {
        conclude(ret_decision, rules, CHY_DECISION_HELD, &tally.unmet);
        ret_decision->is_reason_missing = true;
    } else {
        conclude(ret_decision, rules, CHY_DECISION_ALLOWED, &tally.granting);
    }
}

/* --- listing --- */

struct prospect {
    bool may_allow;
    bool is_denied;
};

static void weigh_rule(void *ctx, const struct chy_policy_rules *r, uint32_t index,
                       struct chy_asked *asked)
{
    struct prospect *p = ctx;
    const struct chy_compiled_rule *rule = &r->rules[index];
    enum chy_truth t = chy_compiled_rule_ask(rule, asked);
    if (rule->source->effect == CHY_EFFECT_ALLOW)
        p->may_allow |= t != CHY_TRUTH_NO;
    else if (rule->source->effect == CHY_EFFECT_DENY)
        p->is_denied |= t == CHY_TRUTH_YES;
}

bool chy_policy_may_use(const struct chy_policy_rules *rules, const struct chy_policy_key *key,
                        const struct chy_policy_caller *caller)
{
    /* All that depends on the request is left out, and so unknown. */
    const struct chy_policy_request request = { .key = *key, .caller = *caller };
    struct chy_asked asked;
    struct prospect p = { false, false };
    chy_asked_init(&asked, &request);
    visit_rules(rules, &asked, weigh_rule, &p);
    return p.may_allow && !p.is_denied && chy_policy_guard_ask(key->guard, &asked) != CHY_TRUTH_NO;
}
