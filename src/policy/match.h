/* SPDX-License-Identifier: MIT */
/* Sets of matchers, compiled, and their three-valued evaluation. Private to this folder: policy.h
 * is the way in. A compiled set is immutable and borrows from its document and its arena. */
#pragma once

#include "policy/command.h"
#include "policy/document.h"
#include "policy/network.h"
#include "policy/policy.h"
#include "policy/truth.h"
#include "policy/window.h"

/* In the order in which they are tried: the cheap ones, which fail most often, first. */
enum chy_test_kind {
    CHY_TEST_KEY,
    CHY_TEST_PRINCIPAL,
    CHY_TEST_ALGORITHM,
    CHY_TEST_KEY_TYPE,
    CHY_TEST_METHOD,
    CHY_TEST_PURPOSE,
    CHY_TEST_KEY_GROUP,
    CHY_TEST_GROUP,
    CHY_TEST_ROLE,
    CHY_TEST_NETWORK,
    CHY_TEST_HOST,
    CHY_TEST_ARTIFACT_TYPE,
    CHY_TEST_APPLICATION_PATH,
    CHY_TEST_APPLICATION_SHA256,
    CHY_TEST_LABEL,
    CHY_TEST_FACT,
    CHY_TEST_WINDOW,
    CHY_TEST_COMMAND,
};

#define CHY_TEST_SUBJECTS CHY_TEST_NETWORK /* those before it ask of who and of which key */
#define CHY_TEST_KINDS    (CHY_TEST_COMMAND + 1)

/* Most patterns are a name, or the beginning of one: those need no walk with a way back. */
enum chy_pattern_kind {
    CHY_PATTERN_EXACT,
    CHY_PATTERN_PREFIX, /* one '*', at the end */
    CHY_PATTERN_GLOB,
};

struct chy_pattern {
    struct chy_str text;  /* as written */
    struct chy_str fixed; /* of PREFIX: what stands before the '*' */
    enum chy_pattern_kind kind;
};

struct chy_test {
    enum chy_test_kind kind;
    /* Of ALGORITHM, in an allow or a guard: rsa-pkcs1-raw matches by its name alone, not by a
     * pattern, nor where nothing is said of algorithms (then n is 0). */
    bool is_strict;
    enum chy_basis need; /* of a fact: the weakest that is believed */
    struct chy_str name; /* of a label or a fact */
    uint8_t statement;   /* number of what is said of that; 0: it has none */
    size_t n;
    union {
        const struct chy_pattern *patterns;
        const struct chy_network *networks;
        const struct chy_spans *const *windows;
        const struct chy_command *const *commands;
    } values;
    const struct chy_command_set *commands; /* of CHY_TEST_COMMAND */
};

struct chy_test_set {
    struct chy_test *p;
    size_t n;
    uint16_t *answers; /* of each test the number of its answer in common; 0: it has none */
};

/* What a decision keeps. */
#define CHY_TEST_ANSWERS    2048
#define CHY_TEST_STATEMENTS 32

/* What is said of one fact. */
struct chy_statement {
    struct chy_str value;
    enum chy_basis basis; /* the strongest */
    bool is_stated;
    bool is_contradictory; /* two values */
};

/* A request, looked up once for all rules. Borrows from the request. */
struct chy_asked {
    const struct chy_policy_request *request;
    struct chy_strs subjects[CHY_TEST_SUBJECTS];
    struct chy_str singles[CHY_TEST_SUBJECTS]; /* what a subject of one text points to */
    bool is_known[CHY_TEST_SUBJECTS];
    struct chy_statement stated[CHY_TEST_KINDS]; /* of facts with a matcher of their own */
    uint8_t address[CHY_ADDRESS_BYTES];
    bool has_address;
    bool is_raw; /* rsa-pkcs1-raw is asked for */
    /* By number: 0 where it was not asked yet, else one more than enum chy_truth. */
    uint8_t answers[CHY_TEST_ANSWERS];
    /* By number likewise: where `is_heard`. */
    struct chy_statement statements[CHY_TEST_STATEMENTS];
    bool is_heard[CHY_TEST_STATEMENTS];
};

struct chy_zone_slot;
struct chy_window_slot;

/* What becomes of a request that a set matches. */
enum chy_match_use {
    CHY_MATCH_REFUSES, /* a deny, a require: what is declared is believed */
    CHY_MATCH_EXEMPTS, /* an unless */
    CHY_MATCH_GRANTS,  /* an allow, an alternative of a guard: its algorithms are strict */
};

/* What the sets of one policy, or one guard, share while they are compiled. */
struct chy_match_compiler {
    struct chy_arena *arena;
    struct chy_command_set *commands;
    int64_t now_us;
    struct chy_zone_slot *zones;     /* a list */
    struct chy_window_slot *windows; /* sorted by what they say */
    size_t window_count;
    struct chy_error *err;
};

void chy_match_compiler_done(struct chy_match_compiler *c);
/* Errors: CHY_E_MALFORMED no such time zone; CHY_E_LIMIT; CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_match_compile(struct chy_match_compiler *c,
                                            const struct chy_policy_match *match,
                                            enum chy_match_use use, struct chy_test_set *ret_set);

/* The rules of a policy tend to say the same few things: "purpose: release", one network, one
 * window. Tests that are equal get one number, and are then asked once for a request; so do the
 * names of labels and facts. Where there are more than a decision keeps, the rest stays without.
 * Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_match_share(struct chy_test_set *const *sets, size_t n,
                                          struct chy_error *err);

void chy_asked_init(struct chy_asked *asked, const struct chy_policy_request *request);
enum chy_truth chy_test_ask(const struct chy_test *test, struct chy_asked *asked);
/* All tests; a set without tests is matched by everything. */
enum chy_truth chy_test_set_ask(const struct chy_test_set *set, struct chy_asked *asked);
/* What is said of the fact or label that the test is about. */
struct chy_statement chy_test_statement(const struct chy_test *test, struct chy_asked *asked);
const char *chy_test_name(enum chy_test_kind kind);
bool chy_test_is_of_fact(enum chy_test_kind kind);
