/* SPDX-License-Identifier: MIT */
/* Signatures that OpenSSL makes are believed or not. Their time stamps are in
 * test_stamp_check.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cms_fixture.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/signature_check.h"
#include "key_fixture.h"

static struct chy_arena arena;
static struct cms_party root;
static struct cms_party signer;
static struct chy_trust_store *store;
static struct chy_error err;
static const struct chy_bytes content = { (const uint8_t *)"what is signed", 14 };

static void trust(const struct cms_party *p)
{
    struct chy_buf der = cms_party_der(p);
    assert_int_equal(chy_trust_store_add(store, chy_buf_bytes(&der), &err), CHY_OK);
    chy_buf_done(&der);
}

static int group_setup(void **state)
{
    (void)state;
    root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    signer = cms_party_make(
        &(struct cms_party_options){ .name = "Signer", .issuer = &root, .usage = "codeSigning" });
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    cms_party_done(&root);
    cms_party_done(&signer);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, 1 << 24);
    assert_int_equal(chy_trust_store_new(&store, &err), CHY_OK);
    trust(&root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_trust_store_free(store);
    chy_arena_done(&arena);
    return 0;
}

static struct chy_checked_signer checked;

static enum chy_err check_at(const struct chy_buf *cms, struct chy_bytes of, int64_t now_us)
{
    const struct chy_check_terms terms = { store, store, now_us, false };
    struct chy_signed_data data;
    uint8_t digest[CHY_LIMIT_DIGEST];
    CHY_TRY(chy_signed_data_read(chy_buf_bytes(cms), &arena, &data, &err));
    enum chy_hash_alg hash = data.signers[0].hash;
    CHY_TRY(chy_hash(hash, of, digest, &err));
    const struct chy_signed_content what = { { digest, chy_hash_alg_bytes(hash) }, of, of.n };
    return chy_signer_check(&terms, &data, 0, &what, &arena, &checked, &err);
}

static enum chy_err check(const struct cms_party *by, unsigned flags, const EVP_MD *md)
{
    struct chy_buf cms = cms_make(by, content, flags, md);
    enum chy_err r = check_at(&cms, content, CMS_NOW_US);
    chy_buf_done(&cms);
    return r;
}

static void test_check__good(void **state)
{
    (void)state;
    assert_int_equal(check(&signer, CMS_DETACHED, EVP_sha256()), CHY_OK);
    assert_string_equal(checked.certificate->common_name.p, "Signer");
    assert_int_equal(checked.algorithm, CHY_ALG_RSA_PKCS1_SHA256);
    assert_int_equal(checked.digest.n, 32);
    assert_int_equal(checked.signature.n, 256);
    assert_int_equal(checked.stamped_us, 0);
}

static void test_check__forms(void **state)
{
    (void)state;
    static const unsigned flags[] = { 0, CMS_DETACHED | CMS_NOATTR, CMS_DETACHED | CMS_USE_KEYID,
                                      CMS_NOSMIMECAP };
    for (size_t i = 0; i < CHY_ARRAY_LEN(flags); i++)
        assert_int_equal(check(&signer, flags[i], EVP_sha512()), CHY_OK);
    assert_int_equal(checked.algorithm, CHY_ALG_RSA_PKCS1_SHA512);
}

/* What is signed without attributes is the content itself: its digest is what the log has. */
static void test_check__digest_without_attributes(void **state)
{
    uint8_t digest[CHY_HASH_BYTES];
    (void)state;
    assert_int_equal(check(&signer, CMS_DETACHED | CMS_NOATTR, EVP_sha256()), CHY_OK);
    assert_int_equal(chy_sha256(content, digest, NULL), CHY_OK);
    assert_memory_equal(checked.digest.p, digest, sizeof digest);
}

/* Whoever has a signature has one over its attributes, too, if those may pass for content. */
static void test_check__attributes_as_content(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    struct chy_buf attributes;
    struct chy_buf forged = cms_confuse(&signer, &cms, &attributes);
    assert_int_equal(check_at(&cms, content, CMS_NOW_US), CHY_OK);
    assert_int_equal(check_at(&forged, chy_buf_bytes(&attributes), CMS_NOW_US), CHY_E_INTEGRITY);
    assert_non_null(strstr(err.text, "attributes of another signature"));
    chy_buf_done(&forged);
    chy_buf_done(&attributes);
    chy_buf_done(&cms);
}

static void test_content_is_attributes(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[16];
        size_t n;
        uint64_t size;
        bool is;
    } rows[] = {
        { { 0x31, 4, 0x30, 2, 0x06, 0 }, 6, 6, true },
        { { 0x31, 0x81, 0x80, 0x30, 2, 0x06, 0 }, 7, 131, true },
        { { 0x31, 0x84, 0, 1, 0, 0, 0x30, 0x82, 1, 0, 0x06 }, 11, 65542, true },
        { { 0x31, 4, 0x30, 2, 0x06, 0 }, 6, 7, false },    /* something behind it */
        { { 0x31, 4, 0x30, 2, 0x06, 0 }, 6, 5, false },    /* cut off */
        { { 0x30, 4, 0x30, 2, 0x06, 0 }, 6, 6, false },    /* no set */
        { { 0x31, 4, 0x31, 2, 0x06, 0 }, 6, 6, false },    /* of no sequences */
        { { 0x31, 4, 0x30, 2, 0x04, 0 }, 6, 6, false },    /* that have no type */
        { { 0x31, 0x80, 0x30, 2, 0x06, 0 }, 6, 6, false }, /* no DER */
        { { 0x31, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 11, 12, false },
        { { 0x31, 2, 0x30, 0 }, 4, 4, false },
        { { 0x31 }, 1, 1, false },
        { { 0 }, 0, 0, false },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_int_equal(
            chy_content_is_attributes((struct chy_bytes){ rows[i].head, rows[i].n }, rows[i].size),
            rows[i].is);
}

static void test_check__kinds_of_keys(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        const char *size;
        enum chy_sign_alg alg;
    } kinds[] = {
        { "EC", "P-256", CHY_ALG_ECDSA_SHA256 },
        { "EC", "P-384", CHY_ALG_ECDSA_SHA256 },
        { "EC", "P-521", CHY_ALG_ECDSA_SHA256 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        struct cms_party p = cms_party_make(&(struct cms_party_options){
            .name = "Other",
            .issuer = &root,
            .usage = "codeSigning",
            .algorithm = kinds[i].algorithm,
            .size = kinds[i].size,
        });
        assert_int_equal(check(&p, CMS_DETACHED, EVP_sha256()), CHY_OK);
        assert_int_equal(checked.algorithm, kinds[i].alg);
        cms_party_done(&p);
    }
}

static void test_check__another_content(void **state)
{
    static const struct chy_bytes other = { (const uint8_t *)"what is signee", 14 };
    (void)state;
    for (unsigned flags = 0; flags <= CMS_NOATTR; flags += CMS_NOATTR) {
        struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED | flags, EVP_sha256());
        assert_int_equal(check_at(&cms, other, CMS_NOW_US), CHY_E_INTEGRITY);
        assert_non_null(checked.certificate); /* for the report */
        chy_buf_done(&cms);
    }
}

/* A bit in any third byte: it is refused, or the same signature is still there. */
static void test_check__any_byte_is_changed(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED | CMS_NOSMIMECAP, EVP_sha256());
    size_t accepted = 0;
    for (size_t i = 0; i < cms.n; i += 3) {
        cms.p[i] ^= 1;
        accepted += check_at(&cms, content, CMS_NOW_US) == CHY_OK;
        cms.p[i] ^= 1;
        chy_arena_reset(&arena);
    }
    /* Versions, the list of hashes, parameters of algorithms. */
    assert_in_range(accepted, 0, 12);
    chy_buf_done(&cms);
}

static void test_check__untrusted(void **state)
{
    (void)state;
    struct cms_party other = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    struct cms_party p = cms_party_make(
        &(struct cms_party_options){ .name = "Signer", .issuer = &other, .usage = "codeSigning" });
    assert_int_equal(check(&p, CMS_DETACHED, EVP_sha256()), CHY_E_FORBIDDEN);
    assert_int_equal(check(&other, CMS_DETACHED, EVP_sha256()), CHY_E_FORBIDDEN);
    cms_party_done(&p);
    cms_party_done(&other);
}

static void test_check__purpose(void **state)
{
    (void)state;
    static const struct {
        const char *usage;
        const char *key_usage;
    } bad[] = { { NULL, NULL },
                { "serverAuth", NULL },
                { "codeSigning", "critical,keyEncipherment" } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct cms_party p = cms_party_make(&(struct cms_party_options){
            .name = "P", .issuer = &root, .usage = bad[i].usage, .key_usage = bad[i].key_usage });
        assert_int_equal(check(&p, CMS_DETACHED, EVP_sha256()), CHY_E_FORBIDDEN);
        cms_party_done(&p);
    }
}

/* What an authority between may not do, those whom it certifies may not either. */
static void test_check__purpose_of_those_between(void **state)
{
    (void)state;
    static const struct {
        const char *usage;
        enum chy_err code;
    } rows[] = { { NULL, CHY_OK },
                 { "codeSigning", CHY_OK },
                 { "anyExtendedKeyUsage", CHY_OK },
                 { "serverAuth,codeSigning", CHY_OK },
                 { "serverAuth", CHY_E_FORBIDDEN },
                 { "timeStamping", CHY_E_FORBIDDEN } };
    const struct chy_check_terms terms = { store, store, CMS_NOW_US, false };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct cms_party between = cms_party_make(&(struct cms_party_options){
            .name = "Between", .issuer = &root, .is_authority = true, .usage = rows[i].usage });
        struct cms_party leaf = cms_party_make(&(struct cms_party_options){
            .name = "Leaf", .issuer = &between, .usage = "codeSigning" });
        struct chy_buf der = cms_party_der(&leaf);
        struct chy_buf other = cms_party_der(&between);
        const struct chy_bytes others[] = { chy_buf_bytes(&other) };
        assert_int_equal(chy_certificate_check(&terms, chy_buf_bytes(&der), others, 1, &err),
                         rows[i].code);
        chy_buf_done(&der);
        chy_buf_done(&other);
        cms_party_done(&leaf);
        cms_party_done(&between);
    }
}

/* One that the trust file names itself needs not say that it is for code. */
static void test_check__named_by_the_verifier(void **state)
{
    (void)state;
    struct cms_party p = cms_party_make(&(struct cms_party_options){ .name = "Module key" });
    trust(&p);
    assert_int_equal(check(&p, CMS_DETACHED | CMS_NOATTR | CMS_NOCERTS, EVP_sha256()), CHY_OK);
    cms_party_done(&p);
}

static void test_check__no_certificate(void **state)
{
    (void)state;
    assert_int_equal(check(&signer, CMS_DETACHED | CMS_NOCERTS, EVP_sha256()), CHY_E_NOT_FOUND);
}

static void test_check__time(void **state)
{
    (void)state;
    struct cms_party p =
        cms_party_make(&(struct cms_party_options){ .name = "Short",
                                                    .issuer = &root,
                                                    .usage = "codeSigning",
                                                    .not_after_us = CMS_NOW_US + CMS_DAY_US });
    struct chy_buf cms = cms_make(&p, content, CMS_DETACHED, EVP_sha256());
    assert_int_equal(check_at(&cms, content, CMS_NOW_US), CHY_OK);
    assert_int_equal(check_at(&cms, content, CMS_NOW_US + 2 * CMS_DAY_US), CHY_E_EXPIRED);
    assert_int_equal(check_at(&cms, content, CMS_NOW_US - 20 * CMS_DAY_US), CHY_E_EXPIRED);
    chy_buf_done(&cms);
    cms_party_done(&p);
}

static void test_check__weak(void **state)
{
    (void)state;
    assert_int_equal(check(&signer, CMS_DETACHED, EVP_sha1()), CHY_E_UNSUPPORTED);
    struct cms_party p = cms_party_make(&(struct cms_party_options){ .name = "Weak",
                                                                     .issuer = &root,
                                                                     .usage = "codeSigning",
                                                                     .algorithm = "RSA",
                                                                     .size = "1024" });
    assert_int_equal(check(&p, CMS_DETACHED, EVP_sha256()), CHY_E_FORBIDDEN);
    cms_party_done(&p);
}

static void test_check__no_such_signer(void **state)
{
    (void)state;
    const struct chy_check_terms terms = { store, store, CMS_NOW_US, false };
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    struct chy_signed_data data;
    uint8_t digest[CHY_HASH_BYTES] = { 0 };
    const struct chy_signed_content whole = { { digest, 32 }, content, content.n };
    const struct chy_signed_content cut = { { digest, 31 }, content, content.n };
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&cms), &data, &err), CHY_OK);
    assert_int_equal(chy_signer_check(&terms, &data, 1, &whole, &arena, &checked, &err), CHY_E_ARG);
    assert_int_equal(chy_signer_check(&terms, &data, 0, &cut, &arena, &checked, &err), CHY_E_ARG);
    chy_buf_done(&cms);
}

/* --- what the reading found, changed --- */

static struct chy_signed_data data_of(const struct chy_buf *cms)
{
    struct chy_signed_data data;
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(cms), &data, &err), CHY_OK);
    return data;
}

static enum chy_err check_data(const struct chy_signed_data *data)
{
    const struct chy_check_terms terms = { store, store, CMS_NOW_US, false };
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg hash = data->signers[0].hash;
    CHY_TRY(chy_hash(hash, content, digest, &err));
    const struct chy_signed_content what = { { digest, chy_hash_alg_bytes(hash) },
                                             content,
                                             content.n };
    return chy_signer_check(&terms, data, 0, &what, &arena, &checked, &err);
}

/* RFC 5652 section 5.3: the attributes name the type, and only plain data may have none. */
static void test_check__type_of_content(void **state)
{
    (void)state;
    static const struct {
        unsigned flags;
        enum chy_err code;
    } rows[] = { { CMS_DETACHED, CHY_E_INTEGRITY },
                 { CMS_DETACHED | CMS_NOATTR, CHY_E_MALFORMED } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_buf cms = cms_make(&signer, content, rows[i].flags, EVP_sha256());
        struct chy_signed_data data = data_of(&cms);
        assert_int_equal(check_data(&data), CHY_OK);
        data.content_type = chy_oid_authenticode();
        assert_int_equal(check_data(&data), rows[i].code);
        chy_buf_done(&cms);
    }
}

/* RFC 8419, which OpenSSL 3.0 does not write: attributes of another's signature, signed anew. */
static void test_check__ed25519(void **state)
{
    uint8_t signature[64];
    size_t n = sizeof signature;
    (void)state;
    struct cms_party p = cms_party_make(&(struct cms_party_options){
        .name = "Edwards", .issuer = &root, .usage = "codeSigning", .algorithm = "ED25519" });
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha512());
    struct chy_buf der = cms_party_der(&p);
    struct chy_signed_data data = data_of(&cms);
    struct chy_signer_info *si = &data.signers[0];
    const ASN1_INTEGER *serial = X509_get0_serialNumber(p.cert);
    uint8_t *set = chy_arena_array(&arena, uint8_t, si->signed_attrs.n);
    chy_copy(set, si->signed_attrs.p, si->signed_attrs.n);
    set[0] = CHY_DER_SET;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, p.key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &n, set, si->signed_attrs.n), 1);
    EVP_MD_CTX_free(ctx);
    data.certificates[0] = chy_buf_bytes(&der);
    si->serial =
        (struct chy_bytes){ ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial) };
    si->family = CHY_KEY_ED25519;
    si->padding = CHY_PADDING_NONE;
    si->signature = (struct chy_bytes){ signature, n };
    assert_int_equal(check_data(&data), CHY_OK);
    assert_int_equal(checked.algorithm, CHY_ALG_ED25519);
    signature[0] ^= 1;
    assert_int_equal(check_data(&data), CHY_E_INTEGRITY);
    si->signed_attrs.p = NULL;
    assert_int_equal(check_data(&data), CHY_E_UNSUPPORTED);
    chy_buf_done(&der);
    chy_buf_done(&cms);
    cms_party_done(&p);
}

/* The certificate's key is of another kind than the signature says. */
static void test_check__key_of_another_kind(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha384());
    struct chy_signed_data data = data_of(&cms);
    data.signers[0].family = CHY_KEY_P256;
    assert_int_equal(check_data(&data), CHY_E_UNSUPPORTED);
    chy_buf_done(&cms);
}

/* --- the store --- */

/* As many as are kept; they are changed copies of one, which nobody verifies here. */
static void test_store__limit(void **state)
{
    (void)state;
    struct cms_party p = cms_party_make(
        &(struct cms_party_options){ .name = "Many", .algorithm = "EC", .size = "P-256" });
    struct chy_buf der = cms_party_der(&p);
    for (size_t i = chy_trust_store_size(store); i <= CHY_LIMIT_TRUST_CERTIFICATES; i++) {
        /* its signature ends the certificate */
        der.p[der.n - 1] = (uint8_t)i;
        der.p[der.n - 2] = (uint8_t)(i >> 8);
        assert_int_equal(chy_trust_store_add(store, chy_buf_bytes(&der), &err),
                         i < CHY_LIMIT_TRUST_CERTIFICATES ? CHY_OK : CHY_E_LIMIT);
    }
    assert_int_equal(chy_trust_store_size(store), CHY_LIMIT_TRUST_CERTIFICATES);
    chy_buf_done(&der);
    cms_party_done(&p);
}

static void test_store(void **state)
{
    (void)state;
    struct chy_buf der = cms_party_der(&signer);
    struct chy_buf pem;
    uint8_t sha256[CHY_HASH_BYTES];
    chy_buf_init(&pem, 1 << 16);
    assert_int_equal(chy_sha256(chy_buf_bytes(&der), sha256, NULL), CHY_OK);
    assert_false(chy_trust_store_has(store, sha256));
    trust(&signer);
    trust(&signer); /* twice is once */
    assert_int_equal(chy_trust_store_size(store), 2);
    assert_true(chy_trust_store_has(store, sha256));
    assert_int_equal(chy_trust_store_pem(store, 1, &pem, &err), CHY_OK);
    assert_true(chy_str_starts(chy_buf_str(&pem), "-----BEGIN CERTIFICATE-----"));
    assert_int_equal(chy_trust_store_pem(store, 2, &pem, &err), CHY_E_ARG);
    assert_int_equal(chy_trust_store_add(store, (struct chy_bytes){ der.p, der.n - 1 }, &err),
                     CHY_E_MALFORMED);
    chy_buf_done(&pem);
    chy_buf_done(&der);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_check__good),
        T(test_check__forms),
        T(test_check__digest_without_attributes),
        T(test_check__attributes_as_content),
        T(test_content_is_attributes),
        T(test_check__kinds_of_keys),
        T(test_check__another_content),
        T(test_check__any_byte_is_changed),
        T(test_check__untrusted),
        T(test_check__purpose),
        T(test_check__purpose_of_those_between),
        T(test_check__named_by_the_verifier),
        T(test_check__no_certificate),
        T(test_check__time),
        T(test_check__weak),
        T(test_check__no_such_signer),
        T(test_check__type_of_content),
        T(test_check__ed25519),
        T(test_check__key_of_another_kind),
        T(test_store),
        T(test_store__limit),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
