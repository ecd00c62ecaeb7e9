/* SPDX-License-Identifier: MIT */
/* SignServer's door at a front process: what it asks of query and signer, and what it makes of
 * their answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "crypto/hash.h"
#include "front_fixture.h"
#include "proto/ops.h"

#define PATH "/rest/v1/workers/app/process"
#define DATA "{\"data\":\"abc\"}"
#define DER(text)                                 \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define NO_DETAILS "The server's log says more"

static struct fixture fx;
static struct client client;

static void open_door(struct chy_front_config *config)
{
    config->signserver = true;
}

static int set_up(void **state)
{
    (void)state;
    fixture_start(&fx, open_door);
    client_open(&client, &fx, &fx.client_id, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client_close(&client);
    fixture_stop(&fx);
    return 0;
}

static void post(const char *fields, const char *body)
{
    char text[1024];
    snprintf(text, sizeof text,
             "POST " PATH " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "%sContent-Length: %zu\r\n\r\n%s",
             fields, strlen(body), body);
    client_send(&client, text, strlen(text));
}

static void expect(int status, const char *text)
{
    struct response r;
    char type[256];
    client_read(&client, &r);
    if (r.status != status || strstr(r.body, text) == NULL)
        fail_msg("expected %d with %s, not:\n%s%s", status, text, r.head, r.body);
    response_field(&r, "content-type", type);
    assert_string_equal(type, "application/json");
    assert_int_equal(strncmp(r.body, "{\"error\":", 9) == 0, status != 200);
    response_done(&r);
}

/* The key is asked for in the caller's name. */
static uint64_t take_key(struct chy_call *call)
{
    struct chy_key_name name;
    uint64_t id = fixture_take_call(&fx, fx.query, call);
    assert_int_equal(call->op, CHY_OP_KEYS_SHOW);
    assert_int_equal(chy_schema_decode(&chy_key_name_schema, call->request, &fx.arena, &name, NULL),
                     CHY_OK);
    assert_true(chy_str_equal_c(name.name, "app"));
    return id;
}

static void reply_key(uint64_t id, enum chy_key_type type, const char *certificate)
{
    struct chy_certificate c = { .der = { (const uint8_t *)certificate, strlen(certificate) } };
    struct chy_key key = { .name = CHY_STR("app"),
                           .class = CHY_KEY_CLASS_SIGNING,
                           .type = type,
                           .state = CHY_KEY_STATE_ACTIVE,
                           .origin = CHY_KEY_ORIGIN_GENERATED,
                           .certificates = { &c, certificate[0] != '\0' ? 1 : 0 } };
    fixture_reply(fx.query, id, CHY_OK, "", &chy_key_schema, &key);
}

static uint64_t take_sign(struct chy_sign_request *request)
{
    struct chy_call call;
    uint64_t id = fixture_take_call(&fx, fx.signer, &call);
    assert_int_equal(call.op, CHY_OP_SIGN);
    assert_int_equal(
        chy_schema_decode(&chy_sign_request_schema, call.request, &fx.arena, request, NULL),
        CHY_OK);
    return id;
}

static void reply_signature(uint64_t id)
{
    struct chy_log_index outcome = { 42 };
    struct chy_sign_result result = { .is_signed = true,
                                      .signature = DER("sig"),
                                      .outcome = &outcome };
    struct chy_sign_response response = { .results = { &result, 1 } };
    fixture_reply(fx.signer, id, CHY_OK, "", &chy_sign_response_schema, &response);
}

static void test_key_first_then_signature(void **state)
{
    (void)state;
    struct chy_call call;
    struct chy_sign_request request;
    uint8_t request_id[CHY_ID_BYTES];
    post("User-Agent: Jsign (x)\r\n", DATA);
    uint64_t id = take_key(&call);
    assert_int_equal(call.caller.method, CHY_AUTH_CERTIFICATE);
    memcpy(request_id, call.request_id, sizeof request_id);
    reply_key(id, CHY_KEY_P256, "cert");
    id = take_sign(&request);
    assert_true(chy_str_equal_c(request.items.p[0].key, "app"));
    assert_int_equal(request.items.p[0].algorithm, CHY_ALG_ECDSA_SHA256);
    assert_true(chy_str_equal_c(request.facts.p[0].value, "Jsign"));
    reply_signature(id);
    expect(200, "\"data\":\"c2ln\"");

    post("", DATA); /* and once more on the same connection, for another kind of key */
    reply_key(take_key(&call), CHY_KEY_RSA_3072, "");
    assert_memory_not_equal(request_id, call.request_id, sizeof request_id);
    id = take_sign(&request);
    assert_int_equal(request.items.p[0].algorithm, CHY_ALG_RSA_PKCS1_SHA256);
    reply_signature(id);
    expect(200, "\"archiveId\":\"42\"");
}

static void test_both_calls_are_the_callers(void **state)
{
    (void)state;
    struct chy_call call;
    uint8_t want[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("token")), want, NULL), CHY_OK);
    post("Authorization: Basic dXNlcjp0b2tlbg==\r\n", DATA); /* user:token */
    uint64_t id = take_key(&call);
    assert_int_equal(call.caller.method, CHY_AUTH_API_TOKEN);
    assert_memory_equal(call.caller.credential, want, sizeof want);
    reply_key(id, CHY_KEY_P256, "cert");
    id = fixture_take_call(&fx, fx.signer, &call);
    assert_int_equal(call.caller.method, CHY_AUTH_API_TOKEN);
    assert_memory_equal(call.caller.credential, want, sizeof want);
    assert_true(chy_str_equal_c(call.caller.address, "127.0.0.1"));
    reply_signature(id);
    expect(200, "\"signerCertificate\":\"Y2VydA==\"");
}

static void test_the_certificate_costs_no_signature(void **state)
{
    (void)state;
    struct chy_call call;
    post("", "{\"data\":\"\"}");
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    expect(200, "\"signerCertificate\":\"Y2VydA==\"");
    post("", "{\"data\":\"\"}");
    reply_key(take_key(&call), CHY_KEY_P256, "");
    expect(404, "has no certificate");
    /* The signer's next call is that of the next request. */
    struct chy_sign_request request;
    post("", "{\"data\":\"abcd\"}");
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    uint64_t id = take_sign(&request);
    assert_int_equal(request.items.p[0].content.n, 4);
    reply_signature(id);
    expect(200, "c2ln");
}

static void test_what_query_refuses_is_not_signed(void **state)
{
    (void)state;
    static const struct {
        enum chy_err code;
        int status;
        const char *text;
    } rows[] = {
        { CHY_E_NOT_FOUND, 404, "no such" },
        { CHY_E_FORBIDDEN, 403, "no such" },
        { CHY_E_UNAUTHENTICATED, 401, "no such" },
        { CHY_E_EXPIRED, 401, "no such" },
        { CHY_E_BUSY, 503, "no such" },
        { CHY_E_STORE, 500, NO_DETAILS },
    };
    struct chy_call call;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        post("", DATA);
        fixture_reply(fx.query, take_key(&call), rows[i].code, "no such", NULL, NULL);
        expect(rows[i].status, rows[i].text);
    }
}

static void test_what_the_signer_refuses(void **state)
{
    (void)state;
    struct chy_call call;
    struct chy_sign_request request;
    struct chy_sign_result result = { .problem = CHY_STR("denied-by-policy") };
    struct chy_sign_response response = { .results = { &result, 1 } };
    post("", DATA);
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    fixture_reply(fx.signer, take_sign(&request), CHY_E_DENIED, "rule frozen",
                  &chy_sign_response_schema, &response);
    expect(403, "rule frozen");

    post("", DATA); /* well, but without a signature */
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    fixture_reply(fx.signer, take_sign(&request), CHY_OK, "", &chy_sign_response_schema, &response);
    expect(500, NO_DETAILS);
}

static void test_answers_that_are_malformed(void **state)
{
    (void)state;
    struct chy_call call;
    struct chy_sign_request request;
    static const struct chy_empty nothing;
    post("", DATA);
    fixture_reply(fx.query, take_key(&call), CHY_OK, "", &chy_empty_schema, &nothing);
    expect(500, NO_DETAILS);
    post("", DATA);
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    fixture_reply(fx.signer, take_sign(&request), CHY_OK, "", &chy_empty_schema, &nothing);
    expect(500, NO_DETAILS);
}

static void test_a_key_that_makes_no_such_signature(void **state)
{
    (void)state;
    struct chy_call call;
    post("", "{\"data\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"encoding\":\"BASE64\","
             "\"metaData\":{\"USING_CLIENTSUPPLIED_HASH\":\"true\","
             "\"CLIENTSIDE_HASHDIGESTALGORITHM\":\"SHA-256\"}}");
    reply_key(take_key(&call), CHY_KEY_ED25519, "cert");
    expect(400, "Ed25519");
}

/* A caller who goes away between the two is signed nothing. */
static void test_the_caller_is_gone(void **state)
{
    (void)state;
    struct chy_call call;
    struct chy_sign_request request;
    post("", DATA);
    uint64_t id = take_key(&call);
    client_close(&client);
    client_open(&client, &fx, &fx.client_id, NULL);
    post("", "{\"data\":\"abcd\"}"); /* by its answer front has seen that the first is gone */
    uint64_t second = take_key(&call);
    reply_key(id, CHY_KEY_P256, "cert");
    reply_key(second, CHY_KEY_P256, "cert");
    id = take_sign(&request);
    assert_int_equal(request.items.p[0].content.n, 4);
    reply_signature(id);
    expect(200, "c2ln");
}

static void test_the_signer_is_gone(void **state)
{
    (void)state;
    struct chy_call call;
    struct chy_sign_request request;
    post("", DATA);
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    CHY_IGNORE(take_sign(&request));
    chy_channel_free(fx.signer);
    fx.signer = NULL;
    expect(503, "the signer ended");
    post("", DATA);
    reply_key(take_key(&call), CHY_KEY_P256, "cert");
    expect(503, "is not running");
    fixture_send_peer(&fx, CHY_PROCESS_SIGNER, &fx.signer);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(test_key_first_then_signature),
        TEST(test_both_calls_are_the_callers),
        TEST(test_the_certificate_costs_no_signature),
        TEST(test_what_query_refuses_is_not_signed),
        TEST(test_what_the_signer_refuses),
        TEST(test_answers_that_are_malformed),
        TEST(test_a_key_that_makes_no_such_signature),
        TEST(test_the_caller_is_gone),
        TEST(test_the_signer_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
