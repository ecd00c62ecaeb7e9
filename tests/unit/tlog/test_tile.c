/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "tlog/tile.h"

static void test_tile__paths_round_trip(void **state)
{
    (void)state;
    static const struct {
        struct chy_tlog_tile tile;
        const char *path;
    } rows[] = {
        { { 0, 0, 256 }, "tile/0/000" },
        { { 0, 0, 1 }, "tile/0/000.p/1" },
        { { 0, 999, 255 }, "tile/0/999.p/255" },
        { { 1, 1000, 256 }, "tile/1/x001/000" },
        { { 0, 1234067, 256 }, "tile/0/x001/x234/067" },
        { { CHY_TLOG_ENTRIES, 1234067, 112 }, "tile/entries/x001/x234/067.p/112" },
        { { 7, 0, 127 }, "tile/7/000.p/127" },
        { { 0, INT64_MAX / 256 - 1, 256 }, "tile/0/x036/x028/x797/x018/x963/966" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_buf b;
        chy_buf_init(&b, 128);
        assert_true(chy_tlog_tile_path(&b, &rows[i].tile));
        assert_true(chy_str_equal_c(chy_buf_str(&b), rows[i].path));
        chy_buf_done(&b);
        struct chy_tlog_tile tile;
        assert_int_equal(chy_tlog_tile_parse(chy_str_of(rows[i].path), &tile, NULL), CHY_OK);
        assert_int_equal(tile.level, rows[i].tile.level);
        assert_true(tile.index == rows[i].tile.index);
        assert_int_equal(tile.width, rows[i].tile.width);
    }
    struct chy_buf b;
    chy_buf_init(&b, 9);
    assert_false(chy_tlog_tile_path(&b, &rows[0].tile));
    chy_buf_done(&b);
}

static void test_tile_parse__refuses_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "tile",
        "/tile/0/000",
        "tile/0/",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/x001/",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/a/000",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1x",
        "tile/0/000.p/1000",
        "tile/0/000 ",
        "tile/0/../000",
        "tile/data/000",
        "tile/entries/0.p/1",
        "tile/7/000",       /* 256^8 entries */
        "tile/7/000.p/128", /* 2^63 entries */
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x001/x001/x001/x001/x001/x001/001",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_tlog_tile tile;
        struct chy_error err;
        assert_int_equal(chy_tlog_tile_parse(chy_str_of(bad[i]), &tile, &err), CHY_E_MALFORMED);
    }
}

/* The example of the specification: a log of 70,000 entries. */
static void test_tile_width__of_a_log(void **state)
{
    (void)state;
    assert_int_equal(chy_tlog_tile_width(0, 0, 70000), 256);
    assert_int_equal(chy_tlog_tile_width(0, 272, 70000), 256);
    assert_int_equal(chy_tlog_tile_width(0, 273, 70000), 112);
    assert_int_equal(chy_tlog_tile_width(CHY_TLOG_ENTRIES, 273, 70000), 112);
    assert_int_equal(chy_tlog_tile_width(0, 274, 70000), 0);
    assert_int_equal(chy_tlog_tile_width(1, 0, 70000), 256);
    assert_int_equal(chy_tlog_tile_width(1, 1, 70000), 17);
    assert_int_equal(chy_tlog_tile_width(2, 0, 70000), 1);
    assert_int_equal(chy_tlog_tile_width(3, 0, 70000), 0);
    assert_int_equal(chy_tlog_tile_width(0, 0, 0), 0);
    assert_int_equal(chy_tlog_tile_width(0, 1, 256), 0);
}

static void test_bundle__round_trips(void **state)
{
    (void)state;
    static uint8_t big[CHY_LIMIT_ENTRY + 1];
    struct chy_buf b;
    chy_buf_init(&b, 2 * CHY_LIMIT_ENTRY);
    assert_true(chy_tlog_bundle_add(&b, chy_str_bytes(CHY_STR("one"))));
    assert_true(chy_tlog_bundle_add(&b, (struct chy_bytes){ NULL, 0 }));
    assert_true(chy_tlog_bundle_add(&b, (struct chy_bytes){ big, CHY_LIMIT_ENTRY }));
    assert_false(chy_tlog_bundle_add(&b, (struct chy_bytes){ big, CHY_LIMIT_ENTRY + 1 }));

    struct chy_bytes in = chy_buf_bytes(&b);
    struct chy_bytes entry;
    assert_int_equal(chy_tlog_bundle_next(&in, &entry, NULL), CHY_OK);
    assert_true(chy_str_equal_c(chy_bytes_str(entry), "one"));
    assert_int_equal(chy_tlog_bundle_next(&in, &entry, NULL), CHY_OK);
    assert_int_equal(entry.n, 0);
    assert_int_equal(chy_tlog_bundle_next(&in, &entry, NULL), CHY_OK);
    assert_int_equal(entry.n, CHY_LIMIT_ENTRY);
    assert_int_equal(chy_tlog_bundle_next(&in, &entry, NULL), CHY_E_MALFORMED);
    chy_buf_done(&b);

    static const uint8_t cut[] = { 0, 4, 'a', 'b', 'c' };
    for (size_t n = 0; n <= sizeof cut; n++) {
        in = (struct chy_bytes){ cut, n };
        assert_int_equal(chy_tlog_bundle_next(&in, &entry, NULL), CHY_E_MALFORMED);
        assert_int_equal(in.n, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tile__paths_round_trip),
        cmocka_unit_test(test_tile_parse__refuses_other_forms),
        cmocka_unit_test(test_tile_width__of_a_log),
        cmocka_unit_test(test_bundle__round_trips),
    };
    return cmocka_run_group_tests_name("tile", tests, NULL, NULL);
}
