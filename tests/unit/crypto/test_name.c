/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "crypto/name.h"

static enum chy_err name_make(const char *text, struct chy_buf *der)
{
    struct chy_der_writer w;
    chy_buf_init(der, 16384);
    chy_der_writer_init(&w, der);
    return chy_name_write(&w, chy_str_of(text), NULL);
}

/* What we write, OpenSSL reads, and shows in the same words. */
static void test_name_write__openssl_shows_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {
        { "", "" },
        { "CN=Example", "CN=Example" },
        { "CN=Example,OU=Unit,O=Example Ltd,L=Town,ST=Land,C=DE",
          "CN=Example,OU=Unit,O=Example Ltd,L=Town,ST=Land,C=DE" },
        { " cn = Example , c = DE ", "CN=Example,C=DE" },
        { "CN=Acme\\, Inc.,O=a\\+b\\\\c", "CN=Acme\\, Inc.,O=a\\+b\\\\c" },
        { "CN=\\41\\42", "CN=AB" },
        { "CN=M\xc3\xbcller", "CN=M\xc3\xbcller" },
        { "CN=M\\c3\\bcller", "CN=M\xc3\xbcller" },
        { "CN=\\ x\\ ", "CN=\\ x\\ " },
        { "emailAddress=a@example.com,UID=u,DC=example,DC=com,SERIALNUMBER=HRB 1,STREET=s",
          "emailAddress=a@example.com,UID=u,DC=example,DC=com,serialNumber=HRB 1,street=s" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_buf der;
        assert_int_equal(name_make(rows[i].text, &der), CHY_OK);
        const uint8_t *p = der.p;
        X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)der.n);
        assert_non_null(name);
        BIO *bio = BIO_new(BIO_s_mem());
        assert_true(X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0);
        char *shown = NULL;
        long n = BIO_get_mem_data(bio, &shown);
        assert_int_equal(n, strlen(rows[i].shown));
        assert_memory_equal(shown, rows[i].shown, (size_t)n);
        BIO_free(bio);
        X509_NAME_free(name);
        chy_buf_done(&der);
    }
}

static void test_name_write__refuses_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Example",  "CN",          "CN=",
        "CN= ",     "XX=1",        "=x",
        "CN=a,",    "CN=a,,O=b",   ",CN=a",
        "CN=a;O=b", "CN=a+O=b",    "CN=\"a\"",
        "CN=#0401", "CN=a\\",      "CN=a\\z",
        "CN=a\\4",  "CN=a<b",      "CN=a=b",
        "C=DEU",    "C=D",         "C=D\xc3\xa9",
        "CN=a\nb",  "CN=\\00",     "CN=\xff",
        "CN=\\ff",  "DC=\xc3\xa9", "SERIALNUMBER=a*b",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_buf der;
        assert_int_equal(name_make(bad[i], &der), CHY_E_ARG);
        chy_buf_done(&der);
    }
    char text[8 * 40];
    for (size_t n = CHY_LIMIT_NAME; n <= CHY_LIMIT_NAME + 1; n++) {
        struct chy_buf der;
        memset(text, 'a', sizeof text);
        memcpy(text, "CN=", 3);
        text[3 + n] = '\0';
        assert_int_equal(name_make(text, &der), n == CHY_LIMIT_NAME ? CHY_OK : CHY_E_ARG);
        chy_buf_done(&der);
    }
    for (size_t n = 32; n <= 33; n++) {
        struct chy_buf der;
        for (size_t i = 0; i < n; i++)
            memcpy(text + 5 * i, "OU=x,", 5);
        text[5 * n - 1] = '\0';
        assert_int_equal(name_make(text, &der), n == 32 ? CHY_OK : CHY_E_ARG);
        chy_buf_done(&der);
    }
}

static void test_general_names__round_trip(void **state)
{
    (void)state;
    const struct chy_str names[] = { CHY_STR("dns:example.com"), CHY_STR("ip:192.0.2.1"),
                                     CHY_STR("ip:2001:db8::1"), CHY_STR("uri:https://example.com/"),
                                     CHY_STR("email:a@example.com") };
    struct chy_buf der;
    struct chy_der_writer w;
    struct chy_arena a;
    chy_buf_init(&der, 4096);
    chy_der_writer_init(&w, &der);
    chy_arena_init(&a, 65536);
    assert_int_equal(chy_general_names_write(&w, names, CHY_ARRAY_LEN(names), NULL), CHY_OK);
    struct chy_str *back = NULL;
    size_t n = 0;
    assert_int_equal(chy_general_names_read(&a, chy_buf_bytes(&der), &back, &n, NULL), CHY_OK);
    assert_int_equal(n, CHY_ARRAY_LEN(names));
    for (size_t i = 0; i < n; i++)
        assert_true(chy_str_equal(back[i], names[i]));
    for (size_t max = 0; max < 512; max += 64) {
        struct chy_arena small;
        chy_arena_init(&small, max);
        assert_int_equal(chy_general_names_read(&small, chy_buf_bytes(&der), &back, &n, NULL),
                         CHY_E_LIMIT);
        chy_arena_done(&small);
    }
    chy_arena_done(&a);
    chy_buf_done(&der);
}

static void test_general_names_write__refuses_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "example.com",
                                       "dns:",
                                       "dns:\xc3\xa9",
                                       "dns:a b\n",
                                       "ip:",
                                       "ip:1.2.3",
                                       "ip:1.2.3.4.5",
                                       "ip:example.com",
                                       "ip:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18",
                                       "rid:1.2" };
    struct chy_buf der;
    struct chy_der_writer w;
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        const struct chy_str name = chy_str_of(bad[i]);
        chy_buf_init(&der, 4096);
        chy_der_writer_init(&w, &der);
        assert_int_equal(chy_general_names_write(&w, &name, 1, NULL), CHY_E_ARG);
        chy_buf_done(&der);
    }
    struct chy_str many[CHY_LIMIT_SANS + 1];
    for (size_t i = 0; i < CHY_ARRAY_LEN(many); i++)
        many[i] = CHY_STR("dns:a");
    for (size_t n = CHY_LIMIT_SANS; n <= CHY_LIMIT_SANS + 1; n++) {
        chy_buf_init(&der, 4096);
        chy_der_writer_init(&w, &der);
        assert_int_equal(chy_general_names_write(&w, many, n, NULL),
                         n == CHY_LIMIT_SANS ? CHY_OK : CHY_E_LIMIT);
        chy_buf_done(&der);
    }
}

static void test_general_names_read__what_others_write(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint8_t der[12];
        enum chy_err r;
        size_t n_names;
    } rows[] = {
        { 2, { 0x30, 0 }, CHY_OK, 0 },
        { 5, { 0x30, 3, 0x88, 1, 0x2a }, CHY_OK, 0 }, /* a registered id: left out */
        { 8, { 0x30, 6, 0x88, 1, 0x2a, 0x82, 1, 'a' }, CHY_OK, 1 },
        { 5, { 0x30, 3, 0x87, 1, 1 }, CHY_E_MALFORMED, 0 },
        { 4, { 0x30, 2, 0x82, 0 }, CHY_E_MALFORMED, 0 },
        { 5, { 0x30, 3, 0x82, 1, 0 }, CHY_E_MALFORMED, 0 },
        { 5, { 0x30, 3, 0x82, 2, 'a' }, CHY_E_MALFORMED, 0 },
        { 3, { 0x30, 0, 0 }, CHY_E_MALFORMED, 0 },
        { 0, { 0 }, CHY_E_MALFORMED, 0 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_arena a;
        struct chy_str *names = NULL;
        size_t n = 0;
        chy_arena_init(&a, 65536);
        assert_int_equal(chy_general_names_read(&a, (struct chy_bytes){ rows[i].der, rows[i].n },
                                                &names, &n, NULL),
                         rows[i].r);
        assert_int_equal(n, rows[i].n_names);
        chy_arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_write__openssl_shows_the_same),
        cmocka_unit_test(test_name_write__refuses_other_forms),
        cmocka_unit_test(test_general_names__round_trip),
        cmocka_unit_test(test_general_names_write__refuses_other_forms),
        cmocka_unit_test(test_general_names_read__what_others_write),
    };
    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
