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
#include "plugin/kms_request.h"

static struct chy_arena arena;
static struct chy_error err;
static struct chy_kms_request request;

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

static enum chy_err read_version(const char *version, const char *json)
{
    return chy_kms_request_read(chy_str_of(version), chy_str_bytes(chy_str_of(json)), &arena,
                                &request, &err);
}

static enum chy_err read_json(const char *json)
{
    return read_version("v1", json);
}

/* What cosign 3.1.3 says. */
#define INIT(more)                                                                \
    "{\"initOptions\":{\"ctxDeadline\":\"2026-11-29T15:13:04.157932466Z\","       \
    "\"protocolVersion\":\"v1\",\"keyResourceID\":\"release\",\"hashFunc\":5,"    \
    "\"rpcOptions\":{\"keyVersion\":\"\",\"remoteVerification\":false}" more "}," \
    "\"methodName\":"
#define SIGN(options) \
    INIT("")          \
    "\"signMessage\",\"signMessage\":{\"signOptions\":{\"rpcOptions\":{" options "}}}}"
#define DIGEST32 "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="

static void test_read__a_digest(void **state)
{
    (void)state;
    static const char json[] = SIGN("\"keyVersion\":\"\"},\"messageOptions\":{\"digest\":"
                                    "\"" DIGEST32 "\",\"hashFunc\":6");
    assert_int_equal(read_json(json), CHY_OK);
    assert_int_equal(request.method, CHY_KMS_SIGN_MESSAGE);
    assert_true(chy_str_equal_c(request.key, "release"));
    assert_int_equal(request.hash, CHY_HASH_SHA384); /* that of the message goes first */
    assert_false(request.is_inferred);
    assert_int_equal(request.digest.n, 32);
    assert_int_equal(request.digest.p[0], 0x58);
    assert_int_equal(request.deadline_us, INT64_C(1795965184157932));
}

static void test_read__a_digest_of_another_hash_than_the_keys(void **state)
{
    (void)state;
    static const char sha384[] =
        SIGN("},\"messageOptions\":{\"digest\":"
             "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
             "AAAA\"");
    static const char short_[] = SIGN("},\"messageOptions\":{\"digest\":\"AAAA\"");
    assert_int_equal(read_json(sha384), CHY_OK);
    assert_int_equal(request.digest.n, 48);
    assert_int_equal(request.hash, CHY_HASH_SHA384);
    assert_true(request.is_inferred);
    assert_int_equal(read_json(short_), CHY_OK); /* refused for the key's algorithm */
    assert_int_equal(request.hash, CHY_HASH_SHA256);
    assert_false(request.is_inferred);
}

static void test_read__a_message(void **state)
{
    (void)state;
    assert_int_equal(read_json(SIGN("},\"messageOptions\":{\"digest\":null,\"hashFunc\":null")),
                     CHY_OK);
    assert_int_equal(request.digest.n, 0);
    assert_int_equal(request.hash, CHY_HASH_SHA256);
}

static void test_read__a_verification(void **state)
{
    (void)state;
    assert_int_equal(
        read_json(INIT("") "\"verifySignature\",\"verifySignature\":{\"signature\":"
                           "\"AQID\",\"verifyOptions\":{\"messageOptions\":{\"digest\":"
                           "\"" DIGEST32 "\"}}}}"),
        CHY_OK);
    assert_int_equal(request.method, CHY_KMS_VERIFY_SIGNATURE);
    assert_int_equal(request.signature.n, 3);
    assert_int_equal(request.digest.n, 32);
}

static void test_read__every_method(void **state)
{
    (void)state;
    char json[1024];
    for (size_t i = 0; i < chy_kms_method_enum.n; i++) {
        (void)snprintf(json, sizeof json, INIT("") "\"%s\"}", chy_kms_method_enum.values[i].name);
        assert_int_equal(read_json(json), CHY_OK);
        assert_int_equal(request.method, chy_kms_method_enum.values[i].value);
    }
    assert_int_equal(read_json(INIT("") "\"exportKey\"}"), CHY_E_MALFORMED);
    assert_int_equal(read_json(INIT("") "\"\"}"), CHY_E_MALFORMED);
}

static void test_read__names_of_later_libraries_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(
        read_json(
            INIT(",\"tenant\":\"x\",\"more\":{\"a\":[1,{\"b\":null}]}") "\"publicKey\","
                                                                        "\"publicKey\":null}"),
        CHY_OK);
    assert_int_equal(request.method, CHY_KMS_PUBLIC_KEY);
}

static void test_read__both_forms_of_a_reference(void **state)
{
    (void)state;
    assert_int_equal(read_json("{\"initOptions\":{\"protocolVersion\":\"v1\",\"keyResourceID\":"
                               "\"chancery://a\"},\"methodName\":\"publicKey\"}"),
                     CHY_OK);
    assert_true(chy_str_equal_c(request.key, "a"));
    assert_int_equal(request.hash, CHY_HASH_NONE);
    assert_int_equal(request.deadline_us, 0);
}

static void test_read__the_earlier_deadline(void **state)
{
    (void)state;
    assert_int_equal(read_json(SIGN("\"ctxDeadline\":\"2026-11-29T15:13:04Z\"")), CHY_OK);
    assert_int_equal(request.deadline_us, INT64_C(1795965184000000));
    assert_int_equal(read_json(SIGN("\"ctxDeadline\":\"2027-11-29T15:13:04Z\"")), CHY_OK);
    assert_int_equal(request.deadline_us, INT64_C(1795965184157932));
}

static void test_read__another_version(void **state)
{
    (void)state;
    static const char v2[] = "{\"initOptions\":{\"protocolVersion\":\"v2\",\"keyResourceID\":"
                             "\"a\"},\"methodName\":\"publicKey\"}";
    assert_int_equal(read_version("v2", SIGN("")), CHY_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "\"v2\" was asked for, this plug-in speaks \"v1\""));
    assert_int_equal(read_json(v2), CHY_E_UNSUPPORTED);
    assert_int_equal(read_version("", SIGN("")), CHY_E_UNSUPPORTED);
}

static void test_read__what_is_not_had(void **state)
{
    (void)state;
    assert_int_equal(read_json(SIGN("\"keyVersion\":\"2\"")), CHY_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "keys have no versions"));
    assert_int_equal(read_json(SIGN("},\"messageOptions\":{\"hashFunc\":3")), CHY_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "hash function 3"));
    assert_int_equal(read_json(SIGN("},\"messageOptions\":{\"hashFunc\":255")), CHY_E_UNSUPPORTED);
    assert_int_equal(read_json(SIGN("},\"messageOptions\":{\"hashFunc\":256")), CHY_E_LIMIT);
    assert_int_equal(read_json(SIGN("},\"messageOptions\":{\"hashFunc\":-1")), CHY_E_LIMIT);
}

static void test_read__hostile(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"methodName\":\"publicKey\"}",
        "{\"initOptions\":null,\"methodName\":\"publicKey\"}",
        "{\"initOptions\":{\"protocolVersion\":\"v1\"},\"methodName\":\"publicKey\"}",
        "{\"initOptions\":{\"protocolVersion\":1,\"keyResourceID\":\"a\"},"
        "\"methodName\":\"publicKey\"}",
        INIT(",\"keyResourceID\":\"other\"") "\"publicKey\"}",
        INIT("") "\"publicKey\"} x",
        INIT("") "\"publicKey\",\"methodName\":\"signMessage\"}",
        SIGN("},\"messageOptions\":{\"digest\":\"AQI\""),
        SIGN("},\"messageOptions\":{\"digest\":5"),
        SIGN("},\"messageOptions\":{\"hashFunc\":\"5\""),
        SIGN("},\"messageOptions\":{\"hashFunc\":5.0"),
        SIGN("\"ctxDeadline\":\"soon\""),
        SIGN("\"keyVersion\":\"\xff\""),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        enum chy_err r = read_json(wrong[i]);
        if (r != CHY_E_MALFORMED)
            fail_msg("%s: %d", wrong[i], (int)r);
    }
}

/* Base 64 of `n` bytes. */
static const char *base64(size_t n)
{
    static char text[CHY_LIMIT_SIGNATURE * 2];
    size_t whole = n / 3 * 4;
    memset(text, 'A', whole);
    (void)snprintf(text + whole, sizeof text - whole, "%s",
                   n % 3 == 0   ? ""
                   : n % 3 == 1 ? "AA=="
                                : "AAA=");
    return text;
}

static enum chy_err read_bytes(const char *head, size_t n, const char *tail)
{
    static char json[CHY_LIMIT_SIGNATURE * 3];
    (void)snprintf(json, sizeof json, "%s%s%s", head, base64(n), tail);
    return read_json(json);
}

static void test_read__limits(void **state)
{
    (void)state;
    static const char sign[] = INIT("") "\"signMessage\",\"signMessage\":{\"signOptions\":"
                                        "{\"messageOptions\":{\"digest\":\"";
    static const char verify[] = INIT("") "\"verifySignature\","
                                          "\"verifySignature\":{\"signature\":\"";
    assert_int_equal(read_bytes(sign, CHY_LIMIT_DIGEST, "\"}}}}"), CHY_OK);
    assert_int_equal(read_bytes(sign, CHY_LIMIT_DIGEST + 1, "\"}}}}"), CHY_E_LIMIT);
    assert_int_equal(read_bytes(verify, CHY_LIMIT_SIGNATURE, "\"}}"), CHY_OK);
    assert_int_equal(read_bytes(verify, CHY_LIMIT_SIGNATURE + 1, "\"}}"), CHY_E_LIMIT);
}

static void test_read__without_memory(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        chy_arena_done(&arena);
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = read_json(SIGN("},\"messageOptions\":{\"digest\":null"));
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
        cmocka_unit_test_setup_teardown(test_read__a_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__a_digest_of_another_hash_than_the_keys, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_read__a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__a_verification, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__every_method, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__names_of_later_libraries_are_passed_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_read__both_forms_of_a_reference, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__the_earlier_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__another_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__what_is_not_had, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
