/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "codec/ssh_wire.h"
#include "proto/ssh_agent.h"

#define BYTES(text) chy_str_bytes(CHY_STR(text))
#define LITERAL(text)                              \
    {                                              \
        (const uint8_t *)"" text, sizeof(text) - 1 \
    }

static uint8_t large[CHY_LIMIT_CONTENT + 1];

static const struct chy_door_key rsa = {
    .name = { "rsa", sizeof "rsa" - 1 },
    .type = CHY_KEY_RSA_3072,
    .modulus = LITERAL("\x80\x01"),
    .public_exponent = LITERAL("\x01\0\x01"),
};
static const struct chy_door_key p384 = {
    .name = { "p384", sizeof "p384" - 1 },
    .type = CHY_KEY_P384,
    .ec_point = LITERAL("\x04\x03\x04xy"),
};
static const struct chy_door_key ed = {
    .name = { "ed", sizeof "ed" - 1 },
    .type = CHY_KEY_ED25519,
    .ec_point = LITERAL("\x04\x02xy"),
};

/* --- messages --- */

static void test_message_size__waits_for_all_of_it(void **state)
{
    (void)state;
    const struct chy_bytes whole = BYTES("\0\0\0\x03\x0b"
                                         "ab!");
    for (size_t n = 0; n <= whole.n; n++) {
        size_t size = 99;
        assert_int_equal(chy_ssh_message_size((struct chy_bytes){ whole.p, n }, &size, NULL),
                         CHY_OK);
        assert_int_equal(size, n < 7 ? 0 : 7);
    }
}

static void test_message_size__limits(void **state)
{
    (void)state;
    size_t size = 99;
    assert_int_equal(chy_ssh_message_size(BYTES("\0\0\0\0"), &size, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_message_size(BYTES("\0\x04\0\0"), &size, NULL), CHY_OK);
    assert_int_equal(size, 0);
    assert_int_equal(chy_ssh_message_size(BYTES("\0\x04\0\x01"), &size, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_ssh_message_size(BYTES("\xff\xff\xff\xff"), &size, NULL), CHY_E_LIMIT);
}

static void test_request_read__each_kind(void **state)
{
    (void)state;
    struct chy_ssh_request r;
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x01\x0b"), &r, NULL), CHY_OK);
    assert_int_equal(r.type, CHY_SSH_REQUEST_IDENTITIES);
    const struct chy_bytes sign = BYTES("\0\0\0\x10\x0d\0\0\0\x01k\0\0\0\x02"
                                        "da\0\0\0\x04");
    assert_int_equal(chy_ssh_request_read(sign, &r, NULL), CHY_OK);
    assert_true(chy_bytes_equal(r.key, BYTES("k")) && chy_bytes_equal(r.data, BYTES("da")));
    assert_int_equal(r.flags, CHY_SSH_RSA_SHA2_512);
    const struct chy_bytes query = BYTES("\0\0\0\x0c\x1b\0\0\0\x05"
                                         "queryxx");
    assert_int_equal(chy_ssh_request_read(query, &r, NULL), CHY_OK);
    assert_true(chy_bytes_equal(r.extension, BYTES("query")));
    assert_false(r.is_forwarded);
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x03\xc8yz"), &r, NULL), CHY_OK);
    assert_int_equal(r.type, 200);
}

#define BIND "\x1b\0\0\0\x18session-bind@openssh.com\0\0\0\x01h\0\0\0\0\0\0\0\x01s"

static void test_request_read__session_bind(void **state)
{
    (void)state;
    struct chy_ssh_request r;
    const struct chy_bytes forwarded = BYTES("\0\0\0\x2c" BIND "\x01");
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x2c" BIND "\0"), &r, NULL), CHY_OK);
    assert_false(r.is_forwarded);
    assert_int_equal(chy_ssh_request_read(forwarded, &r, NULL), CHY_OK);
    assert_true(r.is_forwarded);
    for (size_t n = 0; n < forwarded.n; n++)
        assert_int_equal(chy_ssh_request_read((struct chy_bytes){ forwarded.p, n }, &r, NULL),
                         CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x2d" BIND "\x01!"), &r, NULL),
                     CHY_E_MALFORMED);
}

static void test_request_read__refuses_what_is_cut_or_too_long(void **state)
{
    (void)state;
    struct chy_ssh_request r = { .type = 77 };
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x02\x0bx"), &r, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x01\x1b"), &r, NULL), CHY_E_MALFORMED);
    const struct chy_bytes sign = BYTES("\0\0\0\x0f\x0d\0\0\0\x01k\0\0\0\x01"
                                        "d\0\0\0\x04!");
    for (size_t n = 5; n <= sign.n; n++) {
        enum chy_err r1 = chy_ssh_request_read((struct chy_bytes){ sign.p, n }, &r, NULL);
        assert_int_equal(r1, n == sign.n - 1 ? CHY_OK : CHY_E_MALFORMED);
    }
    r.type = 77;
    assert_int_equal(chy_ssh_request_read(BYTES("\0\0\0\x01"), &r, NULL), CHY_E_MALFORMED);
    assert_int_equal(r.type, 77);
}

/* --- keys --- */

static void assert_key(const struct chy_door_key *key, struct chy_bytes expected)
{
    struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_PUBLIC_KEY);
    assert_int_equal(chy_ssh_key_write(key, &out, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&out), expected));
    chy_buf_done(&out);
}

static void test_key_write__each_kind(void **state)
{
    (void)state;
    assert_key(&rsa, BYTES("\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\0\x03\0\x80\x01"));
    assert_key(&p384, BYTES("\0\0\0\x13"
                            "ecdsa-sha2-nistp384\0\0\0\x08nistp384\0\0\0\x03\x04xy"));
    assert_key(&ed, BYTES("\0\0\0\x0bssh-ed25519\0\0\0\x02xy"));
}

static void test_key_write__refuses_others(void **state)
{
    (void)state;
    struct chy_buf out;
    struct chy_door_key key = { .type = CHY_KEY_NONE };
    chy_buf_init(&out, 16);
    assert_int_equal(chy_ssh_key_write(&key, &out, NULL), CHY_E_UNSUPPORTED);
    key = ed;
    key.ec_point = BYTES("\x04\x03xy");
    assert_int_equal(chy_ssh_key_write(&key, &out, NULL), CHY_E_MALFORMED);
    key.ec_point = BYTES("\x04\x02xyz");
    assert_int_equal(chy_ssh_key_write(&key, &out, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_key_write(&p384, &out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
}

/* --- signatures --- */

static enum chy_err input_of(const struct chy_door_key *key, uint32_t flags, struct chy_bytes data,
                             struct chy_door_input *ret)
{
    const struct chy_ssh_request request = { .data = data, .flags = flags };
    return chy_ssh_sign_input(key, &request, ret, NULL);
}

static void test_sign_input__the_hash_is_the_keys_or_the_flags(void **state)
{
    (void)state;
    struct chy_door_input in;
    assert_int_equal(input_of(&rsa, CHY_SSH_RSA_SHA2_256, BYTES("d"), &in), CHY_OK);
    assert_int_equal(in.scheme, CHY_DOOR_RSA_PKCS1);
    assert_int_equal(in.hash, CHY_HASH_SHA256);
    assert_true(in.is_message && chy_str_equal_c(in.key, "rsa"));
    assert_int_equal(input_of(&rsa, CHY_SSH_RSA_SHA2_512, BYTES("d"), &in), CHY_OK);
    assert_int_equal(in.hash, CHY_HASH_SHA512);
    assert_int_equal(input_of(&p384, 0, BYTES("d"), &in), CHY_OK);
    assert_int_equal(in.scheme, CHY_DOOR_ECDSA);
    assert_int_equal(in.hash, CHY_HASH_SHA384);
    assert_int_equal(input_of(&ed, 0, BYTES("d"), &in), CHY_OK);
    assert_int_equal(in.scheme, CHY_DOOR_ED25519);
    assert_false(in.is_message);
}

static void test_sign_input__refuses(void **state)
{
    (void)state;
    struct chy_door_input in;
    assert_int_equal(input_of(&rsa, 0, BYTES("d"), &in), CHY_E_UNSUPPORTED);
    assert_int_equal(input_of(&rsa, 6, BYTES("d"), &in), CHY_E_UNSUPPORTED);
    assert_int_equal(input_of(&p384, CHY_SSH_RSA_SHA2_256, BYTES("d"), &in), CHY_E_UNSUPPORTED);
    assert_int_equal(input_of(&ed, 0, BYTES(""), &in), CHY_E_ARG);
    struct chy_bytes data = { large, CHY_LIMIT_CONTENT };
    assert_int_equal(input_of(&ed, 0, data, &in), CHY_OK);
    data.n++;
    assert_int_equal(input_of(&ed, 0, data, &in), CHY_E_LIMIT);
}

static void assert_signature(enum chy_door_scheme scheme, enum chy_hash_alg hash,
                             struct chy_bytes raw, struct chy_bytes expected)
{
    const struct chy_door_input input = { .scheme = scheme, .hash = hash };
    struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_SIGNATURE);
    assert_int_equal(chy_ssh_signature_write(&input, raw, &out, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&out), expected));
    chy_buf_done(&out);
}

static void test_signature_write__each_kind(void **state)
{
    (void)state;
    assert_signature(CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA256, BYTES("s"),
                     BYTES("\0\0\0\x0crsa-sha2-256\0\0\0\x01s"));
    assert_signature(CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA512, BYTES("s"),
                     BYTES("\0\0\0\x0crsa-sha2-512\0\0\0\x01s"));
    assert_signature(CHY_DOOR_ED25519, CHY_HASH_NONE, BYTES("s"),
                     BYTES("\0\0\0\x0bssh-ed25519\0\0\0\x01s"));
    assert_signature(CHY_DOOR_ECDSA, CHY_HASH_SHA256, BYTES("\0\x01\x80\0"),
                     BYTES("\0\0\0\x13"
                           "ecdsa-sha2-nistp256\0\0\0\x0c\0\0\0\x01\x01\0\0\0\x03\0\x80\0"));
}

static void test_signature_write__refuses(void **state)
{
    (void)state;
    struct chy_buf out;
    struct chy_door_input input = { .scheme = CHY_DOOR_RSA_PSS, .hash = CHY_HASH_SHA256 };
    chy_buf_init(&out, 30);
    assert_int_equal(chy_ssh_signature_write(&input, BYTES("s"), &out, NULL), CHY_E_ARG);
    input.scheme = CHY_DOOR_ECDSA;
    assert_int_equal(chy_ssh_signature_write(&input, BYTES("123"), &out, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_ssh_signature_write(&input, BYTES(""), &out, NULL), CHY_E_MALFORMED);
    chy_buf_clear(&out);
    assert_int_equal(chy_ssh_signature_write(&input, BYTES("1234"), &out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_size__waits_for_all_of_it),
        cmocka_unit_test(test_message_size__limits),
        cmocka_unit_test(test_request_read__each_kind),
        cmocka_unit_test(test_request_read__session_bind),
        cmocka_unit_test(test_request_read__refuses_what_is_cut_or_too_long),
        cmocka_unit_test(test_key_write__each_kind),
        cmocka_unit_test(test_key_write__refuses_others),
        cmocka_unit_test(test_sign_input__the_hash_is_the_keys_or_the_flags),
        cmocka_unit_test(test_sign_input__refuses),
        cmocka_unit_test(test_signature_write__each_kind),
        cmocka_unit_test(test_signature_write__refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
