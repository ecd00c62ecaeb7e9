/* SPDX-License-Identifier: MIT */
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "front/front.h"
#include "front_fixture.h"
#include "proto/ops.h"

#define H "Host: localhost\r\n"

static struct fixture fx;

static int set_up(void **state)
{
    (void)state;
    fixture_start(&fx, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_stop(&fx);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    fixture_done(&fx);
    return 0;
}

static void ask(struct client *c, const char *text)
{
    client_send(c, text, strlen(text));
}

static void get(struct client *c, const char *path)
{
    char text[512];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" H "\r\n", path);
    ask(c, text);
}

static void post(struct client *c, const char *path, const char *body)
{
    char head[512];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\n" H
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             path, strlen(body));
    ask(c, head);
    if (body[0] != '\0')
        ask(c, body);
}

/* The next response has this status, and its body holds this text. */
static void expect(struct client *c, int status, const char *text)
{
    struct response r;
    char id[256];
    client_read(c, &r);
    if (r.status != status || strstr(r.body, text) == NULL)
        fail_msg("expected %d with %s, not:\n%s%s", status, text, r.head, r.body);
    response_field(&r, "chancery-request-id", id);
    assert_int_equal(strlen(id), 32);
    if (status >= 400) {
        assert_non_null(strstr(r.body, id));
        assert_non_null(strstr(r.head, "content-type: application/problem+json\r\n"));
    }
    response_done(&r);
}

static void expect_problem(struct client *c, int status, const char *type)
{
    char text[128];
    snprintf(text, sizeof text, "\"urn:chancery:problem:%s\"", type);
    expect(c, status, text);
}

static void reply_hello(uint64_t id)
{
    struct chy_hello hello = {
        .server = CHY_STR("1.2.3"), .api_min = 1, .api_max = 1, .time_us = 1
    };
    fixture_reply(fx.query, id, CHY_OK, "", &chy_hello_schema, &hello);
}

static void certificate_hash(const struct tls_identity *id, uint8_t hash[32])
{
    assert_int_equal(X509_digest(id->certificate, EVP_sha256(), hash, NULL), 1);
}

/* --- what front answers by itself --- */

static void test_own__health_and_unknown_paths(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/healthz");
    expect(&c, 200, "alive");
    get(&c, "/nothing");
    expect_problem(&c, 404, "not-found");
    get(&c, "/v1/keys/");
    expect_problem(&c, 404, "not-found");
    get(&c, "/v1//keys");
    expect_problem(&c, 400, "malformed");
    get(&c, "/v1/keys/%2e%2e");
    expect_problem(&c, 400, "malformed");
    struct response r;
    char allow[256];
    ask(&c, "DELETE /v1/users HTTP/1.1\r\n" H "\r\n");
    client_read(&c, &r);
    assert_int_equal(r.status, 405);
    response_field(&r, "allow", allow);
    assert_string_equal(allow, "GET, POST");
    response_done(&r);
    ask(&c, "HEAD /healthz HTTP/1.1\r\n" H "\r\nGET /healthz HTTP/1.1\r\n" H "\r\n");
    c.text = realloc(c.text, 65536);
    size_t n = 0;
    while (c.n < 6 || strstr(c.text, "alive") == NULL) {
        assert_int_equal(SSL_read_ex(c.ssl, c.text + c.n, 8192, &n), 1);
        c.n += n;
        c.text[c.n] = '\0';
    }
    /* The answer to HEAD had a length and no body: the next one's begins right behind it. */
    assert_non_null(strstr(c.text, "\r\n\r\nHTTP/1.1 200 OK"));
    client_close(&c);
}

static void test_own__ready_when_both_are(void **state)
{
    (void)state;
    struct chy_status good = { .is_ready = true };
    struct chy_status bad = { .is_ready = false, .text = CHY_STR("waiting for token soft") };
    struct client c;
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/readyz");
    expect(&c, 503, "the signer is not answering");
    fixture_answer_status(&fx, fx.signer, &bad, 1);
    get(&c, "/readyz");
    while (true) { /* the answers arrive on channels of their own */
        struct response r;
        client_read(&c, &r);
        assert_int_equal(r.status, 503);
        bool is_known = strstr(r.body, "waiting for token soft") != NULL;
        char retry[256];
        response_field(&r, "retry-after", retry);
        assert_string_equal(retry, "1");
        response_done(&r);
        if (is_known)
            break;
        get(&c, "/readyz");
    }
    fixture_answer_status(&fx, fx.signer, &good, 1);
    fixture_answer_status(&fx, fx.query, &good, 1);
    for (bool is_ready = false; !is_ready;) {
        struct response r;
        get(&c, "/readyz");
        client_read(&c, &r);
        is_ready = r.status == 200;
        response_done(&r);
    }
    client_close(&c);
}

/* Every operation of the table is described, and nothing else. */
static void test_own__openapi_is_the_table(void **state)
{
    (void)state;
    struct client c;
    struct response r;
    struct chy_arena arena;
    const struct chy_doc *doc = NULL;
    struct chy_error err;
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/openapi.json");
    client_read(&c, &r);
    assert_int_equal(r.status, 200);
    chy_arena_init(&arena, 1 << 24);
    struct chy_bytes text = { (const uint8_t *)r.body, r.body_n };
    if (chy_json_parse(text, &arena, &doc, &err) != CHY_OK)
        fail_msg("%s", err.text);
    const struct chy_doc *paths = chy_doc_get(doc, "paths");
    const struct chy_doc *schemas = chy_doc_get(chy_doc_get(doc, "components"), "schemas");
    assert_non_null(paths);
    assert_non_null(schemas);
    size_t described = 0;
    for (size_t i = 0; i < paths->n; i++)
        described += paths->members[i].value.n;
    assert_int_equal(described, chy_op_rows_n);
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        char path[256];
        char method[16] = "";
        snprintf(path, sizeof path, "%s", row->path);
        char *dots = strstr(path, "...}");
        if (dots != NULL)
            memmove(dots, dots + 3, strlen(dots + 3) + 1);
        for (size_t k = 0; chy_http_method_name(row->method)[k] != '\0'; k++)
            method[k] = (char)(chy_http_method_name(row->method)[k] | 0x20);
        const struct chy_doc *item = chy_doc_get(paths, path);
        if (item == NULL || chy_doc_get(item, method) == NULL)
            fail_msg("%s %s is not described", method, path);
        const struct chy_doc *id = chy_doc_get(chy_doc_get(item, method), "operationId");
        assert_true(chy_str_equal_c(id->text, row->id));
        if (!row->is_raw)
            assert_non_null(chy_doc_get(schemas, row->response->name));
    }
    /* Whatever is referred to is there. */
    for (const char *ref = strstr(r.body, "#/components/schemas/"); ref != NULL;
         ref = strstr(ref + 1, "#/components/schemas/")) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(ref + 21, "\""), ref + 21);
        assert_non_null(chy_doc_get(schemas, name));
    }
    chy_arena_done(&arena);
    response_done(&r);
    client_close(&c);
}

static void reply_whoami(uint64_t id, const char *role)
{
    struct chy_str roles[] = { chy_str_of(role) };
    struct chy_whoami who = { .principal = CHY_STR("alice"),
                              .method = CHY_AUTH_CERTIFICATE,
                              .roles = { roles, 1 } };
    fixture_reply(fx.query, id, CHY_OK, "", &chy_whoami_schema, &who);
}

static void test_own__metrics_are_for_auditors(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    struct chy_counter counters[] = {
        { CHY_STR("chancery_signatures_total"), CHY_STR("key=\"a\""), CHY_STR("Made."), false, 5 },
        { CHY_STR("chancery_signatures_total"), CHY_STR("key=\"b\""), CHY_STR("Made."), false, 6 },
    };
    struct chy_status status = { .is_ready = true, .counters = { counters, 2 } };
    fixture_answer_status(&fx, fx.signer, &status, 1);
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/metrics");
    expect_problem(&c, 401, "unauthenticated");
    client_close(&c);

    client_open(&c, &fx, &fx.client_id, NULL);
    get(&c, "/metrics");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.op, CHY_OP_WHOAMI);
    reply_whoami(id, "key-manager");
    expect_problem(&c, 403, "forbidden");
    get(&c, "/metrics");
    reply_whoami(fixture_take_call(&fx, fx.query, &call), "auditor");
    struct response r;
    client_read(&c, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "# TYPE chancery_signatures_total counter\n"
                                   "chancery_signatures_total{key=\"a\"} 5\n"
                                   "chancery_signatures_total{key=\"b\"} 6\n"));
    assert_non_null(strstr(r.body, "chancery_http_responses_total{status=\"403\"} 1\n"));
    assert_non_null(strstr(r.body, "chancery_connections 1\n"));
    response_done(&r);
    get(&c, "/metrics");
    fixture_reply(fx.query, fixture_take_call(&fx, fx.query, &call), CHY_E_UNAUTHENTICATED,
                  "unknown", NULL, NULL);
    expect_problem(&c, 401, "unauthenticated");
    client_close(&c);
}

/* --- operations --- */

static void test_call__anonymous_hello(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    client_open(&c, &fx, NULL, NULL);
    ask(&c, "GET /v1/hello HTTP/1.1\r\n" H "User-Agent: test/1\r\nChancery-Api: 1\r\n\r\n");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.op, CHY_OP_HELLO);
    assert_int_equal(call.caller.method, CHY_AUTH_NONE);
    assert_true(chy_str_equal_c(call.caller.address, "127.0.0.1"));
    assert_true(chy_str_equal_c(call.caller.user_agent, "test/1"));
    char hex[CHY_HEX_SIZE(CHY_ID_BYTES)];
    chy_hex_encode((struct chy_bytes){ call.request_id, CHY_ID_BYTES }, hex);
    reply_hello(id);
    struct response r;
    char value[256];
    client_read(&c, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"server\":\"1.2.3\""));
    response_field(&r, "chancery-request-id", value);
    assert_string_equal(value, hex);
    response_field(&r, "chancery-api", value);
    assert_string_equal(value, "1");
    response_field(&r, "content-type", value);
    assert_string_equal(value, "application/json");
    response_done(&r);
    ask(&c, "GET /v1/hello HTTP/1.1\r\n" H "Chancery-Api: 2\r\n\r\n");
    expect_problem(&c, 400, "unsupported");
    ask(&c, "GET /v1/hello HTTP/1.1\r\n" H "Chancery-Api: one\r\n\r\n");
    expect_problem(&c, 400, "unsupported");
    client_close(&c);
}

#define DIGEST    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define SIGN_ALG  "\"algorithm\":\"ecdsa-sha256\",\"hashed_by\":\"client\","
#define SIGN_ITEM "{\"key\":\"app\"," SIGN_ALG "\"digest\":\"" DIGEST "\"}"
#define SIGN_BODY "{\"items\":[" SIGN_ITEM "],\"reason\":\"test\"}"

static void test_call__sign_by_certificate(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    struct chy_sign_request request;
    client_open(&c, &fx, &fx.client_id, NULL);
    post(&c, "/v1/sign", SIGN_BODY);
    uint64_t id = fixture_take_call(&fx, fx.signer, &call);
    assert_int_equal(call.op, CHY_OP_SIGN);
    assert_int_equal(call.caller.method, CHY_AUTH_CERTIFICATE);
    uint8_t hash[32];
    certificate_hash(&fx.client_id, hash);
    assert_memory_equal(call.caller.credential, hash, 32);
    assert_int_equal(
        chy_schema_decode(&chy_sign_request_schema, call.request, &fx.arena, &request, NULL),
        CHY_OK);
    assert_int_equal(request.items.n, 1);
    assert_true(chy_str_equal_c(request.items.p[0].key, "app"));
    assert_int_equal(request.items.p[0].algorithm, CHY_ALG_ECDSA_SHA256);
    assert_int_equal(request.items.p[0].digest.n, 32);
    struct chy_sign_result result = { .is_signed = true,
                                      .signature = { (const uint8_t *)"sig", 3 } };
    struct chy_sign_response response = { .results = { &result, 1 }, .policy_number = 3 };
    fixture_reply(fx.signer, id, CHY_OK, "", &chy_sign_response_schema, &response);
    expect(&c, 200, "\"signature\":\"c2ln\"");

    /* A refusal that comes with its results. */
    post(&c, "/v1/sign", SIGN_BODY);
    id = fixture_take_call(&fx, fx.signer, &call);
    result = (struct chy_sign_result){ .problem = CHY_STR("denied-by-policy") };
    fixture_reply(fx.signer, id, CHY_E_DENIED, "no rule allows it", &chy_sign_response_schema,
                  &response);
    struct response r;
    client_read(&c, &r);
    assert_int_equal(r.status, 403);
    assert_non_null(strstr(r.body, "\"type\":\"urn:chancery:problem:denied-by-policy\""));
    assert_non_null(strstr(r.body, "\"detail\":\"no rule allows it\""));
    assert_non_null(strstr(r.body, "\"result\":{\"results\":[{"));
    response_done(&r);
    client_close(&c);
}

static void test_call__api_token_goes_before_certificate(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    uint8_t hash[32];
    client_open(&c, &fx, &fx.client_id, NULL);
    ask(&c, "GET /v1/whoami HTTP/1.1\r\n" H "Authorization: Bearer secret-token\r\n\r\n");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.caller.method, CHY_AUTH_API_TOKEN);
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("secret-token")), hash, NULL), CHY_OK);
    assert_memory_equal(call.caller.credential, hash, 32);
    reply_whoami(id, "auditor");
    expect(&c, 200, "\"principal\":\"alice\"");
    ask(&c, "GET /v1/whoami HTTP/1.1\r\n" H "Authorization: Basic YTpi\r\n\r\n");
    expect_problem(&c, 401, "unauthenticated");
    ask(&c, "GET /v1/whoami HTTP/1.1\r\n" H "Authorization: Bearer\r\n\r\n");
    expect_problem(&c, 401, "unauthenticated");
    client_close(&c);
}

static void test_call__bad_credentials(void **state)
{
    (void)state;
    struct {
        const struct tls_identity *id;
        const char *type;
    } rows[] = { { NULL, "unauthenticated" },
                 { &fx.expired_id, "expired" },
                 { &fx.foreign_id, "unauthenticated" } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct client c;
        struct chy_call call;
        client_open(&c, &fx, rows[i].id, NULL);
        post(&c, "/v1/sign", SIGN_BODY);
        expect_problem(&c, 401, rows[i].type);
        /* To enrol again no credential is needed, so a bad one does not harm. */
        get(&c, "/v1/hello");
        uint64_t id = fixture_take_call(&fx, fx.query, &call);
        assert_int_equal(call.caller.method, CHY_AUTH_NONE);
        reply_hello(id);
        expect(&c, 200, "1.2.3");
        client_close(&c);
    }
}

static void test_call__path_and_query_parameters(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    struct chy_log_query query;
    struct chy_key_name name;
    client_open(&c, &fx, &fx.client_id, NULL);
    get(&c, "/v1/keys/my%20key");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.op, CHY_OP_KEYS_SHOW);
    assert_int_equal(chy_schema_decode(&chy_key_name_schema, call.request, &fx.arena, &name, NULL),
                     CHY_OK);
    assert_true(chy_str_equal_c(name.name, "my key"));
    fixture_reply(fx.query, id, CHY_E_NOT_FOUND, "there is no key \"my key\"", NULL, NULL);
    expect(&c, 404, "there is no key \\\"my key\\\"");
    get(&c, "/v1/log?limit=7&key=a+b");
    id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.op, CHY_OP_LOG_LIST);
    assert_int_equal(
        chy_schema_decode(&chy_log_query_schema, call.request, &fx.arena, &query, NULL), CHY_OK);
    assert_int_equal(query.limit, 7);
    assert_true(chy_str_equal_c(query.key, "a b"));
    fixture_reply(fx.query, id, CHY_E_FORBIDDEN, "not for you", NULL, NULL);
    expect_problem(&c, 403, "forbidden");
    get(&c, "/v1/log?limits=7");
    expect_problem(&c, 400, "malformed");
    get(&c, "/v1/log?limit=x");
    expect_problem(&c, 400, "malformed");
    get(&c, "/v1/log?limit=1&limit=2");
    expect_problem(&c, 400, "malformed");
    get(&c, "/v1/log/x");
    expect_problem(&c, 400, "malformed");
    client_close(&c);
}

static void test_call__raw_answer(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    struct chy_raw raw = { CHY_STR("text/plain"), { (const uint8_t *)"tile", 4 }, 60 };
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/log/tile/0/x001/067");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(call.op, CHY_OP_LOG_TILE);
    fixture_reply(fx.query, id, CHY_OK, "", &chy_raw_schema, &raw);
    struct response r;
    char value[256];
    client_read(&c, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "tile");
    response_field(&r, "cache-control", value);
    assert_string_equal(value, "public, max-age=60");
    response_done(&r);
    client_close(&c);
}

static void test_call__bad_bodies(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, &fx, &fx.client_id, NULL);
    post(&c, "/v1/sign", "{");
    expect_problem(&c, 400, "malformed");
    post(&c, "/v1/sign", "{\"items\":[],\"items\":[]}");
    expect_problem(&c, 400, "malformed");
    post(&c, "/v1/sign", "{\"unknown\":1}");
    expect(&c, 400, "unknown");
    post(&c, "/v1/sign", "");
    expect(&c, 400, "items");
    ask(&c,
        "POST /v1/sign HTTP/1.1\r\n" H "Content-Type: text/json\r\nContent-Length: 2\r\n\r\n{}");
    expect_problem(&c, 415, "unsupported");
    ask(&c, "POST /v1/sign HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}");
    expect_problem(&c, 415, "unsupported");

    char *deep = malloc(20001);
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    deep[20000] = '\0';
    post(&c, "/v1/sign", deep);
    expect_problem(&c, 413, "over-limit");
    free(deep);

    struct chy_buf many;
    chy_buf_init(&many, 1 << 20);
    chy_buf_append_c(&many, "{\"items\":[");
    for (int i = 0; i < 1001; i++)
        chy_buf_printf(&many, "%s" SIGN_ITEM, i > 0 ? "," : "");
    chy_buf_append_c(&many, "]}");
    chy_buf_append_u8(&many, 0);
    assert_int_equal(chy_buf_check(&many, NULL), CHY_OK);
    post(&c, "/v1/sign", (const char *)many.p);
    expect_problem(&c, 413, "over-limit");
    chy_buf_done(&many);
    client_close(&c);
}

/* What goes wrong inside is for the log, not for the client. */
static void test_call__inner_errors_stay_inside(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    const struct {
        enum chy_err code;
        int status;
    } rows[] = { { CHY_E_INTERNAL, 500 }, { CHY_E_STORE, 500 }, { CHY_E_NOMEM, 503 } };
    client_open(&c, &fx, NULL, NULL);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct response r;
        get(&c, "/v1/hello");
        fixture_reply(fx.query, fixture_take_call(&fx, fx.query, &call), rows[i].code,
                      "disk /var/lib broke", NULL, NULL);
        client_read(&c, &r);
        assert_int_equal(r.status, rows[i].status);
        assert_null(strstr(r.body, "/var/lib"));
        assert_non_null(strstr(r.body, "request id"));
        response_done(&r);
    }
    struct response r;
    char value[256];
    get(&c, "/v1/hello");
    fixture_reply(fx.query, fixture_take_call(&fx, fx.query, &call), CHY_E_RATE, "slow down", NULL,
                  NULL);
    client_read(&c, &r);
    assert_int_equal(r.status, 429);
    response_field(&r, "retry-after", value);
    assert_string_equal(value, "7");
    response_done(&r);
    /* A reply that is not what the operation promises, and one with a code that does not exist. */
    get(&c, "/v1/hello");
    struct chy_pem wrong = { CHY_STR("x") };
    fixture_reply(fx.query, fixture_take_call(&fx, fx.query, &call), CHY_OK, "", &chy_pem_schema,
                  &wrong);
    expect_problem(&c, 500, "protocol");
    get(&c, "/v1/hello");
    fixture_reply(fx.query, fixture_take_call(&fx, fx.query, &call), (enum chy_err) - 999, "", NULL,
                  NULL);
    expect_problem(&c, 500, "protocol");
    client_close(&c);
}

static void test_call__backend_gone_and_back(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    client_open(&c, &fx, NULL, NULL);
    get(&c, "/v1/hello");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    chy_channel_free(fx.query);
    fx.query = NULL;
    expect_problem(&c, 503, "busy");
    get(&c, "/v1/hello");
    expect_problem(&c, 503, "busy");
    fixture_send_peer(&fx, CHY_PROCESS_QUERY, &fx.query);
    reply_hello(id);                        /* of the time before: it meets nobody */
    for (bool is_back = false; !is_back;) { /* the new peer arrives on a channel of its own */
        struct chy_frame frame;
        assert_int_equal(chy_channel_receive_wait(fx.query, INT64_MAX, &frame, NULL), CHY_OK);
        is_back = frame.type == CHY_MSG_STATUS;
    }
    get(&c, "/v1/hello");
    reply_hello(fixture_take_call(&fx, fx.query, &call));
    expect(&c, 200, "1.2.3");
    /* A peer that speaks out of turn is dropped. */
    struct chy_empty nothing = { false };
    fixture_send(fx.query, CHY_MSG_CALL, 1, &chy_empty_schema, &nothing);
    struct chy_frame frame;
    enum chy_err r = CHY_OK;
    while (r == CHY_OK)
        r = chy_channel_receive_wait(fx.query, INT64_MAX, &frame, NULL);
    assert_int_not_equal(r, CHY_E_TIMEOUT);
    get(&c, "/v1/hello");
    expect_problem(&c, 503, "busy");
    client_close(&c);
}

static void test_call__share_of_one_caller_and_of_all(void **state)
{
    (void)state;
    struct client c[17];
    struct chy_call call;
    uint64_t ids[16];
    /* 12 of one principal, then 4 of another: that is all there is. */
    for (size_t i = 0; i < 12; i++) {
        client_open(&c[i], &fx, &fx.client_id, NULL);
        get(&c[i], "/v1/whoami");
        ids[i] = fixture_take_call(&fx, fx.query, &call);
    }
    client_open(&c[16], &fx, &fx.client_id, NULL);
    get(&c[16], "/v1/whoami");
    expect_problem(&c[16], 429, "rate-limited");
    for (size_t i = 12; i < 16; i++) {
        client_open(&c[i], &fx, NULL, NULL);
        get(&c[i], "/v1/hello");
        ids[i] = fixture_take_call(&fx, fx.query, &call);
    }
    ask(&c[16], "GET /v1/whoami HTTP/1.1\r\n" H "Authorization: Bearer x\r\n\r\n");
    expect_problem(&c[16], 503, "busy");
    reply_hello(ids[12]);
    expect(&c[12], 200, "1.2.3");
    ask(&c[16], "GET /v1/whoami HTTP/1.1\r\n" H "Authorization: Bearer x\r\n\r\n");
    reply_whoami(fixture_take_call(&fx, fx.query, &call), "auditor");
    expect(&c[16], 200, "alice");
    /* Clients that go away leave their slots when the answer comes. */
    for (size_t i = 0; i < 17; i++)
        client_close(&c[i]);
    for (size_t i = 0; i < 12; i++)
        reply_whoami(ids[i], "auditor");
    for (size_t i = 13; i < 16; i++)
        reply_hello(ids[i]);
    client_open(&c[0], &fx, &fx.client_id, NULL);
    get(&c[0], "/v1/whoami");
    reply_whoami(fixture_take_call(&fx, fx.query, &call), "auditor");
    expect(&c[0], 200, "alice");
    client_close(&c[0]);
}

/* --- the wire --- */

static void test_wire__pipelined_in_order(void **state)
{
    (void)state;
    struct client c;
    struct chy_call call;
    client_open(&c, &fx, NULL, NULL);
    ask(&c, "GET /v1/hello HTTP/1.1\r\n" H "\r\nGET /healthz HTTP/1.1\r\n" H
            "\r\nGET /v1/hello HTTP/1.1\r\n" H
            "Connection: close\r\n\r\nGET /healthz HTTP/1.1\r\n" H "\r\n");
    reply_hello(fixture_take_call(&fx, fx.query, &call));
    expect(&c, 200, "1.2.3");
    expect(&c, 200, "alive");
    reply_hello(fixture_take_call(&fx, fx.query, &call));
    struct response r;
    client_read(&c, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "connection: close\r\n"));
    response_done(&r);
    assert_true(client_is_closed(&c)); /* what came behind it is not answered */
    client_close(&c);
}

static void test_wire__malformed_is_answered_and_closed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: +2\r\n\r\nab",
        "POST / HTTP/1.1\r\n" H "Content-Length : 2\r\n\r\nab",
        "GET / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct client c;
        client_open(&c, &fx, NULL, NULL);
        ask(&c, bad[i]);
        expect_problem(&c, 400, "malformed");
        assert_true(client_is_closed(&c));
        client_close(&c);
    }
}

/* The answer arrives although ten megabytes are still on their way. */
static void test_wire__too_large(void **state)
{
    (void)state;
    struct client c;
    enum {
        SIZE = 10000000
    };
    char *body = calloc(1, SIZE);
    client_open(&c, &fx, &fx.client_id, NULL);
    ask(&c, "POST /v1/sign HTTP/1.1\r\n" H "Content-Type: application/json\r\n"
            "Content-Length: 10000000\r\n\r\n");
    client_send(&c, body, SIZE);
    expect_problem(&c, 413, "over-limit");
    assert_true(client_is_closed(&c));
    free(body);
    client_close(&c);

    client_open(&c, &fx, NULL, NULL);
    char *head = malloc(40000);
    memset(head, 'a', 40000);
    memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
    client_send(&c, head, 40000);
    expect_problem(&c, 431, "over-limit");
    assert_true(client_is_closed(&c));
    free(head);
    client_close(&c);
}

static void test_wire__continue(void **state)
{
    (void)state;
    struct client c;
    struct response r;
    struct chy_call call;
    client_open(&c, &fx, &fx.client_id, NULL);
    char head[256];
    snprintf(head, sizeof head,
             "POST /v1/sign HTTP/1.1\r\n" H
             "Expect: 100-continue\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             strlen(SIGN_BODY));
    ask(&c, head);
    client_read(&c, &r);
    assert_int_equal(r.status, 100);
    response_done(&r);
    ask(&c, SIGN_BODY);
    fixture_reply(fx.signer, fixture_take_call(&fx, fx.signer, &call), CHY_E_DENIED, "no", NULL,
                  NULL);
    expect_problem(&c, 403, "denied-by-policy");
    client_close(&c);
}

static void small_timeouts(struct chy_front_config *config)
{
    config->header_timeout_ms = 300;
    config->body_timeout_ms = 300;
    config->idle_timeout_ms = 800;
    config->max_connections = 3;
    config->metrics_for_everybody = true;
}

static void test_wire__slow_clients(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, &fx, NULL, NULL);
    ask(&c, "GET /healthz HTT");
    expect_problem(&c, 408, "timeout");
    assert_true(client_is_closed(&c));
    client_close(&c);

    client_open(&c, &fx, NULL, NULL);
    ask(&c, "POST /v1/sign HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n{");
    expect_problem(&c, 408, "timeout");
    assert_true(client_is_closed(&c));
    client_close(&c);

    client_open(&c, &fx, NULL, NULL); /* idle: closed without a word */
    get(&c, "/metrics");
    expect(&c, 200, "chancery_timeouts_total 2\n");
    assert_true(client_is_closed(&c));
    client_close(&c);
}

static void test_wire__idle_connections_make_room(void **state)
{
    (void)state;
    struct client c[4];
    for (size_t i = 0; i < 4; i++) {
        client_open(&c[i], &fx, NULL, NULL);
        get(&c[i], "/healthz");
        expect(&c[i], 200, "alive");
    }
    assert_true(client_is_closed(&c[0])); /* the one that was idle longest */
    get(&c[3], "/metrics");
    expect(&c[3], 200, "chancery_connections_made_room_total 1\n");
    for (size_t i = 0; i < 4; i++)
        client_close(&c[i]);
}

/* --- HTTP/2 --- */

struct h2 {
    struct client *client;
    nghttp2_session *session;
    int status_of[32];
    size_t closed;
    char body[1024];
    size_t body_n;
};

static ssize_t h2_send(nghttp2_session *s, const uint8_t *data, size_t n, int flags, void *ctx)
{
    (void)s;
    (void)flags;
    struct h2 *h = ctx;
    client_send(h->client, data, n);
    return (ssize_t)n;
}

static int h2_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    (void)s;
    (void)flags;
    (void)value_n;
    struct h2 *h = ctx;
    if (name_n == 7 && memcmp(name, ":status", 7) == 0)
        h->status_of[frame->hd.stream_id % 32] =
            (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
    return 0;
}

static int h2_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                   void *ctx)
{
    (void)s;
    (void)flags;
    (void)id;
    struct h2 *h = ctx;
    assert_true(h->body_n + n < sizeof h->body);
    memcpy(h->body + h->body_n, data, n);
    h->body_n += n;
    return 0;
}

static int h2_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    (void)s;
    (void)id;
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    struct h2 *h = ctx;
    h->closed++;
    return 0;
}

static void h2_open(struct h2 *h, struct client *c)
{
    nghttp2_session_callbacks *cb;
    *h = (struct h2){ .client = c };
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_send_callback(cb, h2_send);
    nghttp2_session_callbacks_set_on_header_callback(cb, h2_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_close);
    assert_int_equal(nghttp2_session_client_new(&h->session, cb, h), 0);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(h->session, 0, NULL, 0), 0);
}

static int32_t h2_get(struct h2 *h, const char *path)
{
    const char *fields[][2] = { { ":method", "GET" },
                                { ":scheme", "https" },
                                { ":path", path },
                                { ":authority", "localhost" } };
    nghttp2_nv nv[4];
    for (size_t i = 0; i < 4; i++)
        nv[i] =
            (nghttp2_nv){ (uint8_t *)(uintptr_t)fields[i][0], (uint8_t *)(uintptr_t)fields[i][1],
                          strlen(fields[i][0]), strlen(fields[i][1]), 0 };
    int32_t id = nghttp2_submit_request(h->session, NULL, nv, 4, NULL, NULL);
    assert_true(id > 0);
    return id;
}

static void h2_run(struct h2 *h, size_t until_closed)
{
    assert_int_equal(nghttp2_session_send(h->session), 0);
    while (h->closed < until_closed) {
        uint8_t bytes[4096];
        size_t n = 0;
        assert_int_equal(SSL_read_ex(h->client->ssl, bytes, sizeof bytes, &n), 1);
        assert_int_equal(nghttp2_session_mem_recv(h->session, bytes, n), (ssize_t)n);
        assert_int_equal(nghttp2_session_send(h->session), 0);
    }
}

static void test_http2__many_at_once(void **state)
{
    (void)state;
    struct client c;
    struct h2 h;
    struct chy_call call;
    uint64_t ids[8];
    client_open(&c, &fx, NULL, "\x02h2");
    h2_open(&h, &c);
    for (size_t i = 0; i < 9; i++)
        h2_get(&h, "/v1/hello");
    int32_t health = h2_get(&h, "/healthz");
    h2_run(&h, 2);
    /* Eight are in flight, as many as one connection may have; the ninth was told so. */
    assert_int_equal(h.status_of[17], 429);
    assert_int_equal(h.status_of[health], 200);
    assert_non_null(strstr(h.body, "alive"));
    for (size_t i = 0; i < 8; i++)
        ids[i] = fixture_take_call(&fx, fx.query, &call);
    for (size_t i = 8; i-- > 0;)
        reply_hello(ids[i]);
    h2_run(&h, 10);
    for (int32_t id = 1; id < 16; id += 2)
        assert_int_equal(h.status_of[id], 200);
    nghttp2_session_del(h.session);
    client_close(&c);
}

static void test_http2__cancelled_stream(void **state)
{
    (void)state;
    struct client c;
    struct h2 h;
    struct chy_call call;
    client_open(&c, &fx, NULL, "\x02h2");
    h2_open(&h, &c);
    int32_t first = h2_get(&h, "/v1/hello");
    h2_run(&h, 0);
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    assert_int_equal(nghttp2_submit_rst_stream(h.session, 0, first, NGHTTP2_NO_ERROR), 0);
    h2_run(&h, 1);
    int32_t second = h2_get(&h, "/v1/hello");
    h2_run(&h, 1);
    uint64_t other = fixture_take_call(&fx, fx.query, &call);
    reply_hello(id); /* for nobody */
    reply_hello(other);
    h2_run(&h, 2);
    assert_int_equal(h.status_of[second], 200);
    assert_int_equal(h.status_of[first], 0);
    nghttp2_session_del(h.session);
    client_close(&c);
}

/* --- life --- */

static void test_life__new_certificate(void **state)
{
    (void)state;
    struct client old;
    struct client c;
    client_open(&old, &fx, NULL, NULL);
    /* One that does not fit is refused, and nothing changes. */
    fixture_send_tls(&fx, &fx.second_server_id, &fx.server_id);
    fixture_send_tls(&fx, &fx.second_server_id, &fx.second_server_id);
    uint8_t wanted[32];
    uint8_t seen[32] = { 0 };
    certificate_hash(&fx.second_server_id, wanted);
    while (memcmp(wanted, seen, 32) != 0) { /* the frames have their own way in */
        client_open(&c, &fx, NULL, NULL);
        X509 *x = SSL_get1_peer_certificate(c.ssl);
        assert_int_equal(X509_digest(x, EVP_sha256(), seen, NULL), 1);
        X509_free(x);
        client_close(&c);
    }
    get(&old, "/healthz");
    expect(&old, 200, "alive");
    client_close(&old);
}

static void test_life__new_client_ca(void **state)
{
    (void)state;
    struct client busy;
    struct client idle;
    struct client c;
    struct chy_call call;
    client_open(&busy, &fx, &fx.client_id, NULL);
    client_open(&idle, &fx, &fx.client_id, NULL);
    get(&busy, "/v1/whoami");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    fixture_send_trust(&fx, &fx.other_ca);
    /* Who was judged by the old CA's rules has to come again; what is in flight is answered. */
    assert_true(client_is_closed(&idle));
    reply_whoami(id, "auditor");
    expect(&busy, 200, "alice");
    assert_true(client_is_closed(&busy));
    client_close(&busy);
    client_close(&idle);

    client_open(&c, &fx, &fx.client_id, NULL);
    get(&c, "/v1/whoami");
    expect_problem(&c, 401, "unauthenticated");
    client_close(&c);
    client_open(&c, &fx, &fx.foreign_id, NULL);
    get(&c, "/v1/whoami");
    reply_whoami(fixture_take_call(&fx, fx.query, &call), "auditor");
    expect(&c, 200, "alice");
    client_close(&c);
}

static void test_life__drain_finishes_what_is_in_flight(void **state)
{
    (void)state;
    static const struct chy_empty nothing;
    struct client busy;
    struct client idle;
    struct chy_call call;
    client_open(&idle, &fx, NULL, NULL);
    client_open(&busy, &fx, NULL, NULL);
    get(&busy, "/v1/hello");
    uint64_t id = fixture_take_call(&fx, fx.query, &call);
    fixture_send(fx.supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &nothing);
    assert_true(client_is_closed(&idle));
    reply_hello(id);
    struct response r;
    client_read(&busy, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "connection: close\r\n"));
    response_done(&r);
    assert_true(client_is_closed(&busy));
    client_close(&busy);
    client_close(&idle);
    assert_int_equal(fixture_wait(&fx), 0);
}

static void test_life__ends_with_its_supervisor(void **state)
{
    (void)state;
    chy_channel_free(fx.supervisor);
    fx.supervisor = NULL;
    assert_int_equal(fixture_wait(&fx), 3);
}

static int set_up_small(void **state)
{
    (void)state;
    fixture_start(&fx, small_timeouts);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(test_own__health_and_unknown_paths),
        TEST(test_own__ready_when_both_are),
        TEST(test_own__openapi_is_the_table),
        TEST(test_own__metrics_are_for_auditors),
        TEST(test_call__anonymous_hello),
        TEST(test_call__sign_by_certificate),
        TEST(test_call__api_token_goes_before_certificate),
        TEST(test_call__bad_credentials),
        TEST(test_call__path_and_query_parameters),
        TEST(test_call__raw_answer),
        TEST(test_call__bad_bodies),
        TEST(test_call__inner_errors_stay_inside),
        TEST(test_call__backend_gone_and_back),
        TEST(test_call__share_of_one_caller_and_of_all),
        TEST(test_wire__pipelined_in_order),
        TEST(test_wire__malformed_is_answered_and_closed),
        TEST(test_wire__too_large),
        TEST(test_wire__continue),
        cmocka_unit_test_setup_teardown(test_wire__slow_clients, set_up_small, tear_down),
        cmocka_unit_test_setup_teardown(test_wire__idle_connections_make_room, set_up_small,
                                        tear_down),
        TEST(test_http2__many_at_once),
        TEST(test_http2__cancelled_stream),
        TEST(test_life__new_certificate),
        TEST(test_life__new_client_ca),
        cmocka_unit_test_setup_teardown(test_life__drain_finishes_what_is_in_flight, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(test_life__ends_with_its_supervisor, set_up, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
