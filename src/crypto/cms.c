/* SPDX-License-Identifier: MIT */
#include "crypto/cms.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "crypto/attributes.h"
#include "crypto/openssl.h"
#include "crypto/signature.h"

#define ATTRIBUTE_BYTES 256 /* of one: the longest has a SHA-512 digest */

#define OID(...)                                                                   \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }
#define PKCS 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01

static const struct chy_bytes oid_data = OID(PKCS, 7, 1);
static const struct chy_bytes oid_signed_data = OID(PKCS, 7, 2);
static const struct chy_bytes oid_content_type = OID(PKCS, 9, 3);
static const struct chy_bytes oid_message_digest = OID(PKCS, 9, 4);
static const struct chy_bytes oid_signing_time = OID(PKCS, 9, 5);
static const struct chy_bytes oid_signing_certificate = OID(PKCS, 9, 16, 2, 47);

/* --- the attributes --- */

typedef enum chy_err value_fn(struct chy_der_writer *w, const struct chy_cms_request *request,
                              struct chy_error *err);

static enum chy_err put_content_type(struct chy_der_writer *w,
                                     const struct chy_cms_request *request, struct chy_error *err)
{
    (void)request;
    (void)err;
    chy_der_put_oid(w, oid_data);
    return CHY_OK;
}

/* RFC 5652 section 11.3: UTCTime until 2049. */
static enum chy_err put_signing_time(struct chy_der_writer *w,
                                     const struct chy_cms_request *request, struct chy_error *err)
{
    int64_t t_s = request->time_us / 1000000;
    if (request->time_us < 0 || t_s > INT64_C(253402300799)) /* 9999-12-31T23:59:59Z */
        return chy_fail(err, CHY_E_ARG, "a signing time before 1970 or after 9999");
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)t_s);
    if (t == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot write a signing time");
    chy_der_put(w, (unsigned)ASN1_STRING_type(t),
                (struct chy_bytes){ ASN1_STRING_get0_data(t), (size_t)ASN1_STRING_length(t) });
    ASN1_TIME_free(t);
    return CHY_OK;
}

static enum chy_err put_message_digest(struct chy_der_writer *w,
                                       const struct chy_cms_request *request, struct chy_error *err)
{
    (void)err;
    chy_der_put(w, CHY_DER_OCTET_STRING, request->digest);
    return CHY_OK;
}

/* The certificate's SHA-256, which is what its absence as an algorithm means. */
static enum chy_err put_signing_certificate(struct chy_der_writer *w,
                                            const struct chy_cms_request *request,
                                            struct chy_error *err)
{
    (void)err;
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put(w, CHY_DER_OCTET_STRING,
                (struct chy_bytes){ request->chain[0].sha256, CHY_HASH_BYTES });
    chy_der_close(w);
    chy_der_close(w);
    chy_der_close(w);
    return CHY_OK;
}

static const struct attribute {
    const struct chy_bytes *oid;
    value_fn *value;
} attributes_all[] = {
    { &oid_content_type, put_content_type },
    { &oid_signing_time, put_signing_time },
    { &oid_message_digest, put_message_digest },
    { &oid_signing_certificate, put_signing_certificate },
};
#define N_ATTRIBUTES CHY_ARRAY_LEN(attributes_all)

struct encoded {
    struct chy_buf der[N_ATTRIBUTES];
};

static void encoded_done(struct encoded *e)
{
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        chy_buf_done(&e->der[i]);
}

/* DER has the elements of a SET OF in the order of their encodings (X.690 section 11.6). */
static int by_bytes(const void *a, const void *b)
{
    return chy_bytes_compare(chy_buf_bytes(a), chy_buf_bytes(b));
}

static enum chy_err encode_all(const struct chy_cms_request *request, struct encoded *e,
                               struct chy_error *err)
{
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        struct chy_der_writer w;
        chy_buf_init(&e->der[i], ATTRIBUTE_BYTES);
        chy_der_writer_init(&w, &e->der[i]);
        chy_der_open(&w, CHY_DER_SEQUENCE);
        chy_der_put_oid(&w, *attributes_all[i].oid);
        chy_der_open(&w, CHY_DER_SET);
        CHY_TRY(attributes_all[i].value(&w, request, err));
        chy_der_close(&w);
        chy_der_close(&w);
        CHY_TRY(chy_buf_check(&e->der[i], err));
    }
    qsort(e->der, N_ATTRIBUTES, sizeof e->der[0], by_bytes);
    return CHY_OK;
}

static enum chy_err request_check(const struct chy_cms_request *request, struct chy_error *err)
{
    enum chy_hash_alg hash = chy_sign_alg_hash(request->alg);
    if (hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "%s makes no signature in CMS that others read: use an RSA or ECDSA key",
                        chy_enum_name(&chy_sign_alg_enum, (int)request->alg));
    if (request->n == 0 || request->n > CHY_LIMIT_CHAIN)
        return chy_fail(err, CHY_E_ARG, "a chain of %zu certificates", request->n);
    if (request->digest.n != chy_hash_alg_bytes(hash))
        return chy_fail(err, CHY_E_ARG, "a digest of %zu bytes", request->digest.n);
    return CHY_OK;
}

enum chy_err chy_cms_attributes(const struct chy_cms_request *request, struct chy_buf *out,
                                struct chy_error *err)
{
    CHY_CLEANUP(encoded_done) struct encoded e = { .der = { { .n = 0 } } };
    struct chy_der_writer w;
    CHY_TRY(request_check(request, err));
    CHY_TRY(encode_all(request, &e, err));
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SET);
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        chy_der_put_raw(&w, chy_buf_bytes(&e.der[i]));
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

/* --- the whole --- */

static enum chy_err put_signer(struct chy_der_writer *w, const struct chy_cms_request *request,
                               struct chy_bytes attributes, struct chy_bytes signature,
                               struct chy_error *err)
{
    struct chy_x509_attributes certificate;
    struct chy_bytes set;
    CHY_TRY(chy_x509_attributes(request->chain[0].der, &certificate, err));
    if (chy_der_take(&attributes, CHY_DER_SET, &set, NULL) != CHY_OK || attributes.n != 0)
        return chy_fail(err, CHY_E_ARG, "what was signed is not one SET of attributes");
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_u64(w, 1); /* the signer is named by issuer and serial number */
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_raw(w, certificate.issuer);
    chy_der_put_raw(w, certificate.serial);
    chy_der_close(w);
    CHY_TRY(chy_hash_alg_write(w, chy_sign_alg_hash(request->alg), err));
    chy_der_put(w, CHY_DER_CONTEXT_SET(0), set);
    CHY_TRY(chy_sign_alg_write(w, request->alg, err));
    chy_der_put(w, CHY_DER_OCTET_STRING, signature);
    chy_der_close(w);
    return CHY_OK;
}

static enum chy_err put_signed_data(struct chy_der_writer *w, const struct chy_cms_request *request,
                                    struct chy_bytes attributes, struct chy_bytes signature,
                                    struct chy_error *err)
{
    chy_der_put_u64(w, 1);
    chy_der_open(w, CHY_DER_SET);
    CHY_TRY(chy_hash_alg_write(w, chy_sign_alg_hash(request->alg), err));
    chy_der_close(w);
    chy_der_open(w, CHY_DER_SEQUENCE); /* the content is elsewhere */
    chy_der_put_oid(w, oid_data);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_CONTEXT_SET(0));
    for (size_t i = 0; i < request->n; i++)
        chy_der_put_raw(w, request->chain[i].der);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_SET);
    CHY_TRY(put_signer(w, request, attributes, signature, err));
    chy_der_close(w);
    return CHY_OK;
}

enum chy_err chy_cms_assemble(const struct chy_cms_request *request, struct chy_bytes attributes,
                              struct chy_bytes signature, struct chy_buf *out,
                              struct chy_error *err)
{
    struct chy_der_writer w;
    CHY_TRY(request_check(request, err));
    if (signature.n == 0 || signature.n > CHY_LIMIT_SIGNATURE)
        return chy_fail(err, CHY_E_ARG, "a signature of %zu bytes", signature.n);
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, oid_signed_data);
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
    chy_der_open(&w, CHY_DER_SEQUENCE);
    CHY_TRY(put_signed_data(&w, request, attributes, signature, err));
    chy_der_close(&w);
    chy_der_close(&w);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}
