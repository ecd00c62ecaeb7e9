/* SPDX-License-Identifier: MIT */
/* An entry of the log in one line, for people. The bytes are the evidence; this is a help. Pure. */
#pragma once

#include "base/arena.h"
#include "proto/entry.h"

/* At most 4 * CHY_LIMIT_TEXT bytes without control characters, in the arena; p is NULL when that is
 * full. `detail` may be NULL: pruned, or there was none; so may `application`, with which it was
 * signed. */
CHY_MUST_USE struct chy_str query_entry_text(const struct chy_entry *entry,
                                             const struct chy_entry_detail *detail,
                                             const struct chy_fact *application,
                                             struct chy_arena *arena);
/* What an intent's detail record says of the program: the fact application.path, of two that of the
 * stronger basis. It borrows from the record; NULL: nothing. */
const struct chy_fact *query_entry_application(const struct chy_entry_detail *detail);
/* The key that an entry is about; empty: about none. */
struct chy_str query_entry_key(const struct chy_entry *entry);
