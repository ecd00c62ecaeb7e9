/* SPDX-License-Identifier: MIT */
/* Private to src/tlog: lines and numbers of its text formats. Each has one form only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Take the next line off `s`, without its newline; false if no newline is left. */
bool tlog_line_take(struct chy_str *s, struct chy_str *ret_line);
/* Drop `prefix` from the front; false if it is not there. */
bool tlog_text_skip(struct chy_str *s, struct chy_str prefix);
/* All of `s` is a decimal number without sign and leading zeros, at most CHY_LIMIT_LOG_SIZE. */
bool tlog_number_parse(struct chy_str s, uint64_t *ret_v);
/* Valid UTF-8, and no control character but newlines. */
bool tlog_text_is_valid(struct chy_str s);
