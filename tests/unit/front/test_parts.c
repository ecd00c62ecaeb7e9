/* SPDX-License-Identifier: MIT */
/* The parts of the front process that need no process: slots of calls, problem documents, the
 * reading of requests and the writing of answers by the table of operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/api.h"
#include "front/calls.h"
#include "front/openapi.h"
#include "front/problem.h"

static void test_calls__slots_are_reused_but_ids_are_not(void **state)
{
    (void)state;
    struct chy_calls *calls = NULL;
    assert_int_equal(chy_calls_new(2, &calls, NULL), CHY_OK);
    struct chy_call_slot *a = chy_calls_take(calls);
    struct chy_call_slot *b = chy_calls_take(calls);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(chy_calls_take(calls));
    assert_int_not_equal(a->id, b->id);
    a->caller = 7;
    b->caller = 7;
    assert_int_equal(chy_calls_count(calls), 2);
    assert_int_equal(chy_calls_count_of(calls, 7), 2);
    assert_int_equal(chy_calls_count_of(calls, 8), 0);
    uint64_t old = a->id;
    assert_ptr_equal(chy_calls_find(calls, old), a);
    chy_calls_release(calls, a);
    assert_null(chy_calls_find(calls, old));
    assert_int_equal(chy_calls_count_of(calls, 7), 1);
    assert_ptr_equal(chy_calls_next(calls, NULL), b);
    assert_null(chy_calls_next(calls, b));
    struct chy_call_slot *again = chy_calls_take(calls);
    assert_ptr_equal(again, a);
    assert_int_not_equal(again->id, old);
    assert_null(chy_calls_find(calls, old));
    assert_null(chy_calls_find(calls, 0));
    assert_null(chy_calls_find(calls, UINT64_MAX));
    chy_calls_free(calls);
}

static void test_calls__every_allocation_fails(void **state)
{
    (void)state;
    for (size_t n = 0; n < 4; n++) {
        struct chy_calls *calls = NULL;
        chy_mem_fail_after(n);
        enum chy_err r = chy_calls_new(2, &calls, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, CHY_E_NOMEM);
        assert_null(calls);
    }
}

static const uint8_t some_id[CHY_ID_BYTES] = { 0xab };

static void assert_problem(struct chy_problem p, const char *expected)
{
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    p.request_id = some_id;
    chy_problem_write(&p, &b);
    assert_true(chy_buf_append_u8(&b, 0));
    assert_string_equal((const char *)b.p, expected);
    chy_buf_done(&b);
}

static void test_problem__documents(void **state)
{
    (void)state;
    assert_problem((struct chy_problem){ .code = CHY_E_DENIED, .detail = CHY_STR("a \"rule\"") },
                   "{\"type\":\"urn:chancery:problem:denied-by-policy\",\"title\":\"Refused by "
                   "policy\",\"status\":403,\"detail\":\"a \\\"rule\\\"\",\"request_id\":"
                   "\"ab000000000000000000000000000000\"}\n");
    assert_problem(
        (struct chy_problem){
            .code = CHY_E_STORE, .detail = CHY_STR("/var/lib"), .result = CHY_STR("{}") },
        "{\"type\":\"urn:chancery:problem:store\",\"title\":\"The store failed\","
        "\"status\":500,\"detail\":\"The server's log says more under this request id.\","
        "\"request_id\":\"ab000000000000000000000000000000\",\"result\":{}}\n");
    assert_problem(
        (struct chy_problem){ .status = 401, .code = CHY_E_EXPIRED, .detail = CHY_STR("x") },
        "{\"type\":\"urn:chancery:problem:expired\",\"title\":\"Expired\",\"status\":401,"
        "\"detail\":\"x\",\"request_id\":\"ab000000000000000000000000000000\"}\n");
}

static void test_problem__a_code_for_every_status_of_http(void **state)
{
    (void)state;
    const struct {
        int status;
        enum chy_err code;
    } rows[] = { { 400, CHY_E_MALFORMED },   { 404, CHY_E_NOT_FOUND },   { 405, CHY_E_UNSUPPORTED },
                 { 408, CHY_E_TIMEOUT },     { 413, CHY_E_LIMIT },       { 414, CHY_E_LIMIT },
                 { 415, CHY_E_UNSUPPORTED }, { 417, CHY_E_UNSUPPORTED }, { 431, CHY_E_LIMIT },
                 { 501, CHY_E_UNSUPPORTED }, { 503, CHY_E_BUSY } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_int_equal(chy_problem_code_of(rows[i].status), rows[i].code);
}

/* A request of log.list, with the n-th allocation failing. */
static enum chy_err read_request(struct chy_arena *arena, struct chy_buf *out)
{
    static struct chy_http_request request;
    static struct chy_target target;
    struct chy_op_match match;
    request = (struct chy_http_request){ .method = CHY_HTTP_POST,
                                         .target = CHY_STR("/v1/keys/a%20b/destroy"),
                                         .body = chy_str_bytes(CHY_STR("{\"confirm\":\"a b\"}")) };
    CHY_TRY(chy_target_parse(request.target, arena, &target, NULL));
    assert_true(chy_op_find(request.method, target.path, &match));
    return chy_api_read_request(&match, &request, &target, arena, out, NULL);
}

static void test_api__every_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 0; failed && n < 50; n++) {
        struct chy_arena arena;
        struct chy_buf out;
        struct chy_key_destroy destroy;
        chy_arena_init(&arena, 1 << 20);
        chy_buf_init(&out, 4096);
        chy_mem_fail_after(n);
        enum chy_err r = read_request(&arena, &out);
        failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, failed ? CHY_E_NOMEM : CHY_OK);
        if (!failed) {
            assert_int_equal(chy_schema_decode(&chy_key_destroy_schema, chy_buf_bytes(&out), &arena,
                                               &destroy, NULL),
                             CHY_OK);
            assert_true(chy_str_equal_c(destroy.name, "a b"));
            assert_true(chy_str_equal_c(destroy.confirm, "a b"));
        }
        chy_buf_done(&out);
        chy_arena_done(&arena);
    }
    assert_false(failed);
}

static void test_api__json_content_types(void **state)
{
    (void)state;
    const struct {
        const char *type;
        bool is_json;
    } rows[] = { { "application/json", true },   { "Application/JSON; charset=utf-8", true },
                 { "application/jsonx", false }, { "application/json-patch+json", false },
                 { "text/plain", false },        { "", false } };
    struct chy_http_request r = { .body = { (const uint8_t *)"{}", 2 }, .field_count = 1 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        r.fields[0] = (struct chy_http_field){ CHY_STR("Content-Type"), chy_str_of(rows[i].type) };
        assert_int_equal(chy_api_body_is_json(&r), rows[i].is_json);
    }
    r.field_count = 0;
    assert_false(chy_api_body_is_json(&r));
    r.body.n = 0;
    assert_true(chy_api_body_is_json(&r));
}

static void test_api__credentials(void **state)
{
    (void)state;
    struct chy_tls_peer peer = { .state = CHY_TLS_PEER_VALID,
                                 .not_before_us = 10,
                                 .not_after_us = 20 };
    struct chy_http_request r = { .field_count = 0 };
    struct chy_caller caller = { .method = CHY_AUTH_NONE };
    const unsigned known = CHY_MAY_KNOWN;
    assert_int_equal(chy_api_read_caller(&r, &peer, 15, known, &caller, NULL), CHY_OK);
    assert_int_equal(caller.method, CHY_AUTH_CERTIFICATE);
    /* The connection outlived its certificate. */
    assert_int_equal(chy_api_read_caller(&r, &peer, 21, known, &caller, NULL), CHY_E_EXPIRED);
    assert_int_equal(caller.method, CHY_AUTH_NONE);
    assert_int_equal(chy_api_read_caller(&r, &peer, 21, CHY_MAY_ANYBODY, &caller, NULL), CHY_OK);
    assert_int_equal(caller.method, CHY_AUTH_NONE);
    assert_int_equal(chy_api_read_caller(&r, &peer, 9, known, &caller, NULL),
                     CHY_E_UNAUTHENTICATED);
    peer.state = CHY_TLS_PEER_FOREIGN;
    assert_int_equal(chy_api_read_caller(&r, &peer, 15, known, &caller, NULL),
                     CHY_E_UNAUTHENTICATED);

    char token[7 + 257 + 1];
    memcpy(token, "Bearer ", 7);
    memset(token + 7, 't', 257);
    r.field_count = 1;
    r.fields[0] = (struct chy_http_field){ CHY_STR("Authorization"), { token, 7 + 256 } };
    assert_int_equal(chy_api_read_caller(&r, &peer, 15, known, &caller, NULL), CHY_OK);
    assert_int_equal(caller.method, CHY_AUTH_API_TOKEN);
    r.fields[0].value.n++;
    assert_int_equal(chy_api_read_caller(&r, &peer, 15, known, &caller, NULL),
                     CHY_E_UNAUTHENTICATED);
    /* A bad token is refused even where none is needed: somebody meant something by it. */
    assert_int_equal(chy_api_read_caller(&r, &peer, 15, CHY_MAY_ANYBODY, &caller, NULL),
                     CHY_E_UNAUTHENTICATED);
}

static void test_api__sites(void **state)
{
    static const struct {
        enum chy_http_method method;
        const char *name;
        const char *value;
        bool is_served;
    } rows[] = {
        { CHY_HTTP_POST, "accept", "*/*", true },
        { CHY_HTTP_POST, "sec-fetch-site", "same-origin", true },
        { CHY_HTTP_POST, "Sec-Fetch-Site", "none", true },
        { CHY_HTTP_POST, "sec-fetch-site", "same-site", false },
        { CHY_HTTP_PUT, "sec-fetch-site", "cross-site", false },
        { CHY_HTTP_DELETE, "sec-fetch-site", "", false },
        { CHY_HTTP_GET, "sec-fetch-site", "cross-site", true },
        { CHY_HTTP_HEAD, "origin", "https://other", true },
        { CHY_HTTP_POST, "origin", "https://here:8443", true },
        { CHY_HTTP_POST, "origin", "https://here:8443.other", false },
        { CHY_HTTP_POST, "origin", "https://here", false },
        { CHY_HTTP_POST, "origin", "http://here:8443", false },
        { CHY_HTTP_POST, "origin", "null", false },
    };
    (void)state;
    struct chy_http_request r = { .host = CHY_STR("here:8443"), .field_count = 1 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        r.method = rows[i].method;
        r.fields[0] =
            (struct chy_http_field){ chy_str_of(rows[i].name), chy_str_of(rows[i].value) };
        assert_int_equal(chy_api_check_site(&r, NULL),
                         rows[i].is_served ? CHY_OK : CHY_E_FORBIDDEN);
    }
}

static void test_openapi__limit(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 1000);
    assert_int_equal(chy_openapi_write(CHY_STR("1"), true, &b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls__slots_are_reused_but_ids_are_not),
        cmocka_unit_test(test_calls__every_allocation_fails),
        cmocka_unit_test(test_problem__documents),
        cmocka_unit_test(test_problem__a_code_for_every_status_of_http),
        cmocka_unit_test(test_api__every_allocation_fails),
        cmocka_unit_test(test_api__json_content_types),
        cmocka_unit_test(test_api__credentials),
        cmocka_unit_test(test_api__sites),
        cmocka_unit_test(test_openapi__limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
