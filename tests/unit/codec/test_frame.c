/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/frame.h"

static const uint8_t sample[] = {
    0, 0, 0, 15, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 'a', 'b', 'c',
};

static enum chy_err decode(const uint8_t *p, size_t n, struct chy_frame *frame, size_t *used)
{
    struct chy_error err;
    return chy_frame_decode((struct chy_bytes){ p, n }, frame, used, &err);
}

static void test_frame_encode__writes_the_documented_bytes(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 64);
    struct chy_frame f = { 0x0102, 0xabcd, chy_str_bytes(CHY_STR("abc")) };
    assert_int_equal(chy_frame_encode(&b, &f, NULL), CHY_OK);
    assert_int_equal(b.n, sizeof sample);
    assert_memory_equal(b.p, sample, sizeof sample);
    chy_buf_done(&b);
}

static void test_frame_encode__a_frame_that_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    struct chy_buf b;
    struct chy_frame f = { 1, 2, chy_str_bytes(CHY_STR("abc")) };
    chy_buf_init(&b, sizeof sample);
    assert_int_equal(chy_frame_encode(&b, &f, NULL), CHY_OK);
    assert_int_equal(chy_frame_encode(&b, &f, NULL), CHY_E_LIMIT);
    assert_int_equal(b.n, sizeof sample);
    chy_buf_done(&b);
}

static void test_frame_encode__out_of_memory(void **state)
{
    (void)state;
    struct chy_buf b;
    struct chy_frame f = { 1, 2, { NULL, 0 } };
    chy_buf_init(&b, 64);
    chy_mem_fail_after(0);
    enum chy_err r = chy_frame_encode(&b, &f, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    chy_buf_done(&b);
}

static void test_frame_encode__body_at_and_past_the_limit(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, (size_t)CHY_LIMIT_FRAME + 1024);
    uint8_t *body = calloc(1, CHY_FRAME_BODY_MAX + 1);
    assert_non_null(body);
    struct chy_frame f = { 1, 2, { body, CHY_FRAME_BODY_MAX + 1 } };
    assert_int_equal(chy_frame_encode(&b, &f, NULL), CHY_E_LIMIT);
    assert_int_equal(b.n, 0);
    f.body.n--;
    assert_int_equal(chy_frame_encode(&b, &f, NULL), CHY_OK);
    assert_int_equal(b.n, (size_t)CHY_LIMIT_FRAME + 4);

    struct chy_frame back;
    size_t used;
    assert_int_equal(decode(b.p, b.n, &back, &used), CHY_OK);
    assert_int_equal(used, b.n);
    assert_int_equal(back.body.n, CHY_FRAME_BODY_MAX);
    free(body);
    chy_buf_done(&b);
}

static void test_frame_decode__round_trip_and_rest_untouched(void **state)
{
    (void)state;
    uint8_t two[2 * sizeof sample];
    memcpy(two, sample, sizeof sample);
    memcpy(two + sizeof sample, sample, sizeof sample);
    struct chy_frame f;
    size_t used;
    assert_int_equal(decode(two, sizeof two, &f, &used), CHY_OK);
    assert_int_equal(used, sizeof sample);
    assert_int_equal(f.type, 0x0102);
    assert_int_equal(f.id, 0xabcd);
    assert_true(chy_bytes_equal(f.body, chy_str_bytes(CHY_STR("abc"))));
    assert_ptr_equal(f.body.p, two + CHY_FRAME_HEADER_BYTES);
}

static void test_frame_decode__every_cut_asks_for_more(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof sample; n++) {
        struct chy_frame f;
        size_t used = 99;
        assert_int_equal(decode(sample, n, &f, &used), CHY_OK);
        assert_int_equal(used, 0);
    }
}

static void test_frame_decode__empty_body(void **state)
{
    (void)state;
    uint8_t p[16] = { 0, 0, 0, 12, 0xff, 0xff };
    struct chy_frame f;
    size_t used;
    assert_int_equal(decode(p, sizeof p, &f, &used), CHY_OK);
    assert_int_equal(used, 16);
    assert_int_equal(f.type, 0xffff);
    assert_int_equal(f.body.n, 0);
}

static void test_frame_decode__length_under_the_header_is_malformed_at_once(void **state)
{
    (void)state;
    uint8_t p[4] = { 0, 0, 0, 11 };
    struct chy_frame f;
    size_t used;
    assert_int_equal(decode(p, sizeof p, &f, &used), CHY_E_MALFORMED);
    p[3] = 12;
    assert_int_equal(decode(p, sizeof p, &f, &used), CHY_OK);
}

static void test_frame_decode__length_at_and_past_the_limit(void **state)
{
    (void)state;
    uint8_t at[4] = { 0x01, 0, 0, 0 }; /* 16 MiB */
    uint8_t past[4] = { 0x01, 0, 0, 1 };
    struct chy_frame f;
    size_t used;
    assert_int_equal(CHY_LIMIT_FRAME, 0x01000000);
    assert_int_equal(decode(at, 4, &f, &used), CHY_OK);
    assert_int_equal(used, 0);
    assert_int_equal(decode(past, 4, &f, &used), CHY_E_LIMIT);
    memset(past, 0xff, 4);
    assert_int_equal(decode(past, 4, &f, &used), CHY_E_LIMIT);
}

static void test_frame_decode__flags_are_refused_before_the_body_is_there(void **state)
{
    (void)state;
    uint8_t p[8] = { 0, 0, 0, 15, 0, 1, 0, 1 };
    struct chy_frame f;
    size_t used;
    assert_int_equal(decode(p, 8, &f, &used), CHY_E_MALFORMED);
    p[6] = 0x80;
    p[7] = 0;
    assert_int_equal(decode(p, 8, &f, &used), CHY_E_MALFORMED);
    assert_int_equal(decode(p, 7, &f, &used), CHY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_encode__writes_the_documented_bytes),
        cmocka_unit_test(test_frame_encode__a_frame_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(test_frame_encode__out_of_memory),
        cmocka_unit_test(test_frame_encode__body_at_and_past_the_limit),
        cmocka_unit_test(test_frame_decode__round_trip_and_rest_untouched),
        cmocka_unit_test(test_frame_decode__every_cut_asks_for_more),
        cmocka_unit_test(test_frame_decode__empty_body),
        cmocka_unit_test(test_frame_decode__length_under_the_header_is_malformed_at_once),
        cmocka_unit_test(test_frame_decode__length_at_and_past_the_limit),
        cmocka_unit_test(test_frame_decode__flags_are_refused_before_the_body_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
