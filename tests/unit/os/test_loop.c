/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/loop.h"

#define SOON (chy_clock_monotonic_us() + 20000000) /* never reached by a test that passes */

struct fixture {
    struct chy_loop *loop;
    int pipes[2][2];
    struct chy_watch *watches[2];
    struct chy_timer *timers[8];
    char order[32];
    size_t n;
    unsigned before_sleep;
};

static void note(struct fixture *f, char c)
{
    assert_true(f->n < sizeof f->order - 1);
    f->order[f->n++] = c;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (f == NULL || chy_loop_new(&f->loop, NULL) != CHY_OK)
        return -1;
    return pipe(f->pipes[0]) == 0 && pipe(f->pipes[1]) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(f->timers); i++)
        chy_timer_free(f->timers[i]);
    for (size_t i = 0; i < 2; i++) {
        chy_watch_free(f->watches[i]);
        close(f->pipes[i][0]);
        close(f->pipes[i][1]);
    }
    chy_loop_free(f->loop);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    assert_int_equal(chy_loop_turn(f->loop, SOON, NULL), CHY_OK);
}

static void fill(struct fixture *f, size_t i)
{
    assert_int_equal(write(f->pipes[i][1], "x", 1), 1);
}

static void remove_both(void *ctx, uint32_t events)
{
    struct fixture *f = ctx;
    assert_true((events & EPOLLIN) != 0);
    note(f, 'r');
    chy_watch_freep(&f->watches[0]);
    chy_watch_freep(&f->watches[1]);
}

static void note_ready(void *ctx, uint32_t events)
{
    note(ctx, (events & EPOLLOUT) != 0 ? 'o' : 'i');
}

static void stop(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 's');
    chy_loop_stop(f->loop);
}

static void note_t(void *ctx)
{
    note(ctx, 't');
}

static void test_watch__is_called_while_ready(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        chy_watch_new(f->loop, f->pipes[0][0], EPOLLIN, note_ready, f, &f->watches[0], NULL),
        CHY_OK);
    fill(f, 0);
    turn(f);
    turn(f);
    assert_string_equal(f->order, "ii");
}

static void test_watch_modify__changes_what_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_watch_new(f->loop, f->pipes[0][1], 0, note_ready, f, &f->watches[0], NULL),
                     CHY_OK);
    assert_int_equal(chy_loop_turn(f->loop, 0, NULL), CHY_OK);
    assert_string_equal(f->order, "");
    assert_int_equal(chy_watch_modify(f->watches[0], EPOLLOUT, NULL), CHY_OK);
    turn(f);
    assert_string_equal(f->order, "o");
}

static void test_watch_free__in_a_callback_silences_the_others_event(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            chy_watch_new(f->loop, f->pipes[i][0], EPOLLIN, remove_both, f, &f->watches[i], NULL),
            CHY_OK);
        fill(f, i);
    }
    turn(f); /* both are ready in this one turn */
    assert_string_equal(f->order, "r");
    assert_int_equal(chy_loop_turn(f->loop, 0, NULL), CHY_OK);
    assert_string_equal(f->order, "r");
}

static void test_watch_new__twice_or_a_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct chy_watch *w = NULL;
    assert_int_equal(
        chy_watch_new(f->loop, f->pipes[0][0], EPOLLIN, note_ready, f, &f->watches[0], NULL),
        CHY_OK);
    assert_int_equal(chy_watch_new(f->loop, f->pipes[0][0], EPOLLIN, note_ready, f, &w, NULL),
                     CHY_E_IO);
    assert_int_equal(chy_watch_new(f->loop, 9999, EPOLLIN, note_ready, f, &w, NULL), CHY_E_IO);
    assert_null(w);
}

static void timer_a(void *ctx)
{
    note(ctx, 'a');
}

static void timer_b(void *ctx)
{
    note(ctx, 'b');
}

static void timer_c(void *ctx)
{
    note(ctx, 'c');
}

static void test_timer__fires_in_order_of_time_once(void **state)
{
    struct fixture *f = *state;
    chy_loop_fn *fns[] = { timer_a, timer_b, timer_c };
    int64_t now = chy_clock_monotonic_us();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(chy_timer_new(f->loop, fns[i], f, &f->timers[i], NULL), CHY_OK);
    chy_timer_set(f->timers[0], now - 10);
    chy_timer_set(f->timers[1], now - 30);
    chy_timer_set(f->timers[2], now - 20);
    assert_true(chy_timer_is_set(f->timers[0]));
    turn(f);
    assert_string_equal(f->order, "bca");
    assert_false(chy_timer_is_set(f->timers[0]));
    assert_int_equal(chy_loop_turn(f->loop, 0, NULL), CHY_OK);
    assert_string_equal(f->order, "bca");
}

static void test_timer__not_before_its_time(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_timer_new(f->loop, stop, f, &f->timers[0], NULL), CHY_OK);
    int64_t at = chy_clock_monotonic_us() + 3000;
    chy_timer_set(f->timers[0], at);
    assert_int_equal(chy_loop_run(f->loop, NULL), CHY_OK);
    assert_true(chy_clock_monotonic_us() >= at);
    assert_string_equal(f->order, "s");
}

static void test_timer_clear__and_setting_anew(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_timer_new(f->loop, timer_a, f, &f->timers[0], NULL), CHY_OK);
    assert_int_equal(chy_timer_new(f->loop, timer_b, f, &f->timers[1], NULL), CHY_OK);
    chy_timer_set(f->timers[0], 1);
    chy_timer_clear(f->timers[0]);
    chy_timer_set(f->timers[1], SOON);
    chy_timer_set(f->timers[1], 1);
    turn(f);
    assert_string_equal(f->order, "b");
}

static void timer_again(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 'g');
    chy_timer_set(f->timers[0], 0);
}

static void test_timer__set_by_itself_waits_for_the_next_turn(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_timer_new(f->loop, timer_again, f, &f->timers[0], NULL), CHY_OK);
    assert_int_equal(chy_timer_new(f->loop, timer_b, f, &f->timers[1], NULL), CHY_OK);
    chy_timer_set(f->timers[0], 0);
    chy_timer_set(f->timers[1], 5);
    turn(f);
    assert_string_equal(f->order, "gb"); /* and the one behind it had its turn too */
    turn(f);
    assert_string_equal(f->order, "gbg");
}

static void timer_free_all(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 'f');
    for (size_t i = 0; i < CHY_ARRAY_LEN(f->timers); i++)
        chy_timer_freep(&f->timers[i]);
}

static void test_timer_free__in_a_callback(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(f->timers); i++) {
        assert_int_equal(chy_timer_new(f->loop, timer_free_all, f, &f->timers[i], NULL), CHY_OK);
        chy_timer_set(f->timers[i], (int64_t)i);
    }
    turn(f);
    assert_string_equal(f->order, "f");
}

/* Against a plain search for the smallest. */
static void test_timer__random_sets_and_clears_keep_the_order(void **state)
{
    (void)state;
    enum {
        COUNT = 100
    };
    static struct fixture f;
    static struct chy_timer *timers[COUNT];
    int64_t at[COUNT];
    uint32_t seed = 12345;
    f = (struct fixture){ .n = 0 };
    assert_int_equal(chy_loop_new(&f.loop, NULL), CHY_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(chy_timer_new(f.loop, note_t, &f, &timers[i], NULL), CHY_OK);
        at[i] = INT64_MAX;
    }
    int64_t far = chy_clock_monotonic_us() + 1000000000;
    for (size_t step = 0; step < 5000; step++) {
        seed = seed * 1664525u + 1013904223u;
        size_t i = (seed >> 8) % COUNT;
        if ((seed >> 24) % 3 == 0) {
            chy_timer_clear(timers[i]);
            at[i] = INT64_MAX;
        } else {
            at[i] = far + (int64_t)(seed % 1000);
            chy_timer_set(timers[i], at[i]);
        }
        assert_int_equal(chy_timer_is_set(timers[i]), at[i] != INT64_MAX);
    }
    /* The loop sleeps until the earliest: clearing all but one leaves that one to fire. */
    for (size_t i = 0; i < COUNT; i++)
        chy_timer_set(timers[i], at[i] == INT64_MAX ? 0 : far);
    size_t expected = 0;
    for (size_t i = 0; i < COUNT; i++)
        expected += at[i] == INT64_MAX;
    assert_true(expected < sizeof f.order);
    assert_int_equal(chy_loop_turn(f.loop, 0, NULL), CHY_OK);
    assert_int_equal(f.n, expected);
    for (size_t i = 0; i < COUNT; i++)
        chy_timer_free(timers[i]);
    chy_loop_free(f.loop);
}

static void note_hook(void *ctx)
{
    struct fixture *f = ctx;
    f->before_sleep++;
}

static void test_loop_before_sleep__once_a_turn(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            chy_watch_new(f->loop, f->pipes[i][0], EPOLLIN, note_ready, f, &f->watches[i], NULL),
            CHY_OK);
        fill(f, i);
    }
    chy_loop_set_before_sleep(f->loop, note_hook, f);
    turn(f);
    assert_string_equal(f->order, "ii");
    assert_int_equal(f->before_sleep, 1);
}

struct hook {
    struct fixture *f;
    struct chy_deferred first;
    struct chy_deferred second;
};

static void defer_both(void *ctx)
{
    struct hook *h = ctx;
    note(h->f, 'h');
    chy_loop_defer(h->f->loop, &h->first);
    chy_loop_defer(h->f->loop, &h->second);
    chy_loop_defer(h->f->loop, &h->first); /* no-op */
}

static void test_loop_defer__runs_after_the_hook_in_order_once(void **state)
{
    struct fixture *f = *state;
    struct hook h = { .f = f,
                      .first = { .fn = timer_a, .ctx = f },
                      .second = { .fn = timer_b, .ctx = f } };
    chy_loop_set_before_sleep(f->loop, defer_both, &h);
    assert_int_equal(chy_loop_turn(f->loop, 0, NULL), CHY_OK);
    assert_string_equal(f->order, "hab");
    chy_loop_set_before_sleep(f->loop, NULL, NULL);
    assert_int_equal(chy_loop_turn(f->loop, 0, NULL), CHY_OK);
    assert_string_equal(f->order, "hab");
}

static void test_loop_undefer__first_middle_last(void **state)
{
    struct fixture *f = *state;
    struct chy_deferred d[3] = { { .fn = timer_a, .ctx = f },
                                 { .fn = timer_b, .ctx = f },
                                 { .fn = timer_c, .ctx = f } };
    for (size_t out = 0; out < 3; out++) {
        for (size_t i = 0; i < 3; i++)
            chy_loop_defer(f->loop, &d[i]);
        chy_loop_undefer(f->loop, &d[out]);
        chy_loop_undefer(f->loop, &d[out]); /* no-op */
        turn(f);                            /* does not sleep: work waits */
    }
    assert_string_equal(f->order, "bcacab");
}

static void test_loop_wake__does_not_sleep(void **state)
{
    struct fixture *f = *state;
    chy_loop_wake(f->loop);
    assert_int_equal(chy_loop_turn(f->loop, CHY_NO_DEADLINE, NULL), CHY_OK);
}

static void test_loop_stop__before_run(void **state)
{
    struct fixture *f = *state;
    chy_loop_stop(f->loop);
    assert_int_equal(chy_loop_run(f->loop, NULL), CHY_OK);
}

static void test_loop_signal__is_a_call_not_a_death(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_loop_signal(f->loop, SIGUSR1, timer_a, f, NULL), CHY_OK);
    assert_int_equal(chy_loop_signal(f->loop, SIGTERM, stop, f, NULL), CHY_OK);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    turn(f);
    assert_string_equal(f->order, "a");
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(chy_loop_run(f->loop, NULL), CHY_OK);
    assert_string_equal(f->order, "as");
}

static void test_loop_signal__wrong_numbers(void **state)
{
    struct fixture *f = *state;
    static const int wrong[] = { 0, -1, 65, SIGKILL, SIGSTOP, 32 /* the C library's own */ };
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong); i++)
        assert_int_equal(chy_loop_signal(f->loop, wrong[i], timer_a, f, NULL), CHY_E_ARG);
}

static void test_loop__allocation_sweep(void **state)
{
    struct fixture *f = *state;
    bool is_done = false;
    for (size_t n = 0; !is_done; n++) {
        assert_true(n < 20);
        struct chy_loop *loop = NULL;
        struct chy_watch *w = NULL;
        struct chy_timer *t = NULL;
        chy_mem_fail_after(n);
        is_done = chy_loop_new(&loop, NULL) == CHY_OK &&
                  chy_watch_new(loop, f->pipes[0][0], EPOLLIN, note_ready, f, &w, NULL) == CHY_OK &&
                  chy_timer_new(loop, timer_a, f, &t, NULL) == CHY_OK;
        assert_true(is_done != chy_mem_has_failed());
        chy_mem_fail_after(SIZE_MAX);
        chy_timer_free(t);
        chy_watch_free(w);
        chy_loop_free(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_watch__is_called_while_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_modify__changes_what_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_free__in_a_callback_silences_the_others_event,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_new__twice_or_a_file_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_timer__fires_in_order_of_time_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timer__not_before_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timer_clear__and_setting_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timer__set_by_itself_waits_for_the_next_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_timer_free__in_a_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timer__random_sets_and_clears_keep_the_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_loop_before_sleep__once_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_defer__runs_after_the_hook_in_order_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_loop_undefer__first_middle_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_wake__does_not_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_stop__before_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_signal__is_a_call_not_a_death, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_signal__wrong_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop__allocation_sweep, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
