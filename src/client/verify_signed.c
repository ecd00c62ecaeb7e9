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
    size_t n = 0;
    if (size > CHY_LIMIT_CMS)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %llu bytes, %d are the most",
                        (unsigned long long)size, CHY_LIMIT_CMS);
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

/* --- APK: the value of a scheme is a run of signers, each behind its length (u32 little-endian):
 *
 *   signer     | signed data | v3: oldest u32 | v3: newest u32 | signatures | public key |
 *   signature  | algorithm u32 | signature |
 *
 * Signed is the signed data without its length. Source: Android's "APK Signature Scheme v2", v3 */

static bool take_u32le(struct chy_bytes *in, uint32_t *ret)
{
    if (in->n < 4)
        return false;
    *ret = (uint32_t)in->p[0] | (uint32_t)in->p[1] << 8 | (uint32_t)in->p[2] << 16 |
           (uint32_t)in->p[3] << 24;
    *in = (struct chy_bytes){ in->p + 4, in->n - 4 };
    return true;
}

static bool take_value(struct chy_bytes *in, struct chy_bytes *ret)
{
    uint32_t n;
    if (!take_u32le(in, &n) || n > in->n)
        return false;
    *ret = (struct chy_bytes){ in->p, n };
    *in = (struct chy_bytes){ in->p + n, in->n - n };
    return true;
}

static enum chy_sign_alg apk_alg(uint32_t number)
{
    static const struct {
        uint32_t number;
        enum chy_sign_alg alg;
    } algs[] = {
        { 0x0101, CHY_ALG_RSA_PSS_SHA256 },   { 0x0102, CHY_ALG_RSA_PSS_SHA512 },
        { 0x0103, CHY_ALG_RSA_PKCS1_SHA256 }, { 0x0104, CHY_ALG_RSA_PKCS1_SHA512 },
        { 0x0201, CHY_ALG_ECDSA_SHA256 },     { 0x0202, CHY_ALG_ECDSA_SHA512 },
        { 0x0421, CHY_ALG_RSA_PKCS1_SHA256 }, { 0x0423, CHY_ALG_ECDSA_SHA256 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(algs); i++) {
        if (algs[i].number == number)
            return algs[i].alg;
    }
    return CHY_ALG_NONE;
}

static enum chy_err apk_broken(struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "the package's signing block does not hold together");
}

static enum chy_err apk_signature(struct verify_run *run, struct chy_bytes in,
                                  struct chy_bytes signed_data, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_bytes signature;
    uint32_t number;
    if (!take_u32le(&in, &number) || !take_value(&in, &signature))
        return apk_broken(err);
    enum chy_sign_alg alg = apk_alg(number);
    if (alg == CHY_ALG_NONE) /* DSA's, which no server of ours made, or of schemes to come */
        return CHY_OK;
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    CHY_TRY(chy_hash(hash, signed_data, digest, err));
    return verify_signed_add(run, alg, (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) },
                             signature, err);
}

static enum chy_err apk_signer(struct verify_run *run, struct chy_bytes in, bool is_v2,
                               struct chy_error *err)
{
    struct chy_bytes signed_data;
    struct chy_bytes signatures;
    struct chy_bytes one;
    uint32_t least_sdk;
    uint32_t most_sdk;
    if (!take_value(&in, &signed_data) ||
        (!is_v2 && (!take_u32le(&in, &least_sdk) || !take_u32le(&in, &most_sdk))) ||
        !take_value(&in, &signatures))
        return apk_broken(err);
    while (signatures.n != 0) {
        if (!take_value(&signatures, &one))
            return apk_broken(err);
        CHY_TRY(apk_signature(run, one, signed_data, err));
    }
    return CHY_OK;
}

/* Its number stands in front of a scheme's value. */
static enum chy_err apk_scheme(struct verify_run *run, const struct chy_format_range *at,
                               struct chy_error *err)
{
    struct chy_bytes in;
    struct chy_bytes signers;
    struct chy_bytes one;
    uint32_t number;
    CHY_TRY(verify_read(run, at->offset - sizeof number, at->size + sizeof number, &in, err));
    if (!take_u32le(&in, &number) || !take_value(&in, &signers))
        return apk_broken(err);
    while (signers.n != 0) {
        if (!take_value(&signers, &one))
            return apk_broken(err);
        CHY_TRY(apk_signer(run, one, number == CHY_FORMAT_APK_V2, err));
    }
    return CHY_OK;
}

enum chy_err verify_apk(struct verify_run *run, struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct chy_format_place place;
    CHY_TRY(chy_format_apk_place(&source, &place, err));
    for (size_t i = 0; i < place.n_signatures; i++)
        CHY_TRY(apk_scheme(run, &place.signatures[i], err));
    return CHY_OK;
}
