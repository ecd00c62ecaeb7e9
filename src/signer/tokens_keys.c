/* SPDX-License-Identifier: MIT */
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "signer/tokens_internal.h"

static void step_after(struct job *job, job_fn *step)
{
    job->tasks--;
    job_run(job, step);
}

static enum chy_err ask(struct job *job, struct worker *w, enum chy_msg type,
                        const struct chy_schema *schema, const void *request, job_fn *next,
                        struct chy_error *err)
{
    struct flight *f = token_flight_new(w, type);
    if (f == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask a token");
    f->job = job;
    f->step = next;
    enum chy_err r = token_flight_send(w, f, schema, request, err);
    if (r != CHY_OK) {
        chy_free(f);
        return r;
    }
    job->tasks++;
    return CHY_OK;
}

static struct worker *worker_least_busy(struct token *t)
{
    struct worker *best = NULL;
    struct worker *w;
    LL_FOREACH(t->workers, w)
    if (w->is_ready && !w->is_reported && (best == NULL || w->flight_count < best->flight_count))
        best = w;
    return best;
}

enum chy_err tokens_ask_key(struct job *job, struct token *t, enum chy_msg type,
                            const struct chy_schema *schema, const void *request, job_fn *next,
                            struct chy_error *err)
{
    struct worker *w = worker_least_busy(t);
    if (w == NULL)
        return chy_fail(err, CHY_E_BUSY, "token \"%.*s\" is not ready",
                        CHY_STR_ARG(t->config.name));
    return ask(job, w, type, schema, request, next, err);
}

/* What a drop of a key still has to do; in the job's arena. */
struct drop {
    struct chy_token_drop message;
    struct token *token;
    size_t waits_for; /* workers */
    bool destroy;
    job_fn *next;
};

static enum chy_err drop_step(struct job *job, struct chy_error *err);

static enum chy_err drop_destroy(struct job *job, struct drop *d, struct chy_error *err)
{
    struct worker *w = worker_least_busy(d->token);
    if (w == NULL)
        return chy_fail(err, CHY_E_BUSY, "token \"%.*s\" is not ready; try again",
                        CHY_STR_ARG(d->token->config.name));
    d->message.destroy = true;
    d->destroy = false;
    d->waits_for = 1;
    return ask(job, w, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &d->message, drop_step, err);
}

static enum chy_err drop_step(struct job *job, struct chy_error *err)
{
    struct drop *d = job->state;
    if (--d->waits_for > 0)
        return CHY_OK;
    if (job->token_code == CHY_OK && d->destroy)
        return drop_destroy(job, d, err);
    return d->next(job, err);
}

enum chy_err tokens_drop(struct job *job, struct key *key, bool destroy, job_fn *next,
                         struct chy_error *err)
{
    struct token *t = tokens_find(job->s, key->record.key.token);
    struct drop *d = chy_arena_new(&job->arena, struct drop);
    if (d == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to drop a key");
    if (t == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "token \"%.*s\" is not configured",
                        CHY_STR_ARG(key->record.key.token));
    *d = (struct drop){ .token = t, .destroy = destroy, .next = next };
    d->message.key.object_id = key->record.key.object_id;
    memcpy(d->message.key.public_key_sha256, key->record.key.public_key_sha256, CHY_HASH_BYTES);
    job->state = d;
    job->token_code = CHY_OK;
    /* A worker that is down has no copy: it died with its process. */
    struct worker *w;
    enum chy_err r = CHY_OK;
    LL_FOREACH(t->workers, w)
    {
        if (!w->is_ready)
            continue;
        r = ask(job, w, CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &d->message, drop_step, err);
        if (r != CHY_OK)
            break;
        d->waits_for++;
    }
    if (d->waits_for == 0)
        return r != CHY_OK ? r
                           : chy_fail(err, CHY_E_BUSY, "token \"%.*s\" is not ready",
                                      CHY_STR_ARG(t->config.name));
    /* Some are asked, and their answers will come to this job: it fails when it has them all. */
    if (r != CHY_OK) {
        job->token_code = r;
        job->token_text = CHY_STR("a token's process could not be asked");
    }
    return CHY_OK;
}

struct job_signature {
    struct sign_task task;
    struct job *job;
    job_fn *next;
};

static void job_signed(struct sign_task *task, enum chy_err code, struct chy_str text,
                       struct chy_bytes signature)
{
    struct job_signature *js = task->ctx;
    struct job *job = js->job;
    job->token_code = code;
    job->token_text = chy_arena_str(&job->arena, text);
    job->signature = chy_arena_bytes(&job->arena, signature);
    if (job->signature.p == NULL && code == CHY_OK)
        job->token_code = CHY_E_NOMEM;
    step_after(job, js->next);
}

enum chy_err tokens_sign_job(struct job *job, struct key *key, enum chy_sign_alg algorithm,
                             struct chy_bytes input, job_fn *next, struct chy_error *err)
{
    struct job_signature *js = chy_arena_new(&job->arena, struct job_signature);
    if (js == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    js->job = job;
    js->next = next;
    js->task = (struct sign_task){ .key = key,
                                   .algorithm = algorithm,
                                   .input = input,
                                   .for_administration = true,
                                   .done = job_signed,
                                   .ctx = js };
    CHY_TRY(tokens_sign(job->s, &js->task, err));
    job->tasks++;
    return CHY_OK;
}

enum chy_err token_key_replied(struct flight *f, struct chy_bytes body, struct chy_error *err)
{
    struct job *job = f->job;
    if (f->type != CHY_MSG_TOKEN_GENERATE && f->type != CHY_MSG_TOKEN_FIND)
        return chy_fail(err, CHY_E_PROTOCOL, "a token process gave a wrong answer");
    struct chy_token_key_reply *reply = chy_arena_new(&job->arena, struct chy_token_key_reply);
    struct chy_bytes own = chy_arena_bytes(&job->arena, body);
    if (reply == NULL || own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a token's answer");
    CHY_TRY(chy_schema_decode(&chy_token_key_reply_schema, own, &job->arena, reply, err));
    job->token_key = reply;
    step_after(job, f->step);
    return CHY_OK;
}

enum chy_err token_drop_replied(struct flight *f, struct chy_bytes body, struct chy_error *err)
{
    struct job *job = f->job;
    struct chy_token_drop_reply reply;
    if (f->type != CHY_MSG_TOKEN_DROP)
        return chy_fail(err, CHY_E_PROTOCOL, "a token process gave a wrong answer");
    struct chy_bytes own = chy_arena_bytes(&job->arena, body);
    CHY_TRY(chy_schema_decode(&chy_token_drop_reply_schema, own, &job->arena, &reply, err));
    if (reply.code != 0 && job->token_code == CHY_OK) {
        job->token_code = signer_code(reply.code);
        job->token_text = reply.text;
    }
    step_after(job, f->step);
    return CHY_OK;
}

void token_key_lost(struct flight *f)
{
    static const struct chy_token_key_reply lost = {
        .code = (uint32_t)-CHY_E_TOKEN,
        .text = { "the token's process failed", sizeof "the token's process failed" - 1 },
    };
    f->job->token_key = &lost;
    /* A dead process has dropped its copies; only a destruction is unfinished. */
    if (f->type == CHY_MSG_TOKEN_DROP && ((struct drop *)f->job->state)->message.destroy) {
        f->job->token_code = CHY_E_TOKEN;
        f->job->token_text = lost.text;
    }
    step_after(f->job, f->step);
}
