/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "proto/api.h"
#include "values.h"

#define ROUNDS     12
#define STRUCT_MAX 4096

static const uint32_t elsewhere = CHY_INTERNAL | CHY_IN_PATH | CHY_IN_QUERY;

static enum chy_err read_back(const struct chy_schema *schema, const struct chy_buf *json,
                              struct chy_arena *arena, void *back, struct chy_error *err)
{
    const struct chy_doc *doc = NULL;
    CHY_TRY(chy_json_parse(chy_buf_bytes(json), arena, &doc, err));
    return chy_doc_read(schema, doc, arena, back, err);
}

/* Struct -> JSON -> struct, compact and pretty, for every message there is. */
static void test_json_write__every_struct_round_trips(void **state)
{
    (void)state;
    struct chy_arena arena;
    struct chy_buf json;
    struct chy_error err;
    static _Alignas(16) char value[STRUCT_MAX];
    static _Alignas(16) char back[STRUCT_MAX];
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_init(&json, CHY_LIMIT_JSON);
    uint64_t seed = 11;
    unsigned indent = 0;
    for (size_t i = 0; i < values_schemas_n * ROUNDS; i++) {
        const struct chy_schema *schema = values_schemas[i / ROUNDS];
        assert_in_range(schema->size, 1, STRUCT_MAX);
        chy_arena_reset(&arena);
        chy_buf_clear(&json);
        values_random(schema, &seed, VALUES_FOR_DOCUMENT, &arena, value);
        enum chy_err r = chy_json_write(schema, value, indent++ % 3, &json, &err);
        if (r == CHY_OK)
            r = read_back(schema, &json, &arena, back, &err);
        if (r != CHY_OK || !values_equal(schema, value, back, elsewhere))
            fail_msg("%s: %s\n%.*s", schema->name, r != CHY_OK ? err.text : "differs",
                     CHY_STR_ARG(chy_buf_str(&json)));
    }
    chy_arena_done(&arena);
    chy_buf_done(&json);
}

static void assert_writes(const struct chy_schema *schema, const void *value, unsigned indent,
                          const char *expected)
{
    struct chy_buf b;
    struct chy_error err = { 0 };
    chy_buf_init(&b, 65536);
    if (chy_json_write(schema, value, indent, &b, &err) != CHY_OK)
        fail_msg("%s", err.text);
    assert_true(chy_buf_append_u8(&b, 0));
    assert_string_equal((const char *)b.p, expected);
    chy_buf_done(&b);
}

static void test_json_write__leaves_out_what_is_absent(void **state)
{
    (void)state;
    struct chy_sign_result result = { 0 };
    assert_writes(&chy_sign_result_schema, &result, 0, "{\"is_signed\":false,\"rules\":[]}");
    struct chy_sign_request request = { 0 };
    assert_writes(&chy_sign_request_schema, &request, 0,
                  "{\"items\":[],\"facts\":[],\"labels\":{},\"receipt\":\"index\"}");
    struct chy_client_certificate required = { 0 };
    assert_writes(&chy_client_certificate_schema, &required, 0,
                  "{\"principal\":\"\",\"certificate\":\"\","
                  "\"not_after\":\"1970-01-01T00:00:00Z\"}");
    struct chy_key_name in_path = { CHY_STR("name") };
    assert_writes(&chy_key_name_schema, &in_path, 0, "{}");
    assert_writes(&chy_key_name_schema, &in_path, 4, "{}");
    struct chy_log_query in_query = { .after = 5, .limit = 6, .key = CHY_STR("k") };
    assert_writes(&chy_log_query_schema, &in_query, 0, "{}");
    struct chy_key key = { .class = CHY_KEY_CLASS_SIGNING,
                           .state = CHY_KEY_STATE_ACTIVE,
                           .origin = CHY_KEY_ORIGIN_ADOPTED };
    assert_writes(&chy_key_schema, &key, 0,
                  "{\"name\":\"\",\"type\":\"none\",\"state\":\"active\",\"origin\":\"adopted\","
                  "\"groups\":[],\"owners\":[],\"token_is_software\":false,\"certificates\":[],"
                  "\"warnings\":[]}");
}

static void test_json_write__indents(void **state)
{
    (void)state;
    static const struct chy_log_index one = { 1 };
    static const struct chy_str rules[] = { { "a", 1 }, { "b", 1 } };
    struct chy_sign_result result = { .rules = { rules, 2 }, .intent = &one };
    assert_writes(&chy_sign_result_schema, &result, 2,
                  "{\n"
                  "  \"is_signed\": false,\n"
                  "  \"rules\": [\n"
                  "    \"a\",\n"
                  "    \"b\"\n"
                  "  ],\n"
                  "  \"intent\": {\n"
                  "    \"index\": 1\n"
                  "  }\n"
                  "}");
    static const struct chy_label labels[] = { { { "ci", 2 }, { "yes", 3 } } };
    struct chy_sign_request request = { .labels = { labels, 1 } };
    assert_writes(&chy_sign_request_schema, &request, 1,
                  "{\n \"items\": [],\n \"facts\": [],\n \"labels\": {\n  \"ci\": \"yes\"\n },\n"
                  " \"receipt\": \"index\"\n}");
}

static void test_json_write_text__escapes(void **state)
{
    (void)state;
    static const struct {
        struct chy_str in;
        const char *out;
    } texts[] = {
        { { "", 0 }, "\"\"" },
        { { "a/b", 3 }, "\"a/b\"" },
        { { "\"\\", 2 }, "\"\\\"\\\\\"" },
        { { "\b\f\n\r\t", 5 }, "\"\\b\\f\\n\\r\\t\"" },
        { { "\0\x01\x1f\x7f", 4 }, "\"\\u0000\\u0001\\u001f\\u007f\"" },
        { { "\xc3\xa4\xf0\x9f\x94\x91", 6 }, "\"\xc3\xa4\xf0\x9f\x94\x91\"" },
        { { "a\xff\xc3", 3 }, "\"a\xef\xbf\xbd\xef\xbf\xbd\"" },
        { { "\xed\xa0\x80", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { { "0bfnrt", 6 }, "\"0bfnrt\"" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(texts); i++) {
        struct chy_buf b;
        chy_buf_init(&b, 1024);
        assert_true(chy_json_write_text(&b, texts[i].in));
        assert_true(chy_buf_append_u8(&b, 0));
        assert_string_equal((const char *)b.p, texts[i].out);
        chy_buf_done(&b);
    }
}

static void assert_refused(const struct chy_schema *schema, const void *value, const char *text)
{
    struct chy_buf b;
    struct chy_error err = { 0 };
    chy_buf_init(&b, 65536);
    assert_int_equal(chy_json_write(schema, value, 0, &b, &err), CHY_E_ARG);
    assert_non_null(strstr(err.text, text));
    chy_buf_done(&b);
}

static void test_json_write__refuses_what_could_not_be_read(void **state)
{
    (void)state;
    struct chy_label label = { CHY_STR("a\xff"), CHY_STR("b") };
    assert_refused(&chy_label_schema, &label, "name has U+0000 or is no UTF-8");
    label = (struct chy_label){ CHY_STR("a"), { "b\0c", 3 } };
    assert_refused(&chy_label_schema, &label, "value has U+0000");
    struct chy_sign_request request = { .labels = { &label, 1 } };
    assert_refused(&chy_sign_request_schema, &request, "value has U+0000");
    struct chy_fact fact = { CHY_STR("a"), CHY_STR("b"), (enum chy_basis)9 };
    assert_refused(&chy_fact_schema, &fact, "basis has no value 9");
    struct chy_sign_response number = { .policy_number = (uint64_t)INT64_MAX + 1 };
    assert_refused(&chy_sign_response_schema, &number, "policy_number is 9223372036854775808");
    number.policy_number = INT64_MAX;
    assert_writes(&chy_sign_response_schema, &number, 0,
                  "{\"results\":[],\"policy_number\":9223372036854775807}");
    struct chy_hello hello = { .time_us = CHY_TIME_MAX_US + 1 };
    assert_refused(&chy_hello_schema, &hello, "time is not within the years 1970 to 9999");
    hello.time_us = -1;
    assert_refused(&chy_hello_schema, &hello, "time is not within");
}

struct nest {
    const struct nest *next;
};
extern const struct chy_schema nest_schema;
static const struct chy_field nest_fields[] = {
    CHY_F_OPTION(struct nest, next, &nest_schema, struct nest, 0, "next"),
};
const struct chy_schema nest_schema = CHY_SCHEMA("Nest", struct nest, nest_fields, "nest");

/* What is written can be read: neither goes deeper than the other. */
static void test_json_write__depth_is_that_of_the_parser(void **state)
{
    (void)state;
    struct nest chain[CHY_LIMIT_DEPTH + 1] = { { NULL } };
    struct nest back;
    struct chy_arena arena;
    struct chy_buf b;
    for (size_t i = 0; i + 1 < CHY_ARRAY_LEN(chain); i++)
        chain[i].next = &chain[i + 1];
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_init(&b, 4096);
    assert_int_equal(chy_json_write(&nest_schema, &chain[1], 0, &b, NULL), CHY_OK);
    assert_int_equal(read_back(&nest_schema, &b, &arena, &back, NULL), CHY_OK);
    chy_buf_clear(&b);
    assert_int_equal(chy_json_write(&nest_schema, &chain[0], 0, &b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
    chy_arena_done(&arena);
}

static void test_json_write__stops_at_the_buffers_maximum(void **state)
{
    (void)state;
    struct chy_label label = { CHY_STR("a"), CHY_STR("b") };
    for (size_t max = 0; max <= 25; max++) {
        struct chy_buf b;
        chy_buf_init(&b, max);
        assert_int_equal(chy_json_write(&chy_label_schema, &label, 0, &b, NULL),
                         max < 24 ? CHY_E_LIMIT : CHY_OK);
        chy_buf_done(&b);
    }
}

static void test_json_write__survives_each_failed_allocation(void **state)
{
    (void)state;
    struct chy_policy policy = { .policy = CHY_STR("a long text, so that the buffer grows often") };
    enum chy_err r = CHY_E_NOMEM;
    for (size_t n = 0; r != CHY_OK; n++) {
        struct chy_buf b;
        chy_buf_init(&b, 4096);
        chy_mem_fail_after(n);
        r = chy_json_write(&chy_policy_schema, &policy, 8, &b, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        chy_buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write__every_struct_round_trips),
        cmocka_unit_test(test_json_write__leaves_out_what_is_absent),
        cmocka_unit_test(test_json_write__indents),
        cmocka_unit_test(test_json_write_text__escapes),
        cmocka_unit_test(test_json_write__refuses_what_could_not_be_read),
        cmocka_unit_test(test_json_write__depth_is_that_of_the_parser),
        cmocka_unit_test(test_json_write__stops_at_the_buffers_maximum),
        cmocka_unit_test(test_json_write__survives_each_failed_allocation),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
