/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "format/cleartext.h"

/* What is written of a text, and what is hashed of it. RFC 4880 section 7.1 */
static const struct {
    const char *text;
    const char *written;
    const char *hashed;
} cases[] = {
    { "", "\n", "" },
    { "\n", "\n", "" },
    { "a", "a\n", "a" },
    { "a\n", "a\n", "a" },
    { "a\nb\n", "a\nb\n", "a\r\nb" },
    { "a\n\n", "a\n\n", "a\r\n" },
    { "a \t\nb \r\n", "a \t\nb \r\n", "a\r\nb" },
    { " a\n", " a\n", " a" },
    { "-a\n- b\n--\n", "- -a\n- - b\n- --\n", "-a\r\n- b\r\n--" },
    { "a\rb\n", "a\rb\n", "a\rb" },
};

static void sign(const char *text, size_t step, struct chy_buf *out, uint8_t *digest)
{
    struct chy_cleartext c;
    struct chy_hasher *hasher = NULL;
    struct chy_bytes data = chy_str_bytes(chy_str_of(text));
    chy_cleartext_init(&c);
    assert_int_equal(chy_hasher_new(CHY_HASH_SHA256, &hasher, NULL), CHY_OK);
    for (size_t at = 0; at < data.n; at += step)
        assert_int_equal(
            chy_cleartext_add(&c, (struct chy_bytes){ data.p + at, CHY_MIN(step, data.n - at) },
                              hasher, out, NULL),
            CHY_OK);
    assert_int_equal(chy_cleartext_end(&c, hasher, out, NULL), CHY_OK);
    chy_hasher_end(hasher, digest);
    chy_hasher_free(hasher);
    chy_cleartext_done(&c);
}

static void test_cleartext__in_parts_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step < 5; step++) {
            struct chy_buf out;
            uint8_t digest[CHY_HASH_BYTES];
            uint8_t want[CHY_HASH_BYTES];
            chy_buf_init(&out, 256);
            sign(cases[i].text, step, &out, digest);
            assert_true(chy_str_equal_c(chy_buf_str(&out), cases[i].written));
            assert_int_equal(chy_sha256(chy_str_bytes(chy_str_of(cases[i].hashed)), want, NULL),
                             CHY_OK);
            assert_memory_equal(digest, want, sizeof want);
            chy_buf_done(&out);
        }
    }
}

static void test_cleartext_begin__names_the_hash(void **state)
{
    (void)state;
    struct chy_buf out;
    chy_buf_init(&out, 256);
    assert_int_equal(chy_cleartext_begin(CHY_HASH_SHA384, &out, NULL), CHY_OK);
    assert_true(
        chy_str_equal_c(chy_buf_str(&out), "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA384\n\n"));
    chy_buf_done(&out);
}

static enum chy_err line_of(size_t n, size_t room)
{
    static uint8_t line[CHY_LIMIT_CLEARTEXT_LINE + 2];
    struct chy_cleartext c;
    struct chy_hasher *hasher = NULL;
    struct chy_buf out;
    chy_cleartext_init(&c);
    chy_buf_init(&out, room);
    assert_int_equal(chy_hasher_new(CHY_HASH_SHA256, &hasher, NULL), CHY_OK);
    memset(line, 'x', sizeof line);
    line[n] = '\n';
    enum chy_err r = chy_cleartext_add(&c, (struct chy_bytes){ line, n + 1 }, hasher, &out, NULL);
    chy_hasher_free(hasher);
    chy_cleartext_done(&c);
    chy_buf_done(&out);
    return r;
}

static void test_cleartext_add__limits_and_memory(void **state)
{
    (void)state;
    const size_t room = 2 * CHY_LIMIT_CLEARTEXT_LINE;
    assert_int_equal(line_of(CHY_LIMIT_CLEARTEXT_LINE, room), CHY_OK);
    assert_int_equal(line_of(CHY_LIMIT_CLEARTEXT_LINE + 1, room), CHY_E_LIMIT);
    assert_int_equal(line_of(10, 5), CHY_E_LIMIT);
    struct chy_cleartext c;
    struct chy_buf out;
    chy_cleartext_init(&c);
    chy_buf_init(&out, room);
    chy_mem_fail_after(0);
    enum chy_err r = chy_cleartext_add(&c, chy_str_bytes(CHY_STR("x")), NULL, &out, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    chy_cleartext_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cleartext__in_parts_of_any_size),
        cmocka_unit_test(test_cleartext_begin__names_the_hash),
        cmocka_unit_test(test_cleartext_add__limits_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
