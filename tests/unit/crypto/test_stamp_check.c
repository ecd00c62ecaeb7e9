/* SPDX-License-Identifier: MIT */
/* What a time stamp does to the belief in a signature: OpenSSL plays the authority, and what it
 * answers is put to the signature as signed_data.h would read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ts.h>

#include "cms_fixture.h"
#include "codec/der.h"
#include "crypto/hash.h"
#include "crypto/signature_check.h"
#include "crypto/time_stamp.h"

static struct cms_party root;
static struct cms_party signer; /* who is in time for one more day */
static struct cms_party stamp_root;
static struct cms_party authority;
static struct chy_trust_store *roots;
static struct chy_trust_store *stamp_roots;
static struct chy_arena arena;
static struct chy_buf cms;
static struct chy_buf answer;
static struct chy_signed_data data;
static struct chy_checked_signer checked;
static struct chy_error err;
static uint8_t content_digest[CHY_HASH_BYTES];
static const struct chy_bytes content = { (const uint8_t *)"what is signed", 14 };
static const uint8_t nonce[CHY_TIME_STAMP_NONCE] = { 1 };

static struct chy_trust_store *store_of(const struct cms_party *p)
{
    struct chy_trust_store *store = NULL;
    struct chy_buf der = cms_party_der(p);
    assert_int_equal(chy_trust_store_new(&store, &err), CHY_OK);
    assert_int_equal(chy_trust_store_add(store, chy_buf_bytes(&der), &err), CHY_OK);
    chy_buf_done(&der);
    return store;
}

static int group_setup(void **state)
{
    (void)state;
    root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    signer = cms_party_make(&(struct cms_party_options){ .name = "Signer",
                                                         .issuer = &root,
                                                         .usage = "codeSigning",
                                                         .not_after_us = CMS_NOW_US + CMS_DAY_US });
    stamp_root = cms_party_make(&(struct cms_party_options){ .name = "Stamp root" });
    authority = cms_party_make(&(struct cms_party_options){
        .name = "Authority", .issuer = &stamp_root, .usage = "critical,timeStamping" });
    roots = store_of(&root);
    stamp_roots = store_of(&stamp_root);
    return chy_sha256(content, content_digest, NULL);
}

static int group_teardown(void **state)
{
    (void)state;
    chy_trust_store_free(roots);
    chy_trust_store_free(stamp_roots);
    cms_party_done(&authority);
    cms_party_done(&stamp_root);
    cms_party_done(&signer);
    cms_party_done(&root);
    return 0;
}

/* The last byte of a request of ours says whether the certificate is to come along. */
static void stamp(struct chy_bytes of, const struct cms_party *by, bool has_certificate)
{
    uint8_t digest[CHY_HASH_BYTES];
    struct chy_buf request;
    chy_buf_init(&request, 256);
    assert_int_equal(chy_sha256(of, digest, NULL), CHY_OK);
    assert_int_equal(
        chy_time_stamp_request(CHY_HASH_SHA256, (struct chy_bytes){ digest, sizeof digest },
                               (struct chy_bytes){ nonce, sizeof nonce }, &request, &err),
        CHY_OK);
    request.p[request.n - 1] = has_certificate ? 0xff : 0;
    chy_buf_done(&answer);
    answer = cms_stamp_answer(by, chy_buf_bytes(&request), EVP_sha256());
    chy_buf_done(&request);
}

/* The token is the second part of the answer. */
static struct chy_bytes token_of(const struct chy_buf *of)
{
    struct chy_bytes in = chy_buf_bytes(of);
    struct chy_der_item item;
    assert_int_equal(chy_der_take(&in, CHY_DER_SEQUENCE, &in, NULL), CHY_OK);
    assert_int_equal(chy_der_next(&in, &item, NULL), CHY_OK);
    assert_int_equal(chy_der_next(&in, &item, NULL), CHY_OK);
    return item.whole;
}

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, 1 << 24);
    chy_buf_init(&answer, 0);
    cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    assert_int_equal(chy_signed_data_parse(chy_buf_bytes(&cms), &data, &err), CHY_OK);
    stamp(data.signers[0].signature, &authority, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&answer);
    chy_buf_done(&cms);
    chy_arena_done(&arena);
    return 0;
}

static enum chy_err check_by(const struct chy_trust_store *stamps, struct chy_bytes token,
                             int64_t now_us)
{
    const struct chy_check_terms terms = { roots, stamps, now_us, false };
    const struct chy_signed_content what = { { content_digest, sizeof content_digest },
                                             content,
                                             content.n };
    data.signers[0].time_stamp = token;
    return chy_signer_check(&terms, &data, 0, &what, &arena, &checked, &err);
}

static enum chy_err check(void)
{
    return check_by(stamp_roots, token_of(&answer), CMS_NOW_US);
}

static void test_stamp__tells_when_and_who(void **state)
{
    (void)state;
    assert_int_equal(check(), CHY_OK);
    assert_int_equal(checked.stamped_us, CMS_NOW_US);
    assert_string_equal(checked.authority.p, "Authority");
}

/* Past the end of both certificates. */
static void test_stamp__outlives_certificates(void **state)
{
    int64_t later_us = CMS_NOW_US + 1000 * CMS_DAY_US;
    (void)state;
    assert_int_equal(check_by(stamp_roots, token_of(&answer), later_us), CHY_OK);
    assert_int_equal(check_by(stamp_roots, (struct chy_bytes){ NULL, 0 }, later_us), CHY_E_EXPIRED);
}

static void test_stamp__of_another_signature(void **state)
{
    (void)state;
    stamp(content, &authority, true);
    assert_int_equal(check(), CHY_E_INTEGRITY);
    assert_int_equal(checked.stamped_us, 0);
}

static void test_stamp__with_a_wrong_signature(void **state)
{
    (void)state;
    answer.p[answer.n - 1] ^= 1;
    assert_int_equal(check(), CHY_E_INTEGRITY);
    assert_int_equal(checked.stamped_us, 0);
}

/* The roots of who signs are not those of who stamps. */
static void test_stamp__by_an_authority_that_is_not_trusted(void **state)
{
    (void)state;
    assert_int_equal(check_by(roots, token_of(&answer), CMS_NOW_US), CHY_E_FORBIDDEN);
    assert_int_equal(checked.stamped_us, 0);
}

static void test_stamp__by_an_authority_that_was_not_in_time(void **state)
{
    (void)state;
    struct cms_party past =
        cms_party_make(&(struct cms_party_options){ .name = "Past",
                                                    .issuer = &stamp_root,
                                                    .usage = "critical,timeStamping",
                                                    .not_after_us = CMS_NOW_US - CMS_DAY_US });
    stamp(data.signers[0].signature, &past, true);
    assert_int_equal(check(), CHY_E_EXPIRED);
    cms_party_done(&past);
}

static void test_stamp__without_the_authoritys_certificate(void **state)
{
    (void)state;
    stamp(data.signers[0].signature, &authority, false);
    assert_int_equal(check(), CHY_E_NOT_FOUND);
}

/* We never ask for one, so OpenSSL does. */
static void test_stamp__over_sha1(void **state)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    uint8_t *der = NULL;
    (void)state;
    TS_REQ *request = TS_REQ_new();
    TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
    X509_ALGOR *alg = X509_ALGOR_new();
    struct chy_bytes signature = data.signers[0].signature;
    assert_int_equal(EVP_Digest(signature.p, signature.n, digest, &n, EVP_sha1(), NULL), 1);
    assert_int_equal(X509_ALGOR_set0(alg, OBJ_nid2obj(NID_sha1), V_ASN1_NULL, NULL), 1);
    assert_int_equal(TS_MSG_IMPRINT_set_algo(imprint, alg), 1);
    assert_int_equal(TS_MSG_IMPRINT_set_msg(imprint, digest, (int)n), 1);
    assert_int_equal(TS_REQ_set_version(request, 1), 1);
    assert_int_equal(TS_REQ_set_msg_imprint(request, imprint), 1);
    assert_int_equal(TS_REQ_set_cert_req(request, 1), 1);
    int der_n = i2d_TS_REQ(request, &der);
    assert_true(der_n > 0);
    chy_buf_done(&answer);
    answer = cms_stamp_answer(&authority, (struct chy_bytes){ der, (size_t)der_n }, EVP_sha1());
    assert_int_equal(check(), CHY_E_UNSUPPORTED);
    OPENSSL_free(der);
    X509_ALGOR_free(alg);
    TS_MSG_IMPRINT_free(imprint);
    TS_REQ_free(request);
}

static void test_stamp__cut_off(void **state)
{
    (void)state;
    struct chy_bytes token = token_of(&answer);
    for (size_t n = 1; n < token.n; n += 7)
        assert_int_equal(check_by(stamp_roots, (struct chy_bytes){ token.p, n }, CMS_NOW_US),
                         CHY_E_MALFORMED);
    assert_true(chy_buf_append_u8(&answer, 0));
    assert_int_equal(
        check_by(stamp_roots, (struct chy_bytes){ token_of(&answer).p, token.n + 1 }, CMS_NOW_US),
        CHY_E_MALFORMED);
}

/* CMS is not enough: it must be of a TSTInfo. */
static void test_stamp__that_is_a_plain_signature(void **state)
{
    (void)state;
    struct chy_buf plain = cms_make(&authority, content, 0, EVP_sha256());
    assert_int_equal(check_by(stamp_roots, chy_buf_bytes(&plain), CMS_NOW_US), CHY_E_MALFORMED);
    chy_buf_done(&plain);
}

/* A bit in any byte: it is refused, or tells the same as before. */
static void test_stamp__any_byte_is_changed(void **state)
{
    (void)state;
    size_t accepted = 0;
    size_t n = token_of(&answer).n;
    uint8_t *token = answer.p + answer.n - n;
    for (size_t i = 0; i < n; i++) {
        token[i] ^= 1;
        if (check_by(stamp_roots, (struct chy_bytes){ token, n }, CMS_NOW_US) == CHY_OK) {
            accepted++;
            assert_int_equal(checked.stamped_us, CMS_NOW_US);
            assert_string_equal(checked.authority.p, "Authority");
        }
        token[i] ^= 1;
        chy_arena_reset(&arena);
    }
    /* Versions, the list of hashes, parameters of algorithms. */
    assert_in_range(accepted, 0, 24);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_stamp__tells_when_and_who),
        T(test_stamp__outlives_certificates),
        T(test_stamp__of_another_signature),
        T(test_stamp__with_a_wrong_signature),
        T(test_stamp__by_an_authority_that_is_not_trusted),
        T(test_stamp__by_an_authority_that_was_not_in_time),
        T(test_stamp__without_the_authoritys_certificate),
        T(test_stamp__over_sha1),
        T(test_stamp__cut_off),
        T(test_stamp__that_is_a_plain_signature),
        T(test_stamp__any_byte_is_changed),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
