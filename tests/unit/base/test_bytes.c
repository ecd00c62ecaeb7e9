/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static struct chy_str part(const char *p, size_t n)
{
    return (struct chy_str){ p, n };
}

static void test_str__views_and_their_equality(void **state)
{
    (void)state;
    assert_int_equal(chy_str_of(NULL).n, 0);
    assert_int_equal(chy_str_of("abc").n, 3);
    assert_int_equal(CHY_STR("a\0b").n, 3);
    assert_true(chy_str_equal(part(NULL, 0), CHY_STR("")));
    assert_true(chy_str_equal_c(part("abcd", 3), "abc"));
    assert_false(chy_str_equal_c(part("abcd", 3), "abcd"));
    assert_false(chy_str_equal_c(CHY_STR("a\0"), "a"));
    assert_false(chy_str_equal_c(CHY_STR("abc"), "abC"));
    assert_true(chy_str_equal_c(part(NULL, 0), NULL));
}

static void test_str_ends(void **state)
{
    (void)state;
    assert_true(chy_str_equal_c(chy_str_base_name(CHY_STR("/usr/bin/gpg")), "gpg"));
    assert_true(chy_str_equal_c(chy_str_base_name(CHY_STR("gpg")), "gpg"));
    assert_true(chy_str_equal_c(chy_str_base_name(CHY_STR("bin/")), ""));
    assert_true(chy_str_equal_c(chy_str_base_name(CHY_STR("")), ""));
    assert_int_equal(chy_str_base_name((struct chy_str){ NULL, 0 }).n, 0);
    assert_true(chy_str_ends(CHY_STR("abc"), ""));
    assert_true(chy_str_ends(CHY_STR("abc"), "bc"));
    assert_true(chy_str_ends(CHY_STR("abc"), "abc"));
    assert_false(chy_str_ends(CHY_STR("abc"), "zabc"));
    assert_false(chy_str_ends(CHY_STR("abc"), "b"));
    assert_false(chy_str_ends(part(NULL, 0), "a"));
    assert_true(chy_str_ends(part(NULL, 0), ""));
}

static void test_str_starts(void **state)
{
    (void)state;
    assert_true(chy_str_starts(CHY_STR("abc"), ""));
    assert_true(chy_str_starts(CHY_STR("abc"), "ab"));
    assert_true(chy_str_starts(CHY_STR("abc"), "abc"));
    assert_false(chy_str_starts(CHY_STR("abc"), "abcd"));
    assert_false(chy_str_starts(CHY_STR("abc"), "b"));
    assert_false(chy_str_starts(part(NULL, 0), "a"));
    assert_true(chy_str_starts(part(NULL, 0), ""));
}

static void test_str_compare__by_bytes_then_by_length(void **state)
{
    (void)state;
    static const struct chy_str rising[] = { { NULL, 0 },   { "\0", 1 },   { "a", 1 },
                                             { "a\0", 2 },  { "ab", 2 },   { "b", 1 },
                                             { "\x7f", 1 }, { "\x80", 1 }, { "\xff", 1 } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rising); i++)
        for (size_t k = 0; k < CHY_ARRAY_LEN(rising); k++) {
            int r = chy_str_compare(rising[i], rising[k]);
            assert_int_equal((r > 0) - (r < 0), (i > k) - (i < k));
            assert_int_equal(chy_str_equal(rising[i], rising[k]), i == k);
        }
}

static void test_str_print_len__is_cut_to_an_int(void **state)
{
    (void)state;
    assert_int_equal(chy_str_print_len(part("", (size_t)INT32_MAX)), INT32_MAX);
    assert_int_equal(chy_str_print_len(part("", (size_t)INT32_MAX + 1)), INT32_MAX);
    assert_int_equal(chy_str_print_len(part("", SIZE_MAX)), INT32_MAX);
}

static void test_copy__takes_nothing_from_nowhere(void **state)
{
    (void)state;
    char to[2] = "x";
    chy_copy(NULL, NULL, 0);
    chy_copy(to, NULL, 0);
    assert_int_equal(to[0], 'x');
    chy_copy(to, "y", 1);
    assert_int_equal(to[0], 'y');
}

/* --- UTF-8: RFC 3629 section 4 --- */

/* The character's own bytes, written from the bit patterns of section 3. */
static size_t utf8_encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)((0xf00 >> n & 0xff) | c);
    return n;
}

static void test_utf8_char__every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        char b[5] = "";
        size_t n = utf8_encode(c, b);
        bool is_good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        if (chy_utf8_char(part(b, n)) != (is_good ? n : 0))
            fail_msg("U+%04X", c);
        b[n] = 'x';
        assert_int_equal(chy_utf8_char(part(b, n + 1)), is_good ? n : 0);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(chy_utf8_char(part(b, cut)), 0);
    }
}

/* Every pair of first and second byte, each with good bytes behind: right exactly by the table of
 * section 4. */
static void test_utf8_char__every_first_and_second_byte(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            const char s[] = { (char)a, (char)b, (char)0x80, (char)0xbf };
            bool tail = b >= 0x80 && b <= 0xbf;
            size_t n = 0;
            if (a < 0x80)
                n = 1;
            else if (a >= 0xc2 && a <= 0xdf && tail)
                n = 2;
            else if ((a == 0xe0 && b >= 0xa0 && b <= 0xbf) || (a >= 0xe1 && a <= 0xec && tail) ||
                     (a == 0xed && b >= 0x80 && b <= 0x9f) || (a >= 0xee && a <= 0xef && tail))
                n = 3;
            else if ((a == 0xf0 && b >= 0x90 && b <= 0xbf) || (a >= 0xf1 && a <= 0xf3 && tail) ||
                     (a == 0xf4 && b >= 0x80 && b <= 0x8f))
                n = 4;
            if (chy_utf8_char(part(s, sizeof s)) != n)
                fail_msg("%02x %02x", a, b);
        }
}

static void test_utf8_char__third_and_fourth_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool tail = c >= 0x80 && c <= 0xbf;
        const char three[] = { (char)0xe2, (char)0x82, (char)c };
        const char third[] = { (char)0xf1, (char)0x80, (char)c, (char)0x80 };
        const char fourth[] = { (char)0xf1, (char)0x80, (char)0x80, (char)c };
        assert_int_equal(chy_utf8_char(part(three, 3)), tail ? 3 : 0);
        assert_int_equal(chy_utf8_char(part(third, 4)), tail ? 4 : 0);
        assert_int_equal(chy_utf8_char(part(fourth, 4)), tail ? 4 : 0);
    }
}

static void test_utf8_is_valid__and_plain(void **state)
{
    (void)state;
    static const struct {
        struct chy_str s;
        bool is_valid;
        bool is_plain;
    } texts[] = {
        { { NULL, 0 }, true, true },         { { "abc \xc3\xa4\xf0\x9f\x94\x91", 10 }, true, true },
        { { "~\xc2\x80", 3 }, true, true }, /* C1 controls are no ASCII controls */
        { { "a\nb", 3 }, true, false },      { { "a\0b", 3 }, true, false },
        { { "\x1f", 1 }, true, false },      { { "\x20", 1 }, true, true },
        { { "\x7f", 1 }, true, false },      { { "abc\xc3", 4 }, false, false },
        { { "\xc0\x80", 2 }, false, false }, { { "\xff", 1 }, false, false },
        { { "\xfe\xff", 2 }, false, false }, { { "a\x80", 2 }, false, false },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(texts); i++) {
        assert_int_equal(chy_utf8_is_valid(texts[i].s), texts[i].is_valid);
        assert_int_equal(chy_text_is_plain(texts[i].s), texts[i].is_plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__views_and_their_equality),
        cmocka_unit_test(test_str_starts),
        cmocka_unit_test(test_str_ends),
        cmocka_unit_test(test_str_compare__by_bytes_then_by_length),
        cmocka_unit_test(test_str_print_len__is_cut_to_an_int),
        cmocka_unit_test(test_copy__takes_nothing_from_nowhere),
        cmocka_unit_test(test_utf8_char__every_code_point),
        cmocka_unit_test(test_utf8_char__every_first_and_second_byte),
        cmocka_unit_test(test_utf8_char__third_and_fourth_byte),
        cmocka_unit_test(test_utf8_is_valid__and_plain),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
