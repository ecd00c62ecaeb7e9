/* SPDX-License-Identifier: MIT */
/* What the two load programs share: options that are numbers or texts, the clock, and an end with a
 * message. They are tools of ours, run by bench/bench: every option is named `--NAME VALUE`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct option_row {
    const char *name;
    const char **text; /* one of the two */
    unsigned *number;
};

/* All of `--NAME VALUE`; what is not in the table, or no number where one stands, ends the program.
 */
void options_read(int count, char **arguments, const struct option_row *rows, size_t n);

CHY_NORETURN CHY_PRINTF(1, 2) void die(const char *format, ...);
uint64_t clock_ns(void);
