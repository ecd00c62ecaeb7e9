/* SPDX-License-Identifier: MIT */
#include "os/timers.h"

#include "base/mem.h"
#include "os/fd.h"

#define NOT_SET SIZE_MAX

struct chy_timer {
    struct chy_timers *timers;
    chy_loop_fn *fn;
    void *ctx;
    int64_t at_us;
    size_t index; /* in the heap, or NOT_SET */
};

static void heap_put(struct chy_timers *t, size_t i, struct chy_timer *timer)
{
    t->heap[i] = timer;
    timer->index = i;
}

static bool is_before(const struct chy_timer *a, const struct chy_timer *b)
{
    return a->at_us < b->at_us;
}

static void heap_up(struct chy_timers *t, size_t i)
{
    struct chy_timer *timer = t->heap[i];
    while (i > 0 && is_before(timer, t->heap[(i - 1) / 2])) {
        heap_put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(t, i, timer);
}

static void heap_down(struct chy_timers *t, size_t i)
{
    struct chy_timer *timer = t->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && is_before(t->heap[child + 1], t->heap[child]))
            child++;
        if (!is_before(t->heap[child], timer))
            break;
        heap_put(t, i, t->heap[child]);
        i = child;
    }
    heap_put(t, i, timer);
}

void chy_timers_init(struct chy_timers *t)
{
    *t = (struct chy_timers){ .earliest_us = INT64_MIN };
}

enum chy_err chy_timers_add(struct chy_timers *t, chy_loop_fn *fn, void *ctx,
                            struct chy_timer **ret_timer, struct chy_error *err)
{
    if (t->made == t->cap) {
        size_t cap = t->cap != 0 ? t->cap * 2 : 16;
        size_t bytes;
        if (__builtin_mul_overflow(cap, sizeof(struct chy_timer *), &bytes))
            return chy_fail(err, CHY_E_NOMEM, "too many timers");
        struct chy_timer **heap = chy_realloc(t->heap, bytes);
        if (heap == NULL)
            return chy_fail(err, CHY_E_NOMEM, "out of memory for a timer");
        t->heap = heap;
        t->cap = cap;
    }
    struct chy_timer *timer = chy_new(struct chy_timer);
    if (timer == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a timer");
    *timer = (struct chy_timer){ .timers = t, .fn = fn, .ctx = ctx, .index = NOT_SET };
    t->made++;
    *ret_timer = timer;
    return CHY_OK;
}

void chy_timers_done(struct chy_timers *t)
{
    CHY_ASSERT(t->made == 0);
    chy_free(t->heap);
    *t = (struct chy_timers){ 0 };
}

int64_t chy_timers_next_us(const struct chy_timers *t)
{
    return t->n != 0 ? t->heap[0]->at_us : CHY_NO_DEADLINE;
}

void chy_timers_fire(struct chy_timers *t, int64_t now_us)
{
    t->earliest_us = now_us < INT64_MAX ? now_us + 1 : now_us;
    while (t->n > 0 && t->heap[0]->at_us <= now_us) {
        struct chy_timer *timer = t->heap[0];
        chy_timer_clear(timer);
        timer->fn(timer->ctx); /* may free any timer, its own too */
    }
    t->earliest_us = INT64_MIN;
}

void chy_timer_set(struct chy_timer *timer, int64_t at_us)
{
    struct chy_timers *t = timer->timers;
    chy_timer_clear(timer);
    timer->at_us = CHY_MAX(at_us, t->earliest_us);
    heap_put(t, t->n, timer);
    t->n++;
    heap_up(t, t->n - 1);
}

void chy_timer_clear(struct chy_timer *timer)
{
    if (timer->index == NOT_SET)
        return;
    struct chy_timers *t = timer->timers;
    size_t i = timer->index;
    timer->index = NOT_SET;
    t->n--;
    if (i == t->n)
        return;
    heap_put(t, i, t->heap[t->n]);
    heap_down(t, i);
    heap_up(t, i);
}

bool chy_timer_is_set(const struct chy_timer *timer)
{
    return timer->index != NOT_SET;
}

void chy_timer_free(struct chy_timer *timer)
{
    if (timer == NULL)
        return;
    chy_timer_clear(timer);
    timer->timers->made--;
    chy_free(timer);
}

void chy_timer_freep(struct chy_timer **timer)
{
    chy_timer_free(*timer);
    *timer = NULL;
}
