/* SPDX-License-Identifier: MIT */
/* POST /v1/sign on a running signer: what is signed, refused, retried and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "proto/digest_info.h"
#include "signer_fixture.h"
#include "store/records.h"
#include "tlog/receipt.h"

#define SECOND_US INT64_C(1000000)

static struct fixture f;

static void start_with(fx_config_fn *change)
{
    fx_init(&f, change);
    fx_start(&f);
    fx_ready_to_sign(&f);
    fx_settle(&f);
}

/* Every test ends here: whatever it did, the log is whole. */
static void finish(void)
{
    size_t open = 1;
    fx_stop(&f);
    fx_check_log(&f, &open);
    assert_int_equal(open, 0);
    assert_int_equal(f.unlogged, 0);
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

/* --- what is signed --- */

static void check_signatures(const struct chy_sign_request *request,
                             const struct chy_sign_response *response, const char *key)
{
    assert_int_equal(response->results.n, request->items.n);
    for (size_t i = 0; i < request->items.n; i++) {
        const struct chy_sign_item *item = &request->items.p[i];
        const struct chy_sign_result *r = &response->results.p[i];
        assert_true(r->is_signed);
        assert_true(fx_verifies(&f, key, item->algorithm, item->digest, r->signature));
    }
}

static void sign_n(size_t n)
{
    struct chy_sign_response response;
    const struct chy_sign_request request = fx_sign_request(&f, "k", n);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    check_signatures(&request, &response, "k");
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), n);
}

static void test_sign__one(void **state)
{
    (void)state;
    start_with(NULL);
    sign_n(1);
    finish();
}

static void test_sign__sixteen(void **state)
{
    (void)state;
    start_with(NULL);
    sign_n(16);
    finish();
}

static void test_sign__as_many_as_a_request_holds(void **state)
{
    (void)state;
    start_with(NULL);
    sign_n(CHY_LIMIT_SIGN_ITEMS);
    finish();
}

static void test_sign__ed25519_signs_the_message(void **state)
{
    struct chy_sign_response response;
    struct chy_sign_item item = { .key = CHY_STR("ed"),
                                  .algorithm = CHY_ALG_ED25519,
                                  .message = chy_str_bytes(CHY_STR("what is signed")) };
    const struct chy_sign_request request = { .items = { &item, 1 } };
    (void)state;
    start_with(NULL);
    fx_create_key(&f, "ed", CHY_KEY_ED25519);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    assert_true(
        fx_verifies(&f, "ed", CHY_ALG_ED25519, item.message, response.results.p[0].signature));
    finish();
}

static void check_receipt(const struct chy_sign_result *r)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *h = NULL;
    struct chy_key_record record;
    struct chy_tlog_vkey vkey;
    struct chy_tlog_receipt receipt;
    struct chy_tlog_checkpoint checkpoint;
    struct chy_tlog_hash leaf;
    struct fx_log log = fx_log(&f);
    struct chy_error err;
    assert_int_equal(chy_hasher_new(CHY_HASH_SHA256, &h, NULL), CHY_OK);
    assert_int_equal(chy_record_get(f.reader, CHY_OBJECT_KEY, CHY_STR(CHY_KEY_NAME_LOG),
                                    &chy_key_record_schema, &f.arena, &record, NULL),
                     CHY_OK);
    struct chy_bytes spki = record.key.public_key;
    assert_int_equal(chy_tlog_vkey_make(h, f.config.origin,
                                        spki.p + spki.n - CHY_ED25519_PUBLIC_BYTES, &vkey, NULL),
                     CHY_OK);
    assert_int_equal(chy_tlog_receipt_parse(chy_str_bytes(r->receipt), &receipt, NULL), CHY_OK);
    assert_int_equal(receipt.index, r->outcome->index);
    chy_tlog_leaf_hash(h, log.raw[receipt.index], &leaf);
    if (chy_tlog_receipt_check(h, &receipt, &leaf, &vkey, 1, &checkpoint, &err) != CHY_OK)
        fail_msg("%s", err.text);
    /* And it proves nothing of another entry. */
    chy_tlog_leaf_hash(h, log.raw[receipt.index - 1], &leaf);
    assert_int_not_equal(chy_tlog_receipt_check(h, &receipt, &leaf, &vkey, 1, &checkpoint, &err),
                         CHY_OK);
}

static void test_sign__full_receipts_verify(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    struct chy_sign_request request = fx_sign_request(&f, "k", 300); /* more than a tile */
    request.receipt = CHY_RECEIPT_FULL;
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    for (size_t i = 0; i < response.results.n; i += 37)
        check_receipt(&response.results.p[i]);
    finish();
}

static void test_sign__no_receipt_and_index(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    request.receipt = CHY_RECEIPT_NONE;
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    assert_null(response.results.p[0].outcome);
    assert_null(response.results.p[0].intent);
    request = fx_sign_request(&f, "k", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    assert_non_null(response.results.p[0].outcome);
    assert_int_equal(response.results.p[0].receipt.n, 0);
    finish();
}

/* --- what is refused --- */

static void test_sign__denied_is_logged_and_no_token_is_asked(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    size_t before = f.signatures;
    const struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "bob", &request, &response), CHY_E_DENIED);
    assert_true(chy_str_equal_c(response.results.p[0].problem, "denied-by-policy"));
    struct fx_log log = fx_log(&f);
    const struct chy_entry *e = &log.entries[response.results.p[0].intent->index];
    assert_int_equal(e->decision, CHY_DECISION_DENIED);
    assert_true(chy_str_equal_c(e->principal, "bob"));
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 0);
    assert_true(f.signatures - before < 3); /* checkpoints alone */
}

static void test_sign__held_until_there_is_a_reason(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    fx_policy(&f, "version: 1\n"
                  "rules:\n"
                  "  - name: alice\n"
                  "    effect: allow\n"
                  "    match:\n"
                  "      principal: alice\n"
                  "  - name: why\n"
                  "    effect: require\n"
                  "    requirement: reason\n"
                  "    match:\n"
                  "      principal: alice\n");
    struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_E_DENIED);
    struct fx_log log = fx_log(&f);
    assert_int_equal(log.entries[response.results.p[0].intent->index].decision, CHY_DECISION_HELD);
    request.reason = CHY_STR("release 1.2");
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    finish();
}

static void test_sign__unknown_key_leaves_no_entry(void **state)
{
    (void)state;
    start_with(NULL);
    size_t before = fx_log(&f).n;
    assert_int_equal(fx_signed(&f, fx_sign(&f, "nobody's", 1), NULL), CHY_E_NOT_FOUND);
    assert_int_equal(fx_signed(&f, fx_sign(&f, CHY_KEY_NAME_CLIENT_CA, 1), NULL), CHY_E_NOT_FOUND);
    assert_int_equal(fx_log(&f).n, before);
    finish();
}

static void test_sign__mixed_batch(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    struct chy_sign_request request = fx_sign_request(&f, "k", 3);
    ((struct chy_sign_item *)(uintptr_t)request.items.p)[1].key = CHY_STR("other");
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    assert_true(response.results.p[0].is_signed);
    assert_false(response.results.p[1].is_signed);
    assert_true(chy_str_equal_c(response.results.p[1].problem, "not-found"));
    assert_true(response.results.p[2].is_signed);
    finish();
}

static void sign_malformed(struct chy_sign_item item, const char *text)
{
    const struct chy_sign_request request = { .items = { &item, 1 } };
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, NULL), CHY_E_MALFORMED);
    assert_non_null(strstr(fx_text(), text));
}

static void test_sign__malformed_items_leave_no_entry(void **state)
{
    static const uint8_t digest[64] = { 1 };
    (void)state;
    start_with(NULL);
    size_t before = fx_log(&f).n;
    struct chy_sign_item good = { .key = CHY_STR("k"),
                                  .algorithm = CHY_ALG_ECDSA_SHA256,
                                  .digest = { digest, 32 },
                                  .hashed_by = CHY_HASHED_BY_TOOL };
    struct chy_sign_item bad = good;
    bad.digest.n = 31;
    sign_malformed(bad, "items[0]: the digest has 31 bytes");
    bad.digest.n = 48;
    sign_malformed(bad, "the digest has 48 bytes");
    bad = good;
    bad.hashed_by = CHY_HASHED_BY_SERVER;
    sign_malformed(bad, "hashed_by");
    bad = good;
    bad.message = (struct chy_bytes){ digest, 3 };
    sign_malformed(bad, "message");
    bad = good;
    bad.content = (struct chy_bytes){ digest, 3 };
    sign_malformed(bad, "do not hash to the digest");
    const struct chy_fact fact = { CHY_STR("host"), CHY_STR("x"), CHY_BASIS_SERVER };
    bad = good;
    bad.facts.p = &fact;
    bad.facts.n = 1;
    sign_malformed(bad, "basis server");
    const struct chy_fact agent = { CHY_STR("host"), CHY_STR("x"), CHY_BASIS_AGENT };
    bad.facts.p = &agent;
    sign_malformed(bad, "basis agent");
    struct chy_sign_item raw = { .key = CHY_STR("k"),
                                 .algorithm = CHY_ALG_RSA_PKCS1_RAW,
                                 .message = { digest, 36 } };
    sign_malformed(raw, "rsa-pkcs1-raw is no algorithm of key \"k\"");
    raw.message = chy_digest_info_head(CHY_HASH_SHA384);
    sign_malformed(raw, "items[0]: the message is a digest of SHA-2");
    raw.message.n = 0;
    sign_malformed(raw, "rsa-pkcs1-raw signs a message");
    assert_int_equal(fx_log(&f).n, before);
    finish();
}

static void test_sign__content_is_hashed_again(void **state)
{
    struct chy_sign_response response;
    struct chy_bytes content = chy_str_bytes(CHY_STR("the bytes to be signed"));
    uint8_t digest[CHY_HASH_BYTES];
    (void)state;
    start_with(NULL);
    assert_int_equal(chy_sha256(content, digest, NULL), CHY_OK);
    struct chy_sign_item item = { .key = CHY_STR("k"),
                                  .algorithm = CHY_ALG_ECDSA_SHA256,
                                  .digest = { digest, 32 },
                                  .content = content,
                                  .hashed_by = CHY_HASHED_BY_TOOL };
    const struct chy_sign_request request = { .items = { &item, 1 } };
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "alice", &request, &response), CHY_OK);
    assert_int_equal(fx_log(&f).entries[response.results.p[0].outcome->index].hashed_by,
                     CHY_HASHED_BY_SERVER);
    finish();
}

static void few_denials(struct chy_signer_config *c)
{
    c->denials_per_minute = 5;
}

static void test_sign__denials_past_the_rate_are_answered_and_not_logged(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(few_denials);
    const struct chy_sign_request request = fx_sign_request(&f, "k", 12);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "bob", &request, &response), CHY_E_DENIED);
    for (size_t i = 0; i < 12; i++) {
        assert_false(response.results.p[i].is_signed);
        assert_true(chy_str_equal_c(response.results.p[i].problem,
                                    i < 5 ? "denied-by-policy" : "rate-limited"));
    }
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_INTENT, "sign", CHY_OUTCOME_NONE), 5);
    /* Another principal has his own measure. */
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, "root", &request, &response), CHY_E_DENIED);
    assert_true(chy_str_equal_c(response.results.p[0].problem, "denied-by-policy"));
    assert_int_equal(fx_counter(&f, "chancery_denials_not_logged_total"), 14);
    finish();
}

/* --- the token fails --- */

static bool somebody_holds(struct fixture *fx)
{
    return fx->workers[0].held_n + fx->workers[1].held_n > 0;
}

/* The worker that got the only digest there is. */
static size_t holder(void)
{
    assert_true(fx_pump(&f, 5 * SECOND_US, somebody_holds));
    return f.workers[0].held_n > 0 ? 0 : 1;
}

static void test_sign__a_worker_that_dies_is_forgiven_once(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 1);
    size_t which = holder();
    fx_drop_worker(&f, which);
    fx_pump(&f, SECOND_US / 10, NULL);
    assert_false(fx_has_reply(&f, id));
    fx_release(&f, 1 - which);
    assert_int_equal(fx_signed(&f, id, &response), CHY_OK);
    fx_connect_worker(&f, which);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_INTENT, "sign", CHY_OUTCOME_NONE), 1);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 1);
}

static bool all_down(struct fixture *fx)
{
    return fx->workers[0].channel == NULL && fx->workers[1].channel == NULL;
}

static void test_sign__a_second_death_fails_the_digest(void **state)
{
    (void)state;
    start_with(NULL);
    f.workers[0].mode = f.workers[1].mode = WORKER_DIES;
    uint64_t id = fx_sign(&f, "k", 1);
    assert_true(fx_pump(&f, 5 * SECOND_US, all_down));
    assert_int_equal(fx_signed(&f, id, NULL), CHY_E_TOKEN);
    fx_renew_workers(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_FAILED), 1);
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 1);
}

static bool all_closed(struct fixture *fx)
{
    return !chy_channel_is_open(fx->workers[0].channel) &&
           !chy_channel_is_open(fx->workers[1].channel);
}

static void check_mode(enum worker_mode mode, enum chy_err expected)
{
    struct chy_sign_response response;
    start_with(NULL);
    f.workers[0].mode = f.workers[1].mode = mode;
    uint64_t id = fx_sign(&f, "k", 3);
    if (mode == WORKER_MISCOUNTS) { /* and once more, by their successors */
        assert_true(fx_pump(&f, 5 * SECOND_US, all_closed));
        fx_connect_worker(&f, 0);
        fx_connect_worker(&f, 1);
        f.workers[0].mode = f.workers[1].mode = mode;
    }
    assert_int_equal(fx_signed(&f, id, &response), expected);
    for (size_t i = 0; i < 3; i++) {
        assert_false(response.results.p[i].is_signed);
        assert_int_equal(response.results.p[i].signature.n, 0);
    }
    fx_renew_workers(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 3), &response), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_FAILED), 3);
}

static void test_sign__a_token_that_fails(void **state)
{
    (void)state;
    check_mode(WORKER_FAILS, CHY_E_TOKEN);
}

static void test_sign__a_wrong_number_of_answers_costs_the_worker(void **state)
{
    (void)state;
    check_mode(WORKER_MISCOUNTS, CHY_E_TOKEN);
}

static void test_sign__success_without_a_signature_is_none(void **state)
{
    (void)state;
    check_mode(WORKER_EMPTY, CHY_E_PROTOCOL);
}

static void test_sign__a_signature_with_a_code_is_none(void **state)
{
    (void)state;
    check_mode(WORKER_BABBLES, CHY_E_PROTOCOL);
}

static void short_timeout(struct chy_signer_config *c)
{
    c->token_timeout_ms = 300;
}

static bool is_hung(struct fixture *fx)
{
    return fx->hung_count > 0;
}

static void test_sign__a_hung_worker_is_reported_and_its_work_done_by_another(void **state)
{
    (void)state;
    start_with(short_timeout);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 1);
    size_t which = holder();
    f.workers[1 - which].mode = WORKER_SIGNS;
    assert_true(fx_pump(&f, 5 * SECOND_US, is_hung));
    assert_int_equal(f.hung.worker, which);
    assert_true(chy_str_equal_c(f.hung.token, "soft"));
    /* It gets no more work while it waits for its end. */
    size_t held = f.workers[which].held_n;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    assert_int_equal(f.workers[which].held_n, held);
    fx_drop_worker(&f, which); /* as the supervisor would */
    assert_int_equal(fx_signed(&f, id, NULL), CHY_OK);
    assert_int_equal(f.hung_count, 1);
    fx_connect_worker(&f, which);
    finish();
}

static void wait_for_lost_worker(void)
{
    const struct chy_empty empty = { 0 };
    struct chy_token_list list;
    int64_t deadline = chy_clock_monotonic_us() + 30 * SECOND_US;
    do
        assert_int_equal(fx_do(&f, CHY_OP_TOKENS_LIST, "root", &empty, &list), CHY_OK);
    while (list.tokens.p[0].is_ready && chy_clock_monotonic_us() < deadline);
    assert_false(list.tokens.p[0].is_ready);
}

static void test_sign__nobody_waits_long_for_a_worker_that_does_not_come(void **state)
{
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    start_with(short_timeout);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 1);
    size_t which = holder();
    fx_drop_worker(&f, 1 - which);
    wait_for_lost_worker(); /* so that the digest is not given to it */
    fx_drop_worker(&f, which);
    assert_int_equal(fx_signed(&f, id, NULL), CHY_E_BUSY);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_BUSY);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    fx_connect_worker(&f, 0);
    fx_connect_worker(&f, 1);
    fx_pump(&f, SECOND_US / 10, NULL);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_FAILED), 2);
}

static void test_sign__a_late_answer_counts(void **state)
{
    (void)state;
    start_with(short_timeout);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 1);
    assert_true(fx_pump(&f, 5 * SECOND_US, is_hung));
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, id, NULL), CHY_OK);
    fx_connect_worker(&f, 0); /* who was reported gets no work: a successor does */
    fx_connect_worker(&f, 1);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 1);
}

static void test_sign__a_deadline_in_the_queue(void **state)
{
    (void)state;
    start_with(NULL);
    fx_drop_worker(&f, 1);
    f.workers[0].mode = WORKER_HOLDS;
    uint64_t first[3];
    for (size_t i = 0; i < 3; i++) { /* two are at the worker, the third waits */
        first[i] = fx_sign(&f, "k", 1);
        fx_pump(&f, SECOND_US / 20, NULL);
    }
    const struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    const struct chy_call call = { .op = CHY_OP_SIGN,
                                   .caller = fx_caller("alice"),
                                   .deadline_us = chy_clock_monotonic_us() + SECOND_US / 5 };
    uint64_t late = fx_call_raw(&f, 0, &call, &request);
    assert_int_equal(fx_signed(&f, late, NULL), CHY_E_TIMEOUT);
    fx_release(&f, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fx_signed(&f, first[i], NULL), CHY_OK);
    fx_connect_worker(&f, 1);
    finish();
}

static void short_queue(struct chy_signer_config *c)
{
    c->max_queue = 10;
}

static void test_sign__a_full_queue_refuses_what_does_not_fit(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(short_queue);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 25), &response), CHY_OK);
    size_t n = 0;
    for (size_t i = 0; i < 25; i++) {
        n += response.results.p[i].is_signed ? 1 : 0;
        if (!response.results.p[i].is_signed)
            assert_true(chy_str_equal_c(response.results.p[i].problem, "busy"));
    }
    assert_int_equal(n, 10);
    finish();
}

static void long_queue(struct chy_signer_config *c)
{
    c->max_queue = 100000;
}

/* Every intent that is let in has a place for its outcome; what finds no place is refused whole. */
static void test_sign__more_than_a_batch_holds_is_refused_whole(void **state)
{
    enum {
        CALLS = 15
    };
    uint64_t ids[CALLS];
    size_t ok = 0;
    size_t busy = 0;
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    start_with(long_queue);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    /* One alone before them, so that room ends within a call and not between two. */
    uint64_t first = fx_sign(&f, "k", 1);
    for (size_t i = 0; i < CALLS; i++)
        ids[i] = fx_sign(&f, "k", CHY_LIMIT_SIGN_ITEMS);
    fx_pump(&f, SECOND_US, NULL);
    fx_release(&f, 0);
    fx_release(&f, 1);
    for (size_t i = 0; i < CALLS; i++) {
        struct chy_sign_response response;
        enum chy_err r = fx_signed(&f, ids[i], &response);
        ok += r == CHY_OK ? 1 : 0;
        busy += r == CHY_E_BUSY ? 1 : 0;
        if (r == CHY_E_BUSY)
            assert_int_equal(response.results.n, 0);
    }
    assert_int_equal(fx_signed(&f, first, NULL), CHY_OK);
    assert_int_equal(ok + busy, CALLS);
    assert_true(ok >= 9);
    assert_true(busy >= 2);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_INTENT, "sign", CHY_OUTCOME_NONE), ok * 1000 + 2);
}

/* --- others fail --- */

static void test_sign__a_front_that_dies_takes_no_outcome_along(void **state)
{
    (void)state;
    start_with(NULL);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    fx_sign(&f, "k", 5);
    fx_pump(&f, SECOND_US / 10, NULL);
    fx_connect_front(&f, 0); /* the old connection is closed */
    fx_pump(&f, SECOND_US / 10, NULL);
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_DONE), 6);
}

static uint64_t sign_with_content(void)
{
    static const uint8_t digest[32] = { 7 };
    struct chy_sign_item item = { .key = CHY_STR("k"),
                                  .algorithm = CHY_ALG_ECDSA_SHA256,
                                  .digest = { digest, 32 },
                                  .content = { digest, 32 },
                                  .hashed_by = CHY_HASHED_BY_TOOL };
    const struct chy_sign_request request = { .items = { &item, 1 } };
    const struct chy_call call = { .op = CHY_OP_SIGN,
                                   .caller = fx_caller("alice"),
                                   .deadline_us = chy_clock_monotonic_us() + SECOND_US / 2 };
    return fx_call_raw(&f, 0, &call, &request);
}

static void test_sign__inspect_dies_or_is_silent(void **state)
{
    (void)state;
    start_with(NULL);
    size_t before = fx_log(&f).n;
    f.inspect_is_silent = true;
    uint64_t id = sign_with_content();
    assert_int_equal(fx_signed(&f, id, NULL), CHY_E_TIMEOUT);
    id = sign_with_content();
    fx_pump(&f, SECOND_US / 10, NULL);
    chy_channel_freep(&f.inspect);
    assert_int_equal(fx_signed(&f, id, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(fx_signed(&f, sign_with_content(), NULL), CHY_E_BUSY);
    assert_int_equal(fx_log(&f).n, before);
    /* What needs no reader is signed meanwhile. */
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    f.inspect_is_silent = false;
    fx_connect_inspect(&f);
    assert_int_equal(fx_signed(&f, sign_with_content(), NULL), CHY_E_MALFORMED);
    finish();
}

/* --- keys change meanwhile --- */

static void disable(const char *name)
{
    const struct chy_key_name key = { chy_str_of(name) };
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_DISABLE, "root", &key, NULL), CHY_OK);
}

static void test_sign__a_signature_of_a_key_disabled_meanwhile_does_not_leave(void **state)
{
    struct chy_sign_response response;
    (void)state;
    start_with(NULL);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t id = fx_sign(&f, "k", 80); /* some at the workers, some in the queue */
    fx_pump(&f, SECOND_US / 10, NULL);
    disable("k");
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, id, &response), CHY_E_STATE);
    for (size_t i = 0; i < 80; i++)
        assert_int_equal(response.results.p[i].signature.n, 0);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_SIGN_OUTCOME, "sign", CHY_OUTCOME_FAILED), 80);
}

/* --- commits --- */

static void test_sign__many_frames_share_a_commit(void **state)
{
    enum {
        CALLS = 200
    };
    static uint64_t ids[CALLS];
    (void)state;
    start_with(NULL);
    uint64_t before = fx_counter(&f, "chancery_commits_total");
    for (size_t i = 0; i < CALLS; i++)
        ids[i] = fx_sign(&f, "k", 1);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(fx_signed(&f, ids[i], NULL), CHY_OK);
    uint64_t commits = fx_counter(&f, "chancery_commits_total") - before;
    assert_true(commits < CALLS); /* two for each, if none were shared */
    finish();
}

static void slow_pace(struct chy_signer_config *c)
{
    c->commit_pace_us = 500000;
}

static void test_sign__one_alone_never_waits_for_company(void **state)
{
    (void)state;
    start_with(slow_pace);
    fx_pump(&f, SECOND_US / 2, NULL); /* the checkpoint of the preparations */
    for (size_t i = 0; i < 3; i++) {
        int64_t began = chy_clock_monotonic_us();
        assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
        assert_true(chy_clock_monotonic_us() - began < 300000);
        fx_pump(&f, SECOND_US / 4, NULL);
    }
    finish();
}

static int64_t signer_cpu_us(void)
{
    clockid_t clock;
    struct timespec spent;
    assert_int_equal(clock_getcpuclockid(f.pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &spent), 0);
    return (int64_t)spent.tv_sec * SECOND_US + spent.tv_nsec / 1000;
}

/* What waits for its commit takes no processor meanwhile. */
static void test_sign__the_pace_is_slept(void **state)
{
    (void)state;
    start_with(slow_pace);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t first = fx_sign(&f, "k", 1);
    fx_pump(&f, SECOND_US / 10, NULL);
    int64_t before = signer_cpu_us();
    uint64_t second = fx_sign(&f, "k", 1);
    fx_pump(&f, SECOND_US / 2, NULL);
    assert_true(signer_cpu_us() - before < SECOND_US / 50);
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, first, NULL), CHY_OK);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, second, NULL), CHY_OK);
    finish();
}

static void pace_of_100_ms(struct chy_signer_config *c)
{
    c->commit_pace_us = 100000;
}

static bool both_hold(struct fixture *fx)
{
    return fx->workers[0].held_n > 0 && fx->workers[1].held_n > 0;
}

/* What is logged while the queue of a token is long would only get in line. */
static void test_sign__a_full_token_lets_commits_wait(void **state)
{
    enum {
        CALLS = 5
    };
    uint64_t ids[CALLS];
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    start_with(pace_of_100_ms);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t many = fx_sign(&f, "k", 80); /* some at the workers, some in the queue */
    assert_true(fx_pump(&f, 5 * SECOND_US, both_hold));
    uint64_t before = fx_counter(&f, "chancery_commits_total");
    for (size_t i = 0; i < CALLS; i++) {
        ids[i] = fx_sign(&f, "k", 1);
        fx_pump(&f, SECOND_US / 8, NULL);
    }
    assert_true(fx_counter(&f, "chancery_commits_total") - before <= 1);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_signed(&f, many, NULL), CHY_OK);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(fx_signed(&f, ids[i], NULL), CHY_OK);
    finish();
}

static void two_tokens(struct chy_signer_config *c)
{
    static const struct chy_signer_token tokens[] = {
        { .name = { "soft", 4 }, .workers = 1, .is_software = true },
        { .name = { "other", 5 }, .workers = 1, .is_software = true },
    };
    c->tokens.p = tokens;
    c->tokens.n = CHY_ARRAY_LEN(tokens);
    pace_of_100_ms(c);
}

static void assert_soon(uint64_t id, enum chy_op op, enum chy_err code)
{
    int64_t began = chy_clock_monotonic_us();
    assert_int_equal(fx_reply(&f, id, op, NULL), code);
    assert_true(chy_clock_monotonic_us() - began < SECOND_US);
}

/* A token that has too much to do, or hangs, is no reason for others to wait. */
static void test_sign__what_needs_no_full_token_does_not_wait_with_it(void **state)
{
    const struct chy_key_create create = { .name = CHY_STR("elsewhere"),
                                           .type = CHY_KEY_P256,
                                           .token = CHY_STR("other") };
    const struct chy_key_name elsewhere = { CHY_STR("elsewhere") };
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    start_with(two_tokens);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_CREATE, "root", &create, NULL), CHY_OK);
    f.workers[0].mode = WORKER_HOLDS;
    uint64_t many = fx_sign(&f, "k", 80);
    fx_pump(&f, SECOND_US / 4, NULL);
    assert_true(f.workers[0].held_n > 0);
    assert_soon(fx_sign(&f, "elsewhere", 1), CHY_OP_SIGN, CHY_OK);
    const struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    assert_soon(fx_call(&f, CHY_OP_SIGN, "bob", &request), CHY_OP_SIGN, CHY_E_DENIED);
    assert_soon(fx_call(&f, CHY_OP_KEYS_DISABLE, "root", &elsewhere), CHY_OP_KEYS_DISABLE, CHY_OK);
    f.workers[0].mode = WORKER_SIGNS;
    fx_release(&f, 0);
    assert_int_equal(fx_signed(&f, many, NULL), CHY_OK);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sign__one, teardown),
        cmocka_unit_test_teardown(test_sign__sixteen, teardown),
        cmocka_unit_test_teardown(test_sign__as_many_as_a_request_holds, teardown),
        cmocka_unit_test_teardown(test_sign__ed25519_signs_the_message, teardown),
        cmocka_unit_test_teardown(test_sign__full_receipts_verify, teardown),
        cmocka_unit_test_teardown(test_sign__no_receipt_and_index, teardown),
        cmocka_unit_test_teardown(test_sign__denied_is_logged_and_no_token_is_asked, teardown),
        cmocka_unit_test_teardown(test_sign__held_until_there_is_a_reason, teardown),
        cmocka_unit_test_teardown(test_sign__unknown_key_leaves_no_entry, teardown),
        cmocka_unit_test_teardown(test_sign__mixed_batch, teardown),
        cmocka_unit_test_teardown(test_sign__malformed_items_leave_no_entry, teardown),
        cmocka_unit_test_teardown(test_sign__content_is_hashed_again, teardown),
        cmocka_unit_test_teardown(test_sign__denials_past_the_rate_are_answered_and_not_logged,
                                  teardown),
        cmocka_unit_test_teardown(test_sign__a_worker_that_dies_is_forgiven_once, teardown),
        cmocka_unit_test_teardown(test_sign__a_second_death_fails_the_digest, teardown),
        cmocka_unit_test_teardown(test_sign__a_token_that_fails, teardown),
        cmocka_unit_test_teardown(test_sign__a_wrong_number_of_answers_costs_the_worker, teardown),
        cmocka_unit_test_teardown(test_sign__success_without_a_signature_is_none, teardown),
        cmocka_unit_test_teardown(test_sign__a_signature_with_a_code_is_none, teardown),
        cmocka_unit_test_teardown(test_sign__nobody_waits_long_for_a_worker_that_does_not_come,
                                  teardown),
        cmocka_unit_test_teardown(test_sign__a_hung_worker_is_reported_and_its_work_done_by_another,
                                  teardown),
        cmocka_unit_test_teardown(test_sign__a_late_answer_counts, teardown),
        cmocka_unit_test_teardown(test_sign__a_deadline_in_the_queue, teardown),
        cmocka_unit_test_teardown(test_sign__a_full_queue_refuses_what_does_not_fit, teardown),
        cmocka_unit_test_teardown(test_sign__more_than_a_batch_holds_is_refused_whole, teardown),
        cmocka_unit_test_teardown(test_sign__a_front_that_dies_takes_no_outcome_along, teardown),
        cmocka_unit_test_teardown(test_sign__inspect_dies_or_is_silent, teardown),
        cmocka_unit_test_teardown(test_sign__a_signature_of_a_key_disabled_meanwhile_does_not_leave,
                                  teardown),
        cmocka_unit_test_teardown(test_sign__many_frames_share_a_commit, teardown),
        cmocka_unit_test_teardown(test_sign__one_alone_never_waits_for_company, teardown),
        cmocka_unit_test_teardown(test_sign__the_pace_is_slept, teardown),
        cmocka_unit_test_teardown(test_sign__a_full_token_lets_commits_wait, teardown),
        cmocka_unit_test_teardown(test_sign__what_needs_no_full_token_does_not_wait_with_it,
                                  teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
