/* SPDX-License-Identifier: MIT */
/* A signature under way: how it is made, and the message so far. A short message is kept, so that
 * the agent hashes it and the server may see it; one past CHY_LIMIT_CONTENT is hashed here. Not
 * shared. */
#pragma once

#include <stdbool.h>

#include <openssl/core.h>
#include <openssl/types.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/door.h"
#include "provider/key.h"
#include "provider/provider.h"

#define CHY_PROV_SALT_AS_DIGEST (-1)

struct chy_prov_signing {
    enum chy_door_scheme scheme;
    enum chy_hash_alg hash; /* CHY_HASH_NONE: not told */
    enum chy_hash_alg mgf1; /* of PSS; CHY_HASH_NONE: as `hash` */
    int salt_bytes;         /* of PSS, or CHY_PROV_SALT_AS_DIGEST */
    bool is_message;        /* what is added is to be hashed */
    struct chy_buf data;
    EVP_MD_CTX *md; /* NULL: all is in `data` */
};

/* By the kind of the key; nothing is added yet. */
void chy_prov_signing_init(struct chy_prov_signing *s, enum chy_prov_kind kind);
void chy_prov_signing_done(struct chy_prov_signing *s); /* leaves it zeroed */
/* Errors: CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_prov_signing_copy(const struct chy_prov_signing *from,
                                                struct chy_prov_signing *ret_to,
                                                struct chy_error *err);
/* More of the message, or the digest. Errors: CHY_E_LIMIT  Ed25519 signs no more than
 * CHY_LIMIT_CONTENT bytes; CHY_E_ARG  nor is anything longer a digest; CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_prov_signing_add(struct chy_prov_signing *s,
                                               const struct chy_prov *prov, struct chy_bytes part,
                                               struct chy_error *err);
/* Sign what was added, with a key of the server; appended to `out` in OpenSSL's form (ECDSA: DER).
 * Errors: CHY_E_UNSUPPORTED  a padding, salt or mask that the server does not make
 *         CHY_E_ARG          data that is no digest, or a digest whose name is missing
 *         CHY_E_DENIED       refused by policy
 *         CHY_E_PROTOCOL     the agent gave what is no signature
 *         CHY_E_CRYPTO; of chy_prov_ask_sign() */
CHY_MUST_USE enum chy_err chy_prov_signing_end(struct chy_prov_signing *s,
                                               const struct chy_prov_key *key, struct chy_buf *out,
                                               struct chy_error *err);

/* The hash that OpenSSL calls so. Errors: CHY_E_UNSUPPORTED */
CHY_MUST_USE enum chy_err chy_prov_hash_of(const char *name, enum chy_hash_alg *ret_hash,
                                           struct chy_error *err);
const char *chy_prov_hash_name(enum chy_hash_alg hash); /* "" for CHY_HASH_NONE */

/* What OpenSSL may set of a signature, and ask. RSA's paddings are in sign_rsa.c.
 * Errors: CHY_E_UNSUPPORTED a value that cannot be; CHY_E_ARG of the wrong type */
CHY_MUST_USE enum chy_err chy_prov_rsa_set(struct chy_prov_signing *s, const OSSL_PARAM params[],
                                           struct chy_error *err);
bool chy_prov_rsa_get(const struct chy_prov_signing *s, OSSL_PARAM params[]);
