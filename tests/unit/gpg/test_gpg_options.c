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
#include "gpg/options.h"

static struct chy_arena arena;
static struct chy_gnupg_options options;
static struct chy_error err;

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

/* The words of a line, split at blanks. */
static enum chy_err options_of(const char *line)
{
    static char text[512];
    char *argv[32];
    int n = 0;
    argv[n++] = text;
    (void)snprintf(text, sizeof text, "gpg %s", line);
    for (char *c = text; *c != '\0'; c++) {
        if (*c != ' ')
            continue;
        *c = '\0';
        if (c[1] != '\0')
            argv[n++] = c + 1;
    }
    argv[n] = NULL;
    return chy_gnupg_options_read(&chy_gpg_table, n, argv, &arena, &options, &err);
}

static void assert_str(struct chy_str s, const char *want)
{
    assert_true(chy_str_equal_c(s, want));
}

/* As git, rpmsign and debsigs call it. */
static void test_options__as_tools_call_us(void **state)
{
    (void)state;
    assert_int_equal(options_of("--status-fd=2 -bsau release"), CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_DETACH_SIGN);
    assert_true(options.is_armored);
    assert_str(options.local_user, "release");
    assert_str(options.status_fd, "2");
    assert_int_equal(options.words.n, 0);

    assert_int_equal(options_of("--no-verbose --no-armor --no-secmem-warning --digest-algo=sha256 "
                                "-u Example -sbo a.sig -- -a"),
                     CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_DETACH_SIGN);
    assert_false(options.is_armored);
    assert_str(options.digest_algo, "sha256");
    assert_str(options.output, "a.sig");
    assert_int_equal(options.words.n, 1);
    assert_str(options.words.p[0], "-a");

    assert_int_equal(options_of("--openpgp --detach-sign --default-key release"), CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_DETACH_SIGN);
    assert_str(options.default_key, "release");

    assert_int_equal(options_of("--local-user k --clearsign --list-options no-show-policy-urls "
                                "--armor --textmode --output a.asc a"),
                     CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_CLEAR_SIGN);
    assert_true(options.is_text);
    assert_str(options.output, "a.asc");
}

static void test_options__letters(void **state)
{
    (void)state;
    assert_int_equal(options_of("-s -oout -"), CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_SIGN);
    assert_str(options.output, "out");
    assert_str(options.words.p[0], "-");
    assert_int_equal(options_of("-qbuk f"), CHY_OK);
    assert_true(options.is_quiet);
    assert_str(options.local_user, "k");
    assert_str(options.words.p[0], "f");
    assert_int_equal(options_of("-a --no-armor --yes --no -v"), CHY_OK);
    assert_false(options.is_armored || options.is_yes);
    assert_true(options.is_verbose);
}

static void test_options__what_is_handed_over(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--keyid-format=long --status-fd=1 --verify a.sig -",
        "--verify",
        "-d a.gpg",
        "--some-option --decrypt a",
        "--list-packets",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lines); i++) {
        assert_int_equal(options_of(lines[i]), CHY_OK);
        assert_int_equal(options.command, CHY_GNUPG_HAND_OVER);
    }
    assert_int_equal(options_of("-b -- --verify"), CHY_OK);
    assert_int_equal(options.command, CHY_GNUPG_DETACH_SIGN);
}

static void test_options__errors(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum chy_err want;
        const char *text;
    } rows[] = {
        { "--encrypt", CHY_E_UNSUPPORTED, "--encrypt" },
        { "-e", CHY_E_UNSUPPORTED, "-e" },
        { "-be", CHY_E_UNSUPPORTED, "-be" },
        { "--encrypt=x", CHY_E_UNSUPPORTED, "\"--encrypt\"" },
        { "--export-secret-keys", CHY_E_UNSUPPORTED, "--export-secret-keys" },
        { "--output", CHY_E_ARG, "--output" },
        { "--output=", CHY_E_ARG, "--output" },
        { "-o", CHY_E_ARG, "--output" },
        { "--homedir", CHY_E_ARG, "--homedir" },
        { "--armor=yes", CHY_E_ARG, "--armor" },
        { "-b --clear-sign", CHY_E_ARG, "--clear-sign" },
        { "--export --list-keys", CHY_E_ARG, "--list-keys" },
        { "-u a -u b", CHY_E_UNSUPPORTED, "--local-user" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(options_of(rows[i].line), rows[i].want);
        assert_non_null(strstr(err.text, rows[i].text));
    }
    assert_int_equal(options_of("-u a -u a"), CHY_OK);
    chy_arena_done(&arena);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_mem_fail_after(0);
    enum chy_err r = options_of("-b");
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

static void test_help__tells_the_options(void **state)
{
    (void)state;
    struct chy_buf out;
    chy_buf_init(&out, 8192);
    chy_gnupg_options_help(&chy_gpg_table, &out);
    chy_buf_append_u8(&out, 0);
    assert_int_equal(chy_buf_check(&out, NULL), CHY_OK);
    assert_non_null(strstr((const char *)out.p, "  --detach-sign, -b "));
    assert_non_null(strstr((const char *)out.p, "  --digest-algo "));
    assert_null(strstr((const char *)out.p, "homedir"));
    chy_buf_done(&out);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_options__as_tools_call_us),    T(test_options__letters),
        T(test_options__what_is_handed_over), T(test_options__errors),
        T(test_help__tells_the_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
