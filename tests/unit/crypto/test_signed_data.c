/* SPDX-License-Identifier: MIT */
/* SignedData as it is read, before anything of it is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"
#include "cms_fixture.h"
#include "codec/der.h"
#include "crypto/signed_data.h"

static struct cms_party signer;
static struct chy_error err;
static const struct chy_bytes content = { (const uint8_t *)"what is signed", 14 };

static int group_setup(void **state)
{
    (void)state;
    signer = cms_party_make(&(struct cms_party_options){ .name = "Signer" });
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    cms_party_done(&signer);
    return 0;
}

static struct chy_bytes without_tail(const struct chy_buf *b, size_t n)
{
    return (struct chy_bytes){ b->p, n };
}

static void test_parse__cut_off(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    struct chy_signed_data data;
    for (size_t n = 0; n < cms.n; n++)
        assert_int_equal(chy_signed_data_parse(without_tail(&cms, n), &data, &err),
                         CHY_E_MALFORMED);
    assert_true(chy_buf_append_u8(&cms, 0));
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&cms), &data, &err), CHY_E_MALFORMED);
    chy_buf_done(&cms);
}

static void test_parse__size(void **state)
{
    (void)state;
    static uint8_t bytes[CHY_LIMIT_CMS + 1];
    struct chy_signed_data data;
    assert_int_equal(chy_signed_data_parse((struct chy_bytes){ bytes, CHY_LIMIT_CMS }, &data, &err),
                     CHY_E_MALFORMED);
    assert_int_equal(
        chy_signed_data_parse((struct chy_bytes){ bytes, CHY_LIMIT_CMS + 1 }, &data, &err),
        CHY_E_LIMIT);
}

/* The signature of `of` with its certificates and its signers repeated. */
static struct chy_buf repeated(const struct chy_signed_data *of, struct chy_bytes signer_der,
                               size_t certificates, size_t signers)
{
    static const uint8_t oid_signed[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
    struct chy_buf out;
    struct chy_der_writer w;
    chy_buf_init(&out, 1 << 20);
    chy_der_writer_init(&w, &out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, (struct chy_bytes){ oid_signed, sizeof oid_signed });
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_u64(&w, 1);
    chy_der_put(&w, CHY_DER_SET, (struct chy_bytes){ NULL, 0 });
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, chy_oid_data());
    chy_der_close(&w);
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
    for (size_t i = 0; i < certificates; i++)
        chy_der_put_raw(&w, of->certificates[0]);
    chy_der_close(&w);
    chy_der_open(&w, CHY_DER_SET);
    for (size_t i = 0; i < signers; i++)
        chy_der_put_raw(&w, signer_der);
    chy_der_close(&w);
    chy_der_close(&w);
    chy_der_close(&w);
    chy_der_close(&w);
    assert_int_equal(chy_buf_check(&out, NULL), CHY_OK);
    return out;
}

/* The last element of the last SET. */
static struct chy_bytes signer_of(struct chy_bytes in)
{
    struct chy_der_item item;
    struct chy_bytes oid;
    assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &in, NULL), CHY_OK);
    assert_int_equal(chy_der_take_oid(&in, &oid, NULL), CHY_OK);
    assert_int_equal(chy_der_take(&in, CHY_DER_CONTEXT_SET(0), &in, NULL), CHY_OK);
    assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &in, NULL), CHY_OK);
    while (in.n != 0)
        assert_int_equal(chy_der_next(&in, &item, NULL), CHY_OK);
    return item.body;
}

static void test_parse__counts(void **state)
{
    (void)state;
    static const struct {
        size_t certificates;
        size_t signers;
        enum chy_err result;
    } cases[] = {
        { 1, 1, CHY_OK },
        { CHY_LIMIT_CMS_CERTIFICATES, CHY_LIMIT_CMS_SIGNERS, CHY_OK },
        { CHY_LIMIT_CMS_CERTIFICATES + 1, 1, CHY_E_LIMIT },
        { 1, CHY_LIMIT_CMS_SIGNERS + 1, CHY_E_LIMIT },
        { 1, 0, CHY_E_MALFORMED },
    };
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    struct chy_signed_data data;
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&cms), &data, &err), CHY_OK);
    struct chy_bytes one = signer_of(chy_buf_bytes(&cms));
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_signed_data again;
        struct chy_buf made = repeated(&data, one, cases[i].certificates, cases[i].signers);
        assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&made), &again, &err),
                         cases[i].result);
        chy_buf_done(&made);
    }
    chy_buf_done(&cms);
}

/* Bodies of OIDs. */
#define BODY(...)                                                                  \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }
static const struct chy_bytes oid_sha256 =
    BODY(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01);
static const struct chy_bytes oid_sha384 =
    BODY(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02);
static const struct chy_bytes rsa = BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
static const struct chy_bytes pss = BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a);
static const struct chy_bytes mgf1 = BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08);
static const struct chy_bytes rsa384 = BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c);
static const struct chy_bytes rsa512 = BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d);
static const struct chy_bytes attr_type =
    BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03);
static const struct chy_bytes attr_digest =
    BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04);
static const struct chy_bytes attr_stamp =
    BODY(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0e);
static const struct chy_bytes attr_stamp_ms =
    BODY(0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x03, 0x03, 0x01);

/* A signature that nobody could verify: only its form counts here. */
struct form {
    unsigned content_tag; /* 0: detached */
    struct chy_bytes algorithm;
    struct chy_bytes pss_digest; /* of the parameters, if any */
    struct chy_bytes pss_mask;
    size_t signature_bytes;
    struct chy_bytes attrs[3];
    struct chy_bytes unsigned_attrs[2];
    enum chy_err code;
};

static void put_algorithm(struct chy_der_writer *w, struct chy_bytes oid)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid);
    chy_der_close(w);
}

static void put_signature_algorithm(struct chy_der_writer *w, const struct form *f)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, f->algorithm);
    if (f->pss_digest.n != 0) {
        chy_der_open(w, CHY_DER_SEQUENCE);
        chy_der_open(w, CHY_DER_CONTEXT_SET(0));
        put_algorithm(w, f->pss_digest);
        chy_der_close(w);
        chy_der_open(w, CHY_DER_CONTEXT_SET(1));
        chy_der_open(w, CHY_DER_SEQUENCE);
        chy_der_put_oid(w, mgf1);
        put_algorithm(w, f->pss_mask);
        chy_der_close(w);
        chy_der_close(w);
        chy_der_close(w);
    }
    chy_der_close(w);
}

/* The value of the type is an OID, those of others are octets. */
static void put_attributes(struct chy_der_writer *w, unsigned tag, const struct chy_bytes *oids,
                           size_t n)
{
    if (oids[0].n == 0)
        return;
    chy_der_open(w, tag);
    for (size_t i = 0; i < n && oids[i].n != 0; i++) {
        chy_der_open(w, CHY_DER_SEQUENCE);
        chy_der_put_oid(w, oids[i]);
        chy_der_open(w, CHY_DER_SET);
        if (oids[i].p == attr_type.p)
            chy_der_put_oid(w, chy_oid_data());
        else
            chy_der_put(w, CHY_DER_OCTET_STRING, content);
        chy_der_close(w);
        chy_der_close(w);
    }
    chy_der_close(w);
}

static void put_signer(struct chy_der_writer *w, const struct form *f)
{
    static const uint8_t signature[CHY_LIMIT_SIGNATURE + 1];
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_u64(w, 3);
    chy_der_put(w, CHY_DER_CONTEXT(0), content); /* an identifier of a key */
    put_algorithm(w, oid_sha256);
    put_attributes(w, CHY_DER_CONTEXT_SET(0), f->attrs, CHY_ARRAY_LEN(f->attrs));
    put_signature_algorithm(w, f);
    chy_der_put(w, CHY_DER_OCTET_STRING, (struct chy_bytes){ signature, f->signature_bytes });
    put_attributes(w, CHY_DER_CONTEXT_SET(1), f->unsigned_attrs, CHY_ARRAY_LEN(f->unsigned_attrs));
    chy_der_close(w);
}

static struct chy_buf form_write(const struct form *f)
{
    static const uint8_t oid_signed[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
    struct chy_buf out;
    struct chy_der_writer w;
    chy_buf_init(&out, 1 << 20);
    chy_der_writer_init(&w, &out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, (struct chy_bytes){ oid_signed, sizeof oid_signed });
    chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_u64(&w, 1);
    chy_der_put(&w, CHY_DER_SET, (struct chy_bytes){ NULL, 0 });
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, chy_oid_data());
    if (f->content_tag != 0) {
        chy_der_open(&w, CHY_DER_CONTEXT_SET(0));
        chy_der_put(&w, f->content_tag, content);
        chy_der_close(&w);
    }
    chy_der_close(&w);
    chy_der_open(&w, CHY_DER_SET);
    put_signer(&w, f);
    for (int i = 0; i < 4; i++)
        chy_der_close(&w);
    assert_int_equal(chy_buf_check(&out, NULL), CHY_OK);
    return out;
}

static void test_parse__forms(void **state)
{
    (void)state;
    const struct form forms[] = {
        { .algorithm = rsa, .signature_bytes = 1 },
        { .algorithm = rsa, .signature_bytes = CHY_LIMIT_SIGNATURE },
        { .algorithm = rsa, .signature_bytes = CHY_LIMIT_SIGNATURE + 1, .code = CHY_E_LIMIT },
        { .algorithm = rsa, .signature_bytes = 0, .code = CHY_E_LIMIT },
        { .algorithm = rsa, .signature_bytes = 1, .content_tag = CHY_DER_OCTET_STRING },
        { .algorithm = rsa, .signature_bytes = 1, .content_tag = CHY_DER_SEQUENCE },
        { .algorithm = rsa,
          .signature_bytes = 1,
          .content_tag = CHY_DER_SET,
          .code = CHY_E_MALFORMED },
        { .algorithm = rsa384, .signature_bytes = 1, .code = CHY_E_UNSUPPORTED },
        { .algorithm = rsa512, .signature_bytes = 1, .code = CHY_E_UNSUPPORTED },
        { .algorithm = mgf1, .signature_bytes = 1, .code = CHY_E_UNSUPPORTED },
        { .algorithm = pss,
          .signature_bytes = 1,
          .pss_digest = oid_sha256,
          .pss_mask = oid_sha256 },
        { .algorithm = pss,
          .signature_bytes = 1,
          .pss_digest = oid_sha384,
          .pss_mask = oid_sha256,
          .code = CHY_E_UNSUPPORTED },
        { .algorithm = pss,
          .signature_bytes = 1,
          .pss_digest = oid_sha256,
          .pss_mask = oid_sha384,
          .code = CHY_E_UNSUPPORTED },
        { .algorithm = pss, .signature_bytes = 1, .code = CHY_E_MALFORMED },
        { .algorithm = rsa, .signature_bytes = 1, .attrs = { attr_type, attr_digest } },
        { .algorithm = rsa, .signature_bytes = 1, .attrs = { attr_type }, .code = CHY_E_MALFORMED },
        { .algorithm = rsa,
          .signature_bytes = 1,
          .attrs = { attr_digest },
          .code = CHY_E_MALFORMED },
        { .algorithm = rsa,
          .signature_bytes = 1,
          .attrs = { attr_type, attr_digest, attr_digest },
          .code = CHY_E_MALFORMED },
        { .algorithm = rsa, .signature_bytes = 1, .unsigned_attrs = { attr_stamp } },
        /* Microsoft's number means the same attribute. */
        { .algorithm = rsa,
          .signature_bytes = 1,
          .unsigned_attrs = { attr_stamp, attr_stamp_ms },
          .code = CHY_E_MALFORMED },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(forms); i++) {
        struct chy_signed_data data;
        struct chy_buf made = form_write(&forms[i]);
        enum chy_err r = chy_signed_data_parse(chy_buf_bytes(&made), &data, &err);
        if (r != forms[i].code)
            fail_msg("form %zu: %d and not %d", i, (int)r, (int)forms[i].code);
        assert_true(r != CHY_OK ||
                    (data.signers[0].time_stamp.p != NULL) == (forms[i].unsigned_attrs[0].n != 0));
        chy_buf_done(&made);
    }
}

/* --- BER --- */

/* The same with the length of its outermost SEQUENCE left open, as streams are written. */
static struct chy_buf ber_of(const struct chy_buf *der)
{
    struct chy_buf out;
    struct chy_bytes in = chy_buf_bytes(der);
    struct chy_bytes body;
    chy_buf_init(&out, (size_t)2 * CHY_LIMIT_CMS);
    assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &body, NULL), CHY_OK);
    assert_true(chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\x30\x80", 2 }) &&
                chy_buf_append(&out, body) &&
                chy_buf_append(&out, (struct chy_bytes){ (const uint8_t *)"\0\0", 2 }));
    return out;
}

static void test_read__ber(void **state)
{
    struct chy_arena arena;
    struct chy_signed_data data;
    (void)state;
    chy_arena_init(&arena, 1 << 20);
    struct chy_buf der = cms_make(&signer, content, 0, EVP_sha256());
    struct chy_buf ber = ber_of(&der);
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&ber), &data, &err), CHY_E_MALFORMED);
    assert_int_equal(chy_signed_data_read(chy_buf_bytes(&ber), &arena, &data, &err), CHY_OK);
    assert_true(chy_bytes_equal(data.content, content));
    assert_int_equal(chy_signed_data_read(chy_buf_bytes(&der), &arena, &data, &err), CHY_OK);
    for (size_t n = 2; n < ber.n; n += 5)
        assert_int_equal(chy_signed_data_read(without_tail(&ber, n), &arena, &data, &err),
                         CHY_E_MALFORMED);
    chy_buf_done(&ber);
    chy_buf_done(&der);
    chy_arena_done(&arena);
}

static void test_read__errors(void **state)
{
    static uint8_t bytes[CHY_LIMIT_CMS + 1] = { CHY_DER_SEQUENCE, 0x80 };
    struct chy_arena arena;
    struct chy_signed_data data;
    (void)state;
    chy_arena_init(&arena, 64); /* too small for a signature */
    struct chy_buf der = cms_make(&signer, content, 0, EVP_sha256());
    struct chy_buf ber = ber_of(&der);
    assert_int_equal(chy_signed_data_read(chy_buf_bytes(&ber), &arena, &data, &err), CHY_E_NOMEM);
    assert_int_equal(
        chy_signed_data_read((struct chy_bytes){ bytes, CHY_LIMIT_CMS }, &arena, &data, &err),
        CHY_E_MALFORMED);
    assert_int_equal(
        chy_signed_data_read((struct chy_bytes){ bytes, sizeof bytes }, &arena, &data, &err),
        CHY_E_LIMIT);
    chy_buf_done(&ber);
    chy_buf_done(&der);
    chy_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__cut_off), cmocka_unit_test(test_parse__size),
        cmocka_unit_test(test_parse__counts),  cmocka_unit_test(test_parse__forms),
        cmocka_unit_test(test_read__ber),      cmocka_unit_test(test_read__errors),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
