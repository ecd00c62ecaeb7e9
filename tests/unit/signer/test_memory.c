/* SPDX-License-Identifier: MIT */
/* A signer whose memory ends at the n-th allocation of a request, for every n: it may answer an
 * error, not answer, or end; it may not crash, nor sign what is not written, nor leave an intent
 * without outcome. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "signer_fixture.h"

#define SECOND_US INT64_C(1000000)
#define FOR_EVER  INT32_MAX /* allocations that pass: all */

static struct fixture f;

/* In the signer, which inherits it: how many allocations still pass. */
static void on_limit(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    int n = info->si_value.sival_int;
    chy_mem_fail_after(n == FOR_EVER ? SIZE_MAX : (size_t)n);
}

static int setup(void **state)
{
    struct sigaction limit = { .sa_sigaction = on_limit, .sa_flags = SA_SIGINFO | SA_RESTART };
    (void)state;
    assert_int_equal(sigaction(SIGRTMIN, &limit, NULL), 0);
    fx_init(&f, NULL);
    f.config.log_level = CHY_STR("error");
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

static void limit_memory(int n)
{
    const union sigval value = { .sival_int = n };
    /* It may have ended meanwhile. */
    if (sigqueue(f.pid, SIGRTMIN, value) != 0)
        assert_int_equal(errno, ESRCH);
}

static uint64_t waits_for;

static bool is_decided(struct fixture *fx)
{
    return fx_has_reply(fx, waits_for) || !chy_channel_is_open(fx->supervisor) ||
           !chy_channel_is_open(fx->fronts[0]);
}

/* Bring back what went. */
static void recover(void)
{
    limit_memory(FOR_EVER);
    fx_pump(&f, SECOND_US / 50, NULL);
    if (!chy_channel_is_open(f.supervisor)) {
        assert_int_equal(fx_wait_exit(&f), EXIT_FAILURE); /* no signal, no assertion */
        fx_start(&f);
    } else {
        fx_connect_front(&f, 0);
        fx_connect_inspect(&f);
    }
    fx_renew_workers(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    fx_settle(&f);
}

typedef uint64_t begin_fn(void);

static void sweep(enum chy_op op, begin_fn *begin)
{
    size_t successes = 0;
    for (int n = 0; successes < 3; n++) {
        assert_true(n < 2000);
        limit_memory(n);
        waits_for = begin();
        fx_pump(&f, SECOND_US / 10, is_decided);
        bool is_done = fx_has_reply(&f, waits_for) && fx_reply(&f, waits_for, op, NULL) == CHY_OK;
        successes = is_done ? successes + 1 : 0;
        recover();
        fx_reset(&f);
    }
    size_t open = 1;
    fx_stop(&f);
    fx_check_log(&f, &open);
    assert_int_equal(open, 0);
    assert_int_equal(f.unlogged, 0);
}

static uint64_t begin_sign(void)
{
    struct chy_sign_request request = fx_sign_request(&f, "k", 3);
    request.receipt = CHY_RECEIPT_FULL;
    return fx_call(&f, CHY_OP_SIGN, "alice", &request);
}

static void test_memory__sign(void **state)
{
    (void)state;
    sweep(CHY_OP_SIGN, begin_sign);
}

static uint64_t begin_toggle(void)
{
    static bool is_off;
    const struct chy_key_name key = { CHY_STR("other") };
    is_off = !is_off;
    return fx_call(&f, is_off ? CHY_OP_KEYS_DISABLE : CHY_OP_KEYS_ENABLE, "root", &key);
}

static void test_memory__change_a_key(void **state)
{
    (void)state;
    fx_create_key(&f, "other", CHY_KEY_P256);
    fx_settle(&f);
    sweep(CHY_OP_KEYS_DISABLE, begin_toggle);
}

static uint64_t begin_policy(void)
{
    const struct chy_policy_apply r = { .policy = CHY_STR("version: 1\n"
                                                          "rules:\n"
                                                          "  - name: alice\n"
                                                          "    effect: allow\n"
                                                          "    match:\n"
                                                          "      principal: alice\n") };
    return fx_call(&f, CHY_OP_POLICIES_APPLY, "root", &r);
}

static void test_memory__apply_a_policy(void **state)
{
    (void)state;
    sweep(CHY_OP_POLICIES_APPLY, begin_policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory__sign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__change_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__apply_a_policy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
