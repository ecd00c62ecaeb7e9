/* SPDX-License-Identifier: MIT */
/* Keys of every kind for the tests, made by OpenSSL itself. */
#pragma once

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
void fixture_keys_free(void);
