/* SPDX-License-Identifier: MIT */
#include "crypto/tbs.h"

#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/name.h"
#include "crypto/openssl.h"
#include "crypto/pubkey.h"
#include "crypto/signature.h"
#include "crypto/x509_private.h"

#define KEY_ID_BYTES 20

#define OID(...)                                                                   \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }

static const struct chy_bytes oid_key_id = OID(0x55, 0x1d, 14);
static const struct chy_bytes oid_key_usage = OID(0x55, 0x1d, 15);
static const struct chy_bytes oid_alt_name = OID(0x55, 0x1d, 17);
static const struct chy_bytes oid_constraints = OID(0x55, 0x1d, 19);
static const struct chy_bytes oid_policies = OID(0x55, 0x1d, 32);
static const struct chy_bytes oid_authority_id = OID(0x55, 0x1d, 35);
static const struct chy_bytes oid_eku = OID(0x55, 0x1d, 37);
static const struct chy_bytes oid_server_auth = OID(0x2b, 6, 1, 5, 5, 7, 3, 1);
static const struct chy_bytes oid_client_auth = OID(0x2b, 6, 1, 5, 5, 7, 3, 2);
static const struct chy_bytes oid_code_signing = OID(0x2b, 6, 1, 5, 5, 7, 3, 3);
static const struct chy_bytes oid_user_notice = OID(0x2b, 6, 1, 5, 5, 7, 2, 2);
static const struct chy_bytes oid_extension_request =
    OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14);

static const struct profile {
    enum chy_cert_profile profile;
    bool is_ca;
    bool is_self_signed;
    bool is_development;
    uint8_t key_usage;
    const struct chy_bytes *eku; /* NULL: none */
} profiles[] = {
    { CHY_CERT_DEVELOPMENT_CA, true, true, true, KU_KEY_CERT_SIGN | KU_CRL_SIGN, NULL },
    { CHY_CERT_CODE_SIGNING, false, false, true, KU_DIGITAL_SIGNATURE, &oid_code_signing },
    { CHY_CERT_CLIENT_CA, true, true, false, KU_KEY_CERT_SIGN | KU_CRL_SIGN, NULL },
    { CHY_CERT_CLIENT, false, false, false, KU_DIGITAL_SIGNATURE, &oid_client_auth },
    { CHY_CERT_TLS_SERVER, false, true, false, KU_DIGITAL_SIGNATURE, &oid_server_auth },
};

static const struct profile *profile_find(enum chy_cert_profile profile)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(profiles); i++)
        if (profiles[i].profile == profile)
            return &profiles[i];
    return NULL;
}

enum chy_err x509_time_write(struct chy_der_writer *w, int64_t t_us, struct chy_error *err)
{
    int64_t t_s = t_us / 1000000;
    if (t_us < 0 || t_s > INT64_C(253402300799)) /* 9999-12-31T23:59:59Z */
        return chy_fail(err, CHY_E_ARG, "a certificate's time is before 1970 or after 9999");
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)t_s);
    if (t == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot write a certificate's time");
    chy_der_put(w, (unsigned)ASN1_STRING_type(t),
                (struct chy_bytes){ ASN1_STRING_get0_data(t), (size_t)ASN1_STRING_length(t) });
    ASN1_TIME_free(t);
    return CHY_OK;
}

static void extension_open(struct chy_der_writer *w, struct chy_bytes oid, bool is_critical)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid);
    if (is_critical)
        chy_der_put_bool(w, true);
    chy_der_open(w, CHY_DER_OCTET_STRING);
}

static void extension_close(struct chy_der_writer *w)
{
    chy_der_close(w);
    chy_der_close(w);
}

/* CAs issue end certificates only: pathLenConstraint 0. */
static void constraints_write(struct chy_der_writer *w, bool is_ca)
{
    extension_open(w, oid_constraints, true);
    chy_der_open(w, CHY_DER_SEQUENCE);
    if (is_ca) {
        chy_der_put_bool(w, true);
        chy_der_put_u64(w, 0);
    }
    chy_der_close(w);
    extension_close(w);
}

/* A named bit list: DER drops the zero bits at its end (X.690 section 11.2.2). */
static void key_usage_write(struct chy_der_writer *w, uint8_t bits)
{
    uint8_t spare = 0;
    while ((bits >> spare & 1) == 0)
        spare++;
    const uint8_t body[] = { spare, bits };
    extension_open(w, oid_key_usage, true);
    chy_der_put(w, CHY_DER_BIT_STRING, (struct chy_bytes){ body, sizeof body });
    extension_close(w);
}

static void eku_write(struct chy_der_writer *w, struct chy_bytes purpose)
{
    extension_open(w, oid_eku, false);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, purpose);
    chy_der_close(w);
    extension_close(w);
}

/* The policy of the built-in CA, with a notice for people. */
static void development_write(struct chy_der_writer *w)
{
    extension_open(w, oid_policies, false);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, chy_oid_development_policy());
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid_user_notice);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put(w, CHY_DER_UTF8_STRING, chy_str_bytes(CHY_STR(CHY_CERT_DEVELOPMENT_MARK)));
    chy_der_close(w);
    chy_der_close(w);
    chy_der_close(w);
    chy_der_close(w);
    chy_der_close(w);
    extension_close(w);
}

/* RFC 7093 section 2, method 1: the first 160 bits of the SHA-256 of the key's bits. */
static enum chy_err key_id_make(struct chy_bytes spki, uint8_t ret_id[KEY_ID_BYTES],
                                struct chy_error *err)
{
    struct chy_bytes seq;
    struct chy_bytes alg;
    struct chy_bytes bits;
    uint8_t digest[CHY_HASH_BYTES];
    CHY_TRY(chy_der_take(&spki, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_take(&seq, CHY_DER_SEQUENCE, &alg, err));
    CHY_TRY(chy_der_take_bits(&seq, &bits, err));
    CHY_TRY(chy_sha256(bits, digest, err));
    memcpy(ret_id, digest, KEY_ID_BYTES);
    return CHY_OK;
}

static void key_ids_write(struct chy_der_writer *w, const uint8_t own[KEY_ID_BYTES],
                          struct chy_bytes authority)
{
    extension_open(w, oid_key_id, false);
    chy_der_put(w, CHY_DER_OCTET_STRING, (struct chy_bytes){ own, KEY_ID_BYTES });
    extension_close(w);
    if (authority.n == 0)
        return;
    extension_open(w, oid_authority_id, false);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put(w, CHY_DER_CONTEXT(0), authority);
    chy_der_close(w);
    extension_close(w);
}

static enum chy_err sans_write(struct chy_der_writer *w, const struct chy_str *sans, size_t n,
                               bool is_critical, struct chy_error *err)
{
    if (n == 0)
        return CHY_OK;
    extension_open(w, oid_alt_name, is_critical);
    CHY_TRY(chy_general_names_write(w, sans, n, err));
    extension_close(w);
    return CHY_OK;
}

static enum chy_err extensions_write(struct chy_der_writer *w,
                                     const struct chy_cert_request *request,
                                     const struct profile *profile, X509 *issuer,
                                     struct chy_error *err)
{
    uint8_t own_id[KEY_ID_BYTES];
    CHY_TRY(key_id_make(request->spki, own_id, err));
    struct chy_bytes authority = { own_id, sizeof own_id };
    if (issuer != NULL) {
        const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
        authority = id != NULL ? (struct chy_bytes){ ASN1_STRING_get0_data(id),
                                                     (size_t)ASN1_STRING_length(id) }
                               : (struct chy_bytes){ NULL, 0 };
    }
    chy_der_open(w, CHY_DER_CONTEXT_SET(3));
    chy_der_open(w, CHY_DER_SEQUENCE);
    constraints_write(w, profile->is_ca);
    key_usage_write(w, profile->key_usage);
    if (profile->eku != NULL)
        eku_write(w, *profile->eku);
    if (profile->is_development)
        development_write(w);
    key_ids_write(w, own_id, authority);
    /* RFC 5280 section 4.2.1.6: critical where the subject is empty. */
    CHY_TRY(sans_write(w, request->sans, request->n_sans, request->subject.n == 0, err));
    chy_der_close(w);
    chy_der_close(w);
    return CHY_OK;
}

/* The subject's name; what the development CA issues is marked in it. */
static enum chy_err subject_write(struct chy_der_writer *w, const struct chy_cert_request *request,
                                  struct chy_error *err)
{
    if (request->profile != CHY_CERT_CODE_SIGNING)
        return chy_name_write(w, request->subject, err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf marked;
    chy_buf_init(&marked, (size_t)4 * CHY_LIMIT_TEXT);
    CHY_IGNORE(chy_buf_append_str(&marked, request->subject)); /* checked below */
    CHY_IGNORE(chy_buf_append_c(&marked, request->subject.n > 0 ? "," : ""));
    CHY_IGNORE(chy_buf_append_c(&marked, "OU=development\\, not trusted"));
    CHY_TRY(chy_buf_check(&marked, err));
    return chy_name_write(w, chy_buf_str(&marked), err);
}

static enum chy_err issuer_name_write(struct chy_der_writer *w,
                                      const struct chy_cert_request *request, X509 *issuer,
                                      struct chy_error *err)
{
    if (issuer == NULL)
        return subject_write(w, request, err);
    const uint8_t *der = NULL;
    size_t n = 0;
    if (X509_NAME_get0_der(X509_get_subject_name(issuer), &der, &n) != 1)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the issuer's name cannot be read");
    chy_der_put_raw(w, (struct chy_bytes){ der, n });
    return CHY_OK;
}

static enum chy_err certificate_write(struct chy_der_writer *w,
                                      const struct chy_cert_request *request,
                                      const struct profile *profile, X509 *issuer,
                                      struct chy_error *err)
{
    uint8_t serial[sizeof request->serial];
    memcpy(serial, request->serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and as long for every one */

    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_CONTEXT_SET(0));
    chy_der_put_u64(w, 2); /* version 3 */
    chy_der_close(w);
    chy_der_put_uint(w, (struct chy_bytes){ serial, sizeof serial });
    CHY_TRY(chy_sign_alg_write(w, request->alg, err));
    CHY_TRY(issuer_name_write(w, request, issuer, err));
    chy_der_open(w, CHY_DER_SEQUENCE);
    CHY_TRY(x509_time_write(w, request->not_before_us, err));
    CHY_TRY(x509_time_write(w, request->not_after_us, err));
    chy_der_close(w);
    CHY_TRY(subject_write(w, request, err));
    chy_der_put_raw(w, request->spki);
    CHY_TRY(extensions_write(w, request, profile, issuer, err));
    chy_der_close(w);
    return chy_buf_check(w->out, err);
}

static enum chy_err key_check(struct chy_bytes spki, struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *key = NULL;
    return chy_pubkey_from_spki(spki, &key, err);
}

enum chy_err chy_tbs_certificate(const struct chy_cert_request *request, struct chy_buf *out,
                                 struct chy_error *err)
{
    const struct profile *profile = profile_find(request->profile);
    if (profile == NULL)
        return chy_fail(err, CHY_E_ARG, "no such certificate profile: %d", (int)request->profile);
    if (profile->is_self_signed != (request->issuer_der.n == 0))
        return chy_fail(err, CHY_E_ARG,
                        profile->is_self_signed ? "a certificate of this profile issues itself"
                                                : "a certificate of this profile needs an issuer");
    if (request->not_after_us <= request->not_before_us)
        return chy_fail(err, CHY_E_ARG, "a certificate must not end before it begins");
    CHY_TRY(key_check(request->spki, err));
    CHY_CLEANUP(chy_x509_freep) X509 *issuer = NULL;
    if (!profile->is_self_signed)
        CHY_TRY(chy_x509_load(request->issuer_der, &issuer, err));
    struct chy_der_writer w;
    chy_der_writer_init(&w, out);
    return certificate_write(&w, request, profile, issuer, err);
}

enum chy_err chy_tbs_csr(struct chy_str subject, struct chy_bytes spki, const struct chy_str *sans,
                         size_t n_sans, struct chy_buf *out, struct chy_error *err)
{
    CHY_TRY(key_check(spki, err));
    struct chy_der_writer w;
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_u64(&w, 0); /* version 1 */
    CHY_TRY(chy_name_write(&w, subject, err));
    chy_der_put_raw(&w, spki);
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0)); /* attributes, there even when empty */
    if (n_sans > 0) {
        chy_der_open(&w, CHY_DER_SEQUENCE);
        chy_der_put_oid(&w, oid_extension_request);
        chy_der_open(&w, CHY_DER_SET);
        chy_der_open(&w, CHY_DER_SEQUENCE);
        CHY_TRY(sans_write(&w, sans, n_sans, subject.n == 0, err));
        chy_der_close(&w);
        chy_der_close(&w);
        chy_der_close(&w);
    }
    chy_der_close(&w);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

static bool alg_is_ecdsa(enum chy_sign_alg alg)
{
    return alg == CHY_ALG_ECDSA_SHA256 || alg == CHY_ALG_ECDSA_SHA384 ||
           alg == CHY_ALG_ECDSA_SHA512;
}

enum chy_err chy_signed_assemble(struct chy_bytes tbs, enum chy_sign_alg alg,
                                 struct chy_bytes signature, struct chy_buf *out,
                                 struct chy_error *err)
{
    struct chy_bytes in = tbs;
    struct chy_bytes body;
    if (chy_der_take(&in, CHY_DER_SEQUENCE, &body, NULL) != CHY_OK || in.n != 0)
        return chy_fail(err, CHY_E_ARG, "what was signed is not one DER sequence");
    if (signature.n == 0 || signature.n > CHY_LIMIT_SIGNATURE)
        return chy_fail(err, CHY_E_MALFORMED, "a signature of %zu bytes", signature.n);
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_SIGNATURE);
    if (alg_is_ecdsa(alg)) {
        CHY_TRY(chy_ecdsa_to_der(signature, &der, err));
        signature = chy_buf_bytes(&der);
    }
    struct chy_der_writer w;
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_raw(&w, tbs);
    CHY_TRY(chy_sign_alg_write(&w, alg, err));
    chy_der_put_bits(&w, signature);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}
