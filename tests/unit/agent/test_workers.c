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
    bool hangs;   /* at the server */
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
    const struct piece *head = (const struct piece *)first;
    const struct chy_sign_item item = { .key = head->hangs ? CHY_STR("hangs") : CHY_STR("none"),
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

static bool is_done(void *ctx)
{
    return ((const struct piece *)ctx)->is_done;
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

/* What waits is told when its time is over, though nobody gets round to it. */
static void test_add__is_told_in_time(void **state)
{
    (void)state;
    struct piece busy[CHY_WORKERS_MAX];
    struct piece p;
    occupy(busy);
    p = (struct piece){ .work = { .kind = &alone,
                                  .deadline_us = chy_clock_monotonic_us() + 1000 } };
    assert_int_equal(chy_workers_add(f.workers, &p.work, NULL), CHY_OK);
    fixture_turn_until(&f, is_done, &p);
    assert_int_equal(p.work.code, CHY_E_TIMEOUT);
    assert_int_equal(done_n, 1);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
}

static int setup_hurry(void **state)
{
    (void)state;
    done_n = 0;
    fixture_init_with(&f, &fake_upstream_in_a_hurry);
    return 0;
}

static void hang(struct piece *p)
{
    *p = (struct piece){
        .work = { .kind = &alone, .deadline_us = chy_clock_monotonic_us() + 60000000 },
        .hangs = true,
    };
    assert_int_equal(chy_workers_add(f.workers, &p->work, NULL), CHY_OK);
}

/* As many as may work at once hang: the next is done all the same. */
static void test_hang__holds_up_nobody(void **state)
{
    (void)state;
    struct piece hung[2 * CHY_WORKERS_MAX];
    struct piece p;
    fake_hang();
    for (size_t i = 0; i < CHY_ARRAY_LEN(hung); i++) {
        hang(&hung[i]);
        assert_int_equal(add(&p, &together, 0), CHY_OK);
        fixture_turn_until(&f, is_done, &p);
        assert_int_equal(p.work.code, CHY_OK);
    }
    assert_int_equal(done_n, CHY_ARRAY_LEN(hung));
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(done_n, 2 * CHY_ARRAY_LEN(hung));
}

static bool is_refused(void *ctx)
{
    struct piece *p = ctx;
    bool is_with_workers = p->work.kind != NULL && !p->is_done;
    return !is_with_workers && add(p, &alone, 0) == CHY_E_BUSY;
}

/* A server that answers nothing: more is refused at once, until it answers. */
static void test_hang__has_an_end(void **state)
{
    (void)state;
    struct piece hung[CHY_WORKERS_HUNG_MAX];
    struct piece p = { .is_done = true };
    struct piece waits;
    fake_hang();
    for (unsigned i = 0; i < CHY_ARRAY_LEN(hung); i++)
        hang(&hung[i]);
    assert_int_equal(add(&waits, &alone, 0), CHY_OK); /* behind all of them */
    fixture_turn_until(&f, is_refused, &p);
    fixture_turn_until(&f, is_done, &waits);
    fake_release();
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(add(&p, &alone, 0), CHY_OK);
    fixture_turn_until(&f, is_over, NULL);
    assert_int_equal(p.work.code, CHY_OK);
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
        TEST(test_add__is_told_in_time),
        cmocka_unit_test_setup_teardown(test_hang__holds_up_nobody, setup_hurry, teardown),
        cmocka_unit_test_setup_teardown(test_hang__has_an_end, setup_hurry, teardown),
        TEST(test_finish__tells_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
