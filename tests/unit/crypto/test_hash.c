/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/hex.h"
#include "crypto/hash.h"

/* FIPS 180-4, "abc". */
static const struct {
    enum chy_hash_alg alg;
    const char *hex;
} abc[] = {
    { CHY_HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { CHY_HASH_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
                       "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    { CHY_HASH_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

static void assert_hex(const uint8_t *digest, const char *hex)
{
    char text[CHY_HEX_SIZE(64)];
    chy_hex_encode((struct chy_bytes){ digest, strlen(hex) / 2 }, text);
    assert_string_equal(text, hex);
}

static void test_hash__known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(abc); i++) {
        uint8_t out[64];
        assert_int_equal(chy_hash(abc[i].alg, chy_str_bytes(CHY_STR("abc")), out, NULL), CHY_OK);
        assert_hex(out, abc[i].hex);
        assert_int_equal(chy_hash_alg_bytes(abc[i].alg) * 2, strlen(abc[i].hex));
    }
    uint8_t out[32];
    assert_int_equal(chy_sha256((struct chy_bytes){ NULL, 0 }, out, NULL), CHY_OK);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_hasher__is_used_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(abc); i++) {
        struct chy_hasher *h = NULL;
        assert_int_equal(chy_hasher_new(abc[i].alg, &h, NULL), CHY_OK);
        for (int round = 0; round < 3; round++) {
            uint8_t out[64];
            chy_hasher_add(h, chy_str_bytes(CHY_STR("a")));
            chy_hasher_add(h, (struct chy_bytes){ NULL, 0 });
            chy_hasher_add(h, chy_str_bytes(CHY_STR("bc")));
            chy_hasher_end(h, out);
            assert_hex(out, abc[i].hex);
        }
        chy_hasher_free(h);
    }
    chy_hasher_free(NULL);
}

static void test_hasher_new__errors(void **state)
{
    (void)state;
    struct chy_hasher *h = NULL;
    uint8_t out[64];
    assert_int_equal(chy_hasher_new(CHY_HASH_NONE, &h, NULL), CHY_E_ARG);
    assert_int_equal(chy_hash((enum chy_hash_alg)99, (struct chy_bytes){ NULL, 0 }, out, NULL),
                     CHY_E_ARG);
    chy_mem_fail_after(0);
    enum chy_err r = chy_hasher_new(CHY_HASH_SHA256, &h, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    assert_null(h);
}

static void test_thumbprint(void **state)
{
    static const uint8_t of_abc[CHY_THUMBPRINT_BYTES] = { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                                          0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                                          0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d };
    uint8_t out[CHY_THUMBPRINT_BYTES];
    (void)state;
    assert_int_equal(chy_thumbprint((struct chy_bytes){ (const uint8_t *)"abc", 3 }, out, NULL),
                     CHY_OK);
    assert_memory_equal(out, of_abc, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thumbprint),
        cmocka_unit_test(test_hash__known_answers),
        cmocka_unit_test(test_hasher__is_used_again),
        cmocka_unit_test(test_hasher_new__errors),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
