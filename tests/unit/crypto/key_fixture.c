/* SPDX-License-Identifier: MIT */
#include "key_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "base/secret.h"
#include "crypto/hash.h"

#define SIGNATURE_BYTES 1024

static struct chy_privkey *keys[CHY_KEY_ED25519 + 1];
static EVP_PKEY *evp_keys[CHY_KEY_ED25519 + 1]; /* the same */

struct made {
    int bits;
    const char *pem;
};

#include "made_keys.h" /* by make-keys, in the build folder */

/* One that nobody has taken yet; NULL: none is left. */
static EVP_PKEY *take_made(int bits)
{
    static bool is_taken[CHY_ARRAY_LEN(made_keys)];
    for (size_t i = 0; i < CHY_ARRAY_LEN(made_keys); i++) {
        if (is_taken[i] || made_keys[i].bits != bits)
            continue;
        is_taken[i] = true;
        BIO *bio = BIO_new_mem_buf(made_keys[i].pem, -1);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        return key;
    }
    return NULL;
}

static EVP_PKEY *make_rsa(const char *size)
{
    int bits = size[0] == '1' ? 1024 : size[0] == '2' ? 2048 : size[0] == '3' ? 3072 : 4096;
    EVP_PKEY *key = take_made(bits);
    return key != NULL ? key : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

EVP_PKEY *fixture_evp(const char *algorithm, const char *size)
{
    EVP_PKEY *key = NULL;
    if (size == NULL)
        key = EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
    else if (algorithm[0] == 'R')
        key = make_rsa(size);
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, algorithm, size);
    assert_non_null(key);
    return key;
}

struct chy_buf fixture_spki(EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    assert_true(n > 0);
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_PUBLIC_KEY);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    return b;
}

struct chy_privkey *fixture_privkey(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    struct chy_secret *pem = NULL;
    assert_int_equal(chy_secret_new((size_t)n, &pem, NULL), CHY_OK);
    memcpy(chy_secret_room(pem), text, (size_t)n);
    chy_secret_set_len(pem, (size_t)n);
    struct chy_privkey *k = NULL;
    assert_int_equal(chy_privkey_from_pem(pem, &k, NULL), CHY_OK);
    chy_secret_free(pem);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return k;
}

struct chy_privkey *fixture_key_of(enum chy_key_type type)
{
    static const struct {
        const char *algorithm;
        const char *size;
    } rows[] = {
        [CHY_KEY_RSA_2048] = { "RSA", "2048" },  [CHY_KEY_RSA_3072] = { "RSA", "3072" },
        [CHY_KEY_RSA_4096] = { "RSA", "4096" },  [CHY_KEY_P256] = { "EC", "P-256" },
        [CHY_KEY_P384] = { "EC", "P-384" },      [CHY_KEY_P521] = { "EC", "P-521" },
        [CHY_KEY_ED25519] = { "ED25519", NULL },
    };
    if (keys[type] == NULL) {
        evp_keys[type] = fixture_evp(rows[type].algorithm, rows[type].size);
        EVP_PKEY_up_ref(evp_keys[type]);
        keys[type] = fixture_privkey(evp_keys[type]);
    }
    return keys[type];
}

static void sign_message(EVP_PKEY *key, struct chy_bytes message, uint8_t *to, size_t *n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, to, n, message.p, message.n), 1);
    EVP_MD_CTX_free(ctx);
}

static const EVP_MD *md_of(enum chy_sign_alg alg)
{
    switch (chy_hash_alg_bytes(chy_sign_alg_hash(alg))) {
    case 32:
        return EVP_sha256();
    case 48:
        return EVP_sha384();
    case 64:
        return EVP_sha512();
    default:
        return NULL;
    }
}

static int padding_of(enum chy_sign_alg alg)
{
    bool is_pss = alg == CHY_ALG_RSA_PSS_SHA256 || alg == CHY_ALG_RSA_PSS_SHA384 ||
                  alg == CHY_ALG_RSA_PSS_SHA512;
    return is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
}

static void sign_digest(EVP_PKEY *key, enum chy_sign_alg alg, struct chy_bytes digest, uint8_t *to,
                        size_t *n)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    if (EVP_PKEY_is_a(key, "RSA"))
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding_of(alg)), 1);
    if (padding_of(alg) == RSA_PKCS1_PSS_PADDING)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST), 1);
    if (md_of(alg) != NULL)
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md_of(alg)), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, to, n, digest.p, digest.n), 1);
    EVP_PKEY_CTX_free(ctx);
}

bool fixture_key_sign(enum chy_key_type type, enum chy_sign_alg alg, struct chy_bytes digest,
                      struct chy_buf *out)
{
    uint8_t signature[SIGNATURE_BYTES];
    size_t n = sizeof signature;
    fixture_key_of(type);
    if (type == CHY_KEY_ED25519)
        sign_message(evp_keys[type], digest, signature, &n);
    else
        sign_digest(evp_keys[type], alg, digest, signature, &n);
    return chy_buf_append(out, (struct chy_bytes){ signature, n });
}

void fixture_keys_free(void)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        chy_privkey_free(keys[i]);
        EVP_PKEY_free(evp_keys[i]);
        keys[i] = NULL;
        evp_keys[i] = NULL;
    }
}
