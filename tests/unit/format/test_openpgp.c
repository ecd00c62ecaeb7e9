/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/hex.h"
#include "format/openpgp.h"
#include "key_fixture.h"

static const enum chy_key_type types[] = { CHY_KEY_RSA_2048, CHY_KEY_RSA_3072, CHY_KEY_RSA_4096,
                                           CHY_KEY_P256,     CHY_KEY_P384,     CHY_KEY_P521,
                                           CHY_KEY_ED25519 };

static struct chy_openpgp_key key_of(enum chy_key_type type)
{
    struct chy_openpgp_key key;
    const struct chy_pubkey *public = chy_privkey_public(fixture_key_of(type));
    assert_int_equal(chy_openpgp_key_make(type, chy_pubkey_spki(public), 1700000000, &key, NULL),
                     CHY_OK);
    return key;
}

/* RFC 9580 appendix A.1: an Ed25519 key of version 4, made 2014-08-19. */
static void test_key_make__known_answer(void **state)
{
    (void)state;
    static const char spki_hex[] =
        "302a300506032b6570032100"
        "3f098994bdd916ed4053197934e4a87c80733a1280d62f8010992e43ee3b2406";
    uint8_t spki[44];
    char shown[CHY_HEX_SIZE(CHY_OPENPGP_FINGERPRINT_BYTES)];
    struct chy_openpgp_key key;
    assert_int_equal(chy_hex_decode(chy_str_of(spki_hex), spki, sizeof spki, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_key_make(CHY_KEY_ED25519, (struct chy_bytes){ spki, sizeof spki },
                                          0x53f35f0b, &key, NULL),
                     CHY_OK);
    chy_hex_encode((struct chy_bytes){ key.fingerprint, sizeof key.fingerprint }, shown);
    assert_string_equal(shown, "c959bdbafa32a2f89a153b678cfde12197965a9a");
    assert_int_equal(key.body_n, 51);
}

static void test_key_make__every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        struct chy_openpgp_key key = key_of(types[i]);
        assert_int_equal(key.body[0], 4);
        assert_int_equal(key.body[5], chy_openpgp_algorithm_number(types[i]));
        assert_true(key.body_n <= CHY_LIMIT_OPENPGP_KEY);
    }
}

static void test_key_make__errors(void **state)
{
    (void)state;
    struct chy_openpgp_key key = { .body_n = 99 };
    struct chy_bytes p256 = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_P256)));
    struct chy_bytes rsa = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_RSA_2048)));
    const struct {
        enum chy_key_type type;
        struct chy_bytes spki;
        int64_t time;
        enum chy_err want;
    } cases[] = {
        { CHY_KEY_P256, p256, 0, CHY_OK },
        { CHY_KEY_P256, p256, UINT32_MAX, CHY_OK },
        { CHY_KEY_P256, p256, (int64_t)UINT32_MAX + 1, CHY_E_ARG },
        { CHY_KEY_P256, p256, -1, CHY_E_ARG },
        { CHY_KEY_NONE, p256, 0, CHY_E_UNSUPPORTED },
        { CHY_KEY_P384, p256, 0, CHY_E_MALFORMED },
        { CHY_KEY_ED25519, p256, 0, CHY_E_MALFORMED },
        { CHY_KEY_RSA_2048, p256, 0, CHY_E_MALFORMED },
        { CHY_KEY_RSA_3072, rsa, 0, CHY_E_MALFORMED },
        { CHY_KEY_P256, rsa, 0, CHY_E_MALFORMED },
        { CHY_KEY_P256, { p256.p, p256.n - 1 }, 0, CHY_E_MALFORMED },
        { CHY_KEY_P256, { NULL, 0 }, 0, CHY_E_MALFORMED },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++)
        assert_int_equal(
            chy_openpgp_key_make(cases[i].type, cases[i].spki, cases[i].time, &key, NULL),
            cases[i].want);
    chy_mem_fail_after(0);
    enum chy_err r = chy_openpgp_key_make(CHY_KEY_P256, p256, 0, &key, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

static void test_names__of_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum chy_hash_alg hash;
    } cases[] = {
        { "SHA256", CHY_HASH_SHA256 },  { "sha512", CHY_HASH_SHA512 },
        { "Sha-384", CHY_HASH_SHA384 }, { "sha1", CHY_HASH_NONE },
        { "SHA25", CHY_HASH_NONE },     { "SHA2566", CHY_HASH_NONE },
        { "", CHY_HASH_NONE },          { "md5", CHY_HASH_NONE },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++)
        assert_int_equal(chy_openpgp_hash_find(chy_str_of(cases[i].name)), cases[i].hash);
    assert_int_equal(chy_openpgp_hash_number(CHY_HASH_SHA256), 8);
    assert_int_equal(chy_openpgp_hash_number(CHY_HASH_NONE), 0);
    assert_string_equal(chy_openpgp_hash_name(CHY_HASH_SHA512), "SHA512");
    assert_null(chy_openpgp_hash_name(CHY_HASH_NONE));
}

static void test_sign_alg__what_the_server_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(chy_openpgp_sign_alg(CHY_KEY_RSA_3072, CHY_HASH_SHA512),
                     CHY_ALG_RSA_PKCS1_SHA512);
    assert_int_equal(chy_openpgp_sign_alg(CHY_KEY_P384, CHY_HASH_SHA384), CHY_ALG_ECDSA_SHA384);
    assert_int_equal(chy_openpgp_sign_alg(CHY_KEY_ED25519, CHY_HASH_SHA256), CHY_ALG_ED25519);
    assert_int_equal(chy_openpgp_sign_alg(CHY_KEY_NONE, CHY_HASH_SHA256), CHY_ALG_NONE);
    assert_int_equal(chy_openpgp_hash_least(CHY_KEY_P521), CHY_HASH_SHA512);
    assert_int_equal(chy_openpgp_hash_least(CHY_KEY_NONE), CHY_HASH_NONE);
}

/* What is hashed behind the data is what stands in the packet, and then its length. */
static void test_tail__is_of_the_signature(void **state)
{
    (void)state;
    struct chy_openpgp_key key = key_of(CHY_KEY_ED25519);
    const struct chy_openpgp_signature s = { CHY_OPENPGP_BINARY, &key, CHY_HASH_SHA512,
                                             1700000001 };
    struct chy_buf tail;
    struct chy_buf packet;
    uint8_t digest[64] = { 0xab, 0xcd };
    uint8_t signature[64] = { 0 };
    signature[0] = 1;
    chy_buf_init(&tail, 256);
    chy_buf_init(&packet, 256);
    assert_int_equal(chy_openpgp_tail_write(&s, &tail, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_signature_write(&s, (struct chy_bytes){ digest, sizeof digest },
                                                 (struct chy_bytes){ signature, sizeof signature },
                                                 &packet, NULL),
                     CHY_OK);
    size_t n = tail.n - 6;
    assert_memory_equal(packet.p + 3, tail.p, n);
    const uint8_t end[] = { 4, 0xff, 0, 0, 0, (uint8_t)n };
    assert_memory_equal(tail.p + n, end, sizeof end);
    /* Behind them the key id, the digest's beginning, and two numbers: 2^248, and 0. */
    const uint8_t *rest = packet.p + 3 + n;
    const uint8_t head[] = { 0, 10, 9, 16 };
    assert_memory_equal(rest, head, sizeof head);
    assert_memory_equal(rest + 4, key.fingerprint + 12, 8);
    assert_memory_equal(rest + 12, digest, 2);
    const uint8_t bits[] = { 0, 249, 1 };
    assert_memory_equal(rest + 14, bits, sizeof bits);
    const uint8_t zero[] = { 0, 0 };
    assert_memory_equal(packet.p + packet.n - 2, zero, sizeof zero);
    chy_buf_done(&tail);
    chy_buf_done(&packet);
}

static void test_signature_write__errors(void **state)
{
    (void)state;
    static const uint8_t digest[64] = { 0 };
    static const uint8_t bytes[64] = { 0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01 };
    struct chy_openpgp_key ed = key_of(CHY_KEY_ED25519);
    struct chy_openpgp_key rsa = key_of(CHY_KEY_RSA_2048);
    struct chy_openpgp_key ec = key_of(CHY_KEY_P256);
    const struct {
        const struct chy_openpgp_key *key;
        size_t n;
        size_t room;
        enum chy_err want;
    } cases[] = {
        { &ed, 64, 256, CHY_OK },           { &ed, 63, 256, CHY_E_MALFORMED },
        { &rsa, 64, 256, CHY_E_MALFORMED }, { &ec, 8, 256, CHY_OK },
        { &ec, 7, 256, CHY_E_MALFORMED },   { &ed, 64, 32, CHY_E_LIMIT },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        const struct chy_openpgp_signature s = { CHY_OPENPGP_BINARY, cases[i].key, CHY_HASH_SHA512,
                                                 1 };
        struct chy_buf out;
        chy_buf_init(&out, cases[i].room);
        assert_int_equal(
            chy_openpgp_signature_write(&s, (struct chy_bytes){ digest, sizeof digest },
                                        (struct chy_bytes){ bytes, cases[i].n }, &out, NULL),
            cases[i].want);
        chy_buf_done(&out);
    }
}

static void test_user_id__limit(void **state)
{
    (void)state;
    static char text[CHY_LIMIT_OPENPGP_USER_ID + 1];
    struct chy_openpgp_key key = key_of(CHY_KEY_P256);
    struct chy_buf out;
    memset(text, 'x', sizeof text);
    chy_buf_init(&out, 4096);
    const struct chy_str at = { text, CHY_LIMIT_OPENPGP_USER_ID };
    const struct chy_str past = { text, CHY_LIMIT_OPENPGP_USER_ID + 1 };
    assert_int_equal(chy_openpgp_user_id_write(at, &out, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_certified_write(&key, at, &out, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_user_id_write(past, &out, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_openpgp_certified_write(&key, past, &out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
}

/* --- messages --- */

/* The literal data of a message, put together again. */
static void read_message(struct chy_bytes in, struct chy_buf *data)
{
    assert_true(in.n > 16 && in.p[15] == 0xcb); /* behind the one-pass signature */
    size_t at = 16;
    bool is_last = false;
    while (!is_last) {
        uint8_t first = in.p[at++];
        size_t n = CHY_OPENPGP_PART_BYTES;
        is_last = first == 0xff;
        if (is_last) {
            n = (size_t)in.p[at] << 24 | (size_t)in.p[at + 1] << 16 | (size_t)in.p[at + 2] << 8 |
                in.p[at + 3];
            at += 4;
        } else {
            assert_int_equal(first, 0xf0);
        }
        assert_true(n <= in.n - at);
        chy_buf_append(data, (struct chy_bytes){ in.p + at, n });
        at += n;
    }
    assert_int_equal(at, in.n);
}

static void assert_message(size_t n, size_t step)
{
    static uint8_t data[3 * CHY_OPENPGP_PART_BYTES];
    struct chy_openpgp_key key = key_of(CHY_KEY_P256);
    const struct chy_openpgp_signature s = { CHY_OPENPGP_BINARY, &key, CHY_HASH_SHA256, 1 };
    struct chy_openpgp_message m;
    struct chy_buf out;
    struct chy_buf back;
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    chy_openpgp_message_init(&m);
    chy_buf_init(&out, 2 * sizeof data);
    chy_buf_init(&back, 2 * sizeof data);
    assert_int_equal(chy_openpgp_message_begin(&m, &s, &out, NULL), CHY_OK);
    for (size_t at = 0; at < n; at += step)
        assert_int_equal(
            chy_openpgp_message_add(&m, (struct chy_bytes){ data + at, CHY_MIN(step, n - at) },
                                    &out, NULL),
            CHY_OK);
    assert_int_equal(chy_openpgp_message_end(&m, &out, NULL), CHY_OK);
    read_message(chy_buf_bytes(&out), &back);
    assert_int_equal(back.n, n + 6);
    assert_memory_equal(back.p + 6, data, n);
    chy_openpgp_message_done(&m);
    chy_buf_done(&out);
    chy_buf_done(&back);
}

static void test_message__of_any_length(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0,
                                      1,
                                      CHY_OPENPGP_PART_BYTES - 6,
                                      CHY_OPENPGP_PART_BYTES - 5,
                                      CHY_OPENPGP_PART_BYTES,
                                      (size_t)3 * CHY_OPENPGP_PART_BYTES };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lengths); i++) {
        assert_message(lengths[i], 1000);
        assert_message(lengths[i], CHY_OPENPGP_PART_BYTES);
    }
}

static int teardown(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_make__known_answer),
        cmocka_unit_test(test_key_make__every_type),
        cmocka_unit_test(test_key_make__errors),
        cmocka_unit_test(test_names__of_hashes),
        cmocka_unit_test(test_sign_alg__what_the_server_is_asked_for),
        cmocka_unit_test(test_tail__is_of_the_signature),
        cmocka_unit_test(test_signature_write__errors),
        cmocka_unit_test(test_user_id__limit),
        cmocka_unit_test(test_message__of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
