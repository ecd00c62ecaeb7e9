/* SPDX-License-Identifier: MIT */
/* The tree of the log as of the call's checkpoint. Private to src/query. */
#pragma once

#include "query/call.h"

/* The tree, checked against the checkpoint's root; it is kept, and grows with the checkpoints.
 * Lives until the next call of this.
 * Errors: CHY_E_NOT_FOUND no checkpoint was published yet
 *         CHY_E_INTEGRITY the store's log is not the one that was published; CHY_E_STORE,
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err query_tree_get(struct query_call *call, struct chy_tlog_tree **ret_tree,
                                         struct chy_error *err);
