/* SPDX-License-Identifier: MIT */
/* Lists of revoked certificates: which are taken, which count, and who is believed by them. What is
 * time-stamped is in tests/interop/test_verify_revoked.py, with a real authority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cms_fixture.h"
#include "crypto/signature_check.h"

static struct cms_party root;
static struct cms_party between;
static struct cms_party signer;
static struct cms_party other_root;
static struct chy_trust_store *store;
static struct chy_error err;

static int group_setup(void **state)
{
    (void)state;
    root = cms_party_make(&(struct cms_party_options){
        .name = "Root", .key_usage = "keyCertSign,cRLSign", .is_authority = true });
    other_root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    between = cms_party_make(&(struct cms_party_options){ .name = "Between",
                                                          .issuer = &root,
                                                          .is_authority = true,
                                                          .key_usage = "keyCertSign,cRLSign" });
    signer = cms_party_make(&(struct cms_party_options){
        .name = "Signer", .issuer = &between, .usage = "codeSigning" });
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    cms_party_done(&root);
    cms_party_done(&between);
    cms_party_done(&signer);
    cms_party_done(&other_root);
    return 0;
}

static void trust(const struct cms_party *p)
{
    struct chy_buf der = cms_party_der(p);
    assert_int_equal(chy_trust_store_add(store, chy_buf_bytes(&der), &err), CHY_OK);
    chy_buf_done(&der);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(chy_trust_store_new(&store, &err), CHY_OK);
    trust(&root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_trust_store_free(store);
    return 0;
}

static enum chy_err add(struct cms_crl_options options)
{
    struct chy_buf der = cms_crl_make(&options);
    enum chy_err r = chy_trust_store_add_crl(store, chy_buf_bytes(&der), &err);
    chy_buf_done(&der);
    return r;
}

static enum chy_err check(void)
{
    const struct chy_check_terms terms = { store, store, CMS_NOW_US, false };
    struct chy_buf leaf = cms_party_der(&signer);
    struct chy_buf way = cms_party_der(&between);
    const struct chy_bytes others[] = { chy_buf_bytes(&way) };
    enum chy_err r = chy_certificate_check(&terms, chy_buf_bytes(&leaf), others, 1, &err);
    chy_buf_done(&way);
    chy_buf_done(&leaf);
    return r;
}

#define LIST_OF(by, ...) add((struct cms_crl_options){ .issuer = &(by), __VA_ARGS__ })
#define LIST(...)        LIST_OF(between, .reason = -1, __VA_ARGS__)

static void test_check__without_lists(void **state)
{
    (void)state;
    assert_int_equal(check(), CHY_OK);
}

static void test_check__nobody_is_revoked(void **state)
{
    (void)state;
    assert_int_equal(LIST(.revoked = NULL), CHY_OK);
    assert_int_equal(check(), CHY_OK);
}

static void test_check__the_signer_is_revoked(void **state)
{
    (void)state;
    assert_int_equal(LIST(.revoked = &signer, .revoked_us = CMS_NOW_US - 1000000), CHY_OK);
    assert_int_equal(check(), CHY_E_FORBIDDEN);
    assert_string_equal(err.text, "the signer's certificate, at depth 0, is revoked");
}

static void test_check__the_authority_is_revoked(void **state)
{
    (void)state;
    assert_int_equal(LIST(.revoked = NULL), CHY_OK);
    assert_int_equal(LIST_OF(root, .revoked = &between, .revoked_us = CMS_NOW_US,
                             .reason = CRL_REASON_CA_COMPROMISE),
                     CHY_OK);
    assert_int_equal(check(), CHY_E_FORBIDDEN);
    assert_non_null(strstr(err.text, "depth 1, is revoked: its key was in the wrong hands"));
}

/* There are lists, and none tells of him. */
static void test_check__no_list_of_his_authority(void **state)
{
    (void)state;
    assert_int_equal(LIST_OF(root, .reason = -1), CHY_OK);
    assert_int_equal(check(), CHY_E_FORBIDDEN);
    assert_non_null(strstr(err.text, "no list of revoked certificates"));
    trust(&signer); /* believed as he is */
    assert_int_equal(check(), CHY_OK);
}

static void test_check__out_of_date(void **state)
{
    (void)state;
    assert_int_equal(LIST(.made_us = CMS_NOW_US - 9 * CMS_DAY_US, .next_us = CMS_NOW_US - 1000000),
                     CHY_OK);
    assert_int_equal(check(), CHY_E_EXPIRED);
    assert_non_null(strstr(err.text, "at depth 1 is out of date"));
    /* A newer one makes it good, and the older one does not count. */
    assert_int_equal(LIST(.revoked = NULL), CHY_OK);
    assert_int_equal(check(), CHY_OK);
}

static void test_check__of_the_future(void **state)
{
    (void)state;
    assert_int_equal(LIST(.made_us = CMS_NOW_US + 1000000), CHY_OK);
    assert_int_equal(check(), CHY_E_EXPIRED);
}

static void test_check__the_newest_counts(void **state)
{
    (void)state;
    assert_int_equal(LIST(.made_us = CMS_NOW_US - 5 * CMS_DAY_US), CHY_OK);
    assert_int_equal(LIST(.revoked = &signer, .revoked_us = CMS_NOW_US - 1000000), CHY_OK);
    assert_int_equal(LIST(.made_us = CMS_NOW_US - 3 * CMS_DAY_US), CHY_OK);
    assert_int_equal(check(), CHY_E_FORBIDDEN);
}

/* It has the authority's name, and not its signature; or a key that may certify, and no more. */
static void test_check__of_another_issuer(void **state)
{
    (void)state;
    assert_int_equal(LIST(.key_of = &other_root), CHY_OK);
    assert_int_equal(check(), CHY_E_FORBIDDEN);
    assert_non_null(strstr(err.text, "signed by somebody else"));
}

static void test_add__what_is_not_taken(void **state)
{
    (void)state;
    static const uint8_t junk[] = { 0x30, 0x00 };
    assert_int_equal(LIST(.is_delta = true), CHY_E_UNSUPPORTED);
    assert_int_equal(LIST(.md = EVP_sha1()), CHY_E_UNSUPPORTED);
    assert_int_equal(chy_trust_store_add_crl(store, (struct chy_bytes){ junk, sizeof junk }, &err),
                     CHY_E_MALFORMED);
    struct chy_buf der = cms_crl_make(&(struct cms_crl_options){ .issuer = &root, .reason = -1 });
    chy_buf_append_u8(&der, 0);
    assert_int_equal(chy_trust_store_add_crl(store, chy_buf_bytes(&der), &err), CHY_E_MALFORMED);
    chy_buf_done(&der);
}

static void test_add__limit(void **state)
{
    (void)state;
    struct chy_buf der = cms_crl_make(&(struct cms_crl_options){ .issuer = &root, .reason = -1 });
    for (int i = 0; i < CHY_LIMIT_TRUST_CRLS; i++)
        assert_int_equal(chy_trust_store_add_crl(store, chy_buf_bytes(&der), &err), CHY_OK);
    assert_int_equal(chy_trust_store_add_crl(store, chy_buf_bytes(&der), &err), CHY_E_LIMIT);
    chy_buf_done(&der);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_check__without_lists),
        T(test_check__nobody_is_revoked),
        T(test_check__the_signer_is_revoked),
        T(test_check__the_authority_is_revoked),
        T(test_check__no_list_of_his_authority),
        T(test_check__out_of_date),
        T(test_check__of_the_future),
        T(test_check__the_newest_counts),
        T(test_check__of_another_issuer),
        T(test_add__what_is_not_taken),
        T(test_add__limit),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
