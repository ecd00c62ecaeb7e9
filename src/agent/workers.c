/* SPDX-License-Identifier: MIT */
#include "agent/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/advice.h"
#include "crypto/pubkey.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

/* A server that is being restarted is waited for; one that was not there before is not. */
#define PATIENCE_MS   15000
#define REMEMBERED_US INT64_C(120000000)
#define WHOAMI_BYTES  65536
#define LOOK_US       INT64_C(250000) /* between two looks at what waits and what hangs */

struct chy_worker {
    struct chy_workers *workers;
    pthread_t thread;
    struct chy_login_use *use; /* with which `client` was opened */
    void *client;
    struct chy_pubkey *pubkey; /* by which a signature was checked last; NULL: none yet */
    int64_t answered_us;       /* when the server did last */
    int64_t since_us;          /* that it is at work; 0: it is not. Guarded by the mutex */
};

struct queue {
    struct chy_work *first;
    struct chy_work *last;
    size_t n;
};

/* Lock order: mutex, and nothing under it. The queues and is_ending are guarded by it. */
struct chy_workers {
    struct chy_loop *loop;
    struct chy_login *login;
    const struct chy_upstream *upstream;
    struct chy_watch *watch;
    struct chy_timer *look; /* set while work waits */
    int event_fd;           /* readable when `done` is not empty */
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct queue waiting;
    struct queue done;
    bool is_ending;
    size_t idle;
    struct chy_worker workers[CHY_WORKERS_MAX + CHY_WORKERS_HUNG_MAX];
    size_t n;             /* that were started; written by the loop's thread, under the mutex */
    size_t pending;       /* of the loop's thread alone */
    size_t pending_bytes; /* of them */
};

static void lock(struct chy_workers *ws)
{
    CHY_ASSERT(pthread_mutex_lock(&ws->mutex) == 0);
}

static void unlock(struct chy_workers *ws)
{
    CHY_ASSERT(pthread_mutex_unlock(&ws->mutex) == 0);
}

static void queue_put(struct queue *q, struct chy_work *work)
{
    work->next = NULL;
    if (q->last != NULL)
        q->last->next = work;
    else
        q->first = work;
    q->last = work;
    q->n++;
}

static struct chy_work *queue_take(struct queue *q)
{
    struct chy_work *work = q->first;
    if (work == NULL)
        return NULL;
    q->first = work->next;
    if (q->first == NULL)
        q->last = NULL;
    q->n--;
    work->next = NULL;
    return work;
}

/* --- the server --- */

static void worker_forget(struct chy_worker *w)
{
    if (w->client != NULL)
        w->workers->upstream->close(w->client);
    w->client = NULL;
    chy_login_use_unref(w->workers->login, w->use);
    w->use = NULL;
}

/* A client of the settings as they are now. */
static enum chy_err worker_open(struct chy_worker *w, struct chy_error *err)
{
    struct chy_workers *ws = w->workers;
    struct chy_login_use *use = NULL;
    CHY_TRY(chy_login_take(ws->login, &use, err));
    if (use == w->use && w->client != NULL) {
        chy_login_use_unref(ws->login, use);
        return CHY_OK;
    }
    worker_forget(w);
    w->use = use;
    return ws->upstream->open(chy_login_settings(use), &w->client, err);
}

enum chy_err chy_worker_call(struct chy_worker *w, enum chy_op op, const void *request,
                             struct chy_arena *arena, void *response, struct chy_error *err)
{
    const struct chy_upstream *up = w->workers->upstream;
    enum chy_err r = worker_open(w, err);
    if (r == CHY_OK) {
        int64_t now_us = chy_clock_monotonic_us();
        bool is_known = w->answered_us != 0 && now_us - w->answered_us < REMEMBERED_US;
        up->set_patience(w->client, is_known ? PATIENCE_MS : 0);
        r = up->call(w->client, op, request, arena, response, err);
    }
    if (r != CHY_E_NETWORK && r != CHY_E_TIMEOUT)
        w->answered_us = chy_clock_monotonic_us();
    chy_login_note(w->workers->login, r, err);
    return r;
}

void chy_worker_finish(const struct chy_worker *w, struct chy_work *work, enum chy_err r,
                       const struct chy_error *why)
{
    static const struct chy_settings none = { 0 };
    const struct chy_settings *settings = w->use != NULL ? chy_login_settings(w->use) : &none;
    const char *id = w->client != NULL ? w->workers->upstream->request_id(w->client) : "";
    (void)snprintf(work->request_id, sizeof work->request_id, "%s", id);
    work->code = r;
    if (r == CHY_OK)
        return;
    work->error = *why;
    work->mend = chy_client_advice(settings, why);
}

/* A token may lack the right to ask; then it is no agent's, whose credential is a certificate. */
static enum chy_err learn_whoami(struct chy_worker *w, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_empty nothing = { 0 };
    struct chy_whoami whoami = { 0 };
    chy_arena_init(&arena, WHOAMI_BYTES);
    enum chy_err r = chy_worker_call(w, CHY_OP_WHOAMI, &nothing, &arena, &whoami, err);
    if (r != CHY_OK && r != CHY_E_FORBIDDEN)
        return r;
    chy_login_set_whoami(w->workers->login, w->use, &whoami);
    return CHY_OK;
}

enum chy_err chy_worker_basis(struct chy_worker *w, enum chy_basis *ret_basis,
                              struct chy_error *err)
{
    bool is_agent = false;
    CHY_TRY(worker_open(w, err));
    if (!chy_login_is_known(w->workers->login, w->use, &is_agent)) {
        CHY_TRY(learn_whoami(w, err));
        CHY_IGNORE(chy_login_is_known(w->workers->login, w->use, &is_agent)); /* it is */
    }
    *ret_basis = is_agent ? CHY_BASIS_AGENT : CHY_BASIS_DECLARED;
    return CHY_OK;
}

struct chy_str chy_worker_log_key(const struct chy_worker *w)
{
    return w->use != NULL ? chy_login_settings(w->use)->profile.log_key : (struct chy_str){ 0 };
}

enum chy_err chy_worker_pubkey(struct chy_worker *w, struct chy_bytes spki,
                               const struct chy_pubkey **ret_key, struct chy_error *err)
{
    if (w->pubkey == NULL || !chy_bytes_equal(chy_pubkey_spki(w->pubkey), spki)) {
        chy_pubkey_freep(&w->pubkey);
        CHY_TRY(chy_pubkey_from_spki(spki, &w->pubkey, err));
    }
    *ret_key = w->pubkey;
    return CHY_OK;
}

enum chy_err chy_worker_upkeep(struct chy_worker *w, struct chy_error *err)
{
    struct chy_workers *ws = w->workers;
    struct chy_login_use *use = NULL;
    bool is_agent;
    enum chy_err r = chy_login_take(ws->login, &use, err);
    if (r == CHY_OK)
        r = ws->upstream->renew(chy_login_settings(use), err);
    bool has_settings = use != NULL;
    chy_login_use_unref(ws->login, use);
    if (r != CHY_OK)
        chy_login_note(ws->login, r, err);
    if (r == CHY_E_EXPIRED || !has_settings)
        return r;
    CHY_TRY(worker_open(w, err));
    /* What ailed the last call may be over. */
    if (!chy_login_is_known(ws->login, w->use, &is_agent) || chy_login_has_trouble(ws->login))
        CHY_TRY(learn_whoami(w, err));
    return r;
}

/* --- threads --- */

struct load {
    size_t working; /* and will be done soon */
    size_t hanging;
};

static struct load load_of_locked(const struct chy_workers *ws)
{
    struct load load = { 0, 0 };
    int64_t slow_us = chy_clock_monotonic_us() - ws->upstream->slow_us;
    for (size_t i = 0; i < ws->n; i++) {
        int64_t since_us = ws->workers[i].since_us;
        load.working += since_us != 0 && since_us > slow_us ? 1 : 0;
        load.hanging += since_us != 0 && since_us <= slow_us ? 1 : 0;
    }
    return load;
}

static bool has_place_locked(const struct chy_workers *ws)
{
    struct load load = load_of_locked(ws);
    return load.working < CHY_WORKERS_MAX && load.hanging < CHY_WORKERS_HUNG_MAX;
}

/* The first that waits, and what may go with it. */
static struct chy_work *chain_take_locked(struct chy_workers *ws)
{
    struct chy_work *first = queue_take(&ws->waiting);
    if (first == NULL || first->kind->joins == NULL)
        return first;
    struct queue rest = { NULL, NULL, 0 };
    struct chy_work *last = first;
    size_t bytes = first->bytes;
    size_t n = 1;
    for (struct chy_work *work = queue_take(&ws->waiting); work != NULL;
         work = queue_take(&ws->waiting)) {
        if (n < CHY_LIMIT_SIGN_ITEMS && bytes + work->bytes <= CHY_WORK_BYTES &&
            work->kind == first->kind && first->kind->joins(first, work)) {
            last = last->next = work;
            bytes += work->bytes;
            n++;
        } else {
            queue_put(&rest, work);
        }
    }
    ws->waiting = rest;
    return first;
}

static void chain_done_locked(struct chy_workers *ws, struct chy_work *first)
{
    const uint64_t one = 1;
    while (first != NULL) {
        struct chy_work *next = first->next;
        queue_put(&ws->done, first);
        first = next;
    }
    /* An eventfd takes 2^64 - 2 before it blocks. */
    CHY_ASSERT(write(ws->event_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

/* What waited too long is not begun: whoever asked has given up. */
static bool is_late(struct chy_work *first)
{
    int64_t now_us = chy_clock_monotonic_us();
    bool all = true;
    for (const struct chy_work *w = first; w != NULL; w = w->next)
        all = all && now_us > w->deadline_us;
    for (struct chy_work *w = first; all && w != NULL; w = w->next)
        w->code = chy_fail(&w->error, CHY_E_TIMEOUT, "the agent had no time for this");
    return all;
}

static void *worker_main(void *arg)
{
    struct chy_worker *w = arg;
    struct chy_workers *ws = w->workers;
    lock(ws);
    while (!ws->is_ending) {
        struct chy_work *first = has_place_locked(ws) ? chain_take_locked(ws) : NULL;
        if (first == NULL) {
            ws->idle++;
            CHY_ASSERT(pthread_cond_wait(&ws->has_work, &ws->mutex) == 0);
            ws->idle--;
            continue;
        }
        w->since_us = chy_clock_monotonic_us();
        unlock(ws);
        if (!is_late(first))
            first->kind->run(first, w);
        lock(ws);
        w->since_us = 0;
        chain_done_locked(ws, first);
    }
    unlock(ws);
    worker_forget(w);
    chy_pubkey_freep(&w->pubkey);
    return NULL;
}

/* They look at each other, so it is counted before it looks. */
static void count_worker(struct chy_workers *ws, int more)
{
    lock(ws);
    ws->n += (size_t)more;
    unlock(ws);
}

/* Signals are for the loop's thread. */
static enum chy_err worker_start(struct chy_workers *ws, struct chy_error *err)
{
    struct chy_worker *w = &ws->workers[ws->n];
    sigset_t all;
    sigset_t before;
    w->workers = ws;
    count_worker(ws, 1);
    CHY_ASSERT(sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int e = pthread_create(&w->thread, NULL, worker_main, w);
    CHY_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (e == 0)
        return CHY_OK;
    count_worker(ws, -1);
    return chy_fail_sys(err, CHY_E_BUSY, e, "cannot start a thread: %s", chy_sys_text(e));
}

static void work_done(struct chy_workers *ws, struct chy_work *work)
{
    ws->pending--;
    ws->pending_bytes -= work->bytes;
    work->kind->done(work);
}

static void on_event(void *ctx, uint32_t events)
{
    struct chy_workers *ws = ctx;
    uint64_t count = 0;
    (void)events;
    CHY_IGNORE(read(ws->event_fd, &count, sizeof count)); /* only to make it quiet */
    lock(ws);
    struct queue done = ws->done;
    ws->done = (struct queue){ NULL, NULL, 0 };
    unlock(ws);
    for (struct chy_work *work = queue_take(&done); work != NULL; work = queue_take(&done))
        work_done(ws, work);
}

/* --- what waits --- */

/* There is work that nobody is free for, and somebody may be started for it. */
static bool needs_thread_locked(const struct chy_workers *ws)
{
    return ws->idle < ws->waiting.n && ws->n < CHY_ARRAY_LEN(ws->workers) && has_place_locked(ws);
}

static enum chy_err no_answer(size_t hanging, struct chy_error *err)
{
    return chy_fail(err, CHY_E_BUSY, "the server does not answer: %zu requests hang", hanging);
}

/* Take out of the queue what waited too long, or all, when it waits for nothing. */
static struct queue late_take_locked(struct chy_workers *ws)
{
    struct queue late = { NULL, NULL, 0 };
    struct queue rest = { NULL, NULL, 0 };
    int64_t now_us = chy_clock_monotonic_us();
    size_t hanging = load_of_locked(ws).hanging;
    for (struct chy_work *w = queue_take(&ws->waiting); w != NULL; w = queue_take(&ws->waiting)) {
        bool is_hopeless = hanging >= CHY_WORKERS_HUNG_MAX;
        bool is_over = now_us > w->deadline_us;
        if (is_hopeless)
            w->code = no_answer(hanging, &w->error);
        else if (is_over)
            w->code = chy_fail(&w->error, CHY_E_TIMEOUT, "the server had no time for this");
        queue_put(is_hopeless || is_over ? &late : &rest, w);
    }
    ws->waiting = rest;
    return late;
}

static void on_look(void *ctx)
{
    struct chy_workers *ws = ctx;
    lock(ws);
    struct queue late = late_take_locked(ws);
    bool is_waiting = ws->waiting.n != 0;
    bool needs_thread = needs_thread_locked(ws);
    CHY_ASSERT(pthread_cond_broadcast(&ws->has_work) == 0); /* one that hangs has made a place */
    unlock(ws);
    if (needs_thread)
        CHY_IGNORE(worker_start(ws, NULL)); /* at the next look, then */
    if (is_waiting)
        chy_timer_set(ws->look, chy_clock_monotonic_us() + LOOK_US);
    for (struct chy_work *w = queue_take(&late); w != NULL; w = queue_take(&late))
        work_done(ws, w);
}

enum chy_err chy_workers_new(struct chy_loop *loop, struct chy_login *login,
                             const struct chy_upstream *upstream, struct chy_workers **ret_workers,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_workers_freep) struct chy_workers *ws = chy_new(struct chy_workers);
    if (ws == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for workers");
    ws->loop = loop;
    ws->login = login;
    ws->upstream = upstream;
    CHY_ASSERT(pthread_mutex_init(&ws->mutex, NULL) == 0);
    CHY_ASSERT(pthread_cond_init(&ws->has_work, NULL) == 0);
    ws->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* checksrc: the workers' own wake-up */
    if (ws->event_fd < 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot make an event descriptor: %s",
                            chy_sys_text(errno));
    CHY_TRY(chy_watch_new(loop, ws->event_fd, EPOLLIN, on_event, ws, &ws->watch, err));
    CHY_TRY(chy_timer_new(loop, on_look, ws, &ws->look, err));
    CHY_TRY(worker_start(ws, err));
    *ret_workers = CHY_TAKE(ws);
    return CHY_OK;
}

void chy_workers_free(struct chy_workers *ws)
{
    if (ws == NULL)
        return;
    lock(ws);
    ws->is_ending = true;
    CHY_ASSERT(pthread_cond_broadcast(&ws->has_work) == 0);
    unlock(ws);
    for (size_t i = 0; i < ws->n; i++)
        CHY_ASSERT(pthread_join(ws->workers[i].thread, NULL) == 0);
    for (struct chy_work *w = queue_take(&ws->waiting); w != NULL; w = queue_take(&ws->waiting)) {
        w->code = chy_fail(&w->error, CHY_E_STATE, "the agent ends");
        queue_put(&ws->done, w);
    }
    for (struct chy_work *w = queue_take(&ws->done); w != NULL; w = queue_take(&ws->done))
        w->kind->done(w);
    chy_timer_free(ws->look);
    chy_watch_free(ws->watch);
    chy_fd_closep(&ws->event_fd);
    CHY_ASSERT(pthread_cond_destroy(&ws->has_work) == 0);
    CHY_ASSERT(pthread_mutex_destroy(&ws->mutex) == 0);
    chy_free(ws);
}

void chy_workers_freep(struct chy_workers **ws)
{
    chy_workers_free(*ws);
}

enum chy_err chy_workers_add(struct chy_workers *ws, struct chy_work *work, struct chy_error *err)
{
    if (ws->pending >= CHY_LIMIT_DOOR_WAITING ||
        ws->pending_bytes + work->bytes > CHY_LIMIT_DOOR_WAITING_BYTES)
        return chy_fail(err, CHY_E_BUSY, "%zu requests of %zu bytes wait in the agent already",
                        ws->pending, ws->pending_bytes);
    lock(ws);
    size_t hanging = load_of_locked(ws).hanging;
    if (hanging >= CHY_WORKERS_HUNG_MAX) {
        unlock(ws);
        return no_answer(hanging, err);
    }
    queue_put(&ws->waiting, work);
    ws->pending++;
    ws->pending_bytes += work->bytes;
    bool needs_thread = needs_thread_locked(ws);
    CHY_ASSERT(pthread_cond_signal(&ws->has_work) == 0);
    unlock(ws);
    if (needs_thread)
        CHY_IGNORE(worker_start(ws, NULL)); /* those that run do it then, later */
    if (!chy_timer_is_set(ws->look))
        chy_timer_set(ws->look, chy_clock_monotonic_us() + LOOK_US);
    return CHY_OK;
}

size_t chy_workers_pending(const struct chy_workers *ws)
{
    return ws->pending;
}
