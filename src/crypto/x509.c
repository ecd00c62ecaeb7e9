/* SPDX-License-Identifier: MIT */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/buf.h"
#include "codec/der.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "crypto/name.h"
#include "crypto/openssl.h"
#include "crypto/pem.h"
#include "crypto/pubkey.h"
#include "crypto/x509_private.h"

#define SERIAL_BYTES_MAX  20  /* RFC 5280 section 4.1.2.2 */
#define SECURITY_BITS_MIN 112 /* of a signature: SHA-1 has 63, RSA-2048 with SHA-256 has 112 */
#define SHORT_HASH_DIGITS 16  /* of a key's hash in an error text */
#define COMMON_NAME_MAX   CHY_LIMIT_TEXT

/* 2.25.<random UUID> (X.667): the policy of certificates that a built-in development CA issued. */
static const uint8_t oid_development[] = { 0x69, 0x81, 0xde, 0x8d, 0x9e, 0x87, 0xcd,
                                           0xf4, 0xda, 0xbc, 0x9d, 0x9d, 0xaa, 0xc3,
                                           0x8d, 0xd0, 0xdb, 0xaa, 0xbc, 0x21 };

struct chy_bytes chy_oid_development_policy(void)
{
    return (struct chy_bytes){ oid_development, sizeof oid_development };
}

enum chy_err chy_x509_load(struct chy_bytes der, X509 **ret_cert, struct chy_error *err)
{
    if (der.n > CHY_LIMIT_CERTIFICATE)
        return chy_fail(err, CHY_E_LIMIT, "a certificate of %zu bytes, %d are the most", der.n,
                        CHY_LIMIT_CERTIFICATE);
    const uint8_t *p = der.p;
    CHY_CLEANUP(chy_x509_freep) X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    if (cert == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a certificate is malformed");
    if (p != der.p + der.n)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes follow a certificate",
                        (size_t)(der.p + der.n - p));
    *ret_cert = CHY_TAKE(cert);
    return CHY_OK;
}

static enum chy_err arena_full(struct chy_error *err)
{
    return chy_fail(err, CHY_E_LIMIT, "a certificate does not fit into the memory set aside");
}

static enum chy_err name_text(struct chy_arena *a, const X509_NAME *name, struct chy_str *ret,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio == NULL ||
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a name in a certificate cannot be read");
    long n = BIO_get_mem_data(bio, &text);
    struct chy_str view = { text, n > 0 ? (size_t)n : 0 };
    if (view.n > 0 && !chy_utf8_is_valid(view))
        return chy_fail(err, CHY_E_MALFORMED, "a name in a certificate is not text");
    *ret = chy_arena_str(a, view);
    return ret->p != NULL || view.n == 0 ? CHY_OK : arena_full(err);
}

/* The first common name, as UTF-8. */
static enum chy_err common_name(struct chy_arena *a, const X509_NAME *name, struct chy_str *ret,
                                struct chy_error *err)
{
    *ret = (struct chy_str){ NULL, 0 };
    int i = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (i < 0)
        return CHY_OK;
    uint8_t *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    if (n < 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a common name is not text");
    struct chy_str view = { (const char *)text, (size_t)n };
    bool is_plain = n > 0 && n <= COMMON_NAME_MAX && chy_text_is_plain(view);
    if (is_plain)
        *ret = chy_arena_str(a, view);
    OPENSSL_free(text);
    if (!is_plain)
        return chy_fail(err, CHY_E_MALFORMED, "a common name is empty, too long or not plain text");
    return ret->p != NULL ? CHY_OK : arena_full(err);
}

static enum chy_err serial_text(struct chy_arena *a, X509 *cert, struct chy_str *ret,
                                struct chy_error *err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    int n = ASN1_STRING_length(serial);
    char text[CHY_HEX_SIZE(SERIAL_BYTES_MAX + 1)];
    if (n < 0 || n > SERIAL_BYTES_MAX + 1)
        return chy_fail(err, CHY_E_MALFORMED, "a serial number of %d bytes, %d are the most", n,
                        SERIAL_BYTES_MAX);
    chy_hex_encode((struct chy_bytes){ ASN1_STRING_get0_data(serial), (size_t)n }, text);
    *ret = chy_arena_str(a, chy_str_of(n > 0 ? text : "00"));
    return ret->p != NULL ? CHY_OK : arena_full(err);
}

static enum chy_err time_us(const ASN1_TIME *t, int64_t *ret_us, struct chy_error *err)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int r = epoch != NULL && t != NULL ? ASN1_TIME_diff(&days, &seconds, epoch, t) : 0;
    ASN1_TIME_free(epoch);
    if (r != 1)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a time in a certificate cannot be read");
    *ret_us = ((int64_t)days * 86400 + seconds) * 1000000;
    return CHY_OK;
}

static enum chy_err spki_read(struct chy_arena *a, const X509_PUBKEY *pubkey,
                              struct chy_bytes *ret_spki, enum chy_key_type *ret_type,
                              struct chy_error *err)
{
    uint8_t *der = NULL;
    int n = i2d_X509_PUBKEY(pubkey, &der);
    if (n <= 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a public key cannot be read");
    *ret_spki = chy_arena_bytes(a, (struct chy_bytes){ der, (size_t)n });
    OPENSSL_free(der);
    if (ret_spki->p == NULL)
        return arena_full(err);
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *key = NULL;
    enum chy_err r = chy_pubkey_from_spki(*ret_spki, &key, err);
    *ret_type = r == CHY_OK ? chy_pubkey_type(key) : CHY_KEY_NONE;
    return r;
}

/* The DER of the value of an extension that may be there once. */
static enum chy_err extension_value(const STACK_OF(X509_EXTENSION) * list, int nid,
                                    struct chy_bytes *ret, struct chy_error *err)
{
    *ret = (struct chy_bytes){ NULL, 0 };
    int i = X509v3_get_ext_by_NID(list, nid, -1);
    if (i < 0)
        return CHY_OK;
    if (X509v3_get_ext_by_NID(list, nid, i) >= 0)
        return chy_fail(err, CHY_E_MALFORMED, "extension %s is there twice", OBJ_nid2sn(nid));
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509v3_get_ext(list, i));
    *ret = (struct chy_bytes){ ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
    return CHY_OK;
}

static enum chy_err sans_read(struct chy_arena *a, const STACK_OF(X509_EXTENSION) * list,
                              const struct chy_str **ret_sans, size_t *ret_n, struct chy_error *err)
{
    struct chy_bytes value;
    struct chy_str *sans = NULL;
    CHY_TRY(extension_value(list, NID_subject_alt_name, &value, err));
    if (value.n == 0)
        return CHY_OK;
    CHY_TRY(chy_general_names_read(a, value, &sans, ret_n, err));
    *ret_sans = sans;
    return CHY_OK;
}

/* Whether the policies name that of the built-in CA. */
static bool policies_are_development(struct chy_bytes der)
{
    struct chy_bytes seq;
    if (der.n == 0 || chy_der_take(&der, CHY_DER_SEQUENCE, &seq, NULL) != CHY_OK)
        return false;
    while (seq.n > 0) {
        struct chy_bytes policy;
        struct chy_bytes oid;
        if (chy_der_take(&seq, CHY_DER_SEQUENCE, &policy, NULL) != CHY_OK ||
            chy_der_take_oid(&policy, &oid, NULL) != CHY_OK)
            return false;
        if (chy_bytes_equal(oid, chy_oid_development_policy()))
            return true;
    }
    return false;
}

/* What OpenSSL has found in the extensions; it marks a certificate whose extensions are broken. */
static enum chy_err usage_read(X509 *cert, struct chy_x509 *to, struct chy_error *err)
{
    uint32_t flags = X509_get_extension_flags(cert);
    if ((flags & EXFLAG_INVALID) != 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED,
                                "the extensions of a certificate are malformed");
    uint32_t usage = X509_get_key_usage(cert);
    uint32_t purposes = X509_get_extended_key_usage(cert);
    to->is_ca = (flags & EXFLAG_CA) != 0;
    to->is_self_issued = (flags & EXFLAG_SI) != 0;
    to->has_key_usage = (flags & EXFLAG_KUSAGE) != 0;
    to->key_usage = ((usage & KU_DIGITAL_SIGNATURE) != 0 ? CHY_KEY_USAGE_DIGITAL_SIGNATURE : 0) |
                    ((usage & KU_KEY_CERT_SIGN) != 0 ? CHY_KEY_USAGE_CERT_SIGN : 0);
    to->has_purposes = (flags & EXFLAG_XKUSAGE) != 0;
    if (to->has_purposes)
        to->purposes = ((purposes & XKU_CODE_SIGN) != 0 ? CHY_PURPOSE_CODE_SIGNING : 0) |
                       ((purposes & XKU_SSL_CLIENT) != 0 ? CHY_PURPOSE_CLIENT : 0) |
                       ((purposes & XKU_SSL_SERVER) != 0 ? CHY_PURPOSE_SERVER : 0);
    return CHY_OK;
}

static enum chy_err summary_read(struct chy_arena *a, struct chy_bytes der, X509 *cert,
                                 struct chy_certificate *to, struct chy_error *err)
{
    struct chy_bytes policies;
    to->der = chy_arena_bytes(a, der);
    if (to->der.p == NULL)
        return arena_full(err);
    CHY_TRY(name_text(a, X509_get_subject_name(cert), &to->subject, err));
    CHY_TRY(name_text(a, X509_get_issuer_name(cert), &to->issuer, err));
    CHY_TRY(serial_text(a, cert, &to->serial, err));
    CHY_TRY(time_us(X509_get0_notBefore(cert), &to->not_before_us, err));
    CHY_TRY(time_us(X509_get0_notAfter(cert), &to->not_after_us, err));
    CHY_TRY(extension_value(X509_get0_extensions(cert), NID_certificate_policies, &policies, err));
    to->is_development = policies_are_development(policies);
    return chy_sha256(der, to->sha256, err);
}

enum chy_err chy_x509_parse(struct chy_arena *a, struct chy_bytes der, struct chy_x509 *ret_cert,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_x509_freep) X509 *cert = NULL;
    CHY_TRY(chy_x509_load(der, &cert, err));
    struct chy_x509 to = { 0 };
    CHY_TRY(summary_read(a, der, cert, &to.summary, err));
    CHY_TRY(common_name(a, X509_get_subject_name(cert), &to.common_name, err));
    enum chy_err r = spki_read(a, X509_get_X509_PUBKEY(cert), &to.spki, &to.key_type, err);
    if (r != CHY_OK && r != CHY_E_UNSUPPORTED) /* a CA may have a kind of key that we do not */
        return r;
    CHY_TRY(chy_sha256(to.spki, to.spki_hash, err));
    CHY_TRY(usage_read(cert, &to, err));
    CHY_TRY(sans_read(a, X509_get0_extensions(cert), &to.sans, &to.n_sans, err));
    *ret_cert = to;
    return CHY_OK;
}

static enum chy_err chain_add(struct chy_arena *a, struct chy_x509_chain *chain,
                              struct chy_bytes der, struct chy_error *err)
{
    if (chain->n == CHY_LIMIT_CHAIN)
        return chy_fail(err, CHY_E_LIMIT, "a chain of more than %d certificates", CHY_LIMIT_CHAIN);
    enum chy_err r = chy_x509_parse(a, der, &chain->certs[chain->n], err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "certificate %zu", chain->n + 1);
    chain->n++;
    return CHY_OK;
}

static enum chy_err chain_parse_pem(struct chy_arena *a, struct chy_bytes in,
                                    struct chy_x509_chain *chain, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    struct chy_str text = chy_bytes_str(in);
    for (;;) {
        enum chy_err r = chy_pem_take(&text, "CERTIFICATE", &der, err);
        if (r == CHY_E_NOT_FOUND)
            return CHY_OK;
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "certificate %zu", chain->n + 1);
        CHY_TRY(chain_add(a, chain, chy_buf_bytes(&der), err));
    }
}

static enum chy_err chain_parse_der(struct chy_arena *a, struct chy_bytes in,
                                    struct chy_x509_chain *chain, struct chy_error *err)
{
    while (in.n > 0) {
        struct chy_der_item item;
        if (chy_der_next(&in, &item, NULL) != CHY_OK)
            return chy_fail(err, CHY_E_MALFORMED, "the chain is neither PEM nor DER certificates");
        CHY_TRY(chain_add(a, chain, item.whole, err));
    }
    return CHY_OK;
}

enum chy_err chy_x509_chain_parse(struct chy_arena *a, struct chy_bytes in,
                                  struct chy_x509_chain *ret_chain, struct chy_error *err)
{
    ret_chain->n = 0;
    if (chy_pem_has(in, "CERTIFICATE"))
        CHY_TRY(chain_parse_pem(a, in, ret_chain, err));
    else if (in.n != 0 && in.p[0] != 0x30) /* DER begins with a SEQUENCE */
        return chy_fail(err, CHY_E_MALFORMED,
                        "there is no certificate in it: neither PEM (BEGIN CERTIFICATE) nor DER");
    else
        CHY_TRY(chain_parse_der(a, in, ret_chain, err));
    if (ret_chain->n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "there is no certificate");
    return CHY_OK;
}

/* --- is a chain good for a key? --- */

/* The chain's certificates as OpenSSL objects, owned by the scope. */
struct loaded {
    size_t n;
    X509 *certs[CHY_LIMIT_CHAIN];
};

static void loaded_done(struct loaded *l)
{
    for (size_t i = 0; i < l->n; i++)
        X509_free(l->certs[i]);
}

static enum chy_err chain_load(const struct chy_x509_chain *chain, struct loaded *to,
                               struct chy_error *err)
{
    for (size_t i = 0; i < chain->n; i++) {
        CHY_TRY(chy_x509_load(chain->certs[i].summary.der, &to->certs[i], err));
        to->n++;
    }
    return CHY_OK;
}

static enum chy_err leaf_key_check(const struct chy_x509_chain *chain, struct chy_bytes spki,
                                   struct chy_error *err)
{
    if (chy_bytes_equal(chain->certs[0].spki, spki))
        return CHY_OK;
    for (size_t i = 1; i < chain->n; i++)
        if (chy_bytes_equal(chain->certs[i].spki, spki))
            return chy_fail(err, CHY_E_CONFLICT,
                            "the chain is in the wrong order: the key's own certificate is number "
                            "%zu, it must be the first",
                            i + 1);
    uint8_t hash[CHY_HASH_BYTES];
    char got[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    char expected[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    CHY_TRY(chy_sha256(spki, hash, err));
    chy_hex_encode((struct chy_bytes){ hash, sizeof hash }, expected);
    chy_hex_encode((struct chy_bytes){ chain->certs[0].spki_hash, CHY_HASH_BYTES }, got);
    return chy_fail(err, CHY_E_CONFLICT,
                    "the chain is of another key: its first certificate has the public key "
                    "sha256:%.*s..., expected sha256:%.*s...",
                    SHORT_HASH_DIGITS, got, SHORT_HASH_DIGITS, expected);
}

static enum chy_err time_check(const struct chy_x509_chain *chain, int64_t now_us,
                               struct chy_error *err)
{
    for (size_t i = 0; i < chain->n; i++) {
        const struct chy_certificate *cert = &chain->certs[i].summary;
        if (now_us < cert->not_before_us)
            return chy_fail(err, CHY_E_EXPIRED, "certificate %zu (%.*s) is not valid yet", i + 1,
                            CHY_STR_ARG(cert->subject));
        if (now_us >= cert->not_after_us) /* as OpenSSL has it, and so most who will verify */
            return chy_fail(err, CHY_E_EXPIRED, "certificate %zu (%.*s) has expired", i + 1,
                            CHY_STR_ARG(cert->subject));
    }
    return CHY_OK;
}

static enum chy_err leaf_purpose_check(const struct chy_x509 *leaf, struct chy_error *err)
{
    if ((leaf->purposes & CHY_PURPOSE_CODE_SIGNING) == 0)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "certificate 1 is not for code signing: extended key usage codeSigning %s",
                        leaf->has_purposes ? "is not among its purposes" : "is missing");
    if (leaf->has_key_usage && (leaf->key_usage & CHY_KEY_USAGE_DIGITAL_SIGNATURE) == 0)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "certificate 1 is not for code signing: key usage digitalSignature is "
                        "missing");
    return CHY_OK;
}

/* Which certificate of the chain has issued `i`, by names and key ids; chain length if none has. */
static size_t issuer_find(const struct loaded *l, size_t i)
{
    for (size_t k = 0; k < l->n; k++)
        if (k != i && X509_check_issued(l->certs[k], l->certs[i]) == X509_V_OK)
            return k;
    return l->n;
}

static enum chy_err strength_check(X509 *cert, size_t number, struct chy_error *err)
{
    int bits = 0;
    if (X509_get_signature_info(cert, NULL, NULL, &bits, NULL) != 1 || bits < SECURITY_BITS_MIN)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "certificate %zu is signed with a weak or unknown algorithm (%s)", number,
                        OBJ_nid2sn(X509_get_signature_nid(cert)));
    return CHY_OK;
}

/* Certificate i must be issued and signed by certificate i + 1. */
static enum chy_err link_check(const struct chy_x509_chain *chain, const struct loaded *l, size_t i,
                               struct chy_error *err)
{
    if (X509_check_issued(l->certs[i + 1], l->certs[i]) != X509_V_OK) {
        size_t k = issuer_find(l, i);
        if (k < l->n)
            return chy_fail(err, CHY_E_CONFLICT,
                            "the chain is in the wrong order: certificate %zu is issued by number "
                            "%zu, which must follow it",
                            i + 1, k + 1);
        return chy_fail(err, CHY_E_CONFLICT,
                        "certificate %zu is not issued by number %zu (%.*s): expected %.*s", i + 1,
                        i + 2, CHY_STR_ARG(chain->certs[i + 1].summary.subject),
                        CHY_STR_ARG(chain->certs[i].summary.issuer));
    }
    if (!chain->certs[i + 1].is_ca)
        return chy_fail(err, CHY_E_INTEGRITY, "certificate %zu is not that of an authority", i + 2);
    CHY_TRY(strength_check(l->certs[i], i + 1, err));
    EVP_PKEY *key = X509_get0_pubkey(l->certs[i + 1]);
    if (key == NULL || X509_verify(l->certs[i], key) != 1) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the signature of certificate %zu by number %zu does not verify", i + 1,
                        i + 2);
    }
    return CHY_OK;
}

struct path {
    X509_STORE *store;
    X509_STORE_CTX *ctx;
    STACK_OF(X509) * others;
};

static void path_done(struct path *p)
{
    X509_STORE_CTX_free(p->ctx);
    X509_STORE_free(p->store);
    sk_X509_free(p->others);
}

/* The rest of RFC 5280 section 6 (path lengths, name constraints, critical extensions), with the
 * last certificate taken as trusted. */
static enum chy_err path_check(const struct loaded *l, int64_t now_us, struct chy_error *err)
{
    CHY_CLEANUP(path_done)
    struct path p = { X509_STORE_new(), X509_STORE_CTX_new(), sk_X509_new_null() };
    bool is_ready = p.store != NULL && p.ctx != NULL && p.others != NULL &&
                    X509_STORE_add_cert(p.store, l->certs[l->n - 1]) == 1;
    for (size_t i = 1; is_ready && i < l->n; i++)
        is_ready = sk_X509_push(p.others, l->certs[i]) > 0;
    if (!is_ready || X509_STORE_CTX_init(p.ctx, p.store, l->certs[0], p.others) != 1)
        return chy_fail_openssl(err, CHY_E_NOMEM, "cannot prepare the check of a chain");
    X509_STORE_CTX_set_time(p.ctx, 0, (time_t)(now_us / 1000000));
    X509_STORE_CTX_set_flags(p.ctx, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
    if (X509_verify_cert(p.ctx) == 1)
        return CHY_OK;
    ERR_clear_error();
    return chy_fail(err, CHY_E_INTEGRITY, "certificate %d: %s",
                    X509_STORE_CTX_get_error_depth(p.ctx) + 1,
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(p.ctx)));
}

enum chy_err chy_x509_chain_check(const struct chy_x509_chain *chain, struct chy_bytes spki,
                                  int64_t now_us, struct chy_error *err)
{
    if (chain->n == 0 || chain->n > CHY_LIMIT_CHAIN)
        return chy_fail(err, CHY_E_CONFLICT, "a chain of %zu certificates", chain->n);
    CHY_TRY(leaf_key_check(chain, spki, err));
    CHY_CLEANUP(loaded_done) struct loaded l = { 0 };
    CHY_TRY(chain_load(chain, &l, err));
    for (size_t i = 0; i + 1 < chain->n; i++)
        CHY_TRY(link_check(chain, &l, i, err));
    if (chain->n == 1)
        CHY_TRY(strength_check(l.certs[0], 1, err));
    CHY_TRY(time_check(chain, now_us, err));
    CHY_TRY(leaf_purpose_check(&chain->certs[0], err));
    return path_check(&l, now_us, err);
}

/* --- requests --- */

static enum chy_err csr_sans_read(struct chy_arena *a, X509_REQ *req, struct chy_x509_csr *to,
                                  struct chy_error *err)
{
    STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
    if (list == NULL)
        return CHY_OK;
    enum chy_err r = sans_read(a, list, &to->sans, &to->n_sans, err);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return r;
}

static enum chy_err csr_signature_check(X509_REQ *req, struct chy_error *err)
{
    int md = NID_undef;
    int nid = X509_REQ_get_signature_nid(req);
    if (OBJ_find_sigid_algs(nid, &md, NULL) != 1 || md == NID_sha1 || md == NID_md5)
        return chy_fail(err, CHY_E_UNSUPPORTED, "a request is signed with a weak algorithm (%s)",
                        OBJ_nid2sn(nid));
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    if (key == NULL || X509_REQ_verify(req, key) != 1) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_INTEGRITY, "the signature of a request does not verify");
    }
    return CHY_OK;
}

static enum chy_err csr_read(struct chy_arena *a, struct chy_bytes der,
                             struct chy_x509_csr *ret_csr, struct chy_error *err)
{
    const uint8_t *p = der.p;
    CHY_CLEANUP(chy_x509_req_freep) X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.n);
    if (req == NULL || p != der.p + der.n)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a certificate request is malformed");
    struct chy_x509_csr to = { 0 };
    CHY_TRY(spki_read(a, X509_REQ_get_X509_PUBKEY(req), &to.spki, &to.key_type, err));
    CHY_TRY(csr_signature_check(req, err));
    CHY_TRY(name_text(a, X509_REQ_get_subject_name(req), &to.subject, err));
    CHY_TRY(common_name(a, X509_REQ_get_subject_name(req), &to.common_name, err));
    CHY_TRY(csr_sans_read(a, req, &to, err));
    *ret_csr = to;
    return CHY_OK;
}

enum chy_err chy_csr_parse(struct chy_arena *a, struct chy_bytes in, struct chy_x509_csr *ret_csr,
                           struct chy_error *err)
{
    if (!chy_pem_has(in, "CERTIFICATE REQUEST")) {
        if (in.n > CHY_LIMIT_CERTIFICATE)
            return chy_fail(err, CHY_E_LIMIT, "a request of %zu bytes, %d are the most", in.n,
                            CHY_LIMIT_CERTIFICATE);
        return csr_read(a, in, ret_csr, err);
    }
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    struct chy_str text = chy_bytes_str(in);
    CHY_TRY(chy_pem_take(&text, "CERTIFICATE REQUEST", &der, err));
    if (chy_pem_has(chy_str_bytes(text), "CERTIFICATE REQUEST"))
        return chy_fail(err, CHY_E_MALFORMED, "two certificate requests in the place of one");
    return csr_read(a, chy_buf_bytes(&der), ret_csr, err);
}
