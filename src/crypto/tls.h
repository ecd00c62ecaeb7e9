/* SPDX-License-Identifier: MIT */
/* The server's side of TLS 1.3 over a non-blocking socket, with client certificates that are asked
 * for but not demanded.
 *
 * A certificate that is expired, foreign or not for clients does not break the handshake: an alert
 * tells its owner nothing. The connection goes on, chy_tls_peer says what is wrong with it, and
 * whoever answers requests refuses with a reason. CHY_TLS_PEER_VALID alone means "verified".
 *
 * A server's settings are immutable: for a new certificate make a new server and free the old one;
 * connections keep what they started with. Session tickets resume only at the server that made
 * them, so a changed client CA also ends old tickets. Not shared between threads. SIGPIPE must be
 * ignored. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_secret;
struct chy_tls_server;
struct chy_tls_conn;

struct chy_tls_settings {
    struct chy_bytes chain_pem; /* certificates, the server's own first, at most CHY_LIMIT_CHAIN */
    const struct chy_secret *key_pem;   /* its private key, not encrypted */
    const struct chy_bytes *client_cas; /* DER; who may have issued clients' certificates */
    size_t client_ca_count;             /* 0: clients are not asked for one */
    bool has_http2;                     /* offer "h2" before "http/1.1" */
};

enum chy_tls_want {
    CHY_TLS_WANT_NOTHING, /* done */
    CHY_TLS_WANT_READ,    /* call again when the socket can be read */
    CHY_TLS_WANT_WRITE,   /* call again when the socket can be written */
    CHY_TLS_WANT_CLOSE,   /* the peer has closed, in order or not */
};

enum chy_tls_peer_state {
    CHY_TLS_PEER_NONE = 0, /* no certificate */
    CHY_TLS_PEER_FOREIGN,  /* not from our CAs, not for clients, or broken */
    CHY_TLS_PEER_NOT_YET,  /* its time has not come */
    CHY_TLS_PEER_EXPIRED,
    CHY_TLS_PEER_VALID,
};

struct chy_tls_peer {
    enum chy_tls_peer_state state; /* at the handshake: ask chy_tls_peer_state_at() for now */
    uint8_t sha256[32];            /* of the certificate's DER */
    int64_t not_before_us;
    int64_t not_after_us;
};

/* Errors: CHY_E_MALFORMED  no certificate or key in the text, or an encrypted key
 *         CHY_E_LIMIT      over CHY_LIMIT_CHAIN certificates
 *         CHY_E_ARG        certificate and key do not belong together
 *         CHY_E_CRYPTO     the library refused, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_tls_server_new(const struct chy_tls_settings *settings,
                                             struct chy_tls_server **ret_server,
                                             struct chy_error *err);
void chy_tls_server_free(struct chy_tls_server *s);
void chy_tls_server_freep(struct chy_tls_server **s);
/* When the server's own certificate ends, microseconds since 1970. */
int64_t chy_tls_server_not_after_us(const struct chy_tls_server *s);

/* `fd` is borrowed, connected and non-blocking. Errors: CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_tls_conn_new(struct chy_tls_server *s, int fd,
                                           struct chy_tls_conn **ret_conn, struct chy_error *err);
void chy_tls_conn_free(struct chy_tls_conn *c);
void chy_tls_conn_freep(struct chy_tls_conn **c);

/* One step of the handshake. CHY_OK with WANT_NOTHING: it is complete.
 * Errors: CHY_E_PROTOCOL  not TLS 1.3, nothing in common, a broken message */
CHY_MUST_USE enum chy_err chy_tls_handshake(struct chy_tls_conn *c, enum chy_tls_want *ret_want,
                                            struct chy_error *err);

/* Read at most `n` bytes. WANT_NOTHING: `ret_n` bytes came, and there may be more at once if
 * chy_tls_has_more(). Other wants: none came. Errors: CHY_E_PROTOCOL */
CHY_MUST_USE enum chy_err chy_tls_read(struct chy_tls_conn *c, uint8_t *to, size_t n, size_t *ret_n,
                                       enum chy_tls_want *ret_want, struct chy_error *err);
bool chy_tls_has_more(const struct chy_tls_conn *c);

/* Write the first `ret_n` bytes of `from`, perhaps not all; 0 when something else is wanted first.
 * What
 * was not written is given again later, from any address. Errors: CHY_E_PROTOCOL */
CHY_MUST_USE enum chy_err chy_tls_write(struct chy_tls_conn *c, struct chy_bytes from,
                                        size_t *ret_n, enum chy_tls_want *ret_want,
                                        struct chy_error *err);
/* Tell the peer that nothing more will be sent, as far as that goes without waiting. */
void chy_tls_close(struct chy_tls_conn *c);

/* After the handshake. */
bool chy_tls_is_http2(const struct chy_tls_conn *c);
bool chy_tls_is_resumed(const struct chy_tls_conn *c);
const struct chy_tls_peer *chy_tls_peer(const struct chy_tls_conn *c);
/* A connection may outlive its certificate: to be asked at every request. */
enum chy_tls_peer_state chy_tls_peer_state_at(const struct chy_tls_peer *peer, int64_t now_us);
