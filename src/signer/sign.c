/* SPDX-License-Identifier: MIT */
/* POST /v1/sign. For each item: check, decide, write the decision, and only when that is durable
 * ask the token; then write what became of it, and only when that is durable answer. */
#include "signer/sign.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "policy/facts.h"
#include "policy/policy.h"
#include "proto/digest_info.h"
#include "signer/denials.h"
#include "signer/ledger.h"
#include "signer/tokens.h"

struct item {
    struct job *job;
    const struct chy_sign_item *asked;
    struct key *key;
    struct chy_sign_result result;
    enum chy_err code; /* of a refusal or a failure */
    enum chy_hashed_by hashed_by;
    struct chy_content_result found; /* by inspect, in the content */
    struct chy_bytes digest;         /* for the log: the digest, or that of the message */
    struct sign_task task;
    bool is_allowed;
};

struct sign {
    const struct chy_sign_request *request;
    struct item *items;
    size_t n;
    size_t waiting; /* for the token */
    int64_t time_us;
};

/* --- what is wrong with a request as a whole: nothing is decided, nothing logged --- */

static enum chy_err fact_check(const struct job *job, const struct chy_fact *f,
                               struct chy_error *err)
{
    if (!chy_fact_name_is_valid(f->name))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no name of a fact",
                        CHY_STR_ARG(f->name));
    if (f->basis == CHY_BASIS_SERVER)
        return chy_fail(err, CHY_E_MALFORMED,
                        "fact %.*s: only the server states facts of basis server",
                        CHY_STR_ARG(f->name));
    if (f->basis == CHY_BASIS_AGENT && !job->who.is_agent)
        return chy_fail(err, CHY_E_MALFORMED,
                        "fact %.*s: only an agent's certificate may state facts of basis agent",
                        CHY_STR_ARG(f->name));
    return CHY_OK;
}

static enum chy_err message_check(const struct chy_sign_item *a, struct chy_error *err)
{
    const char *name = chy_enum_name(&chy_sign_alg_enum, (int)a->algorithm);
    if (a->message.n == 0 || a->digest.n != 0 || a->content.n != 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "%s signs a message, and neither digest nor content goes with it", name);
    if (a->hashed_by != CHY_HASHED_BY_NOBODY)
        return chy_fail(err, CHY_E_MALFORMED, "%s: nobody hashes, so hashed_by is \"nobody\"",
                        name);
    /* Or else whoever may use this one makes the signatures of the others, which rules know by
     * their names. */
    if (a->algorithm == CHY_ALG_RSA_PKCS1_RAW && chy_digest_info_is_like(a->message))
        return chy_fail(err, CHY_E_MALFORMED,
                        "the message is a digest of SHA-2 with its name: ask for it by its "
                        "algorithm, rsa-pkcs1-sha256, -sha384 or -sha512");
    return CHY_OK;
}

static enum chy_err digest_check(const struct chy_sign_item *a, struct chy_error *err)
{
    if (a->algorithm == CHY_ALG_NONE)
        return chy_fail(err, CHY_E_MALFORMED, "algorithm is missing");
    if (chy_sign_alg_takes_message(a->algorithm))
        return message_check(a, err);
    size_t want = chy_hash_alg_bytes(chy_sign_alg_hash(a->algorithm));
    if (a->message.n != 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "a message is for ed25519 and rsa-pkcs1-raw alone; give its digest");
    if (a->digest.n != want)
        return chy_fail(err, CHY_E_MALFORMED, "the digest has %zu bytes, %s has %zu", a->digest.n,
                        chy_enum_name(&chy_hash_alg_enum, (int)chy_sign_alg_hash(a->algorithm)),
                        want);
    if (a->hashed_by == CHY_HASHED_BY_NOBODY || a->hashed_by == CHY_HASHED_BY_SERVER)
        return chy_fail(err, CHY_E_MALFORMED,
                        "hashed_by says who made the digest: tool, client or inferred");
    return CHY_OK;
}

static enum chy_err artifact_check(const struct chy_artifact *a, struct chy_error *err)
{
    if (a != NULL && a->digest.n != chy_hash_alg_bytes(a->hash))
        return chy_fail(err, CHY_E_MALFORMED,
                        "the artifact's digest has %zu bytes, its algorithm \"%s\" has %zu",
                        a->digest.n, chy_enum_name(&chy_hash_alg_enum, (int)a->hash),
                        chy_hash_alg_bytes(a->hash));
    return CHY_OK;
}

static enum chy_err item_check(struct item *it, struct chy_error *err)
{
    const struct chy_sign_item *a = it->asked;
    CHY_TRY(digest_check(a, err));
    CHY_TRY(artifact_check(a->artifact, err));
    for (size_t i = 0; i < a->facts.n; i++)
        CHY_TRY(fact_check(it->job, &a->facts.p[i], err));
    it->hashed_by = a->hashed_by;
    it->digest = a->digest;
    if (!chy_sign_alg_takes_message(a->algorithm))
        return CHY_OK;
    uint8_t *hash = chy_arena_alloc(&it->job->arena, 1, CHY_HASH_BYTES);
    if (hash == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
    it->digest = (struct chy_bytes){ hash, CHY_HASH_BYTES };
    return chy_sha256(a->message, hash, err);
}

static enum chy_err request_check(struct job *job, struct sign *sg, struct chy_error *err)
{
    for (size_t i = 0; i < sg->request->facts.n; i++)
        CHY_TRY(fact_check(job, &sg->request->facts.p[i], err));
    for (size_t i = 0; i < sg->n; i++) {
        enum chy_err r = item_check(&sg->items[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "items[%zu]", i);
    }
    return CHY_OK;
}

/* --- refusing one item --- */

static void item_refuse(struct item *it, enum chy_err code, struct chy_str why)
{
    it->code = code;
    it->is_allowed = false;
    it->result.problem = chy_str_of(chy_err_type(code));
    it->result.detail = why;
    if (it->result.detail.n > CHY_LIMIT_TEXT)
        it->result.detail.n = CHY_LIMIT_TEXT;
}

static void item_refuse_error(struct item *it, const struct chy_error *why)
{
    struct chy_str text = chy_arena_str(&it->job->arena, chy_str_of(why->text));
    item_refuse(it, why->code, text.p != NULL ? text : CHY_STR("out of memory"));
}

static enum chy_err item_check_length(const struct item *it, enum chy_key_type type,
                                      struct chy_error *err)
{
    if (it->asked->algorithm != CHY_ALG_RSA_PKCS1_RAW)
        return CHY_OK;
    size_t max = chy_key_type_modulus_bytes(type) - CHY_RSA_PKCS1_PADDING_BYTES;
    if (it->asked->message.n > max)
        return chy_fail(err, CHY_E_LIMIT,
                        "the message has %zu bytes, rsa-pkcs1-raw of this key takes %zu at most",
                        it->asked->message.n, max);
    return CHY_OK;
}

/* What has no key to decide about is refused without an entry: there is no decision. */
static enum chy_err item_find_key(struct item *it, struct chy_error *err)
{
    struct chy_str name = it->asked->key;
    struct key *key = signer_key(it->job->s, name);
    if (!chy_principal_may_key(&it->job->who, name))
        return chy_fail(err, CHY_E_FORBIDDEN, "this API token is not for key \"%.*s\"",
                        CHY_STR_ARG(name));
    if (key == NULL || key->record.key.class != CHY_KEY_CLASS_SIGNING)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\"", CHY_STR_ARG(name));
    if (key->record.key.state != CHY_KEY_STATE_ACTIVE)
        return chy_fail(err, CHY_E_STATE, "key \"%.*s\" is %s", CHY_STR_ARG(name),
                        chy_enum_name(&chy_key_state_enum, (int)key->record.key.state));
    if (!chy_sign_alg_fits(it->asked->algorithm, key->record.key.type))
        return chy_fail(err, CHY_E_MALFORMED, "%s is no algorithm of key \"%.*s\", which is %s",
                        chy_enum_name(&chy_sign_alg_enum, (int)it->asked->algorithm),
                        CHY_STR_ARG(name),
                        chy_enum_name(&chy_key_type_enum, (int)key->record.key.type));
    CHY_TRY(item_check_length(it, key->record.key.type, err));
    it->key = key;
    return CHY_OK;
}

/* --- deciding --- */

static struct chy_policy_request policy_request(const struct item *it, const struct sign *sg)
{
    const struct job *job = it->job;
    const struct chy_key *key = &it->key->record.key;
    struct chy_policy_request r = {
        .key = { .name = key->name,
                 .groups = key->groups,
                 .purpose = key->purpose,
                 .type = key->type,
                 .guard = it->key->guard },
        .caller = { .principal = job->who.name,
                    .groups = job->who.groups,
                    .roles = job->who.roles,
                    .method = job->who.method },
        .algorithm = it->asked->algorithm,
        .address = job->call.caller.address,
        .time_us = sg->time_us,
        .reason = sg->request->reason,
    };
    r.facts[0].p = it->asked->facts.p;
    r.facts[0].n = it->asked->facts.n;
    r.facts[1].p = sg->request->facts.p;
    r.facts[1].n = sg->request->facts.n;
    r.facts[2].p = it->found.facts.p;
    r.facts[2].n = it->found.facts.n;
    r.labels.p = sg->request->labels.p;
    r.labels.n = sg->request->labels.n;
    if (it->asked->artifact != NULL)
        r.artifact_type = it->asked->artifact->type;
    return r;
}

static enum chy_err item_decide(struct item *it, const struct sign *sg, enum chy_decision *ret,
                                struct chy_error *err)
{
    struct job *job = it->job;
    struct chy_policy_request request = policy_request(it, sg);
    struct chy_policy_decision *d = chy_arena_new(&job->arena, struct chy_policy_decision);
    if (d == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a decision");
    chy_policy_evaluate(job->s->policy, &request, d);
    struct chy_str *rules = chy_arena_array(&job->arena, struct chy_str, d->rule_count);
    if (rules == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a decision");
    for (size_t i = 0; i < d->rule_count; i++) {
        /* The policy may be another one when this is answered. */
        rules[i] = chy_arena_str(&job->arena, d->rules[i]);
        if (rules[i].p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a decision");
    }
    it->result.rules = (struct chy_strs){ rules, d->rule_count };
    it->is_allowed = d->decision == CHY_DECISION_ALLOWED;
    if (!it->is_allowed) {
        struct chy_str why = chy_policy_summarize(job->s->policy, &request, d, &job->arena);
        item_refuse(it, CHY_E_DENIED, why.p != NULL ? why : CHY_STR("refused by policy"));
    }
    *ret = d->decision;
    return CHY_OK;
}

/* --- the log --- */

struct split {
    struct chy_fact *public_facts;
    struct chy_fact *private_facts;
    size_t n_public;
    size_t n_private;
};

static void split_add(struct split *s, const struct chy_fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (chy_fact_is_public(facts[i].name))
            s->public_facts[s->n_public++] = facts[i];
        else
            s->private_facts[s->n_private++] = facts[i];
}

static enum chy_err split_facts(const struct item *it, const struct sign *sg, struct split *ret,
                                struct chy_error *err)
{
    size_t n = it->asked->facts.n + sg->request->facts.n + it->found.facts.n;
    struct split s = { 0 };
    s.public_facts = chy_arena_array(&it->job->arena, struct chy_fact, n);
    s.private_facts = chy_arena_array(&it->job->arena, struct chy_fact, n);
    if (s.public_facts == NULL || s.private_facts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    split_add(&s, it->asked->facts.p, it->asked->facts.n);
    split_add(&s, sg->request->facts.p, sg->request->facts.n);
    split_add(&s, it->found.facts.p, it->found.facts.n);
    *ret = s;
    return CHY_OK;
}

static struct chy_entry item_entry(const struct item *it, enum chy_entry_kind kind, size_t number)
{
    struct chy_entry e = job_entry(it->job, kind, "sign", it->asked->key);
    const struct chy_artifact *a = it->asked->artifact;
    e.item = (uint32_t)number;
    e.rules = it->result.rules;
    e.algorithm = it->asked->algorithm;
    e.hashed_by = it->hashed_by;
    e.digest = it->digest;
    memcpy(e.key_sha256, it->key->record.key.public_key_sha256, sizeof e.key_sha256);
    if (a != NULL) {
        e.artifact_digest = a->digest;
        e.artifact_type = a->type;
        e.artifact_size_bytes = a->size_bytes;
    }
    return e;
}

static enum chy_err log_intent(struct item *it, const struct sign *sg, size_t number,
                               enum chy_decision decision, struct chy_error *err)
{
    struct job *job = it->job;
    struct split facts = { 0 };
    CHY_TRY(split_facts(it, sg, &facts, err));
    struct chy_entry e = item_entry(it, CHY_ENTRY_SIGN_INTENT, number);
    e.decision = decision;
    e.facts.p = facts.public_facts;
    e.facts.n = facts.n_public;
    e.labels.p = sg->request->labels.p;
    e.labels.n = sg->request->labels.n;
    struct chy_entry_detail d = job_detail(job, it->result.detail);
    d.reason = sg->request->reason;
    d.artifact_name = it->asked->artifact != NULL ? it->asked->artifact->name : CHY_STR("");
    d.facts.p = facts.private_facts;
    d.facts.n = facts.n_private;
    struct chy_log_index *index = chy_arena_new(&job->arena, struct chy_log_index);
    if (index == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an index");
    if (decision == CHY_DECISION_ALLOWED)
        CHY_TRY(ledger_add_intent(job, &e, &d, &index->index, err));
    else
        CHY_TRY(ledger_add(job->s->ledger, &e, &d, &index->index, err));
    it->result.intent = index;
    return CHY_OK;
}

static enum chy_err log_outcome(struct item *it, size_t number, struct chy_error *err)
{
    struct job *job = it->job;
    struct chy_entry e = item_entry(it, CHY_ENTRY_SIGN_OUTCOME, number);
    e.outcome = it->result.is_signed ? CHY_OUTCOME_DONE : CHY_OUTCOME_FAILED;
    e.intent_index = it->result.intent->index;
    if (it->result.is_signed)
        CHY_TRY(chy_sha256(it->result.signature, e.result_sha256, err));
    struct chy_entry_detail d = { .text = it->result.detail };
    struct chy_log_index *index = chy_arena_new(&job->arena, struct chy_log_index);
    if (index == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an index");
    /* What stands in the detail of a success stands in the intent's: one less to hash. */
    CHY_TRY(ledger_add(job->s->ledger, &e, it->result.is_signed ? NULL : &d, &index->index, err));
    it->result.outcome = index;
    return CHY_OK;
}

/* --- answering --- */

static enum chy_err receipts_make(struct job *job, struct sign *sg, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_RECEIPT);
    for (size_t i = 0; i < sg->n; i++) {
        struct chy_sign_result *r = &sg->items[i].result;
        if (!r->is_signed)
            continue;
        chy_buf_clear(&out);
        CHY_TRY(ledger_receipt(job->s->ledger, r->outcome->index, &out, err));
        r->receipt = chy_arena_str(&job->arena, chy_buf_str(&out));
        if (r->receipt.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for receipts");
    }
    return CHY_OK;
}

static const struct item *first_unsigned(const struct sign *sg)
{
    for (size_t i = 0; i < sg->n; i++)
        if (sg->items[i].result.is_signed)
            return NULL;
    return &sg->items[0];
}

static enum chy_err answer(struct job *job, struct chy_error *err)
{
    struct sign *sg = job->state;
    struct chy_sign_result *results = chy_arena_array(&job->arena, struct chy_sign_result, sg->n);
    if (results == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for results");
    for (size_t i = 0; i < sg->n; i++) {
        results[i] = sg->items[i].result;
        if (sg->request->receipt == CHY_RECEIPT_NONE)
            results[i].intent = results[i].outcome = NULL;
    }
    struct chy_sign_response response = {
        .results = { results, sg->n },
        .policy_number = job->s->policy_record.policy.number,
    };
    const struct item *failed = first_unsigned(sg);
    if (failed == NULL)
        return job_done(job, &response);
    struct chy_error why;
    chy_fail(&why, failed->code, "%.*s", CHY_STR_ARG(failed->result.detail));
    job_reply(job, failed->code, &why, job->row->response, &response);
    return CHY_OK;
}

static enum chy_err answer_with_receipts(struct job *job, struct chy_error *err)
{
    CHY_TRY(receipts_make(job, job->state, err));
    return answer(job, err);
}

static enum chy_err outcomes_durable(struct job *job, struct chy_error *err)
{
    struct sign *sg = job->state;
    uint64_t last = 0;
    bool any = false;
    for (size_t i = 0; i < sg->n; i++)
        if (sg->items[i].result.is_signed) {
            last = CHY_MAX(last, sg->items[i].result.outcome->index);
            any = true;
        }
    if (sg->request->receipt != CHY_RECEIPT_FULL || !any)
        return answer(job, err);
    ledger_wait_checkpoint(job->s->ledger, job, last, answer_with_receipts);
    return CHY_OK;
}

/* --- the token's part --- */

/* All that it may have signed is for tokens that have their hands full. */
static bool is_in_line(const struct sign *sg)
{
    bool any = false;
    for (size_t i = 0; i < sg->n; i++) {
        const struct item *it = &sg->items[i];
        if (it->is_allowed && !tokens_are_full_for(it->job->s, it->key))
            return false;
        any = any || it->is_allowed;
    }
    return any;
}

static void wait_for_commit(struct job *job, job_fn *next)
{
    if (is_in_line(job->state))
        ledger_wait_in_line(job->s->ledger, job, next);
    else
        ledger_wait(job->s->ledger, job, next);
}

static void item_signed(struct item *it, enum chy_err code, struct chy_str text,
                        struct chy_bytes signature)
{
    struct signer *s = it->job->s;
    struct chy_arena *arena = &it->job->arena;
    if (code == CHY_OK) {
        it->result.signature = chy_arena_bytes(arena, signature);
        it->result.is_signed = it->result.signature.p != NULL && signature.n > 0;
        if (!it->result.is_signed)
            item_refuse(it, CHY_E_NOMEM, CHY_STR("no memory for the signature"));
    } else {
        struct chy_str own = chy_arena_str(arena, text);
        item_refuse(it, code, own.p != NULL ? own : CHY_STR("out of memory"));
    }
    s->counters.signed_ok += it->result.is_signed ? 1 : 0;
    s->counters.sign_failed += it->result.is_signed ? 0 : 1;
}

static void task_done(struct sign_task *task, enum chy_err code, struct chy_str text,
                      struct chy_bytes signature)
{
    struct item *it = task->ctx;
    struct job *job = it->job;
    struct sign *sg = job->state;
    struct chy_error err;
    item_signed(it, code, text, signature);
    job->tasks--;
    enum chy_err r = log_outcome(it, (size_t)(it - sg->items), &err);
    if (r != CHY_OK) {
        /* An intent must get its outcome. If it cannot, the next start closes it. */
        signer_die(job->s, &err);
        return;
    }
    if (--sg->waiting == 0)
        wait_for_commit(job, outcomes_durable);
}

static void item_to_token(struct item *it, int64_t deadline_us)
{
    const struct chy_sign_item *a = it->asked;
    struct chy_error err;
    it->task = (struct sign_task){
        .key = it->key,
        .algorithm = a->algorithm,
        .input = chy_sign_alg_takes_message(a->algorithm) ? a->message : a->digest,
        .deadline_us = deadline_us,
        .done = task_done,
        .ctx = it,
    };
    it->job->tasks++;
    enum chy_err r = tokens_sign(it->job->s, &it->task, &err);
    if (r != CHY_OK)
        task_done(&it->task, r, chy_str_of(err.text), (struct chy_bytes){ NULL, 0 });
}

/* The intents are on the disk: now, and not before, the token may be asked. */
static enum chy_err intents_durable(struct job *job, struct chy_error *err)
{
    struct sign *sg = job->state;
    for (size_t i = 0; i < sg->n; i++)
        sg->waiting += sg->items[i].is_allowed ? 1 : 0;
    if (sg->waiting == 0)
        return answer(job, err);
    size_t n = sg->waiting;
    for (size_t i = 0; n > 0; i++)
        if (sg->items[i].result.intent != NULL && sg->items[i].is_allowed) {
            n--;
            item_to_token(&sg->items[i], job->call.deadline_us);
        }
    return CHY_OK;
}

/* --- the beginning --- */

static enum chy_err item_begin(struct item *it, struct sign *sg, size_t number,
                               struct chy_error *err)
{
    struct signer *s = it->job->s;
    struct chy_error why;
    enum chy_decision decision = CHY_DECISION_NONE;
    if (item_find_key(it, &why) != CHY_OK) {
        item_refuse_error(it, &why);
        return CHY_OK;
    }
    CHY_TRY(item_decide(it, sg, &decision, err));
    if (!it->is_allowed) {
        s->counters.denied++;
        if (denials_count(s, it->job->who.name, &why) != CHY_OK) {
            s->counters.denials_not_logged++;
            item_refuse_error(it, &why);
            return CHY_OK;
        }
    }
    return log_intent(it, sg, number, decision, err);
}

static enum chy_err decide_all(struct job *job, struct chy_error *err)
{
    struct sign *sg = job->state;
    sg->time_us = chy_clock_realtime_us();
    /* When one item cannot be written, none is: job_run() takes the others back. */
    for (size_t i = 0; i < sg->n; i++)
        CHY_TRY(item_begin(&sg->items[i], sg, i, err));
    wait_for_commit(job, intents_durable);
    return CHY_OK;
}

static enum chy_err contents_inspected(struct job *job, struct chy_error *err)
{
    struct sign *sg = job->state;
    size_t at = 0;
    for (size_t i = 0; i < sg->n; i++) {
        struct item *it = &sg->items[i];
        if (it->asked->content.n == 0)
            continue;
        if (at >= job->inspected->content_results.n)
            return chy_fail(err, CHY_E_PROTOCOL, "inspect answered too little");
        it->found = job->inspected->content_results.p[at++];
        if (!it->found.matches)
            return chy_fail(err, CHY_E_MALFORMED,
                            "items[%zu]: the bytes to be signed do not hash to the digest", i);
        it->hashed_by = CHY_HASHED_BY_SERVER;
    }
    return decide_all(job, err);
}

static enum chy_err contents_inspect(struct job *job, struct sign *sg, size_t n,
                                     struct chy_error *err)
{
    struct chy_content *contents = chy_arena_array(&job->arena, struct chy_content, n);
    if (contents == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for contents");
    size_t at = 0;
    for (size_t i = 0; i < sg->n; i++) {
        const struct chy_sign_item *a = sg->items[i].asked;
        if (a->content.n > 0)
            contents[at++] = (struct chy_content){ .hash = chy_sign_alg_hash(a->algorithm),
                                                   .digest = a->digest,
                                                   .content = a->content };
    }
    struct chy_inspect_request request = { .what = CHY_INSPECT_CONTENT,
                                           .now_us = chy_clock_realtime_us(),
                                           .contents = { contents, n } };
    return job_inspect(job, &request, contents_inspected, err);
}

enum chy_err sign_begin(struct job *job, struct chy_error *err)
{
    const struct chy_sign_request *request = job->request;
    struct sign *sg = chy_arena_new(&job->arena, struct sign);
    struct item *items = chy_arena_array(&job->arena, struct item, request->items.n);
    if (sg == NULL || items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a sign request");
    *sg = (struct sign){ .request = request, .items = items, .n = request->items.n };
    job->state = sg;
    size_t contents = 0;
    for (size_t i = 0; i < sg->n; i++) {
        items[i].job = job;
        items[i].asked = &request->items.p[i];
        contents += items[i].asked->content.n > 0 ? 1 : 0;
    }
    CHY_TRY(request_check(job, sg, err));
    return contents > 0 ? contents_inspect(job, sg, contents, err) : decide_all(job, err);
}
