/* SPDX-License-Identifier: MIT */
#include "token/sign.h"

#include "proto/digest_info.h"

struct hash_row {
    CK_MECHANISM_TYPE mechanism;
    CK_ULONG mgf;
};

static const struct hash_row hash_rows[] = {
    [CHY_HASH_SHA256] = { CKM_SHA256, CKG_MGF1_SHA256 },
    [CHY_HASH_SHA384] = { CKM_SHA384, CKG_MGF1_SHA384 },
    [CHY_HASH_SHA512] = { CKM_SHA512, CKG_MGF1_SHA512 },
};

static const CK_MECHANISM_TYPE mechanisms[] = {
    [CHY_ALG_RSA_PKCS1_SHA256] = CKM_RSA_PKCS,   [CHY_ALG_RSA_PKCS1_SHA384] = CKM_RSA_PKCS,
    [CHY_ALG_RSA_PKCS1_SHA512] = CKM_RSA_PKCS,   [CHY_ALG_RSA_PSS_SHA256] = CKM_RSA_PKCS_PSS,
    [CHY_ALG_RSA_PSS_SHA384] = CKM_RSA_PKCS_PSS, [CHY_ALG_RSA_PSS_SHA512] = CKM_RSA_PKCS_PSS,
    [CHY_ALG_ECDSA_SHA256] = CKM_ECDSA,          [CHY_ALG_ECDSA_SHA384] = CKM_ECDSA,
    [CHY_ALG_ECDSA_SHA512] = CKM_ECDSA,          [CHY_ALG_ED25519] = CKM_EDDSA,
    [CHY_ALG_RSA_PKCS1_RAW] = CKM_RSA_PKCS,
};
_Static_assert(CHY_ARRAY_LEN(mechanisms) == CHY_ALG_LAST + 1, "a mechanism for each algorithm");

static const uint16_t raw_bytes[] = {
    [CHY_KEY_NONE] = 0,   [CHY_KEY_RSA_2048] = 256, [CHY_KEY_RSA_3072] = 384,
    [CHY_KEY_P256] = 64,  [CHY_KEY_RSA_4096] = 512, [CHY_KEY_P384] = 96,
    [CHY_KEY_P521] = 132, [CHY_KEY_ED25519] = 64,
};

CK_MECHANISM_TYPE chy_sign_mechanism(enum chy_sign_alg alg)
{
    CHY_ASSERT(alg > CHY_ALG_NONE && (size_t)alg < CHY_ARRAY_LEN(mechanisms));
    return mechanisms[alg];
}

size_t chy_sign_raw_bytes(enum chy_key_type type)
{
    CHY_ASSERT((size_t)type < CHY_ARRAY_LEN(raw_bytes));
    return raw_bytes[type];
}

static enum chy_err check_input(enum chy_key_type type, enum chy_sign_alg alg,
                                struct chy_bytes input, struct chy_error *err)
{
    if (alg == CHY_ALG_NONE || !chy_sign_alg_fits(alg, type)) {
        const char *alg_name = chy_enum_name(&chy_sign_alg_enum, (int)alg);
        const char *type_name = chy_enum_name(&chy_key_type_enum, (int)type);
        return chy_fail(err, CHY_E_ARG, "a key of type %s does not sign by %s",
                        type_name != NULL ? type_name : "?", alg_name != NULL ? alg_name : "?");
    }
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    if (hash != CHY_HASH_NONE && input.n != chy_hash_alg_bytes(hash))
        return chy_fail(err, CHY_E_ARG, "the digest is %zu bytes, expected %zu", input.n,
                        chy_hash_alg_bytes(hash));
    if (input.n == 0)
        return chy_fail(err, CHY_E_ARG, "the message to be signed is empty");
    size_t max = alg == CHY_ALG_RSA_PKCS1_RAW
                     ? chy_key_type_modulus_bytes(type) - CHY_RSA_PKCS1_PADDING_BYTES
                     : CHY_LIMIT_CONTENT;
    if (input.n > max)
        return chy_fail(err, CHY_E_LIMIT, "the message is %zu bytes, %zu are the most", input.n,
                        max);
    return CHY_OK;
}

enum chy_err chy_sign_raw(struct chy_session *session, CK_OBJECT_HANDLE key, enum chy_key_type type,
                          enum chy_sign_alg alg, struct chy_bytes input,
                          struct chy_raw_signature *ret_signature, struct chy_error *err)
{
    CHY_TRY(check_input(type, alg, input, err));
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    CK_MECHANISM mechanism = { .mechanism = mechanisms[alg] };
    CK_RSA_PKCS_PSS_PARAMS pss = { hash_rows[hash].mechanism, hash_rows[hash].mgf, input.n };
    uint8_t info[CHY_DIGEST_INFO_HEAD_BYTES + CHY_LIMIT_DIGEST];

    if (mechanism.mechanism == CKM_RSA_PKCS && hash != CHY_HASH_NONE) {
        struct chy_bytes head = chy_digest_info_head(hash);
        chy_copy(info, head.p, head.n);
        chy_copy(info + head.n, input.p, input.n);
        input = (struct chy_bytes){ info, head.n + input.n };
    } else if (mechanism.mechanism == CKM_RSA_PKCS_PSS) {
        mechanism.pParameter = &pss;
        mechanism.ulParameterLen = sizeof pss;
    } else if (mechanism.mechanism == CKM_ECDSA) {
        /* Of a digest longer than the curve's order only the leftmost bits count (FIPS 186-4
         * section 6.4); some tokens refuse what is longer instead of cutting it. */
        input.n = CHY_MIN(input.n, (size_t)raw_bytes[type] / 2);
    }

    CK_RV rv = session->f->C_SignInit(session->handle, &mechanism, key);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_SignInit", err);
    CK_ULONG n = sizeof ret_signature->p;
    rv = session->f->C_Sign(session->handle, CHY_UNCONST(void, input.p), input.n, ret_signature->p,
                            &n);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_Sign", err);
    /* A module that claims more than the room it was given: make it a wrong length. */
    ret_signature->n = n <= sizeof ret_signature->p ? n : 0;
    return CHY_OK;
}
