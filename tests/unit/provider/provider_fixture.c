/* SPDX-License-Identifier: MIT */
#include "provider_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/x509.h>

#include "module_fixture.h"

struct openssl ssl;

void providers_load(const char *first, const char *second)
{
    const char *folder = getenv("CHANCERY_TEST_PROVIDERS"); /* checksrc: a test's own variable */
    ssl.ours = OSSL_LIB_CTX_new();
    ssl.others = OSSL_LIB_CTX_new();
    assert_non_null(ssl.ours);
    assert_non_null(ssl.others);
    assert_true(OSSL_PROVIDER_set_default_search_path(ssl.ours, folder));
    ssl.providers[0] = OSSL_PROVIDER_load(ssl.ours, first);
    ssl.providers[1] = OSSL_PROVIDER_load(ssl.ours, second);
    assert_non_null(ssl.providers[0]);
    assert_non_null(ssl.providers[1]);
}

void providers_unload(void)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(ssl.providers); i++)
        OSSL_PROVIDER_unload(ssl.providers[i]);
    OSSL_LIB_CTX_free(ssl.ours);
    OSSL_LIB_CTX_free(ssl.others);
    ssl = (struct openssl){ 0 };
}

static OSSL_STORE_INFO *info_open(const char *uri, int kind)
{
    OSSL_STORE_INFO *info = NULL;
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, ssl.ours, NULL, NULL, NULL, NULL, NULL, NULL);
    if (store != NULL && OSSL_STORE_expect(store, kind))
        while (info == NULL && !OSSL_STORE_eof(store) && !OSSL_STORE_error(store))
            info = OSSL_STORE_load(store);
    OSSL_STORE_close(store);
    return info;
}

EVP_PKEY *key_open(const char *uri)
{
    OSSL_STORE_INFO *info = info_open(uri, OSSL_STORE_INFO_PKEY);
    EVP_PKEY *key = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;
    OSSL_STORE_INFO_free(info);
    return key;
}

EVP_PKEY *public_open(const char *uri)
{
    OSSL_STORE_INFO *info = info_open(uri, OSSL_STORE_INFO_PUBKEY);
    EVP_PKEY *key = info != NULL ? OSSL_STORE_INFO_get1_PUBKEY(info) : NULL;
    OSSL_STORE_INFO_free(info);
    return key;
}

X509 *certificate_open(const char *uri)
{
    OSSL_STORE_INFO *info = info_open(uri, OSSL_STORE_INFO_CERT);
    X509 *certificate = info != NULL ? OSSL_STORE_INFO_get1_CERT(info) : NULL;
    OSSL_STORE_INFO_free(info);
    return certificate;
}

size_t objects_count(const char *uri)
{
    size_t n = 0;
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, ssl.ours, NULL, NULL, NULL, NULL, NULL, NULL);
    while (store != NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        n += info != NULL;
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return n;
}

static bool pss_set(EVP_PKEY_CTX *c)
{
    return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) > 0;
}

bool sign_with_key(EVP_PKEY *key, const char *digest, bool is_pss, struct chy_bytes message,
                   struct made *ret_made)
{
    EVP_PKEY_CTX *c = NULL;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    *ret_made = (struct made){ .n = sizeof ret_made->bytes };
    bool is_done = md != NULL &&
                   EVP_DigestSignInit_ex(md, &c, digest, ssl.ours, NULL, key, NULL) > 0 &&
                   (!is_pss || pss_set(c)) &&
                   EVP_DigestSign(md, ret_made->bytes, &ret_made->n, message.p, message.n) > 0;
    EVP_MD_CTX_free(md);
    return is_done;
}

static EVP_PKEY *others_key(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    const unsigned char *at = der;
    EVP_PKEY *theirs = n > 0 ? d2i_PUBKEY_ex(NULL, &at, n, ssl.others, NULL) : NULL;
    OPENSSL_free(der);
    return theirs;
}

bool is_good_for_others(EVP_PKEY *key, const char *digest, bool is_pss, struct chy_bytes message,
                        const struct made *made)
{
    EVP_PKEY_CTX *c = NULL;
    EVP_PKEY *theirs = others_key(key);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_non_null(theirs);
    bool is_good = EVP_DigestVerifyInit_ex(md, &c, digest, ssl.others, NULL, theirs, NULL) > 0 &&
                   (!is_pss || pss_set(c)) &&
                   EVP_DigestVerify(md, made->bytes, made->n, message.p, message.n) > 0;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(theirs);
    return is_good;
}

int last_reason(const char **ret_text)
{
    static char text[512];
    const char *data = "";
    int flags = 0;
    unsigned long code = ERR_peek_last_error_data(&data, &flags);
    const char *library = code != 0 ? ERR_lib_error_string(code) : NULL;
    snprintf(text, sizeof text, "%s", data);
    if (ret_text != NULL)
        *ret_text = text;
    int reason = library != NULL && strcmp(library, "chancery") == 0 ? ERR_GET_REASON(code) : 0;
    ERR_clear_error();
    return -reason;
}
