/* SPDX-License-Identifier: MIT */
/* Certificates and requests that are made here are read and checked here, so this covers tbs.c,
 * privkey.c and x509.c; OpenSSL stands between the two sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/pem.h"
#include "crypto/x509.h"
#include "key_fixture.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define NOW_US (INT64_C(1800000000) * 1000000) /* 2027-01-15 */

static struct chy_arena arena;

static int group_teardown(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

static int test_setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, 1 << 20);
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static struct chy_bytes spki_of(enum chy_key_type type)
{
    return chy_pubkey_spki(chy_privkey_public(fixture_key_of(type)));
}

/* Sign with any of our keys, as a token would. */
static struct chy_bytes sign_and_assemble(const struct chy_buf *tbs, enum chy_key_type signer,
                                          enum chy_sign_alg alg)
{
    struct chy_buf sig;
    struct chy_buf out;
    chy_buf_init(&sig, 1024);
    chy_buf_init(&out, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_privkey_sign(fixture_key_of(signer), alg, chy_buf_bytes(tbs), &sig, NULL),
                     CHY_OK);
    assert_int_equal(chy_signed_assemble(chy_buf_bytes(tbs), alg, chy_buf_bytes(&sig), &out, NULL),
                     CHY_OK);
    struct chy_bytes copy = chy_arena_bytes(&arena, chy_buf_bytes(&out));
    chy_buf_done(&sig);
    chy_buf_done(&out);
    return copy;
}

static struct chy_cert_request request_of(enum chy_cert_profile profile, const char *subject,
                                          enum chy_key_type key, struct chy_bytes issuer)
{
    return (struct chy_cert_request){
        .profile = profile,
        .serial = { 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
        .subject = chy_str_of(subject),
        .spki = spki_of(key),
        .issuer_der = issuer,
        .not_before_us = NOW_US - DAY_US,
        .not_after_us = NOW_US + 365 * DAY_US,
    };
}

static struct chy_bytes issue(struct chy_cert_request request, enum chy_key_type signer)
{
    struct chy_buf tbs;
    chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
    if (request.alg == CHY_ALG_NONE)
        request.alg = chy_key_type_default_alg(signer);
    assert_int_equal(chy_tbs_certificate(&request, &tbs, NULL), CHY_OK);
    struct chy_bytes cert = sign_and_assemble(&tbs, signer, request.alg);
    chy_buf_done(&tbs);
    return cert;
}

static struct chy_bytes issue_root(enum chy_key_type key)
{
    return issue(request_of(CHY_CERT_DEVELOPMENT_CA, "CN=Development CA,O=Example", key,
                            (struct chy_bytes){ NULL, 0 }),
                 key);
}

static struct chy_x509 parse(struct chy_bytes der)
{
    struct chy_x509 cert;
    assert_int_equal(chy_x509_parse(&arena, der, &cert, NULL), CHY_OK);
    return cert;
}

static struct chy_x509_chain chain_of(struct chy_bytes a, struct chy_bytes b)
{
    struct chy_buf pem;
    struct chy_x509_chain chain;
    chy_buf_init(&pem, 1 << 20);
    assert_true(chy_pem_append(&pem, "CERTIFICATE", a));
    if (b.n > 0)
        assert_true(chy_pem_append(&pem, "CERTIFICATE", b));
    assert_int_equal(chy_x509_chain_parse(&arena, chy_buf_bytes(&pem), &chain, NULL), CHY_OK);
    chy_buf_done(&pem);
    return chain;
}

static void test_certificate__development_ca_and_leaf(void **state)
{
    (void)state;
    struct chy_bytes root = issue_root(CHY_KEY_P384);
    struct chy_bytes leaf =
        issue(request_of(CHY_CERT_CODE_SIGNING, "CN=Release,O=Example", CHY_KEY_P256, root),
              CHY_KEY_P384);
    struct chy_x509 ca = parse(root);
    assert_true(chy_str_equal_c(ca.summary.subject, "CN=Development CA,O=Example"));
    assert_true(chy_str_equal(ca.summary.subject, ca.summary.issuer));
    assert_true(ca.is_ca && ca.is_self_issued && ca.summary.is_development);
    assert_true(ca.has_key_usage && ca.key_usage == CHY_KEY_USAGE_CERT_SIGN && !ca.has_purposes);
    assert_int_equal(ca.key_type, CHY_KEY_P384);

    struct chy_x509 cert = parse(leaf);
    assert_true(chy_str_equal_c(cert.summary.subject,
                                "CN=Release,O=Example,OU=development\\, not trusted"));
    assert_true(chy_str_equal(cert.summary.issuer, ca.summary.subject));
    assert_true(chy_str_equal_c(cert.common_name, "Release"));
    assert_true(chy_str_equal_c(cert.summary.serial, "7f0102030405060708090a0b0c0d0e0f"));
    assert_true(cert.summary.not_before_us == NOW_US - DAY_US);
    assert_true(cert.summary.not_after_us == NOW_US + 365 * DAY_US);
    assert_true(cert.summary.is_development && !cert.is_ca && !cert.is_self_issued);
    assert_int_equal(cert.purposes, CHY_PURPOSE_CODE_SIGNING);
    assert_int_equal(cert.key_usage, CHY_KEY_USAGE_DIGITAL_SIGNATURE);
    assert_true(chy_bytes_equal(cert.spki, spki_of(CHY_KEY_P256)));
    assert_true(chy_bytes_equal(cert.summary.der, leaf));

    struct chy_x509_chain chain = chain_of(leaf, root);
    struct chy_error err;
    enum chy_err r = chy_x509_chain_check(&chain, spki_of(CHY_KEY_P256), NOW_US, &err);
    if (r != CHY_OK)
        fail_msg("%s", err.text);
    chain.n = 1; /* a chain need not reach a root */
    assert_int_equal(chy_x509_chain_check(&chain, spki_of(CHY_KEY_P256), NOW_US, NULL), CHY_OK);
}

static void test_certificate__every_algorithm_signs(void **state)
{
    (void)state;
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_ED25519; type++) {
        for (enum chy_sign_alg alg = CHY_ALG_RSA_PKCS1_SHA256; alg <= CHY_ALG_ED25519; alg++) {
            if (!chy_sign_alg_fits(alg, type))
                continue;
            struct chy_cert_request ca =
                request_of(CHY_CERT_DEVELOPMENT_CA, "CN=CA", type, (struct chy_bytes){ NULL, 0 });
            ca.alg = alg;
            struct chy_bytes root = issue(ca, type);
            struct chy_cert_request request =
                request_of(CHY_CERT_CODE_SIGNING, "CN=x", CHY_KEY_P256, root);
            request.alg = alg;
            struct chy_bytes leaf = issue(request, type);
            struct chy_x509_chain chain = chain_of(leaf, root);
            struct chy_error err;
            enum chy_err r = chy_x509_chain_check(&chain, spki_of(CHY_KEY_P256), NOW_US, &err);
            if (r != CHY_OK)
                fail_msg("key type %d, algorithm %d: %s", (int)type, (int)alg, err.text);
        }
    }
}

static void check_fails(const struct chy_x509_chain *chain, enum chy_key_type key, int64_t now_us,
                        enum chy_err expected, const char *words)
{
    struct chy_error err = { 0 };
    assert_int_equal(chy_x509_chain_check(chain, spki_of(key), now_us, &err), expected);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void test_chain_check__says_what_is_wrong(void **state)
{
    (void)state;
    struct chy_bytes none = { NULL, 0 };
    struct chy_bytes root = issue_root(CHY_KEY_P384);
    struct chy_cert_request request =
        request_of(CHY_CERT_CODE_SIGNING, "CN=Release", CHY_KEY_P256, root);
    struct chy_bytes leaf = issue(request, CHY_KEY_P384);
    struct chy_x509_chain good = chain_of(leaf, root);

    check_fails(&good, CHY_KEY_ED25519, NOW_US, CHY_E_CONFLICT, "of another key");
    struct chy_x509_chain chain = chain_of(root, leaf);
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_CONFLICT,
                "the key's own certificate is number 2");
    check_fails(&good, CHY_KEY_P256, NOW_US - 2 * DAY_US, CHY_E_EXPIRED, "not valid yet");
    check_fails(&good, CHY_KEY_P256, NOW_US + 366 * DAY_US, CHY_E_EXPIRED, "has expired");
    assert_int_equal(
        chy_x509_chain_check(&good, spki_of(CHY_KEY_P256), NOW_US + 365 * DAY_US - 1, NULL),
        CHY_OK);
    check_fails(&good, CHY_KEY_P256, NOW_US + 365 * DAY_US, CHY_E_EXPIRED, "has expired");
    assert_int_equal(chy_x509_chain_check(&good, spki_of(CHY_KEY_P256), NOW_US - DAY_US, NULL),
                     CHY_OK);
    check_fails(&good, CHY_KEY_P256, NOW_US - DAY_US - 1, CHY_E_EXPIRED, "not valid yet");

    /* Another CA, with another name and with the same name. */
    struct chy_bytes stranger =
        issue(request_of(CHY_CERT_DEVELOPMENT_CA, "CN=Stranger", CHY_KEY_P521, none), CHY_KEY_P521);
    chain = chain_of(leaf, stranger);
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_CONFLICT, "is not issued by number 2");
    struct chy_bytes namesake = issue_root(CHY_KEY_P521);
    chain = chain_of(leaf, namesake);
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_CONFLICT, "is not issued by number 2");
    /* Right names and key ids, but another key has signed. */
    struct chy_bytes forged = issue(request, CHY_KEY_P521);
    chain = chain_of(forged, root);
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_INTEGRITY, "does not verify");

    /* Three, of which the last two are the wrong way round. */
    chain = chain_of(leaf, stranger);
    chain.certs[2] = good.certs[1];
    chain.n = 3;
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_CONFLICT, "issued by number 3");

    struct chy_bytes client =
        issue(request_of(CHY_CERT_CLIENT, "CN=Alice", CHY_KEY_P256, root), CHY_KEY_P384);
    chain = chain_of(client, root);
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_UNSUPPORTED, "not among its purposes");
    chain = chain_of(root, none);
    check_fails(&chain, CHY_KEY_P384, NOW_US, CHY_E_UNSUPPORTED, "is missing");
    chain.n = 0;
    assert_int_equal(chy_x509_chain_check(&chain, spki_of(CHY_KEY_P384), NOW_US, NULL),
                     CHY_E_CONFLICT);

    /* The leaf of an end certificate is none of an authority. */
    struct chy_bytes under =
        issue(request_of(CHY_CERT_CODE_SIGNING, "CN=Under", CHY_KEY_ED25519, leaf), CHY_KEY_P256);
    chain = chain_of(under, leaf);
    struct chy_error err;
    assert_int_not_equal(chy_x509_chain_check(&chain, spki_of(CHY_KEY_ED25519), NOW_US, &err),
                         CHY_OK);
}

static void test_chain_parse__forms_and_limits(void **state)
{
    (void)state;
    struct chy_bytes root = issue_root(CHY_KEY_P256);
    struct chy_x509_chain chain;
    for (size_t n = 1; n <= CHY_LIMIT_CHAIN + 1; n++) {
        struct chy_buf der;
        struct chy_buf pem;
        chy_buf_init(&der, 1 << 20);
        chy_buf_init(&pem, 1 << 20);
        for (size_t i = 0; i < n; i++) {
            assert_true(chy_buf_append(&der, root));
            assert_true(chy_pem_append(&pem, "CERTIFICATE", root));
        }
        enum chy_err expected = n <= CHY_LIMIT_CHAIN ? CHY_OK : CHY_E_LIMIT;
        assert_int_equal(chy_x509_chain_parse(&arena, chy_buf_bytes(&der), &chain, NULL), expected);
        assert_int_equal(chy_x509_chain_parse(&arena, chy_buf_bytes(&pem), &chain, NULL), expected);
        chy_buf_done(&der);
        chy_buf_done(&pem);
    }
    static const char *const bad[] = {
        "",
        "nonsense",
        "\x30",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(
            chy_x509_chain_parse(&arena, chy_str_bytes(chy_str_of(bad[i])), &chain, NULL),
            CHY_E_MALFORMED);
    struct chy_x509 cert;
    for (size_t n = 0; n < root.n; n += 5)
        assert_int_equal(chy_x509_parse(&arena, (struct chy_bytes){ root.p, n }, &cert, NULL),
                         CHY_E_MALFORMED);
    static uint8_t big[CHY_LIMIT_CERTIFICATE + 1];
    assert_int_equal(chy_x509_parse(&arena, (struct chy_bytes){ big, sizeof big }, &cert, NULL),
                     CHY_E_LIMIT);
    struct chy_arena small;
    chy_arena_init(&small, 128);
    assert_int_equal(chy_x509_parse(&small, root, &cert, NULL), CHY_E_LIMIT);
    chy_arena_done(&small);
}

static void test_certificate__client_and_tls_server(void **state)
{
    (void)state;
    struct chy_bytes none = { NULL, 0 };
    struct chy_bytes ca =
        issue(request_of(CHY_CERT_CLIENT_CA, "CN=Clients", CHY_KEY_P256, none), CHY_KEY_P256);
    const struct chy_str uri = CHY_STR("uri:urn:chancery:principal:alice");
    struct chy_cert_request request = request_of(CHY_CERT_CLIENT, "CN=alice", CHY_KEY_P384, ca);
    request.sans = &uri;
    request.n_sans = 1;
    struct chy_x509 client = parse(issue(request, CHY_KEY_P256));
    assert_int_equal(client.purposes, CHY_PURPOSE_CLIENT);
    assert_int_equal(client.n_sans, 1);
    assert_true(chy_str_equal(client.sans[0], uri));
    assert_false(client.summary.is_development);

    struct chy_privkey *key = NULL;
    struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_privkey_generate(&key, NULL), CHY_OK);
    const struct chy_str sans[] = { CHY_STR("dns:localhost"), CHY_STR("ip:127.0.0.1"),
                                    CHY_STR("ip:::1") };
    request = request_of(CHY_CERT_TLS_SERVER, "CN=localhost", CHY_KEY_P256, none);
    request.sans = sans;
    request.n_sans = CHY_ARRAY_LEN(sans);
    assert_int_equal(chy_privkey_self_signed(key, &request, &der, NULL), CHY_OK);
    struct chy_x509 server = parse(chy_buf_bytes(&der));
    assert_int_equal(server.purposes, CHY_PURPOSE_SERVER);
    assert_int_equal(server.n_sans, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(chy_str_equal(server.sans[i], sans[i]));
    assert_true(server.is_self_issued && !server.is_ca);
    assert_true(chy_bytes_equal(server.spki, chy_pubkey_spki(chy_privkey_public(key))));
    chy_buf_done(&der);
    chy_privkey_free(key);
}

static void test_certificate__times_to_the_year_9999(void **state)
{
    (void)state;
    static const int64_t times_s[] = { 0, INT64_C(2524607999), INT64_C(2524608000), /* 2050 */
                                       INT64_C(253402300799) };
    for (size_t i = 0; i + 1 < CHY_ARRAY_LEN(times_s); i++) {
        struct chy_cert_request request =
            request_of(CHY_CERT_CLIENT_CA, "CN=a", CHY_KEY_P256, (struct chy_bytes){ NULL, 0 });
        request.not_before_us = times_s[i] * 1000000;
        request.not_after_us = times_s[i + 1] * 1000000;
        struct chy_x509 cert = parse(issue(request, CHY_KEY_P256));
        assert_true(cert.summary.not_before_us == request.not_before_us);
        assert_true(cert.summary.not_after_us == request.not_after_us);
    }
}

static void test_tbs_certificate__errors(void **state)
{
    (void)state;
    struct chy_bytes none = { NULL, 0 };
    struct chy_bytes root = issue_root(CHY_KEY_P256);
    struct chy_cert_request good = request_of(CHY_CERT_CODE_SIGNING, "CN=a", CHY_KEY_P384, root);
    good.alg = CHY_ALG_ECDSA_SHA256;
    const struct chy_str bad_san = CHY_STR("nonsense");
    for (int i = 0; i < 10; i++) {
        struct chy_cert_request request = good;
        enum chy_err expected = CHY_E_ARG;
        switch (i) {
        case 0:
            request.profile = (enum chy_cert_profile)9;
            break;
        case 1:
            request.issuer_der = none;
            break;
        case 2:
            request.profile = CHY_CERT_CLIENT_CA;
            break;
        case 3:
            request.not_after_us = request.not_before_us;
            break;
        case 4:
            request.not_before_us = -1;
            break;
        case 5:
            request.not_after_us = INT64_C(253402300800) * 1000000;
            break;
        case 6:
            request.subject = CHY_STR("nonsense");
            break;
        case 7:
            request.alg = CHY_ALG_NONE;
            break;
        case 8:
            request.sans = &bad_san;
            request.n_sans = 1;
            break;
        default:
            request.issuer_der = request.spki;
            expected = CHY_E_MALFORMED;
            break;
        }
        struct chy_buf tbs;
        chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
        assert_int_equal(chy_tbs_certificate(&request, &tbs, NULL), expected);
        chy_buf_done(&tbs);
    }
    struct chy_cert_request request = good;
    request.spki = root;
    struct chy_buf tbs;
    chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_tbs_certificate(&request, &tbs, NULL), CHY_E_MALFORMED);
    chy_buf_done(&tbs);
    chy_buf_init(&tbs, 100);
    assert_int_equal(chy_tbs_certificate(&good, &tbs, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_signed_assemble(root, CHY_ALG_ED25519, root, &tbs, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_signed_assemble(root, CHY_ALG_NONE, root, &tbs, NULL), CHY_E_ARG);
    assert_int_equal(chy_signed_assemble(none, CHY_ALG_ED25519, root, &tbs, NULL), CHY_E_ARG);
    assert_int_equal(chy_signed_assemble(root, CHY_ALG_ED25519, none, &tbs, NULL), CHY_E_MALFORMED);
    assert_int_equal(
        chy_signed_assemble(root, CHY_ALG_ECDSA_SHA256, chy_str_bytes(CHY_STR("odd")), &tbs, NULL),
        CHY_E_MALFORMED);
    chy_buf_done(&tbs);
}

static void test_csr__round_trips(void **state)
{
    (void)state;
    const struct chy_str sans[] = { CHY_STR("dns:example.com"), CHY_STR("email:a@example.com") };
    for (enum chy_key_type type = CHY_KEY_RSA_2048; type <= CHY_KEY_ED25519; type++) {
        for (size_t n_sans = 0; n_sans <= 2; n_sans += 2) {
            struct chy_buf tbs;
            chy_buf_init(&tbs, CHY_LIMIT_CERTIFICATE);
            assert_int_equal(chy_tbs_csr(CHY_STR("CN=Release,O=Example"), spki_of(type), sans,
                                         n_sans, &tbs, NULL),
                             CHY_OK);
            struct chy_bytes der = sign_and_assemble(&tbs, type, chy_key_type_default_alg(type));
            struct chy_x509_csr csr;
            assert_int_equal(chy_csr_parse(&arena, der, &csr, NULL), CHY_OK);
            assert_true(chy_str_equal_c(csr.subject, "CN=Release,O=Example"));
            assert_true(chy_str_equal_c(csr.common_name, "Release"));
            assert_int_equal(csr.key_type, type);
            assert_true(chy_bytes_equal(csr.spki, spki_of(type)));
            assert_int_equal(csr.n_sans, n_sans);
            if (n_sans > 0)
                assert_true(chy_str_equal(csr.sans[1], sans[1]));
            chy_buf_done(&tbs);
        }
    }
}

static void test_csr__local_key_and_pem(void **state)
{
    (void)state;
    struct chy_privkey *key = NULL;
    struct chy_buf der;
    struct chy_buf pem;
    struct chy_x509_csr csr;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    chy_buf_init(&pem, CHY_LIMIT_CERTIFICATE * 2);
    assert_int_equal(chy_privkey_generate(&key, NULL), CHY_OK);
    assert_int_equal(chy_privkey_csr(key, CHY_STR("CN=alice"), NULL, 0, &der, NULL), CHY_OK);
    assert_true(chy_pem_append(&pem, "CERTIFICATE REQUEST", chy_buf_bytes(&der)));
    assert_int_equal(chy_csr_parse(&arena, chy_buf_bytes(&pem), &csr, NULL), CHY_OK);
    assert_true(chy_str_equal_c(csr.common_name, "alice"));

    /* Any changed byte: it is no request any more, or its signature is wrong. */
    for (size_t i = 0; i < der.n; i++) {
        der.p[i] ^= 0x04;
        assert_int_not_equal(chy_csr_parse(&arena, chy_buf_bytes(&der), &csr, NULL), CHY_OK);
        der.p[i] ^= 0x04;
        assert_int_not_equal(chy_csr_parse(&arena, (struct chy_bytes){ der.p, i }, &csr, NULL),
                             CHY_OK);
    }
    assert_true(chy_buf_append_u8(&der, 0));
    assert_int_equal(chy_csr_parse(&arena, chy_buf_bytes(&der), &csr, NULL), CHY_E_MALFORMED);
    static uint8_t big[CHY_LIMIT_CERTIFICATE + 1];
    assert_int_equal(chy_csr_parse(&arena, (struct chy_bytes){ big, sizeof big }, &csr, NULL),
                     CHY_E_LIMIT);
    chy_buf_done(&pem);
    chy_buf_done(&der);
    chy_privkey_free(key);
}

static void test_privkey__pem_round_trips(void **state)
{
    (void)state;
    struct chy_privkey *key = NULL;
    struct chy_privkey *again = NULL;
    struct chy_secret *pem = NULL;
    assert_int_equal(chy_privkey_generate(&key, NULL), CHY_OK);
    assert_int_equal(chy_privkey_to_pem(key, &pem, NULL), CHY_OK);
    assert_true(
        chy_str_starts(chy_bytes_str(chy_secret_bytes(pem)), "-----BEGIN PRIVATE KEY-----\n"));
    assert_int_equal(chy_privkey_from_pem(pem, &again, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_pubkey_spki(chy_privkey_public(key)),
                                chy_pubkey_spki(chy_privkey_public(again))));
    chy_privkey_free(again);
    chy_privkey_free(key);
    chy_privkey_free(NULL);
    chy_secret_free(pem);
}

static void refuse_pem(struct chy_str text)
{
    struct chy_secret *pem = NULL;
    struct chy_privkey *key = NULL;
    assert_int_equal(chy_secret_new(text.n, &pem, NULL), CHY_OK);
    memcpy(chy_secret_room(pem), text.p, text.n);
    chy_secret_set_len(pem, text.n);
    assert_int_equal(chy_privkey_from_pem(pem, &key, NULL), CHY_E_MALFORMED);
    assert_null(key);
    chy_secret_free(pem);
}

static void test_privkey_from_pem__errors(void **state)
{
    (void)state;
    refuse_pem(CHY_STR("nonsense"));
    refuse_pem(CHY_STR("-----BEGIN PRIVATE KEY-----\nMAA=\n"));
    refuse_pem(CHY_STR("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"));

    /* An encrypted key is refused, and nobody is asked for its passphrase. */
    EVP_PKEY *evp = fixture_evp("EC", "P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, evp, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    refuse_pem((struct chy_str){ text, (size_t)n });
    BIO_free(bio);
    EVP_PKEY_free(evp);

    /* A key of a kind that we have not. */
    struct chy_secret *pem = NULL;
    struct chy_privkey *key = NULL;
    evp = fixture_evp("EC", "P-224");
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, evp, NULL, NULL, 0, NULL, NULL), 1);
    n = BIO_get_mem_data(bio, &text);
    assert_int_equal(chy_secret_new((size_t)n, &pem, NULL), CHY_OK);
    memcpy(chy_secret_room(pem), text, (size_t)n);
    chy_secret_set_len(pem, (size_t)n);
    assert_int_equal(chy_privkey_from_pem(pem, &key, NULL), CHY_E_UNSUPPORTED);
    chy_secret_free(pem);
    BIO_free(bio);
    EVP_PKEY_free(evp);
}

/* What OpenSSL signs again with SHA-1. */
static void test_weak_signatures__are_refused(void **state)
{
    (void)state;
    EVP_PKEY *evp = fixture_evp("RSA", "2048");
    struct chy_bytes root = issue_root(CHY_KEY_P384);
    struct chy_bytes leaf =
        issue(request_of(CHY_CERT_CODE_SIGNING, "CN=Release", CHY_KEY_P256, root), CHY_KEY_P384);
    const uint8_t *p = leaf.p;
    uint8_t *der = NULL;
    X509 *cert = d2i_X509(NULL, &p, (long)leaf.n);
    assert_true(X509_sign(cert, evp, EVP_sha1()) > 0);
    int n = i2d_X509(cert, &der);
    struct chy_x509_chain chain =
        chain_of((struct chy_bytes){ der, (size_t)n }, (struct chy_bytes){ NULL, 0 });
    check_fails(&chain, CHY_KEY_P256, NOW_US, CHY_E_UNSUPPORTED, "weak");
    OPENSSL_free(der);
    X509_free(cert);

    X509_REQ *req = X509_REQ_new();
    struct chy_x509_csr csr;
    der = NULL;
    assert_int_equal(X509_REQ_set_pubkey(req, evp), 1);
    assert_true(X509_REQ_sign(req, evp, EVP_sha1()) > 0);
    n = i2d_X509_REQ(req, &der);
    assert_int_equal(chy_csr_parse(&arena, (struct chy_bytes){ der, (size_t)n }, &csr, NULL),
                     CHY_E_UNSUPPORTED);
    OPENSSL_free(der);
    X509_REQ_free(req);
    EVP_PKEY_free(evp);
}

static void test_x509__memory_that_fails(void **state)
{
    (void)state;
    struct chy_bytes root = issue_root(CHY_KEY_P256);
    for (size_t i = 0;; i++) {
        struct chy_arena a;
        struct chy_x509_chain chain;
        chy_arena_init(&a, 1 << 20);
        chy_mem_fail_after(i);
        enum chy_err r = chy_x509_chain_parse(&a, root, &chain, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_arena_done(&a);
        if (!has_failed) {
            assert_int_equal(r, CHY_OK);
            break;
        }
        assert_int_not_equal(r, CHY_OK);
    }
    for (size_t i = 0;; i++) {
        struct chy_privkey *key = NULL;
        struct chy_buf out;
        chy_buf_init(&out, CHY_LIMIT_CERTIFICATE);
        chy_mem_fail_after(i);
        enum chy_err r = chy_privkey_generate(&key, NULL);
        if (r == CHY_OK)
            r = chy_privkey_csr(key, CHY_STR("CN=a"), NULL, 0, &out, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_buf_done(&out);
        chy_privkey_free(key);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_certificate__development_ca_and_leaf),
        TEST(test_certificate__every_algorithm_signs),
        TEST(test_chain_check__says_what_is_wrong),
        TEST(test_chain_parse__forms_and_limits),
        TEST(test_certificate__client_and_tls_server),
        TEST(test_certificate__times_to_the_year_9999),
        TEST(test_tbs_certificate__errors),
        TEST(test_csr__round_trips),
        TEST(test_csr__local_key_and_pem),
        TEST(test_privkey__pem_round_trips),
        TEST(test_privkey_from_pem__errors),
        TEST(test_weak_signatures__are_refused),
        TEST(test_x509__memory_that_fails),
    };
    return cmocka_run_group_tests_name("x509", tests, NULL, group_teardown);
}
