/* SPDX-License-Identifier: MIT */
/* Keys for OpenSSL. Their public part may be exported. Whoever asks for a private part gets
 * nothing, and a private key of somebody else's is not taken in: so OpenSSL signs by the provider
 * that holds the key, whichever it tries first. Source: provider-keymgmt(7). */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "provider/key.h"
#include "provider/provider.h"

/* --- a key's life --- */

static void *keydata_new(enum chy_prov_kind kind, struct chy_prov_key *key)
{
    struct chy_prov_keydata *d = chy_new(struct chy_prov_keydata);
    if (d == NULL)
        return NULL;
    *d = (struct chy_prov_keydata){ kind, key != NULL ? chy_prov_key_ref(key) : NULL };
    return d;
}

static void *rsa_new(void *provctx)
{
    (void)provctx;
    return keydata_new(CHY_PROV_RSA, NULL);
}

static void *ec_new(void *provctx)
{
    (void)provctx;
    return keydata_new(CHY_PROV_EC, NULL);
}

static void *ed25519_new(void *provctx)
{
    (void)provctx;
    return keydata_new(CHY_PROV_ED25519, NULL);
}

static void keydata_free(void *keydata)
{
    struct chy_prov_keydata *d = keydata;
    if (d == NULL)
        return;
    chy_prov_key_unref(d->key);
    chy_free(d);
}

static void *keydata_dup(const void *keydata, int selection)
{
    const struct chy_prov_keydata *d = keydata;
    (void)selection; /* what is not there cannot be left out */
    return keydata_new(d->kind, d->key);
}

/* `reference` is a pointer that the store made (store.c), for as long as its callback runs. */
static void *keydata_load(enum chy_prov_kind kind, const void *reference, size_t n)
{
    struct chy_prov_key *key;
    if (n != sizeof(struct chy_prov_key *))
        return NULL;
    chy_copy(&key, reference, sizeof(struct chy_prov_key *));
    return key != NULL && key->kind == kind ? keydata_new(kind, key) : NULL;
}

static void *rsa_load(const void *reference, size_t n)
{
    return keydata_load(CHY_PROV_RSA, reference, n);
}

static void *ec_load(const void *reference, size_t n)
{
    return keydata_load(CHY_PROV_EC, reference, n);
}

static void *ed25519_load(const void *reference, size_t n)
{
    return keydata_load(CHY_PROV_ED25519, reference, n);
}

/* --- comparing --- */

static int has(const void *keydata, int selection)
{
    const struct chy_prov_keydata *d = keydata;
    if (d == NULL || d->key == NULL)
        return 0;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || d->key->name.n != 0;
}

/* Two that sign alike have the same public key: there is nothing else to compare them by. */
static int match(const void *keydata_a, const void *keydata_b, int selection)
{
    const struct chy_prov_keydata *a = keydata_a;
    const struct chy_prov_keydata *b = keydata_b;
    if (a->key == NULL || b->key == NULL || a->kind != b->kind)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return a->key->curve == b->key->curve;
    return chy_prov_key_equal(a->key, b->key);
}

/* --- out --- */

static int export(void *keydata, int selection, OSSL_CALLBACK *callback, void *arg)
{
    const struct chy_prov_keydata *d = keydata;
    struct chy_prov_params params;
    if (d->key == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
        return 0;
    chy_prov_params_of(d->key, (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0, &params);
    return callback(params.list, arg);
}

#define RSA_PARTS \
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0), OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0)
#define POINT_PARTS OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0)
#define CURVE_PARTS OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0)

static const OSSL_PARAM *rsa_types(int selection)
{
    static const OSSL_PARAM types[] = { RSA_PARTS, OSSL_PARAM_END };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? types : NULL;
}

static const OSSL_PARAM *ec_types(int selection)
{
    static const OSSL_PARAM types[] = { CURVE_PARTS, POINT_PARTS, OSSL_PARAM_END };
    static const OSSL_PARAM curve[] = { CURVE_PARTS, OSSL_PARAM_END };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? types : curve;
}

static const OSSL_PARAM *ed25519_types(int selection)
{
    static const OSSL_PARAM types[] = { POINT_PARTS, OSSL_PARAM_END };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? types : NULL;
}

/* --- in --- */

/* A number of OpenSSL's, turned into big-endian without leading zeros. */
static struct chy_bytes number_read(const OSSL_PARAM *p, uint8_t *to, size_t room)
{
    if (p == NULL || p->data_type != OSSL_PARAM_UNSIGNED_INTEGER || p->data == NULL ||
        p->data_size > room)
        return (struct chy_bytes){ NULL, 0 };
    const uint8_t *from = p->data;
    for (size_t i = 0; i < p->data_size; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        to[i] = from[p->data_size - 1 - i];
#else
        to[i] = from[i];
#endif
    struct chy_bytes number = { to, p->data_size };
    while (number.n != 0 && number.p[0] == 0)
        number = (struct chy_bytes){ number.p + 1, number.n - 1 };
    return number;
}

static enum chy_err rsa_import(const OSSL_PARAM params[], struct chy_prov_key **ret_key)
{
    struct chy_prov_params p;
    return chy_prov_key_of_rsa(number_read(OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N),
                                           p.modulus, sizeof p.modulus),
                               number_read(OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E),
                                           p.exponent, sizeof p.exponent),
                               ret_key, NULL);
}

static enum chy_err point_import(enum chy_prov_kind kind, const OSSL_PARAM params[],
                                 struct chy_prov_key **ret_key)
{
    const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    const void *bytes = NULL;
    const char *curve = NULL;
    size_t n = 0;
    if (point == NULL || !OSSL_PARAM_get_octet_string_ptr(point, &bytes, &n) ||
        (kind == CHY_PROV_EC &&
         (group == NULL || !OSSL_PARAM_get_utf8_string_ptr(group, &curve) || curve == NULL)))
        return CHY_E_ARG;
    return chy_prov_key_of_point(kind, curve, (struct chy_bytes){ bytes, n }, ret_key, NULL);
}

/* Without a private part: it would be lost here, and the key be of no use to its owner. */
static int import(void *keydata, int selection, const OSSL_PARAM params[])
{
    struct chy_prov_keydata *d = keydata;
    struct chy_prov_key *key = NULL;
    if (d->key != NULL || (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 ||
        OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL ||
        OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL)
        return 0;
    enum chy_err r =
        d->kind == CHY_PROV_RSA ? rsa_import(params, &key) : point_import(d->kind, params, &key);
    if (r != CHY_OK)
        return 0;
    d->key = key;
    return 1;
}

/* --- what it is --- */

static int int_set(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);
    return p == NULL || OSSL_PARAM_set_int(p, value);
}

static int text_set(OSSL_PARAM params[], const char *name, const char *value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);
    return p == NULL || OSSL_PARAM_set_utf8_string(p, value);
}

static int point_set(OSSL_PARAM params[], const char *name, const struct chy_prov_key *key)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);
    return p == NULL || OSSL_PARAM_set_octet_string(p, key->point.p, key->point.n);
}

/* The parts of the public key are copied to where they are asked for. */
static int parts_set(OSSL_PARAM params[], const struct chy_prov_key *key)
{
    struct chy_prov_params own;
    chy_prov_params_of(key, true, &own);
    for (const OSSL_PARAM *part = own.list; part->key != NULL; part++) {
        OSSL_PARAM *p = OSSL_PARAM_locate(params, part->key);
        if (p == NULL)
            continue;
        p->return_size = part->data_size;
        if (p->data == NULL)
            continue;
        if (p->data_type != part->data_type || p->data_size < part->data_size)
            return 0;
        if (part->data_type == OSSL_PARAM_UTF8_STRING) {
            if (!OSSL_PARAM_set_utf8_string(p, part->data))
                return 0;
            continue;
        }
        chy_copy(p->data, part->data, part->data_size);
        if (part->data_type != OSSL_PARAM_UNSIGNED_INTEGER)
            continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        for (size_t i = part->data_size; i < p->data_size; i++)
            ((uint8_t *)p->data)[i] = 0;
        p->return_size = p->data_size;
#endif
    }
    return 1;
}

/* Ed25519 hashes by itself: the digest that must be named is none. */
static int digest_set(OSSL_PARAM params[], const struct chy_prov_key *key)
{
    return key->kind == CHY_PROV_ED25519
               ? text_set(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST, "")
               : text_set(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256");
}

static int get_params(void *keydata, OSSL_PARAM params[])
{
    const struct chy_prov_key *key = ((const struct chy_prov_keydata *)keydata)->key;
    if (key == NULL)
        return 0;
    return int_set(params, OSSL_PKEY_PARAM_BITS, chy_prov_key_bits(key)) &&
           int_set(params, OSSL_PKEY_PARAM_SECURITY_BITS, chy_prov_key_security_bits(key)) &&
           int_set(params, OSSL_PKEY_PARAM_MAX_SIZE, (int)chy_prov_key_signature_max(key)) &&
           digest_set(params, key) &&
           (key->kind == CHY_PROV_RSA ||
            point_set(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, key)) &&
           parts_set(params, key);
}

#define EVERY_KEY                                            \
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),              \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL)
#define DEFAULT_DIGEST OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)
#define ENCODED_POINT  OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0)

static const OSSL_PARAM *rsa_gettable(void *provctx)
{
    (void)provctx;
    static const OSSL_PARAM list[] = { EVERY_KEY, DEFAULT_DIGEST, RSA_PARTS, OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ec_gettable(void *provctx)
{
    (void)provctx;
    static const OSSL_PARAM list[] = { EVERY_KEY,   DEFAULT_DIGEST, CURVE_PARTS,
                                       POINT_PARTS, ENCODED_POINT,  OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ed25519_gettable(void *provctx)
{
    (void)provctx;
    static const OSSL_PARAM list[] = {
        EVERY_KEY, OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0), POINT_PARTS,
        ENCODED_POINT, OSSL_PARAM_END
    };
    return list;
}

static const char *ec_operation(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* --- tables --- */

/* Import and export take the same parts. */
#define OF_KIND(kind)                                                    \
    CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_NEW, kind##_new),                \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_FREE, keydata_free),         \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_DUP, keydata_dup),           \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_LOAD, kind##_load),          \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_HAS, has),                   \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, match),               \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, export),             \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, kind##_types), \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, import),             \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, kind##_types), \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),     \
        CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, kind##_gettable)

static const OSSL_DISPATCH rsa_functions[] = { OF_KIND(rsa), CHY_PROV_FUNCTIONS_END };
static const OSSL_DISPATCH ec_functions[] = {
    OF_KIND(ec), CHY_PROV_FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
    CHY_PROV_FUNCTIONS_END
};
static const OSSL_DISPATCH ed25519_functions[] = { OF_KIND(ed25519), CHY_PROV_FUNCTIONS_END };

/* All names that OpenSSL's own have: they are then the same to it. */
const OSSL_ALGORITHM chy_prov_keymgmts[] = {
    { "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=chancery", rsa_functions,
      "RSA keys of a Chancery server" },
    { "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=chancery", ec_functions,
      "EC keys of a Chancery server" },
    { "ED25519:1.3.101.112", "provider=chancery", ed25519_functions,
      "Ed25519 keys of a Chancery server" },
    { NULL, NULL, NULL, NULL },
};
