/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "front/signserver_api.h"

#define HASHED \
    "\"metaData\":{\"USING_CLIENTSUPPLIED_HASH\":\"true\",\"CLIENTSIDE_HASHDIGESTALGORITHM\":"
#define OF_NOTHING "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" /* SHA-256 */

static struct chy_arena arena;
static struct chy_buf out;
static struct chy_error err;

static int set_up(void **state)
{
    (void)state;
    chy_json_prepare();
    chy_arena_init(&arena, (size_t)4 * CHY_LIMIT_JSON);
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    chy_buf_done(&out);
    return 0;
}

/* --- the path --- */

static void test_find__paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *worker; /* NULL: not SignServer's */
    } rows[] = {
        { "/rest/v1/workers/app/process", "app" },
        { "/signserver/rest/v1/workers/app/process", "app" },
        { "/rest/v1/workers/a%2Fb/process", "a/b" },
        { "/rest/v1/workers/app/process?x=y", "app" },
        { "/rest/v1/workers/app", NULL },
        { "/rest/v1/workers/app/Process", NULL },
        { "/rest/v2/workers/app/process", NULL },
        { "/rest/v1/workers/app/process/x", NULL },
        { "/signserver/rest/v1/workers/app/process/x", NULL },
        { "/signer/rest/v1/workers/app/process", NULL },
        { "/v1/sign", NULL },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_target t;
        struct chy_str worker = { 0 };
        assert_int_equal(chy_target_parse(chy_str_of(rows[i].path), &arena, &t, &err), CHY_OK);
        assert_int_equal(chy_signserver_find(&t, &worker), rows[i].worker != NULL);
        if (rows[i].worker != NULL)
            assert_true(chy_str_equal_c(worker, rows[i].worker));
    }
}

/* --- the body --- */

static enum chy_err read_text(const char *body, struct chy_signserver_ask *ask)
{
    memset(&err, 0, sizeof err);
    return chy_signserver_read(chy_str_bytes(chy_str_of(body)), &arena, ask, &err);
}

static void test_read__data_is_hashed(void **state)
{
    (void)state;
    struct chy_signserver_ask ask;
    uint8_t want[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("abc")), want, NULL), CHY_OK);
    static const char *const bodies[] = {
        "{\"data\":\"abc\"}",
        "{\"data\":\"abc\",\"encoding\":\"NONE\",\"metaData\":{\"FILENAME\":\"x\"}}",
        "{\"data\":\"YWJj\",\"encoding\":\"BASE64\"}",
        "{\"data\":\"abc\",\"metaData\":{\"USING_CLIENTSUPPLIED_HASH\":\"False\"}}",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_text(bodies[i], &ask), CHY_OK);
        assert_false(ask.is_hashed || ask.is_empty);
        assert_int_equal(ask.hash, CHY_HASH_SHA256);
        assert_true(chy_bytes_equal(ask.digest, (struct chy_bytes){ want, sizeof want }));
        assert_true(chy_bytes_equal(ask.data, chy_str_bytes(CHY_STR("abc"))));
        assert_int_equal(ask.reason.n, 0);
    }
}

static void test_read__a_digest(void **state)
{
    (void)state;
    struct chy_signserver_ask ask;
    static const char zeros[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    char body[512];
    snprintf(body, sizeof body, "{\"data\":\"%s\",\"encoding\":\"BASE64\"," HASHED "\"sha256\",%s",
             zeros, "\"REASON\":\"why\"}}");
    assert_int_equal(read_text(body, &ask), CHY_OK);
    assert_true(ask.is_hashed && !ask.is_empty);
    assert_int_equal(ask.digest.n, 32);
    assert_int_equal(ask.data.n, 0);
    assert_true(chy_str_equal_c(ask.reason, "why"));
}

static void test_read__nothing_to_sign(void **state)
{
    (void)state;
    struct chy_signserver_ask ask;
    static const char *const bodies[] = {
        "{}",
        "{\"data\":\"\"}",
        "{\"data\":\"\",\"encoding\":\"BASE64\"}",
        "{\"data\":\"" OF_NOTHING "\",\"encoding\":\"BASE64\"," HASHED "\"SHA-256\"}}",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_text(bodies[i], &ask), CHY_OK);
        assert_true(ask.is_empty);
    }
    /* Hashed here it is data like any other. */
    assert_int_equal(read_text("{\"data\":\"" OF_NOTHING "\",\"encoding\":\"BASE64\"}", &ask),
                     CHY_OK);
    assert_false(ask.is_empty);
}

static void test_read__errors(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum chy_err code;
        const char *text;
    } rows[] = {
        { "", CHY_E_MALFORMED, "" },
        { "[]", CHY_E_MALFORMED, "" },
        { "{\"data\":\"a\",\"extra\":1}", CHY_E_MALFORMED, "extra" },
        { "{\"data\":\"YWJ\",\"encoding\":\"BASE64\"}", CHY_E_MALFORMED, "BASE64" },
        { "{\"data\":\"YWJjZA==\\n\",\"encoding\":\"BASE64\"}", CHY_E_MALFORMED, "BASE64" },
        { "{\"data\":\"x\",\"encoding\":\"UTF8\"}", CHY_E_MALFORMED, "encoding" },
        { "{\"data\":\"x\"," HASHED "\"SHA-1\"}}", CHY_E_UNSUPPORTED, "\"SHA-1\"" },
        { "{\"data\":\"x\"," HASHED "\"SHA-25\"}}", CHY_E_UNSUPPORTED, "\"SHA-25\"" },
        { "{\"data\":\"x\"," HASHED "\"SHA-384\"}}", CHY_E_MALFORMED, "1 bytes, sha384 has 48" },
        { "{\"data\":\"x\",\"metaData\":{\"USING_CLIENTSUPPLIED_HASH\":\"1\"}}", CHY_E_MALFORMED,
          "not true or false" },
    };
    struct chy_signserver_ask ask;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(read_text(rows[i].body, &ask), rows[i].code);
        assert_non_null(strstr(err.text, rows[i].text));
    }
}

/* {"data":"aaa…"} with `n` bytes of data. */
static struct chy_bytes body_of(size_t n)
{
    static const char head[] = "{\"data\":\"";
    size_t h = sizeof head - 1;
    char *text = chy_arena_alloc(&arena, 1, h + n + 2);
    assert_non_null(text);
    memcpy(text, head, h);
    memset(text + h, 'a', n);
    memcpy(text + h + n, "\"}", 2);
    return (struct chy_bytes){ (const uint8_t *)text, h + n + 2 };
}

static void test_read__limits(void **state)
{
    (void)state;
    struct chy_signserver_ask ask;
    assert_int_equal(chy_signserver_read(body_of(CHY_LIMIT_CONTENT), &arena, &ask, &err), CHY_OK);
    assert_int_equal(ask.data.n, CHY_LIMIT_CONTENT);
    assert_int_equal(chy_signserver_read(body_of(CHY_LIMIT_CONTENT + 1), &arena, &ask, &err),
                     CHY_OK);
    assert_int_equal(ask.data.n, 0);
    assert_int_equal(ask.digest.n, CHY_HASH_BYTES);
    assert_int_equal(chy_signserver_read(body_of(CHY_LIMIT_JSON - 11), &arena, &ask, &err), CHY_OK);
    assert_int_equal(chy_signserver_read(body_of(CHY_LIMIT_JSON - 10), &arena, &ask, &err),
                     CHY_E_LIMIT);
}

/* --- our request --- */

static const struct chy_sign_item *sign(const struct chy_signserver_ask *ask,
                                        enum chy_key_type type, const char *agent)
{
    static struct chy_sign_request request;
    chy_buf_clear(&out);
    assert_int_equal(chy_signserver_sign(ask, type, chy_str_of(agent), &arena, &out, &err), CHY_OK);
    assert_int_equal(
        chy_schema_decode(&chy_sign_request_schema, chy_buf_bytes(&out), &arena, &request, &err),
        CHY_OK);
    assert_int_equal(request.items.n, 1);
    assert_true(chy_str_equal_c(request.items.p[0].key, "app"));
    if (agent[0] == '\0' || agent[0] == ' ') {
        assert_int_equal(request.facts.n, 0);
    } else {
        assert_int_equal(request.facts.n, 1);
        assert_true(chy_str_equal_c(request.facts.p[0].name, "application.path"));
        assert_true(chy_str_equal_c(request.facts.p[0].value, "Jsign"));
        assert_int_equal(request.facts.p[0].basis, CHY_BASIS_DECLARED);
    }
    return &request.items.p[0];
}

static void test_sign__algorithms(void **state)
{
    (void)state;
    static const struct {
        enum chy_key_type type;
        enum chy_hash_alg hash;
        enum chy_sign_alg algorithm;
    } rows[] = {
        { CHY_KEY_RSA_2048, CHY_HASH_SHA256, CHY_ALG_RSA_PKCS1_SHA256 },
        { CHY_KEY_RSA_3072, CHY_HASH_SHA384, CHY_ALG_RSA_PKCS1_SHA384 },
        { CHY_KEY_RSA_4096, CHY_HASH_SHA512, CHY_ALG_RSA_PKCS1_SHA512 },
        { CHY_KEY_P256, CHY_HASH_SHA256, CHY_ALG_ECDSA_SHA256 },
        { CHY_KEY_P384, CHY_HASH_SHA384, CHY_ALG_ECDSA_SHA384 },
        { CHY_KEY_P521, CHY_HASH_SHA512, CHY_ALG_ECDSA_SHA512 },
    };
    static const uint8_t digest[64];
    static const char *const agents[] = { "Jsign", "Jsign/7.4 (x)", "Jsign (x)", "", " x" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_signserver_ask ask = { .worker = CHY_STR("app"),
                                          .is_hashed = true,
                                          .hash = rows[i].hash,
                                          .digest = { digest, chy_hash_alg_bytes(rows[i].hash) } };
        const struct chy_sign_item *item =
            sign(&ask, rows[i].type, agents[i % CHY_ARRAY_LEN(agents)]);
        assert_int_equal(item->algorithm, rows[i].algorithm);
        assert_int_equal(item->hashed_by, CHY_HASHED_BY_TOOL);
        assert_true(chy_bytes_equal(item->digest, ask.digest));
        assert_int_equal(item->content.n + item->message.n, 0);
    }
}

static void test_sign__data(void **state)
{
    (void)state;
    struct chy_signserver_ask ask;
    assert_int_equal(read_text("{\"data\":\"abc\"}", &ask), CHY_OK);
    ask.worker = CHY_STR("app");
    const struct chy_sign_item *item = sign(&ask, CHY_KEY_P384, "");
    assert_int_equal(item->algorithm, CHY_ALG_ECDSA_SHA256);
    assert_int_equal(item->hashed_by, CHY_HASHED_BY_CLIENT);
    assert_true(chy_bytes_equal(item->content, ask.data));
    item = sign(&ask, CHY_KEY_ED25519, "");
    assert_int_equal(item->algorithm, CHY_ALG_ED25519);
    assert_int_equal(item->hashed_by, CHY_HASHED_BY_NOBODY);
    assert_true(chy_bytes_equal(item->message, ask.data));
    assert_int_equal(item->digest.n + item->content.n, 0);
}

static void test_sign__errors(void **state)
{
    (void)state;
    static const uint8_t digest[64];
    struct chy_signserver_ask ask = { .worker = CHY_STR("app"),
                                      .is_hashed = true,
                                      .hash = CHY_HASH_SHA256,
                                      .digest = { digest, 32 } };
    struct chy_str none = { 0 };
    assert_int_equal(chy_signserver_sign(&ask, CHY_KEY_ED25519, none, &arena, &out, &err),
                     CHY_E_UNSUPPORTED);
    ask.is_hashed = false; /* what was too long for `data` */
    assert_int_equal(chy_signserver_sign(&ask, CHY_KEY_ED25519, none, &arena, &out, &err),
                     CHY_E_LIMIT);
}

/* --- who asks --- */

static enum chy_err password(const char *plain, size_t n, struct chy_caller *caller)
{
    chy_buf_clear(&out);
    assert_true(chy_base64_append(&out, (struct chy_bytes){ (const uint8_t *)plain, n }));
    return chy_signserver_password(chy_buf_str(&out), caller, &err);
}

static void test_password__is_an_api_token(void **state)
{
    (void)state;
    struct chy_caller caller = { 0 };
    uint8_t want[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("to:ken")), want, NULL), CHY_OK);
    static const char *const rows[] = { "user:to:ken", ":to:ken", "a b:to:ken" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(password(rows[i], strlen(rows[i]), &caller), CHY_OK);
        assert_int_equal(caller.method, CHY_AUTH_API_TOKEN);
        assert_memory_equal(caller.credential, want, sizeof want);
    }
}

static void test_password__wrong_ones(void **state)
{
    (void)state;
    struct chy_caller caller = { 0 };
    char plain[600];
    memset(plain, 'x', sizeof plain);
    plain[1] = ':';
    assert_int_equal(password(plain, 2 + 256, &caller), CHY_OK);
    assert_int_equal(password(plain, 2 + 257, &caller), CHY_E_UNAUTHENTICATED);
    plain[1] = 'x';
    plain[511 - 5] = ':';
    assert_int_equal(password(plain, 512, &caller), CHY_OK);
    assert_int_equal(password(plain, 513, &caller), CHY_E_UNAUTHENTICATED);
    assert_int_equal(password("user", 4, &caller), CHY_E_UNAUTHENTICATED);
    assert_int_equal(password("user:", 5, &caller), CHY_E_UNAUTHENTICATED);
    static const char *const rows[] = { "", "=", "==", "====", "eDp5=", "eDp", "!!!!" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_int_equal(chy_signserver_password(chy_str_of(rows[i]), &caller, &err),
                         CHY_E_UNAUTHENTICATED);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    enum chy_err r = CHY_E_NOMEM;
    for (size_t n = 0; r == CHY_E_NOMEM; n++) {
        struct chy_signserver_ask ask;
        tear_down(NULL);
        set_up(NULL);
        chy_mem_fail_after(n);
        r = read_text("{\"data\":\"YWJj\",\"encoding\":\"BASE64\"}", &ask);
        if (r == CHY_OK) {
            ask.worker = CHY_STR("app");
            r = chy_signserver_sign(&ask, CHY_KEY_P256, CHY_STR("x"), &arena, &out, &err);
        }
        chy_mem_fail_after(SIZE_MAX);
        assert_true(n < 1000);
    }
    assert_int_equal(r, CHY_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find__paths),          TEST(test_read__data_is_hashed),
        TEST(test_read__a_digest),       TEST(test_read__nothing_to_sign),
        TEST(test_read__errors),         TEST(test_read__limits),
        TEST(test_sign__algorithms),     TEST(test_sign__data),
        TEST(test_sign__errors),         TEST(test_password__is_an_api_token),
        TEST(test_password__wrong_ones), TEST(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
