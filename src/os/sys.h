/* SPDX-License-Identifier: MIT */
/* What an errno means: our code for it, and its text. Pure. */
#pragma once

#include "base/err.h"

/* ENOENT: CHY_E_NOT_FOUND, EEXIST: CHY_E_EXISTS, ENOMEM: CHY_E_NOMEM, EMFILE and its like:
 * CHY_E_BUSY,
 * ETIMEDOUT: CHY_E_TIMEOUT; everything else is CHY_E_IO. */
enum chy_err chy_sys_code(int sys_errno);
/* In English, static storage, never NULL. */
const char *chy_sys_text(int sys_errno);
