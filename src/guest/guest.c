/* SPDX-License-Identifier: MIT */
#include "guest/guest.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* For the handlers of fork, which get no argument. */
static struct {
    pthread_once_t once;
    _Atomic(struct chy_guest *) guest; /* several threads may be the first */
    bool is_watched;
} forks = { .once = PTHREAD_ONCE_INIT };

void chy_guest_lock(struct chy_guest *g)
{
    CHY_IGNORE(pthread_mutex_lock(&g->lock)); /* of the default kind: it has no failure */
}

void chy_guest_unlock(struct chy_guest *g)
{
    CHY_IGNORE(pthread_mutex_unlock(&g->lock)); /* likewise */
}

void chy_guest_changed_locked(struct chy_guest *g)
{
    CHY_IGNORE(pthread_cond_broadcast(&g->changed)); /* likewise */
}

static struct timespec timespec_of(int64_t us)
{
    return (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
}

enum chy_err chy_guest_wait_locked(struct chy_guest *g, int64_t until_us, struct chy_error *err)
{
    struct timespec until = timespec_of(until_us);
    int e = pthread_cond_clockwait(&g->changed, &g->lock, CLOCK_MONOTONIC, &until);
    if (g->phase != CHY_GUEST_UP)
        return chy_fail(err, CHY_E_STATE, "its use of Chancery was ended meanwhile");
    return e == 0 ? CHY_OK : chy_fail(err, CHY_E_TIMEOUT, "another call took too long");
}

/* --- fork --- */

static void disown_locked(struct chy_guest *g)
{
    chy_guest_links_disown_locked(&g->links);
    chy_guest_helper_forget_locked(&g->helper);
    if (g->disown_locked != NULL)
        g->disown_locked(g);
    g->calls = 0;
    g->pid = getpid();
    if (g->phase != CHY_GUEST_ENDING)
        return;
    g->config = (struct chy_guest_config){ 0 };
    g->phase = CHY_GUEST_DOWN;
}

static void fork_prepare(void)
{
    chy_guest_lock(forks.guest);
}

static void fork_parent(void)
{
    chy_guest_unlock(forks.guest);
}

/* No other thread is here, so nobody waits for either. */
static void fork_child(void)
{
    struct chy_guest *g = forks.guest;
    if (g->phase != CHY_GUEST_DOWN)
        disown_locked(g);
    g->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    g->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static void forks_watch(void)
{
    forks.is_watched = pthread_atfork(fork_prepare, fork_parent, fork_child) == 0;
}

/* Not under the mutex, which the handlers take: glibc has a lock of its own around the list. */
enum chy_err chy_guest_watch_forks(struct chy_guest *g, struct chy_error *err)
{
    struct chy_guest *nobody = NULL;
    atomic_compare_exchange_strong(&forks.guest, &nobody, g);
    CHY_IGNORE(pthread_once(&forks.once, forks_watch)); /* it has no failure */
    return forks.is_watched ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory to see forks");
}

/* --- up and down --- */

void chy_guest_settle_locked(struct chy_guest *g)
{
    while (g->phase == CHY_GUEST_ENDING)
        CHY_IGNORE(pthread_cond_wait(&g->changed, &g->lock)); /* it has no failure */
    if (g->phase == CHY_GUEST_UP && g->pid != getpid())
        disown_locked(g);
}

void chy_guest_start_locked(struct chy_guest *g, struct chy_guest_config *config)
{
    g->config = *config;
    *config = (struct chy_guest_config){ 0 };
    g->phase = CHY_GUEST_UP;
    g->pid = getpid();
}

void chy_guest_stop_locked(struct chy_guest *g)
{
    g->phase = CHY_GUEST_ENDING;
    chy_guest_links_shut_locked(&g->links);
    chy_guest_changed_locked(g);
    while (g->calls != 0)
        CHY_IGNORE(pthread_cond_wait(&g->changed, &g->lock)); /* it has no failure */
}

void chy_guest_release_locked(struct chy_guest *g)
{
    chy_guest_links_done(&g->links);
    chy_guest_helper_forget_locked(&g->helper);
    chy_guest_config_done(&g->config);
    g->phase = CHY_GUEST_DOWN;
    chy_guest_changed_locked(g);
}

/* --- the frame around a call --- */

bool chy_guest_enter_locked(struct chy_guest *g)
{
    if (g->phase == CHY_GUEST_UP && g->pid != getpid())
        disown_locked(g);
    if (g->phase != CHY_GUEST_UP)
        return false;
    g->calls++;
    return true;
}

bool chy_guest_leave_locked(struct chy_guest *g)
{
    if (--g->calls == 0)
        chy_guest_changed_locked(g);
    return g->phase == CHY_GUEST_ENDING;
}
