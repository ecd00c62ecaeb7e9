/* SPDX-License-Identifier: MIT */
/* Every shape that has a name, in DER and in the encodings that only forgiving parsers read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "inspect/recognize.h"
#include "policy/facts.h"

static struct chy_buf out;
static struct chy_der_writer w;

static int setup(void **state)
{
    (void)state;
    chy_buf_init(&out, 1 << 20);
    chy_der_writer_init(&w, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&out);
    return 0;
}

static void put(unsigned tag, const char *body)
{
    chy_der_put(&w, tag, chy_str_bytes(chy_str_of(body)));
}

static void expect(const char *name)
{
    assert_int_equal(chy_buf_check(&out, NULL), CHY_OK);
    assert_string_equal(inspect_recognize(chy_buf_bytes(&out)), name);
}

static void put_certificate(bool has_version)
{
    if (has_version)
        put(CHY_DER_CONTEXT_SET(0u), "\x02\x01\x02");
    put(CHY_DER_INTEGER, "\x01");
    for (int i = 0; i < 5; i++)
        put(CHY_DER_SEQUENCE, "");
}

static void test_certificate(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put_certificate(true);
    put(CHY_DER_CONTEXT_SET(3u), "extensions");
    chy_der_close(&w);
    expect(CHY_CONTENT_X509_TBS);
}

static void test_certificate__version_1(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put_certificate(false);
    chy_der_close(&w);
    expect(CHY_CONTENT_X509_TBS);
}

static void test_certificate__cut_short_is_other(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_INTEGER, "\x01");
    for (int i = 0; i < 4; i++)
        put(CHY_DER_SEQUENCE, "");
    chy_der_close(&w);
    expect(CHY_CONTENT_OTHER);
}

/* Open-ended, with an open-ended version inside, and bytes behind its end. */
static void test_certificate__indefinite_length(void **state)
{
    (void)state;
    chy_buf_append(&out,
                   (struct chy_bytes){ (const uint8_t *)"\x30\x80\xa0\x80\x02\x01\x02\0\0", 9 });
    put_certificate(false);
    chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\0\0garbage", 9 });
    expect(CHY_CONTENT_X509_TBS);
}

static void test_certificate__long_form_of_a_short_length(void **state)
{
    (void)state;
    static const uint8_t head[] = { 0x30, 0x84, 0, 0, 0, 20, 0xa0, 0x82, 0, 3, 0x02, 0x01, 0x02 };
    chy_buf_append(&out, (struct chy_bytes){ head, sizeof head });
    put_certificate(false);
    expect(CHY_CONTENT_X509_TBS);
}

static void test_request(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_INTEGER, "\x05");
    put(CHY_DER_SEQUENCE, "");
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_SEQUENCE, "");
    put(CHY_DER_BIT_STRING, "k");
    chy_der_close(&w);
    put(CHY_DER_CONTEXT_SET(0u), "");
    chy_der_close(&w);
    expect(CHY_CONTENT_CSR_INFO);
}

static void test_request__without_a_key_is_other(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_INTEGER, "\x05");
    put(CHY_DER_SEQUENCE, "");
    put(CHY_DER_SEQUENCE, "");
    chy_der_close(&w);
    expect(CHY_CONTENT_OTHER);
}

static void test_revocation_list(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_INTEGER, "\x01");
    put(CHY_DER_SEQUENCE, "");
    put(CHY_DER_SEQUENCE, "");
    put(CHY_DER_UTC_TIME, "260101000000Z");
    chy_der_close(&w);
    expect(CHY_CONTENT_X509_CRL);
}

static void test_ocsp_response(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SEQUENCE);
    put(CHY_DER_CONTEXT_SET(2u), "hash");
    put(CHY_DER_GENERALIZED_TIME, "20260101000000Z");
    put(CHY_DER_SEQUENCE, "");
    chy_der_close(&w);
    expect(CHY_CONTENT_OCSP_RESPONSE);
}

static void put_attribute(const char *oid, size_t n)
{
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, (struct chy_bytes){ (const uint8_t *)oid, n });
    put(CHY_DER_SET, "x");
    chy_der_close(&w);
}

static void test_signed_attributes(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SET);
    put_attribute("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05", 9);
    put_attribute("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03", 9);
    chy_der_close(&w);
    expect(CHY_CONTENT_CMS_SIGNED_ATTRIBUTES);
}

static void test_signed_attributes__without_content_type_is_other(void **state)
{
    (void)state;
    chy_der_open(&w, CHY_DER_SET);
    put_attribute("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05", 9);
    chy_der_close(&w);
    expect(CHY_CONTENT_OTHER);
}

static void test_jar_signature_file(void **state)
{
    (void)state;
    chy_buf_append_c(&out, "Signature-VERSION: 1.0\r\n");
    expect(CHY_CONTENT_JAR_SIGNATURE_FILE);
    chy_buf_clear(&out);
    chy_buf_append_c(&out, "Signature-Versio");
    expect(CHY_CONTENT_OTHER);
}

/* Every prefix of every shape is read without reading past it, and has some name. */
static void test_anything_short(void **state)
{
    (void)state;
    static const uint8_t heads[] = { 0x30, 0x31, 0x1f, 0x00, 0xff, 0x80 };
    uint8_t bytes[5];
    for (size_t n = 0; n <= sizeof bytes; n++)
        for (size_t pick = 0; pick < 7776; pick++) { /* 6^5: all texts of these bytes */
            size_t rest = pick;
            for (size_t i = 0; i < n; i++, rest /= CHY_ARRAY_LEN(heads))
                bytes[i] = heads[rest % CHY_ARRAY_LEN(heads)];
            assert_string_equal(inspect_recognize((struct chy_bytes){ bytes, n }),
                                CHY_CONTENT_OTHER);
        }
}

/* The worst that fits a message: open-ended elements side by side and inside each other. */
static void test_deep_nesting(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_LIMIT_CONTENT / 2; i++)
        chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\x31\x80", 2 });
    expect(CHY_CONTENT_OTHER);
    chy_buf_clear(&out);
    chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\x31\x80", 2 });
    for (size_t i = 0; i < CHY_LIMIT_CONTENT / 4; i++)
        chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\x30\x80\0\0", 4 });
    expect(CHY_CONTENT_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificate__version_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificate__cut_short_is_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificate__indefinite_length, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificate__long_form_of_a_short_length, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request__without_a_key_is_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revocation_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ocsp_response, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signed_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signed_attributes__without_content_type_is_other,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_jar_signature_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anything_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_nesting, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
