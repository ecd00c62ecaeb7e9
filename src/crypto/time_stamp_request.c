/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/ts.h>

#include "base/limits.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/time_stamp.h"
#include "crypto/trust_store_private.h"
#include "proto/digest_info.h"

enum {
    GRANTED = 0, /* PKIStatus */
    GRANTED_WITH_MODS = 1,
};

static void request_freep(TS_REQ **p)
{
    TS_REQ_free(*p);
}

static void answer_freep(TS_RESP **p)
{
    TS_RESP_free(*p);
}

static void verify_freep(TS_VERIFY_CTX **p)
{
    TS_VERIFY_CTX_free(*p);
}

static void signers_freep(STACK_OF(X509) * *p)
{
    sk_X509_free(*p); /* the certificates are the token's */
}

/* --- asking --- */

/* A MessageImprint looks as a DigestInfo does. */
static void put_imprint(struct chy_der_writer *w, enum chy_hash_alg hash, struct chy_bytes digest)
{
    uint8_t imprint[CHY_DIGEST_INFO_HEAD_BYTES + CHY_LIMIT_DIGEST];
    struct chy_bytes head = chy_digest_info_head(hash);
    chy_copy(imprint, head.p, head.n);
    chy_copy(imprint + head.n, digest.p, digest.n);
    chy_der_put_raw(w, (struct chy_bytes){ imprint, head.n + digest.n });
}

enum chy_err chy_time_stamp_request(enum chy_hash_alg hash, struct chy_bytes digest,
                                    struct chy_bytes nonce, struct chy_buf *out,
                                    struct chy_error *err)
{
    struct chy_der_writer w;
    if (hash == CHY_HASH_NONE || digest.n != chy_hash_alg_bytes(hash) ||
        nonce.n != CHY_TIME_STAMP_NONCE)
        return chy_fail(err, CHY_E_ARG, "no time stamp is asked for a digest of %zu bytes",
                        digest.n);
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_u64(&w, 1);
    put_imprint(&w, hash, digest);
    chy_der_put_uint(&w, nonce);
    chy_der_put_bool(&w, true);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

/* --- its answer --- */

static struct chy_str first_text(const TS_STATUS_INFO *info)
{
    const STACK_OF(ASN1_UTF8STRING) *texts = TS_STATUS_INFO_get0_text(info);
    if (sk_ASN1_UTF8STRING_num(texts) < 1)
        return CHY_STR("it does not say why");
    const ASN1_UTF8STRING *text = sk_ASN1_UTF8STRING_value(texts, 0);
    struct chy_str said = { (const char *)ASN1_STRING_get0_data(text),
                            (size_t)ASN1_STRING_length(text) };
    return chy_text_is_plain(said) ? said : CHY_STR("its words cannot be shown");
}

static enum chy_err status_check(TS_RESP *answer, struct chy_error *err)
{
    const TS_STATUS_INFO *info = TS_RESP_get_status_info(answer);
    long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(info));
    if (status == GRANTED || status == GRANTED_WITH_MODS)
        return CHY_OK;
    return chy_fail(err, CHY_E_FORBIDDEN, "the authority refuses (PKIStatus %ld): %.*s", status,
                    CHY_STR_ARG(first_text(info)));
}

/* The signature is looked at by signed_check(), which trusts no roots. */
static enum chy_err token_compare(struct chy_bytes request, TS_RESP *answer, struct chy_error *err)
{
    const uint8_t *p = request.p;
    CHY_CLEANUP(request_freep) TS_REQ *asked = d2i_TS_REQ(NULL, &p, (long)request.n);
    CHY_CLEANUP(verify_freep)
    TS_VERIFY_CTX *ctx = asked != NULL ? TS_REQ_to_TS_VERIFY_CTX(asked, NULL) : NULL;
    if (ctx == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "no memory to check a time stamp");
    TS_VERIFY_CTX_set_flags(ctx, TS_VFY_VERSION | TS_VFY_IMPRINT | TS_VFY_NONCE);
    if (TS_RESP_verify_response(ctx, answer) != 1)
        return chy_fail_openssl(err, CHY_E_INTEGRITY,
                                "the time stamp is not the one that was asked for");
    return CHY_OK;
}

static enum chy_err signed_check(PKCS7 *token, struct chy_error *err)
{
    int64_t at_us;
    CHY_CLEANUP(signers_freep) STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
    if (signers == NULL || sk_X509_num(signers) != 1) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_NOT_FOUND, "the time stamp has no certificate of one signer");
    }
    X509 *const root = sk_X509_value(signers, 0);
    CHY_TRY(chy_time_stamp_time(token, &at_us, err));
    return chy_time_stamp_signature_check(&root, 1, token, at_us, err);
}

/* As it was sent: written anew by the library it might not fit its signature. */
static enum chy_err token_cut(struct chy_bytes answer, struct chy_bytes *ret_token,
                              struct chy_error *err)
{
    struct chy_bytes body;
    struct chy_der_item status;
    struct chy_der_item token;
    CHY_TRY(chy_der_take(&answer, CHY_DER_SEQUENCE, &body, err));
    CHY_TRY(chy_der_end(answer, err));
    CHY_TRY(chy_der_next(&body, &status, err));
    CHY_TRY(chy_der_next(&body, &token, err));
    *ret_token = token.whole;
    return CHY_OK;
}

enum chy_err chy_time_stamp_answer(struct chy_bytes request, struct chy_bytes answer,
                                   struct chy_bytes *ret_token, struct chy_error *err)
{
    const uint8_t *p = answer.p;
    struct chy_bytes token;
    if (answer.n > CHY_LIMIT_TIME_STAMP)
        return chy_fail(err, CHY_E_LIMIT, "a time stamp of %zu bytes, %d are the most", answer.n,
                        CHY_LIMIT_TIME_STAMP);
    CHY_CLEANUP(answer_freep) TS_RESP *read = d2i_TS_RESP(NULL, &p, (long)answer.n);
    if (read == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the authority's answer is no time stamp");
    CHY_TRY(status_check(read, err));
    CHY_TRY(token_compare(request, read, err));
    CHY_TRY(token_cut(answer, &token, err));
    CHY_TRY(signed_check(TS_RESP_get_token(read), err));
    *ret_token = token;
    return CHY_OK;
}
