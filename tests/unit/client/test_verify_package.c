/* SPDX-License-Identifier: MIT */
/* NuGet and MSIX packages and PowerShell files, made byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "forms_fixture.h"

#define DATA         "1.2.840.113549.1.7.1"
#define AUTHENTICODE "1.3.6.1.4.1.311.2.1.4"
#define MAX_BYTES    ((size_t)1 << 20)

static struct forms forms;

static struct chy_buf fresh(void)
{
    struct chy_buf b;
    chy_buf_init(&b, MAX_BYTES);
    return b;
}

static void put_le(struct chy_buf *b, size_t bytes, uint64_t v)
{
    for (size_t i = 0; i < bytes; i++)
        chy_buf_append_u8(b, (uint8_t)(v >> 8 * i));
}

static void put_zeros(struct chy_buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        chy_buf_append_u8(b, 0);
}

/* --- archives --- */

struct part {
    const char *name;
    struct chy_bytes data;
};

#define TEXT(s) ((struct chy_bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static uint32_t crc_of(struct chy_bytes in)
{
    uint32_t c = UINT32_MAX;
    for (size_t i = 0; i < in.n; i++) {
        c ^= in.p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ ((c & 1) != 0 ? 0xedb88320u : 0);
    }
    return ~c;
}

/* What head and entry have alike. */
static void facts_put(struct chy_buf *b, const struct part *p)
{
    put_zeros(b, 8);
    put_le(b, 4, crc_of(p->data));
    put_le(b, 4, p->data.n);
    put_le(b, 4, p->data.n);
    put_le(b, 2, strlen(p->name));
    put_zeros(b, 2);
}

static struct chy_buf archive(const struct part *parts, size_t n, size_t *ret_directory)
{
    struct chy_buf b = fresh();
    uint64_t places[8];
    for (size_t i = 0; i < n; i++) {
        places[i] = b.n;
        chy_buf_append_c(&b, "PK\3\4\24");
        chy_buf_append_u8(&b, 0);
        facts_put(&b, &parts[i]);
        chy_buf_append_c(&b, parts[i].name);
        chy_buf_append(&b, parts[i].data);
    }
    size_t directory = b.n;
    for (size_t i = 0; i < n; i++) {
        chy_buf_append_c(&b, "PK\1\2\24");
        chy_buf_append_u8(&b, 0);
        put_le(&b, 2, 20);
        facts_put(&b, &parts[i]);
        put_zeros(&b, 10);
        put_le(&b, 4, places[i]);
        chy_buf_append_c(&b, parts[i].name);
    }
    size_t size = b.n - directory;
    chy_buf_append_c(&b, "PK\5\6");
    put_zeros(&b, 4);
    put_le(&b, 2, n);
    put_le(&b, 2, n);
    put_le(&b, 4, size);
    put_le(&b, 4, directory);
    put_zeros(&b, 2);
    *ret_directory = directory;
    return b;
}

/* --- NuGet --- */

static struct chy_buf nuget_make(const struct cms_party *by, const char *format)
{
    static const struct part content = { "a.nuspec", { (const uint8_t *)"what is in it", 13 } };
    uint8_t digest[CHY_HASH_BYTES];
    char base64[CHY_BASE64_LEN(CHY_HASH_BYTES) + 1] = { 0 };
    char text[200];
    size_t directory;
    struct chy_buf coded = fresh();
    struct chy_buf b = archive(&content, 1, &directory);
    assert_int_equal(chy_sha256(chy_buf_bytes(&b), digest, NULL), CHY_OK);
    chy_buf_done(&b);
    chy_base64_append(&coded, (struct chy_bytes){ digest, sizeof digest });
    chy_copy(base64, coded.p, coded.n);
    chy_buf_done(&coded);
    struct chy_str at = chy_str_of(format);
    size_t hole = (size_t)((const char *)memchr(at.p, '@', at.n) - at.p);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)hole, format, base64, format + hole + 1);
    struct chy_buf cms = forms_sign(by, chy_str_bytes(chy_str_of(text)), DATA);
    const struct part parts[] = { content, { ".signature.p7s", chy_buf_bytes(&cms) } };
    b = archive(parts, 2, &directory);
    chy_buf_done(&cms);
    return b;
}

#define VERSION_1 "Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:@\n\n"

static enum chy_err nuget(const char *format)
{
    struct chy_buf b = nuget_make(&forms.signer, format);
    enum chy_err r = forms_verify(&forms, CHY_VERIFY_NUGET, chy_buf_bytes(&b));
    chy_buf_done(&b);
    return r;
}

static void test_nuget(void **state)
{
    (void)state;
    struct chy_buf b = nuget_make(&forms.signer, VERSION_1);
    forms_expect_good(&forms, CHY_VERIFY_NUGET, chy_buf_bytes(&b));
    const size_t places[] = { 40, b.n - 1 }; /* of what it holds; how long its comment is */
    b.p[places[0]] ^= 1;
    assert_int_equal(forms_verify(&forms, CHY_VERIFY_NUGET, chy_buf_bytes(&b)), CHY_E_INTEGRITY);
    b.p[places[0]] ^= 1;
    b.p[places[1]] ^= 1;
    assert_int_equal(forms_verify(&forms, CHY_VERIFY_NUGET, chy_buf_bytes(&b)), CHY_E_MALFORMED);
    chy_buf_done(&b);
    b = nuget_make(&forms.other, VERSION_1);
    forms_expect_bad(&forms, CHY_VERIFY_NUGET, chy_buf_bytes(&b), CHY_E_FORBIDDEN);
    chy_buf_done(&b);
}

static void test_nuget__other_texts(void **state)
{
    (void)state;
    assert_int_equal(nuget("Version:2\n\n2.16.840.1.101.3.4.2.1-Hash:@\n\n"), CHY_E_UNSUPPORTED);
    assert_int_equal(nuget("Version:1\n\n2.16.840.1.101.3.4.2.3-Hash:@\n\n"), CHY_E_UNSUPPORTED);
    assert_int_equal(nuget("Version:1\n\n1.3.14.3.2.26-Hash:@\n\n"), CHY_E_UNSUPPORTED);
    assert_int_equal(nuget("Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:@\n\nmore\n\n"),
                     CHY_E_UNSUPPORTED);
    assert_int_equal(nuget("Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:@\n"), CHY_E_UNSUPPORTED);
}

/* --- Authenticode --- */

/* The body of SpcIndirectDataContent. */
static struct chy_buf indirect(const char *uuid, struct chy_bytes digest)
{
    static const uint8_t sip_info[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 0x1e };
    static const uint8_t sha256[] = { 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1 };
    struct chy_buf b = fresh();
    struct chy_der_writer w;
    chy_der_writer_init(&w, &b);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, (struct chy_bytes){ sip_info, sizeof sip_info });
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_u64(&w, 65536);
    chy_der_put(&w, CHY_DER_OCTET_STRING, (struct chy_bytes){ (const uint8_t *)uuid, 16 });
    chy_der_close(&w);
    chy_der_close(&w);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_oid(&w, (struct chy_bytes){ sha256, sizeof sha256 });
    chy_der_put_null(&w);
    chy_der_close(&w);
    chy_der_put(&w, CHY_DER_OCTET_STRING, digest);
    chy_der_close(&w);
    return b;
}

#define MSIX_UUID   "\x4b\xdf\xc5\x0a\x07\xce\xe2\x4d\xb7\x6e\x23\xc8\x39\xa0\x9f\xd1"
#define SCRIPT_UUID "\x1f\xcc\x3b\x60\x59\x4b\x08\x4e\xb7\x24\xd2\xc6\x29\x7e\xf3\x51"

static struct chy_buf script_make(const struct cms_party *by, const char *uuid, const char *covered)
{
    uint8_t digest[CHY_HASH_BYTES];
    struct chy_buf b = fresh();
    struct chy_buf wide = fresh();
    for (size_t i = 0; covered[i] != '\0'; i++)
        put_le(&wide, 2, (unsigned char)covered[i]);
    assert_int_equal(chy_sha256(chy_buf_bytes(&wide), digest, NULL), CHY_OK);
    struct chy_buf content = indirect(uuid, (struct chy_bytes){ digest, sizeof digest });
    struct chy_buf cms = forms_sign(by, chy_buf_bytes(&content), AUTHENTICODE);
    chy_buf_append_c(&b, "text\r\n# SIG # Begin signature block\r\n# ");
    chy_base64_append(&b, chy_buf_bytes(&cms));
    chy_buf_append_c(&b, "\r\n# SIG # End signature block\r\n");
    chy_buf_done(&wide);
    chy_buf_done(&content);
    chy_buf_done(&cms);
    return b;
}

static enum chy_err script(const char *uuid, const char *covered)
{
    struct chy_buf b = script_make(&forms.signer, uuid, covered);
    enum chy_err r = forms_verify(&forms, CHY_VERIFY_SCRIPT, chy_buf_bytes(&b));
    chy_buf_done(&b);
    return r;
}

static void test_script(void **state)
{
    (void)state;
    struct chy_buf b = script_make(&forms.signer, SCRIPT_UUID, "text");
    forms_expect_good(&forms, CHY_VERIFY_SCRIPT, chy_buf_bytes(&b));
    chy_buf_done(&b);
    b = script_make(&forms.other, SCRIPT_UUID, "text");
    forms_expect_bad(&forms, CHY_VERIFY_SCRIPT, chy_buf_bytes(&b), CHY_E_FORBIDDEN);
    chy_buf_done(&b);
    assert_int_equal(script(SCRIPT_UUID, "another"), CHY_E_INTEGRITY);
    assert_int_equal(script(MSIX_UUID, "text"), CHY_E_MALFORMED);
}

/* --- MSIX --- */

#define TYPES "what kinds there are"
#define MAP   "what blocks there are"

static void hash_put(struct chy_buf *b, const char *tag, struct chy_bytes in)
{
    uint8_t digest[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(in, digest, NULL), CHY_OK);
    chy_buf_append_c(b, tag);
    chy_buf_append(b, (struct chy_bytes){ digest, sizeof digest });
}

/* How a package differs from a good one. */
struct odd {
    const char *tag; /* in place of AXBM */
    bool has_catalog;
    bool says_catalog;
    const char *begin; /* in place of PKCX */
};

static struct chy_buf msix_make(const struct odd *odd)
{
    struct part parts[] = { { "[Content_Types].xml", TEXT(TYPES) },
                            { "AppxBlockMap.xml", TEXT(MAP) },
                            { "AppxMetadata/CodeIntegrity.cat", TEXT("a catalogue") },
                            { 0 } };
    size_t n = odd->has_catalog ? 3 : 2;
    size_t directory;
    struct chy_buf said = fresh();
    struct chy_buf signature = fresh();
    struct chy_buf b = archive(parts, n, &directory);
    chy_buf_append_c(&said, "APPX");
    hash_put(&said, "AXPC", (struct chy_bytes){ b.p, directory });
    hash_put(&said, "AXCD", (struct chy_bytes){ b.p + directory, b.n - directory });
    hash_put(&said, "AXCT", TEXT(TYPES));
    hash_put(&said, odd->tag != NULL ? odd->tag : "AXBM", TEXT(MAP));
    if (odd->says_catalog)
        hash_put(&said, "AXCI", TEXT("a catalogue"));
    struct chy_buf content = indirect(MSIX_UUID, chy_buf_bytes(&said));
    struct chy_buf cms = forms_sign(&forms.signer, chy_buf_bytes(&content), AUTHENTICODE);
    chy_buf_append_c(&signature, odd->begin != NULL ? odd->begin : "PKCX");
    chy_buf_append(&signature, chy_buf_bytes(&cms));
    parts[n] = (struct part){ "AppxSignature.p7x", chy_buf_bytes(&signature) };
    chy_buf_done(&b);
    b = archive(parts, n + 1, &directory);
    chy_buf_done(&said);
    chy_buf_done(&signature);
    chy_buf_done(&content);
    chy_buf_done(&cms);
    return b;
}

static enum chy_err msix(const struct odd *odd)
{
    struct chy_buf b = msix_make(odd);
    enum chy_err r = forms_verify(&forms, CHY_VERIFY_MSIX, chy_buf_bytes(&b));
    if (r == CHY_OK)
        assert_true(forms.found.signers.p[0].is_good);
    chy_buf_done(&b);
    return r;
}

static void test_msix(void **state)
{
    (void)state;
    assert_int_equal(msix(&(struct odd){ .has_catalog = false }), CHY_OK);
    assert_int_equal(msix(&(struct odd){ .has_catalog = true, .says_catalog = true }), CHY_OK);
    assert_int_equal(msix(&(struct odd){ .has_catalog = true }), CHY_E_MALFORMED);
    assert_int_equal(msix(&(struct odd){ .says_catalog = true }), CHY_E_MALFORMED);
    assert_int_equal(msix(&(struct odd){ .tag = "AXXX" }), CHY_E_MALFORMED);
    assert_int_equal(msix(&(struct odd){ .begin = "PKCY" }), CHY_E_MALFORMED);
    struct chy_buf b = msix_make(&(struct odd){ .has_catalog = false });
    b.p[10] ^= 1; /* when a member was changed */
    assert_int_equal(forms_verify(&forms, CHY_VERIFY_MSIX, chy_buf_bytes(&b)), CHY_E_INTEGRITY);
    chy_buf_done(&b);
}

/* --- all --- */

static int group_setup(void **state)
{
    (void)state;
    forms_make(&forms);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    forms_done(&forms);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    forms_begin(&forms);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    forms_end(&forms);
    return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_nuget),
        T(test_nuget__other_texts),
        T(test_script),
        T(test_msix),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
