/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "os/fd.h"
#include "os/log.h"

struct fixture {
    int fds[2];
    struct chy_log lg;
    char text[CHY_LIMIT_LOG_LINE * 2];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (f == NULL || pipe(f->fds) != 0)
        return -1;
    chy_log_init(&f->lg, f->fds[1], CHY_LOG_INFO, "signer", false);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->fds[0]);
    close(f->fds[1]);
    free(f);
    return 0;
}

/* What was written, checked to be one line of printable ASCII or whole UTF-8 characters. */
static const char *line(struct fixture *f)
{
    ssize_t n = read(f->fds[0], f->text, sizeof f->text - 1);
    assert_true(n > 0 && n <= CHY_LIMIT_LOG_LINE);
    f->text[n] = '\0';
    assert_int_equal(strlen(f->text), n);
    assert_ptr_equal(strchr(f->text, '\n'), f->text + n - 1);
    assert_true(chy_text_is_plain((struct chy_str){ f->text, (size_t)n - 1 }));
    return f->text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no %s in %s", part, text);
}

static void test_log__form(void **state)
{
    struct fixture *f = *state;
    const uint8_t id[] = { 0xab, 0x01 };
    chy_log(&f->lg, CHY_LOG_NOTICE, "sign.done", CHY_L_STR("key", CHY_STR("rel\xc3\xa9")),
            CHY_L_U64("n", UINT64_MAX), CHY_L_I64("d", INT64_MIN), CHY_L_BOOL("ok", true),
            CHY_L_HEX("id", ((struct chy_bytes){ id, 2 })), CHY_L_CSTR("none", NULL));
    const char *l = line(f);
    char expected[512];
    int pid = (int)getpid();
    snprintf(expected, sizeof expected,
             "\",\"level\":\"notice\",\"role\":\"signer\",\"pid\":%d,\"event\":\"sign.done\","
             "\"key\":\"rel\xc3\xa9\",\"n\":18446744073709551615,\"d\":-9223372036854775808,"
             "\"ok\":true,\"id\":\"ab01\",\"none\":\"\"}\n",
             pid);
    static const char time_form[] = "{\"time\":\"2026-01-01T00:00:00.000000Z";
    assert_memory_equal(l, "{\"time\":\"2", 10);
    assert_string_equal(l + sizeof time_form - 1, expected);
}

static void test_log__no_fields(void **state)
{
    struct fixture *f = *state;
    chy_log(&f->lg, CHY_LOG_ERROR, "a.b");
    assert_has(line(f), "\"level\":\"error\"");
}

static void test_log__planted_bytes_stay_in_their_field(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } rows[] = {
        { "a\nb", 3, "\"a\\u000ab\"" },
        { "\",\"x\":1", 7, "\"\\\",\\\"x\\\":1\"" },
        { "\\", 1, "\"\\\\\"" },
        { "\0z", 2, "\"\\u0000z\"" },
        { "\x1b[31m", 5, "\"\\u001b[31m\"" },
        { "\x7f", 1, "\"\\u007f\"" },
        { "\xc2\x9b", 2, "\"\\u009b\"" },     /* CSI in one character */
        { "\xff", 1, "\"\\ufffd\"" },         /* not UTF-8 */
        { "\xe2\x80\xae", 3, "\"\\u202e\"" }, /* turns the text around */
        { "\xe2\x80\xa8", 3, "\"\\u2028\"" }, /* line separator */
        { "\xf0\x9f\x94\x91", 4, "\xf0\x9f\x94\x91" },
        { "\xe2\x82", 2, "\"\\ufffd\\ufffd\"" }, /* cut off */
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        chy_log(&f->lg, CHY_LOG_INFO, "x",
                CHY_L_STR("v", ((struct chy_str){ rows[i].in, rows[i].n })));
        assert_has(line(f), rows[i].out);
    }
}

static void test_log__every_byte_in_an_error_text(void **state)
{
    struct fixture *f = *state;
    struct chy_error err = { .code = CHY_E_IO, .sys = 5, .where = "src/x.c:1" };
    for (int c = 1; c < 256; c++) {
        err.text[0] = (char)c;
        chy_log(&f->lg, CHY_LOG_ERROR, "x", CHY_L_ERR(&err));
        const char *l = line(f);
        assert_has(l, "\"error\":\"E_IO\",\"error_text\":\"");
        assert_has(l, "\",\"error_where\":\"src/x.c:1\",\"error_sys\":5}\n");
    }
    chy_log(&f->lg, CHY_LOG_ERROR, "x", CHY_L_ERR(NULL));
    assert_has(line(f), "\"error\":null}");
}

static void test_log__long_text_is_cut_at_a_character(void **state)
{
    struct fixture *f = *state;
    char s[CHY_LIMIT_LOG_FIELD + 2];
    memset(s, 'x', sizeof s);
    chy_log(&f->lg, CHY_LOG_INFO, "x",
            CHY_L_STR("v", ((struct chy_str){ s, CHY_LIMIT_LOG_FIELD })));
    assert_null(strstr(line(f), "..."));
    memcpy(s + CHY_LIMIT_LOG_FIELD - 1, "\xc3\xa9", 2);
    chy_log(&f->lg, CHY_LOG_INFO, "x",
            CHY_L_STR("v", ((struct chy_str){ s, CHY_LIMIT_LOG_FIELD + 1 })));
    assert_has(line(f), "x...\"}\n");
}

static void test_log__line_limit_drops_whole_fields_and_says_so(void **state)
{
    struct fixture *f = *state;
    char s[CHY_LIMIT_LOG_FIELD];
    memset(s, 1, sizeof s); /* each byte becomes six */
    struct chy_str v = { s, sizeof s };
    chy_log(&f->lg, CHY_LOG_INFO, "x", CHY_L_STR("a", v), CHY_L_STR("b", v), CHY_L_U64("c", 7));
    const char *l = line(f);
    assert_has(l, "\"a\":\"\\u0001");
    assert_null(strstr(l, "\"b\""));
    assert_has(l, "\"c\":7,\"cut\":true}\n");
}

static void test_log__levels(void **state)
{
    struct fixture *f = *state;
    chy_log(&f->lg, CHY_LOG_DEBUG, "left.out");
    chy_log(&f->lg, CHY_LOG_INFO, "kept");
    assert_has(line(f), "kept");
    assert_true(chy_log_is_on(&f->lg, CHY_LOG_INFO));
    assert_false(chy_log_is_on(&f->lg, CHY_LOG_DEBUG));
    assert_false(chy_log_is_on(NULL, CHY_LOG_ERROR));
    chy_log(NULL, CHY_LOG_ERROR, "nowhere");
}

static void test_log__journal_prefix(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char stream[64];
    assert_int_equal(fstat(f->fds[1], &st), 0);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_false(chy_log_is_journal(f->fds[1]));
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    assert_true(chy_log_is_journal(f->fds[1]));
    assert_false(chy_log_is_journal(STDIN_FILENO));
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    f->lg.has_prefix = true;
    chy_log(&f->lg, CHY_LOG_WARNING, "x");
    assert_memory_equal(line(f), "<4>{\"time\"", 10);
}

static void test_log__lost_lines_are_counted_and_told(void **state)
{
    struct fixture *f = *state;
    int pipe_end = f->lg.fd;
    f->lg.fd = -1;
    errno = 77;
    chy_log(&f->lg, CHY_LOG_INFO, "x");
    chy_log(&f->lg, CHY_LOG_INFO, "x");
    assert_int_equal(errno, 77);
    assert_int_equal(f->lg.lost, 2);
    f->lg.fd = pipe_end;
    chy_log(&f->lg, CHY_LOG_INFO, "y");
    assert_has(line(f), "\"lost_lines\":2");
    chy_log(&f->lg, CHY_LOG_INFO, "z");
    assert_null(strstr(line(f), "lost_lines"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log__form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log__no_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log__planted_bytes_stay_in_their_field, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log__every_byte_in_an_error_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log__long_text_is_cut_at_a_character, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log__line_limit_drops_whole_fields_and_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log__levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log__journal_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log__lost_lines_are_counted_and_told, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
