/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "format/armor.h"

#define BEGIN "-----BEGIN PGP SIGNATURE-----\n"
#define END   "-----END PGP SIGNATURE-----\n"

static void armor(struct chy_bytes data, size_t step, struct chy_buf *out)
{
    struct chy_armor a;
    chy_armor_begin(&a, CHY_ARMOR_SIGNATURE, out);
    for (size_t at = 0; at < data.n; at += step)
        chy_armor_add(&a, (struct chy_bytes){ data.p + at, CHY_MIN(step, data.n - at) }, out);
    chy_armor_end(&a, out);
    assert_int_equal(chy_buf_check(out, NULL), CHY_OK);
}

/* `printf hello | gpg --enarmor`, with another name of the block. */
static void test_armor__known_answer(void **state)
{
    (void)state;
    struct chy_buf out;
    chy_buf_init(&out, 1024);
    armor(chy_str_bytes(CHY_STR("hello")), 2, &out);
    assert_true(chy_str_equal_c(chy_buf_str(&out), BEGIN "\naGVsbG8=\n=R/WK\n" END));
    chy_buf_done(&out);
}

static void test_armor__is_read_back_whatever_the_length(void **state)
{
    (void)state;
    uint8_t data[150];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t n = 0; n <= sizeof data; n++) {
        struct chy_buf text;
        struct chy_buf back;
        chy_buf_init(&text, 1024);
        chy_buf_init(&back, sizeof data);
        armor((struct chy_bytes){ data, n }, 1 + n % 60, &text);
        assert_int_equal(chy_armor_read(chy_buf_str(&text), CHY_ARMOR_SIGNATURE, &back, NULL),
                         CHY_OK);
        assert_true(chy_bytes_equal(chy_buf_bytes(&back), (struct chy_bytes){ data, n }));
        chy_buf_done(&text);
        chy_buf_done(&back);
    }
}

static enum chy_err read_text(const char *text)
{
    struct chy_buf out;
    struct chy_error err;
    chy_buf_init(&out, 64);
    enum chy_err r = chy_armor_read(chy_str_of(text), CHY_ARMOR_SIGNATURE, &out, &err);
    if (r == CHY_OK)
        assert_true(chy_str_equal_c(chy_buf_str(&out), "hello"));
    chy_buf_done(&out);
    return r;
}

static void test_armor_read__what_others_write(void **state)
{
    (void)state;
    static const char *const good[] = {
        BEGIN "\naGVsbG8=\n=R/WK\n" END,
        "\n \n" BEGIN "Version: x\nComment: y z\n\naGVsbG8=\n=R/WK\n" END "\n\n",
        "-----BEGIN PGP SIGNATURE-----\r\n\r\naGVsbG8=\r\n=R/WK\r\n-----END PGP SIGNATURE-----\r\n",
        BEGIN "\naGVsbG8=\n" END,
        BEGIN "\naGVs\nbG8=\n-----END PGP SIGNATURE-----",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(good); i++)
        assert_int_equal(read_text(good[i]), CHY_OK);
}

static void test_armor_read__refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n\n",
        "aGVsbG8=\n",
        "-----BEGIN PGP MESSAGE-----\n\naGVsbG8=\n-----END PGP MESSAGE-----\n",
        BEGIN,
        BEGIN "Version: x\n",
        BEGIN "aGVsbG8=\n" END,
        BEGIN "\naGVsbG8=\n",
        BEGIN "\naGVsbG8=\n=R/WK\n",
        BEGIN "\naGVsbG8=\n=R/Wr\n" END,
        BEGIN "\naGVsbG8\n" END,
        BEGIN "\naGVs*G8=\n" END,
        BEGIN "\naGVsbG8=\n-----END PGP MESSAGE-----\n",
        BEGIN "\naGVsbG8=\n" END "more\n",
        BEGIN
        "\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" END,
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(read_text(bad[i]), CHY_E_MALFORMED);
}

static void test_armor_read__limit_and_memory(void **state)
{
    (void)state;
    static const char text[] = BEGIN "\naGVsbG8=\n" END;
    struct chy_buf out;
    chy_buf_init(&out, 5);
    assert_int_equal(chy_armor_read(chy_str_of(text), CHY_ARMOR_SIGNATURE, &out, NULL), CHY_OK);
    chy_buf_done(&out);
    chy_buf_init(&out, 4);
    assert_int_equal(chy_armor_read(chy_str_of(text), CHY_ARMOR_SIGNATURE, &out, NULL),
                     CHY_E_LIMIT);
    chy_buf_done(&out);
    for (size_t n = 0; n < 2; n++) {
        chy_buf_init(&out, 64);
        chy_mem_fail_after(n);
        enum chy_err r = chy_armor_read(chy_str_of(text), CHY_ARMOR_SIGNATURE, &out, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, CHY_E_NOMEM);
        chy_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_armor__known_answer),
        cmocka_unit_test(test_armor__is_read_back_whatever_the_length),
        cmocka_unit_test(test_armor_read__what_others_write),
        cmocka_unit_test(test_armor_read__refuses),
        cmocka_unit_test(test_armor_read__limit_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
