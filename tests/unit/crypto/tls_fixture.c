/* SPDX-License-Identifier: MIT */
#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/secret.h"

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

struct tls_identity tls_identity_new(enum tls_identity_kind kind, const char *name,
                                     const struct tls_identity *issuer, long from_s, long until_s)
{
    static long serial = 1;
    struct tls_identity id = { X509_new(), EVP_EC_gen("P-256") };
    assert_non_null(id.certificate);
    assert_non_null(id.key);
    X509 *x = id.certificate;
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), until_s));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    X509_NAME *by = X509_get_subject_name(issuer != NULL ? issuer->certificate : x);
    assert_int_equal(X509_set_issuer_name(x, by), 1);
    assert_int_equal(X509_set_pubkey(x, id.key), 1);
    if (kind == TLS_IDENTITY_CA) {
        add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(x, NID_key_usage, "critical,keyCertSign");
    } else {
        add_extension(x, NID_ext_key_usage,
                      kind == TLS_IDENTITY_CLIENT ? "clientAuth" : "serverAuth");
    }
    assert_true(X509_sign(x, issuer != NULL ? issuer->key : id.key, EVP_sha256()) > 0);
    return id;
}

void tls_identity_done(struct tls_identity *id)
{
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
    *id = (struct tls_identity){ 0 };
}

struct chy_secret *tls_fixture_key_pem(const struct tls_identity *id)
{
    BIO *out = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(out, id->key, NULL, NULL, 0, NULL, NULL), 1);
    char *text = NULL;
    long n = BIO_get_mem_data(out, &text);
    struct chy_secret *secret = NULL;
    assert_int_equal(chy_secret_new((size_t)n, &secret, NULL), CHY_OK);
    memcpy(chy_secret_room(secret), text, (size_t)n);
    chy_secret_set_len(secret, (size_t)n);
    BIO_free(out);
    return secret;
}

struct chy_bytes tls_fixture_chain_pem(const struct tls_identity *id)
{
    BIO *out = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(out, id->certificate), 1);
    char *text = NULL;
    long n = BIO_get_mem_data(out, &text);
    struct chy_bytes pem = { OPENSSL_memdup(text, (size_t)n), (size_t)n };
    assert_non_null(pem.p);
    BIO_free(out);
    return pem;
}

struct chy_tls_server *tls_fixture_server(const struct tls_identity *server,
                                          const struct tls_identity *client_ca, bool has_http2)
{
    struct chy_secret *key = tls_fixture_key_pem(server);
    struct chy_bytes chain = tls_fixture_chain_pem(server);
    unsigned char *der = NULL;
    struct chy_bytes ca = { 0 };
    if (client_ca != NULL) {
        int n = i2d_X509(client_ca->certificate, &der);
        assert_true(n > 0);
        ca = (struct chy_bytes){ der, (size_t)n };
    }
    struct chy_tls_settings settings = {
        .chain_pem = chain,
        .key_pem = key,
        .client_cas = &ca,
        .client_ca_count = client_ca != NULL ? 1 : 0,
        .has_http2 = has_http2,
    };
    struct chy_tls_server *s = NULL;
    struct chy_error err = { 0 };
    if (chy_tls_server_new(&settings, &s, &err) != CHY_OK)
        fail_msg("%s", err.text);
    OPENSSL_free(der);
    OPENSSL_free((void *)(uintptr_t)chain.p);
    chy_secret_free(key);
    return s;
}

static SSL_SESSION *last_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(last_session);
    last_session = session;
    return 1;
}

SSL_SESSION *tls_fixture_take_session(void)
{
    SSL_SESSION *s = last_session;
    last_session = NULL;
    return s;
}

SSL *tls_fixture_client(int fd, const struct tls_identity *identity, const char *alpn,
                        SSL_SESSION *session, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    if (identity != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(ctx, identity->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(ctx, identity->key), 1);
    }
    if (alpn != NULL)
        assert_int_equal(
            SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn, (unsigned int)strlen(alpn)),
            0);
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    SSL_CTX_free(ctx);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    if (session != NULL)
        assert_int_equal(SSL_set_session(ssl, session), 1);
    SSL_set_connect_state(ssl);
    return ssl;
}

void tls_fixture_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}
