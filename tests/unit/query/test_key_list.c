/* SPDX-License-Identifier: MIT */
/* Lists of many keys: pages, what may be used, and one by its id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../crypto/key_fixture.h"
#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "doc/doc.h"
#include "query_fixture.h"

enum {
    MANY = CHY_LIMIT_KEY_PAGE + 100,
    LARGE = 20, /* keys whose chains are as large as chains may be */
};

static struct server *s;

static const char policy[] = "version: 1\nrules:\n"
                             "  - {name: bob, effect: allow, match: {principal: [bob, karl], "
                             "key: m0*}}\n"
                             "  - {name: not-these, effect: deny, match: {key: m00*}}\n";

#define TEXT_IS(str, want) assert_true(chy_str_equal_c((str), (want)))

static int teardown(void **state)
{
    (void)state;
    chy_arena_reset(&s->arena);
    return 0;
}

/* m0000 to m0599; the id of each is its number. */
static void put_many(void)
{
    char name[16];
    assert_int_equal(chy_store_begin(s->store, NULL), CHY_OK);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "m%04u", i);
        struct chy_key_record record = fixture_key(name, "carol");
        record.key.id[0] = 1;
        record.key.id[1] = (uint8_t)(i >> 8);
        record.key.id[2] = (uint8_t)i;
        if (i == 50)
            record.key.state = CHY_KEY_STATE_DISABLED;
        assert_int_equal(chy_record_put(s->store, CHY_OBJECT_KEY, chy_str_of(name),
                                        &chy_key_record_schema, &record, NULL),
                         CHY_OK);
    }
    assert_int_equal(chy_store_commit(s->store, NULL), CHY_OK);
}

static int group_setup(void **state)
{
    (void)state;
    s = fixture_start();
    fixture_store(s);
    fixture_user(s, "karl", "key-manager");
    fixture_user(s, "bob", "");
    fixture_user(s, "carol", "");
    fixture_policy(s, 1, policy);
    put_many();
    const struct chy_str scopes = CHY_STR("keys.*");
    const struct chy_str keys = CHY_STR("m012*");
    fixture_credential(
        s, "token:narrow",
        (struct chy_credential_record){
            .principal = CHY_STR("bob"),
            .method = CHY_AUTH_API_TOKEN,
            .info = { .scopes = { &scopes, 1 }, .keys = { &keys, 1 }, .expires_us = INT64_MAX } });
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    fixture_stop(s);
    fixture_keys_free();
    return 0;
}

static struct chy_key_list list(const char *who, struct chy_key_query query)
{
    struct chy_key_list page;
    enum chy_err r = fixture_call(s, CHY_OP_KEYS_LIST, who, &query, &page);
    if (r != CHY_OK)
        fail_msg("%s: %s", chy_err_name(r), fixture_text);
    return page;
}

static struct chy_key_query with_id(unsigned number)
{
    struct chy_key_query query = { .limit = 0 };
    query.id[0] = 1;
    query.id[1] = (uint8_t)(number >> 8);
    query.id[2] = (uint8_t)number;
    return query;
}

static void test_list__pages_by_name(void **state)
{
    (void)state;
    struct chy_key_list page = list("karl", (struct chy_key_query){ .limit = 0 });
    assert_int_equal(page.keys.n, CHY_LIMIT_KEY_PAGE);
    TEXT_IS(page.keys.p[0].name, "m0000");
    TEXT_IS(page.next, "m0499");
    page = list("karl", (struct chy_key_query){ .after = page.next });
    assert_int_equal(page.keys.n, MANY - CHY_LIMIT_KEY_PAGE);
    TEXT_IS(page.keys.p[0].name, "m0500");
    TEXT_IS(page.next, "");
}

static void test_list__as_many_as_asked_for(void **state)
{
    (void)state;
    struct chy_key_list page = list("karl", (struct chy_key_query){ .limit = 1 });
    assert_int_equal(page.keys.n, 1);
    TEXT_IS(page.next, "m0000");
    page = list("karl", (struct chy_key_query){ .limit = 3, .after = CHY_STR("m0597") });
    assert_int_equal(page.keys.n, 2);
    TEXT_IS(page.next, "");
    /* Exactly as many as there are: nothing is behind them. */
    page = list("karl", (struct chy_key_query){ .limit = 2, .after = CHY_STR("m0597") });
    assert_int_equal(page.keys.n, 2);
    TEXT_IS(page.next, "");
    page = list("karl", (struct chy_key_query){ .limit = CHY_LIMIT_KEY_PAGE });
    assert_int_equal(page.keys.n, CHY_LIMIT_KEY_PAGE);
    /* `after` need not be there. */
    page = list("karl", (struct chy_key_query){ .limit = 1, .after = CHY_STR("m0041x") });
    TEXT_IS(page.keys.p[0].name, "m0042");
}

static void test_list__a_limit_past_the_maximum(void **state)
{
    (void)state;
    struct chy_key_query query = { .limit = CHY_LIMIT_KEY_PAGE + 1 };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    assert_int_equal(chy_schema_encode(&chy_key_query_schema, &query, &out, NULL), CHY_E_LIMIT);
}

static void test_list__what_may_be_used(void **state)
{
    (void)state;
    /* A key manager sees all, and may sign with what bob may: 100 to 599. */
    const char *const who[] = { "bob", "karl" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(who); i++) {
        struct chy_key_list page = list(who[i], (struct chy_key_query){ .usable = true });
        assert_int_equal(page.keys.n, 500);
        TEXT_IS(page.keys.p[0].name, "m0100");
        TEXT_IS(page.next, "");
    }
    /* The owner of all sees them, and may sign with none. */
    assert_int_equal(list("carol", (struct chy_key_query){ .limit = 0 }).keys.n, 500);
    assert_int_equal(list("carol", (struct chy_key_query){ .usable = true }).keys.n, 0);
    struct chy_key_list page = list("token:narrow", (struct chy_key_query){ .usable = true });
    assert_int_equal(page.keys.n, 10);
    TEXT_IS(page.keys.p[0].name, "m0120");
}

/* Names that the caller may not see stand in no answer, `next` least of all. */
static void test_list__next_is_a_key_that_is_seen(void **state)
{
    (void)state;
    struct chy_key_list page =
        list("token:narrow", (struct chy_key_query){ .usable = true, .limit = 4 });
    TEXT_IS(page.next, "m0123");
    page = list("token:narrow", (struct chy_key_query){ .limit = 10 });
    TEXT_IS(page.next, "m0129");
    page = list("token:narrow", (struct chy_key_query){ .limit = 10, .after = page.next });
    assert_int_equal(page.keys.n, 0);
    TEXT_IS(page.next, "");
}

static void test_list__only_active_ones_may_be_used(void **state)
{
    (void)state;
    struct chy_key_record record = fixture_key("m0300", "");
    record.key.state = CHY_KEY_STATE_DISABLED;
    fixture_put(s, CHY_OBJECT_KEY, "m0300", &chy_key_record_schema, &record);
    assert_int_equal(list("bob", (struct chy_key_query){ .usable = true }).keys.n, 499);
}

static void test_list__by_id(void **state)
{
    (void)state;
    struct chy_key_query query = with_id(421);
    struct chy_key_list page = list("karl", query);
    assert_int_equal(page.keys.n, 1);
    TEXT_IS(page.keys.p[0].name, "m0421");
    TEXT_IS(page.next, "");
    query.usable = true;
    assert_int_equal(list("bob", query).keys.n, 1);
    assert_int_equal(list("carol", query).keys.n, 0);
    query = with_id(42);
    assert_int_equal(list("bob", query).keys.n, 0);
    assert_int_equal(list("karl", query).keys.n, 1);
    assert_int_equal(list("token:narrow", query).keys.n, 0);
    query.after = CHY_STR("m0042");
    assert_int_equal(list("karl", query).keys.n, 0);
    assert_int_equal(list("karl", with_id(60000)).keys.n, 0);
}

/* Found as soon as the ids are read again, which is never long after the key was made. */
static void test_list__by_id_of_a_new_key(void **state)
{
    (void)state;
    struct chy_key_query query = with_id(0xbeef);
    assert_int_equal(list("karl", query).keys.n, 0);
    struct chy_key_record record = fixture_key("new", "");
    memcpy(record.key.id, query.id, sizeof query.id);
    fixture_put(s, CHY_OBJECT_KEY, "new", &chy_key_record_schema, &record);
    size_t n = 0;
    while (n == 0)
        n = list("karl", query).keys.n;
    assert_int_equal(n, 1);
    /* The id that a name had is looked up in its record. */
    memset(record.key.id, 7, sizeof record.key.id);
    fixture_put(s, CHY_OBJECT_KEY, "new", &chy_key_record_schema, &record);
    assert_int_equal(list("karl", query).keys.n, 0);
}

static void test_list__a_page_is_no_larger_than_clients_read(void **state)
{
    (void)state;
    static uint8_t der[CHY_LIMIT_CERTIFICATE];
    struct chy_certificate chain[CHY_LIMIT_CHAIN];
    for (size_t i = 0; i < CHY_LIMIT_CHAIN; i++)
        chain[i] = (struct chy_certificate){ .der = { der, sizeof der } };
    for (int i = 0; i < LARGE; i++) {
        char name[16];
        snprintf(name, sizeof name, "z%02d", i);
        struct chy_key_record record = fixture_key(name, "");
        record.key.certificates.p = chain;
        record.key.certificates.n = CHY_LIMIT_CHAIN;
        fixture_put(s, CHY_OBJECT_KEY, name, &chy_key_record_schema, &record);
    }
    size_t n = 0;
    struct chy_key_query query = { .after = CHY_STR("z") };
    do {
        struct chy_key_list page = list("karl", query);
        CHY_CLEANUP(chy_buf_done) struct chy_buf json;
        chy_buf_init(&json, CHY_LIMIT_JSON);
        assert_int_equal(chy_json_write(&chy_key_list_schema, &page, 0, &json, NULL), CHY_OK);
        assert_true(page.keys.n >= 8);
        n += page.keys.n;
        query.after = page.next;
    } while (query.after.n != 0);
    assert_int_equal(n, LARGE);
}

int main(int argc, char **argv)
{
    int code = fixture_role(argc, argv);
    if (code >= 0)
        return code;
    if (kernel_skips_all())
        return 0;
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_list__pages_by_name),
        TEST(test_list__as_many_as_asked_for),
        TEST(test_list__a_limit_past_the_maximum),
        TEST(test_list__what_may_be_used),
        TEST(test_list__next_is_a_key_that_is_seen),
        TEST(test_list__only_active_ones_may_be_used),
        TEST(test_list__by_id),
        TEST(test_list__by_id_of_a_new_key),
        TEST(test_list__a_page_is_no_larger_than_clients_read),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
