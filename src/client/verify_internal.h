/* SPDX-License-Identifier: MIT */
/* One verification at work, in the child. */
#pragma once

#include "client/verify.h"
#include "crypto/hash.h"
#include "crypto/signed_data.h"

#define VERIFY_RANGES 4

/* What of the file is covered by a signature; in order. */
struct verify_ranges {
    struct {
        uint64_t offset;
        uint64_t size;
    } p[VERIFY_RANGES];
    size_t n;
};

struct verify_run {
    const struct chy_verify_input *input;
    struct chy_arena *arena;
    struct chy_verify_signer *signers; /* CHY_LIMIT_VERIFY_SIGNERS of them */
    size_t n;
};

/* The digest of these parts of the file; `out` has room for CHY_LIMIT_DIGEST bytes. */
CHY_MUST_USE enum chy_err verify_hash(const struct verify_run *run,
                                      const struct verify_ranges *ranges, enum chy_hash_alg alg,
                                      uint8_t *out, struct chy_error *err);
/* The next row; NULL past the limit. */
struct chy_verify_signer *verify_signer_add(struct verify_run *run);

/* Each signer of `data` becomes a row; what is signed is these parts of the file, or without
 * `ranges` `content`. */
CHY_MUST_USE enum chy_err verify_signed_data(struct verify_run *run,
                                             const struct chy_signed_data *data,
                                             struct chy_bytes content,
                                             const struct verify_ranges *ranges,
                                             struct chy_error *err);

/* --- one for each form --- */

enum chy_err verify_cms(struct verify_run *run, struct chy_error *err);
enum chy_err verify_raw(struct verify_run *run, struct chy_error *err);
enum chy_err verify_module(struct verify_run *run, struct chy_error *err);
enum chy_err verify_pe(struct verify_run *run, struct chy_error *err);
enum chy_err verify_jar(struct verify_run *run, struct chy_error *err);
enum chy_err verify_pkcs7(struct verify_run *run, struct chy_error *err);
