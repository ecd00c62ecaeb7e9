/* SPDX-License-Identifier: MIT */
/* SHA-256 of programs, kept as long as the file is the same: device, inode, size and times.
 * Threads: shared, guarded by its own mutex; nothing is read under it. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"

struct chy_programs;

CHY_MUST_USE enum chy_err chy_programs_new(struct chy_programs **ret_programs,
                                           struct chy_error *err);
void chy_programs_free(struct chy_programs *p);
void chy_programs_freep(struct chy_programs **p);

/* Of the file that is open at `fd`, read from its start. A file that is written meanwhile has none.
 * Errors: CHY_E_LIMIT     over CHY_LIMIT_PROGRAM bytes
 *         CHY_E_CONFLICT  it changed while it was read
 *         CHY_E_IO, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_programs_sha256(struct chy_programs *p, int fd,
                                              uint8_t ret_digest[CHY_HASH_BYTES],
                                              struct chy_error *err);
