/* SPDX-License-Identifier: MIT */
#include "format/openpgp_read.h"

#include "crypto/signature.h"

enum {
    TAG_SIGNATURE = 2,
    TAG_KEY = 6,
    TAG_USER_ID = 13,
    VERSION = 4,
    NUMBERS_MAX = 2, /* of one signature */
};

/* --- taking from the front --- */

static enum chy_err broken(struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "what should be OpenPGP is truncated or no such thing");
}

static bool take(struct chy_bytes *in, size_t n, struct chy_bytes *ret)
{
    if (in->n < n)
        return false;
    *ret = (struct chy_bytes){ in->p, n };
    in->p += n;
    in->n -= n;
    return true;
}

static bool take_uint(struct chy_bytes *in, size_t bytes, size_t *ret)
{
    struct chy_bytes b;
    size_t v = 0;
    if (!take(in, bytes, &b))
        return false;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    *ret = v;
    return true;
}

/* Source: RFC 4880 section 4.2.2; parts of a length that is not known are for data alone */
static bool take_new_length(struct chy_bytes *in, size_t *ret)
{
    size_t first;
    size_t second;
    if (!take_uint(in, 1, &first) || (first >= 224 && first != 255))
        return false;
    if (first == 255)
        return take_uint(in, 4, ret);
    *ret = first;
    if (first < 192)
        return true;
    if (!take_uint(in, 1, &second))
        return false;
    *ret = ((first - 192) << 8) + second + 192;
    return true;
}

static bool take_length(struct chy_bytes *in, size_t tag, size_t *ret)
{
    if ((tag & 0x40) != 0)
        return take_new_length(in, ret);
    return (tag & 3) != 3 && take_uint(in, (size_t)1 << (tag & 3), ret);
}

static enum chy_err take_packet(struct chy_bytes *in, size_t want, struct chy_bytes *ret_body,
                                struct chy_error *err)
{
    size_t tag;
    size_t n;
    if (!take_uint(in, 1, &tag) || (tag & 0x80) == 0 || !take_length(in, tag, &n) ||
        !take(in, n, ret_body))
        return broken(err);
    size_t found = (tag & 0x40) != 0 ? tag & 0x3f : tag >> 2 & 0x0f;
    if (found != want)
        return chy_fail(err, CHY_E_MALFORMED,
                        "a packet of kind %zu stands where one of kind %zu must be", found, want);
    return CHY_OK;
}

/* --- signatures --- */

static enum chy_hash_alg hash_of(uint8_t number)
{
    for (int h = CHY_HASH_SHA256; h <= CHY_HASH_SHA512; h++) {
        if (chy_openpgp_hash_number((enum chy_hash_alg)h) == number)
            return (enum chy_hash_alg)h;
    }
    return CHY_HASH_NONE;
}

static enum chy_err body_read(struct chy_bytes body, struct chy_openpgp_seal *s,
                              struct chy_error *err)
{
    const uint8_t *start = body.p;
    struct chy_bytes head;
    struct chy_bytes skipped;
    struct chy_bytes left;
    size_t n;
    if (!take(&body, 4, &head))
        return broken(err);
    if (head.p[0] != VERSION)
        return chy_fail(err, CHY_E_UNSUPPORTED, "a signature of version %u, not 4",
                        (unsigned)head.p[0]);
    s->class = head.p[1];
    s->algorithm = head.p[2];
    s->hash = head.p[3];
    if (!take_uint(&body, 2, &n) || !take(&body, n, &skipped))
        return broken(err);
    s->hashed = (struct chy_bytes){ start, (size_t)(body.p - start) };
    if (!take_uint(&body, 2, &n) || !take(&body, n, &skipped) || !take(&body, 2, &left))
        return broken(err);
    chy_copy(s->left, left.p, sizeof s->left);
    s->numbers = body;
    return CHY_OK;
}

enum chy_err chy_openpgp_seal_take(struct chy_bytes *in, struct chy_openpgp_seal *ret,
                                   struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_bytes body;
    CHY_TRY(take_packet(&rest, TAG_SIGNATURE, &body, err));
    CHY_TRY(body_read(body, ret, err));
    *in = rest;
    return CHY_OK;
}

static enum chy_err take_signature(struct chy_bytes body, struct chy_openpgp_certificate *c,
                                   struct chy_error *err)
{
    struct chy_openpgp_seal s;
    CHY_TRY(body_read(body, &s, err));
    if (s.class != CHY_OPENPGP_CERTIFICATION)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "a signature of class 0x%02x is no certification that we made",
                        (unsigned)s.class);
    c->algorithm = s.algorithm;
    c->hash = s.hash;
    c->hashed = s.hashed;
    c->numbers = s.numbers;
    chy_copy(c->left, s.left, sizeof c->left);
    return CHY_OK;
}

static enum chy_err user_id_check(struct chy_str user_id, struct chy_error *err)
{
    if (user_id.n == 0 || user_id.n > CHY_LIMIT_OPENPGP_USER_ID || !chy_text_is_plain(user_id))
        return chy_fail(err, CHY_E_MALFORMED,
                        "the certificate's user id is no plain text of 1 to "
                        "%d bytes",
                        CHY_LIMIT_OPENPGP_USER_ID);
    return CHY_OK;
}

static enum chy_err key_check(struct chy_bytes body, struct chy_error *err)
{
    if (body.n > CHY_LIMIT_OPENPGP_KEY || body.n < 6)
        return broken(err);
    if (body.p[0] != VERSION)
        return chy_fail(err, CHY_E_UNSUPPORTED, "a key of version %u is none that we made",
                        (unsigned)body.p[0]);
    return CHY_OK;
}

enum chy_err chy_openpgp_certificate_read(struct chy_bytes in, struct chy_openpgp_certificate *ret,
                                          struct chy_error *err)
{
    struct chy_openpgp_certificate c = { 0 };
    struct chy_bytes user_id;
    struct chy_bytes signature;
    if (in.n > CHY_LIMIT_OPENPGP_CERTIFICATE)
        return chy_fail(err, CHY_E_LIMIT, "a certificate of %zu bytes is none of ours", in.n);
    struct chy_bytes rest = in;
    CHY_TRY(take_packet(&rest, TAG_KEY, &c.key_body, err));
    CHY_TRY(key_check(c.key_body, err));
    CHY_TRY(take_packet(&rest, TAG_USER_ID, &user_id, err));
    CHY_TRY(take_packet(&rest, TAG_SIGNATURE, &signature, err));
    if (rest.n != 0)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes stand behind the certificate", rest.n);
    c.user_id = chy_bytes_str(user_id);
    CHY_TRY(user_id_check(c.user_id, err));
    CHY_TRY(take_signature(signature, &c, err));
    struct chy_openpgp_key key = { .body_n = c.key_body.n };
    chy_copy(key.body, c.key_body.p, c.key_body.n);
    CHY_TRY(chy_openpgp_key_name(&key, err));
    chy_copy(c.fingerprint, key.fingerprint, sizeof c.fingerprint);
    *ret = c;
    return CHY_OK;
}

/* --- is it good? --- */

static enum chy_err not_good(const char *what, struct chy_error *err)
{
    return chy_fail(err, CHY_E_INTEGRITY, "the OpenPGP certificate is not good: %s", what);
}

/* Numbers lose their leading zeros; here they get them back. */
static enum chy_err put_number(struct chy_bytes *in, size_t width, struct chy_buf *out,
                               struct chy_error *err)
{
    static const uint8_t zeros[CHY_LIMIT_RAW_SIGNATURE] = { 0 };
    size_t bits;
    struct chy_bytes number;
    if (!take_uint(in, 2, &bits) || (bits + 7) / 8 > width || width > sizeof zeros ||
        !take(in, (bits + 7) / 8, &number))
        return not_good("its signature is no number of the key's size", err);
    chy_buf_append(out, (struct chy_bytes){ zeros, width - number.n });
    chy_buf_append(out, number);
    return chy_buf_check(out, err);
}

static enum chy_err signature_of(const struct chy_openpgp_certificate *c, enum chy_key_type type,
                                 struct chy_buf *out, struct chy_error *err)
{
    struct chy_bytes rest = c->numbers;
    size_t modulus = chy_key_type_modulus_bytes(type);
    size_t order = type == CHY_KEY_ED25519 ? 32 : chy_key_type_order_bytes(type);
    size_t numbers = modulus != 0 ? 1 : NUMBERS_MAX;
    for (size_t i = 0; i < numbers; i++)
        CHY_TRY(put_number(&rest, modulus != 0 ? modulus : order, out, err));
    return rest.n == 0 ? CHY_OK : not_good("something stands behind its signature", err);
}

static enum chy_err digest_of(const struct chy_openpgp_certificate *c,
                              const struct chy_openpgp_key *key, enum chy_hash_alg hash,
                              uint8_t *digest, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf data;
    chy_buf_init(&data, (size_t)2 * CHY_LIMIT_OPENPGP_CERTIFICATE);
    CHY_TRY(chy_openpgp_certified_write(key, c->user_id, &data, err));
    chy_buf_append(&data, c->hashed);
    chy_buf_append_u8(&data, VERSION);
    chy_buf_append_u8(&data, 0xff);
    chy_buf_append_u32(&data, (uint32_t)c->hashed.n);
    CHY_TRY(chy_buf_check(&data, err));
    return chy_hash(hash, chy_buf_bytes(&data), digest, err);
}

enum chy_err chy_openpgp_certificate_check(const struct chy_openpgp_certificate *c,
                                           const struct chy_openpgp_key *key,
                                           const struct chy_pubkey *pubkey, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg hash = hash_of(c->hash);
    chy_buf_init(&signature, CHY_LIMIT_RAW_SIGNATURE);
    if (!chy_bytes_equal(c->key_body, (struct chy_bytes){ key->body, key->body_n }))
        return not_good("it is another key's", err);
    if (c->algorithm != chy_openpgp_algorithm_number(key->type) || hash == CHY_HASH_NONE)
        return not_good("its algorithm does not fit the key", err);
    CHY_TRY(signature_of(c, key->type, &signature, err));
    CHY_TRY(digest_of(c, key, hash, digest, err));
    enum chy_err r = chy_pubkey_verify_digest(
        pubkey, chy_openpgp_sign_alg(key->type, hash), CHY_SIGNATURE_RAW,
        (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) }, chy_buf_bytes(&signature), err);
    if (r == CHY_E_INTEGRITY || r == CHY_E_ARG)
        return not_good("its signature is not by this key", err);
    if (r != CHY_OK)
        return r;
    if (c->left[0] != digest[0] || c->left[1] != digest[1])
        return not_good("it names another digest", err);
    return CHY_OK;
}

/* --- what the log has of a signature --- */

/* By the number of the algorithm: how many numbers it has, and the type of some key of its kind;
 * ECDSA's are as wide as those of the longest curve, which DER does not show. */
static const struct value_form {
    enum chy_key_type type;
    size_t numbers;
    size_t width; /* 0: of the shortest modulus that holds it */
} value_forms[] = {
    { CHY_KEY_RSA_2048, 1, 0 },
    { CHY_KEY_P521, 2, 66 },
    { CHY_KEY_ED25519, 2, 32 },
};

static const struct value_form *form_of(const struct chy_openpgp_seal *s)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(value_forms); i++) {
        if (chy_openpgp_algorithm_number(value_forms[i].type) == s->algorithm)
            return &value_forms[i];
    }
    return NULL;
}

enum chy_sign_alg chy_openpgp_seal_alg(const struct chy_openpgp_seal *s)
{
    const struct value_form *form = form_of(s);
    enum chy_hash_alg hash = hash_of(s->hash);
    return form == NULL || hash == CHY_HASH_NONE ? CHY_ALG_NONE
                                                 : chy_openpgp_sign_alg(form->type, hash);
}

enum chy_hash_alg chy_openpgp_seal_hash(const struct chy_openpgp_seal *s)
{
    return hash_of(s->hash);
}

enum chy_err chy_openpgp_seal_value(const struct chy_openpgp_seal *s, struct chy_buf *out,
                                    struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf numbers;
    const struct value_form *form = form_of(s);
    struct chy_bytes rest = s->numbers;
    size_t bits = 0;
    chy_buf_init(&numbers, CHY_LIMIT_RAW_SIGNATURE);
    if (form == NULL)
        return chy_fail(err, CHY_E_UNSUPPORTED, "a signature of algorithm %u, none of ours",
                        (unsigned)s->algorithm);
    struct chy_bytes first = rest;
    if (!take_uint(&first, 2, &bits))
        return broken(err);
    size_t width = form->width != 0 ? form->width : chy_rsa_signature_bytes((bits + 7) / 8);
    for (size_t i = 0; i < form->numbers; i++) {
        if (put_number(&rest, width, &numbers, err) != CHY_OK)
            return broken(err);
    }
    if (rest.n != 0)
        return broken(err);
    if (form->type == CHY_KEY_P521)
        return chy_ecdsa_to_der(chy_buf_bytes(&numbers), out, err);
    chy_buf_append(out, chy_buf_bytes(&numbers));
    return chy_buf_check(out, err);
}
