/* SPDX-License-Identifier: MIT */
/* Rules and a request in, a decision with its reasons out. Pure: the clock is a parameter;
 * compiling reads time zones (zone.h), evaluating reads nothing.
 *
 * Matching is three-valued. A fact is unknown when it is not stated, stated by a weaker basis than
 * the matcher believes, or stated with two values. Unknown never satisfies an allow, an unless or
 * a guard, and always satisfies a deny and a require. So a rule of these two more, or a fact less,
 * never grants.
 *
 * Threads: compiled policies and guards are immutable. They borrow from nothing; a decision borrows
 * the names of rules from the policy. Windows are known for CHY_LIMIT_WINDOW_DAYS ahead: compile
 * again once a day, and where that fails stay with what is in force, whose windows then become
 * unknown in time. */
#pragma once

#include "base/limits.h"
#include "policy/document.h"
#include "proto/api.h"

struct chy_policy_rules; /* compiled */
struct chy_policy_guard; /* compiled */

/* Errors: CHY_E_MALFORMED  a rule names a time zone that is not there; the text names the rule
 *         CHY_E_LIMIT      too many windows, or patterns that take too much memory
 *         CHY_E_NOMEM
 * and those of chy_policy_doc_decode(), as nothing is compiled that it would refuse. */
CHY_MUST_USE enum chy_err chy_policy_compile(const struct chy_policy_doc *doc, int64_t now_us,
                                             struct chy_policy_rules **ret_rules,
                                             struct chy_error *err);
void chy_policy_rules_free(struct chy_policy_rules *rules);
void chy_policy_rules_freep(struct chy_policy_rules **rules);
size_t chy_policy_rules_count(const struct chy_policy_rules *rules);

CHY_MUST_USE enum chy_err chy_policy_guard_compile(const struct chy_policy_guard_doc *doc,
                                                   int64_t now_us,
                                                   struct chy_policy_guard **ret_guard,
                                                   struct chy_error *err);
void chy_policy_guard_free(struct chy_policy_guard *guard);
void chy_policy_guard_freep(struct chy_policy_guard **guard);

/* --- a request --- */

struct chy_policy_key {
    struct chy_str name;
    struct chy_strs groups;
    struct chy_str purpose; /* may be empty */
    enum chy_key_type type;
    const struct chy_policy_guard *guard; /* NULL: its owners set no bounds */
};

struct chy_policy_caller {
    struct chy_str principal;
    struct chy_strs groups;
    struct chy_strs roles;
    enum chy_auth_method method;
};

#define CHY_POLICY_FACT_LISTS 3

/* What is empty, zero or absent is unknown, but groups, roles and the purpose, which are then none.
 * The basis of each fact is believed as it stands: whoever fills this in has lowered what the
 * caller may not claim. */
struct chy_policy_request {
    struct chy_policy_key key;
    struct chy_policy_caller caller;
    enum chy_sign_alg algorithm;
    struct chy_str address; /* of the peer, as the server sees it */
    int64_t time_us;
    /* E.g. those of the item, those of the whole request, those found in the content. */
    struct {
        const struct chy_fact *p;
        size_t n;
    } facts[CHY_POLICY_FACT_LISTS];
    struct chy_str artifact_type; /* as declared; a fact "artifact.type" may say it better */
    CHY_LIST_OF(struct chy_label) labels;
    struct chy_str reason; /* blank is as good as empty */
};

/* --- a decision --- */

struct chy_policy_decision {
    enum chy_decision decision;
    /* What produced it, by name: of a denial the denies, none when no allow matched; of a held
     * request the requires that are not met; else the allows and the requires that are met. */
    struct chy_str rules[CHY_LIMIT_REASONS];
    size_t rule_count;
    size_t rule_total;      /* with those for which there was no room */
    bool is_outside_guard;  /* denied, and no deny applied, and the guard does not let it */
    bool is_reason_missing; /* held for CHY_REQUIREMENT_REASON */
};

/* Takes no memory unless a matcher holds a pattern against a command line. */
void chy_policy_evaluate(const struct chy_policy_rules *rules,
                         const struct chy_policy_request *request,
                         struct chy_policy_decision *ret_decision);

/* The decision in one sentence for the caller, at most CHY_LIMIT_TEXT bytes: which rule, and where
 * nothing allowed it, what came closest. It tells names of rules and of matchers, but not what
 * they want. p is NULL when the arena is full. */
CHY_MUST_USE struct chy_str chy_policy_summarize(const struct chy_policy_rules *rules,
                                                 const struct chy_policy_request *request,
                                                 const struct chy_policy_decision *decision,
                                                 struct chy_arena *arena);

/* Rule by rule, for those who may read the policy: which matcher failed on which value. A guard
 * stands in front as "(guard)". Errors: CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_policy_explain(const struct chy_policy_rules *rules,
                                             const struct chy_policy_request *request,
                                             struct chy_arena *arena,
                                             struct chy_policy_explanation *ret_explanation,
                                             struct chy_error *err);

/* Whether some request of this caller for this key could be allowed, or held: for the list of keys
 * that is shown to a caller. Never a decision. */
bool chy_policy_may_use(const struct chy_policy_rules *rules, const struct chy_policy_key *key,
                        const struct chy_policy_caller *caller);
