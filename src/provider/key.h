/* SPDX-License-Identifier: MIT */
/* A key as OpenSSL holds it here: of the server, with its name, or a public one that OpenSSL handed
 * in to be compared. There is no private part in either. Immutable and counted: shared by threads
 * without a lock. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/core.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/door.h"

enum chy_prov_kind {
    CHY_PROV_RSA,
    CHY_PROV_EC,
    CHY_PROV_ED25519,
};

struct chy_prov_curve {
    enum chy_key_type type;
    const char *name; /* OpenSSL's */
    const char *aliases[2];
    size_t order_bytes;
    int bits;
    int security_bits;
};

struct chy_prov_key {
    atomic_size_t refs;
    enum chy_prov_kind kind;
    const struct chy_prov_curve *curve; /* of EC */
    struct chy_str name;                /* empty: not the server's */
    struct chy_bytes modulus;           /* of RSA, big-endian, no leading zero */
    struct chy_bytes exponent;          /* likewise */
    struct chy_bytes point;             /* of EC uncompressed, of Ed25519 its 32 bytes */
    uint8_t bytes[];
};

/* What OpenSSL holds of a key: made empty where it is to import one. */
struct chy_prov_keydata {
    enum chy_prov_kind kind;
    struct chy_prov_key *key; /* NULL: nothing was imported yet */
};

/* The key that the agent shows.
 * Errors: CHY_E_PROTOCOL  it lacks what its type has, or that has another length
 *         CHY_E_LIMIT     a modulus over CHY_LIMIT_P11_RSA bytes; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_prov_key_of_door(const struct chy_door_key *door,
                                               struct chy_prov_key **ret_key,
                                               struct chy_error *err);
/* Of its parts, without a name. Errors: CHY_E_ARG as CHY_E_PROTOCOL above; CHY_E_LIMIT,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_prov_key_of_rsa(struct chy_bytes modulus, struct chy_bytes exponent,
                                              struct chy_prov_key **ret_key, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_prov_key_of_point(enum chy_prov_kind kind, const char *curve,
                                                struct chy_bytes point,
                                                struct chy_prov_key **ret_key,
                                                struct chy_error *err);
struct chy_prov_key *chy_prov_key_ref(struct chy_prov_key *key);
void chy_prov_key_unref(struct chy_prov_key *key); /* NULL is a no-op */

bool chy_prov_key_equal(const struct chy_prov_key *a, const struct chy_prov_key *b);
int chy_prov_key_bits(const struct chy_prov_key *key);
int chy_prov_key_security_bits(const struct chy_prov_key *key);
/* The longest signature in OpenSSL's form, in bytes. */
size_t chy_prov_key_signature_max(const struct chy_prov_key *key);

/* Its public part as OpenSSL has it. Its numbers lie in the machine's order of bytes. */
struct chy_prov_params {
    OSSL_PARAM list[4];
    uint8_t modulus[CHY_LIMIT_P11_RSA];
    uint8_t exponent[CHY_LIMIT_P11_RSA];
};

/* `params` is filled and borrows from the key; with `is_whole` unset it is the curve alone. */
void chy_prov_params_of(const struct chy_prov_key *key, bool is_whole,
                        struct chy_prov_params *params);
