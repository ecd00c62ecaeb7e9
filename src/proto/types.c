/* SPDX-License-Identifier: MIT */
#include "proto/types.h"

#include "base/limits.h"

static const struct chy_enum_value key_types[] = {
    { CHY_KEY_NONE, "none", NULL },         { CHY_KEY_RSA_2048, "rsa-2048", NULL },
    { CHY_KEY_RSA_3072, "rsa-3072", NULL }, { CHY_KEY_RSA_4096, "rsa-4096", NULL },
    { CHY_KEY_P256, "p256", NULL },         { CHY_KEY_P384, "p384", NULL },
    { CHY_KEY_P521, "p521", NULL },         { CHY_KEY_ED25519, "ed25519", NULL },
};
const struct chy_enum chy_key_type_enum = CHY_ENUM("key type", key_types);

static const struct chy_enum_value hash_algs[] = {
    { CHY_HASH_NONE, "none", NULL },
    { CHY_HASH_SHA256, "sha256", NULL },
    { CHY_HASH_SHA384, "sha384", NULL },
    { CHY_HASH_SHA512, "sha512", NULL },
};
const struct chy_enum chy_hash_alg_enum = CHY_ENUM("hash", hash_algs);

static const struct chy_enum_value sign_algs[] = {
    { CHY_ALG_NONE, "none", NULL },
    { CHY_ALG_RSA_PKCS1_SHA256, "rsa-pkcs1-sha256", NULL },
    { CHY_ALG_RSA_PKCS1_SHA384, "rsa-pkcs1-sha384", NULL },
    { CHY_ALG_RSA_PKCS1_SHA512, "rsa-pkcs1-sha512", NULL },
    { CHY_ALG_RSA_PSS_SHA256, "rsa-pss-sha256", NULL },
    { CHY_ALG_RSA_PSS_SHA384, "rsa-pss-sha384", NULL },
    { CHY_ALG_RSA_PSS_SHA512, "rsa-pss-sha512", NULL },
    { CHY_ALG_ECDSA_SHA256, "ecdsa-sha256", NULL },
    { CHY_ALG_ECDSA_SHA384, "ecdsa-sha384", NULL },
    { CHY_ALG_ECDSA_SHA512, "ecdsa-sha512", NULL },
    { CHY_ALG_ED25519, "ed25519", NULL },
    { CHY_ALG_RSA_PKCS1_RAW, "rsa-pkcs1-raw", "PKCS#1 v1.5 around the message as it is" },
};
const struct chy_enum chy_sign_alg_enum = CHY_ENUM("signature algorithm", sign_algs);

static const struct chy_enum_value hashed_bys[] = {
    { CHY_HASHED_BY_NOBODY, "nobody", "the message itself is signed" },
    { CHY_HASHED_BY_TOOL, "tool", "the tool gave a digest and its algorithm" },
    { CHY_HASHED_BY_CLIENT, "client", "Chancery's client hashed what it was given" },
    { CHY_HASHED_BY_INFERRED, "inferred", "the hash is inferred from a digest's length" },
    { CHY_HASHED_BY_SERVER, "server", "the content was hashed again by the server" },
};
const struct chy_enum chy_hashed_by_enum = CHY_ENUM("hashed_by", hashed_bys);

static const struct chy_enum_value receipt_kinds[] = {
    { CHY_RECEIPT_INDEX, "index", "leaf indexes" },
    { CHY_RECEIPT_NONE, "none", "nothing" },
    { CHY_RECEIPT_FULL, "full", "inclusion proof and checkpoint" },
};
const struct chy_enum chy_receipt_kind_enum = CHY_ENUM("receipt", receipt_kinds);

static const struct chy_enum_value bases[] = {
    { CHY_BASIS_DECLARED, "declared", "said by the caller" },
    { CHY_BASIS_AGENT, "agent", "seen by the agent" },
    { CHY_BASIS_SERVER, "server", "found by the server" },
};
const struct chy_enum chy_basis_enum = CHY_ENUM("basis", bases);

static const struct chy_enum_value roles[] = {
    { CHY_ROLE_ADMINISTRATOR, "administrator", "principals, roles, API tokens" },
    { CHY_ROLE_KEY_MANAGER, "key-manager", "keys and certificates" },
    { CHY_ROLE_POLICY_AUTHOR, "policy-author", "policies" },
    { CHY_ROLE_AUDITOR, "auditor", "reads everything, changes nothing" },
};
const struct chy_enum chy_role_enum = CHY_ENUM("role", roles);

static const struct chy_enum_value key_states[] = {
    { CHY_KEY_STATE_ACTIVE, "active", NULL },
    { CHY_KEY_STATE_DISABLED, "disabled", NULL },
    { CHY_KEY_STATE_DESTROYED, "destroyed", NULL },
};
const struct chy_enum chy_key_state_enum = CHY_ENUM("key state", key_states);

static const struct chy_enum_value key_origins[] = {
    { CHY_KEY_ORIGIN_GENERATED, "generated", "made in the token by Chancery" },
    { CHY_KEY_ORIGIN_ADOPTED, "adopted", "was in the token already" },
};
const struct chy_enum chy_key_origin_enum = CHY_ENUM("key origin", key_origins);

static const struct chy_enum_value key_classes[] = {
    { CHY_KEY_CLASS_NONE, "none", NULL },
    { CHY_KEY_CLASS_SIGNING, "signing", NULL },
    { CHY_KEY_CLASS_LOG, "log", NULL },
    { CHY_KEY_CLASS_CLIENT_CA, "client-ca", NULL },
    { CHY_KEY_CLASS_DEVELOPMENT_CA, "development-ca", NULL },
};
const struct chy_enum chy_key_class_enum = CHY_ENUM("key class", key_classes);

static const struct chy_enum_value auth_methods[] = {
    { CHY_AUTH_NONE, "none", NULL },
    { CHY_AUTH_CERTIFICATE, "certificate", NULL },
    { CHY_AUTH_API_TOKEN, "api-token", NULL },
    { CHY_AUTH_SERVER, "server", NULL },
};
const struct chy_enum chy_auth_method_enum = CHY_ENUM("authentication method", auth_methods);

static const struct chy_enum_value decisions[] = {
    { CHY_DECISION_NONE, "none", NULL },
    { CHY_DECISION_ALLOWED, "allowed", NULL },
    { CHY_DECISION_DENIED, "denied", NULL },
    { CHY_DECISION_HELD, "held", NULL },
};
const struct chy_enum chy_decision_enum = CHY_ENUM("decision", decisions);

enum chy_hash_alg chy_sign_alg_hash(enum chy_sign_alg alg)
{
    switch (alg) {
    case CHY_ALG_RSA_PKCS1_SHA256:
    case CHY_ALG_RSA_PSS_SHA256:
    case CHY_ALG_ECDSA_SHA256:
        return CHY_HASH_SHA256;
    case CHY_ALG_RSA_PKCS1_SHA384:
    case CHY_ALG_RSA_PSS_SHA384:
    case CHY_ALG_ECDSA_SHA384:
        return CHY_HASH_SHA384;
    case CHY_ALG_RSA_PKCS1_SHA512:
    case CHY_ALG_RSA_PSS_SHA512:
    case CHY_ALG_ECDSA_SHA512:
        return CHY_HASH_SHA512;
    case CHY_ALG_ED25519:
    case CHY_ALG_RSA_PKCS1_RAW:
    case CHY_ALG_NONE:
        return CHY_HASH_NONE;
    }
    return CHY_HASH_NONE;
}

bool chy_sign_alg_takes_message(enum chy_sign_alg alg)
{
    return alg == CHY_ALG_ED25519 || alg == CHY_ALG_RSA_PKCS1_RAW;
}

size_t chy_hash_alg_bytes(enum chy_hash_alg hash)
{
    switch (hash) {
    case CHY_HASH_SHA256:
        return 32;
    case CHY_HASH_SHA384:
        return 48;
    case CHY_HASH_SHA512:
        return 64;
    case CHY_HASH_NONE:
        return 0;
    }
    return 0;
}

bool chy_key_type_is_rsa(enum chy_key_type type)
{
    return type == CHY_KEY_RSA_2048 || type == CHY_KEY_RSA_3072 || type == CHY_KEY_RSA_4096;
}

size_t chy_key_type_modulus_bytes(enum chy_key_type type)
{
    switch (type) {
    case CHY_KEY_RSA_2048:
        return 256;
    case CHY_KEY_RSA_3072:
        return 384;
    case CHY_KEY_RSA_4096:
        return 512;
    case CHY_KEY_NONE:
    case CHY_KEY_P256:
    case CHY_KEY_P384:
    case CHY_KEY_P521:
    case CHY_KEY_ED25519:
        return 0;
    }
    return 0;
}

bool chy_sign_alg_fits(enum chy_sign_alg alg, enum chy_key_type type)
{
    if ((alg >= CHY_ALG_RSA_PKCS1_SHA256 && alg <= CHY_ALG_RSA_PSS_SHA512) ||
        alg == CHY_ALG_RSA_PKCS1_RAW)
        return chy_key_type_is_rsa(type);
    if (alg >= CHY_ALG_ECDSA_SHA256 && alg <= CHY_ALG_ECDSA_SHA512)
        return type == CHY_KEY_P256 || type == CHY_KEY_P384 || type == CHY_KEY_P521;
    return alg == CHY_ALG_ED25519 && type == CHY_KEY_ED25519;
}

enum chy_sign_alg chy_key_type_default_alg(enum chy_key_type type)
{
    switch (type) {
    case CHY_KEY_RSA_2048:
    case CHY_KEY_RSA_3072:
    case CHY_KEY_RSA_4096:
        return CHY_ALG_RSA_PKCS1_SHA256;
    case CHY_KEY_P256:
        return CHY_ALG_ECDSA_SHA256;
    case CHY_KEY_P384:
        return CHY_ALG_ECDSA_SHA384;
    case CHY_KEY_P521:
        return CHY_ALG_ECDSA_SHA512;
    case CHY_KEY_ED25519:
        return CHY_ALG_ED25519;
    case CHY_KEY_NONE:
        return CHY_ALG_NONE;
    }
    return CHY_ALG_NONE;
}

static const struct chy_field fact_fields[] = {
    CHY_F_STR(struct chy_fact, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "what is said, e.g. host"),
    CHY_F_STR(struct chy_fact, value, CHY_REQUIRED, 1, CHY_LIMIT_COMMAND, "what it is"),
    CHY_F_ENUM(struct chy_fact, basis, &chy_basis_enum, enum chy_basis, 0, "who says so"),
};
const struct chy_schema chy_fact_schema =
    CHY_SCHEMA("Fact", struct chy_fact, fact_fields, "A fact about a request.");

static const struct chy_field label_fields[] = {
    CHY_F_STR(struct chy_label, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "name"),
    CHY_F_STR(struct chy_label, value, 0, 0, CHY_LIMIT_TEXT, "value"),
};
const struct chy_schema chy_label_schema =
    CHY_SCHEMA("Label", struct chy_label, label_fields, "A label that the caller declares.");

static const struct chy_field certificate_fields[] = {
    CHY_F_BYTES(struct chy_certificate, der, CHY_REQUIRED, 1, CHY_LIMIT_CERTIFICATE, "DER"),
    CHY_F_STR(struct chy_certificate, subject, 0, 0, CHY_LIMIT_TEXT, "subject, RFC 4514"),
    CHY_F_STR(struct chy_certificate, issuer, 0, 0, CHY_LIMIT_TEXT, "issuer, RFC 4514"),
    CHY_F_STR(struct chy_certificate, serial, 0, 0, CHY_LIMIT_NAME, "serial number, hex"),
    CHY_F_TIME(struct chy_certificate, not_before, 0, "start of validity"),
    CHY_F_TIME(struct chy_certificate, not_after, 0, "end of validity"),
    CHY_F_HASH(struct chy_certificate, sha256, 0, "SHA-256 of the DER"),
    CHY_F_BOOL(struct chy_certificate, is_development, 0,
               "issued by the built-in development CA: nobody outside trusts it"),
};
const struct chy_schema chy_certificate_schema =
    CHY_SCHEMA("Certificate", struct chy_certificate, certificate_fields, "A certificate.");

static const struct chy_field empty_fields[] = {
    CHY_F_BOOL(struct chy_empty, unused, CHY_INTERNAL, "nothing"),
};
const struct chy_schema chy_empty_schema =
    CHY_SCHEMA("Empty", struct chy_empty, empty_fields, "Nothing.");
