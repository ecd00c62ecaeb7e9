/* SPDX-License-Identifier: MIT */
/* An entry of the log in one line, for people. The bytes are the evidence; this is a help. Pure. */
#pragma once

#include "base/arena.h"
#include "proto/entry.h"

/* At most 4 * CHY_LIMIT_TEXT bytes without control characters, in the arena; p is NULL when that is
 * full. `detail` may be NULL: pruned, or there was none. */
CHY_MUST_USE struct chy_str query_entry_text(const struct chy_entry *entry,
                                             const struct chy_entry_detail *detail,
                                             struct chy_arena *arena);
/* The key that an entry is about; empty: about none. */
struct chy_str query_entry_key(const struct chy_entry *entry);
