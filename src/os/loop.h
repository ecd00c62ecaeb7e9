/* SPDX-License-Identifier: MIT */
/* The event loop of a process: descriptors, timers and signals, one thread, on epoll.
 *
 * A turn: sleep until something is due; call watchers and signals; call timers that are due; call
 * the before-sleep hook once; run what was deferred. All watchers and timers may be removed from
 * within any callback, their own included: a removed one is not called again. Remove them before
 * the loop is freed. Not shared. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_loop;
struct chy_watch;
struct chy_timer;

typedef void chy_watch_fn(void *ctx, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
typedef void chy_loop_fn(void *ctx);

/* Errors: CHY_E_NOMEM, CHY_E_IO, CHY_E_BUSY (no descriptors left) */
CHY_MUST_USE enum chy_err chy_loop_new(struct chy_loop **ret_loop, struct chy_error *err);
void chy_loop_free(struct chy_loop *loop);
void chy_loop_freep(struct chy_loop **loop);

/* Turn until chy_loop_stop(). Errors: CHY_E_IO when the loop itself breaks. */
CHY_MUST_USE enum chy_err chy_loop_run(struct chy_loop *loop, struct chy_error *err);
/* One turn that sleeps until `deadline_us` of the monotonic clock at most. */
CHY_MUST_USE enum chy_err chy_loop_turn(struct chy_loop *loop, int64_t deadline_us,
                                        struct chy_error *err);
/* The present turn is the last. May be called before chy_loop_run(), which then returns at once. */
void chy_loop_stop(struct chy_loop *loop);
/* The next turn does not sleep: for work made after the before-sleep hook. */
void chy_loop_wake(struct chy_loop *loop);

/* Called once in every turn, after all callbacks; NULL for none. What it sends on channels leaves
 * in the same turn. */
void chy_loop_set_before_sleep(struct chy_loop *loop, chy_loop_fn *fn, void *ctx);

/* Watch a descriptor, which stays the caller's: remove the watch before closing it.
 * Errors: CHY_E_NOMEM, CHY_E_IO (a file that cannot be watched, a descriptor watched already) */
CHY_MUST_USE enum chy_err chy_watch_new(struct chy_loop *loop, int fd, uint32_t events,
                                        chy_watch_fn *fn, void *ctx, struct chy_watch **ret_watch,
                                        struct chy_error *err);
CHY_MUST_USE enum chy_err chy_watch_modify(struct chy_watch *watch, uint32_t events,
                                           struct chy_error *err);
void chy_watch_free(struct chy_watch *watch);
void chy_watch_freep(struct chy_watch **watch);

/* A timer that is not set. Setting it cannot fail: the room is taken here.
 * Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_timer_new(struct chy_loop *loop, chy_loop_fn *fn, void *ctx,
                                        struct chy_timer **ret_timer, struct chy_error *err);
/* Fire once, at or after `at_us` of the monotonic clock; an earlier setting is forgotten. One set
 * from a timer's callback for a time that has passed fires in the next turn. */
void chy_timer_set(struct chy_timer *timer, int64_t at_us);
void chy_timer_clear(struct chy_timer *timer);
bool chy_timer_is_set(const struct chy_timer *timer);
void chy_timer_free(struct chy_timer *timer);
void chy_timer_freep(struct chy_timer **timer);

/* Call `fn` when the signal comes, in place of what it would do; stays for the life of the loop.
 * The signal is blocked in the calling thread, so set it up before threads are started. Setting a
 * signal again replaces its function.
 * Errors: CHY_E_ARG no such signal; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_loop_signal(struct chy_loop *loop, int signal_number, chy_loop_fn *fn,
                                          void *ctx, struct chy_error *err);

/* Work for the end of this turn, in order, once. The link is the caller's; initialise it with fn
 * and ctx, and call chy_loop_undefer() before it goes away. */
struct chy_deferred {
    chy_loop_fn *fn;
    void *ctx;
    struct chy_deferred *next;
    bool is_queued;
};

void chy_loop_defer(struct chy_loop *loop, struct chy_deferred *d); /* no-op if queued already */
void chy_loop_undefer(struct chy_loop *loop, struct chy_deferred *d);
