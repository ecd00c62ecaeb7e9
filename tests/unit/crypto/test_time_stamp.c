/* SPDX-License-Identifier: MIT */
/* Requests for time stamps and the answers of an authority that OpenSSL plays. What verifiers make
 * of a stamp is in tests/interop/test_verify.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ts.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cms_fixture.h"
#include "codec/der.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/time_stamp.h"

static struct cms_party root;
static struct cms_party authority;
static struct chy_buf request;
static struct chy_buf answer;
static struct chy_bytes token;
static const uint8_t nonce[CHY_TIME_STAMP_NONCE] = { 0x80, 1 };

static int make_parties(void **state)
{
    (void)state;
    root = cms_party_make(&(struct cms_party_options){ .name = "root" });
    authority = cms_party_make(&(struct cms_party_options){
        .name = "authority", .issuer = &root, .usage = "critical,timeStamping" });
    return 0;
}

static int drop_parties(void **state)
{
    (void)state;
    cms_party_done(&authority);
    cms_party_done(&root);
    return 0;
}

static void ask(struct chy_str what)
{
    uint8_t digest[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(what), digest, NULL), CHY_OK);
    chy_buf_clear(&request);
    assert_int_equal(
        chy_time_stamp_request(CHY_HASH_SHA256, (struct chy_bytes){ digest, sizeof digest },
                               (struct chy_bytes){ nonce, sizeof nonce }, &request, NULL),
        CHY_OK);
}

static void reply(const struct cms_party *by, const EVP_MD *takes)
{
    chy_buf_done(&answer);
    answer = cms_stamp_answer(by, chy_buf_bytes(&request), takes);
}

static enum chy_err take(void)
{
    token = (struct chy_bytes){ NULL, 0 };
    return chy_time_stamp_answer(chy_buf_bytes(&request), chy_buf_bytes(&answer), &token, NULL);
}

static int setup(void **state)
{
    (void)state;
    chy_buf_init(&request, 256);
    chy_buf_init(&answer, 0);
    ask(CHY_STR("signature"));
    reply(&authority, EVP_sha256());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&request);
    chy_buf_done(&answer);
    return 0;
}

static void test_request__is_what_openssl_reads(void **state)
{
    const uint8_t *p = request.p;
    (void)state;
    TS_REQ *read = d2i_TS_REQ(NULL, &p, (long)request.n);
    assert_non_null(read);
    assert_ptr_equal(p, request.p + request.n);
    assert_int_equal(TS_REQ_get_version(read), 1);
    assert_int_equal(TS_REQ_get_cert_req(read), 1);
    assert_non_null(TS_REQ_get_nonce(read));
    TS_REQ_free(read);
}

static void test_request__errors(void **state)
{
    const struct chy_bytes n = { nonce, sizeof nonce };
    const struct chy_bytes digest = { request.p, CHY_HASH_BYTES };
    struct chy_buf out;
    (void)state;
    chy_buf_init(&out, 60);
    assert_int_equal(chy_time_stamp_request(CHY_HASH_SHA512, digest, n, &out, NULL), CHY_E_ARG);
    assert_int_equal(chy_time_stamp_request(CHY_HASH_NONE, digest, n, &out, NULL), CHY_E_ARG);
    assert_int_equal(chy_time_stamp_request(CHY_HASH_SHA256, digest,
                                            (struct chy_bytes){ nonce, sizeof nonce - 1 }, &out,
                                            NULL),
                     CHY_E_ARG);
    assert_int_equal(chy_time_stamp_request(CHY_HASH_SHA256, digest, n, &out, NULL), CHY_E_LIMIT);
    chy_buf_done(&out);
}

static void test_answer__is_taken(void **state)
{
    (void)state;
    assert_int_equal(take(), CHY_OK);
    assert_true(token.p > answer.p && token.p + token.n == answer.p + answer.n);
}

static void test_answer__to_another_request(void **state)
{
    (void)state;
    ask(CHY_STR("another"));
    assert_int_equal(take(), CHY_E_INTEGRITY);
    ask(CHY_STR("signature"));
    request.p[request.n - 4] ^= 1; /* the nonce's last byte: a BOOLEAN follows */
    assert_int_equal(take(), CHY_E_INTEGRITY);
    request.p[request.n - 4] ^= 1;
    assert_int_equal(take(), CHY_OK);
}

static void test_answer__with_a_wrong_signature(void **state)
{
    (void)state;
    answer.p[answer.n - 1] ^= 1;
    assert_int_equal(take(), CHY_E_INTEGRITY);
    assert_null(token.p);
}

static void test_answer__that_refuses(void **state)
{
    (void)state;
    reply(&authority, EVP_sha512());
    assert_int_equal(take(), CHY_E_FORBIDDEN);
}

/* OpenSSL leaves it out when the request does not ask for it. */
static void test_answer__without_certificate(void **state)
{
    (void)state;
    request.p[request.n - 1] = 0;
    reply(&authority, EVP_sha256());
    assert_int_equal(take(), CHY_E_NOT_FOUND);
}

static void test_answer__that_is_none(void **state)
{
    (void)state;
    for (size_t n = answer.n; n-- > 0;) {
        answer.n = n;
        assert_int_equal(take(), CHY_E_MALFORMED);
    }
    static const uint8_t granted[] = { 0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00 };
    assert_true(chy_buf_append(&answer, (struct chy_bytes){ granted, sizeof granted }));
    assert_int_equal(take(), CHY_E_MALFORMED);
}

static void test_answer__limit(void **state)
{
    (void)state;
    while (answer.n < CHY_LIMIT_TIME_STAMP)
        chy_buf_append_u8(&answer, 0);
    assert_int_equal(take(), CHY_E_MALFORMED); /* something follows */
    chy_buf_append_u8(&answer, 0);
    assert_int_equal(take(), CHY_E_LIMIT);
}

static void test_request__out_of_memory(void **state)
{
    struct chy_buf small;
    (void)state;
    chy_buf_init(&small, 256);
    chy_mem_fail_after(0);
    const struct chy_bytes n = { nonce, sizeof nonce };
    const struct chy_bytes digest = { request.p, CHY_HASH_BYTES };
    assert_int_equal(chy_time_stamp_request(CHY_HASH_SHA256, digest, n, &small, NULL), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    chy_buf_done(&small);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_request__is_what_openssl_reads),
        T(test_request__errors),
        T(test_answer__is_taken),
        T(test_answer__to_another_request),
        T(test_answer__with_a_wrong_signature),
        T(test_answer__that_refuses),
        T(test_answer__without_certificate),
        T(test_answer__that_is_none),
        T(test_answer__limit),
        T(test_request__out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_parties, drop_parties);
}
