/* SPDX-License-Identifier: MIT */
/* What tests of the provider share, beside the fake agent of the module's: a library context of
 * OpenSSL that has it, and another that never heard of it, to hold its signatures against. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/types.h>

#include "base/bytes.h"

struct openssl {
    OSSL_LIB_CTX *ours;
    OSSL_LIB_CTX *others;
    OSSL_PROVIDER *providers[2]; /* of `ours` */
};

extern struct openssl ssl;

/* Load `first` and `second` into ssl.ours, in this order. */
void providers_load(const char *first, const char *second);
void providers_unload(void);

/* What a URI names, of a kind that OSSL_STORE_expect() knows; NULL: nothing. The caller's. */
EVP_PKEY *key_open(const char *uri);
EVP_PKEY *public_open(const char *uri);
X509 *certificate_open(const char *uri);
/* How many objects there are when nothing is expected. */
size_t objects_count(const char *uri);

struct made {
    uint8_t bytes[1024];
    size_t n;
};

/* All at once, with this digest (NULL: none), and RSA-PSS if `is_pss`. */
bool sign_with_key(EVP_PKEY *key, const char *digest, bool is_pss, struct chy_bytes message,
                   struct made *ret_made);
/* Whether the library that never heard of us takes it, by the public key that ours exports. */
bool is_good_for_others(EVP_PKEY *key, const char *digest, bool is_pss, struct chy_bytes message,
                        const struct made *made);
/* The reason of the last error in the queue, which is emptied: minus one of our codes; 0: none of
 * ours. Its text lies in static memory until the next call. */
int last_reason(const char **ret_text);
