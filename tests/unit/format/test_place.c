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
    put32(file + PE_N, 13); /* what pads it is not its own */
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_E_MALFORMED);
    file[PE_N + 15] = 0;
    assert_int_equal(place_of(chy_format_pe_place, file, n), CHY_OK);
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

/* --- RPM --- */

static void put_header(struct chy_buf *b, const uint32_t (*entries)[4], uint32_t n, uint32_t data)
{
    chy_buf_append_u32(b, 0x8eade801);
    chy_buf_append_u32(b, 0);
    chy_buf_append_u32(b, n);
    chy_buf_append_u32(b, data);
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++)
            chy_buf_append_u32(b, entries[i][k]);
    for (uint32_t i = 0; i < data; i++)
        chy_buf_append_u8(b, 'x');
}

/* A signature's header of 13 bytes of data, which is padded, then the main one of 9. */
static struct chy_buf rpm_make(const uint32_t (*entries)[4], uint32_t n)
{
    struct chy_buf b;
    chy_buf_init(&b, 1 << 16);
    chy_buf_append_u32(&b, 0xedabeedb);
    while (b.n < 96)
        chy_buf_append_u8(&b, 0);
    put_header(&b, entries, n, 13);
    while (b.n % 8 != 0)
        chy_buf_append_u8(&b, 0);
    put_header(&b, NULL, 0, 9);
    chy_buf_append_c(&b, "payload");
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    return b;
}

static enum chy_err rpm_place(const uint32_t (*entries)[4], uint32_t n)
{
    struct chy_buf b = rpm_make(entries, n);
    enum chy_err r = place_of(chy_format_rpm_place, b.p, b.n);
    if (r == CHY_OK)
        assert_within(b.n);
    chy_buf_done(&b);
    return r;
}

static void test_rpm(void **state)
{
    (void)state;
    static const uint32_t good[][4] = { { 1000, 4, 0, 1 }, { 268, 7, 3, 10 } };
    static const uint32_t none[][4] = { { 1000, 4, 0, 1 } };
    static const uint32_t no_bytes[][4] = { { 267, 6, 3, 10 } };
    static const uint32_t too_long[][4] = { { 267, 7, 3, 11 } };
    static const uint32_t far[][4] = { { 267, 7, 0xffffffff, 1 } };
    static const uint32_t many[CHY_FORMAT_SIGNATURES + 1][4] = {
        { 268, 7, 3, 10 }, { 268, 7, 3, 10 }, { 268, 7, 3, 10 },
        { 268, 7, 3, 10 }, { 268, 7, 3, 10 }, { 268, 7, 3, 10 },
        { 268, 7, 3, 10 }, { 268, 7, 3, 10 }, { 268, 7, 3, 10 },
    };
    assert_int_equal(rpm_place(good, 2), CHY_OK);
    assert_int_equal(place.n_signatures, 1);
    assert_int_equal(place.signatures[0].offset, 96 + 16 + 2 * 16 + 3);
    assert_int_equal(place.signatures[0].size, 10);
    assert_int_equal(place.covered[0].offset, 96 + 64);
    assert_int_equal(place.covered[0].size, 16 + 9);
    assert_int_equal(rpm_place(none, 1), CHY_E_NOT_FOUND);
    assert_int_equal(rpm_place(no_bytes, 1), CHY_E_MALFORMED);
    assert_int_equal(rpm_place(too_long, 1), CHY_E_MALFORMED);
    assert_int_equal(rpm_place(far, 1), CHY_E_MALFORMED);
    assert_int_equal(rpm_place(many, CHY_FORMAT_SIGNATURES), CHY_OK);
    assert_int_equal(rpm_place(many, CHY_FORMAT_SIGNATURES + 1), CHY_E_MALFORMED);
}

static void test_rpm__cut_off(void **state)
{
    (void)state;
    static const uint32_t good[][4] = { { 268, 7, 3, 10 } };
    struct chy_buf b = rpm_make(good, 1);
    for (size_t i = 0; i < b.n - 7; i++)
        assert_int_equal(place_of(chy_format_rpm_place, b.p, i), CHY_E_MALFORMED);
    chy_buf_done(&b);
}

/* --- APK --- */

static void put_u32le(struct chy_buf *b, uint32_t v)
{
    uint8_t bytes[4];
    put32(bytes, v);
    chy_buf_append(b, (struct chy_bytes){ bytes, sizeof bytes });
}

static void put_u64le(struct chy_buf *b, uint64_t v)
{
    put_u32le(b, (uint32_t)v);
    put_u32le(b, (uint32_t)(v >> 32));
}

#define APK_FILES 10
#define APK_PAIR  15 /* 8 size, 4 number, 3 value */

/* What stands for the files, the block with these pairs, an empty directory, the end. */
static struct chy_buf apk_make(const uint32_t *numbers, size_t n)
{
    struct chy_buf b;
    uint64_t size = n * APK_PAIR + 8 + 16;
    chy_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < APK_FILES; i++)
        chy_buf_append_u8(&b, 'f');
    put_u64le(&b, size);
    for (size_t i = 0; i < n; i++) {
        put_u64le(&b, APK_PAIR - 8);
        put_u32le(&b, numbers[i]);
        chy_buf_append_c(&b, "abc");
    }
    put_u64le(&b, size);
    chy_buf_append_c(&b, "APK Sig Block 42");
    uint32_t directory = (uint32_t)b.n;
    chy_buf_append(&b, (struct chy_bytes){ (const uint8_t *)"PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0", 16 });
    put_u32le(&b, directory);
    chy_buf_append_u16(&b, 0);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    return b;
}

static enum chy_err apk_place(const uint32_t *numbers, size_t n)
{
    struct chy_buf b = apk_make(numbers, n);
    enum chy_err r = place_of(chy_format_apk_place, b.p, b.n);
    if (r == CHY_OK)
        assert_within(b.n);
    chy_buf_done(&b);
    return r;
}

static void test_apk(void **state)
{
    (void)state;
    static const uint32_t good[] = { 0x42726577, CHY_FORMAT_APK_V2, CHY_FORMAT_APK_V3,
                                     CHY_FORMAT_APK_V3_1 };
    static const uint32_t twice[] = { CHY_FORMAT_APK_V3, CHY_FORMAT_APK_V2, CHY_FORMAT_APK_V3 };
    assert_int_equal(apk_place(good, 4), CHY_OK);
    assert_int_equal(place.n_signatures, 3);
    assert_int_equal(place.signatures[0].offset, APK_FILES + 8 + APK_PAIR + 12);
    assert_int_equal(place.signatures[0].size, 3);
    assert_int_equal(place.covered[0].size, APK_FILES);
    assert_int_equal(place.covered[1].size, 0);
    assert_int_equal(place.covered[2].size, 22);
    assert_int_equal(apk_place(good, 1), CHY_E_NOT_FOUND);
    assert_int_equal(apk_place(good, 0), CHY_E_NOT_FOUND);
    assert_int_equal(apk_place(twice, 2), CHY_OK);
    assert_int_equal(apk_place(twice, 3), CHY_E_MALFORMED);
    assert_int_equal(place_of(chy_format_apk_place, (const uint8_t *)"PK", 2), CHY_E_MALFORMED);
}

static void test_apk__sizes(void **state)
{
    (void)state;
    static const uint32_t good[] = { CHY_FORMAT_APK_V2 };
    /* size in front, size behind, size of the pair: each too long, too short */
    static const size_t places[] = { APK_FILES, APK_FILES + 8 + APK_PAIR, APK_FILES + 8 };
    struct chy_buf b = apk_make(good, 1);
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        static const uint8_t bad[] = { 0, 3, 200 };
        uint8_t was = b.p[places[i]];
        for (size_t k = 0; k < sizeof bad; k++) {
            b.p[places[i]] = bad[k];
            assert_int_equal(place_of(chy_format_apk_place, b.p, b.n), CHY_E_MALFORMED);
        }
        b.p[places[i]] = was;
        b.p[places[i] + 7] = 0xff;
        assert_int_equal(place_of(chy_format_apk_place, b.p, b.n), CHY_E_MALFORMED);
        b.p[places[i] + 7] = 0;
    }
    assert_int_equal(place_of(chy_format_apk_place, b.p, b.n), CHY_OK);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rpm),          cmocka_unit_test(test_rpm__cut_off),
        cmocka_unit_test(test_apk),          cmocka_unit_test(test_apk__sizes),
        cmocka_unit_test(test_pe),           cmocka_unit_test(test_pe__number_of_signatures),
        cmocka_unit_test(test_pe__unsigned), cmocka_unit_test(test_pe__uncovered),
        cmocka_unit_test(test_pe__padding),  cmocka_unit_test(test_pe__cut_off),
        cmocka_unit_test(test_module),       cmocka_unit_test(test_deb),
        cmocka_unit_test(test_deb__cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
