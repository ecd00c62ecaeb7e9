/* SPDX-License-Identifier: MIT */
/* The provider as a program loads it, against a fake agent with real keys. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/limits.h"
#include "module_fixture.h"
#include "provider_fixture.h"

static const struct chy_bytes message = { (const uint8_t *)"what is signed", 14 };

static const struct {
    const char *uri;
    bool is_rsa;
    const char *digests[4]; /* the last is NULL: for Ed25519 that is the one */
} keys[] = {
    { "chancery:rsa-2048", true, { "SHA256", "SHA384", "SHA512", NULL } },
    { "chancery:rsa-3072", true, { "SHA256", "SHA2-384", "sha512", NULL } },
    { "chancery:p256", false, { "SHA256", "SHA384", "SHA512", NULL } },
    { "chancery:p384", false, { "SHA256", "SHA384", "SHA512", NULL } },
    { "chancery:p521", false, { "SHA256", "SHA384", "SHA512", NULL } },
    { "chancery:ed25519", false, { NULL, NULL, NULL, NULL } },
};

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    providers_load("default", "chancery");
    return 0;
}

static int teardown(void **state)
{
    if (ssl.ours != NULL)
        providers_unload();
    ERR_clear_error();
    return fixture_teardown(state);
}

static void sign_and_verify(const char *uri, const char *digest, bool is_pss, struct chy_bytes data)
{
    struct made made;
    EVP_PKEY *key = key_open(uri);
    assert_non_null(key);
    assert_true(sign_with_key(key, digest, is_pss, data, &made));
    assert_true(made.n <= (size_t)EVP_PKEY_get_size(key));
    assert_true(is_good_for_others(key, digest, is_pss, data, &made));
    made.bytes[made.n - 1] ^= 1;
    assert_false(is_good_for_others(key, digest, is_pss, data, &made));
    EVP_PKEY_free(key);
}

static void sign_with_all(void)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        size_t d = 0;
        do {
            sign_and_verify(keys[i].uri, keys[i].digests[d], false, message);
            if (keys[i].is_rsa)
                sign_and_verify(keys[i].uri, keys[i].digests[d], true, message);
        } while (keys[i].digests[d] != NULL && keys[i].digests[++d] != NULL);
    }
}

static void test_sign__each_key_and_digest(void **state)
{
    (void)state;
    sign_with_all();
}

static void test_sign__loaded_before_openssl_s_own(void **state)
{
    (void)state;
    providers_unload();
    providers_load("chancery", "default");
    sign_with_all();
}

/* At the limit it is shown to the agent, past it hashed here; Ed25519 ends there. */
static void test_sign__long_messages(void **state)
{
    (void)state;
    static uint8_t bytes[CHY_LIMIT_CONTENT + 1];
    struct made made;
    for (size_t n = CHY_LIMIT_CONTENT; n <= CHY_LIMIT_CONTENT + 1; n++) {
        sign_and_verify("chancery:p256", "SHA384", false, (struct chy_bytes){ bytes, n });
        sign_and_verify("chancery:rsa-2048", "SHA256", true, (struct chy_bytes){ bytes, n });
    }
    sign_and_verify("chancery:ed25519", NULL, false,
                    (struct chy_bytes){ bytes, CHY_LIMIT_CONTENT });
    EVP_PKEY *key = key_open("chancery:ed25519");
    assert_false(sign_with_key(key, NULL, false, (struct chy_bytes){ bytes, sizeof bytes }, &made));
    assert_int_equal(last_reason(NULL), CHY_E_LIMIT);
    EVP_PKEY_free(key);
}

/* A context that has signed may go on: OpenSSL copies it. */
static void go_on(EVP_PKEY *key, const uint8_t *part, size_t n)
{
    struct made first = { .n = sizeof first.bytes };
    struct made second = { .n = sizeof second.bytes };
    uint8_t *twice = malloc(2 * n);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_true(EVP_DigestSignInit_ex(md, NULL, "SHA256", ssl.ours, NULL, key, NULL) > 0);
    assert_true(EVP_DigestSignUpdate(md, part, n) > 0);
    assert_true(EVP_DigestSignFinal(md, first.bytes, &first.n) > 0);
    assert_true(EVP_DigestSignUpdate(md, part, n) > 0);
    assert_true(EVP_DigestSignFinal(md, second.bytes, &second.n) > 0);
    memcpy(twice, part, n);
    memcpy(twice + n, part, n);
    assert_true(is_good_for_others(key, "SHA256", false, (struct chy_bytes){ part, n }, &first));
    assert_true(
        is_good_for_others(key, "SHA256", false, (struct chy_bytes){ twice, 2 * n }, &second));
    EVP_MD_CTX_free(md);
    free(twice);
}

static void test_sign__goes_on_behind_a_signature(void **state)
{
    (void)state;
    static uint8_t bytes[CHY_LIMIT_CONTENT + 10];
    EVP_PKEY *key = key_open("chancery:p256");
    go_on(key, message.p, message.n);
    go_on(key, bytes, sizeof bytes);
    go_on(key, bytes, CHY_LIMIT_CONTENT - 10);
    EVP_PKEY_free(key);
}

/* --- a digest that was made elsewhere --- */

static bool sign_digest(const char *uri, const char *digest, size_t n, size_t room,
                        struct made *ret_made)
{
    static const uint8_t bytes[64] = { 1, 2, 3 };
    EVP_PKEY *key = key_open(uri);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(ssl.ours, key, NULL);
    *ret_made = (struct made){ .n = room };
    EVP_MD *md = digest != NULL ? EVP_MD_fetch(ssl.ours, digest, NULL) : NULL;
    bool is_done = EVP_PKEY_sign_init(c) > 0 &&
                   (md == NULL || EVP_PKEY_CTX_set_signature_md(c, md) > 0) &&
                   EVP_PKEY_sign(c, ret_made->bytes, &ret_made->n, bytes, n) > 0;
    bool is_good = is_done && EVP_PKEY_verify_init(c) > 0 &&
                   (md == NULL || EVP_PKEY_CTX_set_signature_md(c, md) > 0) &&
                   EVP_PKEY_verify(c, ret_made->bytes, ret_made->n, bytes, n) > 0;
    assert_int_equal(is_done, is_good);
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    return is_done;
}

static void test_sign__a_digest(void **state)
{
    (void)state;
    struct made made;
    assert_true(sign_digest("chancery:rsa-2048", "SHA256", 32, 1024, &made));
    assert_true(sign_digest("chancery:p384", "SHA384", 48, 1024, &made));
    assert_true(sign_digest("chancery:p256", NULL, 32, 1024, &made)); /* told by its length */
}

static void test_sign__a_digest_of_a_wrong_length(void **state)
{
    (void)state;
    struct made made;
    assert_false(sign_digest("chancery:p256", NULL, 31, 1024, &made));
    assert_int_equal(last_reason(NULL), CHY_E_ARG);
    assert_false(sign_digest("chancery:p384", "SHA384", 32, 1024, &made));
    assert_int_equal(last_reason(NULL), CHY_E_ARG);
    assert_false(sign_digest("chancery:rsa-2048", "SHA512", 63, 1024, &made));
    assert_int_equal(last_reason(NULL), CHY_E_ARG);
    assert_int_equal(log_count("sign"), 0);
}

/* What is past the limit of a message is not hashed as one. */
static void test_sign__a_digest_longer_than_any_message(void **state)
{
    (void)state;
    static const uint8_t bytes[CHY_LIMIT_CONTENT + 1];
    struct made made = { .n = sizeof made.bytes };
    EVP_MD *md = EVP_MD_fetch(ssl.ours, "SHA256", NULL);
    EVP_PKEY *key = key_open("chancery:rsa-2048");
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(ssl.ours, key, NULL);
    assert_true(EVP_PKEY_sign_init(c) > 0 && EVP_PKEY_CTX_set_signature_md(c, md) > 0);
    assert_false(EVP_PKEY_sign(c, made.bytes, &made.n, bytes, sizeof bytes) > 0);
    assert_int_equal(last_reason(NULL), CHY_E_ARG);
    assert_int_equal(log_count("sign"), 0);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    EVP_MD_free(md);
}

/* Refused before anything is signed and stands in a log. */
static void test_sign__a_buffer_too_small(void **state)
{
    (void)state;
    struct made made;
    assert_false(sign_digest("chancery:p256", "SHA256", 32, 71, &made));
    assert_int_equal(last_reason(NULL), CHY_E_ARG);
    assert_int_equal(log_count("sign"), 0);
    assert_true(sign_digest("chancery:p256", "SHA256", 32, 72, &made));
}

/* --- a context that signs again --- */

/* Two digests that together are as long as another hash's. */
static void test_sign__one_context_signs_digest_after_digest(void **state)
{
    (void)state;
    uint8_t digest[32] = { 0 };
    EVP_PKEY *key = key_open("chancery:p256");
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(ssl.ours, key, NULL);
    EVP_PKEY_CTX *v = EVP_PKEY_CTX_new_from_pkey(ssl.ours, key, NULL);
    assert_true(EVP_PKEY_sign_init(c) > 0 && EVP_PKEY_verify_init(v) > 0);
    for (uint8_t i = 0; i < 3; i++) {
        struct made made = { .n = sizeof made.bytes };
        digest[0] = i;
        assert_true(EVP_PKEY_sign(c, made.bytes, &made.n, digest, sizeof digest) > 0);
        assert_true(EVP_PKEY_verify(v, made.bytes, made.n, digest, sizeof digest) > 0);
    }
    EVP_PKEY_CTX_free(v);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
}

/* What was refused for want of room is no part of what is signed then. */
static void test_sign__again_with_room_enough(void **state)
{
    (void)state;
    const uint8_t digest[32] = { 7 };
    struct made made = { .n = 8 };
    EVP_PKEY *key = key_open("chancery:p256");
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(ssl.ours, key, NULL);
    assert_true(EVP_PKEY_sign_init(c) > 0);
    assert_false(EVP_PKEY_sign(c, made.bytes, &made.n, digest, sizeof digest) > 0);
    made.n = sizeof made.bytes;
    assert_true(EVP_PKEY_sign(c, made.bytes, &made.n, digest, sizeof digest) > 0);
    assert_true(EVP_PKEY_verify_init(c) > 0);
    assert_true(EVP_PKEY_verify(c, made.bytes, made.n, digest, sizeof digest) > 0);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
}

static void test_sign__one_context_signs_message_after_message(void **state)
{
    (void)state;
    EVP_PKEY *key = key_open("chancery:ed25519");
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_true(EVP_DigestSignInit_ex(md, NULL, NULL, ssl.ours, NULL, key, NULL) > 0);
    for (size_t n = 1; n <= message.n; n += message.n - 1) {
        struct made made = { .n = sizeof made.bytes };
        struct chy_bytes part = { message.p, n };
        assert_true(EVP_DigestSign(md, made.bytes, &made.n, part.p, part.n) > 0);
        assert_true(is_good_for_others(key, NULL, false, part, &made));
    }
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
}

/* --- what is not made --- */

static int refused(const char *uri, const char *digest, int padding, int salt, const char *mgf1)
{
    struct made made = { .n = sizeof made.bytes };
    EVP_PKEY_CTX *c = NULL;
    EVP_PKEY *key = key_open(uri);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_done = EVP_DigestSignInit_ex(md, &c, digest, ssl.ours, NULL, key, NULL) > 0 &&
                   (padding == 0 || EVP_PKEY_CTX_set_rsa_padding(c, padding) > 0) &&
                   (salt == 0 || EVP_PKEY_CTX_set_rsa_pss_saltlen(c, salt) > 0) &&
                   (mgf1 == NULL || EVP_PKEY_CTX_set_rsa_mgf1_md_name(c, mgf1, NULL) > 0) &&
                   EVP_DigestSign(md, made.bytes, &made.n, message.p, message.n) > 0;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return is_done ? CHY_OK : last_reason(NULL);
}

static void test_sign__what_the_server_does_not_make(void **state)
{
    (void)state;
    const int pss = RSA_PKCS1_PSS_PADDING;
    const char *rsa = "chancery:rsa-2048";
    assert_int_equal(refused(rsa, "SHA1", 0, 0, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(refused(rsa, "SHA256", RSA_X931_PADDING, 0, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(refused(rsa, "SHA256", RSA_NO_PADDING, 0, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(refused(rsa, "SHA256", pss, 31, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(refused(rsa, "SHA256", pss, RSA_PSS_SALTLEN_MAX, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(refused(rsa, "SHA256", pss, 32, "SHA384"), CHY_E_UNSUPPORTED);
    assert_int_equal(refused("chancery:ed25519", "SHA256", 0, 0, NULL), CHY_E_UNSUPPORTED);
    assert_int_equal(log_count("sign"), 0);
    assert_int_equal(refused(rsa, "SHA256", pss, 32, "SHA256"), CHY_OK);
    assert_int_equal(refused(rsa, "SHA256", pss, RSA_PSS_SALTLEN_AUTO, NULL), CHY_OK);
}

static void test_key__its_private_part_is_nowhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        OSSL_PARAM *params = NULL;
        BIGNUM *d = NULL;
        EVP_PKEY *key = key_open(keys[i].uri);
        BIO *out = BIO_new(BIO_s_mem());
        assert_false(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
        assert_int_equal(BIO_pending(out), 0);
        assert_false(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params));
        assert_false(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &d));
        assert_false(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d));
        assert_true(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params));
        OSSL_PARAM_free(params);
        BIO_free(out);
        EVP_PKEY_free(key);
    }
}

static void test_key__is_that_of_its_certificate(void **state)
{
    (void)state;
    X509 *other = certificate_open("chancery:p384");
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        EVP_PKEY *key = key_open(keys[i].uri);
        EVP_PKEY *public = public_open(keys[i].uri);
        X509 *certificate = certificate_open(keys[i].uri);
        assert_non_null(certificate);
        assert_int_equal(EVP_PKEY_eq(public, key), 1);
        assert_int_equal(X509_check_private_key(certificate, key), 1);
        assert_int_equal(X509_check_private_key(other, key),
                         strcmp(keys[i].uri, "chancery:p384") == 0);
        X509_free(certificate);
        EVP_PKEY_free(public);
        EVP_PKEY_free(key);
    }
    X509_free(other);
}

static void test_key__what_openssl_asks_of_it(void **state)
{
    (void)state;
    static const int bits[] = { 2048, 3072, 256, 384, 521, 256 };
    static const int strength[] = { 112, 128, 128, 192, 256, 128 };
    static const int size[] = { 256, 384, 72, 104, 139, 64 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        EVP_PKEY *key = key_open(keys[i].uri);
        EVP_PKEY *copy = EVP_PKEY_dup(key);
        assert_int_equal(EVP_PKEY_get_bits(key), bits[i]);
        assert_int_equal(EVP_PKEY_get_security_bits(key), strength[i]);
        assert_int_equal(EVP_PKEY_get_size(key), size[i]);
        assert_int_equal(EVP_PKEY_eq(copy, key), 1);
        EVP_PKEY_free(copy);
        EVP_PKEY_free(key);
    }
}

/* Other people's keys sign and are made as without us, but that who stands first makes keys. */
static void test_others__keys_in_files(void **state)
{
    (void)state;
    struct made made;
    EVP_PKEY *made_key = EVP_PKEY_Q_keygen(ssl.others, NULL, "EC", "P-256");
    BIO *file = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(file, made_key, NULL, NULL, 0, NULL, NULL));
    EVP_PKEY_free(made_key); /* it is of a library context that ends now */
    providers_unload();
    providers_load("chancery", "default");
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(file, NULL, NULL, NULL, ssl.ours, NULL);
    assert_non_null(key);
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    assert_true(is_good_for_others(key, "SHA256", false, message, &made));
    EVP_PKEY_free(key);
    BIO_free(file);
}

/* --- URIs --- */

static int why_not(const char *uri)
{
    assert_null(key_open(uri));
    return last_reason(NULL);
}

static void test_store__what_a_uri_names(void **state)
{
    (void)state;
    assert_int_equal(objects_count("chancery:p256"), 3); /* the key, its certificate, its CA's */
    assert_int_equal(objects_count("CHANCERY:p256"), 3);
    assert_int_equal(objects_count("chancery:"), CHY_ARRAY_LEN(keys));
    assert_int_equal(why_not("chancery:none"), CHY_E_NOT_FOUND);
    assert_int_equal(why_not("chancery:a\nb"), CHY_E_ARG);
}

static void test_store__the_longest_name(void **state)
{
    (void)state;
    char uri[CHY_LIMIT_NAME + 32] = "chancery:";
    memset(uri + 9, 'k', CHY_LIMIT_NAME);
    assert_int_equal(why_not(uri), CHY_E_NOT_FOUND);
    uri[9 + CHY_LIMIT_NAME] = 'k';
    assert_int_equal(why_not(uri), CHY_E_ARG);
}

static void test_store__pages_of_names(void **state)
{
    (void)state;
    folder_write("keys", "1500");
    assert_int_equal(objects_count("chancery:"), 1500 + CHY_ARRAY_LEN(keys));
}

/* --- what goes wrong --- */

static int failure_of(const char *fault, const char **ret_text)
{
    struct made made;
    EVP_PKEY *key = key_open("chancery:p256");
    assert_non_null(key);
    folder_write("fault", fault);
    assert_false(sign_with_key(key, "SHA256", false, message, &made));
    folder_write("fault", "");
    int reason = last_reason(ret_text);
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    EVP_PKEY_free(key);
    return reason;
}

static void test_faults__of_the_agent(void **state)
{
    (void)state;
    const char *text;
    assert_int_equal(failure_of("sign refuse", &text), CHY_E_DENIED);
    assert_true(text[0] != '\0');
    assert_int_equal(failure_of("sign short", NULL), CHY_E_PROTOCOL);
    assert_int_equal(failure_of("sign garbage", NULL), CHY_E_PROTOCOL);
    assert_int_equal(failure_of("sign kind", NULL), CHY_E_PROTOCOL);
    assert_int_equal(failure_of("sign close", NULL), CHY_E_IO);
    assert_int_equal(failure_of("sign unknown", NULL), CHY_E_PROTOCOL);
}

static void test_faults__half_a_key(void **state)
{
    (void)state;
    folder_write("fault", "keys half");
    assert_int_equal(why_not("chancery:p256"), CHY_E_PROTOCOL);
    assert_int_equal(why_not("chancery:rsa-2048"), CHY_E_PROTOCOL);
}

/* A program whose configuration loads us must not suffer from a wrong variable, until it signs. */
static void test_faults__a_wrong_variable(void **state)
{
    (void)state;
    const char *text;
    setenv("CHANCERY_AGENT_SOCK", "relative", 1);
    EVP_PKEY *other = EVP_PKEY_Q_keygen(ssl.ours, NULL, "ED25519");
    assert_non_null(other);
    EVP_PKEY_free(other);
    assert_null(key_open("chancery:p256"));
    assert_int_equal(last_reason(&text), CHY_E_ARG);
    assert_non_null(strstr(text, "CHANCERY_AGENT_SOCK"));
    setenv("CHANCERY_AGENT_SOCK", fx.socket, 1);
    sign_and_verify("chancery:p256", "SHA256", false, message);
}

static void test_faults__stand_in_the_log(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/provider.log", fx.folder);
    setenv("CHANCERY_LOG", path, 1);
    assert_int_equal(why_not("chancery:none"), CHY_E_NOT_FOUND);
    char line[1024] = "";
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_non_null(strstr(line, "provider.failed"));
    assert_non_null(strstr(line, "not-found"));
}

/* --- the process --- */

static void test_process__the_agent_comes_back(void **state)
{
    (void)state;
    struct made made;
    EVP_PKEY *key = key_open("chancery:p256");
    agent_stop();
    agent_start();
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    assert_true(is_good_for_others(key, "SHA256", false, message, &made));
    EVP_PKEY_free(key);
}

static void test_process__a_helper(void **state)
{
    (void)state;
    agent_stop();
    helper_use();
    sign_and_verify("chancery:p256", "SHA256", false, message);
}

/* Key, provider and connections are the parent's; the child makes its own connection. */
static void test_process__fork(void **state)
{
    (void)state;
    struct made made;
    EVP_PKEY *key = key_open("chancery:p256");
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    pid_t pid = fork();
    if (pid == 0) {
        bool is_good = sign_with_key(key, "SHA256", false, message, &made) &&
                       is_good_for_others(key, "SHA256", false, message, &made);
        _exit(is_good ? 0 : 1);
    }
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    assert_true(is_good_for_others(key, "SHA256", false, message, &made));
    EVP_PKEY_free(key);
}

static void *thread_run(void *arg)
{
    EVP_PKEY *key = arg;
    struct made made;
    for (int i = 0; i < 5; i++)
        if (!sign_with_key(key, "SHA256", false, message, &made) ||
            !is_good_for_others(key, "SHA256", false, message, &made))
            return arg;
    return NULL;
}

static void test_process__threads_with_one_key(void **state)
{
    (void)state;
    pthread_t threads[16];
    EVP_PKEY *key = key_open("chancery:p256");
    for (size_t i = 0; i < CHY_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, key), 0);
    for (size_t i = 0; i < CHY_ARRAY_LEN(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    EVP_PKEY_free(key);
}

static void test_process__is_unloaded_and_loaded_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        sign_and_verify("chancery:p256", "SHA256", false, message);
        providers_unload();
        pid_t pid = fork(); /* a handler that was left behind would crash here */
        if (pid == 0)
            _exit(0);
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        providers_load("default", "chancery");
    }
}

/* A key outlives what its owner unloads: OpenSSL keeps the provider for it. */
static void test_process__a_key_outlives_the_unloading(void **state)
{
    (void)state;
    struct made made;
    EVP_PKEY *key = key_open("chancery:p256");
    OSSL_PROVIDER_unload(ssl.providers[1]);
    ssl.providers[1] = NULL;
    assert_true(sign_with_key(key, "SHA256", false, message, &made));
    EVP_PKEY_free(key);
}

static void test_provider__tells_what_it_is(void **state)
{
    (void)state;
    const char *name = NULL;
    OSSL_PARAM params[] = { OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, &name, 0), OSSL_PARAM_END };
    assert_true(OSSL_PROVIDER_get_params(ssl.providers[1], params));
    assert_string_equal(name, "Chancery");
    assert_true(OSSL_PROVIDER_self_test(ssl.providers[1]));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sign__each_key_and_digest),
        T(test_sign__loaded_before_openssl_s_own),
        T(test_sign__long_messages),
        T(test_sign__goes_on_behind_a_signature),
        T(test_sign__a_digest),
        T(test_sign__a_digest_of_a_wrong_length),
        T(test_sign__a_digest_longer_than_any_message),
        T(test_sign__a_buffer_too_small),
        T(test_sign__one_context_signs_digest_after_digest),
        T(test_sign__again_with_room_enough),
        T(test_sign__one_context_signs_message_after_message),
        T(test_sign__what_the_server_does_not_make),
        T(test_key__its_private_part_is_nowhere),
        T(test_key__is_that_of_its_certificate),
        T(test_key__what_openssl_asks_of_it),
        T(test_others__keys_in_files),
        T(test_store__what_a_uri_names),
        T(test_store__the_longest_name),
        T(test_store__pages_of_names),
        T(test_faults__of_the_agent),
        T(test_faults__half_a_key),
        T(test_faults__a_wrong_variable),
        T(test_faults__stand_in_the_log),
        T(test_process__the_agent_comes_back),
        T(test_process__a_helper),
        T(test_process__fork),
        T(test_process__threads_with_one_key),
        T(test_process__is_unloaded_and_loaded_again),
        T(test_process__a_key_outlives_the_unloading),
        T(test_provider__tells_what_it_is),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
