/* SPDX-License-Identifier: MIT */
/* Keys: made, taken on, switched off and on, guarded, destroyed. */
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/random.h"
#include "signer/handlers.h"
#include "signer/ledger.h"
#include "signer/tokens.h"

/* An API token that is for certain keys is for these alone, whatever its scopes are. */
static enum chy_err may_key_check(const struct job *job, struct chy_str name, struct chy_error *err)
{
    if (chy_principal_may_key(&job->who, name))
        return CHY_OK;
    return chy_fail(err, CHY_E_FORBIDDEN, "this API token is not for key \"%.*s\"",
                    CHY_STR_ARG(name));
}

enum chy_err keys_find(struct job *job, struct chy_str name, struct key **ret_key,
                       struct chy_error *err)
{
    struct key *key = signer_key(job->s, name);
    CHY_TRY(may_key_check(job, name, err));
    if (key == NULL || key->record.key.class != CHY_KEY_CLASS_SIGNING)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\"", CHY_STR_ARG(name));
    if (key->record.key.state == CHY_KEY_STATE_DESTROYED)
        return chy_fail(err, CHY_E_STATE, "key \"%.*s\" was destroyed", CHY_STR_ARG(name));
    *ret_key = key;
    return CHY_OK;
}

/* --- writing a key and answering with it --- */

struct written {
    struct chy_key_record record;
};

static enum chy_err key_written(struct job *job, struct chy_error *err)
{
    struct written *w = job->state;
    CHY_TRY(signer_must(job->s, signer_key_put(job->s, &w->record, err), err));
    CHY_TRY(chy_record_key_warnings(&w->record.key, chy_clock_realtime_us(), &job->arena, err));
    return job_done(job, &w->record.key);
}

enum chy_err keys_write(struct job *job, const struct chy_key_record *record,
                        struct chy_entry *entry, struct chy_str text, struct chy_error *err)
{
    struct written *w = chy_arena_new(&job->arena, struct written);
    if (w == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    /* A copy: the key's own record may be replaced before this is durable. */
    CHY_TRY(chy_schema_copy(&chy_key_record_schema, record, &job->arena, &w->record, err));
    w->record.key.warnings = (struct chy_strs){ NULL, 0 };
    memcpy(entry->key_sha256, record->key.public_key_sha256, sizeof entry->key_sha256);
    struct chy_entry_detail d = job_detail(job, text);
    CHY_TRY(ledger_add(job->s->ledger, entry, &d, NULL, err));
    CHY_TRY(ledger_put(job->s->ledger, CHY_OBJECT_KEY, w->record.key.name, &chy_key_record_schema,
                       &w->record, err));
    job->state = w;
    ledger_wait(job->s->ledger, job, key_written);
    return CHY_OK;
}

/* --- create and adopt --- */

struct making {
    struct chy_key key; /* what is known so far */
    struct token *token;
    const char *action;
    bool allow_rsa_2048;
    enum chy_msg ask;
    struct chy_token_generate generate;
    struct chy_token_find find;
};

static enum chy_err made_write(struct job *job, struct making *m, struct chy_error *err)
{
    struct chy_key_record record = { .key = m->key };
    struct chy_entry e = *job->owed;
    e.outcome = CHY_OUTCOME_DONE;
    job->owed = NULL;
    return keys_write(job, &record, &e, m->key.evidence, err);
}

static enum chy_err adopted_chain(struct job *job, struct chy_error *err)
{
    struct making *m = job->state;
    m->key.certificates.p = job->inspected->certificates.p;
    m->key.certificates.n = job->inspected->certificates.n;
    return made_write(job, m, err);
}

static enum chy_err type_check(enum chy_key_type type, bool allow_rsa_2048, struct chy_error *err)
{
    if (type == CHY_KEY_NONE)
        return chy_fail(err, CHY_E_ARG,
                        "which type of key? rsa-3072, rsa-4096, p256, p384, p521, ed25519");
    if (type == CHY_KEY_RSA_2048 && !allow_rsa_2048)
        return chy_fail(
            err, CHY_E_ARG,
            "RSA 2048 is too short for public code signing; set allow_rsa_2048 to have it all "
            "the same");
    return CHY_OK;
}

/* A key that could leave its token, or once could, is no key of ours. */
static enum chy_err reply_check(const struct making *m, const struct chy_token_key_reply *r,
                                struct chy_error *err)
{
    if (r->code != 0)
        return chy_fail(err, signer_code(r->code), "%.*s", CHY_STR_ARG(r->text));
    if (r->public_key.n == 0 || r->object_id.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the token told no public key or no CKA_ID");
    if (r->is_extractable)
        return chy_fail(err, CHY_E_STATE,
                        "the key is extractable: a copy of it may be anywhere; make a new one");
    if (m->ask == CHY_MSG_TOKEN_GENERATE && r->type != m->key.type)
        return chy_fail(err, CHY_E_TOKEN, "the token made another type of key than was asked");
    return type_check(r->type, m->allow_rsa_2048, err);
}

static struct chy_str evidence_of(const struct making *m, const struct chy_token_key_reply *r,
                                  struct chy_arena *arena)
{
    bool is_software = token_is_software(m->token);
    return chy_arena_printf(
        arena, "%s%s; the module says: %s, %s", is_software ? "software token, " : "",
        "not attested", r->is_local ? "made in the token" : "imported into the token",
        r->is_never_extractable ? "never extractable" : "not known to have never been extractable");
}

/* One key pair has one name: else what the guard of one name forbids the other would allow, and the
 * log's or a CA's key could be had under a name for signing. */
static enum chy_err uniqueness_check(const struct job *job, const struct chy_key *k,
                                     struct chy_error *err)
{
    const struct key *other;
    for (other = job->s->keys; other != NULL; other = other->next) {
        const struct chy_key *o = &other->record.key;
        if (!chy_bytes_equal((struct chy_bytes){ o->public_key_sha256, CHY_HASH_BYTES },
                             (struct chy_bytes){ k->public_key_sha256, CHY_HASH_BYTES }))
            continue;
        if (o->class != CHY_KEY_CLASS_SIGNING)
            return chy_fail(err, CHY_E_FORBIDDEN, "this key is the server's own, %.*s",
                            CHY_STR_ARG(o->name));
        return chy_fail(err, CHY_E_EXISTS, "this key is known as \"%.*s\" already%s",
                        CHY_STR_ARG(o->name),
                        o->state == CHY_KEY_STATE_DESTROYED ? ", which was destroyed" : "");
    }
    return CHY_OK;
}

static enum chy_err take_reply(struct job *job, struct making *m,
                               const struct chy_token_key_reply *r, struct chy_error *err)
{
    CHY_TRY(reply_check(m, r, err));
    struct chy_key *k = &m->key;
    k->type = r->type;
    k->public_key = r->public_key;
    k->object_id = r->object_id;
    k->token = token_name(m->token);
    k->token_is_software = token_is_software(m->token);
    k->created_us = chy_clock_realtime_us();
    k->evidence = evidence_of(m, r, &job->arena);
    if (k->evidence.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    CHY_TRY(chy_sha256(r->public_key, k->public_key_sha256, err));
    return uniqueness_check(job, k, err);
}

static enum chy_err made(struct job *job, struct chy_error *err)
{
    struct making *m = job->state;
    const struct chy_token_key_reply *r = job->token_key;
    CHY_TRY(take_reply(job, m, r, err));
    if (r->certificate.n == 0)
        return made_write(job, m, err);
    struct chy_inspect_request request = { .what = CHY_INSPECT_CHAIN,
                                           .now_us = chy_clock_realtime_us(),
                                           .bytes = r->certificate,
                                           .public_key = r->public_key };
    return job_inspect(job, &request, adopted_chain, err);
}

static enum chy_err make_intended(struct job *job, struct chy_error *err)
{
    struct making *m = job->state;
    bool is_new = m->ask == CHY_MSG_TOKEN_GENERATE;
    return tokens_ask_key(job, m->token, m->ask,
                          is_new ? &chy_token_generate_schema : &chy_token_find_schema,
                          is_new ? (const void *)&m->generate : (const void *)&m->find, made, err);
}

static enum chy_err names_check(struct chy_strs names, const char *what, struct chy_error *err)
{
    for (size_t i = 0; i < names.n; i++)
        CHY_TRY(chy_record_check_name(chy_str_starts(names.p[i], "group:")
                                          ? (struct chy_str){ names.p[i].p + 6, names.p[i].n - 6 }
                                          : names.p[i],
                                      what, err));
    return CHY_OK;
}

static enum chy_err make_begin(struct job *job, struct making *m, struct chy_str token,
                               struct chy_error *err)
{
    struct signer *s = job->s;
    struct chy_str name = m->key.name;
    CHY_TRY(chy_record_check_name(name, "key", err));
    CHY_TRY(may_key_check(job, name, err));
    CHY_TRY(names_check(m->key.groups, "group", err));
    CHY_TRY(names_check(m->key.owners, "owner", err));
    if (signer_key(s, name) != NULL)
        return chy_fail(
            err, CHY_E_EXISTS,
            "there is a key \"%.*s\" already (names of destroyed keys are not used again)",
            CHY_STR_ARG(name));
    CHY_TRY(job_lock(job, "key", name, err));
    token = token.n > 0 ? token : s->config.default_token;
    m->token = tokens_find(s, token);
    if (m->token == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no token \"%.*s\"", CHY_STR_ARG(token));
    CHY_TRY(chy_random_fill(m->key.id, sizeof m->key.id, err));
    m->key.class = CHY_KEY_CLASS_SIGNING;
    m->key.state = CHY_KEY_STATE_ACTIVE;
    m->generate = (struct chy_token_generate){ .type = m->key.type,
                                               .label = name,
                                               .object_id = { m->key.id, sizeof m->key.id } };
    job->state = m;
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY_INTENT, m->action, name);
    struct chy_entry outcome = job_entry(job, CHY_ENTRY_KEY, m->action, name);
    struct chy_entry_detail d = job_detail(job, token);
    CHY_TRY(ledger_add_intent(job, &e, &d, &outcome.intent_index, err));
    CHY_TRY(job_owe(job, &outcome, err));
    ledger_wait(s->ledger, job, make_intended);
    return CHY_OK;
}

enum chy_err keys_create(struct job *job, struct chy_error *err)
{
    const struct chy_key_create *r = job->request;
    struct making *m = chy_arena_new(&job->arena, struct making);
    if (m == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    CHY_TRY(type_check(r->type, r->allow_rsa_2048, err));
    *m = (struct making){
        .key = { .name = r->name,
                 .type = r->type,
                 .origin = CHY_KEY_ORIGIN_GENERATED,
                 .purpose = r->purpose,
                 .groups = r->groups,
                 .owners = r->owners },
        .action = "key.create",
        .allow_rsa_2048 = r->allow_rsa_2048,
        .ask = CHY_MSG_TOKEN_GENERATE,
    };
    return make_begin(job, m, r->token, err);
}

enum chy_err keys_adopt(struct job *job, struct chy_error *err)
{
    const struct chy_key_adopt *r = job->request;
    struct making *m = chy_arena_new(&job->arena, struct making);
    if (m == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    if ((r->label.n == 0) == (r->object_id.n == 0))
        return chy_fail(err, CHY_E_ARG,
                        "name the key in the token by its label or by its object id");
    *m = (struct making){
        .key = { .name = r->name,
                 .origin = CHY_KEY_ORIGIN_ADOPTED,
                 .purpose = r->purpose,
                 .groups = r->groups,
                 .owners = r->owners },
        .action = "key.adopt",
        .allow_rsa_2048 = r->allow_rsa_2048,
        .ask = CHY_MSG_TOKEN_FIND,
        .find = { .label = r->label, .object_id = r->object_id },
    };
    return make_begin(job, m, r->token, err);
}

/* --- enable, disable --- */

static enum chy_err set_state(struct job *job, enum chy_key_state state, const char *action,
                              struct chy_error *err)
{
    const struct chy_key_name *r = job->request;
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    CHY_TRY(job_lock(job, "key", r->name, err));
    struct chy_key_record record = key->record;
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY, action, r->name);
    record.key.state = state;
    CHY_TRY(keys_write(job, &record, &e, CHY_STR(""), err));
    /* Off at once, on only when it is written: between the two nothing is signed. */
    if (state == CHY_KEY_STATE_DISABLED)
        key->record.key.state = state;
    return CHY_OK;
}

enum chy_err keys_enable(struct job *job, struct chy_error *err)
{
    return set_state(job, CHY_KEY_STATE_ACTIVE, "key.enable", err);
}

enum chy_err keys_disable(struct job *job, struct chy_error *err)
{
    return set_state(job, CHY_KEY_STATE_DISABLED, "key.disable", err);
}

/* --- destroy --- */

/* tokens_drop() has the job's state for itself; the key is found by its name again. */
static enum chy_err destroyed(struct job *job, struct chy_error *err)
{
    const struct chy_key_destroy *r = job->request;
    struct key *key = signer_key(job->s, r->name);
    /* Destroyed twice: the second time the token has nothing of it any more. */
    if (job->token_code != CHY_OK && job->token_code != CHY_E_NOT_FOUND)
        return chy_fail(err, job->token_code, "%.*s", CHY_STR_ARG(job->token_text));
    struct chy_entry e = *job->owed;
    e.outcome = CHY_OUTCOME_DONE;
    job->owed = NULL;
    return keys_write(job, &key->record, &e, CHY_STR("dropped by every token process"), err);
}

static enum chy_err destroy_intended(struct job *job, struct chy_error *err)
{
    const struct chy_key_destroy *r = job->request;
    return tokens_drop(job, signer_key(job->s, r->name), true, destroyed, err);
}

enum chy_err keys_destroy(struct job *job, struct chy_error *err)
{
    const struct chy_key_destroy *r = job->request;
    struct signer *s = job->s;
    struct key *key = signer_key(s, r->name);
    CHY_TRY(may_key_check(job, r->name, err));
    if (key == NULL || key->record.key.class != CHY_KEY_CLASS_SIGNING)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\"", CHY_STR_ARG(r->name));
    if (!chy_str_equal(r->name, r->confirm))
        return chy_fail(err, CHY_E_ARG, "to destroy key \"%.*s\", confirm by exactly that name",
                        CHY_STR_ARG(r->name));
    CHY_TRY(job_lock(job, "key", r->name, err));
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY_INTENT, "key.destroy", r->name);
    struct chy_entry outcome = job_entry(job, CHY_ENTRY_KEY, "key.destroy", r->name);
    memcpy(e.key_sha256, key->record.key.public_key_sha256, sizeof e.key_sha256);
    struct chy_key_record record = key->record;
    record.key.state = CHY_KEY_STATE_DESTROYED;
    CHY_TRY(ledger_add_intent(job, &e, NULL, &outcome.intent_index, err));
    CHY_TRY(job_owe(job, &outcome, err));
    CHY_TRY(ledger_put(s->ledger, CHY_OBJECT_KEY, r->name, &chy_key_record_schema, &record, err));
    /* From here on nothing is signed with it. A key that was destroyed already may be destroyed
     * again: the token may have failed the first time. */
    key->record.key.state = CHY_KEY_STATE_DESTROYED;
    ledger_wait(s->ledger, job, destroy_intended);
    return CHY_OK;
}

/* --- guard --- */

static enum chy_err guard_write(struct job *job, struct chy_bytes canonical, struct chy_error *err)
{
    const struct chy_key_guard *r = job->request;
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    struct chy_key_record record = key->record;
    record.key.guard = r->guard;
    record.guard = canonical;
    struct chy_entry e = job_entry(job, CHY_ENTRY_KEY, "key.guard", r->name);
    CHY_TRY(chy_sha256(canonical, e.result_sha256, err));
    return keys_write(job, &record, &e, CHY_STR(""), err);
}

/* On trial, as a new policy: what does not compile (a time zone that is not known here) must not be
 * stored, or no signer could start on it. */
static enum chy_err guard_try(struct job *job, struct chy_bytes canonical, struct chy_error *err)
{
    struct chy_policy_guard_doc doc;
    CHY_CLEANUP(chy_policy_guard_freep) struct chy_policy_guard *trial = NULL;
    CHY_TRY(chy_policy_guard_decode(canonical, &job->arena, &doc, err));
    return chy_policy_guard_compile(&doc, chy_clock_realtime_us(), &trial, err);
}

static enum chy_err guard_inspected(struct job *job, struct chy_error *err)
{
    CHY_TRY(guard_try(job, job->inspected->made, err));
    return guard_write(job, job->inspected->made, err);
}

enum chy_err keys_guard(struct job *job, struct chy_error *err)
{
    const struct chy_key_guard *r = job->request;
    struct key *key;
    CHY_TRY(keys_find(job, r->name, &key, err));
    /* A key that nobody owns is looked after by the key managers. */
    bool may = chy_principal_owns(&job->who, key->record.key.owners) ||
               (key->record.key.owners.n == 0 && (job->who.may & CHY_MAY_KEY_MANAGER) != 0);
    if (!may)
        return chy_fail(err, CHY_E_FORBIDDEN, "only the owners of key \"%.*s\" may set its guard",
                        CHY_STR_ARG(r->name));
    CHY_TRY(job_lock(job, "key", r->name, err));
    if (r->guard.n == 0)
        return guard_write(job, (struct chy_bytes){ NULL, 0 }, err);
    struct chy_inspect_request request = { .what = CHY_INSPECT_GUARD,
                                           .now_us = chy_clock_realtime_us(),
                                           .text = r->guard };
    return job_inspect(job, &request, guard_inspected, err);
}

/* --- tokens --- */

enum chy_err tokens_list_begin(struct job *job, struct chy_error *err)
{
    struct chy_token_list list;
    CHY_TRY(tokens_list(job->s, &job->arena, &list, err));
    return job_done(job, &list);
}
