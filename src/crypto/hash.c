/* SPDX-License-Identifier: MIT */
#include "crypto/hash.h"

#include <openssl/evp.h>

#include "base/mem.h"
#include "crypto/openssl.h"

struct chy_hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

static const struct {
    enum chy_hash_alg alg;
    const char *name;
} hash_rows[] = {
    { CHY_HASH_SHA256, "SHA2-256" },
    { CHY_HASH_SHA384, "SHA2-384" },
    { CHY_HASH_SHA512, "SHA2-512" },
};

static const char *hash_name(enum chy_hash_alg alg)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hash_rows); i++)
        if (hash_rows[i].alg == alg)
            return hash_rows[i].name;
    return NULL;
}

enum chy_err chy_hasher_new(enum chy_hash_alg alg, struct chy_hasher **ret_hasher,
                            struct chy_error *err)
{
    const char *name = hash_name(alg);
    if (name == NULL)
        return chy_fail(err, CHY_E_ARG, "no such hash algorithm: %d", (int)alg);
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *h = chy_new(struct chy_hasher);
    if (h == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a hasher");
    h->md = EVP_MD_fetch(NULL, name, NULL);
    h->ctx = EVP_MD_CTX_new();
    if (h->md == NULL || h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot make a context for %s", name);
    *ret_hasher = CHY_TAKE(h);
    return CHY_OK;
}

void chy_hasher_free(struct chy_hasher *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    chy_free(h);
}

void chy_hasher_freep(struct chy_hasher **h)
{
    chy_hasher_free(*h);
}

/* With the same digest as before, OpenSSL keeps the provider's context: these calls only fail when
 * a digest is used out of order, which would be a bug of this file. */
void chy_hasher_add(struct chy_hasher *h, struct chy_bytes bytes)
{
    CHY_ASSERT(EVP_DigestUpdate(h->ctx, bytes.p, bytes.n) == 1);
}

void chy_hasher_end(struct chy_hasher *h, uint8_t *out)
{
    CHY_ASSERT(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
    CHY_ASSERT(EVP_DigestInit_ex2(h->ctx, NULL, NULL) == 1);
}

enum chy_err chy_hash(enum chy_hash_alg alg, struct chy_bytes in, uint8_t *out,
                      struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *h = NULL;
    CHY_TRY(chy_hasher_new(alg, &h, err));
    chy_hasher_add(h, in);
    chy_hasher_end(h, out);
    return CHY_OK;
}

enum chy_err chy_sha256(struct chy_bytes in, uint8_t out[CHY_HASH_BYTES], struct chy_error *err)
{
    return chy_hash(CHY_HASH_SHA256, in, out, err);
}

enum chy_err chy_thumbprint(struct chy_bytes der, uint8_t out[CHY_THUMBPRINT_BYTES],
                            struct chy_error *err)
{
    unsigned n = 0;
    if (EVP_Digest(der.p, der.n, out, &n, EVP_sha1(), NULL) != 1 || n != CHY_THUMBPRINT_BYTES)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "OpenSSL cannot make a SHA-1");
    return CHY_OK;
}
