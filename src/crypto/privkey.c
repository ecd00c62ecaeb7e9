/* SPDX-License-Identifier: MIT */
#include "crypto/privkey.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/openssl.h"

#define SIGNATURE_MAX 512 /* bytes, of RSA-4096 */

struct chy_privkey {
    EVP_PKEY *evp;
    struct chy_pubkey *public_key;
};

/* Takes `evp` over, also when it fails. */
static enum chy_err key_make(EVP_PKEY *evp, struct chy_privkey **ret_key, struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_pkey_freep) EVP_PKEY *owned = evp;
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *k = chy_new(struct chy_privkey);
    if (k == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a private key");
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(owned, &der);
    if (n <= 0)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "a private key without public half");
    enum chy_err r =
        chy_pubkey_from_spki((struct chy_bytes){ der, (size_t)n }, &k->public_key, err);
    OPENSSL_free(der);
    if (r != CHY_OK)
        return r;
    k->evp = CHY_TAKE(owned);
    *ret_key = CHY_TAKE(k);
    return CHY_OK;
}

enum chy_err chy_privkey_generate(struct chy_privkey **ret_key, struct chy_error *err)
{
    EVP_PKEY *evp = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    if (evp == NULL)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot make a P-256 key");
    return key_make(evp, ret_key, err);
}

/* Nobody is asked for a passphrase: an encrypted key is refused. */
static int no_passphrase(char *buf, int size, int is_writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)is_writing;
    (void)ctx;
    return -1;
}

enum chy_err chy_privkey_from_pem(const struct chy_secret *pem, struct chy_privkey **ret_key,
                                  struct chy_error *err)
{
    const struct chy_bytes text = chy_secret_bytes(pem);
    CHY_CLEANUP(chy_bio_freep) BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot read a private key");
    EVP_PKEY *evp = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (evp == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED,
                                "the text holds no private key in PEM, or an encrypted one");
    return key_make(evp, ret_key, err);
}

enum chy_err chy_privkey_to_pem(const struct chy_privkey *k, struct chy_secret **ret_pem,
                                struct chy_error *err)
{
    /* A memory BIO wipes what it frees. */
    CHY_CLEANUP(chy_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, k->evp, NULL, NULL, 0, NULL, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot write a private key");
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    if (n <= 0)
        return chy_fail(err, CHY_E_CRYPTO, "a private key without text");
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pem = NULL;
    CHY_TRY(chy_secret_new((size_t)n, &pem, err));
    chy_copy(chy_secret_room(pem), text, (size_t)n);
    chy_secret_set_len(pem, (size_t)n);
    *ret_pem = CHY_TAKE(pem);
    return CHY_OK;
}

void chy_privkey_free(struct chy_privkey *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->evp);
    chy_pubkey_free(k->public_key);
    chy_free(k);
}

void chy_privkey_freep(struct chy_privkey **k)
{
    chy_privkey_free(*k);
}

const struct chy_pubkey *chy_privkey_public(const struct chy_privkey *k)
{
    return k->public_key;
}

static const char *md_name(enum chy_sign_alg alg)
{
    switch (chy_sign_alg_hash(alg)) {
    case CHY_HASH_SHA256:
        return "SHA2-256";
    case CHY_HASH_SHA384:
        return "SHA2-384";
    case CHY_HASH_SHA512:
        return "SHA2-512";
    case CHY_HASH_NONE:
        return NULL;
    }
    return NULL;
}

static bool alg_is_pss(enum chy_sign_alg alg)
{
    return alg == CHY_ALG_RSA_PSS_SHA256 || alg == CHY_ALG_RSA_PSS_SHA384 ||
           alg == CHY_ALG_RSA_PSS_SHA512;
}

enum chy_err chy_privkey_sign(const struct chy_privkey *k, enum chy_sign_alg alg,
                              struct chy_bytes message, struct chy_buf *out, struct chy_error *err)
{
    enum chy_key_type type = chy_pubkey_type(k->public_key);
    if (!chy_sign_alg_fits(alg, type) || alg == CHY_ALG_RSA_PKCS1_RAW)
        return chy_fail(err, CHY_E_ARG, "signature algorithm %d does not fit a key of type %d",
                        (int)alg, (int)type);
    uint8_t signature[SIGNATURE_MAX];
    size_t n = sizeof signature;
    EVP_PKEY_CTX *ctx = NULL; /* borrowed from md_ctx */
    CHY_CLEANUP(chy_evp_md_ctx_freep) EVP_MD_CTX *md_ctx = EVP_MD_CTX_new();
    if (md_ctx == NULL ||
        EVP_DigestSignInit_ex(md_ctx, &ctx, md_name(alg), NULL, NULL, k->evp, NULL) != 1 ||
        (alg_is_pss(alg) && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
                             EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) != 1)) ||
        EVP_DigestSign(md_ctx, signature, &n, message.p, message.n) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot sign");
    const struct chy_bytes view = { signature, n };
    size_t order_bytes = chy_key_type_order_bytes(type);
    if (order_bytes > 0)
        return chy_ecdsa_to_raw(view, order_bytes, out, err);
    CHY_IGNORE(chy_buf_append(out, view)); /* checked by the next line */
    return chy_buf_check(out, err);
}

/* Sign what was to be signed, and append the whole. */
static enum chy_err tbs_sign(const struct chy_privkey *k, const struct chy_buf *tbs,
                             struct chy_buf *out, struct chy_error *err)
{
    enum chy_sign_alg alg = chy_key_type_default_alg(chy_pubkey_type(k->public_key));
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    chy_buf_init(&signature, SIGNATURE_MAX);
    CHY_TRY(chy_privkey_sign(k, alg, chy_buf_bytes(tbs), &signature, err));
    return chy_signed_assemble(chy_buf_bytes(tbs), alg, chy_buf_bytes(&signature), out, err);
}

enum chy_err chy_privkey_self_signed(const struct chy_privkey *k,
                                     const struct chy_cert_request *request, struct chy_buf *out,
                                     struct chy_error *err)
{
    struct chy_cert_request own = *request;
    own.profile = CHY_CERT_TLS_SERVER;
    own.spki = chy_pubkey_spki(k->public_key);
    own.alg = chy_key_type_default_alg(chy_pubkey_type(k->public_key));
    CHY_CLEANUP(chy_buf_done) struct chy_buf tbs;
    chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_tbs_certificate(&own, &tbs, err));
    return tbs_sign(k, &tbs, out, err);
}

enum chy_err chy_privkey_csr(const struct chy_privkey *k, struct chy_str subject,
                             const struct chy_str *sans, size_t n_sans, struct chy_buf *out,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf tbs;
    chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_tbs_csr(subject, chy_pubkey_spki(k->public_key), sans, n_sans, &tbs, err));
    return tbs_sign(k, &tbs, out, err);
}
