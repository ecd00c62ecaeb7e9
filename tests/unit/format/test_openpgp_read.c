/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/signature.h"
#include "format/openpgp_read.h"
#include "key_fixture.h"

static const enum chy_key_type types[] = { CHY_KEY_RSA_2048, CHY_KEY_P256, CHY_KEY_P384,
                                           CHY_KEY_P521, CHY_KEY_ED25519 };

struct made {
    struct chy_openpgp_key key;
    const struct chy_pubkey *public;
    struct chy_buf packets;
};

/* As a server's token signs: ECDSA becomes DER on the way. */
static void sign(enum chy_key_type type, struct chy_bytes content, enum chy_hash_alg hash,
                 uint8_t *digest, struct chy_buf *signature)
{
    struct chy_buf raw;
    chy_buf_init(&raw, 1024);
    assert_int_equal(chy_hash(hash, content, digest, NULL), CHY_OK);
    struct chy_bytes message = content;
    if (type == CHY_KEY_ED25519)
        message = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
    assert_int_equal(chy_privkey_sign(fixture_key_of(type), chy_openpgp_sign_alg(type, hash),
                                      message, &raw, NULL),
                     CHY_OK);
    if (chy_key_type_order_bytes(type) != 0)
        assert_int_equal(chy_ecdsa_to_der(chy_buf_bytes(&raw), signature, NULL), CHY_OK);
    else
        chy_buf_append(signature, chy_buf_bytes(&raw));
    chy_buf_done(&raw);
}

static void make(enum chy_key_type type, enum chy_openpgp_class class, const char *user,
                 struct made *made)
{
    struct chy_str user_id = chy_str_of(user);
    uint8_t digest[64];
    struct chy_buf content;
    struct chy_buf signature;
    made->public = chy_privkey_public(fixture_key_of(type));
    assert_int_equal(
        chy_openpgp_key_make(type, chy_pubkey_spki(made->public), 1700000000, &made->key, NULL),
        CHY_OK);
    const struct chy_openpgp_signature s = { class, &made->key, chy_openpgp_hash_least(type),
                                             1700000001 };
    chy_buf_init(&content, 4096);
    chy_buf_init(&signature, 1024);
    chy_buf_init(&made->packets, CHY_LIMIT_OPENPGP_CERTIFICATE);
    assert_int_equal(chy_openpgp_certified_write(&made->key, user_id, &content, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_tail_write(&s, &content, NULL), CHY_OK);
    sign(type, chy_buf_bytes(&content), s.hash, digest, &signature);
    assert_int_equal(chy_openpgp_key_write(&made->key, &made->packets, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_user_id_write(user_id, &made->packets, NULL), CHY_OK);
    assert_int_equal(
        chy_openpgp_signature_write(&s, (struct chy_bytes){ digest, chy_hash_alg_bytes(s.hash) },
                                    chy_buf_bytes(&signature), &made->packets, NULL),
        CHY_OK);
    chy_buf_done(&content);
    chy_buf_done(&signature);
}

static void test_certificate__what_was_written_is_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        struct made made;
        struct chy_openpgp_certificate c;
        make(types[i], CHY_OPENPGP_CERTIFICATION, "Example <a@example.org>", &made);
        assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL),
                         CHY_OK);
        assert_true(chy_str_equal_c(c.user_id, "Example <a@example.org>"));
        assert_memory_equal(c.fingerprint, made.key.fingerprint, sizeof c.fingerprint);
        assert_int_equal(chy_openpgp_certificate_check(&c, &made.key, made.public, NULL), CHY_OK);
        chy_buf_done(&made.packets);
    }
}

/* Whatever byte is changed: it is not read, or it is not good. What is not signed is the tail of
 * subpackets with the key id, which nobody here looks at. */
static void test_certificate__any_byte_changed(void **state)
{
    (void)state;
    struct made made;
    make(CHY_KEY_ED25519, CHY_OPENPGP_CERTIFICATION, "x", &made);
    const size_t numbers = (size_t)2 * (2 + 32); /* at the most */
    size_t good = 0;
    for (size_t i = 0; i < made.packets.n; i++) {
        struct chy_openpgp_certificate c;
        made.packets.p[i] ^= 1;
        if (chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL) == CHY_OK &&
            chy_openpgp_certificate_check(&c, &made.key, made.public, NULL) == CHY_OK) {
            /* The subpacket of the key id, or the lowest bit of a number's length in bits. */
            assert_true(i > made.packets.n - numbers - 2 - 12);
            good++;
        }
        made.packets.p[i] ^= 1;
    }
    assert_true(good <= 10 + 2);
    chy_buf_done(&made.packets);
}

static void test_certificate_read__truncated_anywhere(void **state)
{
    (void)state;
    struct made made;
    make(CHY_KEY_P256, CHY_OPENPGP_CERTIFICATION, "x", &made);
    for (size_t n = 0; n < made.packets.n; n++) {
        struct chy_openpgp_certificate c;
        assert_int_equal(
            chy_openpgp_certificate_read((struct chy_bytes){ made.packets.p, n }, &c, NULL),
            CHY_E_MALFORMED);
    }
    chy_buf_done(&made.packets);
}

static enum chy_err read_changed(struct made *made, size_t at, uint8_t value)
{
    struct chy_openpgp_certificate c;
    uint8_t before = made->packets.p[at];
    made->packets.p[at] = value;
    enum chy_err r = chy_openpgp_certificate_read(chy_buf_bytes(&made->packets), &c, NULL);
    made->packets.p[at] = before;
    return r;
}

static void test_certificate_read__errors(void **state)
{
    (void)state;
    struct made made;
    struct chy_openpgp_certificate c;
    make(CHY_KEY_P256, CHY_OPENPGP_CERTIFICATION, "x", &made);
    const size_t user = 3 + made.key.body_n; /* its packet */
    assert_int_equal(read_changed(&made, 3, 5), CHY_E_UNSUPPORTED);
    assert_int_equal(read_changed(&made, user, 0xb8), CHY_E_MALFORMED); /* packet 14 */
    assert_int_equal(read_changed(&made, user, 0x34), CHY_E_MALFORMED); /* no packet */
    assert_int_equal(read_changed(&made, user, 0xb7), CHY_E_MALFORMED); /* until the end */
    assert_int_equal(read_changed(&made, user + 1, 0), CHY_E_MALFORMED);
    assert_int_equal(read_changed(&made, user + 2, '\n'), CHY_E_MALFORMED);
    assert_int_equal(read_changed(&made, user + 2, 0xff), CHY_E_MALFORMED);
    assert_int_equal(read_changed(&made, user + 6, 3), CHY_E_UNSUPPORTED); /* version */
    chy_buf_append_u8(&made.packets, 0);
    assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL),
                     CHY_E_MALFORMED);
    chy_buf_done(&made.packets);
    make(CHY_KEY_P256, CHY_OPENPGP_BINARY, "x", &made);
    assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL),
                     CHY_E_UNSUPPORTED);
    chy_buf_done(&made.packets);
}

/* Lengths of the new form: of one, two and four bytes. */
static void test_certificate_read__lengths_of_the_new_form(void **state)
{
    (void)state;
    struct made made;
    struct chy_openpgp_certificate c;
    make(CHY_KEY_RSA_2048, CHY_OPENPGP_CERTIFICATION, "x", &made);
    const size_t user = 3 + made.key.body_n;
    const size_t n = made.packets.n - user - 6; /* of the signature */
    struct chy_buf other;
    chy_buf_init(&other, CHY_LIMIT_OPENPGP_CERTIFICATE);
    chy_buf_append_u8(&other, 0xc0 | 6);
    chy_buf_append_u16(&other, (uint16_t)(0xc000 + made.key.body_n - 192));
    chy_buf_append(&other, (struct chy_bytes){ made.key.body, made.key.body_n });
    chy_buf_append_u8(&other, 0xc0 | 13);
    chy_buf_append_u8(&other, 1);
    chy_buf_append_u8(&other, 'x');
    chy_buf_append_u8(&other, 0xc0 | 2);
    chy_buf_append_u8(&other, 0xff);
    chy_buf_append_u32(&other, (uint32_t)n);
    chy_buf_append(&other, (struct chy_bytes){ made.packets.p + made.packets.n - n, n });
    assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&other), &c, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_certificate_check(&c, &made.key, made.public, NULL), CHY_OK);
    chy_buf_done(&other);
    chy_buf_done(&made.packets);
}

static void test_certificate_read__limit(void **state)
{
    (void)state;
    static uint8_t much[CHY_LIMIT_OPENPGP_CERTIFICATE + 1];
    struct chy_openpgp_certificate c;
    assert_int_equal(
        chy_openpgp_certificate_read((struct chy_bytes){ much, sizeof much }, &c, NULL),
        CHY_E_LIMIT);
    assert_int_equal(
        chy_openpgp_certificate_read((struct chy_bytes){ much, sizeof much - 1 }, &c, NULL),
        CHY_E_MALFORMED);
}

static void test_certificate_check__another_key(void **state)
{
    (void)state;
    struct made made;
    struct made other;
    struct chy_openpgp_certificate c;
    make(CHY_KEY_P256, CHY_OPENPGP_CERTIFICATION, "x", &made);
    make(CHY_KEY_ED25519, CHY_OPENPGP_CERTIFICATION, "x", &other);
    assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL), CHY_OK);
    assert_int_equal(chy_openpgp_certificate_check(&c, &other.key, other.public, NULL),
                     CHY_E_INTEGRITY);
    /* One that says of itself to be this key's, signed by another. */
    struct chy_openpgp_certificate forged;
    assert_int_equal(chy_openpgp_certificate_read(chy_buf_bytes(&other.packets), &forged, NULL),
                     CHY_OK);
    forged.key_body = c.key_body;
    assert_int_equal(chy_openpgp_certificate_check(&forged, &made.key, made.public, NULL),
                     CHY_E_INTEGRITY);
    chy_buf_done(&made.packets);
    chy_buf_done(&other.packets);
}

static void test_certificate__out_of_memory(void **state)
{
    (void)state;
    struct made made;
    struct chy_openpgp_certificate c;
    make(CHY_KEY_P256, CHY_OPENPGP_CERTIFICATION, "x", &made);
    bool is_done = false;
    for (size_t n = 0; !is_done; n++) {
        assert_true(n < 100);
        chy_mem_fail_after(n);
        enum chy_err r = chy_openpgp_certificate_read(chy_buf_bytes(&made.packets), &c, NULL);
        if (r == CHY_OK)
            r = chy_openpgp_certificate_check(&c, &made.key, made.public, NULL);
        is_done = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, is_done ? CHY_OK : CHY_E_NOMEM);
    }
    chy_buf_done(&made.packets);
}

static int teardown(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

/* --- signatures of any program's --- */

struct sealed {
    struct chy_buf packet;
    struct chy_buf signature; /* as the server gave it */
    struct chy_buf tail;      /* what is hashed behind the data */
};

static void seal_make(enum chy_key_type type, const char *text, struct sealed *ret)
{
    struct chy_openpgp_key key;
    struct chy_buf content;
    uint8_t digest[64];
    const struct chy_pubkey *public = chy_privkey_public(fixture_key_of(type));
    assert_int_equal(chy_openpgp_key_make(type, chy_pubkey_spki(public), 1700000000, &key, NULL),
                     CHY_OK);
    const struct chy_openpgp_signature s = { CHY_OPENPGP_BINARY, &key, CHY_HASH_SHA512,
                                             1700000001 };
    chy_buf_init(&content, 4096);
    chy_buf_init(&ret->packet, 4096);
    chy_buf_init(&ret->signature, 1024);
    chy_buf_init(&ret->tail, 1024);
    assert_int_equal(chy_openpgp_tail_write(&s, &ret->tail, NULL), CHY_OK);
    chy_buf_append_c(&content, text);
    chy_buf_append(&content, chy_buf_bytes(&ret->tail));
    sign(type, chy_buf_bytes(&content), CHY_HASH_SHA512, digest, &ret->signature);
    assert_int_equal(chy_openpgp_signature_write(&s, (struct chy_bytes){ digest, 64 },
                                                 chy_buf_bytes(&ret->signature), &ret->packet,
                                                 NULL),
                     CHY_OK);
    chy_buf_done(&content);
}

static void seal_done(struct sealed *s)
{
    chy_buf_done(&s->packet);
    chy_buf_done(&s->signature);
    chy_buf_done(&s->tail);
}

static void seal_check(enum chy_key_type type, const char *text)
{
    struct sealed made;
    struct chy_openpgp_seal seal;
    struct chy_buf value;
    seal_make(type, text, &made);
    struct chy_bytes in = chy_buf_bytes(&made.packet);
    assert_int_equal(chy_openpgp_seal_take(&in, &seal, NULL), CHY_OK);
    assert_int_equal(in.n, 0);
    assert_int_equal(seal.class, CHY_OPENPGP_BINARY);
    assert_int_equal(chy_openpgp_seal_hash(&seal), CHY_HASH_SHA512);
    assert_int_equal(chy_openpgp_seal_alg(&seal), chy_openpgp_sign_alg(type, CHY_HASH_SHA512));
    assert_true(chy_bytes_equal(seal.hashed, (struct chy_bytes){ made.tail.p, seal.hashed.n }));
    chy_buf_init(&value, 1024);
    assert_int_equal(chy_openpgp_seal_value(&seal, &value, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&value), chy_buf_bytes(&made.signature)));
    chy_buf_done(&value);
    seal_done(&made);
}

/* Of 300 signatures some begin with a zero, which the packet has not. */
static void test_seal(void **state)
{
    (void)state;
    for (size_t t = 0; t < CHY_ARRAY_LEN(types); t++) {
        for (int i = 0; i < 60; i++) {
            char text[16];
            (void)snprintf(text, sizeof text, "text %d", i);
            seal_check(types[t], text);
        }
    }
    for (int i = 0; i < 300; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "of RSA %d", i);
        seal_check(CHY_KEY_RSA_2048, text);
    }
}

static void test_seal__broken(void **state)
{
    struct sealed made;
    struct chy_openpgp_seal seal;
    struct chy_buf value;
    (void)state;
    seal_make(CHY_KEY_P256, "text", &made);
    for (size_t n = 0; n < made.packet.n; n++) {
        struct chy_bytes in = { made.packet.p, n };
        assert_int_equal(chy_openpgp_seal_take(&in, &seal, NULL), CHY_E_MALFORMED);
        assert_int_equal(in.n, n);
    }
    struct chy_bytes in = chy_buf_bytes(&made.packet);
    assert_int_equal(chy_openpgp_seal_take(&in, &seal, NULL), CHY_OK);
    chy_buf_init(&value, 1024);
    const struct chy_openpgp_seal good = seal;
    seal.algorithm = 17; /* DSA */
    assert_int_equal(chy_openpgp_seal_alg(&seal), CHY_ALG_NONE);
    assert_int_equal(chy_openpgp_seal_value(&seal, &value, NULL), CHY_E_UNSUPPORTED);
    seal = good;
    seal.hash = 2; /* SHA-1 */
    assert_int_equal(chy_openpgp_seal_hash(&seal), CHY_HASH_NONE);
    assert_int_equal(chy_openpgp_seal_alg(&seal), CHY_ALG_NONE);
    seal = good;
    for (; seal.numbers.n-- != 0;)
        assert_int_equal(chy_openpgp_seal_value(&seal, &value, NULL), CHY_E_MALFORMED);
    seal = good;
    seal.algorithm = 1; /* RSA, with a number too many */
    assert_int_equal(chy_openpgp_seal_value(&seal, &value, NULL), CHY_E_MALFORMED);
    chy_buf_done(&value);
    seal_done(&made);
}

static void test_seal__other_packets(void **state)
{
    struct chy_openpgp_seal seal;
    static const uint8_t old[] = { 0x88, 4, 3, 0, 1, 8 };
    static const uint8_t user_id[] = { 0xb4, 1, 'a' };
    struct chy_bytes in = { old, sizeof old };
    (void)state;
    assert_int_equal(chy_openpgp_seal_take(&in, &seal, NULL), CHY_E_UNSUPPORTED);
    in = (struct chy_bytes){ user_id, sizeof user_id };
    assert_int_equal(chy_openpgp_seal_take(&in, &seal, NULL), CHY_E_MALFORMED);
}

static void test_rsa_signature_bytes(void **state)
{
    (void)state;
    assert_int_equal(chy_rsa_signature_bytes(254), 256);
    assert_int_equal(chy_rsa_signature_bytes(256), 256);
    assert_int_equal(chy_rsa_signature_bytes(257), 384);
    assert_int_equal(chy_rsa_signature_bytes(512), 512);
    assert_int_equal(chy_rsa_signature_bytes(513), 513);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_seal__broken),
        cmocka_unit_test(test_seal__other_packets),
        cmocka_unit_test(test_rsa_signature_bytes),
        cmocka_unit_test(test_certificate__what_was_written_is_good),
        cmocka_unit_test(test_certificate__any_byte_changed),
        cmocka_unit_test(test_certificate_read__truncated_anywhere),
        cmocka_unit_test(test_certificate_read__errors),
        cmocka_unit_test(test_certificate_read__lengths_of_the_new_form),
        cmocka_unit_test(test_certificate_read__limit),
        cmocka_unit_test(test_certificate_check__another_key),
        cmocka_unit_test(test_certificate__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
