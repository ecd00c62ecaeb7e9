/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "store/anchor.h"
#include "store_fixture.h"

static void anchor_path(const struct fixture *f, char path[128])
{
    snprintf(path, 128, "%s/anchor", f->folder);
}

static struct chy_anchor *anchor_open(struct fixture *f, bool for_writing)
{
    char path[128];
    struct chy_anchor *a = NULL;
    anchor_path(f, path);
    assert_int_equal(chy_anchor_open(path, for_writing, &a, &f->err), CHY_OK);
    return a;
}

static void write_notes(struct fixture *f, const char *const *notes, size_t n)
{
    struct chy_bytes old;
    struct chy_anchor *a = anchor_open(f, true);
    assert_int_equal(chy_anchor_read(a, &f->arena, &old, &f->err), CHY_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(chy_anchor_write(a, text_bytes(notes[i]), &f->err), CHY_OK);
    chy_anchor_close(a);
}

static void expect_note(struct fixture *f, const char *want)
{
    struct chy_bytes note;
    struct chy_anchor *a = anchor_open(f, false);
    assert_int_equal(chy_anchor_read(a, &f->arena, &note, &f->err), CHY_OK);
    assert_true(chy_bytes_equal(note, text_bytes(want)));
    chy_anchor_close(a);
}

static void damage(struct fixture *f, off_t at, const char *bytes, size_t n)
{
    char path[128];
    anchor_path(f, path);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

static void test_anchor_read__of_a_new_file_is_empty(void **state)
{
    struct fixture *f = *state;
    write_notes(f, NULL, 0);
    expect_note(f, "");
}

static void test_anchor_open__for_reading_wants_a_file(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct chy_anchor *a = NULL;
    anchor_path(f, path);
    assert_int_equal(chy_anchor_open(path, false, &a, &f->err), CHY_E_NOT_FOUND);
}

static void test_anchor_read__gives_the_newest(void **state)
{
    struct fixture *f = *state;
    static const char *const notes[] = { "one", "two", "three is longer", "4" };
    for (size_t i = 1; i <= CHY_ARRAY_LEN(notes); i++) {
        write_notes(f, &notes[i - 1], 1);
        expect_note(f, notes[i - 1]);
    }
}

static void test_anchor_read__falls_back_when_the_newest_is_torn(void **state)
{
    struct fixture *f = *state;
    static const char *const notes[] = { "one", "two" }; /* number 2 stands in slot 0 */
    write_notes(f, notes, 2);
    damage(f, 52, "x", 1);
    expect_note(f, "one");
    write_notes(f, &(const char *){ "three" }, 1);
    expect_note(f, "three");
}

static void test_anchor_read__refuses_when_no_slot_is_whole(void **state)
{
    struct fixture *f = *state;
    static const char *const notes[] = { "one", "two" };
    struct chy_bytes note;
    write_notes(f, notes, 2);
    damage(f, 52, "x", 1);
    damage(f, CHY_ANCHOR_SLOT_BYTES + 52, "x", 1);
    struct chy_anchor *a = anchor_open(f, false);
    assert_int_equal(chy_anchor_read(a, &f->arena, &note, &f->err), CHY_E_INTEGRITY);
    chy_anchor_close(a);
}

static void test_anchor_read__finds_every_changed_byte(void **state)
{
    struct fixture *f = *state;
    write_notes(f, &(const char *){ "only" }, 1); /* number 1: slot 1 */
    char path[128];
    anchor_path(f, path);
    uint8_t raw[52 + 4];
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, raw, sizeof raw, CHY_ANCHOR_SLOT_BYTES), (ssize_t)sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        uint8_t changed = raw[i] ^ 0x01;
        struct chy_bytes note;
        assert_int_equal(pwrite(fd, &changed, 1, (off_t)(CHY_ANCHOR_SLOT_BYTES + i)), 1);
        struct chy_anchor *a = anchor_open(f, false);
        assert_int_equal(chy_anchor_read(a, &f->arena, &note, &f->err), CHY_E_INTEGRITY);
        chy_anchor_close(a);
        assert_int_equal(pwrite(fd, &raw[i], 1, (off_t)(CHY_ANCHOR_SLOT_BYTES + i)), 1);
    }
    close(fd);
}

static void test_anchor_write__has_a_limit(void **state)
{
    struct fixture *f = *state;
    static const uint8_t big[CHY_ANCHOR_NOTE_BYTES + 1] = { 'x' };
    struct chy_anchor *a = anchor_open(f, true);
    assert_int_equal(chy_anchor_write(a, (struct chy_bytes){ big, CHY_ANCHOR_NOTE_BYTES }, &f->err),
                     CHY_OK);
    assert_int_equal(
        chy_anchor_write(a, (struct chy_bytes){ big, CHY_ANCHOR_NOTE_BYTES + 1 }, &f->err),
        CHY_E_LIMIT);
    chy_anchor_close(a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_anchor_read__of_a_new_file_is_empty),
        T(test_anchor_open__for_reading_wants_a_file),
        T(test_anchor_read__gives_the_newest),
        T(test_anchor_read__falls_back_when_the_newest_is_torn),
        T(test_anchor_read__refuses_when_no_slot_is_whole),
        T(test_anchor_read__finds_every_changed_byte),
        T(test_anchor_write__has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
