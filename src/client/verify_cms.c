/* SPDX-License-Identifier: MIT */
/* CMS: beside a file, behind a kernel module, inside a PE (Windows Authenticode Portable Executable
 * Signature Format), or as a tool has taken it out of something else. */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "codec/der.h"
#include "crypto/pem.h"
#include "format/place.h"
#include "os/file.h"

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
}

/* --- signers --- */

void verify_row_describe(struct chy_verify_signer *row, const struct chy_x509 *c)
{
    row->name = c->common_name.p != NULL ? c->common_name : c->summary.subject;
    row->subject = c->summary.subject;
    row->issuer = c->summary.issuer;
    row->not_after_us = c->summary.not_after_us;
    memcpy(row->certificate_sha256, c->summary.sha256, sizeof row->certificate_sha256);
    memcpy(row->key_sha256, c->spki_hash, sizeof row->key_sha256);
}

static void signer_describe(struct chy_verify_signer *row, const struct chy_checked_signer *signer)
{
    row->algorithm = signer->algorithm;
    row->digest = signer->digest;
    row->time_stamp_us = signer->stamped_us;
    row->time_stamp_by = signer->authority;
    if (signer->certificate != NULL)
        verify_row_describe(row, signer->certificate);
}

/* What ends the verification, and says nothing of the signer. */
static bool is_trouble(enum chy_err r)
{
    return r == CHY_E_NOMEM || r == CHY_E_IO || r == CHY_E_CRYPTO;
}

enum chy_err verify_row_judge(struct verify_run *run, struct chy_verify_signer *row, enum chy_err r,
                              const struct chy_error *why, struct chy_error *err)
{
    if (is_trouble(r))
        return chy_fail(err, r, "%s", why->text);
    row->is_good = r == CHY_OK;
    if (row->is_good)
        return CHY_OK;
    row->problem = chy_str_of(chy_err_type(r));
    row->detail = chy_arena_str(run->arena, chy_str_of(why->text));
    return row->detail.p != NULL ? CHY_OK : no_memory(err);
}

enum chy_err verify_row_named(const struct verify_run *run, const struct chy_verify_signer *row,
                              struct chy_error *err)
{
    if (chy_trust_takes_name(run->input->trust, row->name, row->subject))
        return CHY_OK;
    return chy_fail(err, CHY_E_FORBIDDEN, "%.*s is none of the names that the trust file allows",
                    CHY_STR_ARG(row->name));
}

static enum chy_err signer_check(struct verify_run *run, const struct chy_signed_data *data,
                                 size_t i, const struct chy_signed_content *content,
                                 struct chy_verify_signer *row, struct chy_error *err)
{
    const struct chy_trust *trust = run->input->trust;
    const struct chy_check_terms terms = {
        .roots = trust->roots,
        .stamp_roots = trust->stamp_roots,
        .now_us = run->input->now_us,
    };
    struct chy_checked_signer signer;
    enum chy_err r = chy_signer_check(&terms, data, i, content, run->arena, &signer, err);
    signer_describe(row, &signer);
    CHY_TRY(chy_sha256(signer.signature, row->signature_sha256, err));
    return r == CHY_OK ? verify_row_named(run, row, err) : r;
}

static enum chy_err signer_row(struct verify_run *run, const struct chy_signed_data *data, size_t i,
                               const struct chy_signed_content *content, struct chy_error *err)
{
    struct chy_error why;
    struct chy_verify_signer *row = verify_signer_add(run);
    if (row == NULL)
        return chy_fail(err, CHY_E_LIMIT, "more than %d signers", CHY_LIMIT_VERIFY_SIGNERS);
    enum chy_err r = signer_check(run, data, i, content, row, &why);
    return verify_row_judge(run, row, r, &why, err);
}

/* The front of what is signed. */
static enum chy_err head_read(const struct verify_run *run, const struct verify_ranges *ranges,
                              uint8_t *head, struct chy_signed_content *to, struct chy_error *err)
{
    size_t n = 0;
    if (ranges->n != 0)
        CHY_TRY(chy_file_pread(run->input->fd, head,
                               (size_t)CHY_MIN(ranges->p[0].size, (uint64_t)CHY_CONTENT_HEAD_BYTES),
                               ranges->p[0].offset, &n, err));
    to->head = (struct chy_bytes){ head, n };
    to->size_bytes = 0;
    for (size_t i = 0; i < ranges->n; i++)
        to->size_bytes += ranges->p[i].size;
    return CHY_OK;
}

enum chy_err verify_signed_data(struct verify_run *run, const struct chy_signed_data *data,
                                struct chy_bytes content, const struct verify_ranges *ranges,
                                struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    uint8_t head[CHY_CONTENT_HEAD_BYTES];
    struct chy_signed_content what = { .head = content, .size_bytes = content.n };
    if (ranges != NULL)
        CHY_TRY(head_read(run, ranges, head, &what, err));
    for (size_t i = 0; i < data->n_signers; i++) {
        enum chy_hash_alg hash = data->signers[i].hash;
        what.digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
        if (ranges != NULL)
            CHY_TRY(verify_hash(run, ranges, hash, digest, err));
        else
            CHY_TRY(chy_hash(hash, content, digest, err));
        CHY_TRY(signer_row(run, data, i, &what, err));
    }
    return CHY_OK;
}

/* --- beside a file --- */

/* DER as it is, or out of one of the armours that OpenSSL and others write. */
static enum chy_err armour_take(struct verify_run *run, struct chy_bytes *ret_der,
                                struct chy_error *err)
{
    static const char *const labels[] = { "CMS", "PKCS7", "SIGNATURE" };
    struct chy_bytes in = run->input->signature;
    for (size_t i = 0; i < CHY_ARRAY_LEN(labels); i++) {
        if (!chy_pem_has(in, labels[i]))
            continue;
        CHY_CLEANUP(chy_buf_done) struct chy_buf der;
        struct chy_str text = chy_bytes_str(in);
        chy_buf_init(&der, CHY_LIMIT_CMS);
        CHY_TRY(chy_pem_take(&text, labels[i], &der, err));
        *ret_der = chy_arena_bytes(run->arena, chy_buf_bytes(&der));
        return ret_der->p != NULL ? CHY_OK : no_memory(err);
    }
    *ret_der = in;
    return CHY_OK;
}

static enum chy_err signature_parse(struct verify_run *run, struct chy_signed_data *ret_data,
                                    struct chy_error *err)
{
    struct chy_bytes der;
    CHY_TRY(armour_take(run, &der, err));
    return chy_signed_data_read(der, run->arena, ret_data, err);
}

enum chy_err verify_cms(struct verify_run *run, struct chy_error *err)
{
    struct chy_signed_data data;
    const struct verify_ranges all = { { { 0, run->input->size_bytes } }, 1 };
    CHY_TRY(signature_parse(run, &data, err));
    return verify_signed_data(run, &data, (struct chy_bytes){ NULL, 0 }, &all, err);
}

enum chy_err verify_pkcs7(struct verify_run *run, struct chy_error *err)
{
    struct chy_signed_data data;
    CHY_TRY(signature_parse(run, &data, err));
    if (data.content.p == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "the signature holds no content");
    return verify_signed_data(run, &data, data.content, NULL, err);
}

/* --- within a file --- */

static enum chy_err place_check(struct verify_run *run, const struct chy_format_place *place,
                                size_t i, struct chy_signed_data *ret_data,
                                struct verify_ranges *ret_ranges, struct chy_error *err)
{
    struct chy_bytes der;
    _Static_assert(CHY_FORMAT_RANGES <= VERIFY_RANGES, "ranges of a format fit");
    CHY_TRY(verify_read(run, place->signatures[i].offset, place->signatures[i].size, &der, err));
    ret_ranges->n = place->n_covered;
    for (size_t k = 0; k < place->n_covered; k++) {
        ret_ranges->p[k].offset = place->covered[k].offset;
        ret_ranges->p[k].size = place->covered[k].size;
    }
    return chy_signed_data_read(der, run->arena, ret_data, err);
}

enum chy_err verify_module(struct verify_run *run, struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct chy_format_place place;
    struct chy_signed_data data;
    struct verify_ranges ranges;
    CHY_TRY(chy_format_module_place(&source, &place, err));
    CHY_TRY(place_check(run, &place, 0, &data, &ranges, err));
    return verify_signed_data(run, &data, (struct chy_bytes){ NULL, 0 }, &ranges, err);
}

/* SpcSipInfo { version, OCTET STRING of 16 bytes, five numbers }, as the value of its type */
static enum chy_err sip_read(struct chy_bytes in, struct chy_bytes *ret_uuid, struct chy_error *err)
{
    static const uint8_t sip_info[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 0x1e };
    struct chy_bytes type;
    struct chy_bytes info;
    struct chy_bytes version;
    CHY_TRY(chy_der_take_oid(&in, &type, err));
    if (!chy_bytes_equal(type, (struct chy_bytes){ sip_info, sizeof sip_info }))
        return chy_fail(err, CHY_E_MALFORMED, "what was signed is a file of another kind");
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &info, err));
    CHY_TRY(chy_der_take_uint(&info, &version, err));
    return chy_der_take(&info, CHY_DER_OCTET_STRING, ret_uuid, err);
}

static enum chy_err kind_check(struct chy_bytes type, const struct verify_uuid *uuids, size_t n,
                               struct chy_error *err)
{
    struct chy_bytes uuid;
    if (n == 0)
        return CHY_OK;
    CHY_TRY(sip_read(type, &uuid, err));
    for (size_t i = 0; i < n; i++) {
        if (chy_bytes_equal(uuid, (struct chy_bytes){ uuids[i].bytes, sizeof uuids[i].bytes }))
            return CHY_OK;
    }
    return chy_fail(err, CHY_E_MALFORMED, "what was signed is a file of another kind");
}

/* SpcIndirectDataContent { SpcAttributeTypeAndOptionalValue, DigestInfo }, of which `content` is
 * the body. */
enum chy_err verify_indirect_read(const struct chy_signed_data *data,
                                  const struct verify_uuid *uuids, size_t n,
                                  enum chy_hash_alg *ret_alg, struct chy_bytes *ret_digest,
                                  struct chy_error *err)
{
    struct chy_bytes in = data->content;
    struct chy_bytes part;
    if (!chy_bytes_equal(data->content_type, chy_oid_authenticode()) || in.p == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "its signature is no Authenticode");
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &part, err));
    CHY_TRY(kind_check(part, uuids, n, err));
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &part, err));
    CHY_TRY(chy_der_end(in, err));
    CHY_TRY(chy_hash_alg_take(&part, ret_alg, err));
    return chy_der_take(&part, CHY_DER_OCTET_STRING, ret_digest, err);
}

static enum chy_err authenticode_check(struct verify_run *run, const struct chy_signed_data *data,
                                       const struct verify_ranges *ranges, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_bytes said;
    enum chy_hash_alg alg;
    CHY_TRY(verify_indirect_read(data, NULL, 0, &alg, &said, err));
    CHY_TRY(verify_hash(run, ranges, alg, digest, err));
    if (!chy_bytes_equal(said, (struct chy_bytes){ digest, chy_hash_alg_bytes(alg) }))
        return chy_fail(err, CHY_E_INTEGRITY, "the file is not what was signed");
    return CHY_OK;
}

enum chy_err verify_pe(struct verify_run *run, struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct chy_format_place place;
    struct verify_ranges ranges;
    CHY_TRY(chy_format_pe_place(&source, &place, err));
    for (size_t i = 0; i < place.n_signatures; i++) {
        struct chy_signed_data data;
        CHY_TRY(place_check(run, &place, i, &data, &ranges, err));
        CHY_TRY(authenticode_check(run, &data, &ranges, err));
        CHY_TRY(verify_signed_data(run, &data, data.content, NULL, err));
    }
    return CHY_OK;
}
