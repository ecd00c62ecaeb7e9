/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/jar_manifest.h"

static char seen[256];
static struct chy_error err;

static enum chy_err see(void *ctx, struct chy_str name, struct chy_error *e)
{
    const char *refused = ctx;
    if (refused != NULL && chy_str_equal_c(name, refused))
        return chy_fail(e, CHY_E_INTEGRITY, "refused");
    size_t n = strlen(seen);
    (void)snprintf(seen + n, sizeof seen - n, "[%.*s]", CHY_STR_ARG(name));
    return CHY_OK;
}

static enum chy_err read_text(const char *text)
{
    seen[0] = '\0';
    return chy_jar_manifest_read(chy_str_of(text), see, NULL, &err);
}

static void test_read__forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *names;
    } rows[] = {
        { "", "" },
        { "Manifest-Version: 1.0\r\n\r\n", "" },
        { "Manifest-Version: 1.0\n\nName: a\nSHA-256-Digest: x\n", "[a]" },
        { "V: 1\r\rName: a\rSHA-256-Digest: x\r\rName: b\rSHA-1-Digest: y", "[a][b]" },
        { "V: 1\r\n\r\nName: a/ver\r\n y/lon\r\n g\r\nSHA-512-Digest: x\r\n", "[a/very/long]" },
        { "V: 1\n\nname: a\nsha-256-digest: x\n", "[a]" },
        { "V: 1\n\nName: a\nSHA-256-Digest-fr: x\n", "[a]" },
        { "V: 1\n\nSHA-256-Digest: x\nName: a\n", "[a]" },
        { "V: 1\n\n\n\nName: a\nSHA-256-Digest: x\n\n\nName: b\nX-Digest: x\n", "[a][b]" },
        { "V: 1\n\nName: a/\nSealed: true\n", "" },               /* of a package */
        { "V: 1\n\nName: a\nX: a-Digest: b\n", "" },              /* of a value */
        { "V: 1\n\nName: a\nLong: x\n SHA-256-Digest: y\n", "" }, /* likewise */
        { "SHA-256-Digest-Manifest: x\n\nName: a\nSHA-256-Digest: x\n", "[a]" },
        { " goes on with nothing\n\nno attribute\n: \n", "" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(read_text(rows[i].text), CHY_OK);
        assert_string_equal(seen, rows[i].names);
    }
}

static void test_read__what_each_says(void **state)
{
    (void)state;
    char b[] = "b";
    seen[0] = '\0';
    assert_int_equal(chy_jar_manifest_read(CHY_STR("V: 1\n\nName: a\nX-Digest: x\n\n"
                                                   "Name: b\nX-Digest: x\n\n"
                                                   "Name: c\nX-Digest: x\n"),
                                           see, b, &err),
                     CHY_E_INTEGRITY);
    assert_string_equal(seen, "[a]");
}

static void test_read__two_names(void **state)
{
    (void)state;
    assert_int_equal(read_text("V: 1\n\nName: a\nName: b\nX-Digest: x\n"), CHY_E_MALFORMED);
}

static void test_read__limit(void **state)
{
    (void)state;
    static char text[3 * CHY_LIMIT_PATH];
    for (int over = 0; over < 2; over++) {
        size_t n = (size_t)CHY_LIMIT_PATH - 10 + (size_t)over;
        /* 10 of them in a line that goes on */
        (void)snprintf(text, sizeof text, "V: 1\n\nName: %0*d\n 1234567890\nX-Digest: x\n", (int)n,
                       0);
        assert_int_equal(read_text(text), over == 0 ? CHY_OK : CHY_E_LIMIT);
    }
    /* What is no name may be as long as it likes. */
    (void)snprintf(text, sizeof text, "Import-Package: %0*d\n %0*d\n", CHY_LIMIT_PATH + 1, 0,
                   CHY_LIMIT_PATH + 1, 0);
    assert_int_equal(read_text(text), CHY_OK);
}

static void test_read__no_memory(void **state)
{
    (void)state;
    chy_mem_fail_after(0);
    enum chy_err r = read_text("V: 1\n\nName: a\nX-Digest: x\n");
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

static void test_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum chy_err result;
        const char *value;
    } rows[] = {
        { "V: 1\r\nA: b\r\n", CHY_OK, "b" },
        { "A: b\r\n c\r\n d\r\nV: 1\r\n e\r\n\r\n", CHY_OK, "bcd" },
        { "a: b", CHY_OK, "b" },
        { "", CHY_E_NOT_FOUND, NULL },
        { " A: b\n", CHY_E_NOT_FOUND, NULL },
        { "AA: b\nA:b\nA\n", CHY_E_NOT_FOUND, NULL },
        { "V: 1\n\nA: b\n", CHY_E_NOT_FOUND, NULL },
        { "A: b\nA: b\n", CHY_E_MALFORMED, NULL },
        { "A: 12345678\n", CHY_OK, "12345678" },
        { "A: 12345678\n 9\n", CHY_E_LIMIT, NULL },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        CHY_CLEANUP(chy_buf_done) struct chy_buf value;
        chy_buf_init(&value, 8);
        assert_int_equal(chy_jar_manifest_value(chy_str_of(rows[i].text), "A", &value, &err),
                         rows[i].result);
        if (rows[i].value != NULL)
            assert_true(chy_str_equal_c(chy_buf_str(&value), rows[i].value));
    }
}

static void test_value__no_memory(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf value;
    chy_buf_init(&value, 8);
    chy_mem_fail_after(0);
    enum chy_err r = chy_jar_manifest_value(CHY_STR("A: b\n"), "A", &value, &err);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__forms),      cmocka_unit_test(test_read__what_each_says),
        cmocka_unit_test(test_read__two_names),  cmocka_unit_test(test_read__limit),
        cmocka_unit_test(test_read__no_memory),  cmocka_unit_test(test_value),
        cmocka_unit_test(test_value__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
