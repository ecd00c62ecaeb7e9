/* SPDX-License-Identifier: MIT */
#include "signer/job.h"

#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/random.h"
#include "signer/callers.h"
#include "signer/ledger.h"

static void job_free(struct job *job)
{
    /* A task at a token points to its job. */
    CHY_ASSERT(job->tasks == 0);
    DL_DELETE(job->s->jobs, job);
    if (job->s->own_job == job)
        job->s->own_job = NULL;
    ledger_forget(job);
    callers_release(job);
    chy_arena_done(&job->arena);
    chy_free(job);
}

void job_free_all(struct signer *s)
{
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE(s->jobs, job, next)
    {
        job->tasks = 0; /* the tokens are gone */
        job_free(job);
    }
}

static struct job *job_new(struct signer *s)
{
    struct job *job = chy_new(struct job);
    if (job == NULL)
        return NULL;
    job->s = s;
    chy_arena_init(&job->arena, CHY_LIMIT_ARENA);
    DL_APPEND(s->jobs, job);
    return job;
}

/* --- answering --- */

static enum chy_err reply_encode(const struct job *job, struct chy_reply *reply,
                                 const struct chy_schema *schema, const void *response,
                                 struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    reply->principal = job->who.name;
    if (schema != NULL)
        CHY_TRY(chy_schema_encode(schema, response, &body, err));
    reply->response = chy_buf_bytes(&body);
    return chy_schema_encode(&chy_reply_schema, reply, out, err);
}

/* An answer that does not fit a frame is told as such: the caller must not wait for nothing. */
static enum chy_err reply_send(const struct job *job, struct chy_reply *reply,
                               const struct chy_schema *schema, const void *response,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    enum chy_err r = reply_encode(job, reply, schema, response, &out, err);
    if (r != CHY_OK) {
        struct chy_reply plain = { .code = (uint32_t) - (int)r, .text = chy_str_of(err->text) };
        chy_buf_clear(&out);
        CHY_TRY(reply_encode(job, &plain, NULL, NULL, &out, NULL));
    }
    struct chy_frame frame = { .type = CHY_MSG_REPLY,
                               .id = job->frame_id,
                               .body = chy_buf_bytes(&out) };
    return chy_channel_send(job->front->channel, &frame, err);
}

static uint32_t retry_after_s(enum chy_err code)
{
    return code == CHY_E_BUSY || code == CHY_E_STORE || code == CHY_E_NOMEM ? 1
           : code == CHY_E_RATE                                             ? 60
                                                                            : 0;
}

void job_reply(struct job *job, enum chy_err code, const struct chy_error *why,
               const struct chy_schema *schema, const void *response)
{
    struct signer *s = job->s;
    struct chy_error err;
    struct chy_reply reply = {
        .code = (uint32_t) - (int)code,
        .text = why != NULL ? chy_str_of(why->text) : (struct chy_str){ "", 0 },
        .retry_after_s = retry_after_s(code),
    };
    if (job->front != NULL) {
        if (reply_send(job, &reply, schema, response, &err) != CHY_OK)
            chy_log(&s->log, CHY_LOG_ERROR, "call.reply_lost", CHY_L_ERR(&err));
    } else if (code != CHY_OK && why != NULL && !s->has_failed) {
        chy_log(&s->log, CHY_LOG_ERROR, "job.failed", CHY_L_ERR(why));
    }
    job_free(job);
}

enum chy_err job_owe(struct job *job, const struct chy_entry *outcome, struct chy_error *err)
{
    struct chy_entry *owed = chy_arena_new(&job->arena, struct chy_entry);
    if (owed == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an outcome");
    *owed = *outcome;
    job->owed = owed;
    return CHY_OK;
}

/* Not waited for: nothing was granted, and the next start would write "unknown" in its place. */
static void pay_outcome(struct job *job, const struct chy_error *why)
{
    struct chy_entry e = *job->owed;
    struct chy_entry_detail d = { .text = chy_str_of(why->text) };
    struct chy_error err;
    e.outcome = CHY_OUTCOME_FAILED;
    job->owed = NULL;
    if (ledger_add(job->s->ledger, &e, &d, NULL, &err) != CHY_OK)
        signer_die(job->s, &err);
}

void job_fail(struct job *job, const struct chy_error *why)
{
    if (job->owed != NULL && !job->s->has_failed)
        pay_outcome(job, why);
    /* When the store fails, all who wait do, and why was said once. */
    if (!job->s->has_failed &&
        (why->code == CHY_E_STORE || why->code == CHY_E_INTEGRITY || why->code == CHY_E_INTERNAL))
        chy_log(&job->s->log, CHY_LOG_ERROR, "call.failed",
                CHY_L_HEX("req", ((struct chy_bytes){ job->call.request_id, CHY_ID_BYTES })),
                CHY_L_ERR(why));
    job_reply(job, why->code, why, NULL, NULL);
}

void job_tell_all(struct signer *s, const struct chy_error *why)
{
    struct job *job;
    DL_FOREACH(s->jobs, job)
    {
        struct chy_error err;
        struct chy_reply reply = { .code = (uint32_t) - (int)why->code,
                                   .text = chy_str_of(why->text),
                                   .retry_after_s = retry_after_s(why->code) };
        if (job->front != NULL && reply_send(job, &reply, NULL, NULL, &err) != CHY_OK)
            chy_log(&s->log, CHY_LOG_ERROR, "call.reply_lost", CHY_L_ERR(&err));
        job->front = NULL;
    }
}

enum chy_err job_done(struct job *job, const void *response)
{
    job_reply(job, CHY_OK, NULL, response != NULL ? job->row->response : NULL, response);
    return CHY_OK;
}

void job_run(struct job *job, job_fn *step)
{
    struct ledger *l = job->s->ledger;
    const struct ledger_mark mark = ledger_mark(l);
    const struct chy_entry *owed = job->owed;
    const bool has_intent = job->has_intent;
    struct chy_error err = { .code = CHY_E_INTERNAL };
    enum chy_err r = step(job, &err);
    if (r == CHY_OK)
        return; /* the job may be gone */
    /* Nothing half done goes into the next commit: neither a change whose entry did not fit, nor an
     * outcome without what it tells of. What was owed before the step is owed still. */
    ledger_rollback(l, &mark);
    job->owed = owed;
    job->has_intent = has_intent;
    err.code = r;
    job_fail(job, &err);
}

/* --- beginning --- */

static enum chy_err call_decode(struct job *job, const struct chy_frame *frame,
                                struct chy_error *err)
{
    struct chy_bytes own = chy_arena_bytes(&job->arena, frame->body);
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a call");
    CHY_TRY(chy_schema_decode(&chy_call_schema, own, &job->arena, &job->call, err));
    job->row = chy_op_row((int)job->call.op);
    if (job->row == NULL || job->row->server != CHY_OP_BY_SIGNER)
        return chy_fail(err, CHY_E_PROTOCOL, "operation %u is not the signer's", job->call.op);
    job->request = chy_arena_alloc(&job->arena, 1, job->row->request->size);
    if (job->request == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    return chy_schema_decode(job->row->request, job->call.request, &job->arena, job->request, err);
}

static enum chy_err call_admit(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    enum chy_err r = callers_resolve(job, err);
    bool is_nobody = r == CHY_E_UNAUTHENTICATED || r == CHY_E_EXPIRED;
    if (is_nobody && (job->row->may & CHY_MAY_ANYBODY) != 0)
        /* Who enrols again may still show a certificate that has ended. */
        job->who = (struct chy_principal){ .may = CHY_MAY_ANYBODY };
    else
        CHY_TRY(r);
    CHY_TRY(chy_principal_check(&job->who, job->row, err));
    if (!s->is_bootstrapped)
        return chy_fail(err, CHY_E_BUSY, "the server is starting");
    if (s->is_draining)
        return chy_fail(err, CHY_E_BUSY, "the server is stopping");
    return CHY_OK;
}

static enum chy_err call_start(struct job *job, struct chy_error *err)
{
    CHY_TRY(call_admit(job, err));
    job_fn *handler = job_handler(job->row->op);
    if (handler == NULL)
        return chy_fail(err, CHY_E_INTERNAL, "%s has no handler", job->row->id);
    return handler(job, err);
}

void job_begin(struct signer *s, struct peer *front, const struct chy_frame *frame)
{
    struct chy_error err;
    struct job *job = job_new(s);
    if (job == NULL) {
        /* Without memory for a job there is none for an answer: front's deadline answers. */
        chy_log(&s->log, CHY_LOG_ERROR, "call.no_memory");
        return;
    }
    s->counters.calls++;
    job->front = front;
    job->frame_id = frame->id;
    if (call_decode(job, frame, &err) != CHY_OK) {
        job_fail(job, &err);
        return;
    }
    job_run(job, call_start);
}

enum chy_err job_begin_own(struct signer *s, job_fn *first, struct chy_error *err)
{
    struct job *job = job_new(s);
    if (job == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a job");
    s->own_job = job;
    job->who = (struct chy_principal){ .name = CHY_STR("@signer"), .method = CHY_AUTH_SERVER };
    job->call.caller.method = CHY_AUTH_SERVER;
    if (chy_random_fill(job->call.request_id, CHY_ID_BYTES, err) != CHY_OK) {
        job_free(job);
        return err != NULL ? err->code : CHY_E_CRYPTO;
    }
    job_run(job, first);
    return CHY_OK;
}

void job_front_gone(struct signer *s, const struct peer *front)
{
    struct job *job;
    DL_FOREACH(s->jobs, job)
    if (job->front == front)
        job->front = NULL;
}

enum chy_err job_lock(struct job *job, const char *kind, struct chy_str name, struct chy_error *err)
{
    struct chy_str lock = chy_arena_printf(&job->arena, "%s:%.*s", kind, CHY_STR_ARG(name));
    if (lock.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a lock");
    struct job *other;
    DL_FOREACH(job->s->jobs, other)
    if (other != job && chy_str_equal(other->lock, lock))
        return chy_fail(err, CHY_E_CONFLICT, "another change of \"%.*s\" is under way; try again",
                        CHY_STR_ARG(name));
    job->lock = lock;
    return CHY_OK;
}

/* --- inspect --- */

enum chy_err job_inspect(struct job *job, const struct chy_inspect_request *request, job_fn *next,
                         struct chy_error *err)
{
    struct signer *s = job->s;
    if (s->inspect == NULL)
        return chy_fail(err, CHY_E_BUSY, "the process that reads documents is being restarted");
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_encode(&chy_inspect_request_schema, request, &out, err));
    struct chy_frame frame = { .type = CHY_MSG_INSPECT,
                               .id = ++s->next_frame_id,
                               .body = chy_buf_bytes(&out) };
    CHY_TRY(chy_channel_send(s->inspect->channel, &frame, err));
    job->waits_for = frame.id;
    job->step = next;
    return CHY_OK;
}

static enum chy_err inspected(struct job *job, struct chy_bytes body, struct chy_error *err)
{
    struct chy_inspect_reply *reply = chy_arena_new(&job->arena, struct chy_inspect_reply);
    struct chy_bytes own = chy_arena_bytes(&job->arena, body);
    if (reply == NULL || own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer of inspect");
    CHY_TRY(chy_schema_decode(&chy_inspect_reply_schema, own, &job->arena, reply, err));
    if (reply->code != 0)
        return chy_fail(err, signer_code(reply->code), "%.*s", CHY_STR_ARG(reply->text));
    job->inspected = reply;
    return CHY_OK;
}

void job_inspect_reply(struct signer *s, const struct chy_frame *frame)
{
    struct job *job;
    DL_SEARCH_SCALAR(s->jobs, job, waits_for, frame->id);
    if (job == NULL || frame->id == 0)
        return; /* of a job that has ended */
    job->waits_for = 0;
    struct chy_error err = { .code = CHY_E_INTERNAL };
    if (inspected(job, frame->body, &err) == CHY_OK)
        job_run(job, job->step);
    else
        job_fail(job, &err);
}

void job_inspect_expire(struct signer *s, int64_t now_us)
{
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE(s->jobs, job, next)
    if (job->waits_for != 0 && job->call.deadline_us != 0 && now_us > job->call.deadline_us) {
        struct chy_error err;
        chy_fail(&err, CHY_E_TIMEOUT, "the document was not read in time");
        job_fail(job, &err);
    }
}

void job_inspect_gone(struct signer *s)
{
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE(s->jobs, job, next)
    if (job->waits_for != 0) {
        struct chy_error err;
        chy_fail(&err, CHY_E_UNSUPPORTED, "the document could not be read: its reader was stopped");
        job_fail(job, &err);
    }
}

/* --- entries --- */

struct chy_entry job_entry(const struct job *job, enum chy_entry_kind kind, const char *action,
                           struct chy_str subject)
{
    const struct signer *s = job->s;
    struct chy_entry e = {
        .kind = kind,
        .principal = job->who.name,
        .method = job->who.method,
        .action = chy_str_of(action),
        .subject = subject,
        .policy_number = s->policy_record.policy.number,
        .decision = CHY_DECISION_ALLOWED,
    };
    memcpy(e.request_id, job->call.request_id, sizeof e.request_id);
    memcpy(e.policy_hash, s->policy_hash, sizeof e.policy_hash);
    return e;
}

struct chy_entry_detail job_detail(const struct job *job, struct chy_str text)
{
    return (struct chy_entry_detail){ .address = job->call.caller.address,
                                      .user_agent = job->call.caller.user_agent,
                                      .text = text };
}
