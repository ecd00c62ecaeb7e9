/* SPDX-License-Identifier: MIT */
/* One verification at work, in the child. */
#pragma once

#include "client/verify.h"
#include "crypto/hash.h"
#include "crypto/signed_data.h"
#include "format/place.h"
#include "format/zip_stream.h"

#define VERIFY_RANGES     4
#define VERIFY_PART_BYTES 65536 /* of verify_run.part */

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
    struct chy_bytes certificate; /* of chy_verify_found */
    uint8_t *part;                /* what of the file is being hashed */
};

/* The digest of these parts of the file; `out` has room for CHY_LIMIT_DIGEST bytes. */
CHY_MUST_USE enum chy_err verify_hash(const struct verify_run *run,
                                      const struct verify_ranges *ranges, enum chy_hash_alg alg,
                                      uint8_t *out, struct chy_error *err);
/* Add them to what is being hashed. */
CHY_MUST_USE enum chy_err verify_hash_add(const struct verify_run *run,
                                          const struct verify_ranges *ranges,
                                          struct chy_hasher *hasher, struct chy_error *err);
static inline struct verify_ranges verify_whole(const struct verify_run *run)
{
    return (struct verify_ranges){ { { 0, run->input->size_bytes } }, 1 };
}
/* A part of the file, in memory. Errors: CHY_E_LIMIT over CHY_LIMIT_CMS; CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err verify_read(const struct verify_run *run, uint64_t offset, uint64_t size,
                                      struct chy_bytes *ret, struct chy_error *err);
/* The same up to `max` bytes. */
CHY_MUST_USE enum chy_err verify_read_most(const struct verify_run *run, uint64_t offset,
                                           uint64_t size, uint64_t max, struct chy_bytes *ret,
                                           struct chy_error *err);
/* The file as what finds the places in it reads it. */
struct chy_format_source verify_source(const struct verify_run *run);
/* The next row; NULL past the limit. */
struct chy_verify_signer *verify_signer_add(struct verify_run *run);

/* Who it is, by the certificate. */
void verify_row_describe(struct chy_verify_signer *row, const struct chy_x509 *certificate);
/* Whether the trust file takes the name. Errors: CHY_E_FORBIDDEN */
CHY_MUST_USE enum chy_err verify_row_named(const struct verify_run *run,
                                           const struct chy_verify_signer *row,
                                           struct chy_error *err);
/* Good, or not and why: `r` is what came of its check. Errors: what says nothing of the signer */
CHY_MUST_USE enum chy_err verify_row_judge(struct verify_run *run, struct chy_verify_signer *row,
                                           enum chy_err r, const struct chy_error *why,
                                           struct chy_error *err);

/* Each signer of `data` becomes a row; what is signed is these parts of the file, or without
 * `ranges` `content`. */
CHY_MUST_USE enum chy_err verify_signed_data(struct verify_run *run,
                                             const struct chy_signed_data *data,
                                             struct chy_bytes content,
                                             const struct verify_ranges *ranges,
                                             struct chy_error *err);

/* A row of what was signed: the digest, or of Ed25519 the message. `signature` as our server gives
 * it. */
CHY_MUST_USE enum chy_err verify_signed_add(struct verify_run *run, enum chy_sign_alg alg,
                                            struct chy_bytes signed_, struct chy_bytes signature,
                                            struct chy_error *err);

/* Which of Windows' subject interface packages made it. */
struct verify_uuid {
    uint8_t bytes[16];
};
/* The digest that Authenticode's SpcIndirectDataContent is about, which was made by one of `uuids`
 * (none: of a PE). Errors: CHY_E_MALFORMED, CHY_E_UNSUPPORTED */
CHY_MUST_USE enum chy_err verify_indirect_read(const struct chy_signed_data *data,
                                               const struct verify_uuid *uuids, size_t n,
                                               enum chy_hash_alg *ret_alg,
                                               struct chy_bytes *ret_digest, struct chy_error *err);

/* Whether an archive reads the same from its front as by its directory (verify_stream.c).
 * Errors: as chy_zip_stream_check() */
CHY_MUST_USE enum chy_err verify_stream(const struct verify_run *run,
                                        enum chy_zip_descriptors descriptors,
                                        struct chy_error *err);

/* --- archives, by libzip (verify_jar.c) --- */

struct zip;
CHY_MUST_USE enum chy_err verify_archive_open(const struct verify_run *run, struct zip **ret_zip,
                                              struct chy_error *err);
void verify_archive_closep(struct zip **z);
/* One member, whole. Errors: CHY_E_MALFORMED, CHY_E_LIMIT over `max` bytes; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err verify_member_read(struct verify_run *run, struct zip *z,
                                             const char *name, size_t max, struct chy_bytes *ret,
                                             struct chy_error *err);
/* Add its content to what is being hashed. Errors: CHY_E_MALFORMED */
CHY_MUST_USE enum chy_err verify_member_hash(const struct verify_run *run, struct zip *z,
                                             const char *name, struct chy_hasher *hasher,
                                             struct chy_error *err);

/* --- one for each form --- */

enum chy_err verify_cms(struct verify_run *run, struct chy_error *err);
enum chy_err verify_raw(struct verify_run *run, struct chy_error *err);
enum chy_err verify_module(struct verify_run *run, struct chy_error *err);
enum chy_err verify_pe(struct verify_run *run, struct chy_error *err);
enum chy_err verify_jar(struct verify_run *run, struct chy_error *err);
enum chy_err verify_pkcs7(struct verify_run *run, struct chy_error *err);
enum chy_err verify_openpgp(struct verify_run *run, struct chy_error *err);
enum chy_err verify_cleartext(struct verify_run *run, struct chy_error *err);
enum chy_err verify_deb(struct verify_run *run, struct chy_error *err);
enum chy_err verify_rpm(struct verify_run *run, struct chy_error *err);
enum chy_err verify_ssh(struct verify_run *run, struct chy_error *err);
enum chy_err verify_apk(struct verify_run *run, struct chy_error *err);
enum chy_err verify_digest(struct verify_run *run, struct chy_error *err);
enum chy_err verify_xml(struct verify_run *run, struct chy_error *err);
enum chy_err verify_nuget(struct verify_run *run, struct chy_error *err);
enum chy_err verify_msix(struct verify_run *run, struct chy_error *err);
enum chy_err verify_script(struct verify_run *run, struct chy_error *err);
