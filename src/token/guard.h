/* SPDX-License-Identifier: MIT */
/* A guard for SoftHSM's token files. SoftHSM 2.6 writes `token.object` in place at every log-in:
 * the file is emptied and written anew. A process that is killed in between, or a power cut, leaves
 * it torn, and with it go the blobs from which the PIN opens the keys: all keys of the token are
 * lost. So a copy is kept beside the tokens, and put back when the file is torn.
 *
 *     DIR/tokens/<id>/token.object   SoftHSM's
 *     DIR/safe/<id>                  as it was after the last log-in that succeeded
 *
 * Call both under the token's lock (chy_module_lock_at()), when no other process can be logging
 * in. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* After a log-in: keep what is there now. A torn file is not kept.
 * Errors: CHY_E_IO, CHY_E_NOT_FOUND (no DIR/tokens), CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_guard_save(struct chy_str directory, struct chy_error *err);

/* Before the module starts: put back what is torn, that is, shorter than its copy or without
 * content. *ret_count: how many were. Errors: as above */
CHY_MUST_USE enum chy_err chy_guard_restore(struct chy_str directory, size_t *ret_count,
                                            struct chy_error *err);
