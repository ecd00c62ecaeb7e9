/* SPDX-License-Identifier: MIT */
/* A policy as its authors wrote it, typed. Its canonical form is that of codec/schema.h, with
 * rules by name and values in order, so that one meaning written in two orders has one hash; that
 * hash is SHA-256 of the canonical bytes. docs/formats/policy.md describes them.
 *
 * Within a set of matchers all must match; within a matcher one value is enough; a matcher that is
 * absent matches everything. Threads: pure. What is decoded borrows from bytes and arena. */
#pragma once

#include "proto/types.h"

#define CHY_POLICY_VERSION 1

/* On the wire: never renumber. */
enum chy_policy_effect {
    CHY_EFFECT_DENY = 1,
    CHY_EFFECT_ALLOW = 2,
    CHY_EFFECT_REQUIRE = 3,
};

enum chy_requirement {
    CHY_REQUIREMENT_NONE = 0,
    CHY_REQUIREMENT_REASON = 1,
    /* Known by name so that they can be refused by name: nothing fulfils them yet. */
    CHY_REQUIREMENT_APPROVALS = 2,
    CHY_REQUIREMENT_RELEASE = 3,
    CHY_REQUIREMENT_BUILDERS = 4,
    CHY_REQUIREMENT_PROVENANCE = 5,
    CHY_REQUIREMENT_SCAN = 6,
};

/* The weakest basis that a matcher believes. The default is `agent` where a match grants (an
 * allow, an unless, a guard), and `declared` where it refuses. */
enum chy_policy_basis {
    CHY_POLICY_BASIS_DEFAULT = 0,
    CHY_POLICY_BASIS_DECLARED = 1,
    CHY_POLICY_BASIS_AGENT = 2,
    CHY_POLICY_BASIS_SERVER = 3,
};

struct chy_fact_matcher {
    struct chy_strs value; /* patterns (glob.h) */
    enum chy_policy_basis basis;
};

struct chy_named_matcher {
    struct chy_str name; /* exact */
    struct chy_strs value;
    enum chy_policy_basis basis;
};

struct chy_application_matcher {
    struct chy_strs path;    /* patterns */
    struct chy_strs sha256;  /* 64 lower-case hex digits */
    struct chy_strs command; /* PCRE2, for the whole line */
    enum chy_policy_basis basis;
};

/* window.h says what it means. */
struct chy_policy_window {
    struct chy_str zone;    /* "Europe/Berlin" */
    struct chy_strs days;   /* "mon", "mon-fri"; none: every day */
    struct chy_str from;    /* "08:00"; empty: 00:00 */
    struct chy_str to;      /* "18:00"; empty: 24:00; not behind `from`: on the next day */
    struct chy_strs dates;  /* "2026-12-24", "2026-12-24..2027-01-01"; none: every date */
    struct chy_strs except; /* dates that are not in the window */
};

struct chy_policy_match {
    struct chy_strs key;
    struct chy_strs key_group;
    struct chy_strs key_type;
    struct chy_strs purpose;
    struct chy_strs algorithm;
    struct chy_strs principal;
    struct chy_strs group;
    struct chy_strs role;
    struct chy_strs method;
    struct chy_strs network; /* CIDR */
    const struct chy_fact_matcher *host;
    const struct chy_application_matcher *application;
    const struct chy_fact_matcher *artifact_type;
    CHY_LIST_OF(struct chy_named_matcher) label;
    CHY_LIST_OF(struct chy_named_matcher) fact;
    CHY_LIST_OF(struct chy_policy_window) window; /* one of them */
};

struct chy_policy_rule {
    struct chy_str name; /* letters, digits, '.', '_', '-'; unique */
    enum chy_policy_effect effect;
    enum chy_requirement requirement;
    struct chy_str description;
    struct chy_policy_match match;
    const struct chy_policy_match *unless; /* deny and require only */
};

struct chy_policy_doc {
    uint32_t version;
    CHY_LIST_OF(struct chy_policy_rule) rules;
};

/* What a key's owners allow at most: no allow works outside of all alternatives. */
struct chy_policy_guard_doc {
    uint32_t version;
    CHY_LIST_OF(struct chy_policy_match) alternatives;
};

extern const struct chy_enum chy_policy_effect_enum, chy_requirement_enum, chy_policy_basis_enum;
extern const struct chy_schema chy_policy_match_schema, chy_policy_rule_schema,
    chy_policy_doc_schema, chy_policy_guard_doc_schema;

/* What a table of fields cannot say of one rule, or of one set of matchers: names, patterns,
 * networks, dates, and that values are sorted. The text does not name the rule.
 * Errors: CHY_E_MALFORMED; CHY_E_LIMIT; CHY_E_UNSUPPORTED a requirement that is not built yet;
 * CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_policy_rule_check(const struct chy_policy_rule *rule,
                                                struct chy_error *err);
CHY_MUST_USE enum chy_err chy_policy_match_check(const struct chy_policy_match *match,
                                                 struct chy_error *err);

/* Without any matcher: it matches everything. */
bool chy_policy_match_is_open(const struct chy_policy_match *match);

/* An order of windows by what they say: <0, 0, >0. */
int chy_policy_window_compare(const struct chy_policy_window *a, const struct chy_policy_window *b);

/* Put the values of one set of matchers in order and drop repeated ones. Errors: CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_policy_match_sort(struct chy_policy_match *match,
                                                struct chy_arena *arena, struct chy_error *err);

/* Canonical bytes, of a document that is checked and in order; `out` wants CHY_LIMIT_POLICY.
 * Errors: as the checks; CHY_E_MALFORMED rules out of order or with one name; CHY_E_LIMIT. */
CHY_MUST_USE enum chy_err chy_policy_doc_encode(const struct chy_policy_doc *doc,
                                                struct chy_buf *out, struct chy_error *err);
/* Decodes and checks everything that encode does: what decodes encodes to the same bytes. */
CHY_MUST_USE enum chy_err chy_policy_doc_decode(struct chy_bytes in, struct chy_arena *arena,
                                                struct chy_policy_doc *ret_doc,
                                                struct chy_error *err);
/* The same for guards; alternatives keep their order. `out` wants 4 * CHY_LIMIT_GUARD: short
 * values grow. */
CHY_MUST_USE enum chy_err chy_policy_guard_encode(const struct chy_policy_guard_doc *doc,
                                                  struct chy_buf *out, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_policy_guard_decode(struct chy_bytes in, struct chy_arena *arena,
                                                  struct chy_policy_guard_doc *ret_doc,
                                                  struct chy_error *err);
