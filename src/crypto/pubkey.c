/* SPDX-License-Identifier: MIT */
#include "crypto/pubkey.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"

#define ED25519_BYTES     32
#define SIGNATURE_DER_MAX 160 /* bytes of an ECDSA signature of P-521: 2 * (66 + 3) + 3 */

struct chy_pubkey {
    EVP_PKEY *evp;
    enum chy_key_type type;
    struct chy_buf spki;
    uint8_t hash[CHY_HASH_BYTES];
};

#define OID(...)                                                                   \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }

static const struct chy_bytes oid_rsa = OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1);
static const struct chy_bytes oid_ec = OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1);
static const struct chy_bytes oid_ed25519 = OID(0x2b, 101, 112);

static const struct chy_bytes params_null = OID(0x05, 0x00);

static const struct curve {
    enum chy_key_type type;
    size_t field_bytes;
    struct chy_bytes oid;
} curves[] = {
    { CHY_KEY_P256, 32, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7) },
    { CHY_KEY_P384, 48, OID(0x2b, 0x81, 4, 0, 0x22) },
    { CHY_KEY_P521, 66, OID(0x2b, 0x81, 4, 0, 0x23) },
};

static const struct curve *curve_find(struct chy_bytes oid)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(curves); i++)
        if (chy_bytes_equal(curves[i].oid, oid))
            return &curves[i];
    return NULL;
}

static enum chy_err rsa_type(struct chy_bytes params, struct chy_bytes bits,
                             enum chy_key_type *ret_type, struct chy_error *err)
{
    struct chy_bytes none;
    struct chy_bytes seq;
    struct chy_bytes modulus;
    uint64_t exponent = 0;
    CHY_TRY(chy_der_take(&params, CHY_DER_NULL, &none, err));
    CHY_TRY(chy_der_end(params, err));
    CHY_TRY(chy_der_take(&bits, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(bits, err));
    CHY_TRY(chy_der_take_uint(&seq, &modulus, err));
    if (chy_der_take_u64(&seq, &exponent, NULL) != CHY_OK || exponent < 65537 || exponent % 2 == 0)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "an RSA exponent must be odd, at least 65537 and of 64 bits at most");
    CHY_TRY(chy_der_end(seq, err));
    bool is_whole = modulus.n > 0 && (modulus.p[0] & 0x80) != 0;
    if (is_whole && modulus.n == 256)
        *ret_type = CHY_KEY_RSA_2048;
    else if (is_whole && modulus.n == 384)
        *ret_type = CHY_KEY_RSA_3072;
    else if (is_whole && modulus.n == 512)
        *ret_type = CHY_KEY_RSA_4096;
    else
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "an RSA modulus of %zu bytes; 2048, 3072 or 4096 bits are supported",
                        modulus.n);
    return CHY_OK;
}

static enum chy_err ec_type(struct chy_bytes params, struct chy_bytes bits,
                            enum chy_key_type *ret_type, struct chy_error *err)
{
    struct chy_bytes oid;
    if (!chy_der_is_next(params, CHY_DER_OID))
        return chy_fail(err, CHY_E_UNSUPPORTED, "an elliptic curve must be given by its name");
    CHY_TRY(chy_der_take_oid(&params, &oid, err));
    CHY_TRY(chy_der_end(params, err));
    const struct curve *curve = curve_find(oid);
    if (curve == NULL)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the curve is none of P-256, P-384 and P-521");
    if (bits.n != 1 + 2 * curve->field_bytes || bits.p[0] != 0x04)
        return chy_fail(err, CHY_E_MALFORMED, "the point of a public key is not uncompressed");
    *ret_type = curve->type;
    return CHY_OK;
}

/* What kind of key this is, read strictly; whether it is a good one is OpenSSL's to say. */
static enum chy_err spki_type(struct chy_bytes in, enum chy_key_type *ret_type,
                              struct chy_error *err)
{
    struct chy_bytes seq;
    struct chy_bytes alg;
    struct chy_bytes oid;
    struct chy_bytes bits;
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(in, err));
    CHY_TRY(chy_der_take(&seq, CHY_DER_SEQUENCE, &alg, err));
    CHY_TRY(chy_der_take_bits(&seq, &bits, err));
    CHY_TRY(chy_der_end(seq, err));
    CHY_TRY(chy_der_take_oid(&alg, &oid, err));
    if (chy_bytes_equal(oid, oid_rsa))
        return rsa_type(alg, bits, ret_type, err);
    if (chy_bytes_equal(oid, oid_ec))
        return ec_type(alg, bits, ret_type, err);
    if (!chy_bytes_equal(oid, oid_ed25519))
        return chy_fail(err, CHY_E_UNSUPPORTED, "a public key is none of RSA, ECDSA and Ed25519");
    if (alg.n != 0 || bits.n != ED25519_BYTES)
        return chy_fail(err, CHY_E_MALFORMED, "an Ed25519 public key is malformed");
    *ret_type = CHY_KEY_ED25519;
    return CHY_OK;
}

static enum chy_err evp_load(struct chy_bytes spki, EVP_PKEY **ret_evp, struct chy_error *err)
{
    const uint8_t *p = spki.p;
    CHY_CLEANUP(chy_evp_pkey_freep) EVP_PKEY *evp = d2i_PUBKEY(NULL, &p, (long)spki.n);
    if (evp == NULL || p != spki.p + spki.n)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a public key was refused");
    CHY_CLEANUP(chy_evp_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
    if (ctx == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot check a public key");
    if (EVP_PKEY_public_check_quick(ctx) != 1)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a public key is not a valid one");
    *ret_evp = CHY_TAKE(evp);
    return CHY_OK;
}

enum chy_err chy_pubkey_from_spki(struct chy_bytes spki, struct chy_pubkey **ret_key,
                                  struct chy_error *err)
{
    if (spki.n > CHY_LIMIT_PUBLIC_KEY)
        return chy_fail(err, CHY_E_LIMIT, "a public key of %zu bytes, %d are the most", spki.n,
                        CHY_LIMIT_PUBLIC_KEY);
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *k = chy_new(struct chy_pubkey);
    if (k == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a public key");
    chy_buf_init(&k->spki, CHY_LIMIT_PUBLIC_KEY);
    CHY_TRY(spki_type(spki, &k->type, err));
    CHY_TRY(evp_load(spki, &k->evp, err));
    CHY_TRY(chy_sha256(spki, k->hash, err));
    CHY_IGNORE(chy_buf_append(&k->spki, spki)); /* checked below */
    CHY_TRY(chy_buf_check(&k->spki, err));
    *ret_key = CHY_TAKE(k);
    return CHY_OK;
}

/* A SubjectPublicKeyInfo of these parts; `params` is ready-made DER. */
static enum chy_err key_from_parts(struct chy_bytes oid, struct chy_bytes params,
                                   struct chy_bytes bits, struct chy_pubkey **ret_key,
                                   struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf spki;
    chy_buf_init(&spki, CHY_LIMIT_PUBLIC_KEY);
    struct chy_der_writer w;
    chy_der_writer_init(&w, &spki);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, oid);
    chy_der_put_raw(&w, params);
    chy_der_close(&w);
    chy_der_put_bits(&w, bits);
    chy_der_close(&w);
    CHY_TRY(chy_buf_check(&spki, err));
    return chy_pubkey_from_spki(chy_buf_bytes(&spki), ret_key, err);
}

enum chy_err chy_pubkey_from_rsa(struct chy_bytes modulus, struct chy_bytes exponent,
                                 struct chy_pubkey **ret_key, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bits;
    chy_buf_init(&bits, CHY_LIMIT_PUBLIC_KEY);
    struct chy_der_writer w;
    chy_der_writer_init(&w, &bits);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_uint(&w, modulus);
    chy_der_put_uint(&w, exponent);
    chy_der_close(&w);
    CHY_TRY(chy_buf_check(&bits, err));
    return key_from_parts(oid_rsa, params_null, chy_buf_bytes(&bits), ret_key, err);
}

/* The point itself, whether it stands in an OCTET STRING or not: the two have different lengths. */
static struct chy_bytes point_unwrap(struct chy_bytes point, size_t bare_bytes)
{
    struct chy_bytes in = point;
    struct chy_bytes inner;
    if (point.n != bare_bytes && chy_der_take(&in, CHY_DER_OCTET_STRING, &inner, NULL) == CHY_OK &&
        in.n == 0)
        return inner;
    return point;
}

enum chy_err chy_pubkey_from_ec(struct chy_bytes params, struct chy_bytes point,
                                struct chy_pubkey **ret_key, struct chy_error *err)
{
    struct chy_bytes in = params;
    struct chy_bytes oid = { NULL, 0 };
    const struct curve *curve = NULL;
    if (chy_der_take_oid(&in, &oid, NULL) == CHY_OK && in.n == 0)
        curve = curve_find(oid);
    if (curve == NULL)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the curve is none of P-256, P-384 and P-521");
    return key_from_parts(oid_ec, params, point_unwrap(point, 1 + 2 * curve->field_bytes), ret_key,
                          err);
}

enum chy_err chy_pubkey_from_ed25519(struct chy_bytes point, struct chy_pubkey **ret_key,
                                     struct chy_error *err)
{
    return key_from_parts(oid_ed25519, (struct chy_bytes){ NULL, 0 },
                          point_unwrap(point, ED25519_BYTES), ret_key, err);
}

void chy_pubkey_free(struct chy_pubkey *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->evp);
    chy_buf_done(&k->spki);
    chy_free(k);
}

void chy_pubkey_freep(struct chy_pubkey **k)
{
    chy_pubkey_free(*k);
}

enum chy_key_type chy_pubkey_type(const struct chy_pubkey *k)
{
    return k->type;
}

struct chy_bytes chy_pubkey_spki(const struct chy_pubkey *k)
{
    return chy_buf_bytes(&k->spki);
}

const uint8_t *chy_pubkey_hash(const struct chy_pubkey *k)
{
    return k->hash;
}

static bool alg_is_pss(enum chy_sign_alg alg)
{
    return alg == CHY_ALG_RSA_PSS_SHA256 || alg == CHY_ALG_RSA_PSS_SHA384 ||
           alg == CHY_ALG_RSA_PSS_SHA512;
}

static enum chy_err alg_check(const struct chy_pubkey *k, enum chy_sign_alg alg,
                              struct chy_error *err)
{
    if (!chy_sign_alg_fits(alg, k->type))
        return chy_fail(err, CHY_E_ARG, "signature algorithm %d does not fit a key of type %d",
                        (int)alg, (int)k->type);
    return CHY_OK;
}

static enum chy_err verify_failed(struct chy_error *err)
{
    ERR_clear_error();
    return chy_fail(err, CHY_E_INTEGRITY, "the signature does not verify");
}

/* `signature` is in the form that OpenSSL takes. Without a hash it holds what is in the padding
 * against `digest`. */
static enum chy_err digest_verify(const struct chy_pubkey *k, enum chy_sign_alg alg,
                                  struct chy_bytes digest, struct chy_bytes signature,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->evp, NULL);
    bool is_rsa = chy_key_type_is_rsa(k->type);
    int padding = alg_is_pss(alg) ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    const EVP_MD *md = chy_openssl_md(chy_sign_alg_hash(alg));
    if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 ||
        (is_rsa && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1) ||
        (md != NULL && EVP_PKEY_CTX_set_signature_md(ctx, md) != 1) ||
        (is_rsa && padding == RSA_PKCS1_PSS_PADDING &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) != 1))
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare a verification");
    if (EVP_PKEY_verify(ctx, signature.p, signature.n, digest.p, digest.n) != 1)
        return verify_failed(err);
    return CHY_OK;
}

static enum chy_err message_verify_ed25519(const struct chy_pubkey *k, struct chy_bytes message,
                                           struct chy_bytes signature, struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k->evp, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare a verification");
    if (EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) != 1)
        return verify_failed(err);
    return CHY_OK;
}

enum chy_err chy_pubkey_verify_digest(const struct chy_pubkey *k, enum chy_sign_alg alg,
                                      enum chy_signature_form form, struct chy_bytes digest,
                                      struct chy_bytes signature, struct chy_error *err)
{
    CHY_TRY(alg_check(k, alg, err));
    if (k->type == CHY_KEY_ED25519)
        return message_verify_ed25519(k, digest, signature, err);
    if (alg != CHY_ALG_RSA_PKCS1_RAW && digest.n != chy_hash_alg_bytes(chy_sign_alg_hash(alg)))
        return chy_fail(err, CHY_E_ARG, "a digest of %zu bytes, expected %zu", digest.n,
                        chy_hash_alg_bytes(chy_sign_alg_hash(alg)));
    size_t order_bytes = chy_key_type_order_bytes(k->type);
    if (order_bytes == 0 || form == CHY_SIGNATURE_DER)
        return digest_verify(k, alg, digest, signature, err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, SIGNATURE_DER_MAX);
    if (signature.n != 2 * order_bytes)
        return verify_failed(err);
    enum chy_err r = chy_ecdsa_to_der(signature, &der, err);
    if (r != CHY_OK)
        return r == CHY_E_NOMEM ? r : verify_failed(err);
    return digest_verify(k, alg, digest, chy_buf_bytes(&der), err);
}

enum chy_err chy_pubkey_verify(const struct chy_pubkey *k, enum chy_sign_alg alg,
                               enum chy_signature_form form, struct chy_bytes message,
                               struct chy_bytes signature, struct chy_error *err)
{
    CHY_TRY(alg_check(k, alg, err));
    if (chy_sign_alg_takes_message(alg))
        return chy_pubkey_verify_digest(k, alg, form, message, signature, err);
    uint8_t digest[CHY_LIMIT_DIGEST];
    CHY_TRY(chy_hash(chy_sign_alg_hash(alg), message, digest, err));
    const struct chy_bytes view = { digest, chy_hash_alg_bytes(chy_sign_alg_hash(alg)) };
    return chy_pubkey_verify_digest(k, alg, form, view, signature, err);
}
