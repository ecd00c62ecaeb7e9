/* SPDX-License-Identifier: MIT */
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "signer/tokens_internal.h"

enum {
    FLIGHTS_MAX = 2, /* batches at one worker: while it signs one, the next is at hand */
    BATCH_COST = 16, /* of a batch: 32 elliptic-curve digests */
    RSA_COST = 16,   /* an RSA-3072 signature takes as long as fifty of P-256 */
    ATTEMPTS_MAX = 2,
};

static size_t task_cost(const struct sign_task *t)
{
    return chy_key_type_is_rsa(t->key->record.key.type) ? RSA_COST : 1;
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
    enum chy_err r = token_flight_send(w, f, &chy_token_sign_schema, &message, err);
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
    struct flight *f = token_flight_new(w, CHY_MSG_TOKEN_SIGN);
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

void tokens_turn(struct signer *s)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    {
        struct worker *w;
        /* Share what there is among the workers; a full batch each when there is plenty. */
        size_t ready = CHY_MAX(token_workers_ready(t), (size_t)1);
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

enum chy_err token_sign_replied(struct worker *w, struct flight *f, struct chy_bytes body,
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

void token_requeue(struct worker *w, struct flight *f)
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

void token_queue_expire(struct token *t, int64_t now_us)
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
