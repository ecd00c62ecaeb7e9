/* SPDX-License-Identifier: MIT */
#include "provider/sign.h"

#include <strings.h>

#include <openssl/evp.h>

#include "base/limits.h"
#include "codec/der.h"
#include "provider/ask.h"

/* Names that OpenSSL's own implementations have. */
static const struct {
    enum chy_hash_alg hash;
    const char *names[4];
} hashes[] = {
    { CHY_HASH_SHA256, { "SHA256", "SHA2-256", "SHA-256", "2.16.840.1.101.3.4.2.1" } },
    { CHY_HASH_SHA384, { "SHA384", "SHA2-384", "SHA-384", "2.16.840.1.101.3.4.2.2" } },
    { CHY_HASH_SHA512, { "SHA512", "SHA2-512", "SHA-512", "2.16.840.1.101.3.4.2.3" } },
};

enum chy_err chy_prov_hash_of(const char *name, enum chy_hash_alg *ret_hash, struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++)
        for (size_t k = 0; k < CHY_ARRAY_LEN(hashes[i].names); k++)
            if (strcasecmp(name, hashes[i].names[k]) == 0) {
                *ret_hash = hashes[i].hash;
                return CHY_OK;
            }
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "%.32s is none of the hashes that are signed: SHA256, SHA384, SHA512", name);
}

const char *chy_prov_hash_name(enum chy_hash_alg hash)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++)
        if (hashes[i].hash == hash)
            return hashes[i].names[0];
    return "";
}

/* --- its life --- */

void chy_prov_signing_init(struct chy_prov_signing *s, enum chy_prov_kind kind)
{
    static const enum chy_door_scheme schemes[] = { [CHY_PROV_RSA] = CHY_DOOR_RSA_PKCS1,
                                                    [CHY_PROV_EC] = CHY_DOOR_ECDSA,
                                                    [CHY_PROV_ED25519] = CHY_DOOR_ED25519 };
    *s =
        (struct chy_prov_signing){ .scheme = schemes[kind], .salt_bytes = CHY_PROV_SALT_AS_DIGEST };
    chy_buf_init(&s->data, CHY_LIMIT_CONTENT);
}

void chy_prov_signing_done(struct chy_prov_signing *s)
{
    chy_buf_done(&s->data);
    EVP_MD_CTX_free(s->md);
    *s = (struct chy_prov_signing){ 0 };
}

enum chy_err chy_prov_signing_copy(const struct chy_prov_signing *from,
                                   struct chy_prov_signing *ret_to, struct chy_error *err)
{
    struct chy_prov_signing to = *from;
    to.md = NULL;
    chy_buf_init(&to.data, CHY_LIMIT_CONTENT);
    if (from->md != NULL) {
        to.md = EVP_MD_CTX_new();
        if (to.md == NULL || !EVP_MD_CTX_copy_ex(to.md, from->md)) {
            EVP_MD_CTX_free(to.md);
            return chy_fail(err, CHY_E_CRYPTO, "a digest under way could not be copied");
        }
    }
    if (!chy_buf_append(&to.data, chy_buf_bytes(&from->data))) {
        chy_prov_signing_done(&to);
        return chy_fail(err, CHY_E_NOMEM, "no memory for a message");
    }
    *ret_to = to;
    return CHY_OK;
}

/* --- the message --- */

static enum chy_err hash_more(struct chy_prov_signing *s, struct chy_bytes part,
                              struct chy_error *err)
{
    if (part.n != 0 && !EVP_DigestUpdate(s->md, part.p, part.n))
        return chy_fail(err, CHY_E_CRYPTO, "a message could not be hashed");
    return CHY_OK;
}

static enum chy_err hash_begin(struct chy_prov_signing *s, const struct chy_prov *prov,
                               struct chy_error *err)
{
    EVP_MD *type = EVP_MD_fetch(prov->hashes, chy_prov_hash_name(s->hash), NULL);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (type == NULL || md == NULL || !EVP_DigestInit_ex2(md, type, NULL)) {
        EVP_MD_CTX_free(md);
        md = NULL;
    }
    EVP_MD_free(type); /* the context has its own */
    if (md == NULL)
        return chy_fail(err, CHY_E_CRYPTO, "OpenSSL's %s is not there",
                        chy_prov_hash_name(s->hash));
    s->md = md;
    return CHY_OK;
}

enum chy_err chy_prov_signing_add(struct chy_prov_signing *s, const struct chy_prov *prov,
                                  struct chy_bytes part, struct chy_error *err)
{
    if (s->md == NULL && part.n <= CHY_LIMIT_CONTENT - s->data.n)
        return chy_buf_append(&s->data, part)
                   ? CHY_OK
                   : chy_fail(err, CHY_E_NOMEM, "no memory for a message");
    if (s->scheme == CHY_DOOR_ED25519)
        return chy_fail(err, CHY_E_LIMIT, "Ed25519 signs a message of at most %d bytes",
                        CHY_LIMIT_CONTENT);
    if (!s->is_message)
        return chy_fail(err, CHY_E_ARG, "%zu bytes are no digest that can be signed", part.n);
    if (s->md == NULL) {
        CHY_TRY(hash_begin(s, prov, err));
        CHY_TRY(hash_more(s, chy_buf_bytes(&s->data), err));
        chy_buf_clear(&s->data);
    }
    return hash_more(s, part, err);
}

static enum chy_err message_end(struct chy_prov_signing *s, struct chy_error *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (s->md == NULL)
        return CHY_OK;
    if (!EVP_DigestFinal_ex(s->md, digest, &n))
        return chy_fail(err, CHY_E_CRYPTO, "a message could not be hashed");
    EVP_MD_CTX_free(s->md);
    s->md = NULL;
    s->is_message = false;
    return chy_buf_append(&s->data, (struct chy_bytes){ digest, n })
               ? CHY_OK
               : chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
}

/* --- the signature --- */

/* What the token makes, and nothing else: MGF1 with the same hash, a salt as long. */
static enum chy_err pss_check(const struct chy_prov_signing *s, struct chy_error *err)
{
    if (s->hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_ARG, "RSA-PSS signs a digest, and the digest's name is missing");
    if (s->mgf1 != CHY_HASH_NONE && s->mgf1 != s->hash)
        return chy_fail(err, CHY_E_UNSUPPORTED, "RSA-PSS is made with MGF1 of the same hash, %s",
                        chy_prov_hash_name(s->hash));
    if (s->salt_bytes != CHY_PROV_SALT_AS_DIGEST &&
        (size_t)s->salt_bytes != chy_hash_alg_bytes(s->hash))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "RSA-PSS is made with a salt of %zu bytes, as long as the digest",
                        chy_hash_alg_bytes(s->hash));
    return CHY_OK;
}

/* The data is a digest where it is neither a message nor what RSA pads as it is. Without a name it
 * is told by its length, for ECDSA alone. */
static enum chy_err digest_check(const struct chy_prov_signing *s, struct chy_error *err)
{
    bool is_fitting = false;
    if (s->is_message || (s->scheme == CHY_DOOR_RSA_PKCS1 && s->hash == CHY_HASH_NONE))
        return CHY_OK;
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++)
        is_fitting |= (s->hash == CHY_HASH_NONE || s->hash == hashes[i].hash) &&
                      s->data.n == chy_hash_alg_bytes(hashes[i].hash);
    return is_fitting
               ? CHY_OK
               : chy_fail(err, CHY_E_ARG, "%zu bytes are no digest that can be signed", s->data.n);
}

static struct chy_bytes without_zeros(struct chy_bytes n)
{
    while (n.n != 0 && n.p[0] == 0)
        n = (struct chy_bytes){ n.p + 1, n.n - 1 };
    return n;
}

/* r and s of equal length, as DER (RFC 3279 section 2.2.3). */
static enum chy_err ecdsa_write(struct chy_bytes raw, struct chy_buf *out, struct chy_error *err)
{
    struct chy_der_writer w;
    size_t half = raw.n / 2;
    chy_der_writer_init(&w, out);
    chy_der_open(&w, CHY_DER_SEQUENCE);
    chy_der_put_uint(&w, without_zeros((struct chy_bytes){ raw.p, half }));
    chy_der_put_uint(&w, without_zeros((struct chy_bytes){ raw.p + half, half }));
    chy_der_close(&w);
    return chy_buf_check(out, err);
}

static enum chy_err signature_write(const struct chy_prov_key *key, struct chy_bytes raw,
                                    struct chy_buf *out, struct chy_error *err)
{
    size_t wanted =
        key->kind == CHY_PROV_EC ? 2 * key->curve->order_bytes : chy_prov_key_signature_max(key);
    if (raw.n != wanted)
        return chy_fail(err, CHY_E_PROTOCOL, "a signature of %zu bytes, expected %zu", raw.n,
                        wanted);
    if (key->kind == CHY_PROV_EC)
        return ecdsa_write(raw, out, err);
    chy_buf_append(out, raw);
    return chy_buf_check(out, err);
}

enum chy_err chy_prov_signing_end(struct chy_prov_signing *s, const struct chy_prov_key *key,
                                  struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_SIGNATURE);
    if (s->scheme == CHY_DOOR_RSA_PSS)
        CHY_TRY(pss_check(s, err));
    CHY_TRY(message_end(s, err));
    CHY_TRY(digest_check(s, err));
    const struct chy_door_input input = { .key = key->name,
                                          .scheme = s->scheme,
                                          .hash = s->hash,
                                          .is_message = s->is_message && s->hash != CHY_HASH_NONE,
                                          .data = chy_buf_bytes(&s->data) };
    CHY_TRY(chy_prov_ask_sign(&input, &raw, err));
    return signature_write(key, chy_buf_bytes(&raw), out, err);
}
