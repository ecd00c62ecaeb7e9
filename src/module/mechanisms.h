/* SPDX-License-Identifier: MIT */
/* The mechanisms: one table. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "module/objects.h"
#include "proto/door.h"
#include "proto/pkcs11.h"

#define CHY_P11_NO_KEY (~0UL) /* the key type of a digest's mechanism */

struct chy_p11_mechanism {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type;
    enum chy_door_scheme scheme; /* of signatures */
    enum chy_hash_alg hash;      /* CHY_HASH_NONE: told by the parameter or the data, or there is
                                    none */
    bool is_message;             /* the data is the message, of any length */
    CK_MECHANISM_INFO info;      /* sizes in bits */
};

/* NULL: there is none such. */
const struct chy_p11_mechanism *chy_p11_mechanism_find(CK_MECHANISM_TYPE type);
const struct chy_p11_mechanism *chy_p11_mechanism_at(size_t i); /* NULL behind the last */
/* The types that keys of this type sign with, as CKA_ALLOWED_MECHANISMS has them. */
struct chy_bytes chy_p11_mechanisms_of(CK_KEY_TYPE type);

/* Whether a mechanism may begin an operation, and the hash that it then uses.
 * flag  CKF_SIGN, CKF_VERIFY or CKF_DIGEST
 * key   NULL for a digest
 *
 * CKR_MECHANISM_INVALID        there is none such, or not for this use
 * CKR_MECHANISM_PARAM_INVALID  a parameter is wrong, missing, or not wanted
 * CKR_KEY_TYPE_INCONSISTENT    the key is of another type */
CK_RV chy_p11_mechanism_check(const CK_MECHANISM *mechanism, CK_FLAGS flag,
                              const struct chy_door_key *key,
                              const struct chy_p11_mechanism **ret_mechanism,
                              enum chy_hash_alg *ret_hash);
/* Whether so much data can be signed. CKR_DATA_LEN_RANGE if not. */
CK_RV chy_p11_mechanism_takes(const struct chy_p11_mechanism *mechanism, enum chy_hash_alg hash,
                              const struct chy_door_key *key, size_t data_bytes);
