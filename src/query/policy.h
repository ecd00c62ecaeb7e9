/* SPDX-License-Identifier: MIT */
/* The policy in force, compiled once for each number and kept. Private to src/query. */
#pragma once

#include "query/call.h"

/* Lives until the next call of this. Errors: CHY_E_INTEGRITY, CHY_E_STORE, those of compiling */
CHY_MUST_USE enum chy_err query_policy_get(struct query_call *call,
                                           const struct chy_policy_rules **ret_rules,
                                           struct chy_error *err);
