/* SPDX-License-Identifier: MIT */
/* Names of keys by their ids: the store knows them by name alone. Made by reading all keys, and
 * made anew when an id is not in it, but only so often that this takes a small part of the time: a
 * new key may be found by its id a moment late. An id never changes, so what is in it holds until
 * the key is gone; whoever takes a name from here looks whether the key still has the id. Private
 * to src/query. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "codec/schema.h"
#include "store/store.h"

struct query_key_id {
    uint8_t id[CHY_ID_BYTES];
    struct chy_str name; /* in the arena */
};

/* Zeroed: nothing was read yet. */
struct query_key_ids {
    struct chy_arena arena;
    const struct query_key_id *rows; /* by id */
    size_t n;
    int64_t next_read_us; /* monotonic: not before this */
};

void query_key_ids_done(struct query_key_ids *ids);

/* Read them, unless it is too early for that. What was read before stays when this fails.
 * Errors: CHY_E_INTEGRITY a stored key does not decode; CHY_E_STORE, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err query_key_ids_read(struct query_key_ids *ids, struct chy_store *store,
                                             struct chy_error *err);
/* The name of the key with this id, until the next call; empty when there is none.
 * Errors: as above */
CHY_MUST_USE enum chy_err query_key_ids_find(struct query_key_ids *ids, struct chy_store *store,
                                             const uint8_t id[CHY_ID_BYTES],
                                             struct chy_str *ret_name, struct chy_error *err);
