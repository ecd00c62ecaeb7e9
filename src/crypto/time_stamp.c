/* SPDX-License-Identifier: MIT */
/* Time stamps of RFC 3161: OpenSSL reads and checks the token, certificates are looked at as of the
 * time that it tells, so that a stamp outlives its authority's certificate. */
#include <openssl/err.h>
#include <openssl/ts.h>

#include "crypto/openssl.h"
#include "crypto/trust_store_private.h"

#define US 1000000

static void pkcs7_freep(PKCS7 **p)
{
    PKCS7_free(*p);
}

static void info_freep(TS_TST_INFO **p)
{
    TS_TST_INFO_free(*p);
}

static void verify_freep(TS_VERIFY_CTX **p)
{
    TS_VERIFY_CTX_free(*p);
}

static void stack_freep(STACK_OF(X509) * *p)
{
    sk_X509_free(*p); /* the certificates are the token's */
}

static enum chy_err time_of(const ASN1_GENERALIZEDTIME *t, int64_t *ret_us, struct chy_error *err)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int r = epoch != NULL && t != NULL ? ASN1_TIME_diff(&days, &seconds, epoch, t) : 0;
    ASN1_TIME_free(epoch);
    if (r != 1 || days < 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the time of a time stamp cannot be read");
    *ret_us = ((int64_t)days * 86400 + seconds) * US;
    return CHY_OK;
}

static enum chy_err info_of(PKCS7 *token, TS_TST_INFO **ret_info, struct chy_error *err)
{
    *ret_info = PKCS7_to_TS_TST_INFO(token);
    if (*ret_info == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the time stamp holds no time");
    return CHY_OK;
}

enum chy_err chy_time_stamp_time(PKCS7 *token, int64_t *ret_us, struct chy_error *err)
{
    CHY_CLEANUP(info_freep) TS_TST_INFO *info = NULL;
    CHY_TRY(info_of(token, &info, err));
    return time_of(TS_TST_INFO_get_time(info), ret_us, err);
}

/* A stamp over a SHA-1 hash proves nothing any more. */
static enum chy_err imprint_check(PKCS7 *token, struct chy_error *err)
{
    CHY_CLEANUP(info_freep) TS_TST_INFO *info = NULL;
    CHY_TRY(info_of(token, &info, err));
    const X509_ALGOR *alg = TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(info));
    const ASN1_OBJECT *oid = NULL;
    X509_ALGOR_get0(&oid, NULL, NULL, alg);
    switch (OBJ_obj2nid(oid)) {
    case NID_sha256:
    case NID_sha384:
    case NID_sha512:
        return CHY_OK;
    default:
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the time stamp is of none of the hashes SHA-256, -384 and -512");
    }
}

/* The certificate of who signed the token: it is in it, as we ask for it. */
static enum chy_err authority_check(const struct chy_trust_store *roots, int64_t now_us,
                                    PKCS7 *token, struct chy_arena *arena, int64_t at_us,
                                    struct chy_str *ret_authority, struct chy_error *err)
{
    CHY_CLEANUP(stack_freep) STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
    if (signers == NULL || sk_X509_num(signers) != 1) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_NOT_FOUND, "the time stamp has no certificate of one signer");
    }
    X509 *cert = sk_X509_value(signers, 0);
    const struct chy_certs others = { token->d.sign->cert };
    CHY_TRY(chy_x509_called(cert, arena, ret_authority, err));
    const struct chy_path_terms terms = {
        .roots = roots,
        .now_us = now_us,
        .stamped_us = at_us,
        .is_stamp = true,
    };
    return chy_path_check(&terms, cert, &others, err);
}

/* The signature of the token, that it names its certificate (ESSCertID), and that it is of these
 * bytes. The path was looked at already: at the time of the stamp, while this looks at none. */
static enum chy_err token_check(PKCS7 *token, struct chy_bytes signature, struct chy_error *err)
{
    CHY_CLEANUP(verify_freep) TS_VERIFY_CTX *ctx = TS_VERIFY_CTX_new();
    BIO *data = BIO_new_mem_buf(signature.p, (int)signature.n);
    if (ctx == NULL || data == NULL) {
        BIO_free(data);
        return chy_fail_openssl(err, CHY_E_NOMEM, "no memory to check a time stamp");
    }
    TS_VERIFY_CTX_set_data(ctx, data); /* its own from here on */
    TS_VERIFY_CTX_set_flags(ctx, TS_VFY_VERSION | TS_VFY_DATA);
    if (TS_RESP_verify_token(ctx, token) != 1)
        return chy_fail_openssl(err, CHY_E_INTEGRITY, "the time stamp is of another signature");
    return CHY_OK;
}

enum chy_err chy_time_stamp_signature_check(X509 *const *roots, size_t n, PKCS7 *token,
                                            int64_t at_us, struct chy_error *err)
{
    X509_STORE *store = X509_STORE_new();
    bool is_ready = store != NULL;
    for (size_t i = 0; is_ready && i < n; i++)
        is_ready = X509_STORE_add_cert(store, roots[i]) == 1;
    X509 *signer = NULL;
    if (!is_ready) {
        X509_STORE_free(store);
        return chy_fail_openssl(err, CHY_E_NOMEM, "no memory to check a time stamp");
    }
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_time(param, (time_t)(at_us / US));
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    int r = TS_RESP_verify_signature(token, NULL, store, &signer);
    X509_free(signer);
    X509_STORE_free(store);
    if (r != 1)
        return chy_fail_openssl(err, CHY_E_INTEGRITY, "the signature of the time stamp is wrong");
    return CHY_OK;
}

static enum chy_err token_read(struct chy_bytes token, PKCS7 **ret_p7, struct chy_error *err)
{
    const uint8_t *p = token.p;
    CHY_CLEANUP(pkcs7_freep) PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)token.n);
    if (p7 == NULL || p != token.p + token.n || !PKCS7_type_is_signed(p7) || p7->d.sign == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the time stamp is malformed");
    *ret_p7 = CHY_TAKE(p7);
    return CHY_OK;
}

enum chy_err chy_time_stamp_check(const struct chy_trust_store *roots, int64_t now_us,
                                  struct chy_bytes token, struct chy_bytes signature,
                                  struct chy_arena *arena, int64_t *ret_time_us,
                                  struct chy_str *ret_authority, struct chy_error *err)
{
    int64_t at_us;
    CHY_CLEANUP(pkcs7_freep) PKCS7 *p7 = NULL;
    CHY_TRY(token_read(token, &p7, err));
    CHY_TRY(chy_time_stamp_time(p7, &at_us, err));
    CHY_TRY(imprint_check(p7, err));
    CHY_TRY(authority_check(roots, now_us, p7, arena, at_us, ret_authority, err));
    CHY_TRY(chy_time_stamp_signature_check(roots->certs, roots->n, p7, at_us, err));
    CHY_TRY(token_check(p7, signature, err));
    *ret_time_us = at_us;
    return CHY_OK;
}
