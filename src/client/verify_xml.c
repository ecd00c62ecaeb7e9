/* SPDX-License-Identifier: MIT */
/* XML: whose signature it is, and that it is of this document. xmlsec1 is asked as well. */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "crypto/pubkey.h"
#include "crypto/x509.h"
#include "format/xml_signature.h"

/* As our server gives it: of ECDSA in DER. */
static enum chy_err value_of(const struct chy_xml_signature *s, struct chy_buf *out,
                             struct chy_error *err)
{
    bool is_ecdsa = s->alg >= CHY_ALG_ECDSA_SHA256 && s->alg <= CHY_ALG_ECDSA_SHA512;
    if (is_ecdsa)
        return chy_ecdsa_to_der(s->value, out, err);
    chy_buf_append(out, s->value);
    return chy_buf_check(out, err);
}

static struct chy_bytes signed_digest(const struct chy_xml_signature *s)
{
    return (struct chy_bytes){ s->signed_digest, chy_hash_alg_bytes(chy_sign_alg_hash(s->alg)) };
}

/* They come in any order: the signer's is the one whose key made the signature. */
static enum chy_err signer_find(struct verify_run *run, const struct chy_xml_signature *s,
                                struct chy_x509 *ret_cert, size_t *ret_i, struct chy_error *err)
{
    for (size_t i = 0; i < s->n_certificates; i++) {
        CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *key = NULL;
        CHY_TRY(chy_x509_parse(run->arena, s->certificates[i], ret_cert, err));
        if (chy_pubkey_from_spki(ret_cert->spki, &key, err) != CHY_OK ||
            chy_pubkey_verify_digest(key, s->alg, CHY_SIGNATURE_RAW, signed_digest(s), s->value,
                                     err) != CHY_OK)
            continue;
        *ret_i = i;
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_INTEGRITY, "the signature is wrong");
}

static enum chy_err signer_check(struct verify_run *run, const struct chy_xml_signature *s,
                                 struct chy_verify_signer *row, struct chy_error *err)
{
    const struct chy_trust *trust = run->input->trust;
    const struct chy_check_terms terms = {
        .roots = trust->roots,
        .stamp_roots = trust->stamp_roots,
        .now_us = run->input->now_us,
    };
    struct chy_x509 *cert = chy_arena_new(run->arena, struct chy_x509);
    size_t i = 0;
    if (cert == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    CHY_TRY(signer_find(run, s, cert, &i, err));
    verify_row_describe(row, cert);
    if (!chy_bytes_equal(s->said, (struct chy_bytes){ s->digest, chy_hash_alg_bytes(s->hash) }))
        return chy_fail(err, CHY_E_INTEGRITY, "the document is not what was signed");
    CHY_TRY(
        chy_certificate_check(&terms, s->certificates[i], s->certificates, s->n_certificates, err));
    CHY_TRY(verify_row_named(run, row, err));
    run->certificate = s->certificates[i];
    return CHY_OK;
}

enum chy_err verify_xml(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf value;
    struct chy_xml_signature *s = chy_arena_new(run->arena, struct chy_xml_signature);
    struct chy_bytes document;
    struct chy_error why;
    chy_buf_init(&value, CHY_LIMIT_RAW_SIGNATURE);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    CHY_TRY(verify_read_most(run, 0, run->input->size_bytes, CHY_LIMIT_XML_FILE, &document, err));
    CHY_TRY(chy_xml_signature_read(document, run->arena, s, err));
    CHY_TRY(value_of(s, &value, err));
    CHY_TRY(verify_signed_add(run, s->alg, signed_digest(s), chy_buf_bytes(&value), err));
    struct chy_verify_signer *row = &run->signers[run->n - 1];
    enum chy_err r = signer_check(run, s, row, &why);
    return verify_row_judge(run, row, r, &why, err);
}
