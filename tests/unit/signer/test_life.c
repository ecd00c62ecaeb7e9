/* SPDX-License-Identifier: MIT */
/* The life of a signer: first start, end, death at any moment, a full disk, and what is found
 * after. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/buf.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "signer_fixture.h"
#include "store/records.h"

#define SECOND_US INT64_C(1000000)

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fx_init(&f, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

static size_t open_intents(void)
{
    size_t open = 0;
    fx_check_log(&f, &open);
    return open;
}

/* --- start and end --- */

static bool has_trust(struct fixture *fx)
{
    return fx->has_trust;
}

static void test_start__makes_its_own_keys_once(void **state)
{
    static const char *const names[] = { CHY_KEY_NAME_LOG, CHY_KEY_NAME_CLIENT_CA,
                                         CHY_KEY_NAME_DEVELOPMENT_CA };
    struct chy_key_record record;
    (void)state;
    fx_start(&f);
    assert_true(fx_pump(&f, SECOND_US, has_trust));
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        assert_int_equal(chy_record_get(f.reader, CHY_OBJECT_KEY, chy_str_of(names[i]),
                                        &chy_key_record_schema, &f.arena, &record, NULL),
                         CHY_OK);
        assert_int_equal(record.key.certificates.n, i == 0 ? 0 : 1);
    }
    assert_int_equal(fx_count(&f, CHY_ENTRY_USER, "user.create", CHY_OUTCOME_NONE), 1);
    size_t keys = f.key_n;
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(f.key_n, keys);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SERVER_START, NULL, CHY_OUTCOME_NONE), 2);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SERVER_STOP, NULL, CHY_OUTCOME_NONE), 2);
    assert_int_equal(fx_count(&f, CHY_ENTRY_USER, "user.create", CHY_OUTCOME_NONE), 1);
}

static void test_start__refuses_calls_until_it_is_ready(void **state)
{
    (void)state;
    fx_spawn(&f);
    fx_connect_front(&f, 0);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_BUSY);
    assert_false(f.is_ready);
    assert_int_equal(fx_log(&f).n, 0);
}

static void test_start__a_token_that_makes_no_keys_does_not_fill_the_log(void **state)
{
    (void)state;
    fx_spawn(&f);
    fx_connect_all(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_FAILS;
    fx_pump(&f, 2 * SECOND_US, NULL);
    assert_false(f.is_ready);
    size_t n = fx_log(&f).n;
    assert_true(n >= 2 && n <= 6); /* at 0 s and 1 s; the next at 3 s */
    assert_int_equal(open_intents(), 0);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    fx_pump(&f, 5 * SECOND_US, NULL);
    assert_true(f.is_ready);
    fx_stop(&f);
}

static void test_drain__before_the_start_is_done(void **state)
{
    (void)state;
    fx_spawn(&f);
    fx_connect_inspect(&f);
    fx_pump(&f, SECOND_US / 10, NULL);
    fx_stop(&f);
    assert_int_equal(fx_log(&f).n, 0);
}

static void test_drain__finishes_what_is_in_flight_and_takes_no_more(void **state)
{
    struct chy_sign_response response;
    const struct chy_empty empty = { 0 };
    struct chy_buf b;
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 3);
    fx_pump(&f, SECOND_US / 10, NULL);
    chy_buf_init(&b, 64);
    assert_int_equal(chy_schema_encode(&chy_empty_schema, &empty, &b, NULL), CHY_OK);
    struct chy_frame drain = { CHY_MSG_DRAIN, 0, chy_buf_bytes(&b) };
    assert_int_equal(chy_channel_send(f.supervisor, &drain, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(f.supervisor, INT64_MAX, NULL), CHY_OK);
    chy_buf_done(&b);
    fx_pump(&f, SECOND_US / 10, NULL);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_BUSY);
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, id, &response), CHY_OK);
    assert_int_equal(fx_wait_exit(&f), 0);
    /* The last entry is the stop, and a checkpoint covers it. */
    struct fx_log log = fx_log(&f);
    assert_int_equal(log.entries[log.n - 1].kind, CHY_ENTRY_SERVER_STOP);
    assert_int_equal(open_intents(), 0);
}

static void test_supervisor__gone_is_the_end(void **state)
{
    (void)state;
    fx_start(&f);
    chy_channel_freep(&f.supervisor);
    assert_int_equal(fx_wait_exit(&f), 0);
}

/* --- death --- */

static void test_kill__with_a_batch_at_the_token(void **state)
{
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    fx_sign(&f, "k", 7);
    fx_pump(&f, SECOND_US / 5, NULL);
    fx_kill(&f);
    assert_int_equal(open_intents(), 7);
    fx_start(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_UNKNOWN), 7);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 1);
    fx_start(&f); /* closed once, not at every start */
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_UNKNOWN), 7);
}

/* Killed ever later in a run of requests: whatever was answered stands in the log with its outcome
 * (the fixture looks), and what is open is closed by the next start. */
/* row 16 */
static void test_kill__at_any_moment(void **state)
{
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    for (int i = 0; i < 25; i++) {
        static uint64_t ids[20];
        size_t answered = 0;
        for (size_t k = 0; k < CHY_ARRAY_LEN(ids); k++)
            ids[k] = fx_sign(&f, "k", 1 + k % 3);
        fx_pump(&f, i * 400, NULL);
        fx_kill(&f);
        for (size_t k = 0; k < CHY_ARRAY_LEN(ids); k++)
            if (fx_has_reply(&f, ids[k])) {
                assert_int_equal(fx_signed(&f, ids[k], NULL), CHY_OK);
                answered++;
            }
        size_t done = fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE);
        assert_true(done >= answered);
        fx_start(&f);
        assert_int_equal(open_intents(), 0);
        fx_reset(&f);
    }
    assert_int_equal(f.unlogged, 0);
    fx_stop(&f);
}

static void many_denials(struct chy_signer_config *c)
{
    c->denials_per_minute = 1000000;
}

static uint64_t saved_floor(void)
{
    struct chy_store *store = NULL;
    struct chy_log_index floor = { 0 };
    assert_int_equal(chy_store_open(f.store_path.p, CHY_STORE_READ, &store, NULL), CHY_OK);
    assert_int_equal(chy_record_get(store, CHY_OBJECT_META, CHY_STR("intent-floor"),
                                    &chy_log_index_schema, &f.arena, &floor, NULL),
                     CHY_OK);
    chy_store_close(store);
    return floor.index;
}

/* A start reads the log from a place that is saved now and then. What is open is behind it, however
 * much was logged meanwhile. */
static void test_kill__with_an_intent_that_is_open_for_long(void **state)
{
    enum {
        CALLS = 60 /* of a thousand refusals each */
    };
    (void)state;
    fx_init(&f, many_denials);
    f.watch_store = false; /* it would look for each digest among all */
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t before = fx_counter(&f, "chancery_log_entries");
    fx_sign(&f, "k", 3);
    fx_pump(&f, SECOND_US / 5, NULL);
    for (size_t i = 0; i < CALLS; i++) {
        const struct chy_sign_request request = fx_sign_request(&f, "k", CHY_LIMIT_SIGN_ITEMS);
        assert_int_equal(fx_do(&f, CHY_OP_SIGN, "bob", &request, NULL), CHY_E_DENIED);
    }
    fx_kill(&f);
    assert_int_equal(open_intents(), 3);
    assert_in_range(saved_floor(), 1, before);
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_UNKNOWN), 3);
}

static void test_kill__in_the_first_start(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        fx_spawn(&f);
        fx_connect_all(&f);
        fx_pump(&f, i * 2000, NULL);
        fx_kill(&f);
        fx_reset(&f);
        f.key_n = CHY_MIN(f.key_n, (size_t)FX_KEYS - 4); /* room; what it made before is lost */
    }
    f.has_trust = false;
    fx_start(&f);
    assert_true(fx_pump(&f, SECOND_US, has_trust));
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
    assert_int_equal(fx_count(&f, CHY_ENTRY_USER, "user.create", CHY_OUTCOME_NONE), 1);
}

/* --- the disk is full --- */

static bool is_answered_or_over(struct fixture *fx, const uint64_t *ids, size_t n)
{
    size_t answered = 0;
    for (size_t i = 0; i < n; i++)
        answered += fx_has_reply(fx, ids[i]) ? 1 : 0;
    return answered == n || !chy_channel_is_open(fx->supervisor);
}

static void test_full_disk__fails_who_waits_and_ends(void **state)
{
    size_t ok = 0;
    size_t failed = 0;
    (void)state;
    f.disk_bytes = 700000; /* room for some commits, not for all */
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    while (chy_channel_is_open(f.supervisor)) {
        uint64_t ids[3];
        for (size_t i = 0; i < CHY_ARRAY_LEN(ids); i++)
            ids[i] = fx_sign(&f, "k", 20);
        while (!is_answered_or_over(&f, ids, CHY_ARRAY_LEN(ids)))
            fx_pump(&f, 1000, NULL);
        for (size_t i = 0; i < CHY_ARRAY_LEN(ids); i++) {
            if (!fx_has_reply(&f, ids[i]))
                continue;
            enum chy_err r = fx_signed(&f, ids[i], NULL); /* which looks for the outcomes */
            ok += r == CHY_OK ? 1 : 0;
            failed += r == CHY_E_STORE ? 1 : 0;
        }
    }
    assert_int_equal(fx_wait_exit(&f), EXIT_FAILURE);
    assert_true(ok > 0);
    assert_true(failed > 0);
    assert_int_equal(f.unlogged, 0); /* no token saw a digest whose intent is not on the disk */
    f.disk_bytes = 0;
    fx_start(&f);
    assert_int_equal(open_intents(), 0);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    fx_stop(&f);
}

/* A checkpoint that cannot be made ends the signer as well; who waits for another thing is told. */
static void test_checkpoint__that_fails_is_told_to_all(void **state)
{
    const struct chy_policy_apply apply = { .policy = CHY_STR("version: 1\n") };
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.inspect_is_silent = true;
    f.workers[0].mode = f.workers[1].mode = WORKER_FORGES;
    uint64_t waits = fx_call(&f, CHY_OP_POLICIES_APPLY, "root", &apply);
    enum chy_err r = fx_signed(&f, fx_sign(&f, "k", 1), NULL);
    assert_true(r == CHY_OK || r == CHY_E_TOKEN); /* a slow one is told as well */
    assert_int_equal(fx_reply(&f, waits, CHY_OP_POLICIES_APPLY, NULL), CHY_E_TOKEN);
    assert_int_equal(fx_wait_exit(&f), EXIT_FAILURE);
}

/* --- the clock --- */

/* An open intent, written by a clock that stood `ahead_us` before ours. */
static void put_intent(int64_t ahead_us)
{
    struct chy_store *store = NULL;
    static const uint8_t digest[32] = { 9 };
    struct chy_entry e = { .version = CHY_ENTRY_VERSION,
                           .kind = CHY_ENTRY_SIGN_INTENT,
                           .time_us = chy_clock_realtime_us() + ahead_us,
                           .action = CHY_STR("sign"),
                           .principal = CHY_STR("alice"),
                           .decision = CHY_DECISION_ALLOWED,
                           .algorithm = CHY_ALG_ECDSA_SHA256,
                           .digest = { digest, 32 } };
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_ENTRY);
    assert_int_equal(chy_schema_encode(&chy_entry_schema, &e, &b, NULL), CHY_OK);
    assert_int_equal(chy_store_open(f.store_path.p, CHY_STORE_WRITE, &store, NULL), CHY_OK);
    assert_int_equal(chy_store_begin(store, NULL), CHY_OK);
    assert_int_equal(
        chy_store_log_append(store, 0, chy_buf_bytes(&b), (struct chy_bytes){ NULL, 0 }, NULL),
        CHY_OK);
    assert_int_equal(chy_store_commit(store, NULL), CHY_OK);
    chy_store_close(store);
    chy_buf_done(&b);
}

static void test_clock__a_little_behind_the_log_is_made_up(void **state)
{
    (void)state;
    put_intent(30 * SECOND_US);
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0); /* which looks at the order of the times */
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_UNKNOWN), 1);
}

static void test_clock__far_behind_the_log_begins_nothing_and_ends_what_is_open(void **state)
{
    (void)state;
    put_intent(600 * SECOND_US);
    fx_spawn(&f);
    fx_connect_all(&f);
    fx_pump(&f, SECOND_US, NULL);
    assert_false(f.is_ready);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_BUSY);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
    assert_int_equal(fx_log(&f).n, 2);
}

/* The child takes this clock for libc's; the handler of the signal is inherited. */
static _Atomic int clock_back_s;

CHY_PUBLIC int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec -= clock_back_s;
    return r;
}

static void on_clock(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    clock_back_s = info->si_value.sival_int;
}

static void set_clock_back(int seconds)
{
    const union sigval value = { .sival_int = seconds };
    assert_int_equal(sigqueue(f.pid, SIGRTMIN, value), 0);
    fx_pump(&f, SECOND_US / 20, NULL);
}

/* What is at the token is finished and answered; nothing new begins until the clock is right. */
static void test_clock__set_back_by_an_hour_at_work(void **state)
{
    const struct sigaction action = { .sa_sigaction = on_clock, .sa_flags = SA_SIGINFO };
    (void)state;
    assert_int_equal(sigaction(SIGRTMIN, &action, NULL), 0);
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 5);
    fx_pump(&f, SECOND_US / 5, NULL);
    set_clock_back(3600);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, id, NULL), CHY_OK);
    size_t signatures = f.signatures;
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_STATE);
    assert_non_null(strstr(fx_text(), "the clock stands"));
    assert_true(f.signatures - signatures <= 1); /* a checkpoint alone */
    set_clock_back(0);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0); /* which looks at the order of the times */
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 6);
    assert_int_equal(f.unlogged, 0);
}

/* --- the checkpoint outside the store --- */

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    size_t n;
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static void must_not_start(void)
{
    fx_spawn(&f);
    assert_int_equal(fx_wait_exit(&f), EXIT_FAILURE);
}

/* The store as it was after a first run, and the newer one with its checkpoint. */
static void make_older_copy(char old[128])
{
    snprintf(old, 128, "%s/old.db", f.dir);
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_stop(&f);
    copy_file(f.store_path.p, old);
    fx_start(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 5), NULL), CHY_OK);
    fx_stop(&f);
}

static void test_anchor__an_older_store_is_refused_and_may_be_accepted(void **state)
{
    struct chy_sign_response response;
    char old[128];
    (void)state;
    make_older_copy(old);
    uint64_t published = fx_published(&f);
    assert_int_equal(published, fx_log(&f).n);
    chy_store_closep(&f.reader);
    copy_file(old, f.store_path.p);
    must_not_start();
    must_not_start();
    assert_int_equal(fx_published(&f), published);
    f.config.accept_older_store = true;
    fx_start(&f);
    struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    request.receipt = CHY_RECEIPT_FULL; /* under a checkpoint of this store */
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_RECOVERY, NULL, CHY_OUTCOME_NONE), 1);
    assert_int_equal(fx_published(&f), fx_log(&f).n);
    /* What was accepted once is not accepted again: there is nothing to accept. */
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_RECOVERY, NULL, CHY_OUTCOME_NONE), 1);
    f.config.accept_older_store = false;
    fx_start(&f);
    fx_stop(&f);
}

static void test_anchor__another_log_of_the_same_length_is_refused(void **state)
{
    char old[128];
    (void)state;
    make_older_copy(old);
    chy_store_closep(&f.reader);
    /* Go on from the older copy, past the published size, and put the checkpoint back. */
    char aside[160];
    snprintf(aside, sizeof aside, "%s.aside", old);
    copy_file(f.anchor_path.p, aside);
    copy_file(old, f.store_path.p);
    f.config.accept_older_store = true;
    fx_start(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 30), NULL), CHY_OK);
    fx_stop(&f);
    f.config.accept_older_store = false;
    copy_file(aside, f.anchor_path.p);
    assert_int_equal(unlink(aside), 0);
    must_not_start();
    f.config.accept_older_store = true;
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_RECOVERY, NULL, CHY_OUTCOME_NONE), 2);
}

static void test_anchor__one_that_is_lost_is_noticed(void **state)
{
    char old[128];
    (void)state;
    make_older_copy(old);
    chy_store_closep(&f.reader);
    assert_int_equal(unlink(f.anchor_path.p), 0);
    must_not_start();
    f.config.accept_older_store = true;
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_RECOVERY, NULL, CHY_OUTCOME_NONE), 1);
}

static void test_anchor__an_older_anchor_is_no_harm(void **state)
{
    char aside[128];
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_stop(&f);
    snprintf(aside, sizeof aside, "%s/old.db", f.dir);
    copy_file(f.anchor_path.p, aside);
    fx_start(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 5), NULL), CHY_OK);
    fx_stop(&f);
    copy_file(aside, f.anchor_path.p); /* the power failed before it was written */
    fx_start(&f);
    fx_stop(&f);
    assert_int_equal(fx_count(&f, CHY_ENTRY_RECOVERY, NULL, CHY_OUTCOME_NONE), 0);
    assert_int_equal(fx_published(&f), fx_log(&f).n);
}

/* --- checkpoints --- */

static void test_checkpoint__comes_by_itself_soon_after_the_last_entry(void **state)
{
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 3), NULL), CHY_OK);
    fx_pump(&f, SECOND_US * 3 / 10, NULL);
    assert_int_equal(fx_published(&f), fx_log(&f).n);
    fx_stop(&f);
}

static void test_checkpoint__a_caller_does_not_wait_for_one_for_ever(void **state)
{
    (void)state;
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    request.receipt = CHY_RECEIPT_FULL;
    const struct chy_call call = { .op = CHY_OP_SIGN,
                                   .caller = fx_caller("alice"),
                                   .deadline_us = chy_clock_monotonic_us() + SECOND_US };
    uint64_t id = fx_call_raw(&f, 0, &call, &request);
    fx_pump(&f, SECOND_US / 10, NULL);
    for (size_t i = 0; i < FX_WORKERS; i++) { /* the signature, and not the checkpoint */
        fx_release(&f, i);
        f.workers[i].mode = WORKER_HOLDS;
    }
    assert_int_equal(fx_signed(&f, id, NULL), CHY_E_TIMEOUT);
    fx_release(&f, 0);
    fx_release(&f, 1);
    fx_stop(&f);
    assert_int_equal(open_intents(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start__makes_its_own_keys_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start__refuses_calls_until_it_is_ready, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_start__a_token_that_makes_no_keys_does_not_fill_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain__before_the_start_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain__finishes_what_is_in_flight_and_takes_no_more,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_supervisor__gone_is_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill__with_a_batch_at_the_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill__at_any_moment, setup, teardown),
        cmocka_unit_test_teardown(test_kill__with_an_intent_that_is_open_for_long, teardown),
        cmocka_unit_test_setup_teardown(test_kill__in_the_first_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk__fails_who_waits_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint__that_fails_is_told_to_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_clock__a_little_behind_the_log_is_made_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_clock__far_behind_the_log_begins_nothing_and_ends_what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock__set_back_by_an_hour_at_work, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anchor__an_older_store_is_refused_and_may_be_accepted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_anchor__another_log_of_the_same_length_is_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_anchor__one_that_is_lost_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anchor__an_older_anchor_is_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint__comes_by_itself_soon_after_the_last_entry,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint__a_caller_does_not_wait_for_one_for_ever,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
