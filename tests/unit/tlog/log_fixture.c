/* SPDX-License-Identifier: MIT */
#include "log_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/evp.h>

struct chy_hasher *fixture_hasher(void)
{
    struct chy_hasher *h = NULL;
    assert_int_equal(chy_hasher_new(CHY_HASH_SHA256, &h, NULL), CHY_OK);
    return h;
}

struct chy_tlog_hash fixture_leaf(struct chy_hasher *h, uint64_t i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)i);
    struct chy_tlog_hash leaf;
    chy_tlog_leaf_hash(h, (struct chy_bytes){ (const uint8_t *)text, (size_t)n }, &leaf);
    return leaf;
}

/* The largest power of two smaller than n. */
static size_t split(size_t n)
{
    size_t k = 1;
    while (2 * k < n)
        k *= 2;
    return k;
}

struct chy_tlog_hash fixture_root(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                  size_t n)
{
    struct chy_tlog_hash root;
    if (n == 0) {
        chy_tlog_empty_hash(h, &root);
        return root;
    }
    if (n == 1)
        return leaves[0];
    size_t k = split(n);
    struct chy_tlog_hash left = fixture_root(h, leaves, k);
    struct chy_tlog_hash right = fixture_root(h, leaves + k, n - k);
    chy_tlog_node_hash(h, &left, &right, &root);
    return root;
}

struct chy_tlog_proof fixture_path(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                   size_t m, size_t n)
{
    if (n <= 1)
        return (struct chy_tlog_proof){ .n = 0 };
    size_t k = split(n);
    struct chy_tlog_proof proof =
        m < k ? fixture_path(h, leaves, m, k) : fixture_path(h, leaves + k, m - k, n - k);
    proof.hashes[proof.n++] =
        m < k ? fixture_root(h, leaves + k, n - k) : fixture_root(h, leaves, k);
    return proof;
}

static struct chy_tlog_proof subproof(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                      size_t m, size_t n, bool is_whole)
{
    struct chy_tlog_proof proof = { .n = 0 };
    if (m == n) {
        if (!is_whole)
            proof.hashes[proof.n++] = fixture_root(h, leaves, n);
        return proof;
    }
    size_t k = split(n);
    if (m <= k) {
        proof = subproof(h, leaves, m, k, is_whole);
        proof.hashes[proof.n++] = fixture_root(h, leaves + k, n - k);
    } else {
        proof = subproof(h, leaves + k, m - k, n - k, false);
        proof.hashes[proof.n++] = fixture_root(h, leaves, k);
    }
    return proof;
}

struct chy_tlog_proof fixture_consistency(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                          size_t m, size_t n)
{
    return subproof(h, leaves, m, n, true);
}

static EVP_PKEY *key_of(uint8_t seed)
{
    uint8_t raw[32];
    memset(raw, seed, sizeof raw);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
    assert_non_null(key);
    return key;
}

struct chy_tlog_vkey fixture_vkey(struct chy_hasher *h, const char *name, uint8_t seed)
{
    EVP_PKEY *key = key_of(seed);
    uint8_t public_key[32];
    size_t n = sizeof public_key;
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, public_key, &n), 1);
    EVP_PKEY_free(key);
    struct chy_tlog_vkey vkey;
    assert_int_equal(chy_tlog_vkey_make(h, chy_str_of(name), public_key, &vkey, NULL), CHY_OK);
    return vkey;
}

void fixture_sign(uint8_t seed, struct chy_str text, uint8_t signature[64])
{
    EVP_PKEY *key = key_of(seed);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = 64;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &n, (const uint8_t *)text.p, text.n), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

void fixture_note(struct chy_hasher *h, struct chy_buf *out, struct chy_str text, const char *name,
                  uint8_t seed)
{
    struct chy_tlog_vkey key = fixture_vkey(h, name, seed);
    uint8_t signature[64];
    fixture_sign(seed, text, signature);
    assert_int_equal(chy_tlog_note_make(out, text, &key, signature, NULL), CHY_OK);
}
