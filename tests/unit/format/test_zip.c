/* SPDX-License-Identifier: MIT */
/* Archives, told apart by the names in their directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "file_fixture.h"

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SIG_BLOCK  "........APK Sig Block 42"

static struct file f;

static int setup(void **state)
{
    (void)state;
    file_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_done(&f);
    return 0;
}

static const struct {
    enum chy_format_kind kind;
    bool is_signed;
    const char *const *names;
    const char *between;
} rows[] = {
    { CHY_FORMAT_JAR, false, NAMES("META-INF/", "META-INF/MANIFEST.MF", "a.class"), "" },
    { CHY_FORMAT_JAR, true, NAMES("META-INF/MANIFEST.MF", "META-INF/CODE.SF"), "" },
    { CHY_FORMAT_JAR, true, NAMES("META-INF/MANIFEST.MF", "META-INF/code.sf"), "" },
    { CHY_FORMAT_JAR, false, NAMES("META-INF/MANIFEST.MF", "META-INF/x/CODE.SF"), "" },
    { CHY_FORMAT_WAR, false, NAMES("META-INF/MANIFEST.MF", "WEB-INF/web.xml"), "" },
    { CHY_FORMAT_EAR, false, NAMES("META-INF/MANIFEST.MF", "META-INF/application.xml"), "" },
    { CHY_FORMAT_APK, false, NAMES("AndroidManifest.xml", "classes.dex"), "" },
    { CHY_FORMAT_APK, true, NAMES("AndroidManifest.xml", "classes.dex"), SIG_BLOCK },
    { CHY_FORMAT_APK, true, NAMES("AndroidManifest.xml", "META-INF/MANIFEST.MF", "META-INF/C.SF"),
      "" },
    { CHY_FORMAT_MSIX, false, NAMES("[Content_Types].xml", "AppxManifest.xml"), "" },
    { CHY_FORMAT_MSIX, true, NAMES("[Content_Types].xml", "AppxManifest.xml", "AppxSignature.p7x"),
      "" },
    { CHY_FORMAT_MSIX, false, NAMES("[Content_Types].xml", "AppxMetadata/AppxBundleManifest.xml"),
      "" },
    { CHY_FORMAT_NUGET, false, NAMES("[Content_Types].xml", "Lib.nuspec"), "" },
    { CHY_FORMAT_NUGET, true, NAMES("[Content_Types].xml", "Lib.nuspec", ".signature.p7s"), "" },
    { CHY_FORMAT_ZIP, false, NAMES("[Content_Types].xml", "word/document.xml"), "" },
    { CHY_FORMAT_ZIP, false, NAMES("deep/Lib.nuspec", "[Content_Types].xml"), "" },
    { CHY_FORMAT_ZIP, false, NAMES("xMETA-INF/MANIFEST.MF", "WEB-INF"), SIG_BLOCK },
};

static void test_zip__each_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        f.n = 0;
        file_zip(&f, rows[i].names, rows[i].between, "");
        file_expect(&f, "", rows[i].kind, rows[i].is_signed);
    }
}

static void test_zip__by_its_name(void **state)
{
    (void)state;
    file_zip(&f, NAMES("a.class"), "", "");
    file_expect(&f, "x.jar", CHY_FORMAT_JAR, false);
    file_expect(&f, "X.WAR", CHY_FORMAT_WAR, false);
    file_expect(&f, "jar", CHY_FORMAT_ZIP, false);
}

static void test_zip__empty(void **state)
{
    (void)state;
    file_zip(&f, NAMES(NULL), "", "");
    file_expect(&f, "", CHY_FORMAT_ZIP, false);
}

/* What looks like another end, of another directory: some readers take it for the end. */
static void test_zip__end_in_a_comment(void **state)
{
    (void)state;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "PK\5\5 is no end");
    file_expect(&f, "", CHY_FORMAT_JAR, false);
    f.n = 0;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "PK\5\6 is the end to some");
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

/* Readers that count back from the end see another directory than those that go by its place. */
static void test_zip__gap_behind_the_directory(void **state)
{
    (void)state;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "");
    size_t end = f.n - 22;
    f.n = end;
    file_text(&f, CHY_STR("."));
    file_text(&f, CHY_STR("PK\5\6\0\0\0\0\1\0\1\0"));
    file_le(&f, 4, 46 + sizeof "META-INF/MANIFEST.MF" - 1);
    file_le(&f, 4, end - (46 + sizeof "META-INF/MANIFEST.MF" - 1));
    file_le(&f, 2, 0);
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

static void test_zip__longest_comment_and_more(void **state)
{
    static char comment[65536];
    (void)state;
    memset(comment, 'c', sizeof comment - 1);
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", comment);
    file_expect(&f, "", CHY_FORMAT_JAR, false);
    file_text(&f, CHY_STR("1"));
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

/* The end of a big archive points to a record of 64-bit numbers. */
static void make_zip64(void)
{
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "");
    size_t end = f.n - 22;
    uint64_t size = 46 + sizeof "META-INF/MANIFEST.MF" - 1;
    f.n = end;
    file_text(&f, CHY_STR("PK\6\6"));
    file_pad(&f, end + 24);
    file_le(&f, 8, 1);
    file_le(&f, 8, 1);
    file_le(&f, 8, size);
    file_le(&f, 8, end - size);
    file_text(&f, CHY_STR("PK\6\7\0\0\0\0"));
    file_le(&f, 8, end);
    file_le(&f, 4, 1);
    file_text(&f, CHY_STR("PK\5\6\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0"));
}

static void test_zip__64_bits(void **state)
{
    (void)state;
    make_zip64();
    file_expect(&f, "", CHY_FORMAT_JAR, false);
    file_set_le(&f, f.n - 34, 8, UINT64_MAX);
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

/* The end's own numbers, where it has some, are those of the record. */
static void test_zip__two_directories(void **state)
{
    uint64_t size = 46 + sizeof "META-INF/MANIFEST.MF" - 1;
    (void)state;
    make_zip64();
    const struct {
        size_t from_end;
        size_t bytes;
        uint64_t right;
    } numbers[] = { { 12, 2, 1 }, { 10, 4, size }, { 6, 4, f.n - 98 - size } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(numbers); i++) {
        size_t at = f.n - numbers[i].from_end;
        file_set_le(&f, at, numbers[i].bytes, numbers[i].right);
        file_expect(&f, "", CHY_FORMAT_JAR, false);
        file_set_le(&f, at, numbers[i].bytes, numbers[i].right + 1);
        file_expect_broken(&f, "", CHY_FORMAT_ZIP);
        file_set_le(&f, at, numbers[i].bytes, numbers[i].right);
    }
}

static void test_zip__directory_past_the_end(void **state)
{
    (void)state;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "");
    file_set_le(&f, f.n - 10, 4, 0xffffffff);
    file_expect_broken(&f, "x.jar", CHY_FORMAT_JAR);
    file_set_le(&f, f.n - 10, 4, 1);
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

static void test_zip__more_entries_than_there_are(void **state)
{
    (void)state;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF"), "", "");
    file_set_le(&f, f.n - 12, 2, 2);
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
    file_set_le(&f, f.n - 14, 2, 2);
    file_expect_broken(&f, "", CHY_FORMAT_ZIP);
}

/* Wherever it is cut, nothing is read past its end. */
static void test_zip__cut_short(void **state)
{
    (void)state;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF", "a.class"), "", "");
    while (--f.n >= 4)
        file_expect_broken(&f, "x.jar", CHY_FORMAT_JAR);
    file_expect(&f, "x.jar", CHY_FORMAT_UNKNOWN, false);
}

static void test_zip__name_at_the_limit(void **state)
{
    char name[CHY_LIMIT_FORMAT_NAME + 2] = "META-INF/";
    (void)state;
    memset(name + 9, 'x', sizeof name - 9);
    memcpy(name + CHY_LIMIT_FORMAT_NAME - 3, ".SF", 4);
    file_zip(&f, NAMES("META-INF/MANIFEST.MF", name), "", "");
    file_expect(&f, "", CHY_FORMAT_JAR, true);
    memcpy(name + CHY_LIMIT_FORMAT_NAME - 3, "x.SF", 5);
    f.n = 0;
    file_zip(&f, NAMES("META-INF/MANIFEST.MF", name), "", "");
    file_expect(&f, "", CHY_FORMAT_JAR, false);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_zip__each_kind),
        T(test_zip__by_its_name),
        T(test_zip__empty),
        T(test_zip__end_in_a_comment),
        T(test_zip__gap_behind_the_directory),
        T(test_zip__longest_comment_and_more),
        T(test_zip__64_bits),
        T(test_zip__two_directories),
        T(test_zip__directory_past_the_end),
        T(test_zip__more_entries_than_there_are),
        T(test_zip__cut_short),
        T(test_zip__name_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
