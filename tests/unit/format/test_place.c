/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "format/place.h"

static struct chy_format_place place;
static struct chy_error err;

typedef enum chy_err place_fn(const struct chy_format_source *source,
                              struct chy_format_place *ret_place, struct chy_error *err);

static enum chy_err place_of(place_fn *fn, const uint8_t *p, size_t n)
{
    struct chy_bytes bytes = { p, n };
    const struct chy_format_source source = { n, chy_format_read_memory, &bytes };
    return fn(&source, &place, &err);
}

/* What is covered and the signatures, in order, must lie within the file. */
static void assert_within(size_t n)
{
    uint64_t at = 0;
    assert_in_range(place.n_covered, 1, CHY_FORMAT_RANGES);
    for (size_t i = 0; i < place.n_covered; i++) {
        assert_true(place.covered[i].offset >= at);
        at = place.covered[i].offset + place.covered[i].size;
        assert_true(at <= n);
    }
    assert_in_range(place.n_signatures, 1, CHY_FORMAT_SIGNATURES);
    for (size_t i = 0; i < place.n_signatures; i++)
        assert_true(place.signatures[i].offset + place.signatures[i].size <= n);
}

/* --- PE --- */

#define PE_N      512
#define PE_AT     64
#define OPTIONAL  (PE_AT + 24)
#define DIRECTORY (OPTIONAL + 112 + 4 * 8)

static void put32(uint8_t *to, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

/* A PE32+ whose table has `n` signatures of 16 bytes: 8 head, 5 DER, 3 zeros. */
static size_t pe_make(uint8_t *to, size_t n)
{
    memset(to, 0, PE_N + n * 16);
    to[0] = 'M';
    to[1] = 'Z';
    put32(to + 0x3c, PE_AT);
    to[PE_AT] = 'P';
    to[PE_AT + 1] = 'E';
    put32(to + OPTIONAL, 0x20b);
    put32(to + OPTIONAL + 108, 16);
    put32(to + DIRECTORY, PE_N);
    put32(to + DIRECTORY + 4, (uint32_t)n * 16);
    for (size_t i = 0; i < n; i++) {
        uint8_t *entry = to + PE_N + i * 16;
        put32(entry, 13);
        entry[5] = 2;
        entry[6] = 2;
        entry[8] = 0x30;
        entry[9] = 3;
    }
    return PE_N + n * 16;
}

static uint8_t file[PE_N + 16 * (CHY_FORMAT_SIGNATURES + 2)];

static void test_pe(void **state)
{
    (void)state;
    size_t n = pe_make(file, 2);
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_OK);
    assert_within(n);
    assert_int_equal(place.n_covered, 3);
    assert_int_equal(place.covered[1].offset, OPTIONAL + 64 + 4);
    assert_int_equal(place.covered[2].offset + place.covered[2].size, PE_N);
    assert_int_equal(place.n_signatures, 2);
    assert_int_equal(place.signatures[1].offset, PE_N + 16 + 8);
    assert_int_equal(place.signatures[1].size, 5);
}

static void test_pe__number_of_signatures(void **state)
{
    (void)state;
    size_t n = pe_make(file, CHY_FORMAT_SIGNATURES);
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_OK);
    n = pe_make(file, CHY_FORMAT_SIGNATURES + 1);
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_LIMIT);
}

static void test_pe__unsigned(void **state)
{
    (void)state;
    size_t n = pe_make(file, 0);
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_NOT_FOUND);
    n = pe_make(file, 1);
    put32(file + OPTIONAL + 108, 4); /* no directory of signatures */
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_NOT_FOUND);
}

/* Nothing may hide where no hash reaches. */
static void test_pe__uncovered(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } bad[] = {
        { DIRECTORY, PE_N - 16 },     /* the table does not end the file */
        { DIRECTORY, DIRECTORY + 4 }, /* the table over the headers */
        { DIRECTORY + 4, 64 },        /* past the end */
        { PE_N, 7 },                  /* an entry shorter than its head */
        { PE_N, 64 },                 /* longer than the table */
        { PE_N + 4, 0x00010200 },     /* of another type */
        { PE_N + 8, 0x00007f30 },     /* DER longer than its entry */
        { PE_N + 8, 0x00008030 },     /* not DER */
        { PE_AT, 0x00004550 + 1 },    /* no header */
        { OPTIONAL, 0x107 },          /* a ROM image */
    };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        size_t n = pe_make(file, 1);
        put32(file + PE_N, 16);
        put32(file + bad[i].at, bad[i].value);
        assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_MALFORMED);
    }
}

static void test_pe__padding(void **state)
{
    (void)state;
    size_t n = pe_make(file, 2);
    put32(file + PE_N, 32); /* one entry of 32 bytes, with DER of 5 */
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_MALFORMED);
    n = pe_make(file, 1);
    put32(file + PE_N, 16);
    file[PE_N + 15] = 1;
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_MALFORMED);
}

static void test_pe__cut_off(void **state)
{
    (void)state;
    size_t n = pe_make(file, 1);
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(place_of(chy_format_pe_place, file, i), CHY_OK);
}

/* --- kernel modules --- */

#define MARK "~Module signature appended~\n"

static struct chy_buf module_make(size_t code, size_t signature)
{
    static const uint8_t zeros[64];
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    chy_buf_append(&b, (struct chy_bytes){ zeros, code });
    chy_buf_append(&b, (struct chy_bytes){ zeros, signature });
    chy_buf_append_u32(&b, 2 << 8);
    chy_buf_append_u32(&b, 0);
    chy_buf_append_u32(&b, (uint32_t)signature);
    chy_buf_append_c(&b, MARK);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    return b;
}

static void test_module(void **state)
{
    (void)state;
    struct chy_buf b = module_make(20, 30);
    assert_int_equal(place_of(chy_format_module_place, b.p, b.n), CHY_OK);
    assert_within(b.n);
    assert_int_equal(place.covered[0].size, 20);
    assert_int_equal(place.signatures[0].size, 30);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(place_of(chy_format_module_place, b.p, i), CHY_E_NOT_FOUND);
    for (size_t i = 0; i < 8; i++) { /* names and key ids of an older form; another kind */
        b.p[50 + i] ^= 1;
        assert_int_equal(place_of(chy_format_module_place, b.p, b.n),
                         i == 5 || i == 6 || i == 7 ? CHY_OK : CHY_E_MALFORMED);
        b.p[50 + i] ^= 1;
    }
    put32(b.p + 58, 0);
    assert_int_equal(place_of(chy_format_module_place, b.p, b.n), CHY_E_MALFORMED);
    put32(b.p + 58, 0xffffffff);
    assert_int_equal(place_of(chy_format_module_place, b.p, b.n), CHY_E_MALFORMED);
    chy_buf_done(&b);
}

/* --- Debian packages --- */

static struct chy_buf deb_make(const char *const *names)
{
    struct chy_buf b;
    chy_buf_init(&b, 1 << 16);
    chy_buf_append_c(&b, "!<arch>\n");
    for (size_t i = 0; names[i] != NULL; i++)
        chy_buf_printf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\nabc\n", names[i], 0, 0, 0, "100644", 3);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    return b;
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define THREE      "debian-binary", "control.tar.xz", "data.tar.xz"

static enum chy_err deb_place(const char *const *names)
{
    struct chy_buf b = deb_make(names);
    enum chy_err r = place_of(chy_format_deb_place, b.p, b.n);
    if (r == CHY_OK)
        assert_within(b.n);
    chy_buf_done(&b);
    return r;
}

static void test_deb(void **state)
{
    (void)state;
    assert_int_equal(deb_place(NAMES(THREE, "_gpgorigin")), CHY_OK);
    assert_int_equal(place.n_covered, 3);
    assert_int_equal(place.n_signatures, 1);
    assert_int_equal(deb_place(NAMES(THREE)), CHY_E_NOT_FOUND);
    assert_int_equal(deb_place(NAMES(THREE, "data.tar", "_gpgorigin")), CHY_E_MALFORMED);
    assert_int_equal(deb_place(NAMES("debian-binary", "data.tar", "_gpgorigin")), CHY_E_MALFORMED);
    assert_int_equal(deb_place(NAMES("debian-binary", "control.tar", "_gpgorigin")),
                     CHY_E_MALFORMED);
    assert_int_equal(deb_place(NAMES(THREE, "_gpg1", "_gpg2", "_gpg3", "_gpg4", "_gpg5", "_gpg6",
                                     "_gpg7", "_gpg8")),
                     CHY_OK);
    assert_int_equal(deb_place(NAMES(THREE, "_gpg1", "_gpg2", "_gpg3", "_gpg4", "_gpg5", "_gpg6",
                                     "_gpg7", "_gpg8", "_gpg9")),
                     CHY_E_LIMIT);
}

static void test_deb__cut_off(void **state)
{
    (void)state;
    struct chy_buf b = deb_make(NAMES(THREE, "_gpgorigin"));
    for (size_t i = 0; i + 1 < b.n; i++) /* what pads the last member may be missing */
        assert_int_not_equal(place_of(chy_format_deb_place, b.p, i), CHY_OK);
    b.p[8 + 48] = 'x'; /* a size that is none */
    assert_int_equal(place_of(chy_format_deb_place, b.p, b.n), CHY_E_MALFORMED);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pe),           cmocka_unit_test(test_pe__number_of_signatures),
        cmocka_unit_test(test_pe__unsigned), cmocka_unit_test(test_pe__uncovered),
        cmocka_unit_test(test_pe__padding),  cmocka_unit_test(test_pe__cut_off),
        cmocka_unit_test(test_module),       cmocka_unit_test(test_deb),
        cmocka_unit_test(test_deb__cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
