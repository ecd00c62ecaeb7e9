/* SPDX-License-Identifier: MIT */
#include "client/verify.h"

#include "base/limits.h"
#include "client/confined.h"
#include "client/verify_internal.h"
#include "os/file.h"

#define S struct chy_verify_signer
static const struct chy_field signer_fields[] = {
    CHY_F_BOOL(S, is_good, 0, "the signature is good and its signer trusted"),
    CHY_F_STR(S, problem, 0, 0, CHY_LIMIT_NAME, "when not: the kind of problem"),
    CHY_F_STR(S, detail, 0, 0, CHY_LIMIT_TEXT, "when not: why"),
    CHY_F_STR(S, name, 0, 0, CHY_LIMIT_TEXT, "who signed: the common name"),
    CHY_F_STR(S, subject, 0, 0, CHY_LIMIT_CERTIFICATE, "of the certificate"),
    CHY_F_STR(S, issuer, 0, 0, CHY_LIMIT_CERTIFICATE, "of the certificate"),
    CHY_F_TIME(S, not_after, 0, "when the certificate ends"),
    CHY_F_HASH(S, certificate_sha256, 0, "of the certificate"),
    CHY_F_HASH(S, key_sha256, 0, "of the public key"),
    CHY_F_ENUM(S, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, 0, "the signature algorithm"),
    CHY_F_HEX(S, digest, 0, 0, CHY_LIMIT_DIGEST, "what was signed, as the log has it"),
    CHY_F_HASH(S, signature_sha256, 0, "of the signature"),
    CHY_F_TIME(S, time_stamp, 0, "when a time-stamp authority saw the signature"),
    CHY_F_STR(S, time_stamp_by, 0, 0, CHY_LIMIT_CERTIFICATE, "that authority"),
};
#undef S
const struct chy_schema chy_verify_signer_schema =
    CHY_SCHEMA("VerifySigner", struct chy_verify_signer, signer_fields, "One who signed.");
static const struct chy_field found_fields[] = {
    CHY_F_LIST(struct chy_verify_found, signers, &chy_verify_signer_schema,
               struct chy_verify_signer, 0, 0, CHY_LIMIT_VERIFY_SIGNERS, "who signed"),
    CHY_F_BYTES(struct chy_verify_found, certificate, 0, 0, CHY_LIMIT_CERTIFICATE,
                "the certificate of who signed XML"),
};
const struct chy_schema chy_verify_found_schema =
    CHY_SCHEMA("VerifyFound", struct chy_verify_found, found_fields, "Who signed a file.");

/* --- what all forms share --- */

static enum chy_err hash_range(const struct verify_run *run, struct chy_hasher *hasher,
                               uint64_t offset, uint64_t size, struct chy_error *err)
{
    uint8_t *part = run->part;
    while (size != 0) {
        size_t n = 0;
        size_t want = (size_t)CHY_MIN(size, (uint64_t)VERIFY_PART_BYTES);
        CHY_TRY(chy_file_pread(run->input->fd, part, want, offset, &n, err));
        if (n != want)
            return chy_fail(err, CHY_E_IO, "the file became shorter while it was read");
        chy_hasher_add(hasher, (struct chy_bytes){ part, n });
        offset += n;
        size -= n;
    }
    return CHY_OK;
}

enum chy_err verify_hash_add(const struct verify_run *run, const struct verify_ranges *ranges,
                             struct chy_hasher *hasher, struct chy_error *err)
{
    for (size_t i = 0; i < ranges->n; i++)
        CHY_TRY(hash_range(run, hasher, ranges->p[i].offset, ranges->p[i].size, err));
    return CHY_OK;
}

enum chy_err verify_hash(const struct verify_run *run, const struct verify_ranges *ranges,
                         enum chy_hash_alg alg, uint8_t *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_TRY(chy_hasher_new(alg, &hasher, err));
    CHY_TRY(verify_hash_add(run, ranges, hasher, err));
    chy_hasher_end(hasher, out);
    return CHY_OK;
}

struct chy_verify_signer *verify_signer_add(struct verify_run *run)
{
    return run->n < CHY_LIMIT_VERIFY_SIGNERS ? &run->signers[run->n++] : NULL;
}

/* --- here --- */

static void stamps_require(struct chy_verify_signer *signers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!signers[i].is_good || signers[i].time_stamp_us != 0)
            continue;
        signers[i].is_good = false;
        signers[i].problem = chy_str_of(chy_err_type(CHY_E_FORBIDDEN));
        signers[i].detail = CHY_STR("it has no time stamp, and the trust file requires one");
    }
}

enum chy_err chy_verify_here(const struct chy_verify_input *input, struct chy_arena *arena,
                             struct chy_verify_found *ret_found, struct chy_error *err)
{
    static const struct {
        enum chy_verify_form form;
        enum chy_err (*run)(struct verify_run *run, struct chy_error *err);
    } forms[] = {
        { CHY_VERIFY_CMS, verify_cms },         { CHY_VERIFY_RAW, verify_raw },
        { CHY_VERIFY_MODULE, verify_module },   { CHY_VERIFY_PE, verify_pe },
        { CHY_VERIFY_JAR, verify_jar },         { CHY_VERIFY_PKCS7, verify_pkcs7 },
        { CHY_VERIFY_OPENPGP, verify_openpgp }, { CHY_VERIFY_CLEARTEXT, verify_cleartext },
        { CHY_VERIFY_DEB, verify_deb },         { CHY_VERIFY_RPM, verify_rpm },
        { CHY_VERIFY_SSH, verify_ssh },         { CHY_VERIFY_APK, verify_apk },
        { CHY_VERIFY_DIGEST, verify_digest },   { CHY_VERIFY_XML, verify_xml },
        { CHY_VERIFY_NUGET, verify_nuget },     { CHY_VERIFY_MSIX, verify_msix },
        { CHY_VERIFY_SCRIPT, verify_script },
    };
    struct verify_run run = {
        .input = input,
        .arena = arena,
        .signers = chy_arena_array(arena, struct chy_verify_signer, CHY_LIMIT_VERIFY_SIGNERS),
        .part = chy_arena_array(arena, uint8_t, VERIFY_PART_BYTES),
    };
    if (run.signers == NULL || run.part == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for signers");
    for (size_t i = 0; i < CHY_ARRAY_LEN(forms); i++) {
        if (forms[i].form != input->form)
            continue;
        CHY_TRY(forms[i].run(&run, err));
        if (input->trust->document.require_time_stamp)
            stamps_require(run.signers, run.n);
        ret_found->signers.p = run.signers;
        ret_found->signers.n = run.n;
        ret_found->certificate = run.certificate;
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_ARG, "no form of signature %d", (int)input->form);
}

/* --- in a child --- */

static enum chy_err child_work(const void *ctx, int fd, struct chy_arena *arena,
                               struct chy_buf *out, struct chy_error *err)
{
    const struct chy_verify_input *input = ctx;
    struct chy_verify_found found = { .signers = { NULL, 0 } };
    CHY_ASSERT(fd == input->fd);
    CHY_TRY(chy_verify_here(input, arena, &found, err));
    return chy_schema_encode(&chy_verify_found_schema, &found, out, err);
}

enum chy_err chy_verify_file(const struct chy_verify_input *input, struct chy_arena *arena,
                             struct chy_verify_found *ret_found, struct chy_error *err)
{
    const struct chy_confined confined = {
        .work = child_work,
        .ctx = input,
        .fd = input->fd,
        .timeout_ms = CHY_LIMIT_VERIFY_MS,
        .max_bytes = CHY_LIMIT_CMS,
        .what = "the signature",
    };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_CMS);
    if (input->size_bytes > CHY_LIMIT_VERIFY_FILE)
        return chy_fail(err, CHY_E_LIMIT, "a file of %llu bytes, %llu are the most",
                        (unsigned long long)input->size_bytes,
                        (unsigned long long)CHY_LIMIT_VERIFY_FILE);
    CHY_TRY(chy_confined_run(&confined, &out, err));
    struct chy_bytes kept = chy_arena_bytes(arena, chy_buf_bytes(&out));
    if (kept.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for signers");
    return chy_schema_decode(&chy_verify_found_schema, kept, arena, ret_found, err);
}
