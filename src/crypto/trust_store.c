/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "crypto/openssl.h"
#include "crypto/pem.h"
#include "crypto/trust_store_private.h"
#include "crypto/x509_private.h"

#define AUTH_LEVEL 2 /* of OpenSSL: 112 bits, so SHA-256 and RSA-2048 at least */
#define DEPTH_MAX  CHY_LIMIT_CHAIN

enum chy_err chy_trust_store_new(struct chy_trust_store **ret_store, struct chy_error *err)
{
    CHY_CLEANUP(chy_trust_store_freep) struct chy_trust_store *s = chy_calloc(1, sizeof *s);
    if (s != NULL)
        s->store = X509_STORE_new();
    if (s == NULL || s->store == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for trusted certificates");
    *ret_store = CHY_TAKE(s);
    return CHY_OK;
}

void chy_trust_store_free(struct chy_trust_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        X509_free(s->certs[i]);
    chy_trust_store_crls_free(s);
    X509_STORE_free(s->store);
    chy_free(s);
}

void chy_trust_store_freep(struct chy_trust_store **s)
{
    chy_trust_store_free(*s);
}

size_t chy_trust_store_size(const struct chy_trust_store *s)
{
    return s->n;
}

enum chy_err chy_trust_store_add(struct chy_trust_store *s, struct chy_bytes der,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_x509_freep) X509 *cert = NULL;
    CHY_TRY(chy_x509_load(der, &cert, err));
    for (size_t i = 0; i < s->n; i++) {
        if (X509_cmp(s->certs[i], cert) == 0)
            return CHY_OK;
    }
    if (s->n == CHY_LIMIT_TRUST_CERTIFICATES)
        return chy_fail(err, CHY_E_LIMIT, "more than %d trusted certificates",
                        CHY_LIMIT_TRUST_CERTIFICATES);
    if (X509_STORE_add_cert(s->store, cert) != 1)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot keep a trusted certificate");
    s->certs[s->n++] = CHY_TAKE(cert);
    return CHY_OK;
}

enum chy_err chy_trust_store_pem(const struct chy_trust_store *s, size_t i, struct chy_buf *out,
                                 struct chy_error *err)
{
    uint8_t *der = NULL;
    int n = i < s->n ? i2d_X509(s->certs[i], &der) : 0;
    if (n <= 0)
        return chy_fail_openssl(err, CHY_E_ARG, "there is no trusted certificate %zu", i + 1);
    chy_pem_append(out, "CERTIFICATE", (struct chy_bytes){ der, (size_t)n });
    OPENSSL_free(der);
    return chy_buf_check(out, err);
}

bool chy_trust_store_has(const struct chy_trust_store *s, const uint8_t sha256[CHY_HASH_BYTES])
{
    for (size_t i = 0; i < s->n; i++) {
        uint8_t own[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        if (X509_digest(s->certs[i], EVP_sha256(), own, &n) == 1 && n == CHY_HASH_BYTES &&
            chy_bytes_equal((struct chy_bytes){ own, n }, (struct chy_bytes){ sha256, n }))
            return true;
    }
    return false;
}

/* --- certificates that came along --- */

enum chy_err chy_certs_load(const struct chy_bytes *ders, size_t n, struct chy_certs *ret_certs,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_certs_done) struct chy_certs c = { sk_X509_new_null() };
    if (c.stack == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for certificates");
    for (size_t i = 0; i < n; i++) {
        CHY_CLEANUP(chy_x509_freep) X509 *cert = NULL;
        CHY_TRY(chy_x509_load(ders[i], &cert, err));
        if (sk_X509_push(c.stack, cert) <= 0)
            return chy_fail(err, CHY_E_NOMEM, "no memory for certificates");
        cert = NULL; /* the stack's */
    }
    *ret_certs = c;
    c.stack = NULL;
    return CHY_OK;
}

void chy_certs_done(struct chy_certs *c)
{
    sk_X509_pop_free(c->stack, X509_free);
    c->stack = NULL;
}

/* --- the way to a trusted one --- */

bool chy_trust_store_holds(const struct chy_trust_store *roots, const X509 *cert)
{
    for (size_t i = 0; i < roots->n; i++) {
        if (X509_cmp(roots->certs[i], cert) == 0)
            return true;
    }
    return false;
}

/* A certificate that the verifier has named himself needs no further word about what it is for:
 * those of kernel modules say nothing. */
static enum chy_err purpose_check(const struct chy_trust_store *roots, X509 *leaf,
                                  struct chy_error *err)
{
    uint32_t flags = X509_get_extension_flags(leaf);
    if ((flags & EXFLAG_INVALID) != 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED,
                                "the extensions of the signer's certificate are malformed");
    if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "the signer's certificate is not for signing: its key usage lacks "
                        "digitalSignature");
    bool is_for_code =
        (flags & EXFLAG_XKUSAGE) != 0 && (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN) != 0;
    if (is_for_code || ((flags & EXFLAG_XKUSAGE) == 0 && chy_trust_store_holds(roots, leaf)))
        return CHY_OK;
    return chy_fail(err, CHY_E_FORBIDDEN,
                    "the signer's certificate is not for signing code: its extended key usage "
                    "lacks codeSigning");
}

/* RFC 5280 section 4.2.1.12 leaves open what an extended key usage means in an authority's
 * certificate; everybody takes it as a limit on those whom it certifies. */
static enum chy_err purpose_between_check(X509_STORE_CTX *ctx, bool is_stamp, struct chy_error *err)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
    uint32_t wanted = XKU_ANYEKU | (is_stamp ? XKU_TIMESTAMP : XKU_CODE_SIGN);
    for (int i = 1; i < sk_X509_num(path) - 1; i++) {
        X509 *cert = sk_X509_value(path, i);
        if ((X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) != 0 &&
            (X509_get_extended_key_usage(cert) & wanted) == 0)
            return chy_fail(err, CHY_E_FORBIDDEN,
                            "an authority between, at depth %d, is not for %s: its extended key "
                            "usage says so",
                            i, is_stamp ? "time stamps" : "signing code");
    }
    return CHY_OK;
}

static void store_ctx_freep(X509_STORE_CTX **ctx)
{
    X509_STORE_CTX_free(*ctx);
}

static enum chy_err fail_path(X509_STORE_CTX *ctx, bool is_stamp, struct chy_error *err)
{
    int why = X509_STORE_CTX_get_error(ctx);
    const char *whose = is_stamp ? "the time stamp's" : "the signer's";
    const char *text = X509_verify_cert_error_string(why);
    ERR_clear_error();
    switch (why) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return chy_fail(err, CHY_E_EXPIRED, "%s certificates: %s, at depth %d", whose, text,
                        X509_STORE_CTX_get_error_depth(ctx));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "%s certificate leads to none of the trust file's (%s)", whose, text);
    case X509_V_ERR_OUT_OF_MEM:
        return chy_fail(err, CHY_E_NOMEM, "no memory to check certificates");
    default:
        return chy_fail(err, CHY_E_FORBIDDEN, "%s certificates: %s, at depth %d", whose, text,
                        X509_STORE_CTX_get_error_depth(ctx));
    }
}

enum chy_err chy_path_check(const struct chy_path_terms *terms, X509 *leaf,
                            const struct chy_certs *others, struct chy_error *err)
{
    int64_t at_us = terms->stamped_us != 0 ? terms->stamped_us : terms->now_us;
    CHY_CLEANUP(store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (ctx == NULL || X509_STORE_CTX_init(ctx, terms->roots->store, leaf, others->stack) != 1)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot prepare the check of certificates");
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
    X509_VERIFY_PARAM_set_time(param, (time_t)(at_us / 1000000));
    unsigned long flags =
        X509_V_FLAG_PARTIAL_CHAIN | (terms->ignores_time ? X509_V_FLAG_NO_CHECK_TIME : 0);
    bool is_set = X509_VERIFY_PARAM_set_flags(param, flags) == 1 &&
                  (!terms->is_stamp ||
                   X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_TIMESTAMP_SIGN) == 1);
    if (!is_set)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare the check of certificates");
    if (X509_verify_cert(ctx) != 1)
        return fail_path(ctx, terms->is_stamp, err);
    CHY_TRY(purpose_between_check(ctx, terms->is_stamp, err));
    CHY_TRY(chy_revocation_check(terms, X509_STORE_CTX_get0_chain(ctx), err));
    return terms->is_stamp ? CHY_OK : purpose_check(terms->roots, leaf, err);
}

enum chy_err chy_certificate_check(const struct chy_check_terms *terms, struct chy_bytes der,
                                   const struct chy_bytes *others, size_t n_others,
                                   struct chy_error *err)
{
    CHY_CLEANUP(chy_x509_freep) X509 *leaf = NULL;
    CHY_CLEANUP(chy_certs_done) struct chy_certs certs = { NULL };
    CHY_TRY(chy_x509_load(der, &leaf, err));
    CHY_TRY(chy_certs_load(others, n_others, &certs, err));
    const struct chy_path_terms path = {
        .roots = terms->roots,
        .now_us = terms->now_us,
        .ignores_time = terms->ignores_time,
    };
    return chy_path_check(&path, leaf, &certs, err);
}
