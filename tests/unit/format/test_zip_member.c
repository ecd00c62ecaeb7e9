/* SPDX-License-Identifier: MIT */
/* Taking the last member out of an archive gives the archive without it, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "file_fixture.h"
#include "format/zip_member.h"

#define NAME      "sig"
#define HEAD      30
#define ENTRY     46
#define END       22
#define MEMBER    (HEAD + 3 + 5) /* its name, and "DATA!" */
#define SIG_ENTRY (ENTRY + 3)

/* How an archive differs from a plain one. */
struct odd {
    bool is_big;
    bool is_first;       /* the signature's entry in the directory */
    uint16_t flags;      /* of the signature */
    const char *sizes;   /* behind its data */
    const char *between; /* after that */
    const char *called;  /* in its head */
    bool is_absent;
};

static struct file file;
static struct chy_buf behind;
static struct chy_zip_member member;
static struct chy_error err;

static struct chy_str text(const char *s)
{
    return chy_str_of(s != NULL ? s : "");
}

static void head_put(const char *name, const char *data, uint16_t flags)
{
    file_text(&file, CHY_STR("PK\3\4\24\0"));
    file_le(&file, 2, flags);
    file_pad(&file, file.n + 18);
    file_le(&file, 2, strlen(name));
    file_le(&file, 2, 0);
    file_text(&file, text(name));
    file_text(&file, text(data));
}

static void entry_put(const char *name, size_t size, uint64_t place, uint16_t flags)
{
    file_text(&file, CHY_STR("PK\1\2\24\0\24\0"));
    file_le(&file, 2, flags);
    file_pad(&file, file.n + 10);
    file_le(&file, 4, size);
    file_le(&file, 4, size);
    file_le(&file, 2, strlen(name));
    file_pad(&file, file.n + 12);
    file_le(&file, 4, place);
    file_text(&file, text(name));
}

static void ends_put(const struct odd *odd, uint64_t n, uint64_t at)
{
    uint64_t size = file.n - at;
    uint64_t here = file.n;
    if (odd->is_big) {
        file_text(&file, CHY_STR("PK\6\6"));
        file_le(&file, 8, 44);
        file_pad(&file, file.n + 12);
        file_le(&file, 8, n);
        file_le(&file, 8, n);
        file_le(&file, 8, size);
        file_le(&file, 8, at);
        file_text(&file, CHY_STR("PK\6\7\0\0\0\0"));
        file_le(&file, 8, here);
        file_le(&file, 4, 1);
    }
    file_text(&file, CHY_STR("PK\5\6\0\0\0\0"));
    file_le(&file, 2, odd->is_big ? 0xffff : n);
    file_le(&file, 2, n);
    file_le(&file, 4, size);
    file_le(&file, 4, odd->is_big ? 0xffffffff : at);
    file_le(&file, 2, 4);
    file_text(&file, CHY_STR("note"));
}

/* Two members, and the signature behind them unless it is absent. */
static void archive_make(const struct odd *odd)
{
    file_init(&file);
    head_put("a", "first", 0);
    uint64_t second = file.n;
    head_put("b", "second", 0);
    uint64_t last = file.n;
    if (!odd->is_absent) {
        head_put(odd->called != NULL ? odd->called : NAME, "DATA!", odd->flags);
        file_text(&file, text(odd->sizes));
        file_text(&file, text(odd->between));
    }
    uint64_t at = file.n;
    if (odd->is_first && !odd->is_absent)
        entry_put(NAME, 5, last, odd->flags);
    entry_put("a", 5, 0, 0);
    entry_put("b", 6, second, 0);
    if (!odd->is_first && !odd->is_absent)
        entry_put(NAME, 5, last, odd->flags);
    ends_put(odd, odd->is_absent ? 2 : 3, at);
}

static enum chy_err take_out(struct chy_str name, size_t max)
{
    struct chy_bytes bytes = { file.p, file.n };
    const struct chy_format_source source = { bytes.n, chy_format_read_memory, &bytes };
    chy_buf_done(&behind);
    chy_buf_init(&behind, max);
    return chy_zip_member_out(&source, name, &behind, &member, &err);
}

static enum chy_err outcome(const struct odd *odd)
{
    archive_make(odd);
    enum chy_err r = take_out(CHY_STR(NAME), CHY_LIMIT_FORMAT_READ);
    file_done(&file);
    return r;
}

/* What is left is the archive that never had it. */
static void expect_same(struct odd odd)
{
    assert_int_equal(outcome(&odd), CHY_OK);
    struct chy_zip_member taken = member;
    odd.is_absent = true;
    archive_make(&odd);
    assert_int_equal(taken.before.offset, 0);
    assert_int_equal(taken.before.size + behind.n, file.n);
    assert_memory_equal(behind.p, file.p + taken.before.size, behind.n);
    assert_int_equal(taken.data.offset, taken.before.size + HEAD + 3);
    assert_int_equal(taken.data.size, 5);
    assert_int_equal(taken.is_big, odd.is_big);
    assert_int_equal(taken.is_plain, odd.sizes == NULL);
    file_done(&file);
}

static void test_taken_out(void **state)
{
    (void)state;
    expect_same((struct odd){ .is_big = false });
    expect_same((struct odd){ .is_big = true });
    expect_same((struct odd){ .is_first = true });
    expect_same((struct odd){ .flags = 8, .sizes = "PK\7\10CCCCssssSSSS" });
}

static void test_odd_archives(void **state)
{
    (void)state;
    assert_int_equal(outcome(&(struct odd){ .is_absent = true }), CHY_E_NOT_FOUND);
    assert_int_equal(outcome(&(struct odd){ .between = "evil" }), CHY_E_UNSUPPORTED);
    assert_int_equal(outcome(&(struct odd){ .sizes = "CCCCssssSSSS" }), CHY_E_UNSUPPORTED);
    assert_int_equal(outcome(&(struct odd){ .flags = 8, .sizes = "8 bytes." }), CHY_E_UNSUPPORTED);
    assert_int_equal(outcome(&(struct odd){ .flags = 1 }), CHY_E_UNSUPPORTED);
    assert_int_equal(outcome(&(struct odd){ .called = "gis" }), CHY_E_MALFORMED);
    assert_int_equal(outcome(&(struct odd){ .called = "sigs" }), CHY_E_MALFORMED);
}

/* The numbers of entries, which are put back as they were, are of one archive. */
static void test_two_numbers_of_entries(void **state)
{
    (void)state;
    for (int is_big = 0; is_big < 2; is_big++) {
        const struct odd odd = { .is_big = is_big != 0 };
        archive_make(&odd);
        uint8_t *end = file.p + file.n - END - 4;
        assert_int_equal(end[0], 'P');
        (is_big != 0 ? end - 20 - 56 + 24 : end + 8)[0] = 2;
        assert_int_equal(take_out(CHY_STR(NAME), CHY_LIMIT_FORMAT_READ), CHY_E_MALFORMED);
        file_done(&file);
    }
}

/* Of two of a name, or where the others lie behind it. */
static void test_places(void **state)
{
    (void)state;
    archive_make(&(struct odd){ .is_big = false });
    assert_int_equal(take_out(CHY_STR("a"), 1 << 16), CHY_E_UNSUPPORTED);
    size_t directory = file.n - 4 - END - SIG_ENTRY - 2 * (ENTRY + 1);
    file_set_le(&file, directory + ENTRY + 1 + 42, 4, directory); /* the place of "b" */
    assert_int_equal(take_out(CHY_STR(NAME), 1 << 16), CHY_E_UNSUPPORTED);
    file_done(&file);
    archive_make(&(struct odd){ .is_big = false });
    file_set_text(&file, directory + ENTRY, CHY_STR(NAME)); /* over what follows: no entry */
    assert_int_equal(take_out(CHY_STR(NAME), 1 << 16), CHY_E_MALFORMED);
    file_done(&file);
    archive_make(&(struct odd){ .is_big = false });
    file_set_text(&file, directory + ENTRY, CHY_STR("b"));
    assert_int_equal(take_out(CHY_STR("b"), 1 << 16), CHY_E_MALFORMED);
    file_done(&file);
}

static void test_cut_off(void **state)
{
    (void)state;
    archive_make(&(struct odd){ .is_big = true });
    size_t whole = file.n;
    for (size_t n = 0; n < whole; n++) {
        file.n = n;
        assert_int_equal(take_out(CHY_STR(NAME), 1 << 16), CHY_E_MALFORMED);
    }
    file.n = whole;
    assert_int_equal(take_out(CHY_STR(NAME), 1 << 16), CHY_OK);
    size_t n = behind.n;
    assert_int_equal(take_out(CHY_STR(NAME), n), CHY_OK);
    assert_int_equal(take_out(CHY_STR(NAME), n - 1), CHY_E_LIMIT);
    file_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_out),
        cmocka_unit_test(test_odd_archives),
        cmocka_unit_test(test_two_numbers_of_entries),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_cut_off),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    chy_buf_done(&behind);
    return failed;
}
