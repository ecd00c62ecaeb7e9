/* SPDX-License-Identifier: MIT */
/* `chanceryd backup` and `restore`: everything that a server needs, in a plain folder with a
 * manifest.
 *
 * The copy is consistent although the server runs: first the anchor, then the store, then the
 * tokens. So the store is never older than the anchor, which a server would refuse, and every key
 * that the store names is in its token. Private to this folder. */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "codec/schema.h"

#define CHY_BACKUP_ARENA \
    ((size_t)16 * 1048576) /* for the manifest of CHY_LIMIT_BACKUP_FILES files */

struct chy_backup_result {
    struct chy_str to;
    uint64_t files;
    uint64_t size_bytes;
    struct chy_strs left_out; /* paths that the configuration names outside the data directory */
};

struct chy_restore_result {
    struct chy_str data;
    struct chy_str config; /* path */
    struct chy_str start;  /* the command that starts the server */
    uint64_t files;
    int64_t created_us;     /* when the backup was made */
    struct chy_str problem; /* what must be put right before it starts; empty: nothing */
};

extern const struct chy_schema chy_backup_result_schema, chy_restore_result_schema;

/* One of `config` (path of the file) and `data` (whose chanceryd.yaml it is) is NULL. `to` must be
 * new or empty, and outside the data directory.
 * Errors: CHY_E_EXISTS, CHY_E_ARG, CHY_E_TIMEOUT a token's lock was not free, those of reading the
 *         configuration, CHY_E_STORE, CHY_E_IO, CHY_E_LIMIT, CHY_E_NOMEM. What was made is
 *         removed. */
CHY_MUST_USE enum chy_err chy_backup(const char *config, const char *data, const char *to,
                                     struct chy_arena *arena, struct chy_backup_result *ret_result,
                                     struct chy_error *err);
void chy_backup_print(const void *result, FILE *out);

/* `data` must be new or empty. Nothing is written before the backup was found whole.
 * Errors: CHY_E_INTEGRITY the backup is not what its manifest lists; CHY_E_NOT_FOUND it has none,
 * and was
 *         broken off; CHY_E_EXISTS; others as above. What was made is removed. */
CHY_MUST_USE enum chy_err chy_restore(const char *from, const char *data, struct chy_arena *arena,
                                      struct chy_restore_result *ret_result, struct chy_error *err);
void chy_restore_print(const void *result, FILE *out);
