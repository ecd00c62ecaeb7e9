/* SPDX-License-Identifier: MIT */
/* The policy that a new server begins with: nothing may be signed, and a comment says how to go
 * on. */
#pragma once

#include "base/bytes.h"

/* YAML, static storage. */
struct chy_str chy_policy_default(void);
