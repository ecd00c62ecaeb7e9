/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/log_rules.h"

struct seen {
    size_t n;
    uint64_t index;
    char text[160];
};

static struct seen seen;
static struct chy_log_rules *rules;
static uint64_t next_index;

static void on_fault(void *ctx, uint64_t index, const char *text)
{
    struct seen *s = ctx;
    s->n++;
    s->index = index;
    size_t n = strlen(text);
    assert_true(n < sizeof s->text);
    memcpy(s->text, text, n + 1);
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    next_index = 0;
    return chy_log_rules_new(on_fault, &seen, &rules, NULL) == CHY_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    chy_log_rules_free(rules);
    return 0;
}

static const uint8_t a_digest[32] = { 1 };
static const uint8_t another_digest[32] = { 2 };

static struct chy_entry entry_of(enum chy_entry_kind kind)
{
    struct chy_entry e = { .version = 1, .kind = kind, .time_us = 1000 };
    e.key_sha256[0] = 9;
    e.algorithm = CHY_ALG_ECDSA_SHA256;
    e.digest = (struct chy_bytes){ a_digest, sizeof a_digest };
    return e;
}

static struct chy_entry outcome_of(uint64_t intent)
{
    struct chy_entry e = entry_of(CHY_ENTRY_SIGN_OUTCOME);
    e.outcome = CHY_OUTCOME_DONE;
    e.result_sha256[0] = 1;
    e.intent_index = intent;
    return e;
}

static void feed(struct chy_entry e)
{
    assert_int_equal(chy_log_rules_feed(rules, next_index++, &e, NULL), CHY_OK);
}

static void feed_intent(enum chy_decision decision)
{
    struct chy_entry e = entry_of(CHY_ENTRY_SIGN_INTENT);
    e.decision = decision;
    feed(e);
}

static void assert_fault(uint64_t index, const char *part)
{
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.index, index);
    if (strstr(seen.text, part) == NULL)
        fail_msg("no \"%s\" in \"%s\"", part, seen.text);
}

static void test_feed__good(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    feed_intent(CHY_DECISION_ALLOWED);
    feed_intent(CHY_DECISION_ALLOWED);
    feed(outcome_of(2)); /* in another order */
    feed(outcome_of(1));
    feed_intent(CHY_DECISION_DENIED);
    feed_intent(CHY_DECISION_HELD);
    feed_intent(CHY_DECISION_ALLOWED);
    feed(entry_of(CHY_ENTRY_KEY_INTENT));
    struct chy_entry key = entry_of(CHY_ENTRY_KEY);
    key.outcome = CHY_OUTCOME_DONE;
    key.intent_index = 8;
    feed(key);
    struct chy_log_counts c = chy_log_rules_counts(rules);
    assert_int_equal(seen.n, 0);
    assert_int_equal(c.signatures, 2);
    assert_int_equal(c.refusals, 2);
    assert_int_equal(c.open, 1);
    assert_int_equal(c.first_open, 7);
    assert_int_equal(c.first_us, 1000);
    assert_int_equal(c.last_us, 1000);
}

/* A new log begins with its own key: the first entry of all is an intent. */
static void test_feed__first_entry_is_an_intent(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_KEY_INTENT));
    struct chy_entry key = entry_of(CHY_ENTRY_KEY);
    key.outcome = CHY_OUTCOME_DONE;
    feed(key);
    assert_int_equal(seen.n, 0);
    assert_int_equal(chy_log_rules_counts(rules).open, 0);
}

static void test_feed__failed_outcomes(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    feed_intent(CHY_DECISION_ALLOWED);
    struct chy_entry e = outcome_of(1);
    e.outcome = CHY_OUTCOME_UNKNOWN; /* closed after a crash: says less */
    memset(e.key_sha256, 0, sizeof e.key_sha256);
    memset(e.result_sha256, 0, sizeof e.result_sha256);
    e.algorithm = CHY_ALG_NONE;
    e.digest.n = 0;
    feed(e);
    assert_int_equal(seen.n, 0);
    assert_int_equal(chy_log_rules_counts(rules).failures, 1);
    assert_int_equal(chy_log_rules_counts(rules).open, 0);
}

static void test_feed__time_goes_back(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    struct chy_entry e = entry_of(CHY_ENTRY_SERVER_STOP);
    e.time_us = 999;
    feed(e);
    assert_fault(1, "older than the entry before");
}

static void test_feed__outcome_of_a_refusal(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    feed_intent(CHY_DECISION_DENIED);
    feed(outcome_of(1));
    assert_fault(2, "which was not allowed");
}

static void test_feed__second_outcome(void **state)
{
    (void)state;
    feed_intent(CHY_DECISION_ALLOWED);
    feed(outcome_of(0));
    feed(outcome_of(0));
    assert_fault(2, "has an outcome already");
}

static void test_feed__outcome_of_nothing(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    feed(outcome_of(0));
    assert_fault(1, "which is no intent");
}

static void test_feed__outcome_before_its_intent(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    feed(outcome_of(1)); /* itself */
    assert_fault(1, "comes after it");
}

static void test_feed__outcome_of_another_thing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct chy_entry e = outcome_of(next_index);
        if (i == 0)
            e.key_sha256[0] ^= 1;
        else if (i == 1)
            e.digest = (struct chy_bytes){ another_digest, sizeof another_digest };
        else
            e.algorithm = CHY_ALG_ECDSA_SHA384;
        feed_intent(CHY_DECISION_ALLOWED);
        feed(e);
        assert_fault(next_index - 1, "another key or digest");
        seen.n = 0;
    }
}

static void test_feed__outcome_of_a_key_intent(void **state)
{
    (void)state;
    feed(entry_of(CHY_ENTRY_SERVER_START));
    struct chy_entry intent = entry_of(CHY_ENTRY_KEY_INTENT);
    intent.decision = CHY_DECISION_ALLOWED;
    feed(intent);
    feed(outcome_of(1));
    assert_fault(2, "of another kind");
}

static void test_feed__says_nothing(void **state)
{
    (void)state;
    feed_intent(CHY_DECISION_ALLOWED);
    struct chy_entry e = outcome_of(0);
    e.outcome = CHY_OUTCOME_NONE;
    feed(e);
    assert_fault(1, "says nothing");
}

static void test_feed__signed_without_signature(void **state)
{
    (void)state;
    feed_intent(CHY_DECISION_ALLOWED);
    struct chy_entry e = outcome_of(0);
    memset(e.result_sha256, 0, sizeof e.result_sha256);
    feed(e);
    assert_fault(1, "does not say what came of it");
}

static void test_feed__intent_without_decision(void **state)
{
    (void)state;
    feed_intent(CHY_DECISION_NONE);
    assert_fault(0, "without a decision");
}

static void test_feed__intent_with_outcome(void **state)
{
    (void)state;
    struct chy_entry e = entry_of(CHY_ENTRY_SIGN_INTENT);
    e.decision = CHY_DECISION_DENIED;
    e.outcome = CHY_OUTCOME_DONE;
    feed(e);
    assert_fault(0, "at once");
}

static void test_feed__outcome_of_an_unreadable_entry(void **state)
{
    (void)state;
    assert_int_equal(chy_log_rules_feed(rules, next_index++, NULL, NULL), CHY_OK);
    feed(outcome_of(0));
    assert_fault(1, "cannot be read");
}

/* Ten thousand in flight, answered from the first. */
static void test_feed__many_open(void **state)
{
    (void)state;
    enum {
        MANY = 10000
    };
    for (int i = 0; i < MANY; i++)
        feed_intent(CHY_DECISION_ALLOWED);
    assert_int_equal(chy_log_rules_counts(rules).open, MANY);
    for (uint64_t i = 0; i < MANY; i++)
        feed(outcome_of(i));
    assert_int_equal(seen.n, 0);
    assert_int_equal(chy_log_rules_counts(rules).open, 0);
    assert_int_equal(chy_log_rules_counts(rules).signatures, MANY);
}

static void test_feed__no_memory(void **state)
{
    (void)state;
    struct chy_entry e = entry_of(CHY_ENTRY_SERVER_START);
    for (size_t n = 0; n < 2; n++) {
        chy_mem_fail_after(n);
        enum chy_err r = chy_log_rules_feed(rules, 0, &e, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, CHY_E_NOMEM);
    }
    assert_int_equal(chy_log_rules_feed(rules, 0, &e, NULL), CHY_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(test_feed__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(good),
        T(first_entry_is_an_intent),
        T(failed_outcomes),
        T(time_goes_back),
        T(outcome_of_a_refusal),
        T(second_outcome),
        T(outcome_of_nothing),
        T(outcome_before_its_intent),
        T(outcome_of_another_thing),
        T(outcome_of_a_key_intent),
        T(says_nothing),
        T(signed_without_signature),
        T(intent_without_decision),
        T(intent_with_outcome),
        T(outcome_of_an_unreadable_entry),
        T(many_open),
        T(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
