/* SPDX-License-Identifier: MIT */
/* Deflated data that ends before its directory says: what is behind it, only some readers see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/verify_internal.h"

#define HELLO_CRC UINT32_C(0x3610a686)
/* "hello" in one block that is not compressed, RFC 1951 section 3.2.4; the last one, or not. */
#define HELLO      CHY_STR("\1\5\0\xfa\xffhello")
#define HELLO_MORE CHY_STR("\0\5\0\xfa\xffhello")

static struct chy_error err;

static void put_le(struct chy_buf *b, size_t bytes, uint64_t v)
{
    for (size_t i = 0; i < bytes; i++)
        chy_buf_append_u8(b, (uint8_t)(v >> 8 * i));
}

/* Flags to extra field, as head and entry have them. */
static void facts_put(struct chy_buf *b, uint16_t method, uint32_t crc, size_t n, size_t full)
{
    put_le(b, 2, 0);
    put_le(b, 2, method);
    put_le(b, 4, 0);
    put_le(b, 4, crc);
    put_le(b, 4, n);
    put_le(b, 4, full);
    put_le(b, 2, 1);
    put_le(b, 2, 0);
}

/* An archive of one member, "a". */
static struct chy_buf archive(uint16_t method, struct chy_str data, uint32_t crc, size_t full)
{
    struct chy_buf b;
    chy_buf_init(&b, (size_t)1 << 20);
    put_le(&b, 4, 0x04034b50);
    put_le(&b, 2, 20);
    facts_put(&b, method, crc, data.n, full);
    chy_buf_append_c(&b, "a");
    chy_buf_append(&b, chy_str_bytes(data));
    size_t at = b.n;
    put_le(&b, 4, 0x02014b50);
    put_le(&b, 4, 20 << 16 | 20);
    facts_put(&b, method, crc, data.n, full);
    put_le(&b, 8, 0);
    put_le(&b, 6, 0);
    chy_buf_append_c(&b, "a");
    size_t size = b.n - at;
    put_le(&b, 4, 0x06054b50);
    put_le(&b, 4, 0);
    put_le(&b, 4, 1 << 16 | 1);
    put_le(&b, 4, size);
    put_le(&b, 4, at);
    put_le(&b, 2, 0);
    return b;
}

static enum chy_err stream(uint16_t method, struct chy_str data, uint32_t crc, size_t full)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_buf_done) struct chy_buf b = archive(method, data, crc, full);
    chy_arena_init(&arena, (size_t)1 << 20);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, b.p, b.n) == (ssize_t)b.n);
    const struct chy_verify_input input = { .fd = fd, .size_bytes = b.n };
    const struct verify_run run = {
        .input = &input,
        .arena = &arena,
        .part = chy_arena_array(&arena, uint8_t, VERIFY_PART_BYTES),
    };
    assert_non_null(run.part);
    enum chy_err r = verify_stream(&run, CHY_ZIP_DESCRIPTORS_JAVA, &err);
    (void)close(fd);
    return r;
}

static void test_deflated(void **state)
{
    (void)state;
    assert_int_equal(stream(8, HELLO, HELLO_CRC, 5), CHY_OK);
    assert_int_equal(stream(8, CHY_STR("\3\0"), 0, 0), CHY_OK); /* nothing */
    assert_int_equal(stream(8, CHY_STR("\1\5\0\xfa\xffhello!"), HELLO_CRC, 5), CHY_E_MALFORMED);
    assert_int_equal(stream(8, CHY_STR("\1\5\0\xfa\xffhell"), HELLO_CRC, 5), CHY_E_MALFORMED);
    assert_int_equal(stream(8, HELLO_MORE, HELLO_CRC, 5), CHY_E_MALFORMED);
    assert_int_equal(stream(8, CHY_STR("\7"), 0, 0), CHY_E_MALFORMED); /* no kind of block */
    assert_int_equal(stream(8, CHY_STR(""), 0, 0), CHY_E_MALFORMED);
    assert_int_equal(stream(8, HELLO, HELLO_CRC ^ 1, 5), CHY_E_MALFORMED);
    assert_int_equal(stream(8, HELLO, HELLO_CRC, 4), CHY_E_MALFORMED);
    assert_int_equal(stream(8, HELLO, HELLO_CRC, 6), CHY_E_MALFORMED);
}

static void test_stored(void **state)
{
    (void)state;
    assert_int_equal(stream(0, CHY_STR("hello"), HELLO_CRC, 5), CHY_OK);
    assert_int_equal(stream(0, CHY_STR("hellO"), HELLO_CRC, 5), CHY_E_MALFORMED);
}

/* More than is read at once, on both sides: blocks of "hello" as often as that takes. */
static void test_long(void **state)
{
    static char data[VERIFY_PART_BYTES * 3];
    size_t n = 0;
    size_t full = 0;
    (void)state;
    while (n + 2 * HELLO.n <= sizeof data) {
        memcpy(data + n, HELLO_MORE.p, HELLO_MORE.n);
        n += HELLO_MORE.n;
        full += 5;
    }
    memcpy(data + n, HELLO.p, HELLO.n);
    struct chy_str all = { data, n + HELLO.n };
    assert_int_equal(stream(8, all, 0x1e245096, full + 5), CHY_OK);
    all.n--;
    assert_int_equal(stream(8, all, 0x1e245096, full + 5), CHY_E_MALFORMED);
    assert_int_equal(stream(8, all, 0x1e245096, 5), CHY_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deflated),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
