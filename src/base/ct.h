/* SPDX-License-Identifier: MIT */
/* What touches secret bytes: comparison whose time depends on the length alone, and a wipe that the
 * compiler must not drop. Compiled without link-time optimisation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Lengths are public; unequal lengths simply differ. */
bool chy_ct_equal(struct chy_bytes a, struct chy_bytes b);
void chy_wipe(void *p, size_t n);
