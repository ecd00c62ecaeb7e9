/* SPDX-License-Identifier: MIT */
/* Work of the test's own: what is taken together, what is refused, what comes too late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent_fixture.h"
#include "base/mem.h"
#include "os/clock.h"

struct piece {
    struct chy_work work;
    int kind;
    size_t chain; /* how many were done with it, if it was the first */
    bool is_done;
};

static struct fixture f;
static size_t done_n;

static int setup(void **state)
{
    (void)state;
    done_n = 0;
    fixture_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&f);
    return 0;
}

/* By a call of the server, which the fake can hold. */
static void run(struct chy_work *first, struct chy_worker *w)
{
    const struct chy_sign_item item = { .key = CHY_STR("none"),
                                        .algorithm = CHY_ALG_ECDSA_SHA256,
                                        .hashed_by = CHY_HASHED_BY_TOOL };
    const struct chy_sign_request request = { .items = { &item, 1 } };
    struct chy_sign_response response;
    struct chy_arena arena;
    struct chy_error err;
    struct piece *p = (struct piece *)first;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_worker_call(w, CHY_OP_SIGN, &request, &arena, &response, &err);
    chy_arena_done(&arena);
    for (struct chy_work *work = first; work != NULL; work = work->next) {
        p->chain++;
        chy_worker_finish(w, work, r, &err);
    }
}

static void done(struct chy_work *work)
{
    struct piece *p = (struct piece *)work;
    assert_false(p->is_done);
    p->is_done = true;
    done_n++;
}

static bool joins(const struct chy_work *first, const struct chy_work *other)
{
    return ((const struct piece *)first)->kind == ((const struct piece *)other)->kind;
}

static const struct chy_work_kind alone = { .run = run, .done = done };
static const struct chy_work_kind together = { .run = run, .done = done, .joins = joins };

static bool is_over(void *ctx)
{
    (void)ctx;
    return chy_workers_pending(f.workers) == 0;
}

static enum chy_err add(struct piece *p, const struct chy_work_kind *kind, size_t bytes)
{
    *p = (struct piece){
        .work = { .kind = kind, .bytes = bytes, .deadline_us = chy_clock_monotonic_us() + 60000000 }
    };
    return chy_workers_add(f.workers, &p->work, NULL);
}

/* Every thread is at work that does not end yet. */
static void occupy(struct piece pieces[CHY_WORKERS_MAX])
{
    fake_hold();
    for (unsigned i = 0; i < CHY_WORKERS_MAX; i++) {
        assert_int_equal(add(&pieces[i], &alone, 0), CHY_OK);
        fake_wait_held(i + 1);
    }
}

static void test_add__what_joins_is_done_together(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece p[12];
    occupy(busy);
    for (size_t i = 0; i < CHY_ARRAY_LEN(p); i++) {
        assert_int_equal(add(&p[i], i == 5 ? &alone : &together, 10), CHY_OK);
        p[i].kind = i % 2 == 0; /* nobody looks yet */
    }
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(done_n, CHY_ARRAY_LEN(p) + CHY_WORKERS_MAX);
    assert_int_equal(p[0].chain, 6);
    assert_int_equal(p[1].chain, 5);
    assert_int_equal(p[5].chain, 1);
}

static void test_add__no_more_bytes_than_a_request_has(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece p[4];
    occupy(busy);
    for (size_t i = 0; i < CHY_ARRAY_LEN(p); i++)
        assert_int_equal(add(&p[i], &together, CHY_WORK_BYTES / 3 + (i == 2 ? 3 : 0)), CHY_OK);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p[0].chain, 3); /* 0, 1 and 3 */
    assert_int_equal(p[2].chain, 1);
}

static void test_add__no_more_items_than_a_request_has(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece *p = chy_new_array(struct piece, CHY_LIMIT_SIGN_ITEMS + 1);
    occupy(busy);
    for (size_t i = 0; i <= CHY_LIMIT_SIGN_ITEMS; i++)
        assert_int_equal(add(&p[i], &together, 0), CHY_OK);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p[0].chain, CHY_LIMIT_SIGN_ITEMS);
    assert_int_equal(p[CHY_LIMIT_SIGN_ITEMS].chain, 1);
    chy_free(p);
}

static void test_add__as_many_as_may_wait(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    size_t n = CHY_LIMIT_DOOR_WAITING - CHY_WORKERS_MAX;
    struct piece *p = chy_new_array(struct piece, n + 1);
    occupy(busy);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(add(&p[i], &together, 0), CHY_OK);
    assert_int_equal(add(&p[n], &together, 0), CHY_E_BUSY);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(done_n, CHY_LIMIT_DOOR_WAITING);
    assert_int_equal(add(&p[n], &together, 0), CHY_OK);
    fixture_turn_until(&f, is_over, NULL);
    chy_free(p);
}

static void test_add__as_many_bytes_as_may_wait(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece p[3];
    occupy(busy);
    assert_int_equal(add(&p[0], &together, CHY_LIMIT_DOOR_WAITING_BYTES - 1), CHY_OK);
    assert_int_equal(add(&p[1], &together, 2), CHY_E_BUSY);
    assert_int_equal(add(&p[1], &together, 1), CHY_OK);
    assert_int_equal(add(&p[2], &together, 1), CHY_E_BUSY);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(add(&p[2], &together, CHY_LIMIT_DOOR_WAITING_BYTES), CHY_OK);
    fixture_turn_until(&f, is_over, NULL);
}

static void test_add__too_late(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece p;
    occupy(busy);
    p = (struct piece){ .work = { .kind = &alone, .deadline_us = chy_clock_monotonic_us() - 1 } };
    assert_int_equal(chy_workers_add(f.workers, &p.work, NULL), CHY_OK);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p.work.code, CHY_E_TIMEOUT);
    assert_int_equal(p.chain, 0);
}

static void test_finish__tells_what_to_do(void **state)
{
    (void)state;
    struct piece p;
    fake.fails = CHY_E_UNAUTHENTICATED;
    assert_int_equal(add(&p, &alone, 0), CHY_OK);
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p.work.code, CHY_E_UNAUTHENTICATED);
    assert_string_equal(p.work.request_id, "0123456789abcdef");
    assert_non_null(p.work.mend);
    assert_true(chy_login_has_trouble(f.login));
    fake.fails = CHY_OK;
    assert_int_equal(add(&p, &alone, 0), CHY_OK);
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p.work.code, CHY_OK);
    assert_false(chy_login_has_trouble(f.login));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_add__what_joins_is_done_together),
        TEST(test_add__no_more_bytes_than_a_request_has),
        TEST(test_add__no_more_items_than_a_request_has),
        TEST(test_add__as_many_as_may_wait),
        TEST(test_add__as_many_bytes_as_may_wait),
        TEST(test_add__too_late),
        TEST(test_finish__tells_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
