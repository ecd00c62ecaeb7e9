/* SPDX-License-Identifier: MIT */
/* A signature in CMS, as a file that somebody wants verified has it, over "data": it is read, and
 * each signer checked against the certificates that it brings, all of them trusted. What is found
 * good must be good again. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/signature_check.h"
#include "crypto/signed_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NOW_US INT64_C(1796000000000000) /* 2026-11-30 */

static struct chy_signed_data read;

static enum chy_err check(const struct chy_trust_store *roots, size_t i, struct chy_arena *arena)
{
    const struct chy_check_terms terms = { .roots = roots, .stamp_roots = roots, .now_us = NOW_US };
    struct chy_checked_signer signer;
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg hash = read.signers[i].hash;
    const struct chy_bytes content = chy_str_bytes(CHY_STR("data"));
    if (chy_hash(hash, content, digest, NULL) != CHY_OK)
        return CHY_E_CRYPTO;
    const struct chy_signed_content what = { { digest, chy_hash_alg_bytes(hash) },
                                             content,
                                             content.n };
    return chy_signer_check(&terms, &read, i, &what, arena, &signer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CHY_CLEANUP(chy_trust_store_freep) struct chy_trust_store *roots = NULL;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_ASSERT(chy_crypto_init(NULL) == CHY_OK);
    /* any answer will do */
    CHY_IGNORE(chy_content_is_attributes((struct chy_bytes){ data, n }, n));
    if (chy_signed_data_read((struct chy_bytes){ data, n }, &arena, &read, NULL) != CHY_OK)
        return 0;
    CHY_ASSERT(read.n_signers >= 1 && read.n_signers <= CHY_LIMIT_CMS_SIGNERS);
    CHY_ASSERT(chy_trust_store_new(&roots, NULL) == CHY_OK);
    for (size_t i = 0; i < read.n_certificates; i++)
        CHY_IGNORE(chy_trust_store_add(roots, read.certificates[i], NULL)); /* or it is none */
    for (size_t i = 0; i < read.n_signers; i++)
        CHY_ASSERT(check(roots, i, &arena) == check(roots, i, &arena));
    return 0;
}
