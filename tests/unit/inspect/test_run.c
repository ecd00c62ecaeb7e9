/* SPDX-License-Identifier: MIT */
/* Every kind of document, in this process: what comes out of a good one, and what is said of each
 * bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../crypto/key_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "crypto/x509.h"
#include "inspect/run.h"
#include "policy/document.h"
#include "policy/facts.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define NOW_US (INT64_C(1800000000) * 1000000)

static struct chy_arena arena;
static struct chy_error why;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    fixture_keys_free();
    return 0;
}

static struct chy_inspect_reply good(struct chy_inspect_request request)
{
    struct chy_inspect_reply reply;
    request.now_us = request.now_us != 0 ? request.now_us : NOW_US;
    why.text[0] = '\0';
    enum chy_err r = chy_inspect_run(&request, &arena, &reply, &why);
    if (r != CHY_OK)
        fail_msg("%s: %s", chy_err_name(r), why.text);
    assert_int_equal(chy_schema_check(&chy_inspect_reply_schema, &reply, &why), CHY_OK);
    return reply;
}

static void bad(struct chy_inspect_request request, enum chy_err code, const char *text)
{
    struct chy_inspect_reply reply = { .subject = CHY_STR("untouched") };
    request.now_us = request.now_us != 0 ? request.now_us : NOW_US;
    assert_int_equal(chy_inspect_run(&request, &arena, &reply, &why), code);
    if (strstr(why.text, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, why.text);
    assert_true(chy_str_equal_c(reply.subject, "untouched"));
}

static struct chy_bytes spki(enum chy_key_type type)
{
    return chy_pubkey_spki(chy_privkey_public(fixture_key_of(type)));
}

/* As signer and token do: sign what inspect built, and put it together. */
static struct chy_bytes sign(struct chy_bytes tbs, enum chy_key_type signer)
{
    enum chy_sign_alg alg = chy_key_type_default_alg(signer);
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&out, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_privkey_sign(fixture_key_of(signer), alg, tbs, &signature, NULL), CHY_OK);
    assert_int_equal(chy_signed_assemble(tbs, alg, chy_buf_bytes(&signature), &out, NULL), CHY_OK);
    return chy_arena_bytes(&arena, chy_buf_bytes(&out));
}

static struct chy_str pem(const char *label, struct chy_bytes a, struct chy_bytes b)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, 1 << 20);
    assert_true(chy_pem_append(&out, label, a));
    if (b.n > 0)
        assert_true(chy_pem_append(&out, label, b));
    return chy_arena_str(&arena, chy_buf_str(&out));
}

static const struct chy_bytes none = { NULL, 0 };
static const uint8_t serial[CHY_ID_BYTES] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
};

static struct chy_inspect_request build(enum chy_certificate_profile profile, enum chy_key_type key,
                                        enum chy_key_type signer, struct chy_bytes issuer)
{
    return (struct chy_inspect_request){
        .what = CHY_INSPECT_BUILD_CERTIFICATE,
        .profile = profile,
        .subject = CHY_STR("CN=Someone,O=Example"),
        .public_key = spki(key),
        .signed_by = chy_key_type_default_alg(signer),
        .issuer = issuer,
        .serial = { serial, sizeof serial },
        .not_before_us = NOW_US - DAY_US,
        .not_after_us = NOW_US + 100 * DAY_US,
    };
}

static struct chy_bytes development_ca(void)
{
    return sign(good(build(CHY_PROFILE_DEVELOPMENT_CA, CHY_KEY_P384, CHY_KEY_P384, none)).made,
                CHY_KEY_P384);
}

static struct chy_bytes development_leaf(struct chy_bytes ca)
{
    return sign(
        good(build(CHY_PROFILE_DEVELOPMENT_SIGNING, CHY_KEY_RSA_3072, CHY_KEY_P384, ca)).made,
        CHY_KEY_P384);
}

/* --- policies and guards --- */

static void test_unknown_kind(void **state)
{
    (void)state;
    bad((struct chy_inspect_request){ .what = (enum chy_inspect_what)99 }, CHY_E_ARG, "99");
    bad((struct chy_inspect_request){ .what = (enum chy_inspect_what)0 }, CHY_E_ARG, "0");
}

static struct chy_str policy_text(const char *name)
{
    return chy_arena_printf(&arena,
                            "version: 1\nrules:\n"
                            "  - name: %s\n"
                            "    effect: allow\n"
                            "    match:\n"
                            "      key: [release, test]\n",
                            name);
}

static void test_policy(void **state)
{
    (void)state;
    struct chy_inspect_reply reply = good(
        (struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = policy_text("one") });
    struct chy_policy_doc doc;
    assert_int_equal(chy_policy_doc_decode(reply.made, &arena, &doc, NULL), CHY_OK);
    assert_int_equal(doc.rules.n, 1);
    assert_true(chy_str_equal_c(doc.rules.p[0].name, "one"));
    assert_int_equal(doc.rules.p[0].effect, CHY_EFFECT_ALLOW);
}

static void test_policy__not_yaml(void **state)
{
    (void)state;
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = CHY_STR("a: [") },
        CHY_E_MALFORMED, "line");
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = CHY_STR("rules: 3\n") },
        CHY_E_MALFORMED, "line 1");
}

static void test_policy__requirement_not_built(void **state)
{
    (void)state;
    struct chy_str text = CHY_STR("version: 1\nrules:\n  - name: a\n    effect: require\n"
                                  "    requirement: approvals\n");
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = text }, CHY_E_UNSUPPORTED,
        "approvals");
}

static void test_policy__too_many_rules(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_YAML);
    chy_buf_append_c(&text, "version: 1\nrules:\n");
    for (int i = 0; i <= CHY_LIMIT_RULES; i++)
        chy_buf_printf(&text, "  - {name: r%05d, effect: deny}\n", i);
    assert_int_equal(chy_buf_check(&text, NULL), CHY_OK);
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = chy_buf_str(&text) },
        CHY_E_LIMIT, "");
}

static void test_guard(void **state)
{
    (void)state;
    struct chy_inspect_reply reply = good((struct chy_inspect_request){
        .what = CHY_INSPECT_GUARD, .text = CHY_STR("- principal: [alice]\n- group: [release]\n") });
    struct chy_policy_guard_doc doc;
    assert_int_equal(chy_policy_guard_decode(reply.made, &arena, &doc, NULL), CHY_OK);
    assert_int_equal(doc.alternatives.n, 2);
}

static void test_guard__errors(void **state)
{
    (void)state;
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_GUARD,
                                      .text = CHY_STR("- nonsense: 1\n") },
        CHY_E_MALFORMED, "line 1");
    char *text = chy_arena_alloc(&arena, CHY_LIMIT_GUARD + 1, 1);
    memset(text, '#', CHY_LIMIT_GUARD + 1);
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_GUARD,
                                      .text = { text, CHY_LIMIT_GUARD + 1 } },
        CHY_E_LIMIT, "65537");
}

/* --- chains --- */

static struct chy_inspect_request chain(struct chy_str text)
{
    return (struct chy_inspect_request){ .what = CHY_INSPECT_CHAIN,
                                         .text = text,
                                         .public_key = spki(CHY_KEY_RSA_3072) };
}

static void test_chain(void **state)
{
    (void)state;
    struct chy_bytes ca = development_ca();
    struct chy_bytes leaf = development_leaf(ca);
    struct chy_inspect_reply reply = good(chain(pem("CERTIFICATE", leaf, ca)));
    assert_int_equal(reply.certificates.n, 2);
    assert_true(chy_bytes_equal(reply.certificates.p[0].der, leaf));
    assert_true(chy_bytes_equal(reply.certificates.p[1].der, ca));
    assert_true(reply.certificates.p[0].is_development);
    assert_non_null(strstr(chy_arena_str(&arena, reply.subject).p, "CN=Someone"));
}

static void test_chain__one_in_der(void **state)
{
    (void)state;
    struct chy_bytes leaf = development_leaf(development_ca());
    struct chy_inspect_request request = chain(CHY_STR(""));
    request.bytes = leaf;
    assert_int_equal(good(request).certificates.n, 1);
}

static void test_chain__errors(void **state)
{
    (void)state;
    struct chy_bytes ca = development_ca();
    struct chy_bytes leaf = development_leaf(ca);
    struct chy_str text = pem("CERTIFICATE", leaf, ca);
    bad(chain(CHY_STR("")), CHY_E_ARG, "one text or one certificate");
    struct chy_inspect_request request = chain(text);
    request.bytes = leaf;
    bad(request, CHY_E_ARG, "one text or one certificate");
    request = chain(text);
    request.public_key = none;
    bad(request, CHY_E_ARG, "for a key");
    request = chain(text);
    request.public_key = spki(CHY_KEY_P256);
    bad(request, CHY_E_CONFLICT, "");
    bad(chain(pem("CERTIFICATE", ca, leaf)), CHY_E_CONFLICT, "");
    bad(chain(CHY_STR("no PEM")), CHY_E_MALFORMED, "");
    request = chain(text);
    request.now_us = NOW_US + 1000 * DAY_US;
    bad(request, CHY_E_CONFLICT, "");
    request.now_us = NOW_US - 1000 * DAY_US;
    bad(request, CHY_E_CONFLICT, "");
    request = chain(CHY_STR(""));
    uint8_t *two = chy_arena_alloc(&arena, 2 * leaf.n, 1);
    memcpy(two, leaf.p, leaf.n);
    memcpy(two + leaf.n, leaf.p, leaf.n);
    request.bytes = (struct chy_bytes){ two, 2 * leaf.n };
    bad(request, CHY_E_MALFORMED, "2 certificates");
}

/* A certificate of a client is none for code signing. */
static void test_chain__wrong_purpose(void **state)
{
    (void)state;
    struct chy_bytes ca = sign(
        good(build(CHY_PROFILE_CLIENT_CA, CHY_KEY_P256, CHY_KEY_P256, none)).made, CHY_KEY_P256);
    struct chy_bytes leaf = sign(
        good(build(CHY_PROFILE_CLIENT, CHY_KEY_RSA_3072, CHY_KEY_P256, ca)).made, CHY_KEY_P256);
    bad(chain(pem("CERTIFICATE", leaf, ca)), CHY_E_UNSUPPORTED, "");
}

static void test_chain__bad_signature(void **state)
{
    (void)state;
    struct chy_bytes ca = development_ca();
    struct chy_bytes leaf = development_leaf(ca);
    uint8_t *broken = chy_arena_alloc(&arena, leaf.n, 1);
    memcpy(broken, leaf.p, leaf.n);
    broken[leaf.n - 1] ^= 1;
    bad(chain(pem("CERTIFICATE", (struct chy_bytes){ broken, leaf.n }, ca)), CHY_E_MALFORMED, "");
}

/* --- requests for certificates --- */

static struct chy_inspect_request build_csr(enum chy_key_type key)
{
    static const struct chy_str sans[] = { { "email:a@example.org", 19 } };
    return (struct chy_inspect_request){ .what = CHY_INSPECT_BUILD_CSR,
                                         .subject = CHY_STR("CN=Someone"),
                                         .sans = { sans, 1 },
                                         .public_key = spki(key) };
}

static void test_csr__built_and_read(void **state)
{
    (void)state;
    struct chy_bytes der = sign(good(build_csr(CHY_KEY_P256)).made, CHY_KEY_P256);
    struct chy_inspect_reply reply = good((struct chy_inspect_request){
        .what = CHY_INSPECT_CSR, .text = pem("CERTIFICATE REQUEST", der, none) });
    assert_true(chy_bytes_equal(reply.public_key, spki(CHY_KEY_P256)));
    assert_true(chy_str_equal_c(reply.subject, "CN=Someone"));
}

static void test_csr__errors(void **state)
{
    (void)state;
    struct chy_inspect_request request = { .what = CHY_INSPECT_CSR };
    bad(request, CHY_E_ARG, "missing");
    request.text = CHY_STR("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                           "-----END CERTIFICATE REQUEST-----\n");
    bad(request, CHY_E_MALFORMED, "");
    /* Signed by another key than the one it is for. */
    struct chy_bytes der = sign(good(build_csr(CHY_KEY_P384)).made, CHY_KEY_P384);
    struct chy_bytes tbs = good(build_csr(CHY_KEY_P256)).made;
    (void)der;
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&out, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(
        chy_privkey_sign(fixture_key_of(CHY_KEY_ED25519), CHY_ALG_ED25519, tbs, &signature, NULL),
        CHY_OK);
    signature.p[5] ^= 1;
    assert_int_equal(
        chy_signed_assemble(tbs, CHY_ALG_ECDSA_SHA256, chy_buf_bytes(&signature), &out, NULL),
        CHY_OK);
    request.text = pem("CERTIFICATE REQUEST", chy_buf_bytes(&out), none);
    bad(request, CHY_E_MALFORMED, "");
}

static void test_build_csr__errors(void **state)
{
    (void)state;
    struct chy_inspect_request request = build_csr(CHY_KEY_P256);
    request.subject = CHY_STR("no name at all");
    bad(request, CHY_E_ARG, "");
    request = build_csr(CHY_KEY_P256);
    request.public_key = (struct chy_bytes){ serial, sizeof serial };
    bad(request, CHY_E_MALFORMED, "");
}

static void test_build_certificate__errors(void **state)
{
    (void)state;
    struct chy_inspect_request request = build(CHY_PROFILE_NONE, CHY_KEY_P256, CHY_KEY_P256, none);
    bad(request, CHY_E_ARG, "profile");
    request = build(CHY_PROFILE_CLIENT_CA, CHY_KEY_P256, CHY_KEY_P256, none);
    request.serial.n = 15;
    bad(request, CHY_E_ARG, "15");
    request = build(CHY_PROFILE_CLIENT, CHY_KEY_P256, CHY_KEY_P256, none);
    bad(request, CHY_E_ARG, "");
    request = build(CHY_PROFILE_CLIENT_CA, CHY_KEY_P256, CHY_KEY_P256, none);
    request.not_after_us = request.not_before_us - 1;
    bad(request, CHY_E_ARG, "");
}

/* --- contents --- */

static struct chy_inspect_reply content(struct chy_bytes bytes, enum chy_hash_alg hash,
                                        bool is_right)
{
    uint8_t *digest = chy_arena_alloc(&arena, CHY_LIMIT_DIGEST, 1);
    assert_int_equal(chy_hash(hash, bytes, digest, NULL), CHY_OK);
    digest[0] ^= is_right ? 0 : 1;
    struct chy_content *c = chy_arena_new(&arena, struct chy_content);
    *c = (struct chy_content){ .hash = hash,
                               .digest = { digest, chy_hash_alg_bytes(hash) },
                               .content = bytes };
    return good((struct chy_inspect_request){ .what = CHY_INSPECT_CONTENT, .contents = { c, 1 } });
}

static void assert_content(struct chy_bytes bytes, const char *type)
{
    struct chy_inspect_reply reply = content(bytes, CHY_HASH_SHA384, true);
    uint8_t hash[CHY_HASH_BYTES];
    char hex[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    assert_int_equal(chy_sha256(bytes, hash, NULL), CHY_OK);
    chy_hex_encode((struct chy_bytes){ hash, sizeof hash }, hex);
    assert_int_equal(reply.content_results.n, 1);
    const struct chy_content_result *result = &reply.content_results.p[0];
    assert_true(result->matches);
    assert_int_equal(result->facts.n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(result->facts.p[i].basis, CHY_BASIS_SERVER);
    assert_true(chy_str_equal_c(result->facts.p[0].name, CHY_FACT_CONTENT_TYPE));
    assert_true(chy_str_equal_c(result->facts.p[0].value, type));
    assert_true(chy_str_equal_c(result->facts.p[1].name, CHY_FACT_CONTENT_SHA256));
    assert_true(chy_str_equal_c(result->facts.p[1].value, hex));
}

/* What we build ourselves as certificate and request is recognised as such: with each kind of
 * key. */
static void test_content__recognised(void **state)
{
    (void)state;
    for (enum chy_key_type t = CHY_KEY_RSA_2048; t <= CHY_KEY_ED25519; t++) {
        assert_content(good(build(CHY_PROFILE_DEVELOPMENT_CA, t, t, none)).made,
                       CHY_CONTENT_X509_TBS);
        assert_content(good(build_csr(t)).made, CHY_CONTENT_CSR_INFO);
    }
    assert_content(chy_str_bytes(CHY_STR("MZ")), CHY_CONTENT_OTHER);
}

static void test_content__wrong_digest(void **state)
{
    (void)state;
    struct chy_inspect_reply reply = content(chy_str_bytes(CHY_STR("abc")), CHY_HASH_SHA256, false);
    assert_false(reply.content_results.p[0].matches);
    assert_int_equal(reply.content_results.p[0].facts.n, 0);
}

static void test_content__digest_of_another_length(void **state)
{
    (void)state;
    struct chy_bytes abc = chy_str_bytes(CHY_STR("abc"));
    uint8_t digest[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(abc, digest, NULL), CHY_OK);
    const struct chy_content c = { CHY_HASH_SHA256, { digest, 31 }, abc };
    struct chy_inspect_reply reply =
        good((struct chy_inspect_request){ .what = CHY_INSPECT_CONTENT, .contents = { &c, 1 } });
    assert_false(reply.content_results.p[0].matches);
    const struct chy_content unhashed = { CHY_HASH_NONE, { digest, 31 }, abc };
    bad((struct chy_inspect_request){ .what = CHY_INSPECT_CONTENT, .contents = { &unhashed, 1 } },
        CHY_E_ARG, "hash");
}

/* --- no memory --- */

static void sweep(struct chy_inspect_request request)
{
    request.now_us = NOW_US;
    bool was_refused = true;
    for (size_t n = 0; was_refused; n++) {
        struct chy_inspect_reply reply;
        CHY_CLEANUP(chy_arena_done) struct chy_arena own;
        chy_arena_init(&own, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = chy_inspect_run(&request, &own, &reply, NULL);
        was_refused = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        /* Some callees tell a full arena apart from memory that is out, some do not. */
        assert_true(was_refused ? r == CHY_E_NOMEM || r == CHY_E_LIMIT : r == CHY_OK);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    struct chy_bytes ca = development_ca();
    sweep((struct chy_inspect_request){ .what = CHY_INSPECT_POLICY, .text = policy_text("one") });
    sweep(chain(pem("CERTIFICATE", development_leaf(ca), ca)));
    sweep(build_csr(CHY_KEY_P256));
    sweep(build(CHY_PROFILE_DEVELOPMENT_CA, CHY_KEY_P256, CHY_KEY_P256, none));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_kind),
        TEST(test_policy),
        TEST(test_policy__not_yaml),
        TEST(test_policy__requirement_not_built),
        TEST(test_policy__too_many_rules),
        TEST(test_guard),
        TEST(test_guard__errors),
        TEST(test_chain),
        TEST(test_chain__one_in_der),
        TEST(test_chain__errors),
        TEST(test_chain__wrong_purpose),
        TEST(test_chain__bad_signature),
        TEST(test_csr__built_and_read),
        TEST(test_csr__errors),
        TEST(test_build_csr__errors),
        TEST(test_build_certificate__errors),
        TEST(test_content__recognised),
        TEST(test_content__wrong_digest),
        TEST(test_content__digest_of_another_length),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, group_teardown);
}
