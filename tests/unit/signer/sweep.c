/* SPDX-License-Identifier: MIT */
#include "sweep.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND_US INT64_C(1000000)
#define STEPS_MAX 2000 /* a sweep that does not end */

static sweep_limit_fn *limit_of_signer; /* which the child inherits */

static void on_limit(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    limit_of_signer(info->si_value.sival_int);
}

void sweep_setup(struct fixture *f, sweep_limit_fn *limit)
{
    struct sigaction action = { .sa_sigaction = on_limit, .sa_flags = SA_SIGINFO | SA_RESTART };
    limit_of_signer = limit;
    assert_int_equal(sigaction(SIGRTMIN, &action, NULL), 0);
    fx_init(f, NULL);
    f->config.log_level = CHY_STR("error");
    fx_start(f);
    fx_ready_to_sign(f);
    fx_settle(f);
}

static void set_limit(const struct fixture *f, int n)
{
    const union sigval value = { .sival_int = n };
    /* It may have ended meanwhile. */
    if (sigqueue(f->pid, SIGRTMIN, value) != 0)
        assert_int_equal(errno, ESRCH);
}

static uint64_t waits_for;

static bool is_decided(struct fixture *f)
{
    return fx_has_reply(f, waits_for) || !chy_channel_is_open(f->supervisor) ||
           !chy_channel_is_open(f->fronts[0]);
}

static uint64_t asked;

static bool is_alive_or_over(struct fixture *f)
{
    return fx_has_reply(f, asked) || !chy_channel_is_open(f->supervisor);
}

/* A signer that ends says its last words first, and takes nothing any more: whether it is such a
 * one tells the front that had no part in it. */
static bool has_survived(struct fixture *f)
{
    const struct chy_empty empty = { 0 };
    const struct chy_call call = { .op = CHY_OP_TOKENS_LIST, .caller = fx_caller("root") };
    asked = fx_call_raw(f, 1, &call, &empty);
    fx_pump(f, SECOND_US, is_alive_or_over);
    if (fx_has_reply(f, asked))
        CHY_IGNORE(fx_reply(f, asked, CHY_OP_TOKENS_LIST, NULL)); /* any will do */
    return chy_channel_is_open(f->supervisor);
}

/* Bring back what went. */
static void recover(struct fixture *f)
{
    set_limit(f, SWEEP_ALL);
    fx_pump(f, SECOND_US / 50, NULL);
    if (has_survived(f)) {
        fx_connect_front(f, 0);
        fx_connect_front(f, 1);
        fx_connect_inspect(f);
    } else {
        assert_int_equal(fx_wait_exit(f), EXIT_FAILURE); /* no signal, no assertion */
        fx_start(f);
    }
    fx_renew_workers(f);
    assert_int_equal(fx_signed(f, fx_sign(f, "k", 1), NULL), CHY_OK);
    fx_settle(f);
}

/* Signatures that somebody has, at least: each must be in the log at the end. */
static size_t answered_at(struct fixture *f, enum chy_op op, bool is_done)
{
    struct chy_sign_response response = { 0 };
    if (op != CHY_OP_SIGN)
        return !is_done ? 0 : fx_reply(f, waits_for, op, NULL) == CHY_OK;
    if (!is_done || fx_reply(f, waits_for, op, &response) != CHY_OK)
        return 0;
    /* A checkpoint that somebody was shown outlives the signer. */
    uint64_t published = fx_published(f);
    for (size_t i = 0; i < response.results.n; i++)
        if (response.results.p[i].receipt.n > 0)
            assert_true(response.results.p[i].outcome->index < published);
    return response.results.n;
}

static void check_end(struct fixture *f, size_t answered)
{
    size_t open = 1;
    fx_stop(f);
    fx_check_log(f, &open);
    assert_int_equal(open, 0);
    assert_int_equal(f->unlogged, 0);
    assert_true(fx_count(f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE) >= answered);
}

void sweep(struct fixture *f, enum chy_op op, sweep_begin_fn *begin)
{
    size_t successes = 0;
    size_t answered = 0; /* signatures */
    for (int n = 0; successes < 3; n++) {
        assert_true(n < STEPS_MAX);
        set_limit(f, n);
        waits_for = begin(f);
        fx_pump(f, SECOND_US / 10, is_decided);
        size_t got = answered_at(f, op, fx_has_reply(f, waits_for));
        successes = got != 0 ? successes + 1 : 0;
        recover(f);
        answered += 1 + (op == CHY_OP_SIGN ? got : 0);
        fx_reset(f);
    }
    check_end(f, answered);
}

uint64_t sweep_begin_sign(struct fixture *f)
{
    struct chy_sign_request request = fx_sign_request(f, "k", 3);
    request.receipt = CHY_RECEIPT_FULL;
    return fx_call(f, CHY_OP_SIGN, "alice", &request);
}

uint64_t sweep_begin_toggle(struct fixture *f)
{
    static bool is_off;
    const struct chy_key_name key = { CHY_STR("other") };
    is_off = !is_off;
    return fx_call(f, is_off ? CHY_OP_KEYS_DISABLE : CHY_OP_KEYS_ENABLE, "root", &key);
}

uint64_t sweep_begin_policy(struct fixture *f)
{
    const struct chy_policy_apply r = { .policy = CHY_STR("version: 1\n"
                                                          "rules:\n"
                                                          "  - name: alice\n"
                                                          "    effect: allow\n"
                                                          "    match:\n"
                                                          "      principal: alice\n") };
    return fx_call(f, CHY_OP_POLICIES_APPLY, "root", &r);
}
