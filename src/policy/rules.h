/* SPDX-License-Identifier: MIT */
/* The body of a compiled policy and of a compiled guard. Private to this folder. */
#pragma once

#include "policy/match.h"

struct chy_compiled_rule {
    const struct chy_policy_rule *source;
    struct chy_test_set match;
    struct chy_test_set unless;
    bool has_unless;
};

/* A rule under one exact name that it wants. */
struct chy_rule_entry {
    struct chy_str name;
    uint32_t rule;
};

struct chy_rule_index {
    struct chy_rule_entry *p; /* by name, then by rule */
    size_t n;
};

/* Every rule is in one of the three: by the exact names of keys that it wants, else by those of
 * principals, else in `rest`. What is not looked up by name is a rule that would answer "no". */
struct chy_policy_rules {
    struct chy_arena arena;
    struct chy_command_set commands;
    struct chy_policy_doc doc;       /* own copy */
    struct chy_compiled_rule *rules; /* by name: an index is a rank */
    size_t n;
    struct chy_rule_index by_key;
    struct chy_rule_index by_principal;
    uint32_t *rest;
    size_t rest_n;
};

struct chy_policy_guard {
    struct chy_arena arena;
    struct chy_command_set commands;
    struct chy_policy_guard_doc doc;
    struct chy_test_set *alternatives;
    size_t n;
};

/* Yes where there is no guard. */
enum chy_truth chy_policy_guard_ask(const struct chy_policy_guard *guard, struct chy_asked *asked);
/* What the rule's own match and unless make of the request. A deny or a require applies unless
 * this is no; an allow applies if it is yes. */
enum chy_truth chy_compiled_rule_ask(const struct chy_compiled_rule *rule, struct chy_asked *asked);
bool chy_compiled_rule_applies(const struct chy_compiled_rule *rule, enum chy_truth truth);
bool chy_requirement_is_met(enum chy_requirement requirement,
                            const struct chy_policy_request *request);
