/* SPDX-License-Identifier: MIT */
/* JSON as programs in Go write and read it: a member that is null is one that is not there, and
 * names that are not known are passed over, since both protocols add some without another
 * version. All else is as strict as src/doc. Pure. */
#pragma once

#include "base/arena.h"
#include "codec/schema.h"

/* Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM of chy_json_parse() and chy_doc_read() */
CHY_MUST_USE enum chy_err chy_go_json_read(const struct chy_schema *schema, struct chy_bytes in,
                                           struct chy_arena *arena, void *ret_value,
                                           struct chy_error *err);
