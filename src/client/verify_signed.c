/* SPDX-License-Identifier: MIT */
/* What was signed, of the forms whose signatures tools verify: no more than the log is searched by.
 * Here is what they share, and those that need no more than a few lines. */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "os/file.h"

/* --- shared --- */

static enum chy_err read_at(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                            struct chy_error *err)
{
    const struct chy_verify_input *input = ctx;
    return chy_file_pread(input->fd, to, n, offset, ret_n, err);
}

struct chy_format_source verify_source(const struct verify_run *run)
{
    return (struct chy_format_source){ run->input->size_bytes, read_at,
                                       CHY_UNCONST(struct chy_verify_input, run->input) };
}

enum chy_err verify_read(const struct verify_run *run, uint64_t offset, uint64_t size,
                         struct chy_bytes *ret, struct chy_error *err)
{
    return verify_read_most(run, offset, size, CHY_LIMIT_CMS, ret, err);
}

enum chy_err verify_read_most(const struct verify_run *run, uint64_t offset, uint64_t size,
                              uint64_t max, struct chy_bytes *ret, struct chy_error *err)
{
    size_t n = 0;
    if (size > max)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %llu bytes, %llu are the most",
                        (unsigned long long)size, (unsigned long long)max);
    uint8_t *bytes = chy_arena_array(run->arena, uint8_t, (size_t)size + 1);
    if (bytes == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    CHY_TRY(chy_file_pread(run->input->fd, bytes, (size_t)size, offset, &n, err));
    *ret = (struct chy_bytes){ bytes, n };
    return n == size ? CHY_OK : chy_fail(err, CHY_E_IO, "the file became shorter");
}

enum chy_err verify_signed_add(struct verify_run *run, enum chy_sign_alg alg,
                               struct chy_bytes signed_, struct chy_bytes signature,
                               struct chy_error *err)
{
    uint8_t sha256[CHY_HASH_BYTES];
    struct chy_bytes digest = signed_;
    struct chy_verify_signer *row = verify_signer_add(run);
    if (row == NULL)
        return chy_fail(err, CHY_E_LIMIT, "more than %d signers", CHY_LIMIT_VERIFY_SIGNERS);
    if (chy_sign_alg_takes_message(alg)) {
        CHY_TRY(chy_sha256(signed_, sha256, err));
        digest = (struct chy_bytes){ sha256, sizeof sha256 };
    }
    row->algorithm = alg;
    row->digest = chy_arena_bytes(run->arena, digest);
    if (row->digest.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signer");
    return chy_sha256(signature, row->signature_sha256, err);
}

enum chy_err verify_digest(struct verify_run *run, struct chy_error *err)
{
    uint8_t sha256[CHY_HASH_BYTES];
    const struct verify_ranges all = verify_whole(run);
    struct chy_verify_signer *row = verify_signer_add(run);
    CHY_ASSERT(row != NULL);
    CHY_TRY(verify_hash(run, &all, CHY_HASH_SHA256, sha256, err));
    row->digest = chy_arena_bytes(run->arena, (struct chy_bytes){ sha256, sizeof sha256 });
    return row->digest.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
}
