/* SPDX-License-Identifier: MIT */
/* The anchor: the newest published checkpoint, in a file outside the store, so that a store that
 * was replaced by an older copy is noticed. Two slots, written in turn and made durable before a
 * checkpoint is shown to anybody; a torn write loses the newer slot at most, whose checkpoint
 * nobody has seen.
 *
 *   slot 0 at 0, slot 1 at 4096 (all integers big-endian)
 *     8 bytes   "CHYANCH1"
 *     u64       number of the write, from 1; the slot is number % 2
 *     u32       n, length of the checkpoint, up to CHY_ANCHOR_NOTE_BYTES
 *     32 bytes  SHA-256 of number, n and the checkpoint
 *     n bytes   the checkpoint, a signed note
 *
 * One writer (signer), any number of readers. Not shared between threads. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

#define CHY_ANCHOR_SLOT_BYTES 4096
#define CHY_ANCHOR_NOTE_BYTES (CHY_ANCHOR_SLOT_BYTES - 52)

struct chy_anchor;

/* Errors: CHY_E_NOT_FOUND reading, and there is no file; CHY_E_IO; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_anchor_open(const char *path, bool for_writing,
                                          struct chy_anchor **ret_anchor, struct chy_error *err);
void chy_anchor_close(struct chy_anchor *a);
void chy_anchor_closep(struct chy_anchor **a);

/* The newest checkpoint, in the arena; empty when none was ever written.
 * Errors: CHY_E_INTEGRITY  the file has content but no whole slot; CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_anchor_read(struct chy_anchor *a, struct chy_arena *arena,
                                          struct chy_bytes *ret_note, struct chy_error *err);
/* Durable when it returns. Errors: CHY_E_LIMIT, CHY_E_IO, CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_anchor_write(struct chy_anchor *a, struct chy_bytes note,
                                           struct chy_error *err);
