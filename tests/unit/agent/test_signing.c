/* SPDX-License-Identifier: MIT */
/* client/signing.h: what a server says it signed is handed on only when the key made it. The server
 * is that of the agent's fixture, behind an agent in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_server.h"
#include "base/limits.h"
#include "client/signing.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/pubkey.h"
#include "key_fixture.h"
#include "os/tree.h"
#include "temp_dir.h"

static const uint8_t bytes[CHY_LIMIT_DIGEST] = { 1, 2, 3 };
static struct temp_dir dir;
static char sock[96];
static struct agent_server server;
static struct chy_arena arena;
static struct chy_client_env env;
static struct chy_settings settings;
static struct chy_signing signing;
static struct chy_key key;
static const struct chy_sign_result *result;
static struct chy_error err;

/* --- the check alone --- */

static struct chy_bytes spki_of(enum chy_key_type type)
{
    return chy_pubkey_spki(chy_privkey_public(fixture_key_of(type)));
}

static struct chy_sign_item item_of(enum chy_sign_alg alg)
{
    size_t n = chy_hash_alg_bytes(chy_sign_alg_hash(alg));
    struct chy_sign_item item = { .key = CHY_STR("k"), .algorithm = alg };
    if (n != 0)
        item.digest = (struct chy_bytes){ bytes, n };
    else
        item.message = (struct chy_bytes){ bytes, 20 };
    return item;
}

static const struct {
    enum chy_key_type type;
    enum chy_key_type other; /* makes signatures of the same form */
    enum chy_sign_alg alg;
    enum chy_sign_alg other_alg; /* of the same key; NONE: there is none */
} rows[] = {
    { CHY_KEY_RSA_2048, CHY_KEY_RSA_3072, CHY_ALG_RSA_PKCS1_SHA256, CHY_ALG_RSA_PSS_SHA256 },
    { CHY_KEY_RSA_3072, CHY_KEY_RSA_2048, CHY_ALG_RSA_PSS_SHA512, CHY_ALG_RSA_PKCS1_SHA512 },
    { CHY_KEY_RSA_2048, CHY_KEY_RSA_3072, CHY_ALG_RSA_PKCS1_RAW, CHY_ALG_NONE },
    { CHY_KEY_P256, CHY_KEY_P384, CHY_ALG_ECDSA_SHA256, CHY_ALG_NONE },
    { CHY_KEY_P384, CHY_KEY_P521, CHY_ALG_ECDSA_SHA384, CHY_ALG_ECDSA_SHA256 },
    { CHY_KEY_P521, CHY_KEY_P256, CHY_ALG_ECDSA_SHA512, CHY_ALG_ECDSA_SHA256 },
    { CHY_KEY_ED25519, CHY_KEY_NONE, CHY_ALG_ED25519, CHY_ALG_NONE },
};

static void assert_none(struct chy_bytes spki, const struct chy_sign_item *item,
                        struct chy_bytes signature)
{
    assert_int_equal(chy_signing_check(spki, item, signature, &err), CHY_E_INTEGRITY);
    assert_string_equal(err.text, "the server's signature is none by key k");
}

static void check_row(size_t i)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf made;
    struct chy_sign_item item = item_of(rows[i].alg);
    struct chy_bytes spki = spki_of(rows[i].type);
    struct chy_bytes data = item.digest.n != 0 ? item.digest : item.message;
    chy_buf_init(&made, CHY_LIMIT_SIGNATURE);
    assert_true(fixture_key_sign(rows[i].type, rows[i].alg, data, &made));
    struct chy_bytes signature = chy_buf_bytes(&made);
    assert_int_equal(chy_signing_check(spki, &item, signature, &err), CHY_OK);
    if (rows[i].other != CHY_KEY_NONE)
        assert_none(spki_of(rows[i].other), &item, signature);
    if (rows[i].other_alg != CHY_ALG_NONE) {
        const struct chy_sign_item other = item_of(rows[i].other_alg);
        assert_none(spki, &other, signature);
    }
    assert_none(spki, &item, (struct chy_bytes){ signature.p, signature.n - 1 });
    static const uint8_t another[CHY_LIMIT_DIGEST] = { 1, 2, 4 };
    *(item.digest.n != 0 ? &item.digest.p : &item.message.p) = another;
    assert_none(spki, &item, signature);
    made.p[made.n - 1] ^= 1;
    item = item_of(rows[i].alg);
    assert_none(spki, &item, signature);
}

static void test_check__each_kind_of_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        check_row(i);
}

static void test_check__errors(void **state)
{
    struct chy_sign_item item = item_of(CHY_ALG_ECDSA_SHA256);
    const struct chy_bytes any = { bytes, 64 };
    (void)state;
    assert_int_equal(chy_signing_check(spki_of(CHY_KEY_P256), &item, (struct chy_bytes){ 0 }, &err),
                     CHY_E_PROTOCOL);
    assert_non_null(strstr(err.text, "gives no signature"));
    assert_int_equal(chy_signing_check(spki_of(CHY_KEY_ED25519), &item, any, &err), CHY_E_ARG);
    item.digest.n = 20;
    assert_int_equal(chy_signing_check(spki_of(CHY_KEY_P256), &item, any, &err), CHY_E_ARG);
    assert_int_equal(chy_signing_check((struct chy_bytes){ bytes, 3 }, &item, any, &err),
                     CHY_E_MALFORMED);
    assert_int_equal(chy_signing_check((struct chy_bytes){ 0 }, &item, any, &err), CHY_E_MALFORMED);
}

/* --- with a server --- */

static void make_keys(void)
{
    fake_add_key("p", CHY_KEY_P256, false);
    fake_add_key("denied", CHY_KEY_P256, false);
}

/* The agent sees that, and so says so before the client could. */
static void make_keys_and_lie(void)
{
    make_keys();
    fake.lies = true;
}

/* It shows another key under the name than signs; calls pass the agent as they are. */
static void make_keys_and_show_another(void)
{
    make_keys();
    fake.keys[0].public_key = spki_of(CHY_KEY_P384);
}

static void start(void (*prepare)(void))
{
    struct chy_error why = { .code = CHY_OK };
    agent_server_start(&server, sock, prepare);
    assert_int_equal(chy_signing_connect(&settings, &signing.client, &why, &err), CHY_OK);
    assert_int_equal(why.code, CHY_OK);
}

static void end(void)
{
    chy_client_closep(&signing.client);
    agent_server_end(&server);
}

static enum chy_err ask(const char *name, size_t n)
{
    struct chy_sign_item items[2] = { item_of(CHY_ALG_ECDSA_SHA256),
                                      item_of(CHY_ALG_ECDSA_SHA256) };
    items[0].key = items[1].key = chy_str_of(name);
    items[0].hashed_by = items[1].hashed_by = CHY_HASHED_BY_TOOL;
    struct chy_sign_request request = { .items = { items, n } };
    result = NULL;
    CHY_TRY(chy_signing_key(&signing, chy_str_of(name), &key, &err));
    return chy_signing_ask(&signing, &key, &request, &result, &err);
}

static void test_ask__a_signature(void **state)
{
    (void)state;
    start(make_keys);
    assert_int_equal(ask("p", 1), CHY_OK);
    assert_true(result->signature.n > 60);
    assert_int_equal(result->outcome->index, FAKE_OUTCOME);
    end();
}

static void test_ask__what_the_server_says(void **state)
{
    (void)state;
    start(make_keys);
    assert_int_equal(ask("denied", 1), CHY_E_DENIED);
    assert_non_null(strstr(err.text, "key denied: refused by rule not-that: no rule allows this"));
    assert_int_equal(ask("none", 1), CHY_E_NOT_FOUND);
    assert_int_equal(ask("p", 2), CHY_E_PROTOCOL);
    assert_non_null(strstr(err.text, "one signature was asked for, 2 answers came"));
    end();
}

static void test_ask__a_signature_that_is_none(void **state)
{
    static void (*const ways[])(void) = { make_keys_and_lie, make_keys_and_show_another };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(ways); i++) {
        start(ways[i]);
        assert_int_equal(ask("p", 1), CHY_E_INTEGRITY);
        assert_non_null(strstr(err.text, "the server's signature is none by key p"));
        assert_null(result);
        end();
    }
}

/* First the proof: where none came there is no signature either. */
static void test_ask__no_receipt(void **state)
{
    (void)state;
    env.receipts = dir.path;
    start(make_keys);
    assert_int_equal(ask("p", 1), CHY_E_PROTOCOL);
    assert_null(result);
    end();
}

static int setup(void **state)
{
    const struct chy_settings_options none = { .profile = { 0 } };
    (void)state;
    temp_dir_make(&dir);
    (void)snprintf(sock, sizeof sock, "%s/agent.sock", dir.path);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    env = (struct chy_client_env){ .home = dir.path,
                                   .url = "https://127.0.0.1:1",
                                   .agent_socket = sock };
    signing = (struct chy_signing){ .env = &env, .arena = &arena };
    return chy_settings_load(&env, &none, &arena, &settings, &err) == CHY_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    chy_settings_done(&settings);
    chy_arena_done(&arena);
    temp_dir_remove(&dir);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__each_kind_of_key),
        cmocka_unit_test(test_check__errors),
        T(test_ask__a_signature),
        T(test_ask__what_the_server_says),
        T(test_ask__a_signature_that_is_none),
        T(test_ask__no_receipt),
    };
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, drop_keys);
}
