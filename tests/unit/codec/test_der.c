/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/der.h"

#define BYTES(...)                                         \
    ((struct chy_bytes){ (const uint8_t[]){ __VA_ARGS__ }, \
                         sizeof((const uint8_t[]){ __VA_ARGS__ }) })

static void test_der_next__takes_one_element(void **state)
{
    (void)state;
    struct chy_bytes in = BYTES(0x04, 0x02, 0xaa, 0xbb, 0x05, 0x00);
    struct chy_der_item item;
    assert_int_equal(chy_der_next(&in, &item, NULL), CHY_OK);
    assert_int_equal(item.tag, CHY_DER_OCTET_STRING);
    assert_true(chy_bytes_equal(item.body, BYTES(0xaa, 0xbb)));
    assert_true(chy_bytes_equal(item.whole, BYTES(0x04, 0x02, 0xaa, 0xbb)));
    assert_int_equal(chy_der_end(in, NULL), CHY_E_MALFORMED);
    assert_true(chy_der_is_next(in, CHY_DER_NULL));
    struct chy_bytes body;
    assert_int_equal(chy_der_take(&in, CHY_DER_NULL, &body, NULL), CHY_OK);
    assert_int_equal(body.n, 0);
    assert_int_equal(chy_der_end(in, NULL), CHY_OK);
    assert_false(chy_der_is_next(in, CHY_DER_NULL));
    assert_int_equal(chy_der_next(&in, &item, NULL), CHY_E_MALFORMED);
}

static void refuse_next(struct chy_bytes in)
{
    struct chy_bytes before = in;
    struct chy_der_item item;
    struct chy_error err;
    assert_int_equal(chy_der_next(&in, &item, &err), CHY_E_MALFORMED);
    assert_ptr_equal(in.p, before.p);
    assert_int_equal(in.n, before.n);
}

static void test_der_next__refuses_bad_heads(void **state)
{
    (void)state;
    refuse_next((struct chy_bytes){ NULL, 0 });
    refuse_next(BYTES(0x30));
    refuse_next(BYTES(0x30, 0x01));                               /* body cut off */
    refuse_next(BYTES(0x30, 0x80, 0x00, 0x00));                   /* indefinite */
    refuse_next(BYTES(0x30, 0x81, 0x01, 0x00));                   /* long form of a short length */
    refuse_next(BYTES(0x30, 0x81));                               /* length cut off */
    refuse_next(BYTES(0x30, 0x82, 0x00, 0x81));                   /* leading zero */
    refuse_next(BYTES(0x30, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00)); /* 5 length bytes */
    refuse_next(BYTES(0x30, 0x84, 0xff, 0xff, 0xff, 0xff));       /* 4 GiB of nothing */
    refuse_next(BYTES(0x30, 0xff));
    refuse_next(BYTES(0x1f, 0x81, 0x01, 0x00)); /* tag of several bytes */
}

static void test_der__long_lengths_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 70000 };
    static uint8_t body[70000];
    for (size_t i = 0; i < CHY_ARRAY_LEN(sizes); i++) {
        struct chy_buf b;
        struct chy_der_writer w;
        chy_buf_init(&b, 80000);
        chy_der_writer_init(&w, &b);
        chy_der_open(&w, CHY_DER_SEQUENCE);
        chy_der_put(&w, CHY_DER_OCTET_STRING, (struct chy_bytes){ body, sizes[i] });
        chy_der_close(&w);
        assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);

        struct chy_bytes in = chy_buf_bytes(&b);
        struct chy_bytes seq;
        struct chy_bytes octets;
        assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &seq, NULL), CHY_OK);
        assert_int_equal(chy_der_end(in, NULL), CHY_OK);
        assert_int_equal(chy_der_take(&seq, CHY_DER_OCTET_STRING, &octets, NULL), CHY_OK);
        assert_int_equal(octets.n, sizes[i]);
        assert_int_equal(chy_der_end(seq, NULL), CHY_OK);
        chy_buf_done(&b);
    }
}

static void test_der_take_uint__values(void **state)
{
    (void)state;
    static const struct {
        uint8_t der[12];
        size_t n;
        enum chy_err r;
        uint64_t v;
    } rows[] = {
        { { 2, 1, 0 }, 3, CHY_OK, 0 },
        { { 2, 1, 0x7f }, 3, CHY_OK, 127 },
        { { 2, 2, 0, 0x80 }, 4, CHY_OK, 128 },
        { { 2, 9, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 11, CHY_OK, UINT64_MAX },
        { { 2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, 11, CHY_E_MALFORMED, 0 }, /* 65 bits */
        { { 2, 0 }, 2, CHY_E_MALFORMED, 0 },
        { { 2, 1, 0x80 }, 3, CHY_E_MALFORMED, 0 },    /* negative */
        { { 2, 2, 0, 0x7f }, 4, CHY_E_MALFORMED, 0 }, /* not shortest */
        { { 2, 2, 0, 0 }, 4, CHY_E_MALFORMED, 0 },
        { { 4, 1, 0 }, 3, CHY_E_MALFORMED, 0 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_bytes in = { rows[i].der, rows[i].n };
        uint64_t v = 0;
        assert_int_equal(chy_der_take_u64(&in, &v, NULL), rows[i].r);
        assert_true(v == rows[i].v);
        assert_int_equal(in.n, rows[i].r == CHY_OK ? 0 : rows[i].n);
        if (rows[i].r != CHY_OK)
            continue;
        struct chy_buf b;
        struct chy_der_writer w;
        chy_buf_init(&b, 16);
        chy_der_writer_init(&w, &b);
        chy_der_put_u64(&w, v);
        assert_true(
            chy_bytes_equal(chy_buf_bytes(&b), (struct chy_bytes){ rows[i].der, rows[i].n }));
        chy_buf_done(&b);
    }
}

static void test_der_take_oid__checks_arcs(void **state)
{
    (void)state;
    struct chy_bytes oid;
    struct chy_bytes in = BYTES(0x06, 0x03, 0x2b, 0x65, 0x70);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_OK);
    assert_true(chy_bytes_equal(oid, BYTES(0x2b, 0x65, 0x70)));
    in = BYTES(0x06, 0x00);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_E_MALFORMED);
    in = BYTES(0x06, 0x02, 0x2b, 0x86);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_E_MALFORMED);
    in = BYTES(0x06, 0x03, 0x2b, 0x80, 0x01);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_E_MALFORMED);
    in = BYTES(0x05, 0x00);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_E_MALFORMED);
}

static void test_der_take_bits__wants_whole_bytes(void **state)
{
    (void)state;
    struct chy_bytes bits;
    struct chy_bytes in = BYTES(0x03, 0x03, 0x00, 0xaa, 0xbb);
    assert_int_equal(chy_der_take_bits(&in, &bits, NULL), CHY_OK);
    assert_true(chy_bytes_equal(bits, BYTES(0xaa, 0xbb)));
    in = BYTES(0x03, 0x02, 0x01, 0xaa);
    assert_int_equal(chy_der_take_bits(&in, &bits, NULL), CHY_E_MALFORMED);
    in = BYTES(0x03, 0x00);
    assert_int_equal(chy_der_take_bits(&in, &bits, NULL), CHY_E_MALFORMED);
    in = BYTES(0x04, 0x00);
    assert_int_equal(chy_der_take_bits(&in, &bits, NULL), CHY_E_MALFORMED);
}

static void test_der_writer__known_bytes(void **state)
{
    (void)state;
    struct chy_buf b;
    struct chy_der_writer w;
    chy_buf_init(&b, 64);
    chy_der_writer_init(&w, &b);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_bool(&w, true);
    chy_der_put_bool(&w, false);
    chy_der_put_null(&w);
    chy_der_put_oid(&w, BYTES(0x2b, 0x65, 0x70));
    chy_der_put_bits(&w, BYTES(0xaa));
    chy_der_put_uint(&w, BYTES(0x00, 0x00, 0x80));
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
    chy_der_put_raw(&w, BYTES(0x05, 0x00));
    chy_der_close(&w);
    chy_der_close(&w);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&b),
                                BYTES(0x30, 0x19, 0x01, 0x01, 0xff, 0x01, 0x01, 0x00, 0x05, 0x00,
                                      0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x02, 0x00, 0xaa, 0x02,
                                      0x02, 0x00, 0x80, 0xa0, 0x02, 0x05, 0x00)));
    chy_buf_done(&b);
}

static void test_der_writer__a_full_buffer_is_seen_at_the_end(void **state)
{
    (void)state;
    for (size_t max = 1; max < 10; max++) {
        struct chy_buf b;
        struct chy_der_writer w;
        chy_buf_init(&b, max);
        chy_der_writer_init(&w, &b);
        chy_der_open(&w, CHY_DER_SEQUENCE);
        chy_der_open(&w, CHY_DER_SEQUENCE);
        chy_der_put(&w, CHY_DER_OCTET_STRING, BYTES(1, 2, 3, 4));
        chy_der_close(&w);
        chy_der_close(&w);
        assert_int_equal(chy_buf_check(&b, NULL), CHY_E_LIMIT);
        chy_buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_der_next__takes_one_element),
        cmocka_unit_test(test_der_next__refuses_bad_heads),
        cmocka_unit_test(test_der__long_lengths_round_trip),
        cmocka_unit_test(test_der_take_uint__values),
        cmocka_unit_test(test_der_take_oid__checks_arcs),
        cmocka_unit_test(test_der_take_bits__wants_whole_bytes),
        cmocka_unit_test(test_der_writer__known_bytes),
        cmocka_unit_test(test_der_writer__a_full_buffer_is_seen_at_the_end),
    };
    return cmocka_run_group_tests_name("der", tests, NULL, NULL);
}
