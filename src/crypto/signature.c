/* SPDX-License-Identifier: MIT */
#include "crypto/signature.h"

#include "base/buf.h"
#include "codec/der.h"

size_t chy_key_type_order_bytes(enum chy_key_type type)
{
    switch (type) {
    case CHY_KEY_P256:
        return 32;
    case CHY_KEY_P384:
        return 48;
    case CHY_KEY_P521:
        return 66;
    case CHY_KEY_NONE:
    case CHY_KEY_RSA_2048:
    case CHY_KEY_RSA_3072:
    case CHY_KEY_RSA_4096:
    case CHY_KEY_ED25519:
        return 0;
    }
    return 0;
}

static bool is_zero(struct chy_bytes number)
{
    for (size_t i = 0; i < number.n; i++)
        if (number.p[i] != 0)
            return false;
    return true;
}

enum chy_err chy_ecdsa_to_der(struct chy_bytes raw, struct chy_buf *out, struct chy_error *err)
{
    const struct chy_bytes r = { raw.p, raw.n / 2 };
    const struct chy_bytes s = { raw.p + raw.n / 2, raw.n / 2 };
    if (raw.n == 0 || raw.n % 2 != 0 || is_zero(r) || is_zero(s))
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes are no raw ECDSA signature", raw.n);
    struct chy_der_writer w;
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_uint(&w, r);
    chy_der_put_uint(&w, s);
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

/* `number` with zeros in front, `width` bytes. */
static enum chy_err number_append(struct chy_buf *out, struct chy_bytes number, size_t width,
                                  struct chy_error *err)
{
    if (number.n == 0 || number.n > width)
        return chy_fail(err, CHY_E_MALFORMED, "a number of an ECDSA signature is out of range");
    uint8_t *to = chy_buf_room(out, width);
    if (to == NULL)
        return chy_buf_check(out, err);
    for (size_t i = 0; i < width - number.n; i++)
        to[i] = 0;
    chy_copy(to + width - number.n, number.p, number.n);
    chy_buf_added(out, width);
    return CHY_OK;
}

enum chy_err chy_ecdsa_to_raw(struct chy_bytes der, size_t order_bytes, struct chy_buf *out,
                              struct chy_error *err)
{
    struct chy_bytes seq;
    struct chy_bytes r;
    struct chy_bytes s;
    CHY_TRY(chy_der_take(&der, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(der, err));
    CHY_TRY(chy_der_take_uint(&seq, &r, err));
    CHY_TRY(chy_der_take_uint(&seq, &s, err));
    CHY_TRY(chy_der_end(seq, err));
    CHY_TRY(number_append(out, r, order_bytes, err));
    return number_append(out, s, order_bytes, err);
}

#define OID(...)                                                                   \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }

enum alg_params {
    PARAMS_NONE,
    PARAMS_NULL,
    PARAMS_PSS
};

static const struct alg_row {
    enum chy_sign_alg alg;
    enum alg_params params;
    struct chy_bytes oid;
} alg_rows[] = {
    { CHY_ALG_RSA_PKCS1_SHA256, PARAMS_NULL, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11) },
    { CHY_ALG_RSA_PKCS1_SHA384, PARAMS_NULL, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12) },
    { CHY_ALG_RSA_PKCS1_SHA512, PARAMS_NULL, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13) },
    { CHY_ALG_RSA_PSS_SHA256, PARAMS_PSS, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10) },
    { CHY_ALG_RSA_PSS_SHA384, PARAMS_PSS, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10) },
    { CHY_ALG_RSA_PSS_SHA512, PARAMS_PSS, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10) },
    { CHY_ALG_ECDSA_SHA256, PARAMS_NONE, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2) },
    { CHY_ALG_ECDSA_SHA384, PARAMS_NONE, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3) },
    { CHY_ALG_ECDSA_SHA512, PARAMS_NONE, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4) },
    { CHY_ALG_ED25519, PARAMS_NONE, OID(0x2b, 101, 112) },
};

static const struct {
    enum chy_hash_alg hash;
    uint64_t bytes;
    struct chy_bytes oid;
} hash_rows[] = {
    { CHY_HASH_SHA256, 32, OID(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1) },
    { CHY_HASH_SHA384, 48, OID(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2) },
    { CHY_HASH_SHA512, 64, OID(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3) },
};

static const struct chy_bytes oid_mgf1 = OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8);

static void hash_alg_put(struct chy_der_writer *w, struct chy_bytes oid)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid);
    chy_der_put_null(w);
    chy_der_close(w);
}

/* RSASSA-PSS-params: the same hash for MGF1, a salt as long as it. RFC 4055 section 3.1. */
static void pss_params_write(struct chy_der_writer *w, enum chy_hash_alg hash)
{
    size_t i = 0;
    while (i < CHY_ARRAY_LEN(hash_rows) - 1 && hash_rows[i].hash != hash)
        i++;
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_CONTEXT_SET(0));
    hash_alg_put(w, hash_rows[i].oid);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_CONTEXT_SET(1));
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, oid_mgf1);
    hash_alg_put(w, hash_rows[i].oid);
    chy_der_close(w);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_CONTEXT_SET(2));
    chy_der_put_u64(w, hash_rows[i].bytes);
    chy_der_close(w);
    chy_der_close(w);
}

enum chy_err chy_sign_alg_write(struct chy_der_writer *w, enum chy_sign_alg alg,
                                struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(alg_rows); i++) {
        if (alg_rows[i].alg != alg)
            continue;
        chy_der_open(w, CHY_DER_SEQUENCE);
        chy_der_put_oid(w, alg_rows[i].oid);
        if (alg_rows[i].params == PARAMS_NULL)
            chy_der_put_null(w);
        else if (alg_rows[i].params == PARAMS_PSS)
            pss_params_write(w, chy_sign_alg_hash(alg));
        chy_der_close(w);
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_ARG, "no such signature algorithm: %d", (int)alg);
}

size_t chy_rsa_signature_bytes(size_t n)
{
    static const enum chy_key_type types[] = { CHY_KEY_RSA_2048, CHY_KEY_RSA_3072,
                                               CHY_KEY_RSA_4096 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        if (n <= chy_key_type_modulus_bytes(types[i]))
            return chy_key_type_modulus_bytes(types[i]);
    }
    return n;
}
