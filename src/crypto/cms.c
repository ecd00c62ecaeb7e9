/* SPDX-License-Identifier: MIT */
#include "crypto/cms.h"

#include "base/limits.h"
#include "codec/der.h"
#include "crypto/attributes.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "crypto/x509_private.h"

#define OID(name, ...)                                     \
    static const uint8_t name##_bytes[] = { __VA_ARGS__ }; \
    static const struct chy_bytes name = { name##_bytes, sizeof name##_bytes }

OID(oid_data, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01);
OID(oid_signed_data, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02);
OID(oid_content_type, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03);
OID(oid_message_digest, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04);
OID(oid_signing_time, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05);
OID(oid_signing_certificate, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f);
OID(oid_time_stamp, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0e);
OID(oid_rsa, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
OID(oid_sha256, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01);
OID(oid_sha384, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02);
OID(oid_sha512, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03);

#define ATTRIBUTE_BYTES 256

/* RFC 5754 section 2: without parameters. */
static void put_hash(struct chy_der_writer *w, enum chy_hash_alg hash)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, hash == CHY_HASH_SHA256   ? oid_sha256
                       : hash == CHY_HASH_SHA384 ? oid_sha384
                                                 : oid_sha512);
    chy_der_close(w);
}

/* rsaEncryption, which every verifier must know (RFC 3370 section 3.2) and Linux alone takes. */
static enum chy_err put_algorithm(struct chy_der_writer *w, enum chy_sign_alg alg,
                                  struct chy_error *err)
{
    bool is_plain_rsa = alg == CHY_ALG_RSA_PKCS1_SHA256 || alg == CHY_ALG_RSA_PKCS1_SHA384 ||
                        alg == CHY_ALG_RSA_PKCS1_SHA512;
    if (!is_plain_rsa)
        return chy_sign_alg_write(w, alg, err);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid_rsa);
    chy_der_put_null(w);
    chy_der_close(w);
    return CHY_OK;
}

static enum chy_err check(const struct chy_cms *cms, struct chy_error *err)
{
    enum chy_hash_alg hash = chy_sign_alg_hash(cms->alg);
    if (hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "%s makes no CMS signature: use an RSA or elliptic-curve key",
                        chy_enum_name(&chy_sign_alg_enum, (int)cms->alg));
    if (cms->content_digest.n != chy_hash_alg_bytes(hash))
        return chy_fail(err, CHY_E_ARG, "a CMS signature by %s cannot be of a digest of %zu bytes",
                        chy_enum_name(&chy_sign_alg_enum, (int)cms->alg), cms->content_digest.n);
    if (cms->n_certificates == 0)
        return chy_fail(err, CHY_E_ARG, "a CMS signature needs the signer's certificate");
    return CHY_OK;
}

/* --- attributes --- */

typedef enum chy_err write_value_fn(const struct chy_cms *cms, struct chy_der_writer *w,
                                    struct chy_error *err);

static enum chy_err write_content_type(const struct chy_cms *cms, struct chy_der_writer *w,
                                       struct chy_error *err)
{
    (void)cms;
    (void)err;
    chy_der_put_oid(w, oid_data);
    return CHY_OK;
}

static enum chy_err write_time(const struct chy_cms *cms, struct chy_der_writer *w,
                               struct chy_error *err)
{
    return x509_time_write(w, cms->time_us, err);
}

static enum chy_err write_digest(const struct chy_cms *cms, struct chy_der_writer *w,
                                 struct chy_error *err)
{
    (void)err;
    chy_der_put(w, CHY_DER_OCTET_STRING, cms->content_digest);
    return CHY_OK;
}

/* SigningCertificateV2 with one ESSCertIDv2, whose hash is SHA-256 unless it says otherwise. */
static enum chy_err write_certificate(const struct chy_cms *cms, struct chy_der_writer *w,
                                      struct chy_error *err)
{
    uint8_t hash[CHY_HASH_BYTES];
    CHY_TRY(chy_sha256(cms->certificates[0].der, hash, err));
    for (int i = 0; i < 3; i++)
        chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put(w, CHY_DER_OCTET_STRING, (struct chy_bytes){ hash, sizeof hash });
    for (int i = 0; i < 3; i++)
        chy_der_close(w);
    return CHY_OK;
}

static const struct {
    const struct chy_bytes *oid;
    write_value_fn *write;
} attributes[] = {
    { &oid_content_type, write_content_type },
    { &oid_signing_time, write_time },
    { &oid_message_digest, write_digest },
    { &oid_signing_certificate, write_certificate },
};
#define ATTRIBUTES CHY_ARRAY_LEN(attributes)

static enum chy_err write_attribute(const struct chy_cms *cms, size_t i, struct chy_buf *out,
                                    struct chy_error *err)
{
    struct chy_der_writer w;
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, *attributes[i].oid);
    chy_der_open(&w, CHY_DER_SET);
    CHY_TRY(attributes[i].write(cms, &w, err));
    chy_der_close(&w);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

/* The elements of a SET OF stand in the order of their bytes: X.690 section 11.6. */
static void put_sorted(struct chy_der_writer *w, struct chy_bytes parts[static ATTRIBUTES])
{
    for (size_t done = 0; done < ATTRIBUTES; done++) {
        size_t least = done;
        for (size_t i = done + 1; i < ATTRIBUTES; i++)
            if (chy_bytes_compare(parts[i], parts[least]) < 0)
                least = i;
        chy_der_put_raw(w, parts[least]);
        parts[least] = parts[done];
    }
}

enum chy_err chy_cms_attributes(const struct chy_cms *cms, struct chy_buf *out,
                                struct chy_error *err)
{
    size_t ends[ATTRIBUTES];
    struct chy_bytes parts[ATTRIBUTES];
    struct chy_der_writer w;
    CHY_TRY(check(cms, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, ATTRIBUTES * (size_t)ATTRIBUTE_BYTES);
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        CHY_TRY(write_attribute(cms, i, &text, err));
        ends[i] = text.n;
    }
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        size_t from = i != 0 ? ends[i - 1] : 0;
        parts[i] = (struct chy_bytes){ text.p + from, ends[i] - from };
    }
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SET);
    put_sorted(&w, parts);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

/* --- all around the signature --- */

/* [0] IMPLICIT in the place of the SET's own tag, which is what was signed. */
static enum chy_err put_attributes(struct chy_der_writer *w, struct chy_bytes set,
                                   struct chy_error *err)
{
    struct chy_bytes body;
    if (set.n == 0)
        return CHY_OK;
    CHY_TRY(chy_der_take(&set, CHY_DER_SET, &body, err));
    chy_der_put(w, CHY_DER_CONTEXT_SET(0u), body);
    return CHY_OK;
}

static void put_time_stamp(struct chy_der_writer *w, struct chy_bytes token)
{
    if (token.n == 0)
        return;
    chy_der_open(w, CHY_DER_CONTEXT_SET(1u));
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid_time_stamp);
    chy_der_open(w, CHY_DER_SET);
    chy_der_put_raw(w, token);
    for (int i = 0; i < 3; i++)
        chy_der_close(w);
}

static enum chy_err put_signer(const struct chy_cms *cms, struct chy_der_writer *w,
                               struct chy_bytes set, struct chy_bytes signature,
                               struct chy_error *err)
{
    struct chy_x509_attributes a;
    CHY_TRY(chy_x509_attributes(cms->certificates[0].der, &a, err));
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_u64(w, 1); /* the signer is named by issuer and serial number */
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_raw(w, a.issuer);
    chy_der_put_raw(w, a.serial);
    chy_der_close(w);
    put_hash(w, chy_sign_alg_hash(cms->alg));
    CHY_TRY(put_attributes(w, set, err));
    CHY_TRY(put_algorithm(w, cms->alg, err));
    chy_der_put(w, CHY_DER_OCTET_STRING, signature);
    put_time_stamp(w, cms->time_stamp);
    chy_der_close(w);
    return CHY_OK;
}

static void put_certificates(const struct chy_cms *cms, struct chy_der_writer *w)
{
    if (!cms->holds_certificates)
        return;
    chy_der_open(w, CHY_DER_CONTEXT_SET(0u));
    for (size_t i = 0; i < cms->n_certificates; i++)
        chy_der_put_raw(w, cms->certificates[i].der);
    chy_der_close(w);
}

static enum chy_err put_signed_data(const struct chy_cms *cms, struct chy_der_writer *w,
                                    struct chy_bytes set, struct chy_bytes signature,
                                    struct chy_error *err)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_u64(w, 1); /* plain data, signed as above: RFC 5652 section 5.1 */
    chy_der_open(w, CHY_DER_SET);
    put_hash(w, chy_sign_alg_hash(cms->alg));
    chy_der_close(w);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid_data);
    chy_der_close(w);
    put_certificates(cms, w);
    chy_der_open(w, CHY_DER_SET);
    CHY_TRY(put_signer(cms, w, set, signature, err));
    chy_der_close(w);
    chy_der_close(w);
    return CHY_OK;
}

enum chy_err chy_cms_assemble(const struct chy_cms *cms, struct chy_bytes set,
                              struct chy_bytes signature, struct chy_buf *out,
                              struct chy_error *err)
{
    struct chy_der_writer w;
    CHY_TRY(check(cms, err));
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, oid_signed_data);
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0u));
    CHY_TRY(put_signed_data(cms, &w, set, signature, err));
    chy_der_close(&w);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}
