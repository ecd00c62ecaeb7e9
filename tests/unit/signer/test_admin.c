/* SPDX-License-Identifier: MIT */
/* What is changed by people: keys, principals, enrolment, API tokens, policies; two at the same
 * moment, and what fails half-way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "proto/enrolment.h"
#include "signer_fixture.h"
#include "store/records.h"

#define SECOND_US INT64_C(1000000)

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fx_init(&f, NULL);
    fx_start(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_done(&f);
    return 0;
}

static void finish(void)
{
    size_t open = 1;
    fx_stop(&f);
    fx_check_log(&f, &open);
    assert_int_equal(open, 0);
    assert_int_equal(f.unlogged, 0);
}

static enum chy_err do_key(enum chy_op op, const char *name, struct chy_key *ret)
{
    const struct chy_key_name key = { chy_str_of(name) };
    return fx_do(&f, op, "root", &key, ret);
}

static enum chy_err destroy(const char *name, const char *confirm)
{
    const struct chy_key_destroy r = { chy_str_of(name), chy_str_of(confirm) };
    return fx_do(&f, CHY_OP_KEYS_DESTROY, "root", &r, NULL);
}

/* --- keys --- */

static void test_keys__disable_and_enable(void **state)
{
    struct chy_key key;
    (void)state;
    fx_ready_to_sign(&f);
    assert_int_equal(do_key(CHY_OP_KEYS_DISABLE, "k", &key), CHY_OK);
    assert_int_equal(key.state, CHY_KEY_STATE_DISABLED);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_STATE);
    assert_int_equal(do_key(CHY_OP_KEYS_ENABLE, "k", &key), CHY_OK);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    assert_int_equal(do_key(CHY_OP_KEYS_DISABLE, "k", NULL), CHY_OK);
    fx_kill(&f);
    fx_start(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_STATE);
    finish();
}

static void test_keys__destroy_is_for_ever_and_asks_every_worker(void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    assert_int_equal(destroy("k", "other"), CHY_E_ARG);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    assert_int_equal(destroy("k", "k"), CHY_OK);
    assert_int_equal(f.drops, FX_WORKERS);
    assert_int_equal(f.destroys, 1);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_STATE);
    assert_int_equal(do_key(CHY_OP_KEYS_ENABLE, "k", NULL), CHY_E_STATE);
    const struct chy_key_create again = { .name = CHY_STR("k"), .type = CHY_KEY_P256 };
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_CREATE, "root", &again, NULL), CHY_E_EXISTS);
    finish();
}

static void test_keys__destroy_that_the_token_fails_stays_destroyed_and_may_be_repeated(
    void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_FAILS;
    assert_int_equal(destroy("k", "k"), CHY_E_TOKEN);
    assert_int_equal(f.destroys, 0);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_STATE);
    assert_int_equal(destroy("k", "k"), CHY_OK);
    assert_int_equal(f.destroys, 1);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_KEY, "key.destroy", CHY_OUTCOME_FAILED), 1);
    assert_int_equal(fx_count(&f, CHY_ENTRY_KEY, "key.destroy", CHY_OUTCOME_DONE), 1);
}

static void test_keys__destroy_with_workers_that_die(void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = WORKER_DIES; /* its copy dies with it */
    assert_int_equal(destroy("k", "k"), CHY_OK);
    fx_connect_worker(&f, 0);
    assert_int_equal(f.destroys, 1);
    finish();
}

static void test_keys__one_change_of_a_key_at_a_time(void **state)
{
    const struct chy_key_create create = { .name = CHY_STR("x"), .type = CHY_KEY_P256 };
    (void)state;
    uint64_t first = fx_call(&f, CHY_OP_KEYS_CREATE, "root", &create);
    uint64_t second = fx_call(&f, CHY_OP_KEYS_CREATE, "root", &create);
    assert_int_equal(fx_reply(&f, first, CHY_OP_KEYS_CREATE, NULL), CHY_OK);
    assert_int_equal(fx_reply(&f, second, CHY_OP_KEYS_CREATE, NULL), CHY_E_CONFLICT);
    finish();
}

static void test_keys__a_worker_that_dies_while_it_makes_one(void **state)
{
    const struct chy_key_create create = { .name = CHY_STR("x"), .type = CHY_KEY_P256 };
    (void)state;
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_DIES;
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_CREATE, "root", &create, NULL), CHY_E_TOKEN);
    fx_renew_workers(&f);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_CREATE, "root", &create, NULL), CHY_OK);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_KEY, "key.create", CHY_OUTCOME_FAILED), 1);
}

static enum chy_err adopt(const char *name, const char *label)
{
    const struct chy_key_adopt r = { .name = chy_str_of(name), .label = chy_str_of(label) };
    return fx_do(&f, CHY_OP_KEYS_ADOPT, "root", &r, NULL);
}

/* Else who manages keys could issue client certificates, or checkpoints. */
static void test_keys__the_servers_own_cannot_be_adopted(void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    assert_int_equal(adopt("mine", CHY_KEY_NAME_CLIENT_CA), CHY_E_FORBIDDEN);
    assert_int_equal(adopt("mine", CHY_KEY_NAME_LOG), CHY_E_FORBIDDEN);
    assert_int_equal(adopt("mine", "k"), CHY_E_EXISTS);
    assert_int_equal(do_key(CHY_OP_KEYS_DISABLE, CHY_KEY_NAME_CLIENT_CA, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(destroy(CHY_KEY_NAME_LOG, CHY_KEY_NAME_LOG), CHY_E_NOT_FOUND);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_KEY, "key.adopt", CHY_OUTCOME_FAILED), 3);
}

static void test_keys__development_certificate_and_request(void **state)
{
    struct chy_key key;
    struct chy_csr csr;
    const struct chy_development_certificate r = { .name = CHY_STR("k") };
    const struct chy_csr_request ask = { .name = CHY_STR("k"), .subject = CHY_STR("CN=Example") };
    (void)state;
    fx_ready_to_sign(&f);
    assert_int_equal(fx_do(&f, CHY_OP_CERTS_DEVELOPMENT, "root", &r, &key), CHY_OK);
    assert_int_equal(key.certificates.n, 2);
    assert_true(key.certificates.p[0].is_development);
    assert_int_equal(fx_do(&f, CHY_OP_CERTS_CSR, "root", &ask, &csr), CHY_OK);
    assert_non_null(strstr(csr.csr.p, "BEGIN CERTIFICATE REQUEST"));
    finish();
}

static void test_keys__development_certificate_with_a_token_that_fails(void **state)
{
    const struct chy_development_certificate r = { .name = CHY_STR("k") };
    (void)state;
    fx_ready_to_sign(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_FAILS;
    assert_int_equal(fx_do(&f, CHY_OP_CERTS_DEVELOPMENT, "root", &r, NULL), CHY_E_TOKEN);
    f.workers[0].mode = f.workers[1].mode = WORKER_EMPTY;
    assert_int_equal(fx_do(&f, CHY_OP_CERTS_DEVELOPMENT, "root", &r, NULL), CHY_E_PROTOCOL);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    assert_int_equal(fx_do(&f, CHY_OP_CERTS_DEVELOPMENT, "root", &r, NULL), CHY_OK);
    finish();
}

/* --- principals --- */

static enum chy_err update_roles(const char *caller, const char *name, bool is_disabled)
{
    const struct chy_texts none = { { NULL, 0 } };
    const struct chy_switch off = { true };
    const struct chy_user_update r = { .name = chy_str_of(name),
                                       .roles = is_disabled ? NULL : &none,
                                       .is_disabled = is_disabled ? &off : NULL };
    return fx_do(&f, CHY_OP_USERS_UPDATE, caller, &r, NULL);
}

static void test_users__the_last_administrator_stays(void **state)
{
    static const struct chy_str administrator[] = { { "administrator", 13 } };
    const struct chy_texts roles = { { administrator, 1 } };
    const struct chy_user_update promote = { .name = CHY_STR("alice"), .roles = &roles };
    (void)state;
    assert_int_equal(update_roles("root", "root", false), CHY_E_STATE);
    assert_int_equal(update_roles("root", "root", true), CHY_E_STATE);
    assert_int_equal(fx_do(&f, CHY_OP_USERS_UPDATE, "root", &promote, NULL), CHY_OK);
    /* Two, who would each leave the other as the last one. */
    const struct chy_switch off = { true };
    const struct chy_user_update a = { .name = CHY_STR("alice"), .is_disabled = &off };
    const struct chy_user_update b = { .name = CHY_STR("root"), .is_disabled = &off };
    uint64_t first = fx_call(&f, CHY_OP_USERS_UPDATE, "root", &a);
    uint64_t second = fx_call(&f, CHY_OP_USERS_UPDATE, "alice", &b);
    enum chy_err r1 = fx_reply(&f, first, CHY_OP_USERS_UPDATE, NULL);
    enum chy_err r2 = fx_reply(&f, second, CHY_OP_USERS_UPDATE, NULL);
    assert_int_equal(r1, CHY_OK);
    assert_int_not_equal(r2, CHY_OK);
    finish();
}

static void test_users__rights_are_looked_up_at_each_call(void **state)
{
    const struct chy_user_create create = { .name = CHY_STR("carol") };
    (void)state;
    assert_int_equal(fx_do(&f, CHY_OP_USERS_CREATE, "alice", &create, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_do(&f, CHY_OP_USERS_CREATE, NULL, &create, NULL), CHY_E_UNAUTHENTICATED);
    assert_int_equal(fx_do(&f, CHY_OP_USERS_CREATE, "mallory", &create, NULL),
                     CHY_E_UNAUTHENTICATED);
    fx_ready_to_sign(&f);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_OK);
    assert_int_equal(update_roles("root", "alice", true), CHY_OK);
    assert_int_equal(fx_signed(&f, fx_sign(&f, "k", 1), NULL), CHY_E_UNAUTHENTICATED);
    finish();
}

/* --- enrolment --- */

/* ret_key_sha256 may be NULL: the hash of its SubjectPublicKeyInfo. */
static struct chy_str make_csr(uint8_t *ret_key_sha256)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509_REQ *req = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(bio, req), 1);
    long n = BIO_get_mem_data(bio, &text);
    struct chy_str own = chy_arena_str(&f.arena, (struct chy_str){ text, (size_t)n });
    uint8_t *spki = NULL;
    int spki_n = i2d_PUBKEY(key, &spki);
    assert_true(spki_n > 0);
    if (ret_key_sha256 != NULL)
        SHA256(spki, (size_t)spki_n, ret_key_sha256);
    OPENSSL_free(spki);
    BIO_free(bio);
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return own;
}

static struct chy_str secret_for(const char *name)
{
    const struct chy_enrolment_code_request r = { .name = chy_str_of(name) };
    struct chy_enrolment_code code;
    struct chy_enrolment parsed;
    assert_int_equal(fx_do(&f, CHY_OP_USERS_ENROLMENT_CODE, "root", &r, &code), CHY_OK);
    assert_int_equal(chy_enrolment_parse(code.code, &parsed, NULL), CHY_OK);
    return chy_arena_str(&f.arena, chy_str_of(parsed.secret));
}

static void test_enroll__a_code_works_once_also_for_two_at_the_same_moment(void **state)
{
    struct chy_client_certificate c;
    (void)state;
    const struct chy_enroll_request r = { .code = secret_for("bob"), .csr = make_csr(NULL) };
    uint64_t first = fx_call(&f, CHY_OP_ENROLL, NULL, &r);
    uint64_t second = fx_call(&f, CHY_OP_ENROLL, NULL, &r);
    assert_int_equal(fx_reply(&f, first, CHY_OP_ENROLL, &c), CHY_OK);
    assert_true(chy_str_equal_c(c.principal, "bob"));
    assert_int_equal(fx_reply(&f, second, CHY_OP_ENROLL, NULL), CHY_E_CONFLICT);
    assert_int_equal(fx_do(&f, CHY_OP_ENROLL, NULL, &r, NULL), CHY_E_UNAUTHENTICATED);
    finish();
    assert_int_equal(fx_count(&f, CHY_ENTRY_USER, "user.enroll", CHY_OUTCOME_DONE), 1);
}

static void test_enroll__a_code_survives_what_went_wrong(void **state)
{
    (void)state;
    struct chy_enroll_request r = { .code = secret_for("bob"), .csr = CHY_STR("no request") };
    size_t before = fx_log(&f).n;
    assert_int_equal(fx_do(&f, CHY_OP_ENROLL, NULL, &r, NULL), CHY_E_MALFORMED);
    assert_int_equal(fx_log(&f).n, before);
    r.csr = make_csr(NULL);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_FAILS;
    assert_int_equal(fx_do(&f, CHY_OP_ENROLL, NULL, &r, NULL), CHY_E_TOKEN);
    f.workers[0].mode = f.workers[1].mode = WORKER_SIGNS;
    assert_int_equal(fx_do(&f, CHY_OP_ENROLL, NULL, &r, NULL), CHY_OK);
    finish();
}

struct found_credential {
    const char *owner;
    struct chy_str name;
    struct chy_credential_record record;
};

static enum chy_err find_credential(void *ctx, struct chy_str name, struct chy_bytes body,
                                    struct chy_error *err)
{
    struct found_credential *found = ctx;
    struct chy_bytes own = chy_arena_bytes(&f.arena, body);
    CHY_TRY(chy_schema_decode(&chy_credential_record_schema, own, &f.arena, &found->record, err));
    found->name = chy_arena_str(&f.arena, name);
    return chy_str_equal_c(found->record.principal, found->owner) ? CHY_E_EXISTS : CHY_OK;
}

/* Beside the credential of `owner`, which becomes one of the key with this hash, an expired one. */
static void put_credentials(const char *owner, const uint8_t key_sha256[CHY_HASH_BYTES])
{
    struct chy_store *store = NULL;
    struct found_credential found = { .owner = owner };
    struct chy_credential_record c = { .principal = chy_str_of(owner),
                                       .method = CHY_AUTH_CERTIFICATE };
    c.info.expires_us = 1;
    assert_int_equal(chy_store_open(f.store_path.p, CHY_STORE_WRITE, &store, NULL), CHY_OK);
    assert_int_equal(
        chy_store_walk(store, CHY_OBJECT_CREDENTIAL, CHY_STR(""), find_credential, &found, NULL),
        CHY_OK);
    memcpy(found.record.public_key_sha256, key_sha256, CHY_HASH_BYTES);
    assert_int_equal(chy_store_begin(store, NULL), CHY_OK);
    assert_int_equal(chy_record_put(store, CHY_OBJECT_CREDENTIAL, found.name,
                                    &chy_credential_record_schema, &found.record, NULL),
                     CHY_OK);
    assert_int_equal(chy_record_put(store, CHY_OBJECT_CREDENTIAL, CHY_STR("00"),
                                    &chy_credential_record_schema, &c, NULL),
                     CHY_OK);
    assert_int_equal(chy_store_commit(store, NULL), CHY_OK);
    chy_store_close(store);
}

/* The credential of `owner` ends so many microseconds from now. */
static void end_credential(const char *owner, int64_t in_us)
{
    struct chy_store *store = NULL;
    struct found_credential found = { .owner = owner };
    assert_int_equal(chy_store_open(f.store_path.p, CHY_STORE_WRITE, &store, NULL), CHY_OK);
    assert_int_equal(
        chy_store_walk(store, CHY_OBJECT_CREDENTIAL, CHY_STR(""), find_credential, &found, NULL),
        CHY_OK);
    found.record.info.expires_us = chy_clock_realtime_us() + in_us;
    assert_int_equal(chy_store_begin(store, NULL), CHY_OK);
    assert_int_equal(chy_record_put(store, CHY_OBJECT_CREDENTIAL, found.name,
                                    &chy_credential_record_schema, &found.record, NULL),
                     CHY_OK);
    assert_int_equal(chy_store_commit(store, NULL), CHY_OK);
    chy_store_close(store);
}

/* The signer remembers who called. */
static void test_users__a_credential_that_is_in_use_ends_at_its_time(void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    fx_stop(&f);
    end_credential("alice", 2 * SECOND_US);
    fx_start(&f);
    enum chy_err r = fx_signed(&f, fx_sign(&f, "k", 1), NULL);
    assert_int_equal(r, CHY_OK);
    int64_t deadline = chy_clock_monotonic_us() + 30 * SECOND_US;
    while (r == CHY_OK && chy_clock_monotonic_us() < deadline)
        r = fx_signed(&f, fx_sign(&f, "k", 1), NULL);
    assert_int_equal(r, CHY_E_EXPIRED);
    finish();
}

static void test_renew__is_for_the_key_of_the_certificate(void **state)
{
    (void)state;
    uint8_t key[CHY_HASH_BYTES];
    const struct chy_renew_request own = { .csr = make_csr(key) };
    const struct chy_renew_request other = { .csr = make_csr(NULL) };
    fx_stop(&f);
    put_credentials("alice", key);
    fx_start(&f);
    size_t before = fx_log(&f).n;
    assert_int_equal(fx_do(&f, CHY_OP_RENEW, "alice", &other, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_log(&f).n, before);
    assert_int_equal(fx_do(&f, CHY_OP_RENEW, "alice", &own, NULL), CHY_OK);
    finish();
}

/* Both drop the old credential: the second finds it gone, which must not fail the commit of all. */
static void test_renew__two_at_the_same_moment_with_an_old_credential(void **state)
{
    (void)state;
    uint8_t key[CHY_HASH_BYTES];
    const struct chy_renew_request r = { .csr = make_csr(key) };
    fx_stop(&f);
    put_credentials("alice", key);
    fx_start(&f);
    fx_settle(&f);
    f.workers[0].mode = f.workers[1].mode = WORKER_HOLDS;
    uint64_t first = fx_call(&f, CHY_OP_RENEW, "alice", &r);
    uint64_t second = fx_call(&f, CHY_OP_RENEW, "alice", &r);
    fx_pump(&f, SECOND_US / 5, NULL);
    fx_release(&f, 0);
    fx_release(&f, 1);
    assert_int_equal(fx_reply(&f, first, CHY_OP_RENEW, NULL), CHY_OK);
    assert_int_equal(fx_reply(&f, second, CHY_OP_RENEW, NULL), CHY_OK);
    finish();
    struct chy_bytes body;
    assert_int_equal(
        chy_store_get(f.reader, CHY_OBJECT_CREDENTIAL, CHY_STR("00"), &f.arena, &body, NULL),
        CHY_E_NOT_FOUND);
}

/* --- API tokens --- */

static const char *token_for(const char *owner, const char *scope, const char *key)
{
    const struct chy_str scopes[] = { chy_str_of(scope) };
    const struct chy_str keys[] = { chy_str_of(key) };
    const struct chy_api_token_create r = { .name = chy_str_of(owner),
                                            .scopes = { scopes, 1 },
                                            .keys = { keys, key[0] != '\0' ? 1 : 0 } };
    struct chy_api_token token;
    if (fx_do(&f, CHY_OP_API_TOKENS_CREATE, "root", &r, &token) != CHY_OK)
        fail_msg("%s", fx_text());
    return chy_arena_printf(&f.arena, "token:%.*s", CHY_STR_ARG(token.token)).p;
}

static void test_api_tokens__are_held_to_scopes_and_keys(void **state)
{
    (void)state;
    fx_ready_to_sign(&f);
    fx_create_key(&f, "test-1", CHY_KEY_P256);
    const char *sign = token_for("alice", "sign", "test-*");
    const char *manage = token_for("root", "keys.*", "test-*");
    struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, sign, &request, NULL), CHY_E_FORBIDDEN);
    request = fx_sign_request(&f, "unheard-of", 1); /* nor does it learn what there is */
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, sign, &request, NULL), CHY_E_FORBIDDEN);
    request = fx_sign_request(&f, "test-1", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, sign, &request, NULL), CHY_OK);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, manage, &request, NULL), CHY_E_FORBIDDEN);
    const struct chy_key_name k = { CHY_STR("k") };
    const struct chy_key_name test = { CHY_STR("test-1") };
    const struct chy_key_destroy gone = { CHY_STR("k"), CHY_STR("k") };
    const struct chy_key_create more = { .name = CHY_STR("release-2"), .type = CHY_KEY_P256 };
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_DISABLE, sign, &test, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_DISABLE, manage, &k, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_DESTROY, manage, &gone, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_CREATE, manage, &more, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(fx_do(&f, CHY_OP_KEYS_DISABLE, manage, &test, NULL), CHY_OK);
    finish();
}

static void test_api_tokens__revoked_is_revoked(void **state)
{
    const struct chy_str scopes[] = { CHY_STR("sign") };
    const struct chy_api_token_create r = { .name = CHY_STR("alice"), .scopes = { scopes, 1 } };
    struct chy_api_token token;
    (void)state;
    fx_ready_to_sign(&f);
    assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_CREATE, "root", &r, &token), CHY_OK);
    const char *caller = chy_arena_printf(&f.arena, "token:%.*s", CHY_STR_ARG(token.token)).p;
    const struct chy_sign_request request = fx_sign_request(&f, "k", 1);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, caller, &request, NULL), CHY_OK);
    struct chy_api_token_ref ref = { .name = CHY_STR("alice") };
    memcpy(ref.id, token.info.id, sizeof ref.id);
    assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_REVOKE, "root", &ref, NULL), CHY_OK);
    assert_int_equal(fx_do(&f, CHY_OP_SIGN, caller, &request, NULL), CHY_E_UNAUTHENTICATED);
    ref.id[0] ^= 1;
    assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_REVOKE, "root", &ref, NULL), CHY_E_NOT_FOUND);
    finish();
}

static void test_api_tokens__so_many_of_a_principal(void **state)
{
    const struct chy_str scopes[] = { CHY_STR("sign") };
    const struct chy_api_token_create r = { .name = CHY_STR("alice"), .scopes = { scopes, 1 } };
    (void)state;
    for (size_t i = 0; i < CHY_LIMIT_API_TOKENS; i++)
        assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_CREATE, "root", &r, NULL), CHY_OK);
    assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_CREATE, "root", &r, NULL), CHY_E_LIMIT);
    const struct chy_api_token_create other = { .name = CHY_STR("bob"), .scopes = { scopes, 1 } };
    assert_int_equal(fx_do(&f, CHY_OP_API_TOKENS_CREATE, "root", &other, NULL), CHY_OK);
    finish();
}

/* --- policies --- */

static void test_policies__who_is_slower_is_told(void **state)
{
    const struct chy_policy_apply a = { .policy = CHY_STR("version: 1\nrules: []\n") };
    struct chy_policy_apply b = a;
    struct chy_policy policy;
    (void)state;
    assert_int_equal(fx_do(&f, CHY_OP_POLICIES_APPLY, "root", &a, &policy), CHY_OK);
    assert_int_equal(policy.number, 1);
    b.expected_number = 1;
    uint64_t first = fx_call(&f, CHY_OP_POLICIES_APPLY, "root", &b);
    uint64_t second = fx_call(&f, CHY_OP_POLICIES_APPLY, "root", &b);
    assert_int_equal(fx_reply(&f, first, CHY_OP_POLICIES_APPLY, &policy), CHY_OK);
    assert_int_equal(policy.number, 2);
    assert_int_equal(fx_reply(&f, second, CHY_OP_POLICIES_APPLY, NULL), CHY_E_CONFLICT);
    assert_int_equal(fx_do(&f, CHY_OP_POLICIES_APPLY, "root", &b, NULL), CHY_E_CONFLICT);
    b.policy = CHY_STR("version: 1\nrules: [");
    assert_int_equal(fx_do(&f, CHY_OP_POLICIES_APPLY, "root", &b, NULL), CHY_E_CONFLICT);
    b.expected_number = 0;
    assert_int_equal(fx_do(&f, CHY_OP_POLICIES_APPLY, "root", &b, NULL), CHY_E_MALFORMED);
    fx_kill(&f);
    fx_start(&f);
    assert_int_equal(fx_counter(&f, "chancery_policy_number"), 2);
    finish();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_keys__disable_and_enable),
        TEST(test_keys__destroy_is_for_ever_and_asks_every_worker),
        TEST(test_keys__destroy_that_the_token_fails_stays_destroyed_and_may_be_repeated),
        TEST(test_keys__destroy_with_workers_that_die),
        TEST(test_keys__one_change_of_a_key_at_a_time),
        TEST(test_keys__a_worker_that_dies_while_it_makes_one),
        TEST(test_keys__the_servers_own_cannot_be_adopted),
        TEST(test_keys__development_certificate_and_request),
        TEST(test_keys__development_certificate_with_a_token_that_fails),
        TEST(test_users__the_last_administrator_stays),
        TEST(test_users__rights_are_looked_up_at_each_call),
        TEST(test_users__a_credential_that_is_in_use_ends_at_its_time),
        TEST(test_enroll__a_code_works_once_also_for_two_at_the_same_moment),
        TEST(test_enroll__a_code_survives_what_went_wrong),
        TEST(test_renew__is_for_the_key_of_the_certificate),
        TEST(test_renew__two_at_the_same_moment_with_an_old_credential),
        TEST(test_api_tokens__are_held_to_scopes_and_keys),
        TEST(test_api_tokens__revoked_is_revoked),
        TEST(test_api_tokens__so_many_of_a_principal),
        TEST(test_policies__who_is_slower_is_told),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
