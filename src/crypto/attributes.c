/* SPDX-License-Identifier: MIT */
#include "crypto/attributes.h"

#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "crypto/signature.h"

#define POINT_BYTES (1 + 2 * 66) /* P-521, uncompressed */

/* PrintableString "edwards25519": PKCS#11 3.0 section 2.3.4, and what OpenSC and SoftHSM write. */
static const uint8_t edwards25519[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                        'd',  's',  '2', '5', '5', '1', '9' };

/* AlgorithmIdentifier's parameters (DER, may be empty) and the key's bits. */
static enum chy_err spki_open(struct chy_bytes spki, struct chy_bytes *ret_params,
                              struct chy_bytes *ret_bits, struct chy_error *err)
{
    struct chy_bytes seq;
    struct chy_bytes alg;
    struct chy_bytes oid;
    CHY_TRY(chy_der_take(&spki, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(spki, err));
    CHY_TRY(chy_der_take(&seq, CHY_DER_SEQUENCE, &alg, err));
    CHY_TRY(chy_der_take_oid(&alg, &oid, err));
    CHY_TRY(chy_der_take_bits(&seq, ret_bits, err));
    CHY_TRY(chy_der_end(seq, err));
    *ret_params = alg;
    return CHY_OK;
}

static enum chy_err rsa_attributes(struct chy_bytes bits, struct chy_pubkey_attributes *ret,
                                   struct chy_error *err)
{
    struct chy_bytes seq;
    CHY_TRY(chy_der_take(&bits, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(bits, err));
    CHY_TRY(chy_der_take_uint(&seq, &ret->modulus, err));
    CHY_TRY(chy_der_take_uint(&seq, &ret->public_exponent, err));
    return chy_der_end(seq, err);
}

static enum chy_err wrap_point(struct chy_bytes point, struct chy_arena *arena,
                               struct chy_bytes *ret_wrapped, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    struct chy_der_writer w;
    chy_buf_init(&out, POINT_BYTES + 8);
    chy_der_writer_init(&w, &out);
    chy_der_put(&w, CHY_DER_OCTET_STRING, point);
    CHY_TRY(chy_buf_check(&out, err));
    *ret_wrapped = chy_arena_bytes(arena, chy_buf_bytes(&out));
    return ret_wrapped->p != NULL ? CHY_OK
                                  : chy_fail(err, CHY_E_NOMEM, "no memory for a public key");
}

enum chy_err chy_pubkey_attributes(enum chy_key_type type, struct chy_bytes spki,
                                   struct chy_arena *arena,
                                   struct chy_pubkey_attributes *ret_attributes,
                                   struct chy_error *err)
{
    struct chy_bytes params;
    struct chy_bytes bits;
    struct chy_pubkey_attributes a = { .modulus = { 0 } };
    CHY_TRY(spki_open(spki, &params, &bits, err));
    if (chy_key_type_is_rsa(type)) {
        CHY_TRY(rsa_attributes(bits, &a, err));
        *ret_attributes = a;
        return CHY_OK;
    }
    size_t order_bytes = chy_key_type_order_bytes(type);
    bool is_edwards = type == CHY_KEY_ED25519;
    size_t want = is_edwards ? 32 : 1 + 2 * order_bytes;
    if ((order_bytes == 0 && !is_edwards) || bits.n != want ||
        (!is_edwards && !chy_der_is_next(params, CHY_DER_OID)))
        return chy_fail(err, CHY_E_MALFORMED, "a public key is not of type %d", (int)type);
    a.ec_params = is_edwards ? (struct chy_bytes){ edwards25519, sizeof edwards25519 } : params;
    CHY_TRY(wrap_point(bits, arena, &a.ec_point, err));
    *ret_attributes = a;
    return CHY_OK;
}

static enum chy_err take_whole(struct chy_bytes *in, unsigned tag, struct chy_bytes *ret_whole,
                               struct chy_error *err)
{
    struct chy_der_item item;
    CHY_TRY(chy_der_next(in, &item, err));
    if (item.tag != tag)
        return chy_fail(err, CHY_E_MALFORMED, "a certificate is not built as one");
    *ret_whole = item.whole;
    return CHY_OK;
}

enum chy_err chy_x509_attributes(struct chy_bytes der, struct chy_x509_attributes *ret_attributes,
                                 struct chy_error *err)
{
    struct chy_x509_attributes a;
    struct chy_bytes certificate;
    struct chy_bytes tbs;
    struct chy_bytes skipped;
    CHY_TRY(chy_der_take(&der, CHY_DER_SEQUENCE, &certificate, err));
    CHY_TRY(chy_der_end(der, err));
    CHY_TRY(chy_der_take(&certificate, CHY_DER_SEQUENCE, &tbs, err));
    if (chy_der_is_next(tbs, CHY_DER_CONTEXT_SET(0))) /* version */
        CHY_TRY(take_whole(&tbs, CHY_DER_CONTEXT_SET(0), &skipped, err));
    CHY_TRY(take_whole(&tbs, CHY_DER_INTEGER, &a.serial, err));
    CHY_TRY(take_whole(&tbs, CHY_DER_SEQUENCE, &skipped, err)); /* signature algorithm */
    CHY_TRY(take_whole(&tbs, CHY_DER_SEQUENCE, &a.issuer, err));
    CHY_TRY(take_whole(&tbs, CHY_DER_SEQUENCE, &skipped, err)); /* validity */
    CHY_TRY(take_whole(&tbs, CHY_DER_SEQUENCE, &a.subject, err));
    CHY_TRY(take_whole(&tbs, CHY_DER_SEQUENCE, &a.spki, err));
    *ret_attributes = a;
    return CHY_OK;
}
