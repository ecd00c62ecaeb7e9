/* SPDX-License-Identifier: MIT */
#include "crypto/signed_data.h"

#include <openssl/cms.h>

#include "base/arena.h"
#include "codec/der.h"
#include "crypto/openssl.h"

static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };
/* 1.3.6.1.4.1.311.2.1.4, SPC_INDIRECT_DATA */
static const uint8_t oid_authenticode[] = { 0x2b, 0x06, 0x01, 0x04, 0x01,
                                            0x82, 0x37, 0x02, 0x01, 0x04 };

/* pkcs-9 */
static const uint8_t oid_content_type[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03 };
static const uint8_t oid_digest[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04 };
static const uint8_t oid_counter[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x06 };
/* id-aa-timeStampToken, and Microsoft's own number for the same (1.3.6.1.4.1.311.3.3.1) */
static const uint8_t oid_time_stamp[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                          0x01, 0x09, 0x10, 0x02, 0x0e };
static const uint8_t oid_time_stamp_ms[] = { 0x2b, 0x06, 0x01, 0x04, 0x01,
                                             0x82, 0x37, 0x03, 0x03, 0x01 };

static const uint8_t oid_sha256[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 };
static const uint8_t oid_sha384[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02 };
static const uint8_t oid_sha512[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03 };

#define RSA_ARC 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01
#define EC_ARC  0x2a, 0x86, 0x48, 0xce, 0x3d
static const uint8_t oid_rsa[] = { RSA_ARC, 0x01 };
static const uint8_t oid_rsa_pss[] = { RSA_ARC, 0x0a };
static const uint8_t oid_rsa_sha256[] = { RSA_ARC, 0x0b };
static const uint8_t oid_rsa_sha384[] = { RSA_ARC, 0x0c };
static const uint8_t oid_rsa_sha512[] = { RSA_ARC, 0x0d };
static const uint8_t oid_ec_key[] = { EC_ARC, 0x02, 0x01 };
static const uint8_t oid_ecdsa_sha256[] = { EC_ARC, 0x04, 0x03, 0x02 };
static const uint8_t oid_ecdsa_sha384[] = { EC_ARC, 0x04, 0x03, 0x03 };
static const uint8_t oid_ecdsa_sha512[] = { EC_ARC, 0x04, 0x03, 0x04 };
static const uint8_t oid_ed25519[] = { 0x2b, 0x65, 0x70 };

#define OID(o)         \
    {                  \
        (o), sizeof(o) \
    }
#define IS(oid, o) chy_bytes_equal((oid), (struct chy_bytes)OID(o))

struct chy_bytes chy_oid_authenticode(void)
{
    return (struct chy_bytes)OID(oid_authenticode);
}

struct chy_bytes chy_oid_data(void)
{
    return (struct chy_bytes)OID(oid_data);
}

/* --- algorithms --- */

static const struct {
    struct chy_bytes oid;
    enum chy_hash_alg hash;
} hashes[] = {
    { OID(oid_sha256), CHY_HASH_SHA256 },
    { OID(oid_sha384), CHY_HASH_SHA384 },
    { OID(oid_sha512), CHY_HASH_SHA512 },
};

/* `hash` NONE: that of the content, whatever it is. */
static const struct {
    struct chy_bytes oid;
    enum chy_key_type family;
    enum chy_padding padding;
    enum chy_hash_alg hash;
} signatures[] = {
    { OID(oid_rsa), CHY_KEY_RSA_2048, CHY_PADDING_PKCS1, CHY_HASH_NONE },
    { OID(oid_rsa_pss), CHY_KEY_RSA_2048, CHY_PADDING_PSS, CHY_HASH_NONE },
    { OID(oid_rsa_sha256), CHY_KEY_RSA_2048, CHY_PADDING_PKCS1, CHY_HASH_SHA256 },
    { OID(oid_rsa_sha384), CHY_KEY_RSA_2048, CHY_PADDING_PKCS1, CHY_HASH_SHA384 },
    { OID(oid_rsa_sha512), CHY_KEY_RSA_2048, CHY_PADDING_PKCS1, CHY_HASH_SHA512 },
    { OID(oid_ec_key), CHY_KEY_P256, CHY_PADDING_NONE, CHY_HASH_NONE },
    { OID(oid_ecdsa_sha256), CHY_KEY_P256, CHY_PADDING_NONE, CHY_HASH_SHA256 },
    { OID(oid_ecdsa_sha384), CHY_KEY_P256, CHY_PADDING_NONE, CHY_HASH_SHA384 },
    { OID(oid_ecdsa_sha512), CHY_KEY_P256, CHY_PADDING_NONE, CHY_HASH_SHA512 },
    { OID(oid_ed25519), CHY_KEY_ED25519, CHY_PADDING_NONE, CHY_HASH_NONE },
};

/* AlgorithmIdentifier; the parameters, if any, are what is left. */
static enum chy_err algorithm_take(struct chy_bytes *in, struct chy_bytes *ret_oid,
                                   struct chy_bytes *ret_parameters, struct chy_error *err)
{
    CHY_TRY(chy_der_take(in, CHY_DER_SEQUENCE, ret_parameters, err));
    return chy_der_take_oid(ret_parameters, ret_oid, err);
}

enum chy_err chy_hash_alg_take(struct chy_bytes *in, enum chy_hash_alg *ret_hash,
                               struct chy_error *err)
{
    struct chy_bytes oid;
    struct chy_bytes parameters;
    CHY_TRY(algorithm_take(in, &oid, &parameters, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (chy_bytes_equal(oid, hashes[i].oid)) {
            *ret_hash = hashes[i].hash;
            return CHY_OK;
        }
    }
    return chy_fail(err, CHY_E_UNSUPPORTED, "it is hashed with none of SHA-256, -384 and -512");
}

/* RSASSA-PSS-params: hashAlgorithm [0], maskGenAlgorithm [1], both over the hash of the content, as
 * everybody has it (RFC 4056 section 3). Absent ones mean SHA-1. */
static enum chy_err pss_check(struct chy_bytes parameters, enum chy_hash_alg hash,
                              struct chy_error *err)
{
    struct chy_bytes seq;
    struct chy_bytes part;
    struct chy_bytes mgf;
    struct chy_bytes oid;
    enum chy_hash_alg of_digest = CHY_HASH_NONE;
    enum chy_hash_alg of_mask = CHY_HASH_NONE;
    CHY_TRY(chy_der_take(&parameters, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_take(&seq, CHY_DER_CONTEXT_SET(0), &part, err));
    CHY_TRY(chy_hash_alg_take(&part, &of_digest, err));
    CHY_TRY(chy_der_take(&seq, CHY_DER_CONTEXT_SET(1), &part, err));
    CHY_TRY(algorithm_take(&part, &oid, &mgf, err));
    CHY_TRY(chy_hash_alg_take(&mgf, &of_mask, err));
    if (of_digest != hash || of_mask != hash)
        return chy_fail(err, CHY_E_UNSUPPORTED, "its RSA-PSS mixes hashes");
    return CHY_OK;
}

static enum chy_err signature_algorithm_take(struct chy_bytes *in, struct chy_signer_info *si,
                                             struct chy_error *err)
{
    struct chy_bytes oid;
    struct chy_bytes parameters;
    CHY_TRY(algorithm_take(in, &oid, &parameters, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(signatures); i++) {
        if (!chy_bytes_equal(oid, signatures[i].oid))
            continue;
        if (signatures[i].hash != CHY_HASH_NONE && signatures[i].hash != si->hash)
            return chy_fail(err, CHY_E_UNSUPPORTED, "it is hashed and signed with two hashes");
        si->family = signatures[i].family;
        si->padding = signatures[i].padding;
        return si->padding == CHY_PADDING_PSS ? pss_check(parameters, si->hash, err) : CHY_OK;
    }
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "it is signed with an algorithm that is not known here");
}

/* --- attributes --- */

/* The one value of an attribute that may be there once. */
static enum chy_err value_once(struct chy_bytes values, struct chy_bytes *to, struct chy_error *err)
{
    struct chy_der_item item;
    if (to->p != NULL)
        return chy_fail(err, CHY_E_MALFORMED, "an attribute of a signer is there twice");
    CHY_TRY(chy_der_next(&values, &item, err));
    CHY_TRY(chy_der_end(values, err));
    *to = item.whole;
    return CHY_OK;
}

typedef enum chy_err attribute_fn(struct chy_signer_info *si, struct chy_bytes oid,
                                  struct chy_bytes values, struct chy_error *err);

static enum chy_err signed_attribute(struct chy_signer_info *si, struct chy_bytes oid,
                                     struct chy_bytes values, struct chy_error *err)
{
    if (IS(oid, oid_content_type))
        return value_once(values, &si->content_type, err);
    return IS(oid, oid_digest) ? value_once(values, &si->digest, err) : CHY_OK;
}

static enum chy_err unsigned_attribute(struct chy_signer_info *si, struct chy_bytes oid,
                                       struct chy_bytes values, struct chy_error *err)
{
    si->has_old_time_stamp |= IS(oid, oid_counter);
    bool is_stamp = IS(oid, oid_time_stamp) || IS(oid, oid_time_stamp_ms);
    return is_stamp ? value_once(values, &si->time_stamp, err) : CHY_OK;
}

static enum chy_err attributes_walk(struct chy_bytes in, attribute_fn *each,
                                    struct chy_signer_info *si, struct chy_error *err)
{
    while (in.n != 0) {
        struct chy_bytes attribute;
        struct chy_bytes oid;
        struct chy_bytes values;
        CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &attribute, err));
        CHY_TRY(chy_der_take_oid(&attribute, &oid, err));
        CHY_TRY(chy_der_take(&attribute, CHY_DER_SET, &values, err));
        CHY_TRY(chy_der_end(attribute, err));
        CHY_TRY(each(si, oid, values, err));
    }
    return CHY_OK;
}

static bool header_take(struct chy_bytes *in, uint8_t tag, uint64_t *ret_length)
{
    if (in->n < 2 || in->p[0] != tag)
        return false;
    size_t n = in->p[1] > 0x80 ? in->p[1] - 0x80u : 0;
    uint64_t length = n == 0 ? in->p[1] : 0;
    if (n > sizeof length || n > in->n - 2)
        return false;
    for (size_t i = 0; i < n; i++)
        length = length << 8 | in->p[2 + i];
    *in = (struct chy_bytes){ in->p + 2 + n, in->n - 2 - n };
    *ret_length = length;
    return true;
}

bool chy_content_is_attributes(struct chy_bytes head, uint64_t size_bytes)
{
    struct chy_bytes in = head;
    uint64_t set = 0;
    uint64_t attribute = 0;
    return header_take(&in, CHY_DER_SET, &set) && set == size_bytes - (head.n - in.n) &&
           header_take(&in, CHY_DER_SEQUENCE, &attribute) && in.n != 0 && in.p[0] == CHY_DER_OID;
}

/* Both must be there when there are any (RFC 5652 section 5.3). */
static enum chy_err signed_attributes_read(struct chy_bytes body, struct chy_signer_info *si,
                                           struct chy_error *err)
{
    CHY_TRY(attributes_walk(body, signed_attribute, si, err));
    CHY_TRY(chy_der_take_oid(&si->content_type, &si->content_type, err));
    return chy_der_take(&si->digest, CHY_DER_OCTET_STRING, &si->digest, err);
}

/* --- signers --- */

static enum chy_err sid_take(struct chy_bytes *in, struct chy_signer_info *si,
                             struct chy_error *err)
{
    struct chy_bytes sid;
    struct chy_der_item name;
    if (chy_der_is_next(*in, CHY_DER_CONTEXT(0)))
        return chy_der_take(in, CHY_DER_CONTEXT(0), &si->key_id, err);
    CHY_TRY(chy_der_take(in, CHY_DER_SEQUENCE, &sid, err));
    CHY_TRY(chy_der_next(&sid, &name, err));
    si->issuer = name.whole;
    CHY_TRY(chy_der_take_uint(&sid, &si->serial, err));
    return chy_der_end(sid, err);
}

static enum chy_err signer_read(struct chy_bytes in, struct chy_signer_info *si,
                                struct chy_error *err)
{
    uint64_t version;
    struct chy_der_item item;
    CHY_TRY(chy_der_take_u64(&in, &version, err));
    CHY_TRY(sid_take(&in, si, err));
    CHY_TRY(chy_hash_alg_take(&in, &si->hash, err));
    if (chy_der_is_next(in, CHY_DER_CONTEXT_SET(0))) {
        CHY_TRY(chy_der_next(&in, &item, err));
        si->signed_attrs = item.whole;
        CHY_TRY(signed_attributes_read(item.body, si, err));
    }
    CHY_TRY(signature_algorithm_take(&in, si, err));
    CHY_TRY(chy_der_take(&in, CHY_DER_OCTET_STRING, &si->signature, err));
    if (si->signature.n == 0 || si->signature.n > CHY_LIMIT_SIGNATURE)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %zu bytes", si->signature.n);
    if (chy_der_is_next(in, CHY_DER_CONTEXT_SET(1))) {
        CHY_TRY(chy_der_next(&in, &item, err));
        CHY_TRY(attributes_walk(item.body, unsigned_attribute, si, err));
    }
    return chy_der_end(in, err);
}

static enum chy_err signers_read(struct chy_bytes in, struct chy_signed_data *to,
                                 struct chy_error *err)
{
    while (in.n != 0) {
        struct chy_bytes signer;
        if (to->n_signers == CHY_LIMIT_CMS_SIGNERS)
            return chy_fail(err, CHY_E_LIMIT, "more than %d signers", CHY_LIMIT_CMS_SIGNERS);
        CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &signer, err));
        CHY_TRY(signer_read(signer, &to->signers[to->n_signers], err));
        to->n_signers++;
    }
    return to->n_signers != 0 ? CHY_OK : chy_fail(err, CHY_E_MALFORMED, "nobody has signed it");
}

/* --- the whole --- */

/* Other kinds of certificates than X.509 have other tags. */
static enum chy_err certificates_read(struct chy_bytes in, struct chy_signed_data *to,
                                      struct chy_error *err)
{
    while (in.n != 0) {
        struct chy_der_item item;
        CHY_TRY(chy_der_next(&in, &item, err));
        if (item.tag != CHY_DER_SEQUENCE)
            continue;
        if (to->n_certificates == CHY_LIMIT_CMS_CERTIFICATES)
            return chy_fail(err, CHY_E_LIMIT, "more than %d certificates",
                            CHY_LIMIT_CMS_CERTIFICATES);
        to->certificates[to->n_certificates++] = item.whole;
    }
    return CHY_OK;
}

static enum chy_err content_read(struct chy_bytes in, struct chy_signed_data *to,
                                 struct chy_error *err)
{
    struct chy_bytes inner;
    struct chy_der_item item;
    CHY_TRY(chy_der_take_oid(&in, &to->content_type, err));
    if (in.n == 0)
        return CHY_OK;
    CHY_TRY(chy_der_take(&in, CHY_DER_CONTEXT_SET(0), &inner, err));
    CHY_TRY(chy_der_next(&inner, &item, err));
    CHY_TRY(chy_der_end(inner, err));
    if (item.tag != CHY_DER_OCTET_STRING && item.tag != CHY_DER_SEQUENCE)
        return chy_fail(err, CHY_E_MALFORMED, "its content has the DER tag 0x%02x", item.tag);
    to->content = item.body;
    return chy_der_end(in, err);
}

static enum chy_err signed_data_read(struct chy_bytes in, struct chy_signed_data *to,
                                     struct chy_error *err)
{
    uint64_t version;
    struct chy_bytes body;
    CHY_TRY(chy_der_take_u64(&in, &version, err));
    CHY_TRY(chy_der_take(&in, CHY_DER_SET, &body, err)); /* of hashes: each signer names its own */
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &body, err));
    CHY_TRY(content_read(body, to, err));
    if (chy_der_is_next(in, CHY_DER_CONTEXT_SET(0))) {
        CHY_TRY(chy_der_take(&in, CHY_DER_CONTEXT_SET(0), &body, err));
        CHY_TRY(certificates_read(body, to, err));
    }
    if (chy_der_is_next(in, CHY_DER_CONTEXT_SET(1)))
        CHY_TRY(chy_der_take(&in, CHY_DER_CONTEXT_SET(1), &body, err));
    CHY_TRY(chy_der_take(&in, CHY_DER_SET, &body, err));
    CHY_TRY(chy_der_end(in, err));
    return signers_read(body, to, err);
}

enum chy_err chy_signed_data_parse(struct chy_bytes der, struct chy_signed_data *ret_data,
                                   struct chy_error *err)
{
    struct chy_bytes info;
    struct chy_bytes oid;
    struct chy_bytes outer;
    struct chy_bytes inner;
    if (der.n > CHY_LIMIT_CMS)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %zu bytes, %d are the most", der.n,
                        CHY_LIMIT_CMS);
    CHY_TRY(chy_der_take(&der, CHY_DER_SEQUENCE, &info, err));
    CHY_TRY(chy_der_end(der, err));
    CHY_TRY(chy_der_take_oid(&info, &oid, err));
    if (!IS(oid, oid_signed_data))
        return chy_fail(err, CHY_E_MALFORMED, "it is CMS, but not signed data");
    CHY_TRY(chy_der_take(&info, CHY_DER_CONTEXT_SET(0), &outer, err));
    CHY_TRY(chy_der_end(info, err));
    CHY_TRY(chy_der_take(&outer, CHY_DER_SEQUENCE, &inner, err));
    CHY_TRY(chy_der_end(outer, err));
    *ret_data = (struct chy_signed_data){ .n_signers = 0 };
    return signed_data_read(inner, ret_data, err);
}

/* --- BER --- */

static void cms_freep(CMS_ContentInfo **p)
{
    CMS_ContentInfo_free(*p);
}

/* Streams are written with lengths that are not known at first: 0x80. */
static bool is_indefinite(struct chy_bytes in)
{
    return in.n > 1 && in.p[0] == CHY_DER_SEQUENCE && in.p[1] == 0x80;
}

static enum chy_err der_make(struct chy_bytes ber, struct chy_arena *arena,
                             struct chy_bytes *ret_der, struct chy_error *err)
{
    const uint8_t *p = ber.p;
    uint8_t *der = NULL;
    CHY_CLEANUP(cms_freep) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)ber.n);
    if (cms == NULL || p != ber.p + ber.n)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a signature is neither DER nor BER");
    int n = i2d_CMS_ContentInfo(cms, &der);
    if (n <= 0)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "a signature cannot be put into DER");
    *ret_der = chy_arena_bytes(arena, (struct chy_bytes){ der, (size_t)n });
    OPENSSL_free(der);
    return ret_der->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
}

enum chy_err chy_signed_data_read(struct chy_bytes ber, struct chy_arena *arena,
                                  struct chy_signed_data *ret_data, struct chy_error *err)
{
    struct chy_bytes der = ber;
    if (ber.n > CHY_LIMIT_CMS)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %zu bytes, %d are the most", ber.n,
                        CHY_LIMIT_CMS);
    if (is_indefinite(ber))
        CHY_TRY(der_make(ber, arena, &der, err));
    return chy_signed_data_parse(der, ret_data, err);
}
