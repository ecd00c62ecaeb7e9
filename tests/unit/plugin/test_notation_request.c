/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "plugin/notation_request.h"

static struct chy_arena arena;
static struct chy_error err;
static struct chy_notation_request request;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static enum chy_err read_as(enum chy_notation_command command, const char *json)
{
    return chy_notation_request_read(command, chy_str_bytes(chy_str_of(json)), &arena, &request,
                                     &err);
}

static enum chy_err describe(const char *json)
{
    return read_as(CHY_NOTATION_DESCRIBE_KEY, json);
}

static enum chy_err generate(const char *json)
{
    return read_as(CHY_NOTATION_GENERATE_SIGNATURE, json);
}

#define HEAD "{\"contractVersion\":\"1.0\",\"keyId\":\"release\""

static void test_read__metadata(void **state)
{
    (void)state;
    assert_int_equal(read_as(CHY_NOTATION_GET_METADATA, "{}"), CHY_OK);
    assert_int_equal(read_as(CHY_NOTATION_GET_METADATA, "{\"pluginConfig\":{\"a\":\"b\"}}"),
                     CHY_OK);
    assert_int_equal(read_as(CHY_NOTATION_GET_METADATA, ""), CHY_E_MALFORMED);
}

static void test_read__a_key(void **state)
{
    (void)state;
    assert_int_equal(describe(HEAD "}"), CHY_OK);
    assert_true(chy_str_equal_c(request.key, "release"));
    assert_int_equal(describe(HEAD ",\"pluginConfig\":{\"any\":\"thing\"}}"), CHY_OK);
}

static void test_read__a_signature(void **state)
{
    (void)state;
    assert_int_equal(generate(HEAD ",\"keySpec\":\"RSA-3072\",\"hashAlgorithm\":\"SHA-256\","
                                   "\"payload\":\"aGVsbG8=\"}"),
                     CHY_OK);
    assert_int_equal(request.key_type, CHY_KEY_RSA_3072);
    assert_int_equal(request.hash, CHY_HASH_SHA256);
    assert_int_equal(request.payload.n, 5);
    assert_memory_equal(request.payload.p, "hello", 5);
}

static void test_read__another_contract(void **state)
{
    (void)state;
    assert_int_equal(describe("{\"contractVersion\":\"2.0\",\"keyId\":\"a\"}"), CHY_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "\"2.0\""));
    assert_int_equal(describe("{\"keyId\":\"a\"}"), CHY_E_UNSUPPORTED);
}

static void test_read__what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *name;
    } rows[] = {
        { "{\"contractVersion\":\"1.0\"}", "keyId" },
        { HEAD "}", "keySpec" },
        { HEAD ",\"keySpec\":\"EC-256\"}", "hashAlgorithm" },
        { HEAD ",\"keySpec\":\"EC-256\",\"hashAlgorithm\":\"SHA-256\"}", "payload" },
        { HEAD ",\"keySpec\":\"EC-256\",\"hashAlgorithm\":\"SHA-256\",\"payload\":\"\"}",
          "payload" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(generate(rows[i].json), CHY_E_MALFORMED);
        assert_non_null(strstr(err.text, rows[i].name));
    }
}

static void test_read__hostile(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{\"contractVersion\":1,\"keyId\":\"a\"}",
        HEAD ",\"keyId\":\"other\"}",
        HEAD "}}",
        HEAD ",\"keySpec\":\"RSA-1024\"}",
        HEAD ",\"keySpec\":7}",
        HEAD ",\"hashAlgorithm\":\"SHA-1\"}",
        HEAD ",\"hashAlgorithm\":\"\"}",
        HEAD ",\"payload\":\"a\"}",
        HEAD ",\"payload\":\"aGVsbG8\"}",
        HEAD ",\"payload\":{}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        enum chy_err r = generate(wrong[i]);
        if (r != CHY_E_MALFORMED)
            fail_msg("%s: %d", wrong[i], (int)r);
    }
}

static void test_read__limits(void **state)
{
    (void)state;
    char json[1024];
    for (int n = CHY_LIMIT_NAME; n <= CHY_LIMIT_NAME + 1; n++) {
        char name[CHY_LIMIT_NAME + 2] = "";
        memset(name, 'k', (size_t)n);
        (void)snprintf(json, sizeof json, "{\"contractVersion\":\"1.0\",\"keyId\":\"%s\"}", name);
        assert_int_equal(describe(json), n == CHY_LIMIT_NAME ? CHY_OK : CHY_E_LIMIT);
    }
}

static void test_read__without_memory(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        chy_arena_done(&arena);
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = describe(HEAD "}");
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read__metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__a_signature, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__another_contract, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
