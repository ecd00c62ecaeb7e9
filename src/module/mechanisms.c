/* SPDX-License-Identifier: MIT */
#include "module/mechanisms.h"

#include <string.h>

#include "base/limits.h"
#include "module/attributes.h"
#include "proto/types.h"

#define PKCS1_PADDING_BYTES 11 /* RFC 8017 section 7.2.1, and of signatures alike */

#define SIGNS (CKF_SIGN | CKF_VERIFY)
#define OF_RSA            \
    {                     \
        2048, 4096, SIGNS \
    }
#define OF_EC                                                         \
    {                                                                 \
        256, 521, SIGNS | CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS \
    }
#define OF_ED           \
    {                   \
        256, 256, SIGNS \
    }
#define OF_DIGEST        \
    {                    \
        0, 0, CKF_DIGEST \
    }

/* clang-format off */
static const struct chy_p11_mechanism rows[] = {
    { CKM_RSA_PKCS,            CKK_RSA, CHY_DOOR_RSA_PKCS1, CHY_HASH_NONE,   false, OF_RSA },
    { CKM_SHA256_RSA_PKCS,     CKK_RSA, CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA256, true,  OF_RSA },
    { CKM_SHA384_RSA_PKCS,     CKK_RSA, CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA384, true,  OF_RSA },
    { CKM_SHA512_RSA_PKCS,     CKK_RSA, CHY_DOOR_RSA_PKCS1, CHY_HASH_SHA512, true,  OF_RSA },
    { CKM_RSA_PKCS_PSS,        CKK_RSA, CHY_DOOR_RSA_PSS,   CHY_HASH_NONE,   false, OF_RSA },
    { CKM_SHA256_RSA_PKCS_PSS, CKK_RSA, CHY_DOOR_RSA_PSS,   CHY_HASH_SHA256, true,  OF_RSA },
    { CKM_SHA384_RSA_PKCS_PSS, CKK_RSA, CHY_DOOR_RSA_PSS,   CHY_HASH_SHA384, true,  OF_RSA },
    { CKM_SHA512_RSA_PKCS_PSS, CKK_RSA, CHY_DOOR_RSA_PSS,   CHY_HASH_SHA512, true,  OF_RSA },
    { CKM_ECDSA,               CKK_EC,  CHY_DOOR_ECDSA,     CHY_HASH_NONE,   false, OF_EC },
    { CKM_ECDSA_SHA256,        CKK_EC,  CHY_DOOR_ECDSA,     CHY_HASH_SHA256, true,  OF_EC },
    { CKM_ECDSA_SHA384,        CKK_EC,  CHY_DOOR_ECDSA,     CHY_HASH_SHA384, true,  OF_EC },
    { CKM_ECDSA_SHA512,        CKK_EC,  CHY_DOOR_ECDSA,     CHY_HASH_SHA512, true,  OF_EC },
    { CKM_EDDSA,      CKK_EC_EDWARDS,   CHY_DOOR_ED25519,   CHY_HASH_NONE,   false, OF_ED },
    { CKM_SHA256,     CHY_P11_NO_KEY,   0,                  CHY_HASH_SHA256, true,  OF_DIGEST },
    { CKM_SHA384,     CHY_P11_NO_KEY,   0,                  CHY_HASH_SHA384, true,  OF_DIGEST },
    { CKM_SHA512,     CHY_P11_NO_KEY,   0,                  CHY_HASH_SHA512, true,  OF_DIGEST },
};
/* clang-format on */

static const CK_MECHANISM_TYPE of_rsa[] = {
    CKM_RSA_PKCS,     CKM_SHA256_RSA_PKCS,     CKM_SHA384_RSA_PKCS,     CKM_SHA512_RSA_PKCS,
    CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS
};
static const CK_MECHANISM_TYPE of_ec[] = { CKM_ECDSA, CKM_ECDSA_SHA256, CKM_ECDSA_SHA384,
                                           CKM_ECDSA_SHA512 };
static const CK_MECHANISM_TYPE of_ed[] = { CKM_EDDSA };

const struct chy_p11_mechanism *chy_p11_mechanism_at(size_t i)
{
    return i < CHY_ARRAY_LEN(rows) ? &rows[i] : NULL;
}

const struct chy_p11_mechanism *chy_p11_mechanism_find(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}

struct chy_bytes chy_p11_mechanisms_of(CK_KEY_TYPE type)
{
    if (type == CKK_RSA)
        return (struct chy_bytes){ (const uint8_t *)of_rsa, sizeof of_rsa };
    if (type == CKK_EC)
        return (struct chy_bytes){ (const uint8_t *)of_ec, sizeof of_ec };
    return (struct chy_bytes){ (const uint8_t *)of_ed, sizeof of_ed };
}

/* The door signs with MGF1 of the same hash and a salt of its length, and with nothing else. */
static CK_RV pss_check(const CK_MECHANISM *mechanism, enum chy_hash_alg wanted,
                       enum chy_hash_alg *ret_hash)
{
    static const struct {
        CK_MECHANISM_TYPE hash;
        CK_ULONG mgf;
        enum chy_hash_alg alg;
    } hashes[] = { { CKM_SHA256, CKG_MGF1_SHA256, CHY_HASH_SHA256 },
                   { CKM_SHA384, CKG_MGF1_SHA384, CHY_HASH_SHA384 },
                   { CKM_SHA512, CKG_MGF1_SHA512, CHY_HASH_SHA512 } };
    CK_RSA_PKCS_PSS_PARAMS params;
    if (mechanism->pParameter == NULL || mechanism->ulParameterLen != sizeof params)
        return CKR_MECHANISM_PARAM_INVALID;
    memcpy(&params, mechanism->pParameter, sizeof params);
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (params.hashAlg != hashes[i].hash)
            continue;
        if (params.mgf != hashes[i].mgf || params.sLen != chy_hash_alg_bytes(hashes[i].alg) ||
            (wanted != CHY_HASH_NONE && wanted != hashes[i].alg))
            return CKR_MECHANISM_PARAM_INVALID;
        *ret_hash = hashes[i].alg;
        return CKR_OK;
    }
    return CKR_MECHANISM_PARAM_INVALID;
}

/* Others take none. With one, CKM_EDDSA would mean Ed25519ctx or Ed25519ph (3.0 section 2.3.6). */
static CK_RV parameter_check(const CK_MECHANISM *mechanism, const struct chy_p11_mechanism *row,
                             enum chy_hash_alg *ret_hash)
{
    if (row->scheme == CHY_DOOR_RSA_PSS)
        return pss_check(mechanism, row->hash, ret_hash);
    *ret_hash = row->hash;
    return mechanism->ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

CK_RV chy_p11_mechanism_check(const CK_MECHANISM *mechanism, CK_FLAGS flag,
                              const struct chy_door_key *key,
                              const struct chy_p11_mechanism **ret_mechanism,
                              enum chy_hash_alg *ret_hash)
{
    const struct chy_p11_mechanism *row = chy_p11_mechanism_find(mechanism->mechanism);
    if (row == NULL || (row->info.flags & flag) == 0)
        return CKR_MECHANISM_INVALID;
    if (key != NULL && chy_p11_key_type(key) != row->key_type)
        return CKR_KEY_TYPE_INCONSISTENT;
    CK_RV rv = parameter_check(mechanism, row, ret_hash);
    if (rv == CKR_OK)
        *ret_mechanism = row;
    return rv;
}

CK_RV chy_p11_mechanism_takes(const struct chy_p11_mechanism *mechanism, enum chy_hash_alg hash,
                              const struct chy_door_key *key, size_t data_bytes)
{
    bool is_good = true;
    if (mechanism->is_message)
        is_good = data_bytes <= CHY_LIMIT_P11_DATA;
    else if (mechanism->scheme == CHY_DOOR_RSA_PKCS1)
        is_good = data_bytes + PKCS1_PADDING_BYTES <= key->modulus.n;
    else if (mechanism->scheme == CHY_DOOR_RSA_PSS)
        is_good = data_bytes == chy_hash_alg_bytes(hash);
    else if (mechanism->scheme == CHY_DOOR_ECDSA)
        is_good = data_bytes == chy_hash_alg_bytes(CHY_HASH_SHA256) ||
                  data_bytes == chy_hash_alg_bytes(CHY_HASH_SHA384) ||
                  data_bytes == chy_hash_alg_bytes(CHY_HASH_SHA512);
    else
        is_good = data_bytes <= CHY_LIMIT_CONTENT;
    return is_good ? CKR_OK : CKR_DATA_LEN_RANGE;
}
