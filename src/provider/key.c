/* SPDX-License-Identifier: MIT */
#include "provider/key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "codec/der.h"

#define ED25519_BYTES      32
#define ED25519_SIGNATURE  64
#define ED25519_BITS       256
#define ED25519_STRENGTH   128
#define POINT_UNCOMPRESSED 0x04 /* SEC 1 section 2.3.3 */

static const struct chy_prov_curve curves[] = {
    { CHY_KEY_P256, "prime256v1", { "P-256", "secp256r1" }, 32, 256, 128 },
    { CHY_KEY_P384, "secp384r1", { "P-384", NULL }, 48, 384, 192 },
    { CHY_KEY_P521, "secp521r1", { "P-521", NULL }, 66, 521, 256 },
};

static const struct chy_prov_curve *curve_of_type(enum chy_key_type type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(curves); i++)
        if (curves[i].type == type)
            return &curves[i];
    return NULL;
}

static const struct chy_prov_curve *curve_of_name(const char *name)
{
    struct chy_str wanted = chy_str_of(name);
    for (size_t i = 0; i < CHY_ARRAY_LEN(curves); i++) {
        const struct chy_prov_curve *c = &curves[i];
        if (chy_str_equal_c(wanted, c->name) || chy_str_equal_c(wanted, c->aliases[0]) ||
            (c->aliases[1] != NULL && chy_str_equal_c(wanted, c->aliases[1])))
            return c;
    }
    return NULL;
}

/* --- making --- */

static struct chy_bytes place(uint8_t **at, struct chy_bytes from)
{
    struct chy_bytes to = { *at, from.n };
    chy_copy(*at, from.p, from.n);
    *at += from.n;
    return to;
}

/* A copy of what `like` borrows. */
static enum chy_err key_new(const struct chy_prov_key *like, struct chy_prov_key **ret_key,
                            struct chy_error *err)
{
    size_t n = like->name.n + like->modulus.n + like->exponent.n + like->point.n; /* all bounded */
    struct chy_prov_key *key = chy_calloc(1, sizeof *key + n);
    if (key == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    uint8_t *at = key->bytes;
    atomic_init(&key->refs, 1);
    key->kind = like->kind;
    key->curve = like->curve;
    key->name = chy_bytes_str(place(&at, chy_str_bytes(like->name)));
    key->modulus = place(&at, like->modulus);
    key->exponent = place(&at, like->exponent);
    key->point = place(&at, like->point);
    *ret_key = key;
    return CHY_OK;
}

static bool is_number(struct chy_bytes n)
{
    return n.n != 0 && n.p[0] != 0;
}

static enum chy_err rsa_new(struct chy_str name, struct chy_bytes modulus,
                            struct chy_bytes exponent, struct chy_prov_key **ret_key,
                            struct chy_error *err)
{
    struct chy_prov_key like = {
        .kind = CHY_PROV_RSA, .name = name, .modulus = modulus, .exponent = exponent
    };
    if (!is_number(modulus) || !is_number(exponent))
        return chy_fail(err, CHY_E_ARG, "an RSA key lacks its modulus or its exponent");
    if (modulus.n > CHY_LIMIT_P11_RSA || exponent.n > CHY_LIMIT_P11_RSA)
        return chy_fail(err, CHY_E_LIMIT, "an RSA key of %zu bytes, at most %d are taken",
                        CHY_MAX(modulus.n, exponent.n), CHY_LIMIT_P11_RSA);
    return key_new(&like, ret_key, err);
}

static enum chy_err point_new(struct chy_str name, enum chy_prov_kind kind,
                              const struct chy_prov_curve *curve, struct chy_bytes point,
                              struct chy_prov_key **ret_key, struct chy_error *err)
{
    struct chy_prov_key like = { .kind = kind, .curve = curve, .name = name, .point = point };
    size_t n = kind == CHY_PROV_ED25519 ? ED25519_BYTES
               : curve != NULL          ? 1 + 2 * curve->order_bytes
                                        : 0;
    if (n == 0 || point.n != n || (curve != NULL && point.p[0] != POINT_UNCOMPRESSED))
        return chy_fail(err, CHY_E_ARG, "a point of %zu bytes is none of a curve that is known",
                        point.n);
    return key_new(&like, ret_key, err);
}

enum chy_err chy_prov_key_of_rsa(struct chy_bytes modulus, struct chy_bytes exponent,
                                 struct chy_prov_key **ret_key, struct chy_error *err)
{
    return rsa_new((struct chy_str){ 0 }, modulus, exponent, ret_key, err);
}

enum chy_err chy_prov_key_of_point(enum chy_prov_kind kind, const char *curve,
                                   struct chy_bytes point, struct chy_prov_key **ret_key,
                                   struct chy_error *err)
{
    const struct chy_prov_curve *c = kind == CHY_PROV_EC ? curve_of_name(curve) : NULL;
    return point_new((struct chy_str){ 0 }, kind, c, point, ret_key, err);
}

static enum chy_err door_read(const struct chy_door_key *door, struct chy_prov_key **ret_key,
                              struct chy_error *err)
{
    struct chy_bytes in = door->ec_point;
    struct chy_bytes point;
    if (chy_key_type_is_rsa(door->type))
        return rsa_new(door->name, door->modulus, door->public_exponent, ret_key, err);
    CHY_TRY(chy_der_take(&in, CHY_DER_OCTET_STRING, &point, err));
    CHY_TRY(chy_der_end(in, err));
    return point_new(door->name, door->type == CHY_KEY_ED25519 ? CHY_PROV_ED25519 : CHY_PROV_EC,
                     curve_of_type(door->type), point, ret_key, err);
}

enum chy_err chy_prov_key_of_door(const struct chy_door_key *door, struct chy_prov_key **ret_key,
                                  struct chy_error *err)
{
    struct chy_error why;
    enum chy_err r = door->name.n != 0 ? door_read(door, ret_key, &why)
                                       : chy_fail(&why, CHY_E_ARG, "it has no name");
    if (r == CHY_OK)
        return r;
    return chy_fail(err, r == CHY_E_ARG || r == CHY_E_MALFORMED ? CHY_E_PROTOCOL : r,
                    "the agent showed a key that is none: %s", why.text);
}

struct chy_prov_key *chy_prov_key_ref(struct chy_prov_key *key)
{
    atomic_fetch_add(&key->refs, 1);
    return key;
}

void chy_prov_key_unref(struct chy_prov_key *key)
{
    if (key != NULL && atomic_fetch_sub(&key->refs, 1) == 1)
        chy_free(key);
}

/* --- what it is --- */

bool chy_prov_key_equal(const struct chy_prov_key *a, const struct chy_prov_key *b)
{
    return a->kind == b->kind && a->curve == b->curve && chy_bytes_equal(a->modulus, b->modulus) &&
           chy_bytes_equal(a->exponent, b->exponent) && chy_bytes_equal(a->point, b->point);
}

int chy_prov_key_bits(const struct chy_prov_key *key)
{
    if (key->kind == CHY_PROV_ED25519)
        return ED25519_BITS;
    if (key->kind == CHY_PROV_EC)
        return key->curve->bits;
    int bits = 8 * (int)key->modulus.n;
    for (unsigned first = key->modulus.p[0]; (first & 0x80) == 0; first <<= 1)
        bits--;
    return bits;
}

/* As OpenSSL counts: SP 800-57 part 1, table 2, and 152 bits for 4096, of its own formula. */
int chy_prov_key_security_bits(const struct chy_prov_key *key)
{
    static const struct {
        int bits;
        int strength;
    } rows[] = { { 7680, 192 }, { 4096, 152 }, { 3072, 128 }, { 2048, 112 }, { 1024, 80 } };
    if (key->kind == CHY_PROV_ED25519)
        return ED25519_STRENGTH;
    if (key->kind == CHY_PROV_EC)
        return key->curve->security_bits;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (chy_prov_key_bits(key) >= rows[i].bits)
            return rows[i].strength;
    return 0;
}

/* DER of r and s, each with a zero in front where its highest bit may be set (RFC 3279 section
 * 2.2.3). */
static size_t ecdsa_max(const struct chy_prov_curve *curve)
{
    size_t integer = 2 + curve->order_bytes + (curve->bits % 8 == 0 ? 1 : 0);
    return (2 * integer < 128 ? 2 : 3) + 2 * integer;
}

size_t chy_prov_key_signature_max(const struct chy_prov_key *key)
{
    if (key->kind == CHY_PROV_RSA)
        return key->modulus.n;
    return key->kind == CHY_PROV_EC ? ecdsa_max(key->curve) : ED25519_SIGNATURE;
}

/* --- as OpenSSL has it --- */

static OSSL_PARAM number_param(const char *name, struct chy_bytes number, uint8_t *to)
{
    for (size_t i = 0; i < number.n; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        to[number.n - 1 - i] = number.p[i];
#else
        to[i] = number.p[i];
#endif
    return (OSSL_PARAM){ name, OSSL_PARAM_UNSIGNED_INTEGER, to, number.n, OSSL_PARAM_UNMODIFIED };
}

static OSSL_PARAM curve_param(const struct chy_prov_curve *curve)
{
    return OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                            CHY_UNCONST(char, curve->name), 0);
}

static OSSL_PARAM point_param(struct chy_bytes point)
{
    return OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, CHY_UNCONST(uint8_t, point.p),
                                             point.n);
}

void chy_prov_params_of(const struct chy_prov_key *key, bool is_whole,
                        struct chy_prov_params *params)
{
    OSSL_PARAM *p = params->list;
    if (key->kind == CHY_PROV_EC)
        *p++ = curve_param(key->curve);
    if (is_whole && key->kind != CHY_PROV_RSA)
        *p++ = point_param(key->point);
    if (is_whole && key->kind == CHY_PROV_RSA) {
        *p++ = number_param(OSSL_PKEY_PARAM_RSA_N, key->modulus, params->modulus);
        *p++ = number_param(OSSL_PKEY_PARAM_RSA_E, key->exponent, params->exponent);
    }
    *p = OSSL_PARAM_construct_end();
}
