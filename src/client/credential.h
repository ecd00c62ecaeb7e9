/* SPDX-License-Identifier: MIT */
/* The client certificate with its private key, in one file of mode 0600 so that the pair is
 * replaced in one
 * step: PEM of the key (PKCS#8), then of the certificate and the client CA. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_privkey;

/* A new P-256 key and a certificate request of it, PEM, appended to `csr`. The server decides whose
 * certificate it becomes; the request's subject says nothing.
 * Errors: CHY_E_CRYPTO, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_credential_make(struct chy_privkey **ret_key, struct chy_buf *csr,
                                              struct chy_error *err);

/* A request of the key that a credential file holds: a certificate is renewed for its own key.
 * Errors: of reading a secret file; CHY_E_MALFORMED, CHY_E_UNSUPPORTED no such key in it;
 *         CHY_E_CRYPTO, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_credential_again(const char *path, struct chy_privkey **ret_key,
                                               struct chy_buf *csr, struct chy_error *err);

/* Check that the certificate, the first of the PEM texts, is of this key, and write both.
 * Errors: CHY_E_PROTOCOL  the server answered with no certificate, or one of another key
 *         of writing a file; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_credential_write(const char *path, const struct chy_privkey *key,
                                               struct chy_str certificate_pem,
                                               struct chy_error *err);

struct chy_credential_times {
    int64_t not_before_us;
    int64_t not_after_us;
};
/* Errors: of reading a secret file; CHY_E_STATE there is no certificate in it; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_credential_times(const char *path,
                                               struct chy_credential_times *ret_times,
                                               struct chy_error *err);
/* Less than a third of its life is left. */
bool chy_credential_is_due(const struct chy_credential_times *times, int64_t now_us);
