/* SPDX-License-Identifier: MIT */
/* Certificates and requests for them: read and checked, or built to be signed. */
#include "base/limits.h"
#include "crypto/tbs.h"
#include "crypto/x509.h"
#include "inspect/run.h"

/* What is signed to make a certificate is shorter than the certificate. */
#define BUILT_BYTES_MAX CHY_LIMIT_CERTIFICATE

enum chy_err inspect_chain(const struct chy_inspect_request *request, struct chy_arena *arena,
                           struct chy_inspect_reply *reply, struct chy_error *err)
{
    bool is_text = request->text.n > 0;
    if (is_text == (request->bytes.n > 0) || request->public_key.n == 0)
        return chy_fail(err, CHY_E_ARG, "a chain is one text or one certificate, and is for a key");
    struct chy_x509_chain *chain = chy_arena_new(arena, struct chy_x509_chain);
    struct chy_certificate *certificates =
        chy_arena_array(arena, struct chy_certificate, CHY_LIMIT_CHAIN);
    if (chain == NULL || certificates == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a chain");
    struct chy_bytes in = is_text ? chy_str_bytes(request->text) : request->bytes;
    CHY_TRY(chy_x509_chain_parse(arena, in, chain, err));
    if (!is_text && chain->n != 1)
        return chy_fail(err, CHY_E_MALFORMED, "%zu certificates in the place of one", chain->n);
    CHY_TRY(chy_x509_chain_check(chain, request->public_key, request->now_us, err));
    for (size_t i = 0; i < chain->n; i++)
        certificates[i] = chain->certs[i].summary;
    reply->certificates.p = certificates;
    reply->certificates.n = chain->n;
    reply->subject = chain->certs[0].summary.subject;
    return CHY_OK;
}

enum chy_err inspect_csr(const struct chy_inspect_request *request, struct chy_arena *arena,
                         struct chy_inspect_reply *reply, struct chy_error *err)
{
    struct chy_x509_csr csr;
    if (request->text.n == 0)
        return chy_fail(err, CHY_E_ARG, "the certificate request is missing");
    CHY_TRY(chy_csr_parse(arena, chy_str_bytes(request->text), &csr, err));
    reply->public_key = csr.spki;
    reply->subject = csr.subject;
    return CHY_OK;
}

static enum chy_err made_set(struct chy_inspect_reply *reply, const struct chy_buf *from,
                             struct chy_arena *arena, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(from, err));
    reply->made = chy_arena_bytes(arena, chy_buf_bytes(from));
    if (reply->made.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what was built");
    return CHY_OK;
}

enum chy_err inspect_build_csr(const struct chy_inspect_request *request, struct chy_arena *arena,
                               struct chy_inspect_reply *reply, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, BUILT_BYTES_MAX);
    CHY_TRY(chy_tbs_csr(request->subject, request->public_key, request->sans.p, request->sans.n,
                        &out, err));
    return made_set(reply, &out, arena, err);
}

static const struct {
    enum chy_certificate_profile asked;
    enum chy_cert_profile built;
} profiles[] = {
    { CHY_PROFILE_CLIENT_CA, CHY_CERT_CLIENT_CA },
    { CHY_PROFILE_CLIENT, CHY_CERT_CLIENT },
    { CHY_PROFILE_DEVELOPMENT_CA, CHY_CERT_DEVELOPMENT_CA },
    { CHY_PROFILE_DEVELOPMENT_SIGNING, CHY_CERT_CODE_SIGNING },
};

static enum chy_err profile_find(enum chy_certificate_profile asked, enum chy_cert_profile *ret,
                                 struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(profiles); i++)
        if (profiles[i].asked == asked) {
            *ret = profiles[i].built;
            return CHY_OK;
        }
    return chy_fail(err, CHY_E_ARG, "there is no certificate profile %d", (int)asked);
}

enum chy_err inspect_build_certificate(const struct chy_inspect_request *request,
                                       struct chy_arena *arena, struct chy_inspect_reply *reply,
                                       struct chy_error *err)
{
    struct chy_cert_request wanted = {
        .subject = request->subject,
        .spki = request->public_key,
        .issuer_der = request->issuer,
        .alg = request->signed_by,
        .not_before_us = request->not_before_us,
        .not_after_us = request->not_after_us,
        .sans = request->sans.p,
        .n_sans = request->sans.n,
    };
    CHY_TRY(profile_find(request->profile, &wanted.profile, err));
    if (request->serial.n != sizeof wanted.serial)
        return chy_fail(err, CHY_E_ARG, "a serial number of %zu bytes, expected %zu",
                        request->serial.n, sizeof wanted.serial);
    chy_copy(wanted.serial, request->serial.p, sizeof wanted.serial);
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, BUILT_BYTES_MAX);
    CHY_TRY(chy_tbs_certificate(&wanted, &out, err));
    return made_set(reply, &out, arena, err);
}
