/* SPDX-License-Identifier: MIT */
/* HTTPS requests of a client, one at a time, over a connection that is kept open. TLS 1.3 only, no
 * redirects, no cookies, no other protocols, but for services whose answers are signed. HTTPS_PROXY
 * of the environment is used when it is set.
 *
 * A server is trusted by the pin of its public key (then names and chains do not matter), by a CA
 * file, or by the system's CAs. Not shared between threads. SIGPIPE must be ignored. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/secret.h"

struct chy_http_client;

#define CHY_HTTP_PIN_CHARS 44

struct chy_http_client_options {
    const char *user_agent;
    const char *pin;     /* base 64 of the SHA-256 of SubjectPublicKeyInfo; NULL: none */
    const char *ca_file; /* PEM; NULL: the system's, unless there is a pin */
    /* Who we are: PEM of the private key and of its certificate with chain. Both or none. They are
     * borrowed and must live as long as the client. */
    const struct chy_secret *key_pem;
    struct chy_bytes certificate_pem;
    /* Others run the service, and its answers prove themselves, as time stamps do: HTTP without TLS
     * and TLS 1.2 are taken too. */
    bool is_self_proving;
};

/* Errors: CHY_E_NOMEM; CHY_E_ARG the pin has another length; CHY_E_UNSUPPORTED the library cannot
 * do what we need */
CHY_MUST_USE enum chy_err chy_http_client_new(const struct chy_http_client_options *options,
                                              struct chy_http_client **ret_client,
                                              struct chy_error *err);
void chy_http_client_free(struct chy_http_client *c);
void chy_http_client_freep(struct chy_http_client **c);

struct chy_http_exchange {
    /* What is asked. Texts are NUL-terminated. */
    const char *method;
    const char *url;
    struct chy_str accept;           /* a literal of the caller; may be empty */
    const struct chy_secret *bearer; /* API token; NULL: none */
    bool has_body;
    struct chy_bytes body;
    struct chy_str body_type; /* a literal of the caller; empty: application/json */
    unsigned api_version;     /* goes into Chancery-Api; 0: it does not */
    int64_t timeout_ms;       /* of all together */
    /* What came back. `answer` is made by the caller; its maximum is the body's. */
    struct chy_buf *answer;
    unsigned status;
    char content_type[64];  /* without parameters, lower case; "" when absent or too long */
    char request_id[40];    /* Chancery-Request-Id; "" when absent */
    uint32_t retry_after_s; /* 0 when absent or no number */
    bool is_unsent;         /* of a failure: nothing of the request had been sent */
};

/* CHY_OK when there is an answer, whatever its status.
 * Errors: CHY_E_NETWORK   no connection, or it broke
 *         CHY_E_TIMEOUT   the time was over
 *         CHY_E_INTEGRITY the server is not the one of the pin or of the CA
 *         CHY_E_LIMIT     the answer is longer than `answer` may grow
 *         CHY_E_PROTOCOL  no TLS 1.3, or no HTTP; CHY_E_ARG the URL; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_http_client_do(struct chy_http_client *c,
                                             struct chy_http_exchange *exchange,
                                             struct chy_error *err);
