/* SPDX-License-Identifier: MIT */
/* The block at the end of a PowerShell file, in each of its encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/script_signature.h"

#define BEGIN "\r\n# SIG # Begin signature block\r\n"
#define LINES "# AAEC\r\n# AwQF\r\n"
#define END   "# SIG # End signature block\r\n"
#define XML_BLOCK                                                               \
    "\r\n<!-- SIG # Begin signature block -->\r\n<!-- AAEC -->\r\n<!-- AwQF --" \
    ">\r\n<!-- SIG # End signature block -->\r\n"

static struct chy_arena arena;
static struct chy_error err;
static struct chy_script_signature found;

static enum chy_err read_bytes(const char *bytes, size_t n)
{
    return chy_script_signature_read((struct chy_bytes){ (const uint8_t *)bytes, n }, &arena,
                                     &found, &err);
}

#define READ(text) read_bytes(text, sizeof(text) - 1)

static void expect(const char *covered, size_t n)
{
    static const uint8_t cms[] = { 0, 1, 2, 3, 4, 5 };
    assert_int_equal(found.covered.n, n);
    assert_memory_equal(found.covered.p, covered, n);
    assert_int_equal(found.cms.n, sizeof cms);
    assert_memory_equal(found.cms.p, cms, sizeof cms);
}

#define EXPECT(text) expect(text, sizeof(text) - 1)

static void test_utf8(void **state)
{
    (void)state;
    assert_int_equal(READ("a" BEGIN LINES END), CHY_OK);
    EXPECT("a\0");
    assert_int_equal(READ(BEGIN LINES "# SIG # End signature block"), CHY_OK);
    EXPECT("");
    assert_int_equal(READ("\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82" BEGIN LINES END), CHY_OK);
    EXPECT("\xfc\0\xac\x20\x3d\xd8\x42\xde");
    assert_int_equal(READ("\xef\xbb\xbf" BEGIN LINES END), CHY_OK);
    EXPECT("\xff\xfe");
    assert_int_equal(READ("\xfc" BEGIN LINES END), CHY_E_UNSUPPORTED);
}

static void test_utf16(void **state)
{
    (void)state;
    static const char text[] = BEGIN LINES END;
    char wide[2 + 2 * sizeof text] = "\xff\xfe";
    for (size_t i = 0; i < sizeof text - 1; i++)
        wide[2 + 2 * i] = text[i];
    size_t n = 2 * sizeof text;
    assert_int_equal(read_bytes(wide, n), CHY_OK);
    EXPECT("\xff\xfe");
    assert_int_equal(read_bytes(wide, n - 1), CHY_E_MALFORMED);
    wide[3] = 1; /* no carriage return any more */
    assert_int_equal(read_bytes(wide, n), CHY_E_MALFORMED);
    assert_int_equal(READ("\xfe\xff" BEGIN LINES END), CHY_E_UNSUPPORTED);
}

static void test_xml(void **state)
{
    (void)state;
    assert_int_equal(READ("<a/>" XML_BLOCK), CHY_OK);
    EXPECT("<\0a\0/\0>\0");
    assert_int_equal(READ("\xc3\xbc" XML_BLOCK), CHY_E_UNSUPPORTED);
    assert_int_equal(READ("\xef\xbb\xbf\xc3\xbc" XML_BLOCK), CHY_OK);
    EXPECT("\xff\xfe\xfc\0");
}

static void test_broken(void **state)
{
    (void)state;
    assert_int_equal(READ(""), CHY_E_NOT_FOUND);
    assert_int_equal(READ("a\r\n"), CHY_E_NOT_FOUND);
    assert_int_equal(READ("a" BEGIN LINES), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN LINES END "b"), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN LINES END "\r\n"), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN "evil\r\n" LINES END), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN "# AA EC\r\n" END), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN "# AAEC\n" END), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN "# \xc3\xbc\r\n" END), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN "# AAE\r\n" END), CHY_E_MALFORMED);
    assert_int_equal(READ("a# SIG # Begin signature block\r\n" LINES END), CHY_E_MALFORMED);
    assert_int_equal(READ("# SIG # Begin signature block\r\n" LINES END), CHY_E_MALFORMED);
    assert_int_equal(READ("a" BEGIN LINES END BEGIN LINES END), CHY_E_UNSUPPORTED);
    assert_int_equal(READ("a" BEGIN LINES "<!-- SIG # End signature block -->\r\n"),
                     CHY_E_MALFORMED);
}

/* Of `n` bytes, with the block at the end. */
static enum chy_err read_long(size_t n)
{
    static const char text[] = BEGIN LINES END;
    char *bytes = malloc(n);
    assert_non_null(bytes);
    memset(bytes, 'a', n);
    chy_copy(bytes + n - (sizeof text - 1), text, sizeof text - 1);
    enum chy_err r = read_bytes(bytes, n);
    free(bytes);
    return r;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(read_long(CHY_LIMIT_SCRIPT_FILE), CHY_OK);
    assert_int_equal(found.covered.n, 2 * (CHY_LIMIT_SCRIPT_FILE - (sizeof BEGIN LINES END - 1)));
    assert_int_equal(read_long(CHY_LIMIT_SCRIPT_FILE + 1), CHY_E_LIMIT);
}

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_utf8), TEST(test_utf16), TEST(test_xml), TEST(test_broken), TEST(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
