/* SPDX-License-Identifier: MIT */
/* Jobs and their answers; what threads do with them is tested in test_token.c. */
#include <stdio.h>
#include <string.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "token/answer.h"
#include "token/pool.h"
#include "token_fixture.h"

static struct fixture fx;
static struct chy_loop *loop;
static struct chy_job *done;

static int make(void **state)
{
    (void)state;
    fixture_make(&fx);
    fixture_open(&fx, fx.softhsm, (struct chy_keys_options){ .copies = false });
    assert_code(chy_loop_new(&loop, NULL), CHY_OK);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    chy_loop_free(loop);
    fixture_close(&fx);
    fixture_remove(&fx);
    return 0;
}

static void on_done(void *ctx, struct chy_job *job)
{
    (void)ctx;
    assert_null(done);
    done = job;
}

static struct chy_pool_options options(uint32_t threads)
{
    return (struct chy_pool_options){
        .slot = fx.slot, .keys = fx.keys, .threads = threads, .loop = loop, .on_done = on_done
    };
}

static void encode(const struct chy_schema *schema, const void *value, struct chy_buf *body)
{
    chy_buf_init(body, CHY_FRAME_BODY_MAX);
    assert_code(chy_schema_encode(schema, value, body, NULL), CHY_OK);
}

static void test_job_new__takes_requests_alone(void **state)
{
    (void)state;
    struct chy_job *job = NULL;
    struct chy_buf body;
    const struct chy_token_drop drop = { .key.object_id = chy_str_bytes(CHY_STR("x")) };
    encode(&chy_token_drop_schema, &drop, &body);
    assert_code(chy_job_new(CHY_MSG_TOKEN_DROP_REPLY, 1, chy_buf_bytes(&body), &job, NULL),
                CHY_E_PROTOCOL);
    assert_code(chy_job_new(CHY_MSG_CONFIG, 1, chy_buf_bytes(&body), &job, NULL), CHY_E_PROTOCOL);
    assert_code(chy_job_new((enum chy_msg)9999, 1, chy_buf_bytes(&body), &job, NULL),
                CHY_E_PROTOCOL);
    struct chy_bytes cut = chy_buf_bytes(&body);
    cut.n--;
    assert_code(chy_job_new(CHY_MSG_TOKEN_DROP, 1, cut, &job, NULL), CHY_E_MALFORMED);
    assert_null(job);
    chy_buf_done(&body);
}

static void test_job_new__holds_to_the_limit_of_items(void **state)
{
    (void)state;
    static struct chy_token_sign_item items[CHY_LIMIT_SIGN_ITEMS];
    for (size_t i = 0; i < CHY_LIMIT_SIGN_ITEMS; i++)
        items[i].algorithm = CHY_ALG_ED25519;
    struct chy_job *job = NULL;
    struct chy_buf body;
    const struct chy_token_sign most = { .items = { items, CHY_LIMIT_SIGN_ITEMS } };
    encode(&chy_token_sign_schema, &most, &body);
    assert_code(chy_job_new(CHY_MSG_TOKEN_SIGN, 1, chy_buf_bytes(&body), &job, NULL), CHY_OK);
    assert_int_equal(job->units, CHY_LIMIT_SIGN_ITEMS);
    chy_job_free(job);
    body.p[2] = 0x03; /* the count, in the first four bytes: one more */
    body.p[3] = 0xe9;
    job = NULL;
    assert_code(chy_job_new(CHY_MSG_TOKEN_SIGN, 1, chy_buf_bytes(&body), &job, NULL), CHY_E_LIMIT);
    chy_buf_done(&body);
}

static void test_job_refuse__answers_what_was_not_begun(void **state)
{
    (void)state;
    struct chy_token_sign_item items[3] = { { .algorithm = CHY_ALG_ED25519 },
                                            { .algorithm = CHY_ALG_ED25519 },
                                            { .algorithm = CHY_ALG_ED25519 } };
    struct chy_job *job = NULL;
    struct chy_buf body;
    struct chy_buf answer;
    uint16_t type = 0;
    const struct chy_token_sign request = { .items = { items, 3 } };
    encode(&chy_token_sign_schema, &request, &body);
    assert_code(chy_job_new(CHY_MSG_TOKEN_SIGN, 7, chy_buf_bytes(&body), &job, NULL), CHY_OK);
    job->units_taken = 1; /* somebody is at the first */
    chy_job_refuse(job, CHY_E_BUSY, "later");
    assert_int_equal(job->units_taken, 3);
    assert_int_equal(job->units_done, 2);
    job->results[0].signature.n = 2;
    chy_buf_init(&answer, CHY_FRAME_BODY_MAX);
    assert_code(chy_answer_encode(job, &type, &answer, NULL), CHY_OK);
    assert_int_equal(type, CHY_MSG_TOKEN_SIGN_REPLY);
    struct chy_token_sign_reply reply;
    assert_code(chy_schema_decode(&chy_token_sign_reply_schema, chy_buf_bytes(&answer), &job->arena,
                                  &reply, NULL),
                CHY_OK);
    assert_int_equal(reply.results.p[0].code, 0);
    assert_int_equal(reply.results.p[0].signature.n, 2);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(reply.results.p[i].code, -CHY_E_BUSY);
        assert_true(chy_str_equal_c(reply.results.p[i].text, "later"));
    }
    chy_job_free(job);
    chy_buf_done(&answer);
    chy_buf_done(&body);
}

static void test_pool_new__wants_one_thread_to_the_limit(void **state)
{
    (void)state;
    struct chy_pool *pool = NULL;
    struct chy_pool_options none = options(0);
    struct chy_pool_options many = options(CHY_LIMIT_TOKEN_THREADS + 1);
    assert_code(chy_pool_new(&none, &pool, NULL), CHY_E_ARG);
    assert_code(chy_pool_new(&many, &pool, NULL), CHY_E_ARG);
    assert_null(pool);
}

static void test_pool_add__does_it_at_once_with_one_thread(void **state)
{
    (void)state;
    struct chy_pool *pool = NULL;
    struct chy_job *job = NULL;
    struct chy_buf body;
    struct chy_pool_options one = options(1);
    const struct chy_token_find request = { .label = CHY_STR("nobody") };
    encode(&chy_token_find_schema, &request, &body);
    assert_code(chy_pool_new(&one, &pool, NULL), CHY_OK);
    assert_code(chy_job_new(CHY_MSG_TOKEN_FIND, 3, chy_buf_bytes(&body), &job, NULL), CHY_OK);
    chy_pool_add(pool, job);
    assert_ptr_equal(done, job);
    assert_code(job->code, CHY_E_NOT_FOUND);
    assert_int_equal(chy_pool_pending(pool), 0);
    assert_null(chy_pool_broken(pool));
    chy_job_free(CHY_TAKE(done));
    chy_pool_free(pool);
    chy_buf_done(&body);
}

/* A request from its frame to its answer, with each allocation failing in turn. */
static enum chy_err whole_way(enum chy_msg type, struct chy_bytes body)
{
    struct chy_job *job = NULL;
    struct chy_pool *pool = NULL;
    struct chy_pool_options one = options(1);
    CHY_TRY(chy_pool_new(&one, &pool, NULL));
    enum chy_err r = chy_job_new(type, 1, body, &job, NULL);
    if (r == CHY_OK) {
        struct chy_buf answer;
        uint16_t reply = 0;
        chy_pool_add(pool, job);
        chy_buf_init(&answer, CHY_FRAME_BODY_MAX);
        r = chy_answer_encode(done, &reply, &answer, NULL);
        if (r == CHY_OK)
            r = done->results != NULL ? done->results[0].code : done->code;
        chy_buf_done(&answer);
        chy_job_free(CHY_TAKE(done));
    }
    chy_pool_free(pool);
    return r;
}

static void sweep(enum chy_msg type, const struct chy_schema *schema, const void *request)
{
    struct chy_buf body;
    encode(schema, request, &body);
    size_t n = 0;
    for (;; n++) {
        chy_mem_fail_after(n);
        enum chy_err r = whole_way(type, chy_buf_bytes(&body));
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_code(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
    assert_true(n > 3);
    chy_buf_done(&body);
}

static void test_pool__survives_every_failed_allocation(void **state)
{
    (void)state;
    struct chy_token_key_reply key = fixture_key(&fx, CHY_KEY_P256, "swept", "swept");
    struct chy_token_sign_item item = fixture_item(&key, CHY_ALG_ECDSA_SHA256, 1);
    const struct chy_token_sign sign = { .items = { &item, 1 } };
    const struct chy_token_find find = { .label = CHY_STR("swept") };
    const struct chy_token_drop drop = { .key = item.key };
    sweep(CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema, &sign);
    sweep(CHY_MSG_TOKEN_FIND, &chy_token_find_schema, &find);
    sweep(CHY_MSG_TOKEN_DROP, &chy_token_drop_schema, &drop);
}

static void test_keys_generate__leaves_nothing_when_memory_is_out(void **state)
{
    (void)state;
    size_t before = fixture_count(&fx, CKO_PRIVATE_KEY);
    const struct chy_token_generate request = fixture_request(CHY_KEY_P256, "made", "made");
    size_t n = 0;
    for (;; n++) {
        struct chy_token_key_reply key;
        struct chy_arena arena;
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = chy_keys_generate(fx.keys, &fx.session, &request, &arena, &key, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_arena_done(&arena);
        assert_code(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
        assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), before);
        assert_int_equal(fixture_count(&fx, CKO_PUBLIC_KEY), before);
    }
    assert_true(n > 3);
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), before + 1);
}

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_new__takes_requests_alone),
        cmocka_unit_test(test_job_new__holds_to_the_limit_of_items),
        cmocka_unit_test(test_job_refuse__answers_what_was_not_begun),
        cmocka_unit_test(test_pool_new__wants_one_thread_to_the_limit),
        cmocka_unit_test(test_pool_add__does_it_at_once_with_one_thread),
        cmocka_unit_test(test_pool__survives_every_failed_allocation),
        cmocka_unit_test(test_keys_generate__leaves_nothing_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
