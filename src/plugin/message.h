/* SPDX-License-Identifier: MIT */
/* What a tool wants signed, as it comes on standard input: hashed part by part however long it is,
 * and kept whole as long as the server takes it along. Not shared. */
#pragma once

#include "base/arena.h"
#include "proto/api.h"

struct chy_message {
    struct chy_bytes digest;
    struct chy_bytes content; /* CHY_LIMIT_CONTENT at most; empty when it was longer */
    uint64_t size_bytes;
};

/* Read `fd` to its end. Errors: CHY_E_IO, CHY_E_NOMEM, CHY_E_ARG there is no such hash */
CHY_MUST_USE enum chy_err chy_message_read(int fd, enum chy_hash_alg hash, struct chy_arena *arena,
                                           struct chy_message *ret_message, struct chy_error *err);
/* The same of bytes at hand, which `content` borrows. */
CHY_MUST_USE enum chy_err chy_message_of(struct chy_bytes bytes, enum chy_hash_alg hash,
                                         struct chy_arena *arena, struct chy_message *ret_message,
                                         struct chy_error *err);

/* Put it into an item whose algorithm is set: what signs a message gets all of it.
 * Errors: CHY_E_LIMIT  a message of over CHY_LIMIT_CONTENT bytes for what signs messages */
CHY_MUST_USE enum chy_err chy_message_put(const struct chy_message *message,
                                          struct chy_sign_item *item, struct chy_error *err);

/* Read `fd` to its end into the arena. Errors: CHY_E_LIMIT over `max_bytes`; CHY_E_IO,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_input_read(int fd, size_t max_bytes, struct chy_arena *arena,
                                         struct chy_bytes *ret_bytes, struct chy_error *err);
