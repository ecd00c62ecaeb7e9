/* SPDX-License-Identifier: MIT */
/* Signatures without any format around them: whose they are, only trying the keys tells. */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "os/file.h"

/* All hashes are made in three passes at most; each is needed by some key. */
struct digests {
    uint8_t p[CHY_HASH_SHA512 + 1][CHY_LIMIT_DIGEST];
    bool has[CHY_HASH_SHA512 + 1];
};

static enum chy_err digest_of(struct verify_run *run, struct digests *d, enum chy_hash_alg alg,
                              struct chy_bytes *ret, struct chy_error *err)
{
    const struct verify_ranges all = { { { 0, run->input->size_bytes } }, 1 };
    if (!d->has[alg])
        CHY_TRY(verify_hash(run, &all, alg, d->p[alg], err));
    d->has[alg] = true;
    *ret = (struct chy_bytes){ d->p[alg], chy_hash_alg_bytes(alg) };
    return CHY_OK;
}

/* What signs the message itself is asked for CHY_LIMIT_CONTENT at most, so longer ones were not. */
static enum chy_err message_of(struct verify_run *run, struct chy_bytes *ret, struct chy_error *err)
{
    size_t n = 0;
    uint8_t *bytes = chy_arena_array(run->arena, uint8_t, CHY_LIMIT_CONTENT);
    *ret = (struct chy_bytes){ bytes, 0 };
    if (bytes == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a message");
    if (run->input->size_bytes > CHY_LIMIT_CONTENT)
        return CHY_OK;
    CHY_TRY(chy_file_pread(run->input->fd, bytes, CHY_LIMIT_CONTENT, 0, &n, err));
    ret->n = n;
    return CHY_OK;
}

static enum chy_err row_add(struct verify_run *run, const struct chy_pubkey *key,
                            enum chy_sign_alg alg, struct chy_bytes digest, struct chy_error *err)
{
    struct chy_verify_signer *row = verify_signer_add(run);
    CHY_ASSERT(row != NULL);
    const uint8_t *hash = chy_pubkey_hash(key);
    row->is_good = true;
    row->algorithm = alg;
    row->name =
        chy_arena_printf(run->arena, "key sha256:%02x%02x%02x%02x%02x%02x%02x%02x...", hash[0],
                         hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
    row->digest = chy_arena_bytes(run->arena, digest);
    if (row->name.p == NULL || row->digest.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signer");
    memcpy(row->key_sha256, hash, sizeof row->key_sha256);
    return chy_sha256(run->input->signature, row->signature_sha256, err);
}

/* True if this key made it with this algorithm. */
static enum chy_err key_try(struct verify_run *run, struct digests *d, const struct chy_pubkey *key,
                            enum chy_sign_alg alg, bool *ret_is_its, struct chy_error *err)
{
    struct chy_bytes in;
    struct chy_bytes digest;
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    if (hash == CHY_HASH_NONE)
        CHY_TRY(message_of(run, &in, err));
    else
        CHY_TRY(digest_of(run, d, hash, &in, err));
    *ret_is_its = chy_pubkey_verify_digest(key, alg, CHY_SIGNATURE_DER, in, run->input->signature,
                                           NULL) == CHY_OK;
    if (!*ret_is_its)
        return CHY_OK;
    CHY_TRY(digest_of(run, d, hash == CHY_HASH_NONE ? CHY_HASH_SHA256 : hash, &digest, err));
    return row_add(run, key, alg, digest, err);
}

enum chy_err verify_raw(struct verify_run *run, struct chy_error *err)
{
    const struct chy_trust *trust = run->input->trust;
    struct digests digests = { .has = { false } };
    for (size_t i = 0; i < trust->n_keys; i++) {
        const struct chy_pubkey *key = trust->keys[i];
        for (int alg = CHY_ALG_RSA_PKCS1_SHA256; alg <= CHY_ALG_ED25519; alg++) {
            bool is_its = false;
            if (!chy_sign_alg_fits((enum chy_sign_alg)alg, chy_pubkey_type(key)))
                continue;
            CHY_TRY(key_try(run, &digests, key, (enum chy_sign_alg)alg, &is_its, err));
            if (is_its)
                return CHY_OK;
        }
    }
    return chy_fail(err, CHY_E_INTEGRITY, "no key of the trust file's made this signature");
}
