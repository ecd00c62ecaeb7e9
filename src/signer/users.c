/* SPDX-License-Identifier: MIT */
/* Principals and their credentials: made, changed, enrolled, renewed, given API tokens. */
#include "base/ct.h"
#include "base/limits.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/random.h"
#include "proto/enrolment.h"
#include "signer/handlers.h"
#include "signer/issue.h"
#include "signer/ledger.h"

#define MINUTE_US (INT64_C(60) * 1000000)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)

enum {
    CODE_MINUTES = 60,
    API_TOKEN_DAYS = 30,
    API_TOKEN_SECRET_BYTES = 32,
};
/* A prefix by which secret scanners know what they found. */
#define API_TOKEN_PREFIX "chyt_"

/* --- entries and answers --- */

struct answer {
    const void *response;
};

static enum chy_err answered(struct job *job, struct chy_error *err)
{
    const struct answer *a = job->state;
    (void)err;
    return job_done(job, a->response);
}

/* Write what happened to a principal and answer once that is durable. */
static enum chy_err finish(struct job *job, struct chy_entry *e, struct chy_str text,
                           const void *response, struct chy_error *err)
{
    struct answer *a = chy_arena_new(&job->arena, struct answer);
    if (a == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
    a->response = response;
    struct chy_entry_detail d = job_detail(job, text);
    CHY_TRY(ledger_add(job->s->ledger, e, &d, NULL, err));
    job->state = a;
    ledger_wait(job->s->ledger, job, answered);
    return CHY_OK;
}

static enum chy_err user_get(struct job *job, struct chy_str name, struct chy_user *ret,
                             struct chy_error *err)
{
    enum chy_err r = chy_record_get(job->s->store, CHY_OBJECT_USER, name, &chy_user_schema,
                                    &job->arena, ret, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, r, "there is no principal \"%.*s\"", CHY_STR_ARG(name));
    return r;
}

/* --- create and update --- */

static enum chy_err names_check(struct chy_strs names, struct chy_error *err)
{
    for (size_t i = 0; i < names.n; i++)
        CHY_TRY(chy_record_check_name(names.p[i], "group", err));
    return CHY_OK;
}

static enum chy_err roles_check(struct chy_strs roles, struct chy_error *err)
{
    for (size_t i = 0; i < roles.n; i++) {
        int role = CHY_ROLE_NONE;
        if (chy_enum_find(&chy_role_enum, roles.p[i], &role, NULL) != CHY_OK)
            return chy_fail(
                err, CHY_E_ARG,
                "there is no role \"%.*s\"; administrator, key-manager, policy-author, auditor",
                CHY_STR_ARG(roles.p[i]));
    }
    return CHY_OK;
}

/* What an entry says of a principal's rights: "roles: a b; groups: c; disabled". */
static enum chy_err user_text(const struct chy_user *u, struct chy_arena *arena,
                              struct chy_str *ret, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    chy_buf_init(&b, (size_t)CHY_LIMIT_TEXT * 4);
    chy_buf_append_c(&b, "roles:");
    for (size_t i = 0; i < u->roles.n; i++)
        chy_buf_printf(&b, " %.*s", CHY_STR_ARG(u->roles.p[i]));
    chy_buf_append_c(&b, "; groups:");
    for (size_t i = 0; i < u->groups.n; i++)
        if (!chy_buf_printf(&b, " %.*s", CHY_STR_ARG(u->groups.p[i])))
            break; /* a text for people: the record itself is whole */
    chy_buf_append_c(&b, u->is_disabled ? "; disabled" : "");
    *ret = chy_arena_str(arena, chy_buf_str(&b));
    return ret->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a text");
}

static enum chy_err user_write(struct job *job, const struct chy_user *user, const char *action,
                               struct chy_error *err)
{
    struct chy_user *own = chy_arena_new(&job->arena, struct chy_user);
    struct chy_str text;
    if (own == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a principal");
    *own = *user;
    struct chy_entry e = job_entry(job, CHY_ENTRY_USER, action, user->name);
    CHY_TRY(user_text(user, &job->arena, &text, err));
    CHY_TRY(ledger_put(job->s->ledger, CHY_OBJECT_USER, user->name, &chy_user_schema, own, err));
    return finish(job, &e, text, own, err);
}

enum chy_err users_create(struct job *job, struct chy_error *err)
{
    const struct chy_user_create *r = job->request;
    struct chy_user existing;
    CHY_TRY(chy_record_check_name(r->name, "principal", err));
    CHY_TRY(names_check(r->groups, err));
    CHY_TRY(roles_check(r->roles, err));
    CHY_TRY(job_lock(job, "user", r->name, err));
    if (user_get(job, r->name, &existing, NULL) != CHY_E_NOT_FOUND)
        return chy_fail(err, CHY_E_EXISTS, "there is a principal \"%.*s\" already",
                        CHY_STR_ARG(r->name));
    struct chy_user user = { .name = r->name,
                             .description = r->description,
                             .groups = r->groups,
                             .roles = r->roles,
                             .created_us = chy_clock_realtime_us() };
    return user_write(job, &user, "user.create", err);
}

static bool is_administrator(const struct chy_user *u)
{
    return !u->is_disabled && chy_principal_has(u->roles, CHY_STR("administrator"));
}

struct last_administrator {
    struct chy_str but;
    struct chy_arena arena;
    bool found;
};

static enum chy_err look_for_administrator(void *ctx, struct chy_str name, struct chy_bytes body,
                                           struct chy_error *err)
{
    struct last_administrator *look = ctx;
    struct chy_user u;
    if (chy_str_equal(name, look->but))
        return CHY_OK;
    chy_arena_reset(&look->arena);
    CHY_TRY(chy_schema_decode(&chy_user_schema, body, &look->arena, &u, err));
    look->found = is_administrator(&u);
    return look->found ? CHY_E_EXISTS : CHY_OK;
}

/* Somebody must remain who can let others in. */
static enum chy_err keep_an_administrator(struct job *job, const struct chy_user *old,
                                          const struct chy_user *new, struct chy_error *err)
{
    if (!is_administrator(old) || is_administrator(new))
        return CHY_OK;
    struct last_administrator look = { .but = new->name };
    chy_arena_init(&look.arena, CHY_LIMIT_FRAME);
    enum chy_err r = chy_store_walk(job->s->store, CHY_OBJECT_USER, CHY_STR(""),
                                    look_for_administrator, &look, err);
    chy_arena_done(&look.arena);
    CHY_TRY(r);
    if (!look.found)
        return chy_fail(err, CHY_E_STATE, "%.*s is the last administrator", CHY_STR_ARG(new->name));
    return CHY_OK;
}

enum chy_err users_update(struct job *job, struct chy_error *err)
{
    const struct chy_user_update *r = job->request;
    struct chy_user old;
    /* One change of principals at a time: two might each leave the other the last administrator. */
    CHY_TRY(job_lock(job, "users", CHY_STR("all"), err));
    CHY_TRY(user_get(job, r->name, &old, err));
    struct chy_user user = old;
    if (r->groups != NULL) {
        CHY_TRY(names_check(r->groups->values, err));
        user.groups = r->groups->values;
    }
    if (r->roles != NULL) {
        CHY_TRY(roles_check(r->roles->values, err));
        user.roles = r->roles->values;
    }
    if (r->is_disabled != NULL)
        user.is_disabled = r->is_disabled->value;
    CHY_TRY(keep_an_administrator(job, &old, &user, err));
    return user_write(job, &user, "user.update", err);
}

/* --- enrolment codes --- */

enum chy_err users_enrolment_code(struct job *job, struct chy_error *err)
{
    const struct chy_enrolment_code_request *r = job->request;
    struct signer *s = job->s;
    struct chy_user user;
    CHY_TRY(user_get(job, r->name, &user, err));
    uint8_t secret[CHY_ENROLMENT_SECRET_BYTES];
    uint8_t hash[CHY_HASH_BYTES];
    struct chy_enrolment parsed;
    CHY_CLEANUP(chy_buf_done) struct chy_buf code;
    chy_buf_init(&code, CHY_LIMIT_TEXT);
    CHY_TRY(chy_random_fill(secret, sizeof secret, err));
    CHY_TRY(chy_enrolment_make(s->config.server_pin, secret, s->config.public_url, &code, err));
    chy_wipe(secret, sizeof secret);
    CHY_TRY(chy_enrolment_parse(chy_buf_str(&code), &parsed, err));
    CHY_TRY(chy_sha256(chy_str_bytes(chy_str_of(parsed.secret)), hash, err));
    struct chy_enrolment_code *response = chy_arena_new(&job->arena, struct chy_enrolment_code);
    struct chy_str name = chy_record_hash_name(&job->arena, hash);
    if (response == NULL || name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a code");
    uint32_t minutes = r->valid_minutes > 0 ? r->valid_minutes : CODE_MINUTES;
    struct chy_code_record record = { .principal = r->name,
                                      .expires_us = chy_clock_realtime_us() + minutes * MINUTE_US,
                                      .is_agent = r->is_agent };
    response->code = chy_arena_str(&job->arena, chy_buf_str(&code));
    response->expires_us = record.expires_us;
    if (response->code.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a code");
    struct chy_entry e = job_entry(job, CHY_ENTRY_USER, "user.enrolment-code", r->name);
    CHY_TRY(ledger_put(s->ledger, CHY_OBJECT_CODE, name, &chy_code_record_schema, &record, err));
    return finish(job, &e, r->is_agent ? CHY_STR("for an agent") : CHY_STR(""), response, err);
}

/* --- client certificates: by a code, and by one that is about to end --- */

struct enrolling {
    struct issue issue;
    struct chy_str principal;
    struct chy_str code_name; /* object name of the code that is used up; empty: a renewal */
    bool is_agent;
};

struct credentials {
    struct ledger *ledger;
    struct chy_arena arena; /* of one record */
    enum chy_auth_method method;
    struct chy_str principal;
    int64_t now_us;
    size_t remaining;
};

/* Credentials that have ended go away when their owner gets a new one: the log remembers them. */
static enum chy_err drop_expired(void *ctx, struct chy_str name, struct chy_bytes body,
                                 struct chy_error *err)
{
    struct credentials *x = ctx;
    struct chy_credential_record c;
    chy_arena_reset(&x->arena);
    CHY_TRY(chy_schema_decode(&chy_credential_record_schema, body, &x->arena, &c, err));
    if (c.method != x->method || !chy_str_equal(c.principal, x->principal))
        return CHY_OK;
    if (c.info.expires_us < x->now_us)
        return ledger_delete(x->ledger, CHY_OBJECT_CREDENTIAL, name, err);
    x->remaining++;
    return CHY_OK;
}

static enum chy_err credentials_sweep(struct job *job, struct chy_str principal,
                                      enum chy_auth_method method, size_t *ret_remaining,
                                      struct chy_error *err)
{
    struct credentials x = { .ledger = job->s->ledger,
                             .method = method,
                             .principal = principal,
                             .now_us = chy_clock_realtime_us() };
    chy_arena_init(&x.arena, CHY_LIMIT_FRAME);
    enum chy_err r =
        chy_store_walk(job->s->store, CHY_OBJECT_CREDENTIAL, CHY_STR(""), drop_expired, &x, err);
    chy_arena_done(&x.arena);
    if (r == CHY_OK)
        *ret_remaining = x.remaining;
    return r;
}

static enum chy_err credential_write(struct job *job, const struct enrolling *en,
                                     uint8_t sha256[CHY_HASH_BYTES], struct chy_error *err)
{
    struct signer *s = job->s;
    int64_t now = chy_clock_realtime_us();
    struct chy_credential_record record = {
        .principal = en->principal,
        .method = CHY_AUTH_CERTIFICATE,
        .info = { .created_us = now, .expires_us = en->issue.build.not_after_us },
        .is_agent = en->is_agent,
    };
    memcpy(record.info.id, en->issue.build.serial.p, sizeof record.info.id);
    CHY_TRY(chy_sha256(en->issue.build.public_key, record.public_key_sha256, err));
    CHY_TRY(chy_sha256(en->issue.der, sha256, err));
    struct chy_str name = chy_record_hash_name(&job->arena, sha256);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a credential");
    size_t others;
    CHY_TRY(credentials_sweep(job, en->principal, CHY_AUTH_CERTIFICATE, &others, err));
    if (en->code_name.n > 0)
        CHY_TRY(ledger_delete(s->ledger, CHY_OBJECT_CODE, en->code_name, err));
    return ledger_put(s->ledger, CHY_OBJECT_CREDENTIAL, name, &chy_credential_record_schema,
                      &record, err);
}

static enum chy_err client_issued(struct job *job, struct chy_error *err)
{
    struct enrolling *en = job->state;
    struct chy_client_certificate *response =
        chy_arena_new(&job->arena, struct chy_client_certificate);
    if (response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    response->principal = en->principal;
    response->not_after_us = en->issue.build.not_after_us;
    CHY_TRY(issue_pem(job, "CERTIFICATE", en->issue.der, job->s->client_ca, &response->certificate,
                      err));
    uint8_t sha256[CHY_HASH_BYTES];
    CHY_TRY(credential_write(job, en, sha256, err));
    struct chy_entry e = issue_outcome(job, &en->issue);
    memcpy(e.result_sha256, sha256, sizeof e.result_sha256);
    return finish(job, &e, en->is_agent ? CHY_STR("for an agent") : CHY_STR(""), response, err);
}

/* A certificate is renewed for the key that it has. Front passes the request on, and must not get a
 * certificate of a key of its own for a caller that it has only seen. */
static enum chy_err same_key_check(struct job *job, struct chy_error *err)
{
    uint8_t hash[CHY_HASH_BYTES];
    CHY_TRY(chy_sha256(job->inspected->public_key, hash, err));
    if (!chy_bytes_equal((struct chy_bytes){ hash, sizeof hash },
                         (struct chy_bytes){ job->who.public_key_sha256, CHY_HASH_BYTES }))
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "a certificate is renewed for the key that it has; for another key, enrol");
    return CHY_OK;
}

static enum chy_err client_csr_read(struct job *job, struct chy_error *err)
{
    struct enrolling *en = job->state;
    if (en->code_name.n == 0)
        CHY_TRY(same_key_check(job, err));
    struct signer *s = job->s;
    int64_t now = chy_clock_realtime_us();
    struct key *ca = signer_key(s, CHY_STR(CHY_KEY_NAME_CLIENT_CA));
    struct chy_str subject = chy_arena_printf(&job->arena, "CN=%.*s", CHY_STR_ARG(en->principal));
    if (ca == NULL || ca->record.key.certificates.n == 0)
        return chy_fail(err, CHY_E_STATE, "there is no client CA yet");
    if (subject.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a certificate");
    int64_t end = now + (int64_t)s->config.client_certificate_hours * HOUR_US;
    en->issue = (struct issue){
        .build = { .what = CHY_INSPECT_BUILD_CERTIFICATE,
                   .now_us = now,
                   .profile = CHY_PROFILE_CLIENT,
                   .subject = subject,
                   .public_key = job->inspected->public_key,
                   .issuer = ca->record.key.certificates.p[0].der,
                   .not_before_us = now - 5 * MINUTE_US,
                   .not_after_us = CHY_MIN(end, ca->record.key.certificates.p[0].not_after_us) },
        .signer = ca,
        .action = en->code_name.n > 0 ? "user.enroll" : "user.renew",
        .subject = en->principal,
        .outcome_kind = CHY_ENTRY_USER,
        .then = client_issued,
    };
    CHY_TRY(issue_serial(job, &en->issue.build.serial, err));
    return issue_begin(job, err);
}

static enum chy_err client_begin(struct job *job, struct enrolling *en, struct chy_str csr,
                                 struct chy_error *err)
{
    struct chy_inspect_request request = { .what = CHY_INSPECT_CSR,
                                           .now_us = chy_clock_realtime_us(),
                                           .text = csr };
    job->state = en;
    return job_inspect(job, &request, client_csr_read, err);
}

enum chy_err enroll_begin(struct job *job, struct chy_error *err)
{
    const struct chy_enroll_request *r = job->request;
    struct enrolling *en = chy_arena_new(&job->arena, struct enrolling);
    uint8_t hash[CHY_HASH_BYTES];
    struct chy_code_record code;
    struct chy_user user;
    CHY_TRY(chy_sha256(chy_str_bytes(r->code), hash, err));
    struct chy_str name = chy_record_hash_name(&job->arena, hash);
    if (en == NULL || name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to enrol");
    /* The lock makes the code work once, also for two who come at the same moment. */
    CHY_TRY(job_lock(job, "code", name, err));
    enum chy_err found = chy_record_get(job->s->store, CHY_OBJECT_CODE, name,
                                        &chy_code_record_schema, &job->arena, &code, err);
    if (found == CHY_E_NOT_FOUND)
        return chy_fail(
            err, CHY_E_UNAUTHENTICATED,
            "this enrolment code is unknown or was used; ask an administrator for a new one");
    CHY_TRY(found);
    if (chy_clock_realtime_us() >= code.expires_us)
        return chy_fail(err, CHY_E_EXPIRED,
                        "this enrolment code has expired; ask an administrator for a new one");
    CHY_TRY(user_get(job, code.principal, &user, err));
    if (user.is_disabled)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "principal %.*s is disabled",
                        CHY_STR_ARG(user.name));
    *en = (struct enrolling){ .principal = code.principal,
                              .code_name = name,
                              .is_agent = code.is_agent };
    job->who = (struct chy_principal){ .name = code.principal, .method = CHY_AUTH_NONE };
    return client_begin(job, en, r->csr, err);
}

enum chy_err renew_begin(struct job *job, struct chy_error *err)
{
    const struct chy_renew_request *r = job->request;
    struct enrolling *en = chy_arena_new(&job->arena, struct enrolling);
    if (en == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to renew");
    if (job->who.method != CHY_AUTH_CERTIFICATE)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "only a client certificate can be renewed, and only by itself");
    *en = (struct enrolling){ .principal = job->who.name, .is_agent = job->who.is_agent };
    return client_begin(job, en, r->csr, err);
}

/* --- API tokens --- */

static enum chy_err scopes_check(struct chy_strs scopes, struct chy_error *err)
{
    if (scopes.n == 0)
        return chy_fail(err, CHY_E_ARG, "an API token needs at least one scope, e.g. sign");
    for (size_t i = 0; i < scopes.n; i++) {
        struct chy_strs one = { &scopes.p[i], 1 };
        bool known = false;
        for (size_t k = 0; k < chy_op_rows_n && !known; k++)
            known = chy_op_in_scopes(&chy_op_rows[k], one);
        if (!known)
            return chy_fail(
                err, CHY_E_ARG,
                "\"%.*s\" covers no operation; `chancery roles list` and /openapi.json name them",
                CHY_STR_ARG(scopes.p[i]));
    }
    return CHY_OK;
}

static enum chy_err api_token_text(struct chy_arena *arena, struct chy_str *ret_text,
                                   uint8_t ret_hash[CHY_HASH_BYTES], struct chy_error *err)
{
    uint8_t secret[API_TOKEN_SECRET_BYTES];
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_NAME);
    CHY_TRY(chy_random_fill(secret, sizeof secret, err));
    chy_buf_append_c(&text, API_TOKEN_PREFIX);
    chy_hex_append(&text, (struct chy_bytes){ secret, sizeof secret });
    chy_wipe(secret, sizeof secret);
    CHY_TRY(chy_buf_check(&text, err));
    *ret_text = chy_arena_str(arena, chy_buf_str(&text));
    if (ret_text->p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an API token");
    return chy_sha256(chy_buf_bytes(&text), ret_hash, err);
}

enum chy_err api_tokens_create(struct job *job, struct chy_error *err)
{
    const struct chy_api_token_create *r = job->request;
    struct chy_user user;
    uint8_t hash[CHY_HASH_BYTES];
    size_t others = 0;
    CHY_TRY(user_get(job, r->name, &user, err));
    CHY_TRY(scopes_check(r->scopes, err));
    /* One at a time: two might each be the last that there is room for. */
    CHY_TRY(job_lock(job, "api-tokens", r->name, err));
    CHY_TRY(credentials_sweep(job, r->name, CHY_AUTH_API_TOKEN, &others, err));
    if (others >= CHY_LIMIT_API_TOKENS)
        return chy_fail(err, CHY_E_LIMIT, "\"%.*s\" has %zu API tokens that have not ended",
                        CHY_STR_ARG(r->name), others);
    struct chy_api_token *response = chy_arena_new(&job->arena, struct chy_api_token);
    if (response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an API token");
    int64_t now = chy_clock_realtime_us();
    uint32_t days = r->valid_days > 0 ? r->valid_days : API_TOKEN_DAYS;
    response->info = (struct chy_api_token_info){ .description = r->description,
                                                  .scopes = r->scopes,
                                                  .keys = r->keys,
                                                  .created_us = now,
                                                  .expires_us = now + days * DAY_US };
    CHY_TRY(chy_random_fill(response->info.id, CHY_ID_BYTES, err));
    CHY_TRY(api_token_text(&job->arena, &response->token, hash, err));
    struct chy_str name = chy_record_hash_name(&job->arena, hash);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an API token");
    struct chy_credential_record record = { .principal = r->name,
                                            .method = CHY_AUTH_API_TOKEN,
                                            .info = response->info };
    struct chy_entry e = job_entry(job, CHY_ENTRY_USER, "user.api-token-create", r->name);
    memcpy(e.result_sha256, hash, sizeof e.result_sha256);
    CHY_TRY(ledger_put(job->s->ledger, CHY_OBJECT_CREDENTIAL, name, &chy_credential_record_schema,
                       &record, err));
    return finish(job, &e, r->description, response, err);
}

struct token_search {
    const struct chy_api_token_ref *wanted;
    struct chy_arena *arena;
    struct chy_str name; /* of the object; empty: not found */
    struct chy_credential_record record;
};

static enum chy_err token_match(void *ctx, struct chy_str name, struct chy_bytes body,
                                struct chy_error *err)
{
    struct token_search *search = ctx;
    struct chy_credential_record c;
    struct chy_bytes own = chy_arena_bytes(search->arena, body);
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to look for an API token");
    CHY_TRY(chy_schema_decode(&chy_credential_record_schema, own, search->arena, &c, err));
    if (c.method != CHY_AUTH_API_TOKEN || !chy_str_equal(c.principal, search->wanted->name) ||
        !chy_bytes_equal((struct chy_bytes){ c.info.id, CHY_ID_BYTES },
                         (struct chy_bytes){ search->wanted->id, CHY_ID_BYTES }))
        return CHY_OK;
    search->record = c;
    search->name = chy_arena_str(search->arena, name);
    return CHY_E_EXISTS; /* ends the walk */
}

enum chy_err api_tokens_revoke(struct job *job, struct chy_error *err)
{
    const struct chy_api_token_ref *r = job->request;
    struct token_search search = { .wanted = r, .arena = &job->arena };
    CHY_TRY(chy_store_walk(job->s->store, CHY_OBJECT_CREDENTIAL, CHY_STR(""), token_match, &search,
                           err));
    if (search.name.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "principal \"%.*s\" has no such API token",
                        CHY_STR_ARG(r->name));
    search.record.info.is_revoked = true;
    struct chy_empty *response = chy_arena_new(&job->arena, struct chy_empty);
    if (response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
    struct chy_entry e = job_entry(job, CHY_ENTRY_USER, "user.api-token-revoke", r->name);
    CHY_TRY(ledger_put(job->s->ledger, CHY_OBJECT_CREDENTIAL, search.name,
                       &chy_credential_record_schema, &search.record, err));
    return finish(job, &e, search.record.info.description, response, err);
}
