/* SPDX-License-Identifier: MIT */
#include "signer/issue.h"

#include "base/limits.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "crypto/signature.h"
#include "crypto/tbs.h"
#include "os/random.h"
#include "signer/ledger.h"
#include "signer/tokens.h"

enum {
    PEM_BYTES_MAX = 4 * CHY_LIMIT_CERTIFICATE
};

static enum chy_sign_alg issue_alg(const struct issue *is)
{
    return chy_key_type_default_alg(is->signer->record.key.type);
}

static struct chy_entry entry_of(const struct job *job, const struct issue *is,
                                 enum chy_entry_kind kind)
{
    struct chy_entry e = job_entry(job, kind, is->action, is->subject);
    e.algorithm = issue_alg(is);
    e.hashed_by = CHY_HASHED_BY_SERVER;
    e.digest = is->digest;
    memcpy(e.key_sha256, is->signer->record.key.public_key_sha256, sizeof e.key_sha256);
    return e;
}

struct chy_entry issue_outcome(struct job *job, const struct issue *is)
{
    struct chy_entry e = *job->owed;
    (void)is;
    e.outcome = CHY_OUTCOME_DONE;
    job->owed = NULL;
    return e;
}

static enum chy_err assemble(struct job *job, struct issue *is, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&raw, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&der, (size_t)4 * CHY_LIMIT_CERTIFICATE);
    size_t order = chy_key_type_order_bytes(is->signer->record.key.type);
    struct chy_bytes signature = job->signature;
    if (order > 0) {
        CHY_TRY(chy_ecdsa_to_raw(job->signature, order, &raw, err));
        signature = chy_buf_bytes(&raw);
    }
    CHY_TRY(chy_signed_assemble(is->to_be_signed, issue_alg(is), signature, &der, err));
    is->der = chy_arena_bytes(&job->arena, chy_buf_bytes(&der));
    if (is->der.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what was signed");
    return CHY_OK;
}

static enum chy_err issue_signed(struct job *job, struct chy_error *err)
{
    struct issue *is = job->state;
    if (job->token_code != CHY_OK)
        return chy_fail(err, job->token_code, "%.*s", CHY_STR_ARG(job->token_text));
    CHY_TRY(assemble(job, is, err));
    return is->then(job, err);
}

static enum chy_err issue_intended(struct job *job, struct chy_error *err)
{
    struct issue *is = job->state;
    struct chy_bytes input = issue_alg(is) == CHY_ALG_ED25519 ? is->to_be_signed : is->digest;
    return tokens_sign_job(job, is->signer, issue_alg(is), input, issue_signed, err);
}

static enum chy_err skip(struct chy_bytes *in, unsigned tag, struct chy_error *err)
{
    struct chy_bytes body;
    return chy_der_take(in, tag, &body, err);
}

/* What comes before the public key: of a request its version 0 and subject, of a certificate
 * version 3 ([0] INTEGER 2), serial number, algorithm, issuer, validity and subject. */
static enum chy_err built_head(struct chy_bytes *in, bool is_request, struct chy_error *err)
{
    struct chy_bytes version = *in;
    uint64_t number = 0;
    if (!is_request)
        CHY_TRY(chy_der_take(in, CHY_DER_CONTEXT_SET(0), &version, err));
    CHY_TRY(chy_der_take_u64(is_request ? in : &version, &number, err));
    if (number != (is_request ? 0 : 2))
        return chy_fail(err, CHY_E_MALFORMED, "its version is %llu", (unsigned long long)number);
    if (is_request)
        return skip(in, CHY_DER_SEQUENCE, err);
    CHY_TRY(skip(in, CHY_DER_INTEGER, err));
    for (unsigned i = 0; i < 4; i++)
        CHY_TRY(skip(in, CHY_DER_SEQUENCE, err));
    return CHY_OK;
}

static enum chy_err built_read(const struct issue *is, struct chy_error *err)
{
    bool is_request = is->build.what == CHY_INSPECT_BUILD_CSR;
    struct chy_bytes in = is->to_be_signed;
    struct chy_bytes body;
    struct chy_der_item key;
    CHY_TRY(chy_der_take(&in, CHY_DER_SEQUENCE, &body, err));
    CHY_TRY(chy_der_end(in, err));
    CHY_TRY(built_head(&body, is_request, err));
    CHY_TRY(chy_der_next(&body, &key, err));
    if (!chy_bytes_equal(key.whole, is->build.public_key))
        return chy_fail(err, CHY_E_MALFORMED, "it is about another public key");
    CHY_TRY(skip(&body, is_request ? CHY_DER_CONTEXT_SET(0) : CHY_DER_CONTEXT_SET(3), err));
    return chy_der_end(body, err);
}

/* No policy is asked about what inspect builds, so it must not be able to have a key sign anything
 * but a request or a certificate for the public key that it was given. */
static enum chy_err built_check(const struct issue *is, struct chy_error *err)
{
    struct chy_error why;
    if (built_read(is, &why) == CHY_OK)
        return CHY_OK;
    return chy_fail(err, CHY_E_PROTOCOL, "inspect did not build what it was asked for: %s",
                    why.text);
}

static enum chy_err issue_built(struct job *job, struct chy_error *err)
{
    struct issue *is = job->state;
    is->to_be_signed = job->inspected->made;
    CHY_TRY(built_check(is, err));
    enum chy_hash_alg hash = chy_sign_alg_hash(issue_alg(is));
    uint8_t *digest = chy_arena_alloc(&job->arena, 1, CHY_LIMIT_DIGEST);
    if (digest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
    hash = hash == CHY_HASH_NONE ? CHY_HASH_SHA256 : hash;
    CHY_TRY(chy_hash(hash, is->to_be_signed, digest, err));
    is->digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
    struct chy_entry e = entry_of(job, is, CHY_ENTRY_KEY_INTENT);
    struct chy_entry outcome = entry_of(job, is, is->outcome_kind);
    struct chy_entry_detail d = job_detail(job, is->build.subject);
    CHY_TRY(ledger_add_intent(job, &e, &d, &outcome.intent_index, err));
    CHY_TRY(job_owe(job, &outcome, err));
    ledger_wait(job->s->ledger, job, issue_intended);
    return CHY_OK;
}

enum chy_err issue_begin(struct job *job, struct chy_error *err)
{
    struct issue *is = job->state;
    is->build.signed_by = issue_alg(is);
    return job_inspect(job, &is->build, issue_built, err);
}

enum chy_err issue_serial(struct job *job, struct chy_bytes *ret_serial, struct chy_error *err)
{
    uint8_t *serial = chy_arena_alloc(&job->arena, 1, CHY_ID_BYTES);
    if (serial == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a serial number");
    CHY_TRY(chy_random_fill(serial, CHY_ID_BYTES, err));
    *ret_serial = (struct chy_bytes){ serial, CHY_ID_BYTES };
    return CHY_OK;
}

enum chy_err issue_pem(struct job *job, const char *label, struct chy_bytes first,
                       struct chy_bytes second, struct chy_str *ret_pem, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, PEM_BYTES_MAX);
    chy_pem_append(&pem, label, first);
    if (second.n > 0)
        chy_pem_append(&pem, label, second);
    CHY_TRY(chy_buf_check(&pem, err));
    *ret_pem = chy_arena_str(&job->arena, chy_buf_str(&pem));
    return ret_pem->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for PEM");
}
