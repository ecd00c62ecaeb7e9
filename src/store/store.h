/* SPDX-License-Identifier: MIT */
/* The store: the log's leaves and tiles, and named objects (keys, principals, credentials,
 * policies). One interface; SQLite stands behind it today, PostgreSQL can. The signer has it open
 * for writing, query for reading; nobody else opens it.
 *
 * Everything that changes it stands between begin and commit; commit returns when the change is
 * durable. After a failed commit nobody knows what is on the disk: close the store and begin anew.
 *
 * Objects are bytes under (kind, name); what is in them is said by records.h. Not shared between
 * threads. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

struct chy_store;

enum chy_store_mode {
    CHY_STORE_CREATE, /* make a new one; CHY_E_EXISTS if there is one */
    CHY_STORE_WRITE,
    CHY_STORE_READ,
};

enum chy_object_kind {
    CHY_OBJECT_KEY = 1,        /* by name of the key */
    CHY_OBJECT_USER = 2,       /* by name of the principal */
    CHY_OBJECT_CREDENTIAL = 3, /* by hex of the credential's SHA-256 */
    CHY_OBJECT_CODE = 4,       /* enrolment code, by hex of the secret's SHA-256 */
    CHY_OBJECT_POLICY = 5,     /* by number, 20 digits */
    CHY_OBJECT_META = 6,       /* single facts, by name */
};

/* Open the store in the file at `path` and bring its schema up to this version (WRITE). Who opens
 * it for writing waits 5 s for readers of an older state, and has then all of it on the disk.
 * Errors: CHY_E_NOT_FOUND there is none; CHY_E_EXISTS; CHY_E_UNSUPPORTED it was written by a newer
 *         version; CHY_E_STORE a reader does not end, or anything else that SQLite says;
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_store_open(const char *path, enum chy_store_mode mode,
                                         struct chy_store **ret_store, struct chy_error *err);
void chy_store_close(struct chy_store *s);
void chy_store_closep(struct chy_store **s);

/* One transaction at a time. In READ mode begin and abort hold one consistent view for several
 * reads. Errors: CHY_E_STORE; CHY_E_STATE begin within a transaction, commit without one */
CHY_MUST_USE enum chy_err chy_store_begin(struct chy_store *s, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_store_commit(struct chy_store *s, struct chy_error *err);
/* Gives a transaction up; without one it does nothing. */
void chy_store_abort(struct chy_store *s);

/* --- the log --- */

/* Number of leaves. Errors: CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_log_size(struct chy_store *s, uint64_t *ret_size,
                                             struct chy_error *err);
/* Append the leaf with this index; it must be the next one. `detail` may be empty.
 * Errors: CHY_E_CONFLICT the index is taken or leaves a gap; CHY_E_LIMIT entry or detail over
 *         CHY_LIMIT_ENTRY; CHY_E_STATE no transaction; CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_log_append(struct chy_store *s, uint64_t index,
                                               struct chy_bytes entry, struct chy_bytes detail,
                                               struct chy_error *err);
/* Both come back in the arena; `ret_detail` may be NULL. Errors: CHY_E_NOT_FOUND, CHY_E_STORE,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_store_log_get(struct chy_store *s, uint64_t index,
                                            struct chy_arena *arena, struct chy_bytes *ret_entry,
                                            struct chy_bytes *ret_detail, struct chy_error *err);

/* Called for each leaf in order; the views live during the call. CHY_OK goes on; CHY_E_EXISTS ends
 * the walk without an error; anything else ends it with that error. */
typedef enum chy_err chy_store_leaf_fn(void *ctx, uint64_t index, struct chy_bytes entry,
                                       struct chy_bytes detail, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_store_log_walk(struct chy_store *s, uint64_t from, uint64_t count,
                                             chy_store_leaf_fn *fn, void *ctx,
                                             struct chy_error *err);
/* The same backwards, from the newest leaf with an index below `before`. */
CHY_MUST_USE enum chy_err chy_store_log_walk_back(struct chy_store *s, uint64_t before,
                                                  uint64_t count, chy_store_leaf_fn *fn, void *ctx,
                                                  struct chy_error *err);

/* Full hash tiles: 256 hashes of 32 bytes at (level, index); see c2sp.org/tlog-tiles.
 * Errors of put: CHY_E_ARG not 8,192 bytes, CHY_E_STATE, CHY_E_STORE; of get: CHY_E_NOT_FOUND,
 * CHY_E_STORE */
#define CHY_STORE_TILE_BYTES 8192
CHY_MUST_USE enum chy_err chy_store_tile_put(struct chy_store *s, unsigned level, uint64_t index,
                                             struct chy_bytes hashes, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_store_tile_get(struct chy_store *s, unsigned level, uint64_t index,
                                             uint8_t ret_hashes[CHY_STORE_TILE_BYTES],
                                             struct chy_error *err);

/* --- objects --- */

/* Make or replace. Errors: CHY_E_STATE no transaction, CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_put(struct chy_store *s, enum chy_object_kind kind,
                                        struct chy_str name, struct chy_bytes body,
                                        struct chy_error *err);
/* In the arena. Errors: CHY_E_NOT_FOUND, CHY_E_STORE, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_store_get(struct chy_store *s, enum chy_object_kind kind,
                                        struct chy_str name, struct chy_arena *arena,
                                        struct chy_bytes *ret_body, struct chy_error *err);
/* Errors: CHY_E_NOT_FOUND, CHY_E_STATE, CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_delete(struct chy_store *s, enum chy_object_kind kind,
                                           struct chy_str name, struct chy_error *err);
/* Objects of a kind in the order of names (bytewise), those behind `after` alone (empty: all); as
 * with chy_store_leaf_fn. The function may not change the store, and may read other objects. */
typedef enum chy_err chy_store_object_fn(void *ctx, struct chy_str name, struct chy_bytes body,
                                         struct chy_error *err);
CHY_MUST_USE enum chy_err chy_store_walk(struct chy_store *s, enum chy_object_kind kind,
                                         struct chy_str after, chy_store_object_fn *fn, void *ctx,
                                         struct chy_error *err);

/* A consistent copy of the whole store in a new file at `path`, while it is in use.
 * Errors: CHY_E_EXISTS, CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_copy(struct chy_store *s, const char *path,
                                         struct chy_error *err);

/* Between batches: fold the write-ahead log back into the database when it has grown. Cheap when it
 * has not. Errors: CHY_E_STORE */
CHY_MUST_USE enum chy_err chy_store_maintain(struct chy_store *s, struct chy_error *err);
