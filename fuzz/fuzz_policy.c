/* SPDX-License-Identifier: MIT */
/* Policies and guards: what is read from YAML, or decoded from bytes, encodes to bytes that decode
 * to the same bytes; it compiles or says why not; and its explanation agrees with its decision. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "policy/policy.h"
#include "policy/yaml.h"

#define NOW_US INT64_C(1795300000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct chy_buf bytes_of(const struct chy_policy_doc *doc)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_POLICY);
    CHY_ASSERT(chy_policy_doc_encode(doc, &b, NULL) == CHY_OK);
    return b;
}

static void check_bytes(const struct chy_policy_doc *doc, struct chy_arena *arena)
{
    struct chy_policy_doc again;
    struct chy_buf a = bytes_of(doc);
    CHY_ASSERT(chy_policy_doc_decode(chy_buf_bytes(&a), arena, &again, NULL) == CHY_OK);
    struct chy_buf b = bytes_of(&again);
    CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&a), chy_buf_bytes(&b)));
    chy_buf_done(&a);
    chy_buf_done(&b);
}

static struct chy_policy_request make_request(const struct chy_fact *facts, size_t n,
                                              const struct chy_policy_guard *guard)
{
    struct chy_policy_request r = {
        .key = { .name = CHY_STR("release"), .purpose = CHY_STR("release"), .type = CHY_KEY_P256 },
        .caller = { .principal = CHY_STR("ci-1"), .method = CHY_AUTH_CERTIFICATE },
        .algorithm = CHY_ALG_ECDSA_SHA256,
        .address = CHY_STR("10.1.2.3"),
        .time_us = NOW_US,
        .artifact_type = CHY_STR("jar"),
    };
    r.key.guard = guard;
    r.facts[0].p = facts;
    r.facts[0].n = n;
    return r;
}

static void evaluate(const struct chy_policy_rules *rules, const struct chy_policy_guard *guard,
                     struct chy_arena *arena)
{
    const struct chy_fact facts[] = {
        { CHY_STR("host"), CHY_STR("build-1"), CHY_BASIS_AGENT },
        { CHY_STR("application.command"), CHY_STR("jarsigner -tsa x a.jar rel"), CHY_BASIS_AGENT },
        { CHY_STR("ci.branch"), CHY_STR("main"), CHY_BASIS_DECLARED },
    };
    struct chy_policy_request r = make_request(facts, CHY_ARRAY_LEN(facts), guard);
    struct chy_policy_decision d;
    struct chy_policy_explanation e;
    chy_policy_evaluate(rules, &r, &d);
    CHY_ASSERT(chy_policy_explain(rules, &r, arena, &e, NULL) == CHY_OK);
    CHY_ASSERT(e.decision == d.decision);
    CHY_ASSERT(chy_schema_check(&chy_policy_explanation_schema, &e, NULL) == CHY_OK);
    CHY_ASSERT(d.decision == CHY_DECISION_DENIED || chy_policy_may_use(rules, &r.key, &r.caller));
    CHY_ASSERT(chy_policy_rules_count(rules) != 0 || d.decision == CHY_DECISION_DENIED);
}

static void try_policy(const struct chy_policy_doc *doc, struct chy_arena *arena)
{
    struct chy_policy_rules *rules = NULL;
    check_bytes(doc, arena);
    if (chy_policy_compile(doc, NOW_US, &rules, NULL) == CHY_OK)
        evaluate(rules, NULL, arena);
    chy_policy_rules_free(rules);
}

static void try_guard(const struct chy_policy_guard_doc *doc, struct chy_arena *arena)
{
    struct chy_policy_rule allow = { .name = CHY_STR("a"), .effect = CHY_EFFECT_ALLOW };
    struct chy_policy_doc policy = { .version = CHY_POLICY_VERSION, .rules = { &allow, 1 } };
    struct chy_policy_rules *rules = NULL;
    struct chy_policy_guard *guard = NULL;
    struct chy_policy_guard_doc again;
    struct chy_buf b;
    chy_buf_init(&b, 4 * CHY_LIMIT_GUARD);
    if (chy_policy_guard_encode(doc, &b, NULL) == CHY_OK)
        CHY_ASSERT(chy_policy_guard_decode(chy_buf_bytes(&b), arena, &again, NULL) == CHY_OK);
    CHY_ASSERT(chy_policy_compile(&policy, NOW_US, &rules, NULL) == CHY_OK);
    if (chy_policy_guard_compile(doc, NOW_US, &guard, NULL) == CHY_OK)
        evaluate(rules, guard, arena);
    chy_policy_guard_free(guard);
    chy_policy_rules_free(rules);
    chy_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chy_bytes in = { data, n };
    struct chy_policy_doc doc;
    struct chy_policy_guard_doc guard;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (chy_policy_from_yaml(in, &arena, &doc, NULL) == CHY_OK)
        try_policy(&doc, &arena);
    chy_arena_reset(&arena);
    if (chy_policy_guard_from_yaml(in, &arena, &guard, NULL) == CHY_OK)
        try_guard(&guard, &arena);
    chy_arena_reset(&arena);
    if (chy_policy_doc_decode(in, &arena, &doc, NULL) == CHY_OK) {
        struct chy_buf b = bytes_of(&doc);
        CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&b), in));
        chy_buf_done(&b);
        try_policy(&doc, &arena);
    }
    chy_arena_done(&arena);
    return 0;
}
