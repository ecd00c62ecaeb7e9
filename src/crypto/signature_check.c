/* SPDX-License-Identifier: MIT */
#include "crypto/signature_check.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/trust_store_private.h"
#include "crypto/x509_private.h"

#define SET_OF 0x31 /* the tag under which signed attributes are hashed */

/* --- the signer's certificate --- */

static bool serial_equal(const X509 *cert, struct chy_bytes serial)
{
    const ASN1_INTEGER *own = X509_get0_serialNumber(cert);
    struct chy_bytes b = { ASN1_STRING_get0_data(own), (size_t)ASN1_STRING_length(own) };
    while (b.n != 0 && b.p[0] == 0)
        b = (struct chy_bytes){ b.p + 1, b.n - 1 };
    return chy_bytes_equal(b, serial);
}

static bool key_id_equal(X509 *cert, struct chy_bytes key_id)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(cert);
    return own != NULL && chy_bytes_equal((struct chy_bytes){ ASN1_STRING_get0_data(own),
                                                              (size_t)ASN1_STRING_length(own) },
                                          key_id);
}

static bool is_signers(X509 *cert, const struct chy_signer_info *si, const X509_NAME *issuer)
{
    if (si->key_id.p != NULL)
        return key_id_equal(cert, si->key_id);
    return serial_equal(cert, si->serial) && X509_NAME_cmp(X509_get_issuer_name(cert), issuer) == 0;
}

/* Among those that came along, else among the trusted ones: a kernel module brings none. */
static X509 *certificate_find(const struct chy_trust_store *roots, const struct chy_certs *certs,
                              const struct chy_signer_info *si)
{
    const uint8_t *p = si->issuer.p;
    X509_NAME *issuer = p != NULL ? d2i_X509_NAME(NULL, &p, (long)si->issuer.n) : NULL;
    X509 *found = NULL;
    bool is_named = si->key_id.p != NULL || issuer != NULL;
    for (int i = 0; is_named && found == NULL && i < sk_X509_num(certs->stack); i++)
        found = is_signers(sk_X509_value(certs->stack, i), si, issuer)
                    ? sk_X509_value(certs->stack, i)
                    : NULL;
    for (size_t i = 0; is_named && found == NULL && i < roots->n; i++)
        found = is_signers(roots->certs[i], si, issuer) ? roots->certs[i] : NULL;
    X509_NAME_free(issuer);
    ERR_clear_error();
    return found;
}

static enum chy_err certificate_describe(X509 *cert, struct chy_arena *arena,
                                         struct chy_checked_signer *to, struct chy_error *err)
{
    uint8_t *der = NULL;
    int n = i2d_X509(cert, &der);
    struct chy_x509 *parsed = chy_arena_new(arena, struct chy_x509);
    if (n <= 0 || parsed == NULL) {
        OPENSSL_free(der);
        return chy_fail_openssl(err, CHY_E_NOMEM, "no memory for a certificate");
    }
    enum chy_err r = chy_x509_parse(arena, (struct chy_bytes){ der, (size_t)n }, parsed, err);
    OPENSSL_free(der);
    if (r == CHY_OK)
        to->certificate = parsed;
    return r;
}

enum chy_err chy_x509_called(X509 *cert, struct chy_arena *arena, struct chy_str *ret_name,
                             struct chy_error *err)
{
    struct chy_checked_signer signer = { .certificate = NULL };
    CHY_TRY(certificate_describe(cert, arena, &signer, err));
    const struct chy_x509 *c = signer.certificate;
    *ret_name = c->common_name.p != NULL ? c->common_name : c->summary.subject;
    return CHY_OK;
}

/* --- the signature --- */

static int evp_type(enum chy_key_type family)
{
    return family == CHY_KEY_RSA_2048 ? EVP_PKEY_RSA
           : family == CHY_KEY_P256   ? EVP_PKEY_EC
                                      : EVP_PKEY_ED25519;
}

/* Our name for it: a base of three algorithms in the order of their hashes. */
static enum chy_sign_alg alg_of(const struct chy_signer_info *si)
{
    if (si->family == CHY_KEY_ED25519)
        return CHY_ALG_ED25519;
    enum chy_sign_alg base = si->family == CHY_KEY_P256       ? CHY_ALG_ECDSA_SHA256
                             : si->padding == CHY_PADDING_PSS ? CHY_ALG_RSA_PSS_SHA256
                                                              : CHY_ALG_RSA_PKCS1_SHA256;
    return (enum chy_sign_alg)((int)base + (int)si->hash - (int)CHY_HASH_SHA256);
}

static bool padding_set(EVP_PKEY_CTX *ctx, const struct chy_signer_info *si)
{
    if (si->padding != CHY_PADDING_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) > 0;
}

static enum chy_err fail_signature(struct chy_error *err)
{
    ERR_clear_error();
    return chy_fail(err, CHY_E_INTEGRITY, "the signature is wrong");
}

static enum chy_err digest_verify(EVP_PKEY *key, const struct chy_signer_info *si,
                                  struct chy_bytes digest, struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    if (ctx == NULL || EVP_PKEY_verify_init(ctx) <= 0 || !padding_set(ctx, si) ||
        EVP_PKEY_CTX_set_signature_md(ctx, chy_openssl_md(si->hash)) <= 0)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare the check of a signature");
    if (EVP_PKEY_verify(ctx, si->signature.p, si->signature.n, digest.p, digest.n) != 1)
        return fail_signature(err);
    return CHY_OK;
}

static enum chy_err message_verify(EVP_PKEY *key, const struct chy_signer_info *si,
                                   struct chy_bytes message, struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare the check of a signature");
    if (EVP_DigestVerify(ctx, si->signature.p, si->signature.n, message.p, message.n) != 1)
        return fail_signature(err);
    return CHY_OK;
}

/* Signed attributes are signed as a SET OF, whatever tag they are sent with (RFC 5652 section
 * 5.4). */
static enum chy_err attributes_verify(EVP_PKEY *key, const struct chy_signer_info *si,
                                      struct chy_arena *arena, struct chy_checked_signer *to,
                                      struct chy_error *err)
{
    bool is_message = si->family == CHY_KEY_ED25519;
    enum chy_hash_alg hash = is_message ? CHY_HASH_SHA256 : si->hash; /* as the log has it */
    size_t n = chy_hash_alg_bytes(hash);
    uint8_t *set = chy_arena_array(arena, uint8_t, si->signed_attrs.n);
    uint8_t *digest = chy_arena_array(arena, uint8_t, n);
    if (set == NULL || digest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for signed attributes");
    chy_copy(set, si->signed_attrs.p, si->signed_attrs.n);
    set[0] = SET_OF;
    const struct chy_bytes message = { set, si->signed_attrs.n };
    CHY_TRY(chy_hash(hash, message, digest, err));
    to->digest = (struct chy_bytes){ digest, n };
    return is_message ? message_verify(key, si, message, err)
                      : digest_verify(key, si, to->digest, err);
}

static enum chy_err content_verify(EVP_PKEY *key, const struct chy_signed_data *data,
                                   const struct chy_signer_info *si,
                                   const struct chy_signed_content *content,
                                   struct chy_arena *arena, struct chy_checked_signer *to,
                                   struct chy_error *err)
{
    struct chy_bytes digest = content->digest;
    if (digest.n != chy_hash_alg_bytes(si->hash))
        return chy_fail(err, CHY_E_ARG, "a digest of %zu bytes for that signer", digest.n);
    if (si->signed_attrs.p != NULL) {
        if (!chy_bytes_equal(si->content_type, data->content_type))
            return chy_fail(err, CHY_E_INTEGRITY, "it is signed as another type of content");
        CHY_TRY(attributes_verify(key, si, arena, to, err));
        return chy_bytes_equal(si->digest, digest)
                   ? CHY_OK
                   : chy_fail(err, CHY_E_INTEGRITY, "the content is not what was signed");
    }
    /* Only plain data may come without attributes (RFC 5652 section 5.3). */
    if (!chy_bytes_equal(data->content_type, chy_oid_data()))
        return chy_fail(err, CHY_E_MALFORMED, "its signed attributes are missing");
    if (chy_content_is_attributes(content->head, content->size_bytes))
        return chy_fail(err, CHY_E_INTEGRITY,
                        "its content are the attributes of another signature, which this one is");
    to->digest = chy_arena_bytes(arena, digest);
    if (to->digest.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
    if (si->family == CHY_KEY_ED25519)
        return chy_fail(err, CHY_E_UNSUPPORTED, "Ed25519 without signed attributes");
    return digest_verify(key, si, digest, err);
}

/* --- the whole --- */

/* When it signed, as far as anybody but the signer says so. */
static enum chy_err stamp_check(const struct chy_check_terms *terms,
                                const struct chy_signer_info *si, struct chy_arena *arena,
                                struct chy_checked_signer *to, struct chy_error *err)
{
    if (si->time_stamp.p == NULL)
        return CHY_OK;
    return chy_time_stamp_check(terms->stamp_roots, terms->now_us, si->time_stamp, si->signature,
                                arena, &to->stamped_us, &to->authority, err);
}

static enum chy_err signer_check(const struct chy_check_terms *terms,
                                 const struct chy_signed_data *data,
                                 const struct chy_signer_info *si,
                                 const struct chy_signed_content *content, struct chy_arena *arena,
                                 struct chy_checked_signer *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_certs_done) struct chy_certs certs = { NULL };
    CHY_TRY(chy_certs_load(data->certificates, data->n_certificates, &certs, err));
    X509 *cert = certificate_find(terms->roots, &certs, si);
    if (cert == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "the signer's certificate is neither in the signature nor in the trust "
                        "file");
    CHY_TRY(certificate_describe(cert, arena, to, err));
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (key == NULL || EVP_PKEY_get_base_id(key) != evp_type(si->family)) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_UNSUPPORTED, "the key of the certificate does not sign so");
    }
    CHY_TRY(content_verify(key, data, si, content, arena, to, err));
    CHY_TRY(stamp_check(terms, si, arena, to, err));
    const struct chy_path_terms path = {
        .roots = terms->roots,
        .now_us = terms->now_us,
        .stamped_us = to->stamped_us,
        .ignores_time = terms->ignores_time,
    };
    return chy_path_check(&path, cert, &certs, err);
}

enum chy_err chy_signer_check(const struct chy_check_terms *terms,
                              const struct chy_signed_data *data, size_t i,
                              const struct chy_signed_content *content, struct chy_arena *arena,
                              struct chy_checked_signer *ret_signer, struct chy_error *err)
{
    *ret_signer = (struct chy_checked_signer){ .stamped_us = 0 };
    if (i >= data->n_signers)
        return chy_fail(err, CHY_E_ARG, "there is no signer %zu", i + 1);
    const struct chy_signer_info *si = &data->signers[i];
    ret_signer->algorithm = alg_of(si);
    ret_signer->signature = si->signature;
    return signer_check(terms, data, si, content, arena, ret_signer, err);
}
