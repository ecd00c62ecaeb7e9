/* SPDX-License-Identifier: MIT */
/* Keys of every kind for the tests, made by OpenSSL itself. */
#pragma once

#include <stdbool.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "crypto/privkey.h"

/* A new one, by OpenSSL's names: ("RSA", "2048"), ("EC", "P-256"), ("ED25519", NULL). The first RSA
 * keys were made with the build (make-keys). The caller frees it. */
EVP_PKEY *fixture_evp(const char *algorithm, const char *size);
/* SubjectPublicKeyInfo. */
struct chy_buf fixture_spki(EVP_PKEY *key);
/* The key as ours, by way of PEM; takes `key` over. */
struct chy_privkey *fixture_privkey(EVP_PKEY *key);
/* One of each type of enum chy_key_type; RSA-4096 is slow to make, so each is made once. */
struct chy_privkey *fixture_key_of(enum chy_key_type type);
/* Append the signature over a digest that is there already, in the server's form: DER for ECDSA.
 * For Ed25519 and rsa-pkcs1-raw it is the message. False without memory. */
bool fixture_key_sign(enum chy_key_type type, enum chy_sign_alg alg, struct chy_bytes digest,
                      struct chy_buf *out);
void fixture_keys_free(void);
