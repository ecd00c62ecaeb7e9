/* SPDX-License-Identifier: MIT */
/* Patterns of command lines: PCRE2, UTF-8, anchored at both ends, interpreted (no code is made),
 * with bounded steps and memory. A match that passes a bound is unknown, never yes or no. The
 * bound of one pattern depends on how many there are, not on their order.
 * Threads: a set is immutable once sealed; a match allocates its own scratch. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "policy/truth.h"

struct chy_command; /* one compiled pattern */

struct chy_command_set {
    struct chy_command *first;
    size_t n;
    size_t bytes;
    void *context; /* how PCRE2 gets memory */
    void *limits;
};

/* Errors: CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_command_set_init(struct chy_command_set *set, struct chy_error *err);
void chy_command_set_done(struct chy_command_set *set);

/* The pattern is borrowed while the set lives; the command belongs to the set.
 * Errors: CHY_E_MALFORMED  the pattern is wrong; the text says what and where
 *         CHY_E_LIMIT      over CHY_LIMIT_COMPILED_PATTERNS bytes
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_command_set_add(struct chy_command_set *set, struct chy_str pattern,
                                              const struct chy_command **ret_command,
                                              struct chy_error *err);
/* To be called once, after the last add. */
void chy_command_set_seal(struct chy_command_set *set);

/* Unknown: over a limit, out of memory, or `text` is no UTF-8. */
enum chy_truth chy_command_match(const struct chy_command_set *set,
                                 const struct chy_command *command, struct chy_str text);
struct chy_str chy_command_pattern(const struct chy_command *command);

/* Whether the pattern compiles; for checks. Errors as add. */
CHY_MUST_USE enum chy_err chy_command_check(struct chy_str pattern, struct chy_error *err);
