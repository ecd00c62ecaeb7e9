/* SPDX-License-Identifier: MIT */
/* A command line as a fact: one line, known secrets taken out. Pure; not for secrets that must be
 * wiped. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

/* What stands for a secret. */
#define CHY_REDACTED "***"

/* Append the words of `command` (each ended by NUL, as the kernel has them) with blanks between.
 * A word with a blank, a quote, a backslash or nothing in it stands in single quotes, as a shell
 * wants it; control characters and what is no UTF-8 become '?'. What follows the options of the
 * table in redact.c becomes CHY_REDACTED. `out` is cut at its maximum, at a character, and then
 * ends in "...". False when memory is out. */
bool chy_command_redact(struct chy_bytes command, struct chy_buf *out);
