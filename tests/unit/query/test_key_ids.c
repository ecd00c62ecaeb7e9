/* SPDX-License-Identifier: MIT */
#include "../store/store_fixture.h"
#include "base/mem.h"
#include "os/clock.h"
#include "query/key_ids.h"

static void put(struct fixture *f, const char *name, uint8_t id)
{
    struct chy_key_record record = { .key = { .name = chy_str_of(name),
                                              .class = CHY_KEY_CLASS_SIGNING,
                                              .type = CHY_KEY_P256,
                                              .state = CHY_KEY_STATE_ACTIVE,
                                              .origin = CHY_KEY_ORIGIN_GENERATED } };
    record.key.id[0] = id;
    assert_int_equal(chy_store_begin(f->store, NULL), CHY_OK);
    assert_int_equal(chy_record_put(f->store, CHY_OBJECT_KEY, chy_str_of(name),
                                    &chy_key_record_schema, &record, NULL),
                     CHY_OK);
    assert_int_equal(chy_store_commit(f->store, NULL), CHY_OK);
}

static enum chy_err find(struct fixture *f, struct query_key_ids *ids, uint8_t first,
                         struct chy_str *ret_name)
{
    const uint8_t id[CHY_ID_BYTES] = { first };
    return query_key_ids_find(ids, f->store, id, ret_name, &f->err);
}

static void test_find__each_by_its_id(void **state)
{
    struct fixture *f = *state;
    struct query_key_ids ids = { .n = 0 };
    struct chy_str name = CHY_STR("?");
    put(f, "b", 3);
    put(f, "a", 9);
    put(f, "c", 1);
    assert_int_equal(find(f, &ids, 9, &name), CHY_OK);
    assert_true(chy_str_equal_c(name, "a"));
    assert_int_equal(find(f, &ids, 3, &name), CHY_OK);
    assert_true(chy_str_equal_c(name, "b"));
    assert_int_equal(find(f, &ids, 2, &name), CHY_OK);
    assert_int_equal(name.n, 0);
    query_key_ids_done(&ids);
}

static void test_find__in_an_empty_store(void **state)
{
    struct fixture *f = *state;
    struct query_key_ids ids = { .n = 0 };
    struct chy_str name = CHY_STR("?");
    assert_int_equal(find(f, &ids, 1, &name), CHY_OK);
    assert_int_equal(name.n, 0);
    query_key_ids_done(&ids);
}

/* Not before its time, and then at once. */
static void test_find__reads_again_but_not_too_often(void **state)
{
    struct fixture *f = *state;
    struct query_key_ids ids = { .n = 0 };
    struct chy_str name;
    assert_int_equal(query_key_ids_read(&ids, f->store, &f->err), CHY_OK);
    assert_true(ids.next_read_us >= chy_clock_monotonic_us() - 1000000);
    put(f, "late", 5);
    ids.next_read_us = INT64_MAX;
    assert_int_equal(find(f, &ids, 5, &name), CHY_OK);
    assert_int_equal(name.n, 0);
    ids.next_read_us = 0;
    assert_int_equal(find(f, &ids, 5, &name), CHY_OK);
    assert_true(chy_str_equal_c(name, "late"));
    query_key_ids_done(&ids);
}

static void test_read__a_record_that_does_not_decode(void **state)
{
    struct fixture *f = *state;
    struct query_key_ids ids = { .n = 0 };
    struct chy_str name;
    put(f, "a", 1);
    assert_int_equal(find(f, &ids, 1, &name), CHY_OK);
    assert_int_equal(chy_store_begin(f->store, NULL), CHY_OK);
    assert_int_equal(chy_store_put(f->store, CHY_OBJECT_KEY, CHY_STR("b"), text_bytes("?"), NULL),
                     CHY_OK);
    assert_int_equal(chy_store_commit(f->store, NULL), CHY_OK);
    ids.next_read_us = 0;
    assert_int_equal(find(f, &ids, 2, &name), CHY_E_INTEGRITY);
    assert_non_null(strstr(f->err.text, "\"b\""));
    /* What was known stays known. */
    assert_int_equal(find(f, &ids, 1, &name), CHY_OK);
    assert_true(chy_str_equal_c(name, "a"));
    query_key_ids_done(&ids);
}

static void test_find__every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    struct chy_str name;
    put(f, "a", 1);
    put(f, "b", 2);
    enum chy_err r = CHY_E_NOMEM;
    size_t i = 0;
    for (; r != CHY_OK; i++) {
        struct query_key_ids ids = { .n = 0 };
        chy_mem_fail_after(i);
        r = find(f, &ids, 2, &name);
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        assert_true(r != CHY_OK || chy_str_equal_c(name, "b"));
        query_key_ids_done(&ids);
    }
    assert_true(i > 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_find__each_by_its_id),
        TEST(test_find__in_an_empty_store),
        TEST(test_find__reads_again_but_not_too_often),
        TEST(test_read__a_record_that_does_not_decode),
        TEST(test_find__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
