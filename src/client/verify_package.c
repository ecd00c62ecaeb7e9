/* SPDX-License-Identifier: MIT */
/* NuGet and MSIX: archives whose last member is a signature of what they were without it; and
 * PowerShell files, whose last lines are.
 *
 * NuGet signs a text with the hash of the whole: "Version:1", an empty line, "OID-Hash:base64",
 * an empty line. MSIX signs Authenticode's SpcIndirectData, whose digest is "APPX" and five others:
 * AXPC of the members, AXCD of the directory, AXCT, AXBM and, where there is one, AXCI of the
 * content of three members. Source: NuGet's "Package signatures technical details"; [MS-APPXPKG] */
#include <zip.h>

#include "base/limits.h"
#include "client/verify_internal.h"
#include "codec/base64.h"
#include "format/script_signature.h"
#include "format/zip_member.h"

#define NUGET_SIGNATURE ".signature.p7s"
#define MSIX_SIGNATURE  "AppxSignature.p7x"

static enum chy_err another_file(struct chy_error *err)
{
    return chy_fail(err, CHY_E_INTEGRITY, "the file is not what was signed");
}

/* --- NuGet --- */

static bool text_take(struct chy_str *in, const char *text)
{
    size_t n = strlen(text);
    if (!chy_str_starts(*in, text))
        return false;
    *in = (struct chy_str){ in->p + n, in->n - n };
    return true;
}

static enum chy_err nuget_content_read(struct chy_str in, enum chy_hash_alg *ret_alg,
                                       uint8_t digest[CHY_LIMIT_DIGEST], struct chy_error *err)
{
    static const struct {
        const char *name;
        enum chy_hash_alg alg;
    } hashes[] = {
        { "2.16.840.1.101.3.4.2.1-Hash:", CHY_HASH_SHA256 },
        { "2.16.840.1.101.3.4.2.2-Hash:", CHY_HASH_SHA384 },
        { "2.16.840.1.101.3.4.2.3-Hash:", CHY_HASH_SHA512 },
    };
    bool is_known = text_take(&in, "Version:1\n\n");
    for (size_t i = 0; is_known && i < CHY_ARRAY_LEN(hashes); i++) {
        size_t n = chy_hash_alg_bytes(hashes[i].alg);
        if (!text_take(&in, hashes[i].name))
            continue;
        if (in.n != CHY_BASE64_LEN(n) + 2 || !chy_str_ends(in, "\n\n"))
            break;
        *ret_alg = hashes[i].alg;
        return chy_base64_decode_exact((struct chy_str){ in.p, in.n - 2 }, digest, n, err);
    }
    return chy_fail(err, CHY_E_UNSUPPORTED, "its signature is of another form than version 1");
}

static enum chy_err nuget_check(const struct verify_run *run, const struct chy_zip_member *member,
                                struct chy_bytes behind, struct chy_bytes content,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    const struct verify_ranges before = { { { member->before.offset, member->before.size } }, 1 };
    uint8_t said[CHY_LIMIT_DIGEST];
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg alg;
    CHY_TRY(nuget_content_read(chy_bytes_str(content), &alg, said, err));
    CHY_TRY(chy_hasher_new(alg, &hasher, err));
    CHY_TRY(verify_hash_add(run, &before, hasher, err));
    chy_hasher_add(hasher, behind);
    chy_hasher_end(hasher, digest);
    size_t n = chy_hash_alg_bytes(alg);
    return chy_bytes_equal((struct chy_bytes){ said, n }, (struct chy_bytes){ digest, n })
               ? CHY_OK
               : another_file(err);
}

enum chy_err verify_nuget(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf behind;
    const struct chy_format_source source = verify_source(run);
    struct chy_zip_member member;
    struct chy_signed_data data;
    struct chy_bytes der;
    chy_buf_init(&behind, CHY_LIMIT_FORMAT_READ);
    CHY_TRY(chy_zip_member_out(&source, CHY_STR(NUGET_SIGNATURE), &behind, &member, err));
    if (!member.is_plain || member.is_big)
        return chy_fail(err, CHY_E_UNSUPPORTED, "its signature is compressed, or too far behind");
    CHY_TRY(verify_read(run, member.data.offset, member.data.size, &der, err));
    CHY_TRY(chy_signed_data_read(der, run->arena, &data, err));
    if (data.content.p == NULL || !chy_bytes_equal(data.content_type, chy_oid_data()))
        return chy_fail(err, CHY_E_MALFORMED, "its signature holds no content");
    CHY_TRY(nuget_check(run, &member, chy_buf_bytes(&behind), data.content, err));
    CHY_TRY(verify_stream(run, CHY_ZIP_DESCRIPTORS_ANY, err));
    return verify_signed_data(run, &data, data.content, NULL, err);
}

/* --- MSIX --- */

/* Subject interface packages of Windows: of an app package, of a bundle, of PowerShell. */
static const struct verify_uuid msix_uuids[] = {
    { { 0x4b, 0xdf, 0xc5, 0x0a, 0x07, 0xce, 0xe2, 0x4d, 0xb7, 0x6e, 0x23, 0xc8, 0x39, 0xa0, 0x9f,
        0xd1 } },
    { { 0xb3, 0x58, 0x5f, 0x0f, 0xde, 0xaa, 0x9a, 0x4b, 0xa4, 0x34, 0x95, 0x74, 0x2d, 0x92, 0xec,
        0xeb } },
};
static const struct verify_uuid script_uuids[] = {
    { { 0x1f, 0xcc, 0x3b, 0x60, 0x59, 0x4b, 0x08, 0x4e, 0xb7, 0x24, 0xd2, 0xc6, 0x29, 0x7e, 0xf3,
        0x51 } },
};

struct msix {
    struct verify_run *run;
    zip_t *archive;
    struct chy_zip_member member;
    struct chy_bytes behind;
    struct chy_hasher *hasher;
};

static enum chy_err members_hash(struct msix *m, const char *name, struct chy_error *err)
{
    const struct verify_ranges before = { { { 0, m->member.before.size } }, 1 };
    (void)name;
    return verify_hash_add(m->run, &before, m->hasher, err);
}

static enum chy_err directory_hash(struct msix *m, const char *name, struct chy_error *err)
{
    (void)name;
    (void)err;
    chy_hasher_add(m->hasher, m->behind);
    return CHY_OK;
}

static enum chy_err content_hash(struct msix *m, const char *name, struct chy_error *err)
{
    return verify_member_hash(m->run, m->archive, name, m->hasher, err);
}

static const struct {
    const char *tag;
    const char *name;
    enum chy_err (*hash)(struct msix *m, const char *name, struct chy_error *err);
    bool is_optional;
} msix_parts[] = {
    { "AXPC", NULL, members_hash, false },
    { "AXCD", NULL, directory_hash, false },
    { "AXCT", "[Content_Types].xml", content_hash, false },
    { "AXBM", "AppxBlockMap.xml", content_hash, false },
    { "AXCI", "AppxMetadata/CodeIntegrity.cat", content_hash, true },
};

/* Each part that is said to be there must be; and each that is there, said. */
static enum chy_err parts_check(struct msix *m, struct chy_str said, enum chy_hash_alg alg,
                                struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    const struct chy_bytes want = { digest, chy_hash_alg_bytes(alg) };
    if (!text_take(&said, "APPX"))
        return chy_fail(err, CHY_E_MALFORMED, "what was signed is no MSIX");
    for (size_t i = 0; i < CHY_ARRAY_LEN(msix_parts); i++) {
        const char *name = msix_parts[i].name;
        if (msix_parts[i].is_optional && said.n == 0 && zip_name_locate(m->archive, name, 0) < 0)
            continue;
        if (!text_take(&said, msix_parts[i].tag) || said.n < want.n)
            return chy_fail(err, CHY_E_MALFORMED, "what was signed has no %s", msix_parts[i].tag);
        CHY_TRY(msix_parts[i].hash(m, name, err));
        chy_hasher_end(m->hasher, digest);
        if (!chy_bytes_equal(want, (struct chy_bytes){ (const uint8_t *)said.p, want.n }))
            return another_file(err);
        said = (struct chy_str){ said.p + want.n, said.n - want.n };
    }
    return said.n == 0 ? CHY_OK
                       : chy_fail(err, CHY_E_MALFORMED, "what was signed has a part too many");
}

static enum chy_err msix_check(struct msix *m, const struct chy_signed_data *data,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    struct chy_bytes said;
    enum chy_hash_alg alg;
    CHY_TRY(verify_indirect_read(data, msix_uuids, CHY_ARRAY_LEN(msix_uuids), &alg, &said, err));
    CHY_TRY(chy_hasher_new(alg, &hasher, err));
    m->hasher = hasher;
    return parts_check(m, chy_bytes_str(said), alg, err);
}

static enum chy_err msix_run(struct msix *m, struct chy_error *err)
{
    struct chy_bytes der;
    struct chy_signed_data data;
    CHY_TRY(verify_member_read(m->run, m->archive, MSIX_SIGNATURE, CHY_LIMIT_CMS, &der, err));
    struct chy_str rest = chy_bytes_str(der);
    if (!text_take(&rest, "PKCX"))
        return chy_fail(err, CHY_E_MALFORMED, "its signature does not begin as one");
    CHY_TRY(chy_signed_data_read(chy_str_bytes(rest), m->run->arena, &data, err));
    CHY_TRY(msix_check(m, &data, err));
    CHY_TRY(verify_stream(m->run, CHY_ZIP_DESCRIPTORS_ANY, err));
    return verify_signed_data(m->run, &data, data.content, NULL, err);
}

enum chy_err verify_msix(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf behind;
    CHY_CLEANUP(verify_archive_closep) zip_t *archive = NULL;
    const struct chy_format_source source = verify_source(run);
    struct msix m = { .run = run };
    chy_buf_init(&behind, CHY_LIMIT_FORMAT_READ);
    CHY_TRY(chy_zip_member_out(&source, CHY_STR(MSIX_SIGNATURE), &behind, &m.member, err));
    CHY_TRY(verify_archive_open(run, &archive, err));
    m.archive = archive;
    m.behind = chy_buf_bytes(&behind);
    return msix_run(&m, err);
}

/* --- PowerShell --- */

enum chy_err verify_script(struct verify_run *run, struct chy_error *err)
{
    struct chy_bytes file;
    struct chy_bytes said;
    struct chy_script_signature script;
    struct chy_signed_data data;
    enum chy_hash_alg alg;
    uint8_t digest[CHY_LIMIT_DIGEST];
    CHY_TRY(verify_read_most(run, 0, run->input->size_bytes, CHY_LIMIT_SCRIPT_FILE, &file, err));
    CHY_TRY(chy_script_signature_read(file, run->arena, &script, err));
    CHY_TRY(chy_signed_data_read(script.cms, run->arena, &data, err));
    CHY_TRY(
        verify_indirect_read(&data, script_uuids, CHY_ARRAY_LEN(script_uuids), &alg, &said, err));
    CHY_TRY(chy_hash(alg, script.covered, digest, err));
    if (!chy_bytes_equal(said, (struct chy_bytes){ digest, chy_hash_alg_bytes(alg) }))
        return another_file(err);
    return verify_signed_data(run, &data, data.content, NULL, err);
}
