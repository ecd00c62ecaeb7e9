/* SPDX-License-Identifier: MIT */
/* Certificates of signing keys: requested, imported, or issued by the development CA. */
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "signer/handlers.h"
#include "signer/issue.h"
#include "signer/ledger.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* --- request --- */

struct csr_state {
    struct issue issue;
    struct chy_csr answer;
};

static enum chy_err csr_durable(struct job *job, struct chy_error *err)
{
    const struct csr_state *st = job->state;
    (void)err;
    return job_done(job, &st->answer);
}

static enum chy_err csr_made(struct job *job, struct chy_error *err)
{
    struct csr_state *st = job->state;
    struct chy_entry e = issue_outcome(job, &st->issue);
    CHY_TRY(chy_sha256(st->issue.der, e.result_sha256, err));
    CHY_TRY(issue_pem(job, "CERTIFICATE REQUEST", st->issue.der, (struct chy_bytes){ NULL, 0 },
                      &st->answer.csr, err));
    CHY_TRY(ledger_add(job->s->ledger, &e, NULL, NULL, err));
    ledger_wait(job->s->ledger, job, csr_durable);
    return CHY_OK;
}

enum chy_err certs_csr(struct job *job, struct chy_error *err)
{
    const struct chy_csr_request *r = job->request;
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    struct csr_state *st = chy_arena_new(&job->arena, struct csr_state);
    if (st == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate request");
    st->issue = (struct issue){
        .build = { .what = CHY_INSPECT_BUILD_CSR,
                   .now_us = chy_clock_realtime_us(),
                   .subject = r->subject,
                   .sans = r->sans,
                   .public_key = key->record.key.public_key },
        .signer = key,
        .action = "certificate.request",
        .subject = r->name,
        .outcome_kind = CHY_ENTRY_KEY,
        .then = csr_made,
    };
    job->state = st;
    return issue_begin(job, err);
}

/* --- import --- */

static enum chy_err chain_write(struct job *job, struct chy_str name, const char *action,
                                struct chy_error *err)
{
    struct key *key;
    CHY_TRY(keys_find(job, name, &key, err));
    if (job->inspected->certificates.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "inspect gave no chain");
    struct chy_key_record record = key->record;
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY, action, name);
    record.key.certificates.p = job->inspected->certificates.p;
    record.key.certificates.n = job->inspected->certificates.n;
    memcpy(e.result_sha256, record.key.certificates.p[0].sha256, sizeof e.result_sha256);
    return keys_write(job, &record, &e, record.key.certificates.p[0].subject, err);
}

static enum chy_err import_inspected(struct job *job, struct chy_error *err)
{
    const struct chy_certificate_import *r = job->request;
    return chain_write(job, r->name, "certificate.import", err);
}

enum chy_err certs_import(struct job *job, struct chy_error *err)
{
    const struct chy_certificate_import *r = job->request;
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    CHY_TRY(job_lock(job, "key", r->name, err));
    struct chy_inspect_request request = { .what = CHY_INSPECT_CHAIN,
                                           .now_us = chy_clock_realtime_us(),
                                           .text = r->chain,
                                           .public_key = key->record.key.public_key };
    return job_inspect(job, &request, import_inspected, err);
}

/* --- the development CA --- */

enum {
    DEVELOPMENT_DAYS = 365
};

static enum chy_err development_checked(struct job *job, struct chy_error *err)
{
    const struct chy_development_certificate *r = job->request;
    return chain_write(job, r->name, "certificate.development", err);
}

/* What was made is read back and checked like a chain from outside. */
static enum chy_err development_issued(struct job *job, struct chy_error *err)
{
    const struct chy_development_certificate *r = job->request;
    struct issue *is = job->state;
    struct chy_str pem;
    struct key *key;
    struct chy_entry e = issue_outcome(job, is);
    CHY_TRY(chy_sha256(is->der, e.result_sha256, err));
    CHY_TRY(ledger_add(job->s->ledger, &e, NULL, NULL, err));
    CHY_TRY(keys_find(job, r->name, &key, err));
    CHY_TRY(issue_pem(job, "CERTIFICATE", is->der, is->signer->record.key.certificates.p[0].der,
                      &pem, err));
    struct chy_inspect_request request = { .what = CHY_INSPECT_CHAIN,
                                           .now_us = chy_clock_realtime_us(),
                                           .text = pem,
                                           .public_key = key->record.key.public_key };
    return job_inspect(job, &request, development_checked, err);
}

enum chy_err certs_development(struct job *job, struct chy_error *err)
{
    const struct chy_development_certificate *r = job->request;
    int64_t now = chy_clock_realtime_us();
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    CHY_TRY(job_lock(job, "key", r->name, err));
    struct key *ca = signer_key(job->s, CHY_STR(CHY_KEY_NAME_DEVELOPMENT_CA));
    struct issue *is = chy_arena_new(&job->arena, struct issue);
    struct chy_str subject = r->subject.n > 0
                                 ? r->subject
                                 : chy_arena_printf(&job->arena, "CN=%.*s", CHY_STR_ARG(r->name));
    if (is == NULL || subject.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    if (ca == NULL || ca->record.key.certificates.n == 0)
        return chy_fail(err, CHY_E_STATE, "there is no development CA yet");
    const struct chy_certificate *issuer = &ca->record.key.certificates.p[0];
    int64_t days = r->valid_days > 0 ? r->valid_days : DEVELOPMENT_DAYS;
    *is = (struct issue){
        .build = { .what = CHY_INSPECT_BUILD_CERTIFICATE,
                   .now_us = now,
                   .profile = CHY_PROFILE_DEVELOPMENT_SIGNING,
                   .subject = subject,
                   .public_key = key->record.key.public_key,
                   .issuer = issuer->der,
                   .not_before_us = now - DAY_US / 24,
                   .not_after_us = CHY_MIN(now + days * DAY_US, issuer->not_after_us) },
        .signer = ca,
        .action = "certificate.issue",
        .subject = r->name,
        .outcome_kind = CHY_ENTRY_KEY,
        .then = development_issued,
    };
    CHY_TRY(issue_serial(job, &is->build.serial, err));
    job->state = is;
    return issue_begin(job, err);
}
