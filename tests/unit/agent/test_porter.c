/* SPDX-License-Identifier: MIT */
/* The door, with a server that answers from here: what a tool may do to it and what it may not. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_fixture.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "crypto/hash.h"
#include "key_fixture.h"
#include "proto/digest_info.h"

static struct fixture f;
static struct tool t;
static const struct chy_empty nothing = { 0 };

static int setup(void **state)
{
    (void)state;
    fixture_init(&f);
    tool_open(&t, &f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tool_close(&t);
    fixture_done(&f);
    return 0;
}

static struct chy_door_input input_of(const char *key, enum chy_door_scheme scheme,
                                      struct chy_bytes data)
{
    return (struct chy_door_input){ .key = chy_str_of(key), .scheme = scheme, .data = data };
}

static enum chy_err sign(struct tool *tool, const struct chy_door_input *input,
                         struct chy_door_signed *ret)
{
    const struct chy_door_sign asked = { *input };
    return tool_ask(tool, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked, CHY_DOOR_SIGNED,
                    &chy_door_signed_schema, ret);
}

static enum chy_err page(struct tool *tool, const struct chy_door_keys *asked,
                         struct chy_door_key_page *ret)
{
    return tool_ask(tool, CHY_DOOR_KEYS, &chy_door_keys_schema, asked, CHY_DOOR_KEY_PAGE,
                    &chy_door_key_page_schema, ret);
}

static const uint8_t zeros[CHY_LIMIT_DIGEST];
static const struct chy_bytes digest32 = { zeros, 32 };
static const struct chy_bytes text = { (const uint8_t *)"what is signed", 14 };

/* --- conversations --- */

static void test_frames__before_hello(void **state)
{
    (void)state;
    tool_send(&t, CHY_DOOR_STATUS, &chy_empty_schema, &nothing);
    assert_true(tool_is_closed(&t));
}

static void test_frames__hello_twice(void **state)
{
    (void)state;
    const struct chy_door_hello again = { .version = CHY_DOOR_VERSION };
    tool_hello(&t, NULL);
    tool_send(&t, CHY_DOOR_HELLO, &chy_door_hello_schema, &again);
    assert_true(tool_is_closed(&t));
}

static void test_frames__unknown_kind(void **state)
{
    (void)state;
    tool_hello(&t, NULL);
    tool_send(&t, CHY_DOOR_SIGNED, &chy_empty_schema, &nothing);
    assert_true(tool_is_closed(&t));
}

static void test_frames__garbage(void **state)
{
    (void)state;
    uint8_t bytes[64];
    memset(bytes, 0xff, sizeof bytes);
    tool_hello(&t, NULL);
    tool_bytes(&t, (struct chy_bytes){ bytes, sizeof bytes });
    assert_true(tool_is_closed(&t));
}

static void test_frames__body_of_another_kind(void **state)
{
    (void)state;
    tool_hello(&t, NULL);
    tool_send(&t, CHY_DOOR_SIGN, &chy_empty_schema, &nothing);
    assert_true(tool_is_closed(&t));
}

/* A byte at a time is slow, and right. */
static void test_frames__slowly(void **state)
{
    (void)state;
    struct chy_buf body;
    struct chy_buf bytes;
    const struct chy_door_hello hello = { .version = CHY_DOOR_VERSION };
    uint64_t id = 0;
    chy_buf_init(&body, 4096);
    chy_buf_init(&bytes, 4096);
    assert_int_equal(chy_schema_encode(&chy_door_hello_schema, &hello, &body, NULL), CHY_OK);
    const struct chy_frame frame = { CHY_DOOR_HELLO, 9, chy_buf_bytes(&body) };
    assert_int_equal(chy_frame_encode(&bytes, &frame, NULL), CHY_OK);
    for (size_t i = 0; i < bytes.n; i++) {
        tool_bytes(&t, (struct chy_bytes){ bytes.p + i, 1 });
        fixture_turn(&f);
    }
    struct chy_door_welcome welcome;
    assert_int_equal(tool_receive(&t, &id, &chy_door_welcome_schema, &welcome), CHY_DOOR_WELCOME);
    assert_int_equal(id, 9);
    chy_buf_done(&body);
    chy_buf_done(&bytes);
}

static void test_hello__is_refused(void **state)
{
    (void)state;
    const struct chy_door_hello rows[] = {
        { .version = 2 },
        { .version = CHY_DOOR_VERSION, .receipts = CHY_STR("not/absolute") },
        { .version = CHY_DOOR_VERSION, .tag = { zeros, 15 } },
    };
    static const enum chy_err codes[] = { CHY_E_UNSUPPORTED, CHY_E_ARG, CHY_E_ARG };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_door_welcome welcome;
        assert_int_equal(tool_ask(&t, CHY_DOOR_HELLO, &chy_door_hello_schema, &rows[i],
                                  CHY_DOOR_WELCOME, &chy_door_welcome_schema, &welcome),
                         codes[i]);
    }
    tool_hello(&t, NULL); /* one that is right is taken after all */
}

/* --- keys --- */

static void add_many(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "key-%04zu", i);
        fake_add_key(name, CHY_KEY_P256, i % 100 == 0);
    }
}

static void test_keys__pages_at_the_limit_and_past_it(void **state)
{
    (void)state;
    struct chy_door_key_page got;
    struct chy_door_keys asked = { .revision = 0 };
    fake.has_pages = true;
    add_many(CHY_LIMIT_KEY_PAGE);
    tool_hello(&t, NULL);
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, CHY_LIMIT_KEY_PAGE);
    assert_int_equal(got.next.n, 0);
    assert_int_equal(got.authorities.n, 1);
    uint64_t revision = got.revision;
    asked.revision = revision;
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_true(got.is_unchanged);
    assert_int_equal(got.keys.n, 0);
    /* All of it came from one list. */
    assert_int_equal(fake.calls[CHY_OP_KEYS_LIST], (CHY_LIMIT_KEY_PAGE + 6) / 7);
}

static void test_keys__more_than_a_page(void **state)
{
    (void)state;
    struct chy_door_key_page got;
    struct chy_door_keys asked = { .revision = 0 };
    add_many(CHY_LIMIT_KEY_PAGE + 1);
    tool_hello(&t, NULL);
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, CHY_LIMIT_KEY_PAGE);
    assert_true(chy_str_equal_c(got.next, "key-0499"));
    asked.after = got.next;
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 1);
    assert_int_equal(got.next.n, 0);
    assert_int_equal(fake.calls[CHY_OP_KEYS_LIST], 1);
}

static void test_keys__one_alone(void **state)
{
    (void)state;
    struct chy_door_key_page got;
    struct chy_door_keys asked = { .label = CHY_STR("b") };
    fake_add_key("a", CHY_KEY_P256, false);
    fake_add_key("b", CHY_KEY_ED25519, true);
    tool_hello(&t, NULL);
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 0); /* Ed25519, and nobody named it */
    asked.label = CHY_STR("a");
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 1);
    assert_int_equal(got.revision, 0);
    assert_int_equal(page(&t, &asked, &got), CHY_OK); /* known for a moment */
    assert_int_equal(fake.calls[CHY_OP_KEYS_SHOW], 2);
    asked.id = (struct chy_bytes){ fake.keys[1].id, CHY_ID_BYTES };
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 0);
    asked.label = CHY_STR("none");
    asked.id.n = 0;
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 0);
    assert_int_equal(fake.calls[CHY_OP_KEYS_LIST], 0);
}

static void test_keys__patterns(void **state)
{
    (void)state;
    static const struct chy_str patterns[] = { { "b*", 2 }, { "?", 1 } };
    const struct chy_door_hello hello = { .keys = { patterns, 2 } };
    const struct chy_door_keys asked = { .revision = 0 };
    struct chy_door_key_page got;
    fake_add_key("a", CHY_KEY_ED25519, false);
    fake_add_key("bb", CHY_KEY_P256, false);
    fake_add_key("cc", CHY_KEY_P256, false);
    tool_hello(&t, &hello);
    assert_int_equal(page(&t, &asked, &got), CHY_OK);
    assert_int_equal(got.keys.n, 2);
    assert_true(chy_str_equal_c(got.keys.p[0].name, "a"));
}

static void test_keys__server_fails(void **state)
{
    (void)state;
    const struct chy_door_keys all = { .revision = 0 };
    const struct chy_door_keys one = { .label = CHY_STR("a") };
    struct chy_door_key_page got;
    fake.fails = CHY_E_EXPIRED;
    tool_hello(&t, NULL);
    assert_int_equal(page(&t, &all, &got), CHY_E_EXPIRED);
    assert_true(chy_str_equal_c(failure.text, "the server fails. Enrol again: ask an administrator "
                                              "for a new code."));
    assert_true(chy_str_equal_c(failure.request_id, "0123456789abcdef"));
    assert_int_equal(page(&t, &one, &got), CHY_E_EXPIRED);
}

/* --- signatures --- */

static void assert_verifies(const char *key, const struct chy_door_input *input,
                            struct chy_bytes signature)
{
    struct chy_door_verify asked = { *input, signature };
    struct chy_empty good;
    asked.input.key = chy_str_of(key);
    assert_int_equal(tool_ask(&t, CHY_DOOR_VERIFY, &chy_door_verify_schema, &asked,
                              CHY_DOOR_VERIFIED, &chy_empty_schema, &good),
                     CHY_OK);
    uint8_t wrong[CHY_LIMIT_RAW_SIGNATURE];
    memcpy(wrong, signature.p, signature.n);
    wrong[signature.n - 1] ^= 1;
    asked.signature = (struct chy_bytes){ wrong, signature.n };
    assert_int_equal(tool_ask(&t, CHY_DOOR_VERIFY, &chy_door_verify_schema, &asked,
                              CHY_DOOR_VERIFIED, &chy_empty_schema, &good),
                     CHY_E_INTEGRITY);
}

static void test_sign__whole_messages(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum chy_key_type type;
        enum chy_door_scheme scheme;
        enum chy_hash_alg hash;
        size_t bytes;
    } rows[] = {
        { "r", CHY_KEY_RSA_2048, CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA384, 256 },
        { "r", CHY_KEY_RSA_2048, CHY_DOOR_RSA_PSS, CHY_HASH_SHA256, 256 },
        { "p", CHY_KEY_P256, CHY_DOOR_ECDSA, CHY_HASH_SHA256, 64 },
        { "q", CHY_KEY_P384, CHY_DOOR_ECDSA, CHY_HASH_SHA512, 96 },
        { "s", CHY_KEY_P521, CHY_DOOR_ECDSA, CHY_HASH_SHA512, 132 },
        { "e", CHY_KEY_ED25519, CHY_DOOR_ED25519, CHY_HASH_NONE, 64 },
    };
    tool_hello(&t, NULL);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_door_signed got;
        struct chy_door_input input = input_of(rows[i].key, rows[i].scheme, text);
        if (i != 1)
            fake_add_key(rows[i].key, rows[i].type, false);
        input.hash = rows[i].hash;
        input.is_message = rows[i].hash != CHY_HASH_NONE;
        assert_int_equal(sign(&t, &input, &got), CHY_OK);
        assert_int_equal(got.signature.n, rows[i].bytes);
        assert_verifies(rows[i].key, &input, got.signature);
        const struct chy_sign_item *item = &fake.last.items.p[0];
        if (rows[i].hash == CHY_HASH_NONE) {
            assert_int_equal(item->hashed_by, CHY_HASHED_BY_NOBODY);
        } else {
            assert_int_equal(item->hashed_by, CHY_HASHED_BY_CLIENT);
            assert_true(chy_bytes_equal(item->content, text));
        }
    }
}

static void test_sign__what_was_given(void **state)
{
    (void)state;
    uint8_t info[CHY_DIGEST_INFO_HEAD_BYTES + 48];
    struct chy_door_signed got;
    const struct chy_sign_item *item;
    struct chy_bytes head = chy_digest_info_head(CHY_HASH_SHA384);
    memcpy(info, head.p, head.n);
    memcpy(info + head.n, zeros, 48);
    fake_add_key("r", CHY_KEY_RSA_2048, false);
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, NULL);

    struct chy_door_input input =
        input_of("r", CHY_DOOR_RSA_PKCS1, (struct chy_bytes){ info, sizeof info });
    assert_int_equal(sign(&t, &input, &got), CHY_OK);
    item = &fake.last.items.p[0];
    assert_int_equal(item->algorithm, CHY_ALG_RSA_PKCS1_SHA384);
    assert_int_equal(item->hashed_by, CHY_HASHED_BY_TOOL);
    assert_int_equal(item->digest.n, 48);

    input = input_of("p", CHY_DOOR_ECDSA, (struct chy_bytes){ zeros, 64 });
    assert_int_equal(sign(&t, &input, &got), CHY_OK);
    item = &fake.last.items.p[0];
    assert_int_equal(item->algorithm, CHY_ALG_ECDSA_SHA512);
    assert_int_equal(item->hashed_by, CHY_HASHED_BY_INFERRED);

    input = input_of("r", CHY_DOOR_RSA_PKCS1, text);
    assert_int_equal(sign(&t, &input, &got), CHY_OK);
    item = &fake.last.items.p[0];
    assert_int_equal(item->algorithm, CHY_ALG_RSA_PKCS1_RAW);
    assert_true(chy_bytes_equal(item->message, text));
}

static void test_sign__wrong_inputs(void **state)
{
    (void)state;
    /* SHA-256's DigestInfo without NULL, and with a byte behind it. */
    uint8_t variant[17 + 32] = { 0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20 };
    uint8_t longer[CHY_DIGEST_INFO_HEAD_BYTES + 33] = { 0 };
    memcpy(longer, chy_digest_info_head(CHY_HASH_SHA256).p, CHY_DIGEST_INFO_HEAD_BYTES);
    const struct {
        struct chy_door_input input;
        enum chy_err code;
    } rows[] = {
        { input_of("r", CHY_DOOR_RSA_PKCS1, (struct chy_bytes){ variant, sizeof variant }),
          CHY_E_UNSUPPORTED },
        { input_of("r", CHY_DOOR_RSA_PKCS1, (struct chy_bytes){ longer, sizeof longer }),
          CHY_E_UNSUPPORTED },
        { input_of("r", CHY_DOOR_RSA_PKCS1, (struct chy_bytes){ 0 }), CHY_E_ARG },
        { input_of("r", CHY_DOOR_RSA_PSS, digest32), CHY_E_ARG },
        { input_of("p", CHY_DOOR_ECDSA, (struct chy_bytes){ zeros, 31 }), CHY_E_ARG },
        { input_of("p", CHY_DOOR_ECDSA, (struct chy_bytes){ 0 }), CHY_E_ARG },
        { { .key = CHY_STR("p"), .scheme = CHY_DOOR_ECDSA, .is_message = true, .data = text },
          CHY_E_ARG },
        { { .key = CHY_STR("p"), .scheme = CHY_DOOR_ECDSA, .stream = 4 }, CHY_E_ARG },
        { { .key = CHY_STR("p"),
            .scheme = CHY_DOOR_ECDSA,
            .hash = CHY_HASH_SHA384,
            .data = digest32 },
          CHY_E_ARG },
        { input_of("e", CHY_DOOR_ED25519, (struct chy_bytes){ 0 }), CHY_E_ARG },
        { { .key = CHY_STR("e"),
            .scheme = CHY_DOOR_ED25519,
            .hash = CHY_HASH_SHA512,
            .data = text },
          CHY_E_ARG },
        { input_of("p", CHY_DOOR_ED25519, text), CHY_E_ARG }, /* a key of another type */
        { input_of("none", CHY_DOOR_ECDSA, digest32), CHY_E_NOT_FOUND },
    };
    fake_add_key("r", CHY_KEY_RSA_2048, false);
    fake_add_key("p", CHY_KEY_P256, false);
    fake_add_key("e", CHY_KEY_ED25519, false);
    tool_hello(&t, NULL);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_door_signed got;
        enum chy_err r = sign(&t, &rows[i].input, &got);
        if (r != rows[i].code)
            fail_msg("row %zu: %s, expected %s", i, chy_err_name(r), chy_err_name(rows[i].code));
    }
    assert_int_equal(fake.calls[CHY_OP_SIGN], 0);
}

static void test_sign__refused(void **state)
{
    (void)state;
    struct chy_door_signed got;
    struct chy_door_input input = input_of("denied", CHY_DOOR_ECDSA, digest32);
    fake_add_key("denied", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    assert_int_equal(sign(&t, &input, &got), CHY_E_DENIED);
    assert_true(chy_str_equal_c(failure.text, "no rule allows this"));
    assert_int_equal(failure.rules.n, 1);
    assert_true(chy_str_equal_c(failure.rules.p[0], "not-that"));
    assert_true(chy_str_equal_c(failure.request_id, "0123456789abcdef"));
}

static void test_sign__server_lies(void **state)
{
    (void)state;
    struct chy_door_signed got;
    struct chy_door_input input = input_of("p", CHY_DOOR_ECDSA, digest32);
    fake_add_key("p", CHY_KEY_P256, false);
    fake.lies = true;
    tool_hello(&t, NULL);
    assert_int_equal(sign(&t, &input, &got), CHY_E_INTEGRITY);
    assert_true(chy_str_equal_c(failure.text, "the server's signature is none by key p"));
}

/* A receipt that is wanted and does not come: the signature is not handed out. */
static void test_sign__no_receipt(void **state)
{
    (void)state;
    struct chy_door_signed got;
    struct chy_door_input input = input_of("p", CHY_DOOR_ECDSA, digest32);
    const struct chy_door_hello hello = { .receipts = CHY_STR("/nowhere") };
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, &hello);
    assert_int_equal(sign(&t, &input, &got), CHY_E_PROTOCOL);
    assert_int_equal(fake.last.receipt, CHY_RECEIPT_FULL);
}

static void test_sign__facts_and_their_basis(void **state)
{
    (void)state;
    struct chy_door_signed got;
    struct chy_door_input input = input_of("p", CHY_DOOR_ECDSA, digest32);
    static const struct chy_label labels[] = { { { "a", 1 }, { "b", 1 } } };
    const struct chy_door_hello hello = { .reason = CHY_STR("because"), .labels = { labels, 1 } };
    fake_add_key("p", CHY_KEY_P256, false);
    fake.is_agent = true;
    tool_hello(&t, &hello);
    assert_int_equal(sign(&t, &input, &got), CHY_OK);
    assert_true(fake.last.items.p[0].facts.n >= 4);
    for (size_t i = 0; i < fake.last.items.p[0].facts.n; i++)
        assert_int_equal(fake.last.items.p[0].facts.p[i].basis, CHY_BASIS_AGENT);
    assert_true(chy_str_equal_c(fake.last.reason, "because"));
    assert_int_equal(fake.last.labels.n, 1);
    assert_int_equal(fake.calls[CHY_OP_WHOAMI], 1);
}

/* While the server is busy with others, what waits becomes one request; what is wrong with one of
 * them is nobody else's trouble. */
static void test_sign__together(void **state)
{
    (void)state;
    enum {
        EARLY = CHY_WORKERS_MAX,
        LATE = 20
    };
    struct chy_door_signed got;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    uint64_t first = 0;
    unsigned good = 0;
    unsigned bad = 0;
    fake_add_key("p", CHY_KEY_P256, false);
    fake_add_key("wrong", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    assert_int_equal(sign(&t, &asked.input, &got), CHY_OK); /* the key is known from now on */
    fake_hold();
    for (unsigned i = 0; i < EARLY; i++) { /* each thread gets one */
        tool_send(&t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
        fixture_turn(&f);
        fake_wait_held(i + 1);
    }
    for (unsigned i = 0; i < LATE; i++) {
        asked.input.key = i == 7 ? CHY_STR("wrong") : CHY_STR("p");
        uint64_t id = tool_send(&t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
        first = first == 0 ? id : first;
    }
    fixture_turn(&f);
    fake_release();
    for (unsigned i = 0; i < EARLY + LATE; i++) {
        uint64_t id = 0;
        uint16_t type = tool_receive(&t, &id, &chy_door_signed_schema, &got);
        good += type == CHY_DOOR_SIGNED ? 1 : 0;
        bad += type == CHY_DOOR_FAILED ? 1 : 0;
        if (type == CHY_DOOR_FAILED) {
            assert_int_equal(id, first + 7);
            assert_int_equal(failure.code, -CHY_E_MALFORMED);
        }
    }
    assert_int_equal(good, EARLY + LATE - 1);
    assert_int_equal(bad, 1);
    assert_true(fake.most_items > 1);
}

/* A call that hangs holds up nobody who needs no server. */
static void test_sign__held_up(void **state)
{
    (void)state;
    struct tool other;
    struct chy_door_status status;
    struct chy_door_signed got;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    uint64_t id = 0;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    fake_hold();
    uint64_t sent = tool_send(&t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
    fixture_turn(&f);
    fake_wait_held(1);
    tool_open(&other, &f);
    tool_hello(&other, NULL);
    assert_int_equal(tool_ask(&other, CHY_DOOR_STATUS, &chy_empty_schema, &nothing,
                              CHY_DOOR_STATUS_REPLY, &chy_door_status_schema, &status),
                     CHY_OK);
    assert_int_equal(status.connections, 2);
    assert_true(chy_str_equal_c(status.principal, "alice"));
    tool_close(&other);
    fake_release();
    assert_int_equal(tool_receive(&t, &id, &chy_door_signed_schema, &got), CHY_DOOR_SIGNED);
    assert_int_equal(id, sent);
}

/* A tool that goes while its request is with the server. */
static void test_sign__tool_is_gone(void **state)
{
    (void)state;
    struct tool other;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    struct chy_door_signed got;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    tool_open(&other, &f);
    tool_hello(&other, NULL);
    fake_hold();
    tool_send(&other, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
    fixture_turn(&f);
    fake_wait_held(1);
    tool_close(&other);
    fixture_turn(&f);
    fake_release();
    assert_int_equal(sign(&t, &asked.input, &got), CHY_OK);
}

/* --- what signatures are about --- */

static enum chy_err say_artifact(struct tool *watcher, const struct chy_artifact *about)
{
    struct chy_empty answer;
    return tool_ask(watcher, CHY_DOOR_ARTIFACT, &chy_artifact_schema, about,
                    CHY_DOOR_ARTIFACT_TAKEN, &chy_empty_schema, &answer);
}

static void test_artifact__goes_with_signatures_of_its_tag(void **state)
{
    (void)state;
    const struct chy_door_hello tagged = { .tag = { zeros, CHY_ID_BYTES } };
    const struct chy_door_watch watch = { tagged.tag };
    const struct chy_artifact about = { .size_bytes = 7, .type = CHY_STR("jar") };
    struct chy_door_signed got;
    struct chy_empty answer;
    struct chy_door_input in = input_of("p", CHY_DOOR_ECDSA, digest32);
    struct tool watcher;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_open(&watcher, &f);
    tool_hello(&watcher, NULL);
    assert_int_equal(say_artifact(&watcher, &about), CHY_E_STATE); /* no tag yet */
    assert_int_equal(tool_ask(&watcher, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch,
                              CHY_DOOR_WATCHING, &chy_empty_schema, &answer),
                     CHY_OK);
    assert_int_equal(say_artifact(&watcher, &about), CHY_OK);
    assert_int_equal(say_artifact(&watcher, &about), CHY_E_STATE); /* twice */
    tool_hello(&t, &tagged);
    assert_int_equal(sign(&t, &in, &got), CHY_OK);
    const struct chy_artifact *sent = fake.last.items.p[0].artifact;
    assert_non_null(sent);
    assert_int_equal(sent->size_bytes, 7);
    assert_true(chy_str_equal_c(sent->type, "jar"));
    tool_close(&watcher);
    fixture_turn(&f);
    assert_int_equal(sign(&t, &in, &got), CHY_OK);
    assert_null(fake.last.items.p[0].artifact);
}

static void test_artifact__not_with_those_of_others(void **state)
{
    (void)state;
    const struct chy_door_watch watch = { { zeros, CHY_ID_BYTES } };
    const struct chy_artifact about = { .type = CHY_STR("jar") };
    struct chy_door_signed got;
    struct chy_empty answer;
    struct chy_door_input in = input_of("p", CHY_DOOR_ECDSA, digest32);
    struct tool watcher;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_open(&watcher, &f);
    tool_hello(&watcher, NULL);
    assert_int_equal(tool_ask(&watcher, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch,
                              CHY_DOOR_WATCHING, &chy_empty_schema, &answer),
                     CHY_OK);
    assert_int_equal(say_artifact(&watcher, &about), CHY_OK);
    tool_hello(&t, NULL);
    assert_int_equal(sign(&t, &in, &got), CHY_OK);
    assert_null(fake.last.items.p[0].artifact);
    tool_close(&watcher);
}

/* --- limits --- */

static void test_limit__requests_of_a_connection(void **state)
{
    (void)state;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    struct chy_door_signed got;
    uint64_t id = 0;
    unsigned failed = 0;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    fake_hold();
    for (unsigned i = 0; i <= CHY_LIMIT_DOOR_REQUESTS; i++)
        tool_send(&t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
    assert_int_equal(tool_receive(&t, &id, NULL, NULL), CHY_DOOR_FAILED);
    assert_int_equal(id, t.last_id); /* the last one, at once */
    assert_int_equal(failure.code, -CHY_E_BUSY);
    fake_release();
    for (unsigned i = 0; i < CHY_LIMIT_DOOR_REQUESTS; i++)
        failed += tool_receive(&t, &id, &chy_door_signed_schema, &got) != CHY_DOOR_SIGNED ? 1 : 0;
    assert_int_equal(failed, 0);
}

static void test_limit__watches(void **state)
{
    (void)state;
    struct tool watchers[CHY_LIMIT_DOOR_WATCHES];
    const struct chy_door_watch watch = { { zeros, CHY_ID_BYTES } };
    const struct chy_door_watch bad = { { zeros, CHY_ID_BYTES - 1 } };
    struct chy_empty answer;
    tool_hello(&t, NULL);
    assert_int_equal(tool_ask(&t, CHY_DOOR_WATCH, &chy_door_watch_schema, &bad, CHY_DOOR_WATCHING,
                              &chy_empty_schema, &answer),
                     CHY_E_ARG);
    for (size_t i = 0; i < CHY_ARRAY_LEN(watchers); i++) {
        tool_open(&watchers[i], &f);
        tool_hello(&watchers[i], NULL);
        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(tool_ask(&watchers[i], CHY_DOOR_WATCH, &chy_door_watch_schema, &watch,
                                      CHY_DOOR_WATCHING, &chy_empty_schema, &answer),
                             CHY_OK);
    }
    assert_int_equal(tool_ask(&t, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING,
                              &chy_empty_schema, &answer),
                     CHY_E_BUSY);
    tool_close(&watchers[0]);
    fixture_turn(&f);
    assert_int_equal(tool_ask(&t, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING,
                              &chy_empty_schema, &answer),
                     CHY_OK);
    for (size_t i = 1; i < CHY_ARRAY_LEN(watchers); i++)
        tool_close(&watchers[i]);
}

static void test_limit__streams(void **state)
{
    (void)state;
    struct chy_door_hash_add add = { .hash = CHY_HASH_SHA256, .data = text };
    struct chy_empty answer;
    tool_hello(&t, NULL);
    for (add.stream = 0; add.stream <= CHY_LIMIT_DOOR_STREAMS + 1; add.stream++) {
        enum chy_err expected = add.stream == 0                       ? CHY_E_ARG
                                : add.stream > CHY_LIMIT_DOOR_STREAMS ? CHY_E_BUSY
                                                                      : CHY_OK;
        assert_int_equal(tool_ask(&t, CHY_DOOR_HASH_ADD, &chy_door_hash_add_schema, &add,
                                  CHY_DOOR_HASH_ADDED, &chy_empty_schema, &answer),
                         expected);
    }
}

/* --- other operations --- */

static enum chy_err call(enum chy_op op, const struct chy_sign_request *request,
                         struct chy_door_called *ret)
{
    struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    if (request != NULL)
        assert_int_equal(chy_schema_encode(&chy_sign_request_schema, request, &body, NULL), CHY_OK);
    const struct chy_door_call asked = { (uint32_t)op, chy_buf_bytes(&body) };
    enum chy_err r = tool_ask(&t, CHY_DOOR_CALL, &chy_door_call_schema, &asked, CHY_DOOR_CALLED,
                              &chy_door_called_schema, ret);
    chy_buf_done(&body);
    return r;
}

static void test_call(void **state)
{
    (void)state;
    struct chy_fact fact = { CHY_STR("host"), CHY_STR("x"), CHY_BASIS_DECLARED };
    struct chy_sign_item item = {
        .key = CHY_STR("p"),
        .algorithm = CHY_ALG_ECDSA_SHA256,
        .digest = digest32,
        .hashed_by = CHY_HASHED_BY_TOOL,
    };
    struct chy_sign_request request = { .items = { &item, 1 }, .facts = { &fact, 1 } };
    struct chy_door_called called;
    fake_add_key("p", CHY_KEY_P256, false);
    fake.is_agent = true;
    tool_hello(&t, NULL);
    assert_int_equal(call(CHY_OP_SIGN, &request, &called), CHY_OK);
    assert_true(chy_str_equal_c(called.request_id, "0123456789abcdef"));
    assert_true(fake.last.facts.n > 3);
    assert_int_equal(fake.last.facts.p[0].basis, CHY_BASIS_DECLARED);
    assert_int_equal(fake.last.facts.p[1].basis, CHY_BASIS_AGENT);
    fact.basis = CHY_BASIS_AGENT;
    assert_int_equal(call(CHY_OP_SIGN, &request, &called), CHY_E_FORBIDDEN);
    request.facts.n = 0;
    item.facts.p = &fact;
    item.facts.n = 1;
    assert_int_equal(call(CHY_OP_SIGN, &request, &called), CHY_E_FORBIDDEN);
    assert_int_equal(call(CHY_OP_RENEW, NULL, &called), CHY_E_FORBIDDEN);
    assert_int_equal(call(CHY_OP_ENROLL, NULL, &called), CHY_E_FORBIDDEN);
    assert_int_equal(call((enum chy_op)(CHY_OP_LAST + 1), NULL, &called), CHY_E_UNSUPPORTED);
    assert_int_equal(call((enum chy_op)0, NULL, &called), CHY_E_UNSUPPORTED);
    assert_int_equal(call(CHY_OP_SIGN, NULL, &called), CHY_E_MALFORMED);
}

/* --- ending, and running out of memory --- */

static void test_close__refuses_and_finishes(void **state)
{
    (void)state;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    struct chy_door_signed got;
    uint64_t id = 0;
    fake_add_key("p", CHY_KEY_P256, false);
    tool_hello(&t, NULL);
    fake_hold();
    tool_send(&t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
    fixture_turn(&f);
    fake_wait_held(1);
    chy_porter_close(f.porter);
    assert_false(chy_porter_is_quiet(f.porter));
    assert_int_equal(sign(&t, &asked.input, &got), CHY_E_STATE);
    fake_release();
    assert_int_equal(tool_receive(&t, &id, &chy_door_signed_schema, &got), CHY_DOOR_SIGNED);
    assert_true(chy_porter_is_quiet(f.porter));
}

/* Any answer is right, and so is a closed connection; not so is a crash, or a door that stays
 * shut. One thread's allocations fail while the other's do: the hook is the process's. */
static void test_no_memory(void **state)
{
    (void)state;
    struct chy_door_sign asked = { input_of("p", CHY_DOOR_ECDSA, digest32) };
    const struct chy_door_keys all = { .revision = 0 };
    fake_add_key("p", CHY_KEY_P256, true);
    for (size_t n = 0; n < 120; n++) {
        struct tool tool;
        struct chy_buf bytes;
        struct chy_buf body;
        chy_buf_init(&bytes, 65536);
        chy_buf_init(&body, 65536);
        const struct chy_door_hello hello = { .version = CHY_DOOR_VERSION };
        assert_int_equal(chy_schema_encode(&chy_door_hello_schema, &hello, &body, NULL), CHY_OK);
        const struct chy_frame first = { CHY_DOOR_HELLO, 1, chy_buf_bytes(&body) };
        assert_int_equal(chy_frame_encode(&bytes, &first, NULL), CHY_OK);
        chy_buf_clear(&body);
        assert_int_equal(chy_schema_encode(&chy_door_keys_schema, &all, &body, NULL), CHY_OK);
        const struct chy_frame second = { CHY_DOOR_KEYS, 2, chy_buf_bytes(&body) };
        assert_int_equal(chy_frame_encode(&bytes, &second, NULL), CHY_OK);
        chy_buf_clear(&body);
        assert_int_equal(chy_schema_encode(&chy_door_sign_schema, &asked, &body, NULL), CHY_OK);
        const struct chy_frame third = { CHY_DOOR_SIGN, 3, chy_buf_bytes(&body) };
        assert_int_equal(chy_frame_encode(&bytes, &third, NULL), CHY_OK);
        tool_open(&tool, &f);
        chy_mem_fail_after(n);
        tool_bytes(&tool, chy_buf_bytes(&bytes));
        for (int turn = 0; turn < 3; turn++)
            fixture_turn(&f);
        while (!chy_porter_is_quiet(f.porter))
            fixture_turn(&f);
        chy_mem_fail_after(SIZE_MAX);
        tool_close(&tool);
        fixture_turn(&f);
        chy_buf_done(&bytes);
        chy_buf_done(&body);
    }
    struct chy_door_signed got;
    tool_hello(&t, NULL);
    assert_int_equal(sign(&t, &asked.input, &got), CHY_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_frames__before_hello),
        TEST(test_frames__hello_twice),
        TEST(test_frames__unknown_kind),
        TEST(test_frames__garbage),
        TEST(test_frames__body_of_another_kind),
        TEST(test_frames__slowly),
        TEST(test_hello__is_refused),
        TEST(test_keys__pages_at_the_limit_and_past_it),
        TEST(test_keys__more_than_a_page),
        TEST(test_keys__one_alone),
        TEST(test_keys__patterns),
        TEST(test_keys__server_fails),
        TEST(test_sign__whole_messages),
        TEST(test_sign__what_was_given),
        TEST(test_sign__wrong_inputs),
        TEST(test_sign__refused),
        TEST(test_sign__server_lies),
        TEST(test_sign__no_receipt),
        TEST(test_sign__facts_and_their_basis),
        TEST(test_sign__together),
        TEST(test_sign__held_up),
        TEST(test_sign__tool_is_gone),
        TEST(test_limit__requests_of_a_connection),
        TEST(test_artifact__goes_with_signatures_of_its_tag),
        TEST(test_artifact__not_with_those_of_others),
        TEST(test_limit__watches),
        TEST(test_limit__streams),
        TEST(test_call),
        TEST(test_close__refuses_and_finishes),
        TEST(test_no_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
