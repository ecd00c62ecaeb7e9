/* SPDX-License-Identifier: MIT */
/* The manifest of a backup: every file in it with its SHA-256, and nothing that is not listed. It
 * is the last file written, so a backup without one was broken off. JSON, so that people and
 * `sha256sum` can read it. Private to this folder. */
#pragma once

#include "base/arena.h"
#include "codec/schema.h"
#include "crypto/hash.h"

#define MANIFEST_NAME   "manifest.json"
#define MANIFEST_FORMAT 1

struct manifest_file {
    struct chy_str path; /* below the folder, "store/chancery.db" */
    uint64_t size_bytes;
    uint8_t sha256[CHY_HASH_BYTES];
};

struct manifest {
    uint32_t format;
    struct chy_str version; /* of the chanceryd that wrote it */
    int64_t created_us;
    CHY_LIST_OF(struct manifest_file) files; /* sorted by path */
};

extern const struct chy_schema manifest_file_schema, manifest_schema;

/* Write it into the folder. Errors: CHY_E_EXISTS, CHY_E_IO, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err manifest_write(int dir_fd, const struct manifest *m,
                                         struct chy_error *err);
/* Errors: CHY_E_NOT_FOUND there is none; CHY_E_MALFORMED a path in it leaves the folder, or it is
 * no
 *         manifest; CHY_E_UNSUPPORTED of a later format; CHY_E_IO, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err manifest_read(int dir_fd, struct chy_arena *arena,
                                        struct manifest *ret_manifest, struct chy_error *err);

/* Hash one file. Errors: CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err manifest_hash(int dir_fd, const char *path,
                                        struct manifest_file *ret_file, struct chy_error *err);
/* Every file that is listed is there as it is listed, and no other.
 * Errors: CHY_E_INTEGRITY a file is missing, changed, or not listed; those of manifest_hash() and
 * of walking */
CHY_MUST_USE enum chy_err manifest_verify(int dir_fd, const struct manifest *m,
                                          struct chy_error *err);
/* The file of this path, NULL if it is not listed. */
const struct manifest_file *manifest_find(const struct manifest *m, struct chy_str path);
