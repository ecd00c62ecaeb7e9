/* SPDX-License-Identifier: MIT */
/* Policies from text, and the truth about a policy by a second, slow and plain implementation that
 * shares nothing with src/policy but the document. */
#pragma once

#include "policy/policy.h"
#include "policy/yaml.h"

#define NOW_US INT64_C(1795300000000000) /* 2026-11-21T22:26:40Z, a Saturday */
#define DAY_US INT64_C(86400000000)

/* Fails the test when the text is no policy. The result lives in the arena. */
struct chy_policy_doc policy_doc(const char *yaml, struct chy_arena *arena);
/* Compiled at NOW_US; to be freed. */
struct chy_policy_rules *policy_of(const char *yaml);
struct chy_policy_guard *guard_of(const char *yaml);
/* The error that the text gives; "" where it gives none. Lives until the next call. */
const char *policy_error(const char *yaml);
const char *guard_error(const char *yaml);
/* The canonical bytes; to be freed with chy_buf_done(). */
struct chy_buf canonical_of(const struct chy_policy_doc *doc);

enum {
    REF_NO,
    REF_UNKNOWN,
    REF_YES
};

int ref_guard(const struct chy_policy_guard_doc *guard, const struct chy_policy_request *request);
int ref_rule(const struct chy_policy_rule *rule, const struct chy_policy_request *request);
/* Compares nothing and cuts nothing: `rules` has room for all. */
enum chy_decision ref_decide(const struct chy_policy_doc *doc,
                             const struct chy_policy_guard_doc *guard,
                             const struct chy_policy_request *request, struct chy_str *rules,
                             size_t *rule_count);
/* What a clock on the wall says, by the C library. */
int ref_window(const struct chy_policy_window *window, int64_t time_us);
