/* SPDX-License-Identifier: MIT */
/* Private keys that are files: of TLS servers and of clients. Signing keys, the log's key and the
 * CAs' keys are never here; they are in tokens. One thread at a time. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "crypto/pubkey.h"
#include "crypto/tbs.h"
#include "proto/types.h"

struct chy_buf;
struct chy_privkey;
struct chy_secret;

/* A new P-256 key. */
CHY_MUST_USE enum chy_err chy_privkey_generate(struct chy_privkey **ret_key, struct chy_error *err);
/* From PEM, PKCS#8 or the older forms, not encrypted.
 * Errors: CHY_E_MALFORMED    no such key, or an encrypted one
 *         CHY_E_UNSUPPORTED  a kind that enum chy_key_type has not */
CHY_MUST_USE enum chy_err chy_privkey_from_pem(const struct chy_secret *pem,
                                               struct chy_privkey **ret_key, struct chy_error *err);
/* PKCS#8 in PEM; the caller frees the secret. */
CHY_MUST_USE enum chy_err chy_privkey_to_pem(const struct chy_privkey *k,
                                             struct chy_secret **ret_pem, struct chy_error *err);
void chy_privkey_free(struct chy_privkey *k);
void chy_privkey_freep(struct chy_privkey **k);

/* Its public half, which lives as long as the key. */
const struct chy_pubkey *chy_privkey_public(const struct chy_privkey *k);

/* Append the signature over a message, in the form that tokens give (raw for ECDSA).
 * Errors: CHY_E_ARG  the algorithm does not fit the key, or is rsa-pkcs1-raw, which nobody needs
 *         here; CHY_E_CRYPTO, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_privkey_sign(const struct chy_privkey *k, enum chy_sign_alg alg,
                                           struct chy_bytes message, struct chy_buf *out,
                                           struct chy_error *err);

/* Append a self-signed certificate of the profile CHY_CERT_TLS_SERVER, as DER: `request` with its
 * spki and alg filled in here. Errors as chy_tbs_certificate(). */
CHY_MUST_USE enum chy_err chy_privkey_self_signed(const struct chy_privkey *k,
                                                  const struct chy_cert_request *request,
                                                  struct chy_buf *out, struct chy_error *err);
/* Append a certificate request of this key, as DER. Errors as chy_tbs_csr(). */
CHY_MUST_USE enum chy_err chy_privkey_csr(const struct chy_privkey *k, struct chy_str subject,
                                          const struct chy_str *sans, size_t n_sans,
                                          struct chy_buf *out, struct chy_error *err);
