/* SPDX-License-Identifier: MIT */
#include "signer/own.h"

#include <utlist.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/random.h"
#include "signer/handlers.h"
#include "signer/issue.h"
#include "signer/ledger.h"
#include "signer/tokens.h"

#define SECOND_US INT64_C(1000000)
#define YEAR_US   (INT64_C(31557600) * SECOND_US)

/* The signer's own keys, in the order in which they are made. */
static const struct own_key {
    const char *name;
    enum chy_key_class class;
    enum chy_key_type type;
    enum chy_certificate_profile profile; /* NONE: no certificate */
    int years;                            /* of it */
} own_keys[] = {
    { CHY_KEY_NAME_LOG, CHY_KEY_CLASS_LOG, CHY_KEY_ED25519, CHY_PROFILE_NONE, 0 },
    { CHY_KEY_NAME_CLIENT_CA, CHY_KEY_CLASS_CLIENT_CA, CHY_KEY_P256, CHY_PROFILE_CLIENT_CA, 20 },
    { CHY_KEY_NAME_DEVELOPMENT_CA, CHY_KEY_CLASS_DEVELOPMENT_CA, CHY_KEY_P256,
      CHY_PROFILE_DEVELOPMENT_CA, 10 },
};

/* Named so that nobody takes one deployment's for another's. */
static struct chy_str subject_of(const struct own_key *own, struct job *job)
{
    const char *what = own->class == CHY_KEY_CLASS_CLIENT_CA ? "client CA" : "development CA";
    return chy_arena_printf(
        &job->arena, "CN=Chancery %s %02x%02x%02x%02x,O=%s", what, job->call.request_id[0],
        job->call.request_id[1], job->call.request_id[2], job->call.request_id[3],
        own->class == CHY_KEY_CLASS_CLIENT_CA ? "Chancery" : "Development only - not trusted");
}

struct own_making {
    struct issue issue; /* first: issue_begin() wants it there */
    const struct own_key *own;
    struct chy_key_record record;
};

/* --- a key --- */

static enum chy_err own_written(struct job *job, struct chy_error *err)
{
    struct own_making *m = job->state;
    struct signer *s = job->s;
    CHY_TRY(signer_must(s, signer_key_put(s, &m->record, err), err));
    s->own_pause_us = s->own_retry_us = 0;
    job_reply(job, CHY_OK, NULL, NULL, NULL); /* which clears s->own_job */
    own_continue(s);
    return CHY_OK;
}

static enum chy_err own_write(struct job *job, struct own_making *m, struct chy_entry *e,
                              struct chy_error *err)
{
    memcpy(e->key_sha256, m->record.key.public_key_sha256, sizeof e->key_sha256);
    CHY_TRY(ledger_add(job->s->ledger, e, NULL, NULL, err));
    CHY_TRY(ledger_put(job->s->ledger, CHY_OBJECT_KEY, m->record.key.name, &chy_key_record_schema,
                       &m->record, err));
    ledger_wait(job->s->ledger, job, own_written);
    return CHY_OK;
}

static enum chy_err own_made(struct job *job, struct chy_error *err)
{
    struct own_making *m = job->state;
    const struct chy_token_key_reply *r = job->token_key;
    struct chy_key *k = &m->record.key;
    if (r->code != 0)
        return chy_fail(err, CHY_E_TOKEN, "%.*s", CHY_STR_ARG(r->text));
    k->public_key = r->public_key;
    k->object_id = r->object_id;
    CHY_TRY(chy_sha256(r->public_key, k->public_key_sha256, err));
    struct chy_entry e = *job->owed;
    e.outcome = CHY_OUTCOME_DONE;
    job->owed = NULL;
    return own_write(job, m, &e, err);
}

static enum chy_err own_intended(struct job *job, struct chy_error *err)
{
    struct own_making *m = job->state;
    struct token *t = tokens_find(job->s, m->record.key.token);
    struct chy_token_generate request = { .type = m->own->type,
                                          .label = m->record.key.name,
                                          .object_id = { m->record.key.id, CHY_ID_BYTES } };
    return tokens_ask_key(job, t, CHY_MSG_TOKEN_GENERATE, &chy_token_generate_schema, &request,
                          own_made, err);
}

static const struct own_key *missing_key(struct signer *s)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(own_keys); i++)
        if (signer_key(s, chy_str_of(own_keys[i].name)) == NULL)
            return &own_keys[i];
    return NULL;
}

static enum chy_err key_begin(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    const struct own_key *own = missing_key(s);
    struct own_making *m = chy_arena_new(&job->arena, struct own_making);
    bool is_log = own != NULL && own->class == CHY_KEY_CLASS_LOG && s->config.log_token.n > 0;
    struct token *t = tokens_find(s, is_log ? s->config.log_token : s->config.default_token);
    if (m == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    if (own == NULL || t == NULL)
        return chy_fail(err, CHY_E_INTERNAL, "no key is missing, or there is no token for it");
    m->own = own;
    m->record.key = (struct chy_key){
        .name = chy_str_of(own->name),
        .class = own->class,
        .type = own->type,
        .state = CHY_KEY_STATE_ACTIVE,
        .origin = CHY_KEY_ORIGIN_GENERATED,
        .token = token_name(t),
        .token_is_software = token_is_software(t),
        .created_us = chy_clock_realtime_us(),
    };
    CHY_TRY(chy_random_fill(m->record.key.id, CHY_ID_BYTES, err));
    job->state = m;
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY_INTENT, "key.create", m->record.key.name);
    struct chy_entry outcome = job_entry(job, CHY_ENTRY_KEY, "key.create", m->record.key.name);
    CHY_TRY(ledger_add_intent(job, &e, NULL, &outcome.intent_index, err));
    CHY_TRY(job_owe(job, &outcome, err));
    ledger_wait(s->ledger, job, own_intended);
    return CHY_OK;
}

/* --- a CA's certificate --- */

static const struct own_key *missing_certificate(struct signer *s)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(own_keys); i++) {
        const struct key *key = signer_key(s, chy_str_of(own_keys[i].name));
        if (own_keys[i].profile != CHY_PROFILE_NONE && key->record.key.certificates.n == 0)
            return &own_keys[i];
    }
    return NULL;
}

static enum chy_err ca_issued(struct job *job, struct chy_error *err)
{
    struct own_making *m = job->state;
    struct chy_certificate *cert = chy_arena_new(&job->arena, struct chy_certificate);
    if (cert == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    *cert = (struct chy_certificate){
        .der = m->issue.der,
        .subject = m->issue.build.subject,
        .issuer = m->issue.build.subject,
        .not_before_us = m->issue.build.not_before_us,
        .not_after_us = m->issue.build.not_after_us,
        .is_development = m->own->class == CHY_KEY_CLASS_DEVELOPMENT_CA,
    };
    CHY_TRY(chy_sha256(cert->der, cert->sha256, err));
    CHY_TRY(chy_schema_copy(&chy_key_record_schema, &m->issue.signer->record, &job->arena,
                            &m->record, err));
    m->record.key.certificates.p = cert;
    m->record.key.certificates.n = 1;
    struct chy_entry e = issue_outcome(job, &m->issue);
    memcpy(e.result_sha256, cert->sha256, sizeof e.result_sha256);
    return own_write(job, m, &e, err);
}

static enum chy_err certificate_begin(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    const struct own_key *own = missing_certificate(s);
    struct own_making *m = chy_arena_new(&job->arena, struct own_making);
    int64_t now = chy_clock_realtime_us();
    if (m == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    if (own == NULL)
        return chy_fail(err, CHY_E_INTERNAL, "no certificate is missing");
    struct chy_str subject = subject_of(own, job);
    if (subject.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    struct key *key = signer_key(s, chy_str_of(own->name));
    m->own = own;
    m->issue = (struct issue){
        .build = { .what = CHY_INSPECT_BUILD_CERTIFICATE,
                   .now_us = now,
                   .profile = own->profile,
                   .subject = subject,
                   .public_key = key->record.key.public_key,
                   .not_before_us = now - YEAR_US / 365 / 24,
                   .not_after_us = now + own->years * YEAR_US },
        .signer = key,
        .action = "certificate.issue",
        .subject = key->record.key.name,
        .outcome_kind = CHY_ENTRY_KEY,
        .then = ca_issued,
    };
    CHY_TRY(issue_serial(job, &m->issue.build.serial, err));
    job->state = m;
    return issue_begin(job, err);
}

/* --- the start --- */

static enum chy_err start_written(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    (void)err;
    job_reply(job, CHY_OK, NULL, NULL, NULL);
    s->is_bootstrapped = true;
    signer_ready(s);
    chy_log(&s->log, CHY_LOG_NOTICE, "signer.ready", CHY_L_U64("log_size", ledger_size(s->ledger)));
    return CHY_OK;
}

/* The first administrator was made by `chanceryd init`, which cannot write the log. */
static enum chy_err init_write(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    struct chy_user user;
    enum chy_err r = chy_record_get(s->store, CHY_OBJECT_META, CHY_STR(CHY_META_INIT),
                                    &chy_user_schema, &job->arena, &user, err);
    if (r == CHY_E_NOT_FOUND)
        return CHY_OK;
    CHY_TRY(r);
    struct chy_entry e = job_entry(job, CHY_ENTRY_USER, "user.create", user.name);
    struct chy_entry_detail d = job_detail(job, CHY_STR("made by chanceryd init, with all roles"));
    CHY_TRY(ledger_add(s->ledger, &e, &d, NULL, err));
    return ledger_delete(s->ledger, CHY_OBJECT_META, CHY_STR(CHY_META_INIT), err);
}

static enum chy_err start_begin(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    struct chy_entry e = job_entry(job, CHY_ENTRY_SERVER_START, "server.start", s->config.node);
    memcpy(e.result_sha256, s->config.config_sha256, sizeof e.result_sha256);
    struct chy_entry_detail d = job_detail(job, s->config.version);
    CHY_TRY(ledger_add(s->ledger, &e, &d, NULL, err));
    if (ledger_accepted(s->ledger).n > 0) {
        struct chy_entry recovery =
            job_entry(job, CHY_ENTRY_RECOVERY, "store.accept-older", s->config.node);
        struct chy_entry_detail why =
            job_detail(job, chy_arena_printf(&job->arena, "an operator accepted that %.*s",
                                             CHY_STR_ARG(ledger_accepted(s->ledger))));
        if (why.text.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for an entry");
        CHY_TRY(ledger_add(s->ledger, &recovery, &why, NULL, err));
    }
    CHY_TRY(init_write(job, err));
    ledger_wait(s->ledger, job, start_written);
    return CHY_OK;
}

/* --- the end --- */

static enum chy_err stop_written(struct job *job, struct chy_error *err)
{
    (void)err;
    job_reply(job, CHY_OK, NULL, NULL, NULL);
    return CHY_OK;
}

static enum chy_err stop_begin(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    struct chy_entry e = job_entry(job, CHY_ENTRY_SERVER_STOP, "server.stop", s->config.node);
    CHY_TRY(ledger_add(s->ledger, &e, NULL, NULL, err));
    ledger_wait(s->ledger, job, stop_written);
    return CHY_OK;
}

void own_stop(struct signer *s)
{
    struct chy_error err;
    if (s->is_bootstrapped && job_begin_own(s, stop_begin, &err) != CHY_OK)
        signer_die(s, &err);
}

/* --- trust --- */

void own_tell_trust(struct signer *s, struct peer *front)
{
    const struct key *ca = signer_key(s, CHY_STR(CHY_KEY_NAME_CLIENT_CA));
    if (ca == NULL || ca->record.key.certificates.n == 0)
        return;
    struct chy_error err;
    struct chy_trust trust = { .client_ca = ca->record.key.certificates.p[0].der };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    enum chy_err r = chy_schema_encode(&chy_trust_schema, &trust, &out, &err);
    struct chy_frame frame = { .type = CHY_MSG_TRUST, .body = chy_buf_bytes(&out) };
    if (r == CHY_OK)
        r = chy_channel_send(front->channel, &frame, &err);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "front.trust_not_told", CHY_L_ERR(&err));
}

static void tell_all(struct signer *s)
{
    const struct key *ca = signer_key(s, CHY_STR(CHY_KEY_NAME_CLIENT_CA));
    struct peer *front;
    s->client_ca = ca->record.key.certificates.p[0].der;
    LL_FOREACH(s->fronts, front)
    own_tell_trust(s, front);
}

/* --- the sequence --- */

void own_continue(struct signer *s)
{
    struct chy_str missing;
    struct chy_error err;
    enum chy_err r = CHY_OK;
    int64_t now = chy_clock_monotonic_us();
    if (s->is_bootstrapped || s->own_job != NULL || s->has_failed || s->is_draining)
        return;
    bool is_complete = missing_key(s) == NULL && missing_certificate(s) == NULL;
    /* Only making needs the others: a server whose token is away still starts, and says so. */
    if (!is_complete && (s->inspect == NULL || !tokens_are_ready(s, &missing)))
        return;
    /* What failed is tried again ever later: each attempt to make a key stands in the log. */
    if (now < s->own_retry_us)
        return;
    s->own_pause_us = CHY_MIN(CHY_MAX(2 * s->own_pause_us, SECOND_US), 64 * SECOND_US);
    s->own_retry_us = now + s->own_pause_us;
    job_fn *next = start_begin;
    if (missing_key(s) != NULL)
        next = key_begin;
    else if (missing_certificate(s) != NULL)
        next = certificate_begin;
    else
        tell_all(s);
    struct key *log_key = signer_key(s, CHY_STR(CHY_KEY_NAME_LOG));
    if (log_key != NULL)
        r = ledger_set_key(s->ledger, log_key, &err);
    if (r == CHY_OK)
        r = job_begin_own(s, next, &err);
    if (r != CHY_OK)
        signer_die(s, &err);
}
