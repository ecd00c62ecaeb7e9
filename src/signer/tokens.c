/* SPDX-License-Identifier: MIT */
#include "signer/tokens.h"

#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"

enum {
    FLIGHTS_MAX = 2, /* batches at one worker: while it signs one, the next is at hand */
    BATCH_COST = 16, /* of a batch: 32 elliptic-curve digests */
    RSA_COST = 16,   /* an RSA-3072 signature takes as long as fifty of P-256 */
    ATTEMPTS_MAX = 2,
    KEY_TIMEOUT_FACTOR = 10, /* making an RSA-4096 key takes seconds */
};

/* One frame at a worker that waits for its answer. */
struct flight {
    struct flight *next;
    uint64_t frame_id;
    enum chy_msg type;
    int64_t sent_us;
    struct sign_task *tasks; /* TOKEN_SIGN: in the order of the items */
    struct job *job;         /* else */
    job_fn *step;
};

struct worker {
    struct worker *next;
    struct token *token;
    uint32_t number;
    struct chy_channel *channel; /* NULL: none at the moment */
    bool is_ready;               /* has told its TOKEN_INFO */
    bool is_reported;            /* as hung */
    struct flight *flights;
    size_t flight_count;
    size_t tasks; /* in all flights */
};

struct token {
    struct token *next;
    struct signer *s;
    struct chy_signer_token config;
    struct worker *workers;
    struct sign_task *queue;
    size_t queued;
    size_t in_flight;
    int64_t served_us; /* when tokens_check() last saw a worker that is ready */
    struct chy_arena info_arena;
    struct chy_token_info info;
};

bool token_is_software(const struct token *t)
{
    return t->config.is_software || t->info.is_software;
}

struct chy_str token_name(const struct token *t)
{
    return t->config.name;
}

struct token *tokens_find(struct signer *s, struct chy_str name)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    if (chy_str_equal(t->config.name, name))
        return t;
    return NULL;
}

/* --- making --- */

static enum chy_err token_new(struct signer *s, const struct chy_signer_token *config,
                              struct chy_error *err)
{
    struct token *t = chy_new(struct token);
    if (t == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a token");
    t->s = s;
    t->config = *config;
    chy_arena_init(&t->info_arena, CHY_LIMIT_FRAME);
    LL_APPEND(s->tokens, t);
    for (uint32_t i = 0; i < config->workers; i++) {
        struct worker *w = chy_new(struct worker);
        if (w == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a worker");
        w->token = t;
        w->number = i;
        LL_APPEND(t->workers, w);
    }
    return CHY_OK;
}

enum chy_err tokens_new(struct signer *s, struct chy_error *err)
{
    for (size_t i = 0; i < s->config.tokens.n; i++)
        CHY_TRY(token_new(s, &s->config.tokens.p[i], err));
    return CHY_OK;
}

void tokens_free(struct signer *s)
{
    struct token *t;
    struct token *next_t;
    LL_FOREACH_SAFE(s->tokens, t, next_t)
    {
        struct worker *w;
        struct worker *next_w;
        LL_FOREACH_SAFE(t->workers, w, next_w)
        {
            struct flight *f;
            struct flight *next_f;
            LL_FOREACH_SAFE(w->flights, f, next_f)
            chy_free(f);
            chy_channel_free(w->channel);
            chy_free(w);
        }
        chy_arena_done(&t->info_arena);
        chy_free(t);
    }
    s->tokens = NULL;
}

/* --- flights --- */

static struct flight *flight_new(struct worker *w, enum chy_msg type)
{
    struct flight *f = chy_new(struct flight);
    if (f == NULL)
        return NULL;
    f->frame_id = ++w->token->s->next_frame_id;
    f->type = type;
    f->sent_us = chy_clock_monotonic_us();
    return f;
}

static enum chy_err flight_send(struct worker *w, struct flight *f, const struct chy_schema *schema,
                                const void *message, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_encode(schema, message, &out, err));
    struct chy_frame frame = { .type = (uint16_t)f->type,
                               .id = f->frame_id,
                               .body = chy_buf_bytes(&out) };
    CHY_TRY(chy_channel_send(w->channel, &frame, err));
    LL_APPEND(w->flights, f);
    w->flight_count++;
    return CHY_OK;
}

static struct flight *flight_take(struct worker *w, uint64_t frame_id)
{
    struct flight *f;
    LL_SEARCH_SCALAR(w->flights, f, frame_id, frame_id);
    if (f != NULL) {
        LL_DELETE(w->flights, f);
        w->flight_count--;
    }
    return f;
}

/* --- signing: queue, batches, answers --- */

static size_t task_cost(const struct sign_task *t)
{
    return chy_key_type_is_rsa(t->key->record.key.type) ? RSA_COST : 1;
}

static bool token_has_worker(const struct token *t)
{
    struct worker *w;
    LL_FOREACH(t->workers, w)
    if (w->is_ready)
        return true;
    return false;
}

enum chy_err tokens_sign(struct signer *s, struct sign_task *task, struct chy_error *err)
{
    struct token *t = tokens_find(s, task->key->record.key.token);
    if (t == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "token \"%.*s\" is not configured",
                        CHY_STR_ARG(task->key->record.key.token));
    if (!token_has_worker(t))
        return chy_fail(err, CHY_E_BUSY, "token \"%.*s\" is not ready",
                        CHY_STR_ARG(t->config.name));
    if (t->queued >= s->config.max_queue && !task->for_administration)
        return chy_fail(err, CHY_E_BUSY, "%zu digests wait for token \"%.*s\"", t->queued,
                        CHY_STR_ARG(t->config.name));
    /* Checkpoints and certificates are few, and much may wait for one of them. */
    if (task->for_administration)
        DL_PREPEND(t->queue, task);
    else
        DL_APPEND(t->queue, task);
    t->queued++;
    return CHY_OK;
}

/* The last look before a key is used: it may have been disabled, and the caller may have gone,
 * while the task waited. */
static enum chy_err task_check(const struct sign_task *task, int64_t now_us, struct chy_error *err)
{
    const struct chy_key *key = &task->key->record.key;
    if (task->deadline_us != 0 && now_us > task->deadline_us)
        return chy_fail(err, CHY_E_TIMEOUT, "the request's time was over before its turn came");
    if (!task->for_administration && key->state != CHY_KEY_STATE_ACTIVE)
        return chy_fail(err, CHY_E_STATE, "key %.*s was disabled or destroyed meanwhile",
                        CHY_STR_ARG(key->name));
    return CHY_OK;
}

static void task_fail(struct sign_task *task, const struct chy_error *why)
{
    task->done(task, why->code, chy_str_of(why->text), (struct chy_bytes){ NULL, 0 });
}

/* Cut a batch off the queue: what fits `cost`, and what may still be signed. */
static struct sign_task *batch_take(struct token *t, size_t cost, size_t *ret_n)
{
    struct sign_task *batch = NULL;
    int64_t now = chy_clock_monotonic_us();
    size_t n = 0;
    size_t used = 0;
    while (t->queue != NULL && used < cost) {
        struct sign_task *task = t->queue;
        struct chy_error err;
        DL_DELETE(t->queue, task);
        t->queued--;
        if (task_check(task, now, &err) != CHY_OK) {
            task_fail(task, &err);
            continue;
        }
        used += task_cost(task);
        DL_APPEND(batch, task);
        n++;
    }
    *ret_n = n;
    return batch;
}

static enum chy_err batch_send(struct worker *w, struct flight *f, size_t n, struct chy_error *err)
{
    struct chy_token_sign_item *items = chy_new_array(struct chy_token_sign_item, n);
    if (items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a batch");
    struct sign_task *task;
    size_t i = 0;
    DL_FOREACH(f->tasks, task)
    {
        const struct chy_key *key = &task->key->record.key;
        items[i].key.object_id = key->object_id;
        memcpy(items[i].key.public_key_sha256, key->public_key_sha256, CHY_HASH_BYTES);
        items[i].algorithm = task->algorithm;
        items[i].input = task->input;
        i++;
    }
    struct chy_token_sign message = { .items = { items, n } };
    enum chy_err r = flight_send(w, f, &chy_token_sign_schema, &message, err);
    chy_free(items);
    return r;
}

static void batch_fail(struct sign_task *tasks, const struct chy_error *why)
{
    struct sign_task *task;
    struct sign_task *next;
    DL_FOREACH_SAFE(tasks, task, next)
    task_fail(task, why);
}

static void worker_fill(struct worker *w, size_t cost)
{
    struct token *t = w->token;
    struct chy_error err = { .code = CHY_E_NOMEM };
    size_t n = 0;
    struct sign_task *batch = batch_take(t, cost, &n);
    if (n == 0)
        return;
    struct flight *f = flight_new(w, CHY_MSG_TOKEN_SIGN);
    enum chy_err r = f != NULL ? CHY_OK : chy_fail(&err, CHY_E_NOMEM, "no memory for a batch");
    if (r == CHY_OK) {
        f->tasks = batch;
        r = batch_send(w, f, n, &err);
    }
    if (r != CHY_OK) {
        chy_free(f);
        batch_fail(batch, &err);
        return;
    }
    w->tasks += n;
    t->in_flight += n;
}

static struct worker *worker_idlest(struct token *t)
{
    struct worker *best = NULL;
    struct worker *w;
    LL_FOREACH(t->workers, w)
    if (w->is_ready && !w->is_reported && w->flight_count < FLIGHTS_MAX &&
        (best == NULL || w->flight_count < best->flight_count ||
         (w->flight_count == best->flight_count && w->tasks < best->tasks)))
        best = w;
    return best;
}

static size_t workers_ready(const struct token *t)
{
    size_t n = 0;
    struct worker *w;
    LL_FOREACH(t->workers, w)
    n += w->is_ready ? 1 : 0;
    return n;
}

void tokens_turn(struct signer *s)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    {
        struct worker *w;
        /* Share what there is among the workers; a full batch each when there is plenty. */
        size_t ready = CHY_MAX(workers_ready(t), (size_t)1);
        while (t->queue != NULL && (w = worker_idlest(t)) != NULL) {
            size_t share = (t->queued + ready - 1) / ready * task_cost(t->queue);
            worker_fill(w, CHY_MIN(share, (size_t)BATCH_COST));
        }
    }
}

static void tasks_answered(struct worker *w, struct flight *f, struct chy_token_sign_reply *reply)
{
    struct sign_task *task;
    struct sign_task *next;
    size_t i = 0;
    DL_FOREACH_SAFE(f->tasks, task, next)
    {
        const struct chy_token_sign_result *result = &reply->results.p[i++];
        enum chy_err code = signer_code(result->code);
        struct chy_error err;
        /* The key is in our store: it is the token that has failed, not the caller who asked for
         * it. */
        if (code == CHY_E_NOT_FOUND)
            code = CHY_E_TOKEN;
        w->tasks--;
        w->token->in_flight--;
        /* A key that was disabled while the token signed: the signature does not leave. */
        if (code == CHY_OK && task_check(task, 0, &err) != CHY_OK) {
            task_fail(task, &err);
        } else if (code == CHY_OK && result->signature.n == 0) {
            chy_fail(&err, CHY_E_PROTOCOL, "a token process signed and gave no signature");
            task_fail(task, &err);
        } else {
            task->done(task, code, result->text, result->signature);
        }
    }
}

static size_t tasks_count(const struct flight *f)
{
    struct sign_task *task;
    size_t n;
    DL_COUNT(f->tasks, task, n);
    return n;
}

/* --- keys: one worker asked, all asked --- */

static void step_after(struct job *job, job_fn *step)
{
    job->tasks--;
    job_run(job, step);
}

static enum chy_err ask(struct job *job, struct worker *w, enum chy_msg type,
                        const struct chy_schema *schema, const void *request, job_fn *next,
                        struct chy_error *err)
{
    struct flight *f = flight_new(w, type);
    if (f == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask a token");
    f->job = job;
    f->step = next;
    enum chy_err r = flight_send(w, f, schema, request, err);
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

/* --- answers --- */

static enum chy_err on_sign_reply(struct worker *w, struct flight *f, struct chy_bytes body,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_token_sign_reply reply;
    CHY_TRY(chy_schema_decode(&chy_token_sign_reply_schema, body, &arena, &reply, err));
    if (f->type != CHY_MSG_TOKEN_SIGN || reply.results.n != tasks_count(f))
        return chy_fail(err, CHY_E_PROTOCOL, "a token process answered %zu of %zu digests",
                        reply.results.n, tasks_count(f));
    tasks_answered(w, f, &reply);
    return CHY_OK;
}

static enum chy_err on_key_reply(struct flight *f, struct chy_bytes body, struct chy_error *err)
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

static enum chy_err on_drop_reply(struct flight *f, struct chy_bytes body, struct chy_error *err)
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

static enum chy_err on_info(struct worker *w, struct chy_bytes body, struct chy_error *err)
{
    struct token *t = w->token;
    struct chy_token_info_msg message;
    chy_arena_reset(&t->info_arena);
    t->info = (struct chy_token_info){ 0 };
    struct chy_bytes own = chy_arena_bytes(&t->info_arena, body);
    CHY_TRY(chy_schema_decode(&chy_token_info_msg_schema, own, &t->info_arena, &message, err));
    t->info = message.info;
    w->is_ready = true;
    chy_log(&t->s->log, CHY_LOG_INFO, "token.ready", CHY_L_STR("token", t->config.name),
            CHY_L_U64("worker", w->number), CHY_L_BOOL("software", token_is_software(t)));
    return CHY_OK;
}

static enum chy_err on_answer(struct worker *w, const struct chy_frame *frame,
                              struct chy_error *err)
{
    if (frame->type == CHY_MSG_TOKEN_INFO)
        return on_info(w, frame->body, err);
    struct flight *f = flight_take(w, frame->id);
    if (f == NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "a token process answered what nobody asked");
    enum chy_err r = CHY_E_PROTOCOL;
    struct flight copy = *f;
    if (frame->type == CHY_MSG_TOKEN_SIGN_REPLY)
        r = on_sign_reply(w, &copy, frame->body, err);
    else if (frame->type == CHY_MSG_TOKEN_KEY_REPLY)
        r = on_key_reply(&copy, frame->body, err);
    else if (frame->type == CHY_MSG_TOKEN_DROP_REPLY)
        r = on_drop_reply(&copy, frame->body, err);
    if (r != CHY_OK) {
        /* Put it back: losing the worker, below, treats it as any other. */
        LL_APPEND(w->flights, f);
        w->flight_count++;
        return r;
    }
    chy_free(f);
    return CHY_OK;
}

/* --- losing a worker --- */

static void requeue(struct worker *w, struct flight *f)
{
    struct token *t = w->token;
    struct sign_task *task;
    struct sign_task *next;
    struct sign_task *again = NULL;
    DL_FOREACH_SAFE(f->tasks, task, next)
    {
        w->tasks--;
        t->in_flight--;
        if (++task->attempts < ATTEMPTS_MAX) {
            DL_APPEND(again, task);
            t->queued++;
        } else {
            struct chy_error err;
            chy_fail(&err, CHY_E_TOKEN, "token \"%.*s\" failed while it signed, twice",
                     CHY_STR_ARG(t->config.name));
            task_fail(task, &err);
        }
    }
    DL_CONCAT(again, t->queue);
    t->queue = again;
}

static void flight_lost(struct worker *w, struct flight *f)
{
    static const struct chy_token_key_reply lost = {
        .code = (uint32_t)-CHY_E_TOKEN,
        .text = { "the token's process failed", sizeof "the token's process failed" - 1 },
    };
    if (f->type == CHY_MSG_TOKEN_SIGN) {
        requeue(w, f);
        return;
    }
    f->job->token_key = &lost;
    /* A dead process has dropped its copies; only a destruction is unfinished. */
    if (f->type == CHY_MSG_TOKEN_DROP && ((struct drop *)f->job->state)->message.destroy) {
        f->job->token_code = CHY_E_TOKEN;
        f->job->token_text = lost.text;
    }
    step_after(f->job, f->step);
}

static void worker_lost(struct worker *w)
{
    struct flight *flights = w->flights;
    w->flights = NULL;
    w->flight_count = 0;
    w->is_ready = false;
    w->is_reported = false;
    struct flight *f;
    struct flight *next;
    LL_FOREACH_SAFE(flights, f, next)
    {
        flight_lost(w, f);
        chy_free(f);
    }
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct worker *w = ctx;
    struct chy_error err;
    if (on_answer(w, frame, &err) == CHY_OK)
        return;
    chy_log(&w->token->s->log, CHY_LOG_ERROR, "token.bad_answer",
            CHY_L_STR("token", w->token->config.name), CHY_L_ERR(&err));
    w->channel = NULL;
    chy_channel_free(channel);
    worker_lost(w);
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    struct worker *w = ctx;
    (void)why;
    (void)error; /* the supervisor tells how the process ended */
    if (w->channel == channel)
        w->channel = NULL;
    chy_channel_free(channel);
    worker_lost(w);
}

static struct worker *worker_find(struct token *t, uint32_t number)
{
    struct worker *w;
    LL_SEARCH_SCALAR(t->workers, w, number, number);
    return w;
}

enum chy_err tokens_connect(struct signer *s, const struct chy_peer *peer, int fd,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int own = fd;
    struct token *t = tokens_find(s, peer->token);
    struct worker *w = t != NULL ? worker_find(t, peer->worker) : NULL;
    if (w == NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "there is no worker %u of token \"%.*s\"",
                        peer->worker, CHY_STR_ARG(peer->token));
    if (w->channel != NULL) {
        chy_channel_free(w->channel);
        w->channel = NULL;
        worker_lost(w);
    }
    struct chy_channel_options options = { .send_limit_bytes = (size_t)2 * CHY_LIMIT_FRAME };
    struct chy_channel_handler handler = { .on_frame = on_frame, .on_close = on_close, .ctx = w };
    CHY_TRY(chy_channel_new(own, &options, &w->channel, err));
    own = -1;
    return chy_channel_attach(w->channel, s->loop, &handler, err);
}

/* --- watching --- */

static void report_hung(struct worker *w)
{
    struct signer *s = w->token->s;
    struct chy_error err;
    struct chy_peer peer = { CHY_PROCESS_TOKEN, w->token->config.name, w->number };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_PATH);
    chy_log(&s->log, CHY_LOG_ERROR, "token.hung", CHY_L_STR("token", peer.token),
            CHY_L_U64("worker", peer.worker));
    enum chy_err r = chy_schema_encode(&chy_peer_schema, &peer, &out, &err);
    struct chy_frame frame = { .type = CHY_MSG_HUNG, .body = chy_buf_bytes(&out) };
    if (r == CHY_OK)
        r = chy_channel_send(s->supervisor, &frame, &err);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "token.hung_not_told", CHY_L_ERR(&err));
    w->is_reported = r == CHY_OK;
}

static bool is_late(const struct worker *w, const struct flight *f, int64_t now_us)
{
    int64_t limit = (int64_t)w->token->s->config.token_timeout_ms * 1000;
    if (f->type != CHY_MSG_TOKEN_SIGN)
        limit *= KEY_TIMEOUT_FACTOR;
    return now_us - f->sent_us > limit;
}

/* A process that is started again takes a moment; one that does not come is no reason to keep
 * callers, who would sooner try elsewhere, until they give up. */
static enum chy_err served_check(const struct token *t, int64_t now_us, struct chy_error *err)
{
    uint32_t limit_ms = t->s->config.token_timeout_ms;
    if (now_us - t->served_us <= (int64_t)limit_ms * 1000)
        return CHY_OK;
    return chy_fail(err, CHY_E_BUSY, "token \"%.*s\" has had no process for %u ms",
                    CHY_STR_ARG(t->config.name), limit_ms);
}

static void queue_expire(struct token *t, int64_t now_us)
{
    struct sign_task *queue = t->queue;
    struct sign_task *task;
    struct sign_task *next;
    t->queue = NULL;
    DL_FOREACH_SAFE(queue, task, next)
    {
        struct chy_error err;
        if (task_check(task, now_us, &err) == CHY_OK && served_check(t, now_us, &err) == CHY_OK) {
            DL_APPEND(t->queue, task);
            continue;
        }
        t->queued--;
        task_fail(task, &err);
    }
}

void tokens_check(struct signer *s, int64_t now_us)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    {
        struct worker *w;
        LL_FOREACH(t->workers, w)
        {
            struct flight *f;
            LL_FOREACH(w->flights, f)
            if (is_late(w, f, now_us) && !w->is_reported) {
                report_hung(w);
                break;
            }
        }
        if (token_has_worker(t))
            t->served_us = now_us;
        queue_expire(t, now_us);
    }
}

size_t tokens_in_flight(const struct signer *s)
{
    size_t n = 0;
    struct token *t;
    LL_FOREACH(s->tokens, t)
    n += t->in_flight;
    return n;
}

bool tokens_are_ready(const struct signer *s, struct chy_str *ret_missing)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    if (!token_has_worker(t)) {
        *ret_missing = t->config.name;
        return false;
    }
    return true;
}

enum chy_err tokens_list(struct signer *s, struct chy_arena *arena, struct chy_token_list *ret_list,
                         struct chy_error *err)
{
    struct token *t;
    size_t n = 0;
    struct chy_token_info *list = chy_arena_array(arena, struct chy_token_info, s->config.tokens.n);
    if (list == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of tokens");
    LL_FOREACH(s->tokens, t)
    {
        list[n] = t->info;
        list[n].name = t->config.name;
        list[n].is_software = token_is_software(t);
        list[n].workers = t->config.workers;
        list[n].is_ready = workers_ready(t) == t->config.workers;
        n++;
    }
    ret_list->tokens.p = list;
    ret_list->tokens.n = n;
    return CHY_OK;
}
