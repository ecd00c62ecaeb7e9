/* SPDX-License-Identifier: MIT */
/* Android packages: who signed, by which certificate, and that it is this very file. The value of a
 * scheme is a run of signers; all that has a length has it in front (u32 little-endian):
 *
 *   signer      | signed data | v3: oldest u32 | v3: newest u32 | signatures | public key |
 *   signature   | algorithm u32 | signature |
 *   signed data | digests | certificates | v3: oldest u32 | v3: newest u32 | attributes |
 *   digest      | algorithm u32 | digest |
 *
 * Signed is the signed data without its length. A digest is that of the digests of pieces of 1 MiB
 * of each part of the file. Android knows no authorities: a certificate is believed when the trust
 * file has it. Source: Android's "APK Signature Scheme v2", v3 and v3.1 */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "crypto/pubkey.h"
#include "crypto/x509.h"

#define CHUNK_BYTES        1048576
#define CHUNK_MARK         0xa5
#define TOP_MARK           0x5a
#define DIRECTORY_PLACE_AT 16 /* in the end record: u32, where the directory is */

/* What the signers of all schemes have in common. */
struct apk {
    struct verify_run *run;
    struct chy_format_place place;
    struct chy_bytes end; /* the end record as it was without the block */
    struct {
        bool is_made;
        uint8_t digest[CHY_LIMIT_DIGEST];
    } content[CHY_HASH_SHA512 + 1];
};

struct apk_signer {
    struct chy_bytes signed_data;
    struct chy_bytes signatures;
    struct chy_bytes public_key;
    struct chy_bytes digests; /* from here on: of the signed data */
    struct chy_x509 certificate;
};

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

static enum chy_err broken(struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "the package's signing block does not hold together");
}

/* Not DSA's, and not those whose digest is a tree for fs-verity: apksigner makes these beside the
 * others, and never alone. */
static enum chy_sign_alg alg_of(uint32_t number)
{
    static const struct {
        uint32_t number;
        enum chy_sign_alg alg;
    } algs[] = {
        { 0x0101, CHY_ALG_RSA_PSS_SHA256 },   { 0x0102, CHY_ALG_RSA_PSS_SHA512 },
        { 0x0103, CHY_ALG_RSA_PKCS1_SHA256 }, { 0x0104, CHY_ALG_RSA_PKCS1_SHA512 },
        { 0x0201, CHY_ALG_ECDSA_SHA256 },     { 0x0202, CHY_ALG_ECDSA_SHA512 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(algs); i++) {
        if (algs[i].number == number)
            return algs[i].alg;
    }
    return CHY_ALG_NONE;
}

/* --- the file --- */

static void le32_put(uint8_t *to, uint64_t v)
{
    for (size_t i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static void head_add(struct chy_hasher *hasher, uint8_t mark, uint64_t v)
{
    uint8_t head[5] = { mark };
    le32_put(head + 1, v);
    chy_hasher_add(hasher, (struct chy_bytes){ head, sizeof head });
}

static enum chy_err chunks_add(const struct apk *apk, struct chy_format_range part,
                               enum chy_hash_alg alg, struct chy_hasher *chunk,
                               struct chy_hasher *top, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    while (part.size != 0) {
        uint64_t n = CHY_MIN(part.size, (uint64_t)CHUNK_BYTES);
        const struct verify_ranges ranges = { { { part.offset, n } }, 1 };
        head_add(chunk, CHUNK_MARK, n);
        CHY_TRY(verify_hash_add(apk->run, &ranges, chunk, err));
        chy_hasher_end(chunk, digest);
        chy_hasher_add(top, (struct chy_bytes){ digest, chy_hash_alg_bytes(alg) });
        part.offset += n;
        part.size -= n;
    }
    return CHY_OK;
}

static uint64_t chunks_of(uint64_t size)
{
    return (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

static enum chy_err content_hash(const struct apk *apk, enum chy_hash_alg alg, uint8_t *out,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *chunk = NULL;
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *top = NULL;
    uint8_t digest[CHY_LIMIT_DIGEST];
    const struct chy_format_range *parts = apk->place.covered;
    CHY_TRY(chy_hasher_new(alg, &chunk, err));
    CHY_TRY(chy_hasher_new(alg, &top, err));
    head_add(top, TOP_MARK, chunks_of(parts[0].size) + chunks_of(parts[1].size) + 1);
    CHY_TRY(chunks_add(apk, parts[0], alg, chunk, top, err));
    CHY_TRY(chunks_add(apk, parts[1], alg, chunk, top, err));
    head_add(chunk, CHUNK_MARK, apk->end.n);
    chy_hasher_add(chunk, apk->end);
    chy_hasher_end(chunk, digest);
    chy_hasher_add(top, (struct chy_bytes){ digest, chy_hash_alg_bytes(alg) });
    chy_hasher_end(top, out);
    return CHY_OK;
}

/* Each digest that we know must be the file's. */
static enum chy_err content_check(struct apk *apk, struct chy_bytes digests, struct chy_error *err)
{
    struct chy_bytes one;
    struct chy_bytes said;
    uint32_t number;
    size_t n = 0;
    while (digests.n != 0) {
        if (!take_value(&digests, &one) || !take_u32le(&one, &number) || !take_value(&one, &said))
            return broken(err);
        enum chy_hash_alg alg = chy_sign_alg_hash(alg_of(number));
        if (alg == CHY_HASH_NONE)
            continue;
        if (!apk->content[alg].is_made)
            CHY_TRY(content_hash(apk, alg, apk->content[alg].digest, err));
        apk->content[alg].is_made = true;
        if (!chy_bytes_equal(
                said, (struct chy_bytes){ apk->content[alg].digest, chy_hash_alg_bytes(alg) }))
            return chy_fail(err, CHY_E_INTEGRITY, "the file is not what was signed");
        n++;
    }
    return n != 0 ? CHY_OK
                  : chy_fail(err, CHY_E_UNSUPPORTED, "it has no digest of a kind that we know");
}

/* --- who signed --- */

static enum chy_err signer_read(struct apk *apk, struct chy_bytes in, bool is_v2,
                                struct apk_signer *ret, struct chy_error *err)
{
    struct chy_bytes data;
    struct chy_bytes certificates;
    struct chy_bytes der;
    uint32_t ours[2] = { 0 };
    uint32_t theirs[2] = { 0 };
    if (!take_value(&in, &ret->signed_data) ||
        (!is_v2 && (!take_u32le(&in, &ours[0]) || !take_u32le(&in, &ours[1]))) ||
        !take_value(&in, &ret->signatures) || !take_value(&in, &ret->public_key))
        return broken(err);
    data = ret->signed_data;
    if (!take_value(&data, &ret->digests) || !take_value(&data, &certificates) ||
        (!is_v2 && (!take_u32le(&data, &theirs[0]) || !take_u32le(&data, &theirs[1]))) ||
        !take_value(&certificates, &der) || ours[0] != theirs[0] || ours[1] != theirs[1])
        return broken(err);
    CHY_TRY(chy_x509_parse(apk->run->arena, der, &ret->certificate, err));
    if (!chy_bytes_equal(ret->certificate.spki, ret->public_key))
        return chy_fail(err, CHY_E_MALFORMED, "the package's public key is another certificate's");
    return CHY_OK;
}

/* Android takes a certificate whenever it is or was in time: so do we. */
static enum chy_err certificate_believe(const struct apk *apk, const struct chy_verify_signer *row,
                                        struct chy_error *err)
{
    if (!chy_trust_store_has(apk->run->input->trust->roots, row->certificate_sha256))
        return chy_fail(err, CHY_E_FORBIDDEN, "the signer's certificate is not in the trust file");
    return verify_row_named(apk->run, row, err);
}

static enum chy_err signature_check(struct apk *apk, const struct apk_signer *signer,
                                    const struct chy_verify_signer *row, struct chy_bytes signature,
                                    struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *key = NULL;
    CHY_TRY(chy_pubkey_from_spki(signer->public_key, &key, err));
    CHY_TRY(chy_pubkey_verify(key, row->algorithm, CHY_SIGNATURE_DER, signer->signed_data,
                              signature, err));
    CHY_TRY(content_check(apk, signer->digests, err));
    return certificate_believe(apk, row, err);
}

/* A row for each: the log knows them one by one. */
static enum chy_err signature_row(struct apk *apk, const struct apk_signer *signer,
                                  struct chy_bytes in, size_t *n, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_bytes signature;
    struct chy_error why;
    uint32_t number;
    if (!take_u32le(&in, &number) || !take_value(&in, &signature))
        return broken(err);
    enum chy_sign_alg alg = alg_of(number);
    if (alg == CHY_ALG_NONE)
        return CHY_OK;
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    CHY_TRY(chy_hash(hash, signer->signed_data, digest, err));
    CHY_TRY(verify_signed_add(apk->run, alg, (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) },
                              signature, err));
    ++*n;
    struct chy_verify_signer *row = &apk->run->signers[apk->run->n - 1];
    verify_row_describe(row, &signer->certificate);
    enum chy_err r = signature_check(apk, signer, row, signature, &why);
    return verify_row_judge(apk->run, row, r, &why, err);
}

static enum chy_err signer_verify(struct apk *apk, struct chy_bytes in, bool is_v2,
                                  struct chy_error *err)
{
    struct apk_signer *signer = chy_arena_new(apk->run->arena, struct apk_signer);
    struct chy_bytes one;
    size_t n = 0;
    if (signer == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signer");
    CHY_TRY(signer_read(apk, in, is_v2, signer, err));
    for (struct chy_bytes rest = signer->signatures; rest.n != 0;) {
        if (!take_value(&rest, &one))
            return broken(err);
        CHY_TRY(signature_row(apk, signer, one, &n, err));
    }
    return n != 0 ? CHY_OK
                  : chy_fail(err, CHY_E_UNSUPPORTED, "it has no signature of a kind that we know");
}

/* Its number stands in front of a scheme's value. */
static enum chy_err scheme_verify(struct apk *apk, const struct chy_format_range *at,
                                  struct chy_error *err)
{
    struct chy_bytes in;
    struct chy_bytes signers;
    struct chy_bytes one;
    uint32_t number;
    CHY_TRY(verify_read(apk->run, at->offset - sizeof number, at->size + sizeof number, &in, err));
    if (!take_u32le(&in, &number) || !take_value(&in, &signers) || signers.n == 0)
        return broken(err);
    while (signers.n != 0) {
        if (!take_value(&signers, &one))
            return broken(err);
        CHY_TRY(signer_verify(apk, one, number == CHY_FORMAT_APK_V2, err));
    }
    return CHY_OK;
}

/* --- v1 --- */

/* Signed as a JAR; whom to believe is the same as of the other schemes. */
static enum chy_err v1_verify(struct verify_run *run, struct chy_error *err)
{
    CHY_TRY(verify_jar(run, err));
    for (size_t i = 0; i < run->n; i++) {
        struct chy_verify_signer *row = &run->signers[i];
        if (!row->is_good || chy_trust_store_has(run->input->trust->roots, row->certificate_sha256))
            continue;
        row->is_good = false;
        row->problem = chy_str_of(chy_err_type(CHY_E_FORBIDDEN));
        row->detail = CHY_STR("the signer's certificate is not in the trust file");
    }
    return CHY_OK;
}

enum chy_err verify_apk(struct verify_run *run, struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct apk apk = { .run = run };
    enum chy_err r = chy_format_apk_place(&source, &apk.place, err);
    if (r == CHY_E_NOT_FOUND)
        return v1_verify(run, err);
    if (r != CHY_OK)
        return r;
    const struct chy_format_range *end = &apk.place.covered[2];
    CHY_TRY(verify_read(run, end->offset, end->size, &apk.end, err));
    le32_put(CHY_UNCONST(uint8_t, apk.end.p) + DIRECTORY_PLACE_AT, apk.place.covered[0].size);
    for (size_t i = 0; i < apk.place.n_signatures; i++)
        CHY_TRY(scheme_verify(&apk, &apk.place.signatures[i], err));
    return CHY_OK;
}
