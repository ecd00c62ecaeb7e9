/* SPDX-License-Identifier: MIT */
#include "provider/algorithm.h"

#include "codec/der.h"

#define OID_MAX 9

/* The last byte differs; it is put in by hash. */
static const uint8_t sha2_oid[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0 };
static const uint8_t rsa_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0 };
static const uint8_t ecdsa_oid[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0 };
static const uint8_t ed25519_oid[] = { 0x2b, 0x65, 0x70 };

enum {
    RSA_SHA256 = 11, /* SHA-384 and SHA-512 follow */
    RSA_MGF1 = 8,
    RSA_PSS = 10,
    ECDSA_SHA256 = 2,
    SHA256 = 1,
};

static void put_oid(struct chy_der_writer *w, struct chy_bytes stem, int last)
{
    uint8_t oid[OID_MAX];
    chy_copy(oid, stem.p, stem.n);
    oid[stem.n - 1] = (uint8_t)last;
    chy_der_put_oid(w, (struct chy_bytes){ oid, stem.n });
}

#define PUT_OID(w, stem, last) put_oid((w), (struct chy_bytes){ (stem), sizeof(stem) }, (last))

static void put_hash(struct chy_der_writer *w, enum chy_hash_alg hash)
{
    chy_der_open(w, CHY_DER_SEQUENCE);
    PUT_OID(w, sha2_oid, SHA256 + (int)hash - CHY_HASH_SHA256);
    chy_der_put_null(w);
    chy_der_close(w);
}

static void put_pss(struct chy_der_writer *w, enum chy_hash_alg hash)
{
    PUT_OID(w, rsa_oid, RSA_PSS);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_open(w, CHY_DER_CONTEXT_SET(0));
    put_hash(w, hash);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_CONTEXT_SET(1));
    chy_der_open(w, CHY_DER_SEQUENCE);
    PUT_OID(w, rsa_oid, RSA_MGF1);
    put_hash(w, hash);
    chy_der_close(w);
    chy_der_close(w);
    chy_der_open(w, CHY_DER_CONTEXT_SET(2));
    chy_der_put_u64(w, chy_hash_alg_bytes(hash));
    chy_der_close(w);
    chy_der_close(w);
}

enum chy_err chy_prov_algorithm_write(enum chy_door_scheme scheme, enum chy_hash_alg hash,
                                      struct chy_buf *out, struct chy_error *err)
{
    struct chy_der_writer w;
    int step = (int)hash - CHY_HASH_SHA256;
    if (hash == CHY_HASH_NONE && scheme != CHY_DOOR_ED25519)
        return chy_fail(err, CHY_E_UNSUPPORTED, "a signature without a digest has no identifier");
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    if (scheme == CHY_DOOR_RSA_PKCS1) {
        PUT_OID(&w, rsa_oid, RSA_SHA256 + step);
        chy_der_put_null(&w);
    } else if (scheme == CHY_DOOR_RSA_PSS) {
        put_pss(&w, hash);
    } else if (scheme == CHY_DOOR_ECDSA) {
        PUT_OID(&w, ecdsa_oid, ECDSA_SHA256 + step);
    } else {
        chy_der_put_oid(&w, (struct chy_bytes){ ed25519_oid, sizeof ed25519_oid });
    }
    chy_der_close(&w);
    return chy_buf_check(out, err);
}
