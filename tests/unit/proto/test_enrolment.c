/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proto/enrolment.h"

static const char golden[] = "chy1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8."
                             "____-_v7-_v7-_v7-_v7-_v7-_s.aHR0cHM6Ly9hLmV4YW1wbGU6ODQ0Mw";
static const char url[] = "https://a.example:8443";

static void make_parts(uint8_t pin[CHY_HASH_BYTES], uint8_t secret[CHY_ENROLMENT_SECRET_BYTES])
{
    for (size_t i = 0; i < CHY_HASH_BYTES; i++)
        pin[i] = (uint8_t)i;
    for (size_t i = 0; i < CHY_ENROLMENT_SECRET_BYTES; i++)
        secret[i] = i < 3 ? 0xff : 0xfb;
}

static enum chy_err make(const char *to, struct chy_buf *out)
{
    uint8_t pin[CHY_HASH_BYTES];
    uint8_t secret[CHY_ENROLMENT_SECRET_BYTES];
    make_parts(pin, secret);
    return chy_enrolment_make(pin, secret, chy_str_of(to), out, NULL);
}

static enum chy_err parse(const char *code)
{
    struct chy_enrolment e;
    return chy_enrolment_parse(chy_str_of(code), &e, NULL);
}

static void test_make__golden(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, 1024);
    assert_int_equal(make(url, &out), CHY_OK);
    assert_int_equal(out.n, strlen(golden));
    assert_memory_equal(out.p, golden, out.n);
}

static void test_parse__round_trip(void **state)
{
    (void)state;
    uint8_t pin[CHY_HASH_BYTES];
    uint8_t secret[CHY_ENROLMENT_SECRET_BYTES];
    make_parts(pin, secret);
    struct chy_enrolment e;
    assert_int_equal(chy_enrolment_parse(chy_str_of(golden), &e, NULL), CHY_OK);
    assert_memory_equal(e.pin, pin, sizeof pin);
    assert_string_equal(e.secret, "____-_v7-_v7-_v7-_v7-_v7-_s");
    assert_string_equal(e.url, url);
}

static void test_parse__without_url(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, 1024);
    assert_int_equal(make("", &out), CHY_OK);
    struct chy_enrolment e;
    assert_int_equal(chy_enrolment_parse(chy_buf_str(&out), &e, NULL), CHY_OK);
    assert_string_equal(e.url, "");
}

/* Cut anywhere: only at the end of the secret is what is left a code again, one without a URL. */
static void test_parse__truncated(void **state)
{
    (void)state;
    size_t without_url = strlen("chy1.") + 43 + 1 + 27;
    for (size_t n = 0; n < strlen(golden); n++) {
        struct chy_enrolment e;
        enum chy_err r = chy_enrolment_parse((struct chy_str){ golden, n }, &e, NULL);
        if (n == without_url || (n > without_url && r == CHY_OK))
            assert_int_equal(r, CHY_OK); /* a shorter URL may be a URL too */
        else
            assert_int_equal(r, CHY_E_MALFORMED);
    }
}

/* Every changed character is refused, or it is a changed value: no two texts for one code. */
static void test_parse__canonical(void **state)
{
    (void)state;
    struct chy_enrolment first;
    assert_int_equal(chy_enrolment_parse(chy_str_of(golden), &first, NULL), CHY_OK);
    for (size_t i = 0; i < strlen(golden); i++) {
        for (int c = 1; c < 256; c++) {
            char text[sizeof golden];
            memcpy(text, golden, sizeof golden);
            if ((char)c == text[i])
                continue;
            text[i] = (char)c;
            struct chy_enrolment e;
            memset(&e, 0, sizeof e);
            if (chy_enrolment_parse(chy_str_of(text), &e, NULL) == CHY_OK)
                assert_memory_not_equal(&e, &first, sizeof e);
        }
    }
}

static void test_parse__errors(void **state)
{
    (void)state;
    assert_int_equal(parse(""), CHY_E_MALFORMED);
    assert_int_equal(parse("chy1"), CHY_E_MALFORMED);
    assert_int_equal(parse("chy2.x"), CHY_E_UNSUPPORTED);
    assert_int_equal(parse("chy0.x"), CHY_E_MALFORMED);
    assert_int_equal(parse("hello.world"), CHY_E_MALFORMED);
    char text[sizeof golden + 2];
    memcpy(text, golden, sizeof golden);
    memcpy(text + sizeof golden - 1, "=", 2);
    assert_int_equal(parse(text), CHY_E_MALFORMED);
    /* "http://a" where only https:// may stand; a dot and nothing; a URL with a path. */
    text[5 + 43 + 1 + 27] = '\0';
    char with[256];
    const char *const tails[] = { ".aHR0cDovL2E", ".", ".aHR0cHM6Ly9hL2I", ".aHR0cHM6Ly8" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(tails); i++) {
        (void)snprintf(with, sizeof with, "%s%s", text, tails[i]);
        assert_int_equal(parse(with), CHY_E_MALFORMED);
    }
}

static void test_parse__secret_not_in_error(void **state)
{
    (void)state;
    struct chy_enrolment e;
    struct chy_error err;
    char text[sizeof golden];
    memcpy(text, golden, sizeof golden);
    text[10] = '+';
    assert_int_equal(chy_enrolment_parse(chy_str_of(text), &e, &err), CHY_E_MALFORMED);
    assert_null(strstr(err.text, "_v7"));
}

static void test_url__limits(void **state)
{
    (void)state;
    char text[CHY_LIMIT_URL + 2];
    memset(text, 'a', sizeof text);
    memcpy(text, "https://", 8);
    text[CHY_LIMIT_URL] = '\0';
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, 1024);
    assert_int_equal(make(text, &out), CHY_OK);
    struct chy_enrolment e;
    assert_int_equal(chy_enrolment_parse(chy_buf_str(&out), &e, NULL), CHY_OK);
    assert_string_equal(e.url, text);
    text[CHY_LIMIT_URL] = 'a';
    text[CHY_LIMIT_URL + 1] = '\0';
    assert_int_equal(make(text, &out), CHY_E_LIMIT);
}

static void test_url__forms(void **state)
{
    (void)state;
    assert_true(chy_url_is_origin(CHY_STR("https://[::1]:8443")));
    assert_true(chy_url_is_origin(CHY_STR("https://sign.example.org")));
    assert_false(chy_url_is_origin(CHY_STR("https://")));
    assert_false(chy_url_is_origin(CHY_STR("http://a")));
    assert_false(chy_url_is_origin(CHY_STR("https://a/")));
    assert_false(chy_url_is_origin(CHY_STR("https://u@a")));
    assert_false(chy_url_is_origin(CHY_STR("https://a?b")));
    assert_false(chy_url_is_origin(CHY_STR("https://a b")));
}

static void test_parse__no_memory(void **state)
{
    (void)state;
    struct chy_enrolment e;
    size_t n = 0;
    enum chy_err r;
    do {
        chy_mem_fail_after(n++);
        r = chy_enrolment_parse(chy_str_of(golden), &e, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
    } while (r != CHY_OK);
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make__golden),
        cmocka_unit_test(test_parse__round_trip),
        cmocka_unit_test(test_parse__without_url),
        cmocka_unit_test(test_parse__truncated),
        cmocka_unit_test(test_parse__canonical),
        cmocka_unit_test(test_parse__errors),
        cmocka_unit_test(test_parse__secret_not_in_error),
        cmocka_unit_test(test_url__limits),
        cmocka_unit_test(test_url__forms),
        cmocka_unit_test(test_parse__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
