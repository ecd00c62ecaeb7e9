/* SPDX-License-Identifier: MIT */
/* A secret: a PIN, an API token, a key file's content. Lives on pages of its own that are locked,
 * left out of core dumps, wiped in a forked child, and wiped when freed. Nothing prints one; it is
 * never put into a chy_buf, an error text or a log field. Not shared. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_secret;

/* `cap` bytes of room, 1 to CHY_LIMIT_SECRET.
 * Errors: CHY_E_ARG   cap is 0 or over the limit
 *         CHY_E_NOMEM no memory, or the pages cannot be locked (RLIMIT_MEMLOCK) */
CHY_MUST_USE enum chy_err chy_secret_new(size_t cap, struct chy_secret **ret_secret,
                                         struct chy_error *err);
void chy_secret_free(struct chy_secret *s);
void chy_secret_freep(struct chy_secret **s);

/* Where to write, chy_secret_cap() bytes; then say how many were written. */
uint8_t *chy_secret_room(struct chy_secret *s);
size_t chy_secret_cap(const struct chy_secret *s);
void chy_secret_set_len(struct chy_secret *s, size_t n);
/* Lives until the secret is freed. */
struct chy_bytes chy_secret_bytes(const struct chy_secret *s);
