/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/digest_info.h"

static void test_head__is_that_of_rfc_8017(void **state)
{
    (void)state;
    static const uint8_t sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    const enum chy_hash_alg hashes[] = { CHY_HASH_SHA256, CHY_HASH_SHA384, CHY_HASH_SHA512 };
    struct chy_bytes head = chy_digest_info_head(CHY_HASH_SHA256);
    assert_true(chy_bytes_equal(head, (struct chy_bytes){ sha256, sizeof sha256 }));
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        size_t n = chy_hash_alg_bytes(hashes[i]);
        head = chy_digest_info_head(hashes[i]);
        assert_int_equal(head.n, CHY_DIGEST_INFO_HEAD_BYTES);
        assert_int_equal(head.p[1], head.n - 2 + n); /* the lengths are those of this hash */
        assert_int_equal(head.p[18], n);
        assert_int_equal(head.p[14], i + 1);
    }
    assert_int_equal(chy_digest_info_head(CHY_HASH_NONE).n, 0);
    assert_int_equal(chy_digest_info_head((enum chy_hash_alg)99).n, 0);
}

#define OID(last) 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (last)

static const struct {
    bool is_like;
    size_t n;
    uint8_t p[32];
} cases[] = {
    /* with NULL, without it, for each hash */
    { true, 19, { 0x30, 0x31, 0x30, 0x0d, OID(1), 0x05, 0x00, 0x04, 0x20 } },
    { true, 17, { 0x30, 0x2f, 0x30, 0x0b, OID(1), 0x04, 0x20 } },
    { true, 19, { 0x30, 0x41, 0x30, 0x0d, OID(2), 0x05, 0x00, 0x04, 0x30 } },
    { true, 19, { 0x30, 0x51, 0x30, 0x0d, OID(3), 0x05, 0x00, 0x04, 0x40 } },
    /* lengths in long form, something between, the name at the very end */
    { true, 21, { 0x30, 0x81, 0x31, 0x30, 0x81, 0x0d, OID(1), 0x05, 0x00, 0x04, 0x20 } },
    { true, 16, { 0x30, 0x80, 0x00, 0x30, 0x80, OID(3) } },
    /* SHA-1, SHA-512/256, SHA3-256, and what is none */
    { false,
      15,
      { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
        0x14 } },
    { false, 19, { 0x30, 0x31, 0x30, 0x0d, OID(6), 0x05, 0x00, 0x04, 0x20 } },
    { false, 19, { 0x30, 0x31, 0x30, 0x0d, OID(8), 0x05, 0x00, 0x04, 0x20 } },
    { false, 18, { 0x31, 0x0d, OID(1), 0x05, 0x00, 0x04, 0x20 } },
    { false, 14, { 0x30, 0x31, 0x30, 0x0d, OID(1) } }, /* cut within the name */
    { false, 1, { 0x30 } },
    { false, 0, { 0 } },
};

static void test_is_like__whatever_names_a_hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++)
        if (chy_digest_info_is_like((struct chy_bytes){ cases[i].p, cases[i].n }) !=
            cases[i].is_like)
            fail_msg("case %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head__is_that_of_rfc_8017),
        cmocka_unit_test(test_is_like__whatever_names_a_hash),
    };
    return cmocka_run_group_tests_name("digest info", tests, NULL, NULL);
}
