/* SPDX-License-Identifier: MIT */
/* Android packages by schemes v2 and v3, made byte by byte: who signed, and what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "format/place.h"
#include "forms_fixture.h"

#define FORM         CHY_VERIFY_APK
#define PKCS1_SHA256 0x0103
#define VERITY       0x0421
#define FILES        10
#define MAX_BYTES    ((size_t)1 << 22)

static struct forms forms;

/* How a package differs from a good one. */
struct odd {
    const struct cms_party *second; /* signs as well */
    const struct cms_party *key;    /* another's public key */
    uint32_t scheme;                /* 0: v2 */
    uint32_t algorithm;
    uint32_t oldest; /* of v3, in the signed data; outside it is 0 */
    bool no_digest;
    size_t more_files; /* bytes */
};

static void put32(struct chy_buf *b, uint32_t v)
{
    const uint8_t bytes[] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 24) };
    chy_buf_append(b, (struct chy_bytes){ bytes, sizeof bytes });
}

static void put64(struct chy_buf *b, uint64_t v)
{
    put32(b, (uint32_t)v);
    put32(b, (uint32_t)(v >> 32));
}

static void put(struct chy_buf *b, struct chy_bytes value)
{
    put32(b, (uint32_t)value.n);
    chy_buf_append(b, value);
}

/* Takes `value`. */
static void put_buf(struct chy_buf *b, struct chy_buf *value)
{
    put(b, chy_buf_bytes(value));
    chy_buf_done(value);
}

static struct chy_buf fresh(void)
{
    struct chy_buf b;
    chy_buf_init(&b, MAX_BYTES);
    return b;
}

/* The parts of the file, each in pieces of 1 MiB. */
static void content_hash(struct chy_bytes files, struct chy_bytes end, uint8_t out[CHY_HASH_BYTES])
{
    struct chy_buf top = fresh();
    uint8_t digest[CHY_HASH_BYTES];
    const struct chy_bytes parts[] = { files, end };
    chy_buf_append_u8(&top, 0x5a);
    put32(&top, (uint32_t)((files.n + 1048575) / 1048576 + 1));
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; at < parts[i].n; at += 1048576) {
            struct chy_buf piece = fresh();
            size_t n = CHY_MIN(parts[i].n - at, (size_t)1048576);
            chy_buf_append_u8(&piece, 0xa5);
            put(&piece, (struct chy_bytes){ parts[i].p + at, n });
            assert_int_equal(chy_sha256(chy_buf_bytes(&piece), digest, NULL), CHY_OK);
            chy_buf_append(&top, (struct chy_bytes){ digest, sizeof digest });
            chy_buf_done(&piece);
        }
    }
    assert_int_equal(chy_sha256(chy_buf_bytes(&top), out, NULL), CHY_OK);
    chy_buf_done(&top);
}

static struct chy_buf signed_data(const struct cms_party *by, const struct odd *odd,
                                  const uint8_t digest[CHY_HASH_BYTES])
{
    struct chy_buf b = fresh();
    struct chy_buf digests = fresh();
    struct chy_buf one = fresh();
    struct chy_buf certificates = fresh();
    struct chy_buf der = cms_party_der(by);
    put32(&one, odd->no_digest ? VERITY : PKCS1_SHA256);
    put(&one, (struct chy_bytes){ digest, CHY_HASH_BYTES });
    put_buf(&digests, &one);
    put_buf(&b, &digests);
    put_buf(&certificates, &der);
    put_buf(&b, &certificates);
    if (odd->scheme != 0 && odd->scheme != CHY_FORMAT_APK_V2) {
        put32(&b, odd->oldest);
        put32(&b, UINT32_MAX);
    }
    put32(&b, 0);
    return b;
}

static struct chy_buf signature(const struct cms_party *by, struct chy_bytes data)
{
    uint8_t bytes[512];
    size_t n = sizeof bytes;
    struct chy_buf b = fresh();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, by->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, bytes, &n, data.p, data.n), 1);
    EVP_MD_CTX_free(ctx);
    chy_buf_append(&b, (struct chy_bytes){ bytes, n });
    return b;
}

static struct chy_buf signer_make(const struct cms_party *by, const struct odd *odd,
                                  const uint8_t digest[CHY_HASH_BYTES])
{
    struct chy_buf b = fresh();
    struct chy_buf data = signed_data(by, odd, digest);
    struct chy_buf made = signature(by, chy_buf_bytes(&data));
    struct chy_buf one = fresh();
    struct chy_buf all = fresh();
    uint8_t *spki = NULL;
    int n = i2d_PUBKEY(odd->key != NULL ? odd->key->key : by->key, &spki);
    put_buf(&b, &data);
    if (odd->scheme != 0 && odd->scheme != CHY_FORMAT_APK_V2) {
        put32(&b, 0);
        put32(&b, UINT32_MAX);
    }
    put32(&one, odd->algorithm != 0 ? odd->algorithm : PKCS1_SHA256);
    put_buf(&one, &made);
    put_buf(&all, &one);
    put_buf(&b, &all);
    put(&b, (struct chy_bytes){ spki, (size_t)n });
    OPENSSL_free(spki);
    return b;
}

static struct chy_buf value_make(const struct cms_party *by, const struct odd *odd,
                                 const uint8_t digest[CHY_HASH_BYTES])
{
    struct chy_buf b = fresh();
    struct chy_buf all = fresh();
    struct chy_buf one = signer_make(by, odd, digest);
    put_buf(&all, &one);
    if (odd->second != NULL) {
        one = signer_make(odd->second, odd, digest);
        put_buf(&all, &one);
    }
    put_buf(&b, &all);
    return b;
}

/* An empty directory whose place is `directory`. */
static struct chy_buf end_make(uint64_t directory)
{
    struct chy_buf b = fresh();
    chy_buf_append(&b, (struct chy_bytes){ (const uint8_t *)"PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0", 16 });
    put32(&b, (uint32_t)directory);
    chy_buf_append_u16(&b, 0);
    return b;
}

static struct chy_buf apk_make(const struct cms_party *by, const struct odd *odd)
{
    uint8_t digest[CHY_HASH_BYTES];
    struct chy_buf b = fresh();
    for (size_t i = 0; i < FILES + odd->more_files; i++)
        chy_buf_append_u8(&b, 'f');
    struct chy_buf end = end_make(b.n);
    content_hash(chy_buf_bytes(&b), chy_buf_bytes(&end), digest);
    chy_buf_done(&end);
    struct chy_buf value = value_make(by, odd, digest);
    uint64_t size = 8 + 4 + value.n + 8 + 16;
    put64(&b, size);
    put64(&b, 4 + value.n);
    put32(&b, odd->scheme != 0 ? odd->scheme : CHY_FORMAT_APK_V2);
    chy_buf_append(&b, chy_buf_bytes(&value));
    put64(&b, size);
    chy_buf_append_c(&b, "APK Sig Block 42");
    end = end_make(b.n);
    chy_buf_append(&b, chy_buf_bytes(&end));
    chy_buf_done(&end);
    chy_buf_done(&value);
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    return b;
}

static enum chy_err outcome(const struct odd *odd)
{
    struct chy_buf b = apk_make(&forms.other, odd);
    enum chy_err r = forms_verify(&forms, FORM, chy_buf_bytes(&b));
    chy_buf_done(&b);
    return r;
}

static void good(const struct odd *odd)
{
    struct chy_buf b = apk_make(&forms.other, odd);
    forms_expect_good(&forms, FORM, chy_buf_bytes(&b));
    chy_buf_done(&b);
}

static void bad(const struct odd *odd, enum chy_err problem)
{
    struct chy_buf b = apk_make(&forms.other, odd);
    forms_expect_bad(&forms, FORM, chy_buf_bytes(&b), problem);
    chy_buf_done(&b);
}

static void test_schemes(void **state)
{
    (void)state;
    good(&(struct odd){ .scheme = 0 });
    assert_true(chy_str_equal_c(forms.found.signers.p[0].name, "Other"));
    assert_int_equal(forms.found.signers.p[0].algorithm, CHY_ALG_RSA_PKCS1_SHA256);
    assert_int_equal(forms.found.signers.p[0].digest.n, CHY_HASH_BYTES);
    good(&(struct odd){ .scheme = CHY_FORMAT_APK_V3 });
    good(&(struct odd){ .scheme = CHY_FORMAT_APK_V3_1 });
    good(&(struct odd){ .more_files = 1048576 - FILES });
    good(&(struct odd){ .more_files = 1048576 - FILES + 1 });
}

/* Its own certificate, not one above it. */
static void test_who_is_not_believed(void **state)
{
    (void)state;
    static const struct chy_str names[] = { { "Somebody", 8 } };
    struct chy_buf b = apk_make(&forms.signer, &(struct odd){ .scheme = 0 });
    forms_expect_bad(&forms, FORM, chy_buf_bytes(&b), CHY_E_FORBIDDEN);
    chy_buf_done(&b);
    forms.trust.document.names = (struct chy_strs){ names, 1 };
    bad(&(struct odd){ .scheme = 0 }, CHY_E_FORBIDDEN);
}

static void test_several(void **state)
{
    (void)state;
    assert_int_equal(outcome(&(struct odd){ .second = &forms.signer }), CHY_OK);
    assert_int_equal(forms.found.signers.n, 2);
    assert_true(forms.found.signers.p[0].is_good);
    assert_false(forms.found.signers.p[1].is_good);
}

/* In every part of it. */
static void test_a_byte_is_changed(void **state)
{
    (void)state;
    struct chy_buf b = apk_make(&forms.other, &(struct odd){ .scheme = 0 });
    size_t size = b.n;
    const size_t places[] = { 0, FILES - 1, size - 12, size - 10 }; /* number and size of entries */
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        b.p[places[i]] ^= 1;
        if (places[i] >= size - 12)
            assert_int_not_equal(forms_verify(&forms, FORM, chy_buf_bytes(&b)), CHY_OK);
        else
            forms_expect_bad(&forms, FORM, chy_buf_bytes(&b), CHY_E_INTEGRITY);
        b.p[places[i]] ^= 1;
    }
    b.p[FILES + 8 + 12 + 4 + 4 + 4 + 20] ^= 1; /* the digest */
    forms_expect_bad(&forms, FORM, chy_buf_bytes(&b), CHY_E_INTEGRITY);
    chy_buf_done(&b);
}

static void test_odd_blocks(void **state)
{
    (void)state;
    assert_int_equal(outcome(&(struct odd){ .key = &forms.signer }), CHY_E_MALFORMED);
    assert_int_equal(outcome(&(struct odd){ .algorithm = 0x0301 }), CHY_E_UNSUPPORTED);
    assert_int_equal(outcome(&(struct odd){ .scheme = CHY_FORMAT_APK_V3, .oldest = 33 }),
                     CHY_E_MALFORMED);
    bad(&(struct odd){ .algorithm = 0x0101 }, CHY_E_INTEGRITY);
    bad(&(struct odd){ .no_digest = true }, CHY_E_UNSUPPORTED);
}

static void test_cut_off(void **state)
{
    (void)state;
    struct chy_buf b = apk_make(&forms.other, &(struct odd){ .scheme = 0 });
    for (size_t at = FILES + 20; at < b.n - 46; at += 44) {
        uint8_t was = b.p[at];
        b.p[at] = (uint8_t)(was + 1);
        enum chy_err r = forms_verify(&forms, FORM, chy_buf_bytes(&b));
        assert_true(r != CHY_OK || !forms.found.signers.p[0].is_good);
        b.p[at] = was;
    }
    chy_buf_done(&b);
}

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
    forms_trust(&forms, &forms.other);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    forms_end(&forms);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schemes),           TEST(test_who_is_not_believed), TEST(test_several),
        TEST(test_a_byte_is_changed), TEST(test_odd_blocks),          TEST(test_cut_off),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
