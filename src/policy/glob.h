/* SPDX-License-Identifier: MIT */
/* Patterns of names: '*' stands for any run of characters ('/' included), '?' for one character;
 * all else for itself, case included. There is no escape: '?' matches a literal '*' or '?'.
 * Threads: pure. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

/* Both are UTF-8. Takes at most pattern.n * text.n steps and no memory. */
bool chy_glob_match(struct chy_str pattern, struct chy_str text);
/* Whether the pattern has neither '*' nor '?'. */
bool chy_glob_is_exact(struct chy_str pattern);
