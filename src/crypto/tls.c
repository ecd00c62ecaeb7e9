/* SPDX-License-Identifier: MIT */
#include "crypto/tls.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/openssl.h"

#define TICKET_LIFE_S \
    3600 /* how long a session may be resumed: short beside a certificate's life */
#define CLIENT_CHAIN_DEPTH 2 /* certificates between a client's and a CA of ours */

struct chy_tls_server {
    SSL_CTX *ctx;
    int64_t not_after_us;
};

struct chy_tls_conn {
    SSL *ssl;
    struct chy_tls_peer peer;
};

static int64_t asn1_time_us(const ASN1_TIME *t)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return 0; /* 1970: whatever it is, it is over */
    return (int64_t)timegm(&tm) * 1000000;
}

/* An encrypted key is an error; without this the library would ask at the terminal. */
static int refuse_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static enum chy_err use_chain(struct chy_tls_server *s, struct chy_bytes pem, struct chy_error *err)
{
    CHY_CLEANUP(chy_bio_freep)
    BIO *in = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (in == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the TLS certificate");
    for (size_t count = 0;; count++) {
        CHY_CLEANUP(chy_x509_freep) X509 *x = PEM_read_bio_X509(in, NULL, refuse_passphrase, NULL);
        if (x == NULL && count > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
            break;
        if (x == NULL)
            return chy_fail_openssl(err, CHY_E_MALFORMED, "the TLS certificate is not PEM");
        if (count == CHY_LIMIT_CHAIN)
            return chy_fail(err, CHY_E_LIMIT, "the TLS chain has more than %d certificates",
                            CHY_LIMIT_CHAIN);
        if (count == 0)
            s->not_after_us = asn1_time_us(X509_get0_notAfter(x));
        long ok =
            count == 0 ? SSL_CTX_use_certificate(s->ctx, x) : SSL_CTX_add1_chain_cert(s->ctx, x);
        if (ok != 1)
            return chy_fail_openssl(err, CHY_E_CRYPTO, "the TLS certificate cannot be used");
    }
    ERR_clear_error();
    return CHY_OK;
}

static enum chy_err use_key(struct chy_tls_server *s, const struct chy_secret *pem,
                            struct chy_error *err)
{
    struct chy_bytes text = chy_secret_bytes(pem);
    CHY_CLEANUP(chy_bio_freep)
    BIO *in = BIO_new_mem_buf(text.p, (int)text.n); /* CHY_LIMIT_SECRET */
    if (in == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the TLS key");
    CHY_CLEANUP(chy_evp_pkey_freep)
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, refuse_passphrase, NULL);
    if (key == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "the TLS key is not an unencrypted PEM key");
    if (SSL_CTX_use_PrivateKey(s->ctx, key) != 1 || SSL_CTX_check_private_key(s->ctx) != 1)
        return chy_fail_openssl(err, CHY_E_ARG, "the TLS key does not belong to the certificate");
    return CHY_OK;
}

/* Verify, remember the verdict, let the handshake go on. The library stores the verdict with the
 * session, so that it comes back on resumption (SSL_get_verify_result). */
static int verify_but_go_on(X509_STORE_CTX *store, void *ctx)
{
    (void)ctx;
    int ok = X509_verify_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    bool is_time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
    if (ok != 1 && (error == X509_V_OK || (is_time && X509_STORE_CTX_get_error_depth(store) > 0)))
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED); /* "expired" is for its own time */
    ERR_clear_error();
    return 1;
}

static enum chy_err use_client_cas(struct chy_tls_server *s,
                                   const struct chy_tls_settings *settings, struct chy_error *err)
{
    if (settings->client_ca_count == 0)
        return CHY_OK;
    X509_STORE *store = SSL_CTX_get_cert_store(s->ctx); /* borrowed */
    for (size_t i = 0; i < settings->client_ca_count; i++) {
        struct chy_bytes der = settings->client_cas[i];
        const unsigned char *at = der.p;
        CHY_CLEANUP(chy_x509_freep)
        X509 *ca = der.n <= CHY_LIMIT_CERTIFICATE ? d2i_X509(NULL, &at, (long)der.n) : NULL;
        if (ca == NULL || at != der.p + der.n)
            return chy_fail(err, CHY_E_MALFORMED, "a client CA is not one DER certificate");
        if (X509_STORE_add_cert(store, ca) != 1 || SSL_CTX_add_client_CA(s->ctx, ca) != 1)
            return chy_fail_openssl(err, CHY_E_CRYPTO, "a client CA cannot be used");
    }
    /* A CA that we were given is trusted by itself, also when another one has issued it. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(s->ctx), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(s->ctx, CLIENT_CHAIN_DEPTH);
    SSL_CTX_set_cert_verify_callback(s->ctx, verify_but_go_on, NULL);
    return CHY_OK;
}

/* Without a name in common the handshake ends (RFC 7301 section 3.2). The contexts' callbacks have
 * no context of their own, so that a connection may outlive its server. */
static int select_of(const char *ours, const unsigned char **out, unsigned char *out_n,
                     const unsigned char *in, unsigned int in_n)
{
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, out_n, (const unsigned char *)ours,
                                      (unsigned int)strlen(ours), in, in_n);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int select_http2(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                        const unsigned char *in, unsigned int in_n, void *ctx)
{
    (void)ssl;
    (void)ctx;
    return select_of("\x02h2\x08http/1.1", out, out_n, in, in_n);
}

static int select_http1(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                        const unsigned char *in, unsigned int in_n, void *ctx)
{
    (void)ssl;
    (void)ctx;
    return select_of("\x08http/1.1", out, out_n, in, in_n);
}

static bool set_protocol(struct chy_tls_server *s, bool has_http2)
{
    static const unsigned char session_context[] = "chancery";
    char groups[] = "X25519:P-256"; /* OpenSSL's macro casts a const away */
    SSL_CTX_set_options(s->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(s->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(s->ctx, 1); /* one read for a record instead of two */
    SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF); /* tickets hold the state */
    SSL_CTX_set_timeout(s->ctx, TICKET_LIFE_S);
    SSL_CTX_set_alpn_select_cb(s->ctx, has_http2 ? select_http2 : select_http1, NULL);
    return SSL_CTX_set_min_proto_version(s->ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(s->ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set1_groups_list(s->ctx, groups) == 1 &&
           SSL_CTX_set_num_tickets(s->ctx, 1) == 1 &&
           SSL_CTX_set_max_early_data(s->ctx, 0) == 1 && /* early data can be replayed */
           SSL_CTX_set_session_id_context(s->ctx, session_context, sizeof session_context - 1) == 1;
}

enum chy_err chy_tls_server_new(const struct chy_tls_settings *settings,
                                struct chy_tls_server **ret_server, struct chy_error *err)
{
    /* No openssl.cnf: a file of the machine must not change what we speak, nor be opened in a
     * sandbox. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "TLS cannot be set up");
    CHY_CLEANUP(chy_tls_server_freep) struct chy_tls_server *s = chy_new(struct chy_tls_server);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for a TLS server");
    s->ctx = SSL_CTX_new(TLS_server_method());
    if (s->ctx == NULL || !set_protocol(s, settings->has_http2))
        return chy_fail_openssl(err, CHY_E_CRYPTO, "TLS 1.3 cannot be set up");
    CHY_TRY(use_chain(s, settings->chain_pem, err));
    CHY_TRY(use_key(s, settings->key_pem, err));
    CHY_TRY(use_client_cas(s, settings, err));
    *ret_server = CHY_TAKE(s);
    return CHY_OK;
}

void chy_tls_server_free(struct chy_tls_server *s)
{
    if (s == NULL)
        return;
    SSL_CTX_free(s->ctx); /* connections hold references of their own */
    chy_free(s);
}

void chy_tls_server_freep(struct chy_tls_server **s)
{
    chy_tls_server_free(*s);
}

int64_t chy_tls_server_not_after_us(const struct chy_tls_server *s)
{
    return s->not_after_us;
}

enum chy_err chy_tls_conn_new(struct chy_tls_server *s, int fd, struct chy_tls_conn **ret_conn,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_tls_conn_freep) struct chy_tls_conn *c = chy_new(struct chy_tls_conn);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for a TLS connection");
    c->ssl = SSL_new(s->ctx);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "a TLS connection cannot be made");
    SSL_set_accept_state(c->ssl);
    *ret_conn = CHY_TAKE(c);
    return CHY_OK;
}

void chy_tls_conn_free(struct chy_tls_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    chy_free(c);
}

void chy_tls_conn_freep(struct chy_tls_conn **c)
{
    chy_tls_conn_free(*c);
}

/* What the library's answer to an operation that did not succeed means. */
static enum chy_err want_of(struct chy_tls_conn *c, int answer, enum chy_tls_want *ret_want,
                            struct chy_error *err)
{
    switch (SSL_get_error(c->ssl, answer)) {
    case SSL_ERROR_WANT_READ:
        *ret_want = CHY_TLS_WANT_READ;
        return CHY_OK;
    case SSL_ERROR_WANT_WRITE:
        *ret_want = CHY_TLS_WANT_WRITE;
        return CHY_OK;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL: /* reset, or gone without a word */
        ERR_clear_error();
        *ret_want = CHY_TLS_WANT_CLOSE;
        return CHY_OK;
    default:
        if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            *ret_want = CHY_TLS_WANT_CLOSE;
            return CHY_OK;
        }
        return chy_fail_openssl(err, CHY_E_PROTOCOL, "TLS broke off");
    }
}

static enum chy_tls_peer_state state_of_verdict(long verdict)
{
    switch (verdict) {
    case X509_V_OK:
        return CHY_TLS_PEER_VALID;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return CHY_TLS_PEER_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CHY_TLS_PEER_NOT_YET;
    default:
        return CHY_TLS_PEER_FOREIGN;
    }
}

static enum chy_err note_peer(struct chy_tls_conn *c, struct chy_error *err)
{
    const X509 *x = SSL_get0_peer_certificate(c->ssl);
    if (x == NULL)
        return CHY_OK;
    unsigned int n = 0;
    if (X509_digest(x, EVP_sha256(), c->peer.sha256, &n) != 1 || n != sizeof c->peer.sha256)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "a client's certificate cannot be hashed");
    c->peer.not_before_us = asn1_time_us(X509_get0_notBefore(x));
    c->peer.not_after_us = asn1_time_us(X509_get0_notAfter(x));
    c->peer.state = state_of_verdict(SSL_get_verify_result(c->ssl));
    return CHY_OK;
}

enum chy_err chy_tls_handshake(struct chy_tls_conn *c, enum chy_tls_want *ret_want,
                               struct chy_error *err)
{
    ERR_clear_error();
    int answer = SSL_do_handshake(c->ssl);
    if (answer != 1)
        return want_of(c, answer, ret_want, err);
    CHY_TRY(note_peer(c, err));
    *ret_want = CHY_TLS_WANT_NOTHING;
    return CHY_OK;
}

enum chy_err chy_tls_read(struct chy_tls_conn *c, uint8_t *to, size_t n, size_t *ret_n,
                          enum chy_tls_want *ret_want, struct chy_error *err)
{
    ERR_clear_error();
    *ret_n = 0;
    int answer = SSL_read_ex(c->ssl, to, n, ret_n);
    if (answer != 1)
        return want_of(c, answer, ret_want, err);
    *ret_want = CHY_TLS_WANT_NOTHING;
    return CHY_OK;
}

bool chy_tls_has_more(const struct chy_tls_conn *c)
{
    return SSL_has_pending(c->ssl) == 1;
}

enum chy_err chy_tls_write(struct chy_tls_conn *c, struct chy_bytes from, size_t *ret_n,
                           enum chy_tls_want *ret_want, struct chy_error *err)
{
    ERR_clear_error();
    *ret_n = 0;
    *ret_want = CHY_TLS_WANT_NOTHING;
    if (from.n == 0)
        return CHY_OK;
    int answer = SSL_write_ex(c->ssl, from.p, from.n, ret_n);
    return answer == 1 ? CHY_OK : want_of(c, answer, ret_want, err);
}

void chy_tls_close(struct chy_tls_conn *c)
{
    ERR_clear_error();
    if (SSL_is_init_finished(c->ssl))
        CHY_IGNORE(SSL_shutdown(c->ssl)); /* best effort: the peer may be gone */
    ERR_clear_error();
}

bool chy_tls_is_http2(const struct chy_tls_conn *c)
{
    const unsigned char *name = NULL;
    unsigned int n = 0;
    SSL_get0_alpn_selected(c->ssl, &name, &n);
    return chy_str_equal_c((struct chy_str){ (const char *)name, n }, "h2");
}

bool chy_tls_is_resumed(const struct chy_tls_conn *c)
{
    return SSL_session_reused(c->ssl) == 1;
}

const struct chy_tls_peer *chy_tls_peer(const struct chy_tls_conn *c)
{
    return &c->peer;
}

enum chy_tls_peer_state chy_tls_peer_state_at(const struct chy_tls_peer *peer, int64_t now_us)
{
    if (peer->state != CHY_TLS_PEER_VALID)
        return peer->state;
    if (now_us > peer->not_after_us)
        return CHY_TLS_PEER_EXPIRED;
    return now_us < peer->not_before_us ? CHY_TLS_PEER_NOT_YET : CHY_TLS_PEER_VALID;
}
