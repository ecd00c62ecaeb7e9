/* SPDX-License-Identifier: MIT */
#include "module/attributes.h"

#include <stddef.h>

#include "module/mechanisms.h"
#include "proto/types.h"

/* Of which objects a row is. */
enum {
    PRIV = 1 << 0,
    PUB = 1 << 1,
    CERT = 1 << 2,
    KEYS = PRIV | PUB,
    ALL = KEYS | CERT,
    /* Of which types of keys; none: of all. */
    RSA = 1 << 3,
    EC = 1 << 4, /* Ed25519 too */
};

enum how {
    NUMBER, /* the row's */
    BOOL,   /* likewise */
    EMPTY,
    OF_KEY,  /* bytes or text at the row's offset in the key */
    OF_CERT, /* likewise in the certificate */
    SECRET,
    CLASS,
    KEY_TYPE,
    MODULUS_BITS,
    MECHANISMS,
    CATEGORY,
};

struct row {
    CK_ATTRIBUTE_TYPE type;
    unsigned of;
    enum how how;
    CK_ULONG value; /* number, truth or offset */
};

#define IN_KEY(member)  OF_KEY, offsetof(struct chy_door_key, member)
#define IN_CERT(member) OF_CERT, offsetof(struct chy_door_certificate, member)

/* CKA_PRIVATE is false: tools that do not log in, because CKF_LOGIN_REQUIRED is not set, must see
 * the keys. CKA_LOCAL, CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE are statements about the past
 * of a key that the module knows nothing of: it does not make them (the server shows evidence). */
static const struct row rows[] = {
    { CKA_CLASS, ALL, CLASS, 0 },
    { CKA_TOKEN, ALL, BOOL, CK_TRUE },
    { CKA_PRIVATE, ALL, BOOL, CK_FALSE },
    { CKA_MODIFIABLE, ALL, BOOL, CK_FALSE },
    { CKA_COPYABLE, ALL, BOOL, CK_FALSE },
    { CKA_DESTROYABLE, ALL, BOOL, CK_FALSE },
    { CKA_LABEL, KEYS, IN_KEY(label) },
    { CKA_LABEL, CERT, IN_CERT(label) },
    { CKA_ID, KEYS, IN_KEY(id) },
    { CKA_ID, CERT, IN_CERT(id) },
    { CKA_START_DATE, ALL, EMPTY, 0 },
    { CKA_END_DATE, ALL, EMPTY, 0 },

    { CKA_KEY_TYPE, KEYS, KEY_TYPE, 0 },
    { CKA_DERIVE, KEYS, BOOL, CK_FALSE },
    { CKA_LOCAL, KEYS, BOOL, CK_FALSE },
    { CKA_KEY_GEN_MECHANISM, KEYS, NUMBER, CK_UNAVAILABLE_INFORMATION },
    { CKA_ALLOWED_MECHANISMS, KEYS, MECHANISMS, 0 },
    { CKA_SUBJECT, KEYS, EMPTY, 0 },
    { CKA_PUBLIC_KEY_INFO, KEYS, IN_KEY(public_key) },
    { CKA_MODULUS, KEYS | RSA, IN_KEY(modulus) },
    { CKA_PUBLIC_EXPONENT, KEYS | RSA, IN_KEY(public_exponent) },
    { CKA_EC_PARAMS, KEYS | EC, IN_KEY(ec_params) },
    /* The standard has it of public keys alone; libp11 and GnuTLS look for it here first. */
    { CKA_EC_POINT, KEYS | EC, IN_KEY(ec_point) },

    { CKA_SENSITIVE, PRIV, BOOL, CK_TRUE },
    { CKA_EXTRACTABLE, PRIV, BOOL, CK_FALSE },
    { CKA_ALWAYS_SENSITIVE, PRIV, BOOL, CK_FALSE },
    { CKA_NEVER_EXTRACTABLE, PRIV, BOOL, CK_FALSE },
    { CKA_ALWAYS_AUTHENTICATE, PRIV, BOOL, CK_FALSE },
    { CKA_WRAP_WITH_TRUSTED, PRIV, BOOL, CK_FALSE },
    { CKA_SIGN, PRIV, BOOL, CK_TRUE },
    { CKA_SIGN_RECOVER, PRIV, BOOL, CK_FALSE },
    { CKA_DECRYPT, PRIV, BOOL, CK_FALSE },
    { CKA_UNWRAP, PRIV, BOOL, CK_FALSE },
    { CKA_PRIVATE_EXPONENT, PRIV | RSA, SECRET, 0 },
    { CKA_PRIME_1, PRIV | RSA, SECRET, 0 },
    { CKA_PRIME_2, PRIV | RSA, SECRET, 0 },
    { CKA_EXPONENT_1, PRIV | RSA, SECRET, 0 },
    { CKA_EXPONENT_2, PRIV | RSA, SECRET, 0 },
    { CKA_COEFFICIENT, PRIV | RSA, SECRET, 0 },
    { CKA_VALUE, PRIV | EC, SECRET, 0 },

    { CKA_VERIFY, PUB, BOOL, CK_TRUE },
    { CKA_VERIFY_RECOVER, PUB, BOOL, CK_FALSE },
    { CKA_ENCRYPT, PUB, BOOL, CK_FALSE },
    { CKA_WRAP, PUB, BOOL, CK_FALSE },
    { CKA_MODULUS_BITS, PUB | RSA, MODULUS_BITS, 0 },

    /* No certificate is a root of trust because it is seen here: not even a CA's. */
    { CKA_TRUSTED, PUB | CERT, BOOL, CK_FALSE },

    { CKA_CERTIFICATE_TYPE, CERT, NUMBER, CKC_X_509 },
    { CKA_CERTIFICATE_CATEGORY, CERT, CATEGORY, 0 },
    { CKA_SUBJECT, CERT, IN_CERT(subject) },
    { CKA_ISSUER, CERT, IN_CERT(issuer) },
    { CKA_SERIAL_NUMBER, CERT, IN_CERT(serial) },
    { CKA_VALUE, CERT, IN_CERT(der) },
};

CK_KEY_TYPE chy_p11_key_type(const struct chy_door_key *key)
{
    if (chy_key_type_is_rsa(key->type))
        return CKK_RSA;
    return key->type == CHY_KEY_ED25519 ? CKK_EC_EDWARDS : CKK_EC;
}

size_t chy_p11_signature_bytes(const struct chy_door_key *key)
{
    static const size_t half[] = {
        [CHY_KEY_P256] = 32,
        [CHY_KEY_P384] = 48,
        [CHY_KEY_P521] = 66,
        [CHY_KEY_ED25519] = 32,
    };
    return chy_key_type_is_rsa(key->type) ? key->modulus.n : 2 * half[key->type];
}

/* Of a number without leading zero bytes. */
static CK_ULONG bits_of(struct chy_bytes number)
{
    CK_ULONG bits = 8 * number.n;
    for (unsigned mask = 0x80; mask != 0 && (number.p[0] & mask) == 0; mask >>= 1)
        bits--;
    return bits;
}

static unsigned kind_of(const struct chy_p11_object *o)
{
    if (o->key == NULL)
        return CERT;
    return (o->class == CKO_PRIVATE_KEY ? PRIV : PUB) |
           (chy_p11_key_type(o->key) == CKK_RSA ? RSA : EC);
}

static const struct row *row_of(const struct chy_p11_object *o, CK_ATTRIBUTE_TYPE type)
{
    unsigned kind = kind_of(o);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        unsigned of_type = rows[i].of & (RSA | EC);
        if (rows[i].type == type && (rows[i].of & kind & ALL) != 0 &&
            (of_type == 0 || (of_type & kind) != 0))
            return &rows[i];
    }
    return NULL;
}

static void number_set(struct chy_p11_value *v, CK_ULONG number)
{
    v->number = number;
    v->bytes = (struct chy_bytes){ (const uint8_t *)&v->number, sizeof v->number };
}

/* Texts and byte strings differ in the pointer's type alone. */
static struct chy_bytes bytes_at(const void *value, size_t offset)
{
    return *(const struct chy_bytes *)(const void *)((const char *)value + offset);
}

static void value_set(const struct chy_p11_object *o, const struct row *row,
                      struct chy_p11_value *v)
{
    switch (row->how) {
    case NUMBER:
        number_set(v, row->value);
        break;
    case BOOL:
        v->boolean = row->value != CK_FALSE;
        v->bytes = (struct chy_bytes){ &v->boolean, sizeof v->boolean };
        break;
    case OF_KEY:
        v->bytes = bytes_at(o->key, row->value);
        break;
    case OF_CERT:
        v->bytes = bytes_at(o->certificate, row->value);
        break;
    case CLASS:
        number_set(v, o->class);
        break;
    case KEY_TYPE:
        number_set(v, chy_p11_key_type(o->key));
        break;
    case MODULUS_BITS:
        number_set(v, bits_of(o->key->modulus));
        break;
    case MECHANISMS:
        v->bytes = chy_p11_mechanisms_of(chy_p11_key_type(o->key));
        break;
    case CATEGORY:
        number_set(v, o->is_authority ? CK_CERTIFICATE_CATEGORY_AUTHORITY
                                      : CK_CERTIFICATE_CATEGORY_TOKEN_USER);
        break;
    case EMPTY:
    case SECRET:
        v->bytes = (struct chy_bytes){ NULL, 0 };
        break;
    }
}

CK_RV chy_p11_attribute(const struct chy_p11_object *object, CK_ATTRIBUTE_TYPE type,
                        struct chy_p11_value *ret_value)
{
    const struct row *row = row_of(object, type);
    if (row == NULL)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (row->how == SECRET)
        return CKR_ATTRIBUTE_SENSITIVE;
    value_set(object, row, ret_value);
    return CKR_OK;
}

static CK_RV attribute_get(const struct chy_p11_object *object, CK_ATTRIBUTE *attr)
{
    struct chy_p11_value value;
    CK_RV rv = chy_p11_attribute(object, attr->type, &value);
    if (rv == CKR_OK && attr->pValue != NULL && attr->ulValueLen < value.bytes.n)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv == CKR_OK && attr->pValue != NULL)
        chy_copy(attr->pValue, value.bytes.p, value.bytes.n);
    attr->ulValueLen = rv == CKR_OK ? value.bytes.n : CK_UNAVAILABLE_INFORMATION;
    return rv;
}

/* One value is returned for all: which one, where several fit, the standard leaves open. Here the
 * one that a larger buffer does not cure. */
CK_RV chy_p11_attributes_get(const struct chy_p11_object *object, CK_ATTRIBUTE *attrs, size_t n)
{
    CK_RV rv = CKR_OK;
    for (size_t i = 0; i < n; i++) {
        CK_RV one = attribute_get(object, &attrs[i]);
        if (one != CKR_OK && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
            rv = one;
    }
    return rv;
}

CK_ULONG chy_p11_attributes_size(const struct chy_p11_object *object)
{
    CK_ULONG n = 0;
    unsigned kind = kind_of(object);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_p11_value value;
        if ((rows[i].of & kind & ALL) != 0 && row_of(object, rows[i].type) == &rows[i] &&
            rows[i].how != SECRET) {
            value_set(object, &rows[i], &value);
            n += value.bytes.n;
        }
    }
    return n;
}
