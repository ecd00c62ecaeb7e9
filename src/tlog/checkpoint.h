/* SPDX-License-Identifier: MIT */
/* Checkpoints: the head of a log, as the text of a signed note.
 *
 *   <origin>          the log's name, and that of the key which signs
 *   <size>            decimal
 *   <base64(root)>
 *   [<extension>]...  not empty; we write none and skip those of others
 *
 * Pure. Source: c2sp.org/tlog-checkpoint. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "tlog/merkle.h"
#include "tlog/note.h"

struct chy_tlog_checkpoint {
    struct chy_str origin; /* a view of what was parsed */
    uint64_t size;
    struct chy_tlog_hash root;
};

/* Errors: CHY_E_MALFORMED */
CHY_MUST_USE enum chy_err chy_tlog_checkpoint_parse(struct chy_str text,
                                                    struct chy_tlog_checkpoint *ret_checkpoint,
                                                    struct chy_error *err);
/* The text to be signed. False as chy_buf_append(). */
bool chy_tlog_checkpoint_append(struct chy_buf *out, const struct chy_tlog_checkpoint *checkpoint);

/* A signed checkpoint: the note must be signed by one of `keys` whose name is the origin.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_INTEGRITY, CHY_E_NOMEM as chy_tlog_note_open() */
CHY_MUST_USE enum chy_err chy_tlog_checkpoint_open(struct chy_bytes note,
                                                   const struct chy_tlog_vkey *keys, size_t n_keys,
                                                   struct chy_tlog_checkpoint *ret_checkpoint,
                                                   struct chy_error *err);
