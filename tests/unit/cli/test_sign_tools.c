/* SPDX-License-Identifier: MIT */
/* Which tool signs a file of a kind, and by which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cli/sign/files.h"

static struct chy_arena arena;
static struct sign_run run;
static struct sign_file file;
static struct chy_error err;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    run = (struct sign_run){ .key = CHY_STR("release") };
    run.certificates.cert = CHY_STR("/d/cert.pem");
    file = (struct sign_file){ .path = "/f/app", .unplaced = "/f/.chancery-1/app" };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

/* All but the program that `ctx` names. */
static bool is_there(void *ctx, const char *program)
{
    return ctx == NULL || strcmp(ctx, program) != 0;
}

static const char *choose(enum chy_format_kind kind, const char *name, const char *missing)
{
    struct chy_error ignored;
    return sign_tool_choose(kind, chy_str_of(name), is_there, CHY_UNCONST(char *, missing),
                            &file.tool, missing != NULL ? &ignored : &err) == CHY_OK
               ? file.tool->name
               : "";
}

static const char *words(void)
{
    static char text[4096];
    struct chy_strs got;
    size_t n = 0;
    assert_int_equal(sign_tool_words(&run, &file, &arena, &got, &err), CHY_OK);
    for (size_t i = 0; i < got.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i != 0 ? " " : "",
                              CHY_STR_ARG(got.p[i]));
    return text;
}

static void test_choose__each_kind(void **state)
{
    static const struct {
        enum chy_format_kind kind;
        const char *tool;
    } rows[] = {
        { CHY_FORMAT_UNKNOWN, "cms" },      { CHY_FORMAT_JAR, "jarsigner" },
        { CHY_FORMAT_WAR, "jarsigner" },    { CHY_FORMAT_EAR, "jarsigner" },
        { CHY_FORMAT_APK, "apksigner" },    { CHY_FORMAT_MSIX, "jsign" },
        { CHY_FORMAT_NUGET, "jsign" },      { CHY_FORMAT_ZIP, "cms" },
        { CHY_FORMAT_PE, "osslsigncode" },  { CHY_FORMAT_EFI, "sbsign" },
        { CHY_FORMAT_MSI, "osslsigncode" }, { CHY_FORMAT_CAB, "osslsigncode" },
        { CHY_FORMAT_CAT, "osslsigncode" }, { CHY_FORMAT_POWERSHELL, "jsign" },
        { CHY_FORMAT_MODULE, "module" },    { CHY_FORMAT_FIT, "" },
        { CHY_FORMAT_XML, "cms" },          { CHY_FORMAT_RPM, "rpmsign" },
        { CHY_FORMAT_DEB, "debsigs" },
    };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_string_equal(choose(rows[i].kind, NULL, NULL), rows[i].tool);
}

static void test_choose__by_name(void **state)
{
    (void)state;
    assert_string_equal(choose(CHY_FORMAT_PE, "jsign", NULL), "jsign");
    assert_string_equal(choose(CHY_FORMAT_PE, "cms", NULL), "cms");
    assert_string_equal(choose(CHY_FORMAT_PE, "jarsigner", NULL), "");
    assert_string_equal(err.text, "jarsigner is not known to sign what is pe");
    assert_string_equal(choose(CHY_FORMAT_PE, "rm", NULL), "");
    assert_int_equal(err.code, CHY_E_NOT_FOUND);
}

static void test_choose__what_is_installed(void **state)
{
    (void)state;
    assert_string_equal(choose(CHY_FORMAT_PE, NULL, "osslsigncode"), "jsign");
    assert_string_equal(choose(CHY_FORMAT_JAR, NULL, "jarsigner"), "");
    assert_int_equal(sign_tool_choose(CHY_FORMAT_JAR, (struct chy_str){ 0 }, is_there,
                                      CHY_UNCONST(char *, "jarsigner"), &file.tool, &err),
                     CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "jarsigner, which signs what is jar, is not in PATH: see "
                                     "docs/tools/java.md"));
}

static void test_words__time_stamps(void **state)
{
    (void)state;
    choose(CHY_FORMAT_JAR, NULL, NULL);
    assert_string_equal(words(), "jarsigner -signedjar /f/.chancery-1/app /f/app release");
    run.tsa = CHY_STR("http://tsa");
    assert_string_equal(words(),
                        "jarsigner -tsa http://tsa -signedjar /f/.chancery-1/app /f/app release");
    choose(CHY_FORMAT_EFI, NULL, NULL);
    assert_string_equal(words(), "sbsign --key pkcs11:object=release --cert /d/cert.pem --output "
                                 "/f/.chancery-1/app /f/app");
}

static void test_words__chain(void **state)
{
    (void)state;
    choose(CHY_FORMAT_PE, NULL, NULL);
    assert_null(strstr(words(), "-ac"));
    run.certificates.issuers = CHY_STR("/d/issuers.pem");
    assert_non_null(strstr(words(), "-ac /d/issuers.pem -pkcs11cert"));
}

static void test_words__force(void **state)
{
    (void)state;
    choose(CHY_FORMAT_PE, "jsign", NULL);
    assert_string_equal(words(), "jsign --alias release /f/.chancery-1/app");
    file.result.was_signed = true;
    assert_string_equal(words(), "jsign --alias release --replace /f/.chancery-1/app");
}

static void test_words__key_in_a_uri(void **state)
{
    (void)state;
    run.key = CHY_STR("a b;c/%\xc3\xa9");
    choose(CHY_FORMAT_EFI, NULL, NULL);
    assert_non_null(strstr(words(), "pkcs11:object=a%20b%3Bc%2F%25%C3%A9 "));
}

static void test_words__no_memory(void **state)
{
    struct chy_strs got;
    struct chy_arena small;
    (void)state;
    choose(CHY_FORMAT_JAR, NULL, NULL);
    chy_arena_init(&small, 1);
    assert_int_equal(sign_tool_words(&run, &file, &small, &got, &err), CHY_E_NOMEM);
    chy_arena_done(&small);
}

/* Every program of the table is in the table of chancery exec, too: else it finds no key. */
static void test_table__exec_knows_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sign_tools_n; i++) {
        if (sign_tools[i].words == NULL)
            continue;
        struct chy_str word = chy_str_of(sign_tools[i].words[0]);
        const struct chy_strs one = { &word, 1 };
        assert_string_equal(chy_exec_tool_find(&one)->name, sign_tools[i].name);
        assert_non_null(sign_tools[i].again);
    }
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_choose__each_kind),   T(test_choose__by_name),  T(test_choose__what_is_installed),
        T(test_words__time_stamps),  T(test_words__chain),     T(test_words__force),
        T(test_words__key_in_a_uri), T(test_words__no_memory), T(test_table__exec_knows_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
