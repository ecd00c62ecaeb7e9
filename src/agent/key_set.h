/* SPDX-License-Identifier: MIT */
/* Keys as the door shows them, taken from the server's list: only those that sign, with a type that
 * the door can use. Immutable once made; made in a worker, then of one thread. */
#pragma once

#include "agent/workers.h"
#include "proto/door.h"

struct chy_held_key {
    struct chy_door_key door; /* its certificate lies beside it */
    struct chy_door_certificate certificate;
    struct chy_door_key signum; /* the same, as CHY_DOOR_NAMING_SIGNUM names it */
    struct chy_door_certificate signum_certificate;
    const uint32_t *authorities; /* places in the set's, of its chain */
    size_t n;
    size_t bytes; /* of it in a page, authorities left out */
};

struct chy_key_set {
    struct chy_arena arena;
    struct chy_held_key *keys; /* in the order of their names' bytes */
    size_t n;
    const struct chy_door_certificate *authorities; /* each once */
    size_t n_authorities;
    uint64_t revision; /* of the content: the same in every agent; never 0 */
    size_t left_out;   /* keys that the door cannot show */
    bool is_cut;       /* there are more than CHY_LIMIT_VISIBLE_KEYS */
};

/* All keys that may be used. Errors: of chy_worker_call(); CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_key_set_fetch(struct chy_worker *w, struct chy_key_set **ret_set,
                                            struct chy_error *err);
/* The one with this name, or this id, or both; none is no error. */
CHY_MUST_USE enum chy_err chy_key_set_fetch_one(struct chy_worker *w, struct chy_str name,
                                                struct chy_bytes id, struct chy_key_set **ret_set,
                                                struct chy_error *err);
/* From what a server answered; `keys` is borrowed for the call. Errors: CHY_E_NOMEM,
 * CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_key_set_make(const struct chy_key *keys, size_t n,
                                           struct chy_key_set **ret_set, struct chy_error *err);
void chy_key_set_free(struct chy_key_set *set);
void chy_key_set_freep(struct chy_key_set **set);

/* The key under the names that somebody wants. */
const struct chy_door_key *chy_held_key_named(const struct chy_held_key *held,
                                              enum chy_door_naming naming);
/* NULL if there is none; by its names under CHY_DOOR_NAMING_SIGNUM: label of the key or of the
 * certificate, or its own name, which the OpenSSL provider asks for; or id. Looks at all. */
const struct chy_held_key *chy_key_set_find_signum(const struct chy_key_set *set,
                                                   struct chy_str label, struct chy_bytes id);
/* NULL if there is none; what is empty fits all. */
const struct chy_held_key *chy_key_set_find(const struct chy_key_set *set, struct chy_str name,
                                            struct chy_bytes id);
/* The place of the first key behind `after` in the order of names. */
size_t chy_key_set_after(const struct chy_key_set *set, struct chy_str after);
