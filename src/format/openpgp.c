/* SPDX-License-Identifier: MIT */
#include "format/openpgp.h"

#include "base/buf.h"
#include "codec/der.h"
#include "crypto/signature.h"

#define VERSION 4

/* Packets of the old form, which every reader knows: 0x80, four bits of tag, two of the length's
 * form. Source: RFC 4880 section 4.2 */
enum {
    OLD_SIGNATURE_2 = 0x80 | 2 << 2 | 1, /* a length of two bytes */
    OLD_ONE_PASS_1 = 0x80 | 4 << 2 | 0,
    OLD_KEY_2 = 0x80 | 6 << 2 | 1,
    OLD_USER_ID_1 = 0x80 | 13 << 2 | 0, /* a length of one byte */
    NEW_LITERAL = 0xc0 | 11,
    HASHED_USER_ID = 0xb4, /* in front of a user id that is hashed, with four bytes of length */
};

/* Source: RFC 4880 section 5.2.3.1, RFC 9580 section 5.2.3.35 */
enum {
    SUB_CREATED = 2,
    SUB_ISSUER = 16,
    SUB_PREFERRED_HASHES = 21,
    SUB_KEY_FLAGS = 27,
    SUB_FEATURES = 30,
    SUB_ISSUER_FINGERPRINT = 33,
};
#define MAY_CERTIFY_AND_SIGN 0x03

enum {
    ALG_RSA = 1,
    ALG_ECDSA = 19,
    ALG_EDDSA = 22,
};

/* --- what there is --- */

/* Bodies of OIDs. Source: RFC 6637 section 11, RFC 9580 section 9.2 */
#define OID(...)                                                                   \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }
static const struct kind {
    enum chy_key_type type;
    uint8_t number;
    struct chy_bytes oid;
    enum chy_hash_alg least;
} kinds[] = {
    { CHY_KEY_RSA_2048, ALG_RSA, { NULL, 0 }, CHY_HASH_SHA256 },
    { CHY_KEY_RSA_3072, ALG_RSA, { NULL, 0 }, CHY_HASH_SHA256 },
    { CHY_KEY_RSA_4096, ALG_RSA, { NULL, 0 }, CHY_HASH_SHA256 },
    { CHY_KEY_P256, ALG_ECDSA, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
      CHY_HASH_SHA256 },
    { CHY_KEY_P384, ALG_ECDSA, OID(0x2b, 0x81, 0x04, 0x00, 0x22), CHY_HASH_SHA384 },
    { CHY_KEY_P521, ALG_ECDSA, OID(0x2b, 0x81, 0x04, 0x00, 0x23), CHY_HASH_SHA512 },
    { CHY_KEY_ED25519, ALG_EDDSA, OID(0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01),
      CHY_HASH_SHA256 },
};

static const struct {
    enum chy_hash_alg hash;
    uint8_t number;
    const char *name;
} hashes[] = {
    { CHY_HASH_SHA256, 8, "SHA256" },
    { CHY_HASH_SHA384, 9, "SHA384" },
    { CHY_HASH_SHA512, 10, "SHA512" },
};

static const struct kind *kind_of(enum chy_key_type type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type)
            return &kinds[i];
    }
    return NULL;
}

uint8_t chy_openpgp_algorithm_number(enum chy_key_type type)
{
    const struct kind *kind = kind_of(type);
    return kind != NULL ? kind->number : 0;
}

enum chy_hash_alg chy_openpgp_hash_least(enum chy_key_type type)
{
    const struct kind *kind = kind_of(type);
    return kind != NULL ? kind->least : CHY_HASH_NONE;
}

uint8_t chy_openpgp_hash_number(enum chy_hash_alg hash)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (hashes[i].hash == hash)
            return hashes[i].number;
    }
    return 0;
}

const char *chy_openpgp_hash_name(enum chy_hash_alg hash)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (hashes[i].hash == hash)
            return hashes[i].name;
    }
    return NULL;
}

static bool is_named(struct chy_str name, const char *hash)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '-')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != *hash)
            return false;
        hash++;
    }
    return *hash == '\0';
}

enum chy_hash_alg chy_openpgp_hash_find(struct chy_str name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (is_named(name, hashes[i].name))
            return hashes[i].hash;
    }
    return CHY_HASH_NONE;
}

enum chy_sign_alg chy_openpgp_sign_alg(enum chy_key_type type, enum chy_hash_alg hash)
{
    for (int a = CHY_ALG_NONE + 1; a <= CHY_ALG_LAST; a++) {
        enum chy_sign_alg alg = (enum chy_sign_alg)a;
        bool is_pss = alg >= CHY_ALG_RSA_PSS_SHA256 && alg <= CHY_ALG_RSA_PSS_SHA512;
        if (alg == CHY_ALG_RSA_PKCS1_RAW || is_pss || !chy_sign_alg_fits(alg, type))
            continue;
        if (alg == CHY_ALG_ED25519 || chy_sign_alg_hash(alg) == hash)
            return alg;
    }
    return CHY_ALG_NONE;
}

/* --- numbers --- */

/* Source: RFC 4880 section 3.2 */
static void put_number(struct chy_buf *out, struct chy_bytes number)
{
    while (number.n != 0 && number.p[0] == 0) {
        number.p++;
        number.n--;
    }
    size_t bits = 8 * number.n;
    for (uint8_t top = number.n != 0 ? number.p[0] : 0x80; top < 0x80; top = (uint8_t)(top << 1))
        bits--;
    chy_buf_append_u16(out, (uint16_t)bits);
    chy_buf_append(out, number);
}

/* A point with its form in front: 4 for uncompressed ones, 0x40 for one as it is (RFC 9580 section
 * 11.2). */
static void put_point(struct chy_buf *out, uint8_t form, struct chy_bytes point)
{
    uint8_t number[CHY_LIMIT_OPENPGP_KEY];
    CHY_ASSERT(point.n < sizeof number);
    number[0] = form;
    chy_copy(number + 1, point.p, point.n);
    put_number(out, (struct chy_bytes){ number, point.n + 1 });
}

/* --- keys --- */

static enum chy_err take_key_bits(struct chy_bytes spki, struct chy_bytes *ret_bits,
                                  struct chy_error *err)
{
    struct chy_bytes outer = spki;
    struct chy_bytes body;
    struct chy_bytes algorithm;
    CHY_TRY(chy_der_take(&outer, CHY_DER_SEQUENCE, &body, err));
    CHY_TRY(chy_der_end(outer, err));
    CHY_TRY(chy_der_take(&body, CHY_DER_SEQUENCE, &algorithm, err));
    CHY_TRY(chy_der_take_bits(&body, ret_bits, err));
    return chy_der_end(body, err);
}

static enum chy_err wrong_key(enum chy_key_type type, struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "the public key is none of type %s",
                    chy_enum_name(&chy_key_type_enum, (int)type));
}

static enum chy_err put_rsa(enum chy_key_type type, struct chy_bytes bits, struct chy_buf *out,
                            struct chy_error *err)
{
    struct chy_bytes key;
    struct chy_bytes modulus;
    struct chy_bytes exponent;
    CHY_TRY(chy_der_take(&bits, CHY_DER_SEQUENCE, &key, err));
    CHY_TRY(chy_der_take_uint(&key, &modulus, err));
    CHY_TRY(chy_der_take_uint(&key, &exponent, err));
    if (modulus.n != chy_key_type_modulus_bytes(type))
        return wrong_key(type, err);
    put_number(out, modulus);
    put_number(out, exponent);
    return CHY_OK;
}

static enum chy_err put_curve(const struct kind *kind, struct chy_bytes bits, struct chy_buf *out,
                              struct chy_error *err)
{
    bool is_ed = kind->number == ALG_EDDSA;
    size_t want = is_ed ? 32 : 2 * chy_key_type_order_bytes(kind->type) + 1;
    if (bits.n != want || (!is_ed && bits.p[0] != 4))
        return wrong_key(kind->type, err);
    chy_buf_append_u8(out, (uint8_t)kind->oid.n);
    chy_buf_append(out, kind->oid);
    if (is_ed)
        put_point(out, 0x40, bits);
    else
        put_number(out, bits);
    return CHY_OK;
}

static enum chy_err key_body(const struct kind *kind, struct chy_bytes spki, uint32_t created,
                             struct chy_buf *out, struct chy_error *err)
{
    struct chy_bytes bits;
    CHY_TRY(take_key_bits(spki, &bits, err));
    chy_buf_append_u8(out, VERSION);
    chy_buf_append_u32(out, created);
    chy_buf_append_u8(out, kind->number);
    if (kind->number == ALG_RSA)
        CHY_TRY(put_rsa(kind->type, bits, out, err));
    else
        CHY_TRY(put_curve(kind, bits, out, err));
    return chy_buf_check(out, err);
}

/* Source: RFC 4880 section 12.2 */
enum chy_err chy_openpgp_key_name(struct chy_openpgp_key *key, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packet;
    chy_buf_init(&packet, CHY_LIMIT_OPENPGP_KEY + 3);
    CHY_TRY(chy_openpgp_key_write(key, &packet, err));
    return chy_sha1(chy_buf_bytes(&packet), key->fingerprint, err);
}

enum chy_err chy_openpgp_key_make(enum chy_key_type type, struct chy_bytes spki,
                                  int64_t created_unix_s, struct chy_openpgp_key *ret_key,
                                  struct chy_error *err)
{
    const struct kind *kind = kind_of(type);
    struct chy_openpgp_key key = { .type = type, .created_unix_s = (uint32_t)created_unix_s };
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_OPENPGP_KEY);
    if (kind == NULL)
        return chy_fail(err, CHY_E_UNSUPPORTED, "OpenPGP has no keys of this type");
    if (created_unix_s < 0 || created_unix_s > UINT32_MAX)
        return chy_fail(err, CHY_E_ARG, "OpenPGP knows no time such as %lld",
                        (long long)created_unix_s);
    CHY_TRY(key_body(kind, spki, key.created_unix_s, &body, err));
    chy_copy(key.body, body.p, body.n);
    key.body_n = body.n;
    CHY_TRY(chy_openpgp_key_name(&key, err));
    *ret_key = key;
    return CHY_OK;
}

enum chy_err chy_openpgp_key_write(const struct chy_openpgp_key *key, struct chy_buf *out,
                                   struct chy_error *err)
{
    chy_buf_append_u8(out, OLD_KEY_2);
    chy_buf_append_u16(out, (uint16_t)key->body_n);
    chy_buf_append(out, (struct chy_bytes){ key->body, key->body_n });
    return chy_buf_check(out, err);
}

static enum chy_err user_id_check(struct chy_str user_id, struct chy_error *err)
{
    if (user_id.n > CHY_LIMIT_OPENPGP_USER_ID)
        return chy_fail(err, CHY_E_LIMIT, "a user id of %zu bytes; %d are the most", user_id.n,
                        CHY_LIMIT_OPENPGP_USER_ID);
    return CHY_OK;
}

enum chy_err chy_openpgp_user_id_write(struct chy_str user_id, struct chy_buf *out,
                                       struct chy_error *err)
{
    CHY_TRY(user_id_check(user_id, err));
    chy_buf_append_u8(out, OLD_USER_ID_1);
    chy_buf_append_u8(out, (uint8_t)user_id.n);
    chy_buf_append_str(out, user_id);
    return chy_buf_check(out, err);
}

/* Source: RFC 4880 section 5.2.4 */
enum chy_err chy_openpgp_certified_write(const struct chy_openpgp_key *key, struct chy_str user_id,
                                         struct chy_buf *out, struct chy_error *err)
{
    CHY_TRY(user_id_check(user_id, err));
    CHY_TRY(chy_openpgp_key_write(key, out, err));
    chy_buf_append_u8(out, HASHED_USER_ID);
    chy_buf_append_u32(out, (uint32_t)user_id.n);
    chy_buf_append_str(out, user_id);
    return chy_buf_check(out, err);
}

static struct chy_bytes key_id(const struct chy_openpgp_key *key)
{
    const size_t before = CHY_OPENPGP_FINGERPRINT_BYTES - CHY_OPENPGP_KEY_ID_BYTES;
    return (struct chy_bytes){ key->fingerprint + before, CHY_OPENPGP_KEY_ID_BYTES };
}

/* --- signatures --- */

static void put_sub(struct chy_buf *out, uint8_t type, struct chy_bytes body)
{
    chy_buf_append_u8(out, (uint8_t)(body.n + 1));
    chy_buf_append_u8(out, type);
    chy_buf_append(out, body);
}

static void put_hashed_subs(const struct chy_openpgp_signature *s, struct chy_buf *out)
{
    const uint32_t t = s->created_unix_s;
    const uint8_t created[4] = { (uint8_t)(t >> 24), (uint8_t)(t >> 16), (uint8_t)(t >> 8),
                                 (uint8_t)t };
    uint8_t issuer[1 + CHY_OPENPGP_FINGERPRINT_BYTES] = { VERSION };
    chy_copy(issuer + 1, s->key->fingerprint, CHY_OPENPGP_FINGERPRINT_BYTES);
    put_sub(out, SUB_ISSUER_FINGERPRINT, (struct chy_bytes){ issuer, sizeof issuer });
    put_sub(out, SUB_CREATED, (struct chy_bytes){ created, sizeof created });
    if (s->class != CHY_OPENPGP_CERTIFICATION)
        return;
    static const uint8_t flags[] = { MAY_CERTIFY_AND_SIGN };
    static const uint8_t preferred[] = { 10, 9, 8 }; /* SHA-512, SHA-384, SHA-256 */
    static const uint8_t features[] = { 0x01 };      /* modification detection: nobody misses it */
    put_sub(out, SUB_KEY_FLAGS, (struct chy_bytes){ flags, sizeof flags });
    put_sub(out, SUB_PREFERRED_HASHES, (struct chy_bytes){ preferred, sizeof preferred });
    put_sub(out, SUB_FEATURES, (struct chy_bytes){ features, sizeof features });
}

/* From the version to the hashed subpackets. */
static enum chy_err put_hashed(const struct chy_openpgp_signature *s, struct chy_buf *out,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf subs;
    chy_buf_init(&subs, UINT8_MAX);
    put_hashed_subs(s, &subs);
    CHY_TRY(chy_buf_check(&subs, err));
    chy_buf_append_u8(out, VERSION);
    chy_buf_append_u8(out, (uint8_t)s->class);
    chy_buf_append_u8(out, chy_openpgp_algorithm_number(s->key->type));
    chy_buf_append_u8(out, chy_openpgp_hash_number(s->hash));
    chy_buf_append_u16(out, (uint16_t)subs.n);
    chy_buf_append(out, chy_buf_bytes(&subs));
    return chy_buf_check(out, err);
}

enum chy_err chy_openpgp_tail_write(const struct chy_openpgp_signature *s, struct chy_buf *out,
                                    struct chy_error *err)
{
    size_t before = out->n;
    CHY_TRY(put_hashed(s, out, err));
    uint32_t n = (uint32_t)(out->n - before);
    chy_buf_append_u8(out, VERSION);
    chy_buf_append_u8(out, 0xff);
    chy_buf_append_u32(out, n);
    return chy_buf_check(out, err);
}

static enum chy_err put_ecdsa_numbers(struct chy_bytes der, struct chy_buf *out,
                                      struct chy_error *err)
{
    struct chy_bytes body;
    struct chy_bytes r;
    struct chy_bytes s;
    CHY_TRY(chy_der_take(&der, CHY_DER_SEQUENCE, &body, err));
    CHY_TRY(chy_der_take_uint(&body, &r, err));
    CHY_TRY(chy_der_take_uint(&body, &s, err));
    put_number(out, r);
    put_number(out, s);
    return CHY_OK;
}

static enum chy_err put_numbers(enum chy_key_type type, struct chy_bytes signature,
                                struct chy_buf *out, struct chy_error *err)
{
    size_t modulus = chy_key_type_modulus_bytes(type);
    if (type != CHY_KEY_ED25519 && modulus == 0)
        return put_ecdsa_numbers(signature, out, err);
    if (signature.n != (modulus != 0 ? modulus : 64))
        return chy_fail(err, CHY_E_MALFORMED,
                        "a signature of %zu bytes is none by a key of type %s", signature.n,
                        chy_enum_name(&chy_key_type_enum, (int)type));
    if (modulus != 0) {
        put_number(out, signature);
        return CHY_OK;
    }
    put_number(out, (struct chy_bytes){ signature.p, 32 });
    put_number(out, (struct chy_bytes){ signature.p + 32, 32 });
    return CHY_OK;
}

enum chy_err chy_openpgp_signature_write(const struct chy_openpgp_signature *s,
                                         struct chy_bytes digest, struct chy_bytes signature,
                                         struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    CHY_ASSERT(digest.n >= 2);
    chy_buf_init(&body, CHY_LIMIT_SIGNATURE);
    CHY_TRY(put_hashed(s, &body, err));
    chy_buf_append_u16(&body, 2 + CHY_OPENPGP_KEY_ID_BYTES);
    put_sub(&body, SUB_ISSUER, key_id(s->key));
    chy_buf_append(&body, (struct chy_bytes){ digest.p, 2 });
    CHY_TRY(put_numbers(s->key->type, signature, &body, err));
    CHY_TRY(chy_buf_check(&body, err));
    chy_buf_append_u8(out, OLD_SIGNATURE_2);
    chy_buf_append_u16(out, (uint16_t)body.n);
    chy_buf_append(out, chy_buf_bytes(&body));
    return chy_buf_check(out, err);
}

/* --- a signed message --- */

#define PART_LOG2 16
_Static_assert(1 << PART_LOG2 == CHY_OPENPGP_PART_BYTES, "a part's length is a power of two");

void chy_openpgp_message_init(struct chy_openpgp_message *m)
{
    chy_buf_init(&m->part, CHY_OPENPGP_PART_BYTES);
}

void chy_openpgp_message_done(struct chy_openpgp_message *m)
{
    chy_buf_done(&m->part);
}

enum chy_err chy_openpgp_message_begin(struct chy_openpgp_message *m,
                                       const struct chy_openpgp_signature *s, struct chy_buf *out,
                                       struct chy_error *err)
{
    /* Binary, without a name, of no date: none of this is signed, so it says nothing. */
    static const uint8_t literal[] = { 'b', 0, 0, 0, 0, 0 };
    const uint8_t head[] = { OLD_ONE_PASS_1,
                             4 + CHY_OPENPGP_KEY_ID_BYTES + 1,
                             3, /* version of this packet */
                             (uint8_t)s->class,
                             chy_openpgp_hash_number(s->hash),
                             chy_openpgp_algorithm_number(s->key->type) };
    chy_buf_append(out, (struct chy_bytes){ head, sizeof head });
    chy_buf_append(out, key_id(s->key));
    chy_buf_append_u8(out, 1); /* what follows is signed by this one alone */
    chy_buf_append_u8(out, NEW_LITERAL);
    CHY_TRY(chy_buf_check(out, err));
    return chy_openpgp_message_add(m, (struct chy_bytes){ literal, sizeof literal }, out, err);
}

enum chy_err chy_openpgp_message_add(struct chy_openpgp_message *m, struct chy_bytes data,
                                     struct chy_buf *out, struct chy_error *err)
{
    while (data.n != 0) {
        if (m->part.n == CHY_OPENPGP_PART_BYTES) {
            chy_buf_append_u8(out, 0xe0 | PART_LOG2);
            chy_buf_append(out, chy_buf_bytes(&m->part));
            m->part.n = 0;
        }
        size_t n = CHY_MIN(data.n, CHY_OPENPGP_PART_BYTES - m->part.n);
        chy_buf_append(&m->part, (struct chy_bytes){ data.p, n });
        data.p += n;
        data.n -= n;
    }
    CHY_TRY(chy_buf_check(&m->part, err));
    return chy_buf_check(out, err);
}

enum chy_err chy_openpgp_message_end(struct chy_openpgp_message *m, struct chy_buf *out,
                                     struct chy_error *err)
{
    chy_buf_append_u8(out, 0xff); /* a length of four bytes */
    chy_buf_append_u32(out, (uint32_t)m->part.n);
    chy_buf_append(out, chy_buf_bytes(&m->part));
    m->part.n = 0;
    return chy_buf_check(out, err);
}
