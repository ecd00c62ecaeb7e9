/* SPDX-License-Identifier: MIT */
/* What programs that stand for GnuPG's say: on standard error, and as status lines. */
#pragma once

#include <stdarg.h>

#include "base/compiler.h"

#define CHY_GNUPG_STATUS "[GNUPG:] "

/* One line, with `lead` before it. A name, or what a server says, must not steer a terminal, nor be
 * taken for a line of its own by a program that believes status lines: control characters become
 * '?'. Past 2,047 bytes it is cut off. Where it cannot be written there is nobody to tell. */
CHY_PRINTF(3, 0)
void chy_gnupg_line(int fd, const char *lead, const char *fmt, va_list args);
