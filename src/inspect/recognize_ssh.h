/* SPDX-License-Identifier: MIT */
/* What SSH has a key sign, by its shape. Pure. */
#pragma once

#include "base/bytes.h"

/* One of CHY_CONTENT_SSH_...; NULL for what is none of them. */
const char *inspect_recognize_ssh(struct chy_bytes content);
