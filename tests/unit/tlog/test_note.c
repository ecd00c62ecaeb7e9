/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "log_fixture.h"
#include "tlog/note.h"

static struct chy_hasher *hasher;

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_hasher_free(hasher);
    return 0;
}

/* The example of c2sp.org/signed-note. */
#define EXAMPLE_VKEY "example.com/foo+530cede2+AZ1i5VqEDoFDJUKTIjVcDQCpfqHG6xEXGpdN5XjCSBcM"

static void test_vkey__round_trips(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        struct chy_tlog_vkey key;
        assert_int_equal(chy_tlog_vkey_parse(hasher, chy_str_of(keys[i]), &key, NULL), CHY_OK);
        struct chy_buf b;
        chy_buf_init(&b, 512);
        assert_true(chy_tlog_vkey_append(&b, &key));
        assert_true(chy_str_equal_c(chy_buf_str(&b), keys[i]));
        chy_buf_done(&b);
    }
}

static void test_vkey_parse__refuses_other_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum chy_err r;
    } rows[] = {
        { "", CHY_E_MALFORMED },
        { "name", CHY_E_MALFORMED },
        { "+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", CHY_E_MALFORMED },
        { "a b+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b49+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
          CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b497+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
          CHY_E_MALFORMED }, /* the id of another key */
        { "example.com/log/testdatb+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
          CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkS",
          CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCF",
          CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b496+", CHY_E_MALFORMED },
        { "example.com/log/testdata+33d7b496+BOHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
          CHY_E_UNSUPPORTED }, /* a cosigner's */
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_tlog_vkey key;
        struct chy_error err;
        assert_int_equal(chy_tlog_vkey_parse(hasher, chy_str_of(rows[i].text), &key, &err),
                         rows[i].r);
    }
}

static void test_vkey_make__wants_a_plain_name(void **state)
{
    (void)state;
    static const uint8_t public_key[32];
    char name[CHY_LIMIT_NAME + 2];
    memset(name, 'n', sizeof name);
    struct chy_tlog_vkey key;
    assert_int_equal(chy_tlog_vkey_make(hasher, (struct chy_str){ name, CHY_LIMIT_NAME },
                                        public_key, &key, NULL),
                     CHY_OK);
    assert_int_equal(chy_tlog_vkey_make(hasher, (struct chy_str){ name, CHY_LIMIT_NAME + 1 },
                                        public_key, &key, NULL),
                     CHY_E_ARG);
    static const char *const bad[] = { "", "a b", "a+b", "a\n", "caf\xc3\xa9", "\x7f" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(chy_tlog_vkey_make(hasher, chy_str_of(bad[i]), public_key, &key, NULL),
                         CHY_E_ARG);
}

static void test_note__opens_what_was_made(void **state)
{
    (void)state;
    struct chy_tlog_vkey key = fixture_vkey(hasher, "example.com/log", 1);
    struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    fixture_note(hasher, &note, CHY_STR("first\n\nsecond\n"), "example.com/log", 1);
    struct chy_str text;
    assert_int_equal(
        chy_tlog_note_open(chy_buf_bytes(&note), &key, 1, CHY_STR("example.com/log"), &text, NULL),
        CHY_OK);
    assert_true(chy_str_equal_c(text, "first\n\nsecond\n"));
    assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&note), &text, NULL), CHY_OK);
    chy_buf_done(&note);
}

static void test_note_open__who_must_sign(void **state)
{
    (void)state;
    const struct chy_tlog_vkey keys[] = { fixture_vkey(hasher, "log", 1),
                                          fixture_vkey(hasher, "witness", 2) };
    const struct chy_tlog_vkey namesake = fixture_vkey(hasher, "log", 3);
    struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    fixture_note(hasher, &note, CHY_STR("text\n"), "log", 1);
    struct chy_str text;
    struct chy_bytes one = chy_buf_bytes(&note);
    assert_int_equal(chy_tlog_note_open(one, keys, 2, CHY_STR("log"), &text, NULL), CHY_OK);
    assert_int_equal(chy_tlog_note_open(one, keys, 2, CHY_STR("witness"), &text, NULL),
                     CHY_E_INTEGRITY);
    assert_int_equal(chy_tlog_note_open(one, keys + 1, 1, CHY_STR("log"), &text, NULL),
                     CHY_E_INTEGRITY);
    assert_int_equal(chy_tlog_note_open(one, &namesake, 1, CHY_STR("log"), &text, NULL),
                     CHY_E_INTEGRITY);
    assert_int_equal(chy_tlog_note_open(one, NULL, 0, CHY_STR("log"), &text, NULL),
                     CHY_E_INTEGRITY);

    /* A second line: skipped when nobody knows its key, good, or fatal. */
    struct chy_buf other;
    chy_buf_init(&other, CHY_LIMIT_NOTE);
    fixture_note(hasher, &other, CHY_STR("text\n"), "witness", 2);
    chy_buf_consume(&other, strlen("text\n\n"));
    assert_true(chy_buf_append(&note, chy_buf_bytes(&other)));
    struct chy_bytes two = chy_buf_bytes(&note);
    assert_int_equal(chy_tlog_note_open(two, keys, 1, CHY_STR("log"), &text, NULL), CHY_OK);
    assert_int_equal(chy_tlog_note_open(two, keys, 2, CHY_STR("log"), &text, NULL), CHY_OK);
    assert_int_equal(chy_tlog_note_open(two, keys, 2, CHY_STR("witness"), &text, NULL), CHY_OK);
    chy_buf_clear(&other);
    fixture_note(hasher, &other, CHY_STR("something else\n"), "witness", 2);
    chy_buf_consume(&other, strlen("something else\n\n"));
    chy_buf_clear(&note);
    fixture_note(hasher, &note, CHY_STR("text\n"), "log", 1);
    assert_true(chy_buf_append(&note, chy_buf_bytes(&other)));
    two = chy_buf_bytes(&note);
    assert_int_equal(chy_tlog_note_open(two, keys, 1, CHY_STR("log"), &text, NULL), CHY_OK);
    assert_int_equal(chy_tlog_note_open(two, keys, 2, CHY_STR("log"), &text, NULL),
                     CHY_E_INTEGRITY);
    chy_buf_done(&other);
    chy_buf_done(&note);
}

static void test_note__refuses_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl",     /* no newline at the end */
        "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl\n\n", /* a blank line after */
        "text\n\xe2\x80\x94 name c2lnbmF0dXJl\n",     /* no blank line before */
        "text\n\n\xe2\x80\x94 namec2lnbmF0dXJl\n",
        "text\n\n\xe2\x80\x94  c2lnbmF0dXJl\n",
        "text\n\n\xe2\x80\x94 na+me c2lnbmF0dXJl\n",
        "text\n\n\xe2\x80\x94 name AAAA\n",     /* shorter than a key id */
        "text\n\n\xe2\x80\x94 name AAAAAA==\n", /* a key id and nothing */
        "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl c2ln\n",
        "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl \n",
        "text\n\n- name c2lnbmF0dXJl\n",
        "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl\r\n",
        "te\txt\n\n\xe2\x80\x94 name c2lnbmF0dXJl\n",
        "te\xfft\n\n\xe2\x80\x94 name c2lnbmF0dXJl\n",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_str text;
        struct chy_error err;
        assert_int_equal(chy_tlog_note_text(chy_str_bytes(chy_str_of(bad[i])), &text, &err),
                         CHY_E_MALFORMED);
    }
    struct chy_str text;
    static const char good[] = "text\n\n\xe2\x80\x94 name c2lnbmF0dXJl\n";
    assert_int_equal(chy_tlog_note_text(chy_str_bytes(chy_str_of(good)), &text, NULL), CHY_OK);
}

/* A note of `n` signature lines of nobody, each `base64_n` long. */
static void note_of_lines(struct chy_buf *b, size_t n, size_t base64_n)
{
    chy_buf_clear(b);
    assert_true(chy_buf_append_c(b, "text\n\n"));
    for (size_t i = 0; i < n; i++) {
        assert_true(chy_buf_append_c(b, "\xe2\x80\x94 n "));
        for (size_t k = 0; k < base64_n; k++)
            assert_true(chy_buf_append_c(b, "A"));
        assert_true(chy_buf_append_c(b, "\n"));
    }
}

static void test_note__limits(void **state)
{
    (void)state;
    struct chy_str text;
    struct chy_buf b;
    chy_buf_init(&b, 4 * CHY_LIMIT_NOTE);
    note_of_lines(&b, CHY_LIMIT_NOTE_SIGNATURES, 8);
    assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&b), &text, NULL), CHY_OK);
    note_of_lines(&b, CHY_LIMIT_NOTE_SIGNATURES + 1, 8);
    assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&b), &text, NULL), CHY_E_LIMIT);
    /* "— n " has 6 bytes: the longest line, and one base 64 group more. */
    size_t longest = (CHY_LIMIT_NOTE_LINE - 6) / 4 * 4;
    note_of_lines(&b, 1, longest);
    assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&b), &text, NULL), CHY_OK);
    note_of_lines(&b, 1, longest + 4);
    assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&b), &text, NULL), CHY_E_MALFORMED);

    static const char tail[] = "\n\n\xe2\x80\x94 n c2lnbmF0dXJl\n";
    for (size_t over = 0; over < 2; over++) {
        chy_buf_clear(&b);
        while (b.n + strlen(tail) < CHY_LIMIT_NOTE + over)
            assert_true(chy_buf_append_c(&b, "x"));
        assert_true(chy_buf_append_c(&b, tail));
        assert_int_equal(b.n, CHY_LIMIT_NOTE + over);
        assert_int_equal(chy_tlog_note_text(chy_buf_bytes(&b), &text, NULL),
                         over == 0 ? CHY_OK : CHY_E_LIMIT);
    }
    chy_buf_done(&b);
}

static void test_note_make__refuses_what_is_no_text(void **state)
{
    (void)state;
    struct chy_tlog_vkey key = fixture_vkey(hasher, "log", 1);
    static const uint8_t signature[64];
    static const char *const bad[] = { "", "open", "tab\t\n", "bad \xff\n" };
    struct chy_buf b;
    chy_buf_init(&b, 64);
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(chy_tlog_note_make(&b, chy_str_of(bad[i]), &key, signature, NULL),
                         CHY_E_ARG);
    assert_int_equal(b.n, 0);
    assert_int_equal(chy_tlog_note_make(&b, CHY_STR("text\n"), &key, signature, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

static void test_note__memory_that_fails(void **state)
{
    (void)state;
    struct chy_tlog_vkey key = fixture_vkey(hasher, "log", 1);
    struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    fixture_note(hasher, &note, CHY_STR("text\n"), "log", 1);
    struct chy_str text;
    chy_mem_fail_after(0);
    enum chy_err r = chy_tlog_note_open(chy_buf_bytes(&note), &key, 1, CHY_STR("log"), &text, NULL);
    enum chy_err r_key = chy_tlog_vkey_parse(hasher, CHY_STR(EXAMPLE_VKEY), &key, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    assert_int_equal(r_key, CHY_E_NOMEM);
    chy_buf_done(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vkey__round_trips),
        cmocka_unit_test(test_vkey_parse__refuses_other_forms),
        cmocka_unit_test(test_vkey_make__wants_a_plain_name),
        cmocka_unit_test(test_note__opens_what_was_made),
        cmocka_unit_test(test_note_open__who_must_sign),
        cmocka_unit_test(test_note__refuses_other_forms),
        cmocka_unit_test(test_note__limits),
        cmocka_unit_test(test_note_make__refuses_what_is_no_text),
        cmocka_unit_test(test_note__memory_that_fails),
    };
    return cmocka_run_group_tests_name("note", tests, group_setup, group_teardown);
}
