/* SPDX-License-Identifier: MIT */
#include "token/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sys.h"

static const char ending_text[] = "the token process is about to end, because the token failed";

struct worker {
    struct chy_pool *pool;
    struct chy_session session;
    pthread_t thread;
};

struct job_queue {
    struct chy_job *first;
    struct chy_job *last;
};

/* Lock order: mutex, and nothing under it. The queues, the units of jobs and what broke are guarded
 * by it; the rest does not change after chy_pool_new(). */
struct chy_pool {
    struct chy_pool_options options;
    struct worker *workers;
    struct chy_watch *watch;
    int event_fd; /* readable when `done` is not empty */
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct job_queue waiting; /* not all units are taken */
    struct job_queue done;
    size_t pending; /* added and not yet handed to on_done; of the loop's thread alone */
    bool is_broken;
    bool has_threads;
    struct chy_error why;
};

static void queue_put(struct job_queue *queue, struct chy_job *job)
{
    job->next = NULL;
    if (queue->last != NULL)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

static struct chy_job *queue_take(struct job_queue *queue)
{
    struct chy_job *job = queue->first;
    if (job == NULL)
        return NULL;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return job;
}

static void lock(struct chy_pool *pool)
{
    CHY_ASSERT(pthread_mutex_lock(&pool->mutex) == 0);
}

static void unlock(struct chy_pool *pool)
{
    CHY_ASSERT(pthread_mutex_unlock(&pool->mutex) == 0);
}

/* --- doing one unit of a job: no lock is held --- */

static void sign_one(struct chy_keys *keys, struct chy_session *session, struct chy_job *job,
                     size_t i, struct chy_error *err)
{
    struct chy_job_signature *result = &job->results[i];
    result->code =
        chy_keys_sign(keys, session, &job->request.sign.items.p[i], &result->signature, err);
    if (result->code != CHY_OK)
        chy_copy(result->text, err->text, sizeof result->text);
}

static void do_unit(struct chy_keys *keys, struct chy_session *session, struct chy_job *job,
                    size_t i, struct chy_error *err)
{
    if (job->type == CHY_MSG_TOKEN_SIGN) {
        sign_one(keys, session, job, i, err);
        return;
    }
    if (job->type == CHY_MSG_TOKEN_GENERATE)
        job->code = chy_keys_generate(keys, session, &job->request.generate, &job->arena, &job->key,
                                      &job->error);
    else if (job->type == CHY_MSG_TOKEN_FIND)
        job->code =
            chy_keys_find(keys, session, &job->request.find, &job->arena, &job->key, &job->error);
    else
        job->code = chy_keys_drop(keys, session, &job->request.drop, &job->error);
    if (job->code != CHY_OK)
        *err = job->error;
}

/* --- threads --- */

/* The next unit that waits; NULL when there is none. */
static struct chy_job *unit_take_locked(struct chy_pool *pool, size_t *ret_unit)
{
    struct chy_job *job = pool->waiting.first;
    if (job == NULL)
        return NULL;
    *ret_unit = job->units_taken++;
    if (job->units_taken == job->units)
        CHY_IGNORE(queue_take(&pool->waiting)); /* it is `job` */
    return job;
}

/* Once all units are done; again is a no-op. */
static void job_finish_locked(struct chy_pool *pool, struct chy_job *job)
{
    const uint64_t one = 1;
    if (job->units_done < job->units || job->is_finished)
        return;
    job->is_finished = true;
    queue_put(&pool->done, job);
    /* An eventfd takes 2^64 - 2 before it blocks. */
    CHY_ASSERT(write(pool->event_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

/* What waits will not be done any more. Units that other threads are at may still come, or
 * never. */
static void break_locked(struct chy_pool *pool, const struct chy_error *why)
{
    if (!pool->is_broken) {
        pool->is_broken = true;
        pool->why = *why;
    }
    for (struct chy_job *job = queue_take(&pool->waiting); job != NULL;
         job = queue_take(&pool->waiting)) {
        chy_job_refuse(job, CHY_E_TOKEN, ending_text);
        job_finish_locked(pool, job);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct chy_pool *pool = w->pool;
    lock(pool);
    for (;;) {
        size_t unit = 0;
        struct chy_job *job = unit_take_locked(pool, &unit);
        if (job == NULL) {
            CHY_ASSERT(pthread_cond_wait(&pool->has_work, &pool->mutex) == 0);
            continue;
        }
        unlock(pool);
        struct chy_error err;
        do_unit(pool->options.keys, &w->session, job, unit, &err);
        lock(pool);
        job->units_done++;
        if (w->session.is_broken)
            break_locked(pool, &err);
        job_finish_locked(pool, job);
    }
    return NULL;
}

static void on_event(void *ctx, uint32_t events)
{
    struct chy_pool *pool = ctx;
    uint64_t count = 0;
    (void)events;
    CHY_IGNORE(read(pool->event_fd, &count, sizeof count)); /* only to make it quiet */
    lock(pool);
    struct job_queue done = pool->done;
    pool->done = (struct job_queue){ NULL, NULL };
    unlock(pool);
    for (struct chy_job *job = queue_take(&done); job != NULL; job = queue_take(&done)) {
        pool->pending--;
        pool->options.on_done(pool->options.ctx, job);
    }
}

static enum chy_err threads_start(struct chy_pool *pool, struct chy_error *err)
{
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* checksrc: the pool's own wake-up */
    if (pool->event_fd < 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot make an event descriptor: %s",
                            chy_sys_text(errno));
    CHY_TRY(chy_watch_new(pool->options.loop, pool->event_fd, EPOLLIN, on_event, pool, &pool->watch,
                          err));
    for (uint32_t i = 0; i < pool->options.threads; i++) {
        pool->has_threads = true; /* from now on it is theirs too */
        int e = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (e != 0)
            return chy_fail_sys(err, CHY_E_BUSY, e, "cannot start thread %u of a token: %s", i + 1,
                                chy_sys_text(e));
    }
    return CHY_OK;
}

void chy_pool_free(struct chy_pool *pool)
{
    if (pool == NULL || pool->has_threads)
        return;
    chy_watch_free(pool->watch);
    chy_fd_closep(&pool->event_fd);
    CHY_ASSERT(pthread_cond_destroy(&pool->has_work) == 0);
    CHY_ASSERT(pthread_mutex_destroy(&pool->mutex) == 0);
    chy_free(pool->workers);
    chy_free(pool);
}

static void pool_freep(struct chy_pool **pool)
{
    chy_pool_free(*pool);
}

enum chy_err chy_pool_new(const struct chy_pool_options *options, struct chy_pool **ret_pool,
                          struct chy_error *err)
{
    if (options->threads < 1 || options->threads > CHY_LIMIT_TOKEN_THREADS)
        return chy_fail(err, CHY_E_ARG, "a token with %u threads, expected 1 to %d",
                        options->threads, CHY_LIMIT_TOKEN_THREADS);
    CHY_CLEANUP(pool_freep) struct chy_pool *pool = chy_new(struct chy_pool);
    if (pool == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the workers of a token");
    pool->options = *options;
    pool->event_fd = -1;
    CHY_ASSERT(pthread_mutex_init(&pool->mutex, NULL) == 0);
    CHY_ASSERT(pthread_cond_init(&pool->has_work, NULL) == 0);
    pool->workers = chy_new_array(struct worker, options->threads);
    if (pool->workers == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the workers of a token");
    for (uint32_t i = 0; i < options->threads; i++) {
        pool->workers[i].pool = pool;
        CHY_TRY(chy_slot_session(options->slot, &pool->workers[i].session, err));
    }
    if (options->threads > 1)
        CHY_TRY(threads_start(pool, err));
    *ret_pool = CHY_TAKE(pool);
    return CHY_OK;
}

static void job_do_all(struct chy_pool *pool, struct chy_job *job)
{
    struct chy_session *session = &pool->workers[0].session;
    while (job->units_taken < job->units) {
        struct chy_error err;
        do_unit(pool->options.keys, session, job, job->units_taken, &err);
        job->units_taken++;
        job->units_done++;
        if (session->is_broken) {
            pool->is_broken = true;
            pool->why = err;
            chy_job_refuse(job, CHY_E_TOKEN, ending_text);
        }
    }
    pool->options.on_done(pool->options.ctx, job);
}

void chy_pool_add(struct chy_pool *pool, struct chy_job *job)
{
    if (chy_pool_broken(pool) != NULL || pool->pending >= CHY_LIMIT_TOKEN_JOBS) {
        bool is_broken = chy_pool_broken(pool) != NULL;
        chy_job_refuse(job, is_broken ? CHY_E_TOKEN : CHY_E_BUSY,
                       is_broken ? ending_text : "too many requests wait in the token process");
        pool->options.on_done(pool->options.ctx, job);
        return;
    }
    if (pool->options.threads == 1) {
        job_do_all(pool, job);
        return;
    }
    pool->pending++;
    lock(pool);
    queue_put(&pool->waiting, job);
    CHY_ASSERT(pthread_cond_broadcast(&pool->has_work) == 0);
    unlock(pool);
}

size_t chy_pool_pending(const struct chy_pool *pool)
{
    return pool->pending;
}

const struct chy_error *chy_pool_broken(struct chy_pool *pool)
{
    lock(pool);
    bool is_broken = pool->is_broken;
    unlock(pool);
    return is_broken ? &pool->why : NULL;
}
