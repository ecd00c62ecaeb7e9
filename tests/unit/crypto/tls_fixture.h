/* SPDX-License-Identifier: MIT */
/* Certificates made on the spot and a TLS client at the other end of a socket pair, for the tests
 * of src/crypto/tls.h and of the front process. Failures end the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/bytes.h"
#include "crypto/tls.h"

struct tls_identity {
    X509 *certificate;
    EVP_PKEY *key;
};

enum tls_identity_kind {
    TLS_IDENTITY_CA,
    TLS_IDENTITY_SERVER,
    TLS_IDENTITY_CLIENT,
};

/* `issuer` NULL: self-signed. The times are seconds from now. */
struct tls_identity tls_identity_new(enum tls_identity_kind kind, const char *name,
                                     const struct tls_identity *issuer, long from_s, long until_s);
void tls_identity_done(struct tls_identity *id);

/* A server with `server` as its own certificate. `client_ca` may be NULL. */
struct chy_tls_server *tls_fixture_server(const struct tls_identity *server,
                                          const struct tls_identity *client_ca, bool has_http2);
struct chy_secret *tls_fixture_key_pem(const struct tls_identity *id);
/* PEM in memory of the library: free with OPENSSL_free(). */
struct chy_bytes tls_fixture_chain_pem(const struct tls_identity *id);

/* A client on `fd`, non-blocking. `identity`, `alpn` (wire form) and `session` may be NULL. */
SSL *tls_fixture_client(int fd, const struct tls_identity *identity, const char *alpn,
                        SSL_SESSION *session, int max_version);
/* The ticket of the last connection, or NULL; the caller's. */
SSL_SESSION *tls_fixture_take_session(void);
/* Both ends of a new socket pair, non-blocking. */
void tls_fixture_pair(int fds[2]);
