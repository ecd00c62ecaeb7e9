/* SPDX-License-Identifier: MIT */
/* Archives that read one way by their directory, and another from their front. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "file_fixture.h"
#include "format/zip_stream.h"

#define JAVA  CHY_ZIP_DESCRIPTORS_JAVA
#define ANY   CHY_ZIP_DESCRIPTORS_ANY
#define CRC   UINT64_C(0x11223344)
#define BYTES 5 /* of each member's data, "DATA!", in the file; said to be seven, if deflated */
#define HEAD  30
#define ENTRY 46

/* The second of three members, "bb", and how it differs from a plain one. */
struct odd {
    uint16_t flags;      /* in both */
    uint16_t head_flags; /* changed in its head alone: flipped */
    uint16_t method;
    uint16_t head_method; /* likewise */
    const char *called;   /* in its head */
    struct chy_str extra; /* likewise */
    uint32_t head_crc;    /* likewise; these three are flipped */
    uint32_t head_data_size;
    uint32_t head_size;
    bool has_sizes;     /* in its head, though a descriptor has them */
    size_t descriptor;  /* bytes of one behind its data; 0: none */
    uint64_t said;      /* flips the size in that */
    const char *before; /* in front of its head, */
    const char *behind; /* and behind its data */
    const char *last;   /* between the last member and the directory */
    const char *first;  /* in front of all */
    bool is_backwards;  /* the directory */
    bool is_twice;      /* its place is that of the first, too */
    bool is_big;        /* its numbers stand in an extra field of the directory, and of its head */
};

struct seen {
    size_t n;
    uint64_t end;
    struct chy_zip_piece pieces[3];
};

static struct file file;
static struct seen seen;
static struct chy_error err;

static size_t full_size(const struct odd *odd)
{
    return odd->method == 8 ? 7 : BYTES;
}

static void text_put(const char *text)
{
    if (text != NULL)
        file_text(&file, chy_str_of(text));
}

static void descriptor_put(const struct odd *odd)
{
    bool is_big = odd->descriptor == 20 || odd->descriptor == 24;
    if (odd->descriptor == 0)
        return;
    if (odd->descriptor == 16 || odd->descriptor == 24)
        file_text(&file, CHY_STR("PK\7\10"));
    file_le(&file, 4, CRC);
    file_le(&file, is_big ? 8 : 4, BYTES);
    file_le(&file, is_big ? 8 : 4, full_size(odd) ^ odd->said);
}

static void extra_64_put(const struct odd *odd, uint64_t place, size_t n)
{
    file_le(&file, 2, 1);
    file_le(&file, 2, 8 * n);
    file_le(&file, 8, full_size(odd));
    file_le(&file, 8, BYTES);
    if (n == 3)
        file_le(&file, 8, place);
}

static void head_put(const char *name, const struct odd *odd)
{
    bool is_elsewhere = odd->descriptor != 0 && !odd->has_sizes;
    const char *called = odd->called != NULL ? odd->called : name;
    file_text(&file, CHY_STR("PK\3\4\24\0"));
    file_le(&file, 2, odd->flags ^ odd->head_flags);
    file_le(&file, 2, odd->method ^ odd->head_method);
    file_le(&file, 4, 0);
    file_le(&file, 4, (is_elsewhere ? 0 : CRC) ^ odd->head_crc);
    file_le(&file, 4, odd->is_big ? UINT32_MAX : (is_elsewhere ? 0 : BYTES) ^ odd->head_data_size);
    file_le(&file, 4,
            odd->is_big ? UINT32_MAX : (is_elsewhere ? 0 : full_size(odd)) ^ odd->head_size);
    file_le(&file, 2, strlen(called));
    file_le(&file, 2, odd->is_big ? 20 : odd->extra.n);
    file_text(&file, chy_str_of(called));
    if (odd->is_big)
        extra_64_put(odd, 0, 2);
    else if (odd->extra.n != 0)
        file_text(&file, odd->extra);
    file_text(&file, CHY_STR("DATA!"));
    descriptor_put(odd);
}

static void entry_put(const char *name, uint64_t place, const struct odd *odd)
{
    file_text(&file, CHY_STR("PK\1\2\24\0\24\0"));
    file_le(&file, 2, odd->flags);
    file_le(&file, 2, odd->method);
    file_le(&file, 4, 0);
    file_le(&file, 4, CRC);
    file_le(&file, 4, odd->is_big ? UINT32_MAX : BYTES);
    file_le(&file, 4, odd->is_big ? UINT32_MAX : full_size(odd));
    file_le(&file, 2, strlen(name));
    file_le(&file, 2, odd->is_big ? 28 : 0);
    file_pad(&file, file.n + 10);
    file_le(&file, 4, odd->is_big ? UINT32_MAX : place);
    file_text(&file, chy_str_of(name));
    if (odd->is_big)
        extra_64_put(odd, place, 3);
}

static void end_put(uint64_t n, uint64_t at)
{
    uint64_t size = file.n - at;
    file_text(&file, CHY_STR("PK\5\6\0\0\0\0"));
    file_le(&file, 2, n);
    file_le(&file, 2, n);
    file_le(&file, 4, size);
    file_le(&file, 4, at);
    file_le(&file, 2, 0);
}

static void archive_make(const struct odd *odd)
{
    static const struct odd plain;
    static const char *const names[] = { "a", "bb", "c" };
    uint64_t places[3];
    file_init(&file);
    text_put(odd->first);
    for (size_t i = 0; i < 3; i++) {
        text_put(i == 1 ? odd->before : NULL);
        places[i] = file.n;
        head_put(names[i], i == 1 ? odd : &plain);
        text_put(i == 1 ? odd->behind : NULL);
    }
    text_put(odd->last);
    uint64_t at = file.n;
    if (odd->is_twice)
        places[1] = places[0];
    for (size_t k = 0; k < 3; k++) {
        size_t i = odd->is_backwards ? 2 - k : k;
        entry_put(names[i], places[i], i == 1 ? odd : &plain);
    }
    end_put(3, at);
}

static enum chy_err see(void *ctx, const struct chy_zip_piece *piece, struct chy_error *e)
{
    struct seen *s = ctx;
    if (piece->crc != CRC)
        return chy_fail(e, CHY_E_INTEGRITY, "another");
    assert_true(piece->data.offset >= s->end && s->n < 3);
    s->end = piece->data.offset + piece->data.size;
    s->pieces[s->n++] = *piece;
    return CHY_OK;
}

static enum chy_err check(enum chy_zip_descriptors descriptors)
{
    struct chy_bytes bytes = { file.p, file.n };
    const struct chy_format_source source = { bytes.n, chy_format_read_memory, &bytes };
    seen = (struct seen){ .n = 0 };
    return chy_zip_stream_check(&source, descriptors, see, &seen, &err);
}

static enum chy_err outcome(const struct odd *odd, enum chy_zip_descriptors descriptors)
{
    archive_make(odd);
    enum chy_err r = check(descriptors);
    file_done(&file);
    return r;
}

static void expect(const struct odd *odd, enum chy_err java, enum chy_err any)
{
    assert_int_equal(outcome(odd, JAVA), java);
    assert_int_equal(outcome(odd, ANY), any);
}

static void expect_same(struct odd odd)
{
    expect(&odd, CHY_OK, CHY_OK);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.pieces[1].is_deflated, odd.method == 8);
    assert_int_equal(seen.pieces[1].data.size, BYTES);
    assert_int_equal(seen.pieces[1].full_size, full_size(&odd));
}

static void expect_differs(struct odd odd)
{
    expect(&odd, CHY_E_MALFORMED, CHY_E_MALFORMED);
}

static void test_alike(void **state)
{
    (void)state;
    expect_same((struct odd){ .flags = 0 });
    expect_same((struct odd){ .method = 8 });
    expect_same((struct odd){ .method = 8, .flags = 8, .descriptor = 16 });
    expect_same((struct odd){ .method = 8, .flags = 8, .descriptor = 12 });
    expect_same((struct odd){ .method = 8, .flags = 8, .descriptor = 16, .has_sizes = true });
    expect_same((struct odd){ .flags = 0x800 });
    expect_same((struct odd){ .head_flags = 2 });            /* how well it was compressed */
    expect_same((struct odd){ .extra = CHY_STR("\0\0\0") }); /* zipalign */
    expect_same((struct odd){ .extra = CHY_STR("UT\5\0\3time") });
    expect_same((struct odd){ .is_backwards = true });
    expect_same((struct odd){ .is_big = true });
}

/* Those that java.util.zip does not write, and would not read. */
static void test_descriptors(void **state)
{
    (void)state;
    expect(&(struct odd){ .method = 8, .flags = 8, .descriptor = 24 }, CHY_E_MALFORMED, CHY_OK);
    expect(&(struct odd){ .method = 8, .flags = 8, .descriptor = 20 }, CHY_E_MALFORMED, CHY_OK);
    expect(&(struct odd){ .flags = 8, .descriptor = 16 }, CHY_E_MALFORMED, CHY_OK);
}

static void test_heads(void **state)
{
    (void)state;
    expect_differs((struct odd){ .called = "cc" });
    expect_differs((struct odd){ .called = "bbb" });
    expect_differs((struct odd){ .called = "b" });
    expect_differs((struct odd){ .head_method = 8 });
    expect_differs((struct odd){ .head_flags = 1 });
    expect_differs((struct odd){ .head_flags = 8 });
    expect_differs((struct odd){ .head_flags = 0x800 });
    expect_differs((struct odd){ .head_crc = 1 });
    expect_differs((struct odd){ .head_data_size = 1 });
    expect_differs((struct odd){ .head_size = 1 });
    expect_differs((struct odd){ .head_size = BYTES });
    expect_differs((struct odd){ .method = 8, .head_size = 1 });
    expect_differs((struct odd){ .flags = 8, .method = 8, .descriptor = 16, .head_data_size = 1 });
    expect_differs((struct odd){ .flags = 8, .method = 8, .descriptor = 16, .said = 1 });
    expect_differs((struct odd){ .flags = 8, .method = 8 });
    expect_differs((struct odd){ .method = 8, .descriptor = 16, .has_sizes = true });
}

static void test_gaps(void **state)
{
    (void)state;
    expect_differs((struct odd){ .before = "x" });
    expect_differs((struct odd){ .behind = "x" });
    expect_differs((struct odd){ .behind = "PK\3\4" });
    expect_differs((struct odd){ .last = "x" });
    expect_differs((struct odd){ .first = "x" });
    expect_differs((struct odd){ .is_twice = true });
    expect_differs((struct odd){ .method = 8, .flags = 8, .descriptor = 16, .behind = "1234" });
}

static void test_others(void **state)
{
    (void)state;
    expect(&(struct odd){ .flags = 1 }, CHY_E_UNSUPPORTED, CHY_E_UNSUPPORTED);
    expect(&(struct odd){ .method = 12 }, CHY_E_UNSUPPORTED, CHY_E_UNSUPPORTED);
}

/* Android's block stands between the last member and the directory. */
static void test_signing_block(void **state)
{
    static const char *const inside[] = { "value", "PK\3\4!" };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(inside); i++) {
        file_init(&file);
        head_put("a", &(struct odd){ .flags = 0 });
        file_le(&file, 8, 24 + 5);
        text_put(inside[i]);
        file_le(&file, 8, 24 + 5);
        text_put("APK Sig Block 42");
        size_t at = file.n;
        entry_put("a", 0, &(struct odd){ .flags = 0 });
        end_put(1, at);
        assert_int_equal(check(JAVA), i == 0 ? CHY_OK : CHY_E_MALFORMED);
        file_set_le(&file, at - 24, 8, 24 + 4);
        assert_int_equal(check(JAVA), CHY_E_MALFORMED);
        file_done(&file);
    }
}

static void test_empty(void **state)
{
    (void)state;
    file_init(&file);
    end_put(0, 0);
    assert_int_equal(check(JAVA), CHY_OK);
    file_done(&file);
    file_init(&file);
    text_put("PK\3\4");
    end_put(0, 4);
    assert_int_equal(check(JAVA), CHY_E_MALFORMED);
    file_done(&file);
}

static void test_cut_off(void **state)
{
    (void)state;
    archive_make(&(struct odd){ .is_big = true });
    size_t whole = file.n;
    for (file.n = 0; file.n < whole; file.n++)
        assert_int_equal(check(ANY), CHY_E_MALFORMED);
    file_done(&file);
}

/* Of the function; and no memory. */
static void test_errors(void **state)
{
    (void)state;
    archive_make(&(struct odd){ .flags = 0 });
    file_set_le(&file, 14, 4, 1);
    file_set_le(&file, 3 * (HEAD + BYTES) + 4 + 16, 4, 1);
    assert_int_equal(check(JAVA), CHY_E_INTEGRITY);
    chy_mem_fail_after(0);
    enum chy_err r = check(JAVA);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    file_done(&file);
}

/* Of so many bytes, all zero but what is asked for first. */
struct huge {
    struct chy_bytes end;
    uint64_t size;
};

static enum chy_err read_huge(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                              struct chy_error *e)
{
    const struct huge *h = ctx;
    uint64_t end_at = h->size - h->end.n;
    uint8_t *out = to;
    (void)e;
    for (size_t i = 0; i < n; i++)
        out[i] = offset + i >= end_at ? h->end.p[offset + i - end_at] : 0;
    *ret_n = n;
    return CHY_OK;
}

static void test_directory_at_the_limit(void **state)
{
    (void)state;
    for (uint64_t more = 0; more < 2; more++) {
        uint64_t directory = CHY_LIMIT_FORMAT_READ + more;
        file_init(&file);
        end_put(1, 0);
        file_set_le(&file, 12, 4, directory);
        struct huge h = { { file.p, file.n }, directory + file.n };
        const struct chy_format_source source = { h.size, read_huge, &h };
        enum chy_err r = chy_zip_stream_check(&source, JAVA, see, &seen, &err);
        assert_int_equal(r, more != 0 ? CHY_E_LIMIT : CHY_E_MALFORMED);
        file_done(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike),  cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_heads),  cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_others), cmocka_unit_test(test_signing_block),
        cmocka_unit_test(test_empty),  cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_directory_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
