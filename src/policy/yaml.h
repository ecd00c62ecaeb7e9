/* SPDX-License-Identifier: MIT */
/* Policies and guards as their authors write them: YAML, docs/policy.md. For inspect and the
 * command only: it parses what comes from outside. Threads: pure. */
#pragma once

#include "policy/document.h"

/* The document, checked and in canonical order. It borrows from the text and the arena
 * (CHY_LIMIT_ARENA). Error texts begin with "line N: " where one line is to blame.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_UNSUPPORTED, CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_policy_from_yaml(struct chy_bytes text, struct chy_arena *arena,
                                               struct chy_policy_doc *ret_doc,
                                               struct chy_error *err);
/* A guard is a list of sets of matchers. */
CHY_MUST_USE enum chy_err chy_policy_guard_from_yaml(struct chy_bytes text, struct chy_arena *arena,
                                                     struct chy_policy_guard_doc *ret_doc,
                                                     struct chy_error *err);
