/* SPDX-License-Identifier: MIT */
#include "os/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"
#include "os/timers.h"

#define EVENTS_PER_TURN 64
#define SIGNALS_MAX     65 /* numbers 1 to 64 */

struct chy_watch {
    struct chy_loop *loop;
    int fd;
    uint32_t events;
    chy_watch_fn *fn;
    void *ctx;
    bool is_removed;
    struct chy_watch *next_dead;
};

struct signal_row {
    chy_loop_fn *fn;
    void *ctx;
};

struct chy_loop {
    int epoll_fd;
    int signal_fd;
    sigset_t signals;
    struct chy_watch *signal_watch;
    struct signal_row signal_rows[SIGNALS_MAX];
    struct chy_timers timers;
    chy_loop_fn *before_sleep;
    void *before_sleep_ctx;
    struct chy_deferred *deferred_first;
    struct chy_deferred *deferred_last;
    struct chy_watch *dead; /* removed; events of this turn may still point at them */
    bool is_turning;
    bool is_stopped;
    bool is_woken;
};

enum chy_err chy_loop_new(struct chy_loop **ret_loop, struct chy_error *err)
{
    CHY_CLEANUP(chy_loop_freep) struct chy_loop *loop = chy_new(struct chy_loop);
    if (loop == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for an event loop");
    loop->signal_fd = -1;
    chy_timers_init(&loop->timers);
    sigemptyset(&loop->signals);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot make an event loop: %s",
                            chy_sys_text(errno));
    *ret_loop = CHY_TAKE(loop);
    return CHY_OK;
}

static void dead_free(struct chy_loop *loop)
{
    while (loop->dead != NULL) {
        struct chy_watch *next = loop->dead->next_dead;
        chy_free(loop->dead);
        loop->dead = next;
    }
}

void chy_loop_free(struct chy_loop *loop)
{
    if (loop == NULL)
        return;
    CHY_ASSERT(!loop->is_turning);
    chy_watch_free(loop->signal_watch);
    dead_free(loop);
    chy_timers_done(&loop->timers);
    chy_fd_closep(&loop->signal_fd);
    chy_fd_closep(&loop->epoll_fd);
    chy_free(loop);
}

void chy_loop_freep(struct chy_loop **loop)
{
    chy_loop_free(*loop);
    *loop = NULL;
}

void chy_loop_stop(struct chy_loop *loop)
{
    loop->is_stopped = true;
}

void chy_loop_wake(struct chy_loop *loop)
{
    loop->is_woken = true;
}

void chy_loop_set_before_sleep(struct chy_loop *loop, chy_loop_fn *fn, void *ctx)
{
    loop->before_sleep = fn;
    loop->before_sleep_ctx = ctx;
}

/* --- watchers --- */

enum chy_err chy_watch_new(struct chy_loop *loop, int fd, uint32_t events, chy_watch_fn *fn,
                           void *ctx, struct chy_watch **ret_watch, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) struct chy_watch *w = chy_new(struct chy_watch);
    if (w == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a watcher");
    *w = (struct chy_watch){ .loop = loop, .fd = fd, .events = events, .fn = fn, .ctx = ctx };
    struct epoll_event ev = { .events = events, .data = { .ptr = w } };
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        return chy_fail_sys(err, errno == ENOMEM ? CHY_E_NOMEM : CHY_E_IO, errno,
                            "cannot watch descriptor %d: %s", fd, chy_sys_text(errno));
    *ret_watch = CHY_TAKE(w);
    return CHY_OK;
}

enum chy_err chy_watch_modify(struct chy_watch *watch, uint32_t events, struct chy_error *err)
{
    if (watch->events == events)
        return CHY_OK;
    struct epoll_event ev = { .events = events, .data = { .ptr = watch } };
    if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &ev) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot watch descriptor %d: %s", watch->fd,
                            chy_sys_text(errno));
    watch->events = events;
    return CHY_OK;
}

void chy_watch_free(struct chy_watch *watch)
{
    if (watch == NULL)
        return;
    struct chy_loop *loop = watch->loop;
    /* Fails only when the descriptor was closed before, and then the kernel forgot it already. */
    CHY_IGNORE(epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL));
    watch->is_removed = true;
    watch->next_dead = loop->dead;
    loop->dead = watch;
    if (!loop->is_turning)
        dead_free(loop);
}

void chy_watch_freep(struct chy_watch **watch)
{
    chy_watch_free(*watch);
    *watch = NULL;
}

/* --- timers: timers.c keeps their order --- */

enum chy_err chy_timer_new(struct chy_loop *loop, chy_loop_fn *fn, void *ctx,
                           struct chy_timer **ret_timer, struct chy_error *err)
{
    return chy_timers_add(&loop->timers, fn, ctx, ret_timer, err);
}

/* --- signals --- */

static void signals_ready(void *ctx, uint32_t events)
{
    CHY_IGNORE(events); /* readable is all that a signalfd gets */
    struct chy_loop *loop = ctx;
    struct signalfd_siginfo info;
    while (read(loop->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo >= SIGNALS_MAX)
            continue;
        struct signal_row row = loop->signal_rows[info.ssi_signo];
        if (row.fn != NULL)
            row.fn(row.ctx);
    }
}

enum chy_err chy_loop_signal(struct chy_loop *loop, int signal_number, chy_loop_fn *fn, void *ctx,
                             struct chy_error *err)
{
    if (signal_number < 1 || signal_number >= SIGNALS_MAX || signal_number == SIGKILL ||
        signal_number == SIGSTOP)
        return chy_fail(err, CHY_E_ARG, "signal %d cannot be watched", signal_number);
    sigset_t wanted = loop->signals;
    if (sigaddset(&wanted, signal_number) != 0)
        return chy_fail(err, CHY_E_ARG, "signal %d cannot be watched", signal_number);
    int fd = signalfd(loop->signal_fd, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot watch signals: %s", chy_sys_text(errno));
    loop->signal_fd = fd;
    if (loop->signal_watch == NULL)
        CHY_TRY(chy_watch_new(loop, fd, EPOLLIN, signals_ready, loop, &loop->signal_watch, err));
    int r = pthread_sigmask(SIG_BLOCK, &wanted, NULL);
    if (r != 0)
        return chy_fail_sys(err, CHY_E_IO, r, "cannot block signals: %s", chy_sys_text(r));
    loop->signals = wanted;
    loop->signal_rows[signal_number] = (struct signal_row){ fn, ctx };
    return CHY_OK;
}

/* --- deferred work --- */

void chy_loop_defer(struct chy_loop *loop, struct chy_deferred *d)
{
    if (d->is_queued)
        return;
    d->is_queued = true;
    d->next = NULL;
    if (loop->deferred_last != NULL)
        loop->deferred_last->next = d;
    else
        loop->deferred_first = d;
    loop->deferred_last = d;
}

void chy_loop_undefer(struct chy_loop *loop, struct chy_deferred *d)
{
    if (!d->is_queued)
        return;
    struct chy_deferred *before = NULL;
    for (struct chy_deferred *at = loop->deferred_first; at != d; at = at->next)
        before = at;
    if (before != NULL)
        before->next = d->next;
    else
        loop->deferred_first = d->next;
    if (loop->deferred_last == d)
        loop->deferred_last = before;
    d->is_queued = false;
}

static void deferred_run(struct chy_loop *loop)
{
    while (loop->deferred_first != NULL) {
        struct chy_deferred *d = loop->deferred_first;
        chy_loop_undefer(loop, d);
        d->fn(d->ctx);
    }
}

/* --- turns --- */

static int events_wait(struct chy_loop *loop, struct epoll_event events[EVENTS_PER_TURN],
                       int64_t deadline_us)
{
    int64_t at_us = CHY_MIN(deadline_us, chy_timers_next_us(&loop->timers));
    /* Deferred before the loop ran: it has waited long enough. */
    bool may_sleep = !loop->is_woken && loop->deferred_first == NULL;
    loop->is_woken = false;
    int64_t left_us = 0;
    if (may_sleep && at_us != CHY_NO_DEADLINE)
        left_us = CHY_MAX(at_us - chy_clock_monotonic_us(), (int64_t)0);
    bool is_endless = may_sleep && at_us == CHY_NO_DEADLINE;
    struct timespec ts = { .tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000 };
    int n = epoll_pwait2(loop->epoll_fd, events, EVENTS_PER_TURN, is_endless ? NULL : &ts, NULL);
    if (n >= 0 || errno != ENOSYS)
        return n;
    /* Before Linux 5.11, and in valgrind 3.19: milliseconds, rounded up. */
    int64_t left_ms = CHY_MIN((left_us + 999) / 1000, (int64_t)INT32_MAX);
    return epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, is_endless ? -1 : (int)left_ms);
}

enum chy_err chy_loop_turn(struct chy_loop *loop, int64_t deadline_us, struct chy_error *err)
{
    CHY_ASSERT(!loop->is_turning);
    struct epoll_event events[EVENTS_PER_TURN];
    int n = events_wait(loop, events, deadline_us);
    if (n < 0 && errno != EINTR)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot wait for events: %s",
                            chy_sys_text(errno));
    loop->is_turning = true;
    for (int i = 0; i < n; i++) {
        struct chy_watch *w = events[i].data.ptr;
        if (!w->is_removed)
            w->fn(w->ctx, events[i].events);
    }
    chy_timers_fire(&loop->timers, chy_clock_monotonic_us());
    if (loop->before_sleep != NULL)
        loop->before_sleep(loop->before_sleep_ctx);
    deferred_run(loop);
    loop->is_turning = false;
    dead_free(loop);
    return CHY_OK;
}

enum chy_err chy_loop_run(struct chy_loop *loop, struct chy_error *err)
{
    enum chy_err r = CHY_OK;
    while (r == CHY_OK && !loop->is_stopped)
        r = chy_loop_turn(loop, CHY_NO_DEADLINE, err);
    loop->is_stopped = false;
    return r;
}
