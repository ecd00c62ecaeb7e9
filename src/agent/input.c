/* SPDX-License-Identifier: MIT */
/* From what a tool hands to PKCS#11 to what the server is asked for. What the token signs must be
 * exactly what the tool gave: anything that would become other bytes on the way is refused. */
#include "agent/porter_internal.h"
#include "proto/digest_info.h"

static const struct {
    enum chy_door_scheme scheme;
    enum chy_sign_alg first; /* with SHA-256; SHA-384 and SHA-512 follow */
} algorithms[] = {
    { CHY_DOOR_RSA_PKCS1, CHY_ALG_RSA_PKCS1_SHA256 },
    { CHY_DOOR_RSA_PSS, CHY_ALG_RSA_PSS_SHA256 },
    { CHY_DOOR_ECDSA, CHY_ALG_ECDSA_SHA256 },
};

static enum chy_sign_alg algorithm_of(enum chy_door_scheme scheme, enum chy_hash_alg hash)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(algorithms); i++) {
        if (algorithms[i].scheme == scheme && hash != CHY_HASH_NONE)
            return (enum chy_sign_alg)((int)algorithms[i].first + (int)hash - CHY_HASH_SHA256);
    }
    return CHY_ALG_NONE;
}

static enum chy_hash_alg hash_of_length(size_t n)
{
    static const enum chy_hash_alg hashes[] = { CHY_HASH_SHA256, CHY_HASH_SHA384, CHY_HASH_SHA512 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        if (chy_hash_alg_bytes(hashes[i]) == n)
            return hashes[i];
    }
    return CHY_HASH_NONE;
}

/* The whole message was given, here or as a stream. */
static enum chy_err read_hashed(struct conn *c, const struct chy_door_input *in,
                                struct chy_arena *arena, struct signing *s, struct chy_error *err)
{
    uint8_t *digest = chy_arena_array(arena, uint8_t, CHY_LIMIT_DIGEST);
    if (digest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a digest");
    if (in->stream != 0)
        CHY_TRY(stream_end(c, in->stream, in->hash, digest, err));
    else
        CHY_TRY(chy_hash(in->hash, in->data, digest, err));
    s->algorithm = algorithm_of(in->scheme, in->hash);
    s->digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(in->hash) };
    s->content = in->stream != 0 ? (struct chy_bytes){ 0 } : in->data;
    s->hashed_by = CHY_HASHED_BY_CLIENT;
    return CHY_OK;
}

/* The hash of which this is the DigestInfo that a signer makes, RFC 8017 section 9.2. */
static enum chy_hash_alg digest_info_hash(struct chy_bytes data)
{
    static const enum chy_hash_alg hashes[] = { CHY_HASH_SHA256, CHY_HASH_SHA384, CHY_HASH_SHA512 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(hashes); i++) {
        const struct chy_bytes head = chy_digest_info_head(hashes[i]);
        if (data.n == head.n + chy_hash_alg_bytes(hashes[i]) &&
            chy_bytes_equal((struct chy_bytes){ data.p, head.n }, head))
            return hashes[i];
    }
    return CHY_HASH_NONE;
}

/* RFC 8017 section 9.2 has one encoding of each DigestInfo, with NULL for parameters, and the token
 * makes that one. Verifiers are to take one without as well (appendix A.2.4), so tools may make it:
 * signed as the digest it would be another signature than was asked for, and signed as raw bytes it
 * would go around the rules for its hash. So it is refused. What is no DigestInfo of SHA-2 at all
 * is signed as it is, where a policy names that. */
static enum chy_err read_digest_info(const struct chy_door_input *in, struct signing *s,
                                     struct chy_error *err)
{
    enum chy_hash_alg hash = digest_info_hash(in->data);
    if (hash != CHY_HASH_NONE) {
        s->digest =
            (struct chy_bytes){ in->data.p + CHY_DIGEST_INFO_HEAD_BYTES, chy_hash_alg_bytes(hash) };
        s->algorithm = algorithm_of(in->scheme, hash);
        s->hashed_by = CHY_HASHED_BY_TOOL;
        return CHY_OK;
    }
    if (in->data.n == 0)
        return chy_fail(err, CHY_E_ARG, "there is nothing to sign");
    if (chy_digest_info_is_like(in->data))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the tool gave a DigestInfo of SHA-2 that is not the one of RFC 8017");
    s->message = in->data;
    s->algorithm = CHY_ALG_RSA_PKCS1_RAW;
    s->hashed_by = CHY_HASHED_BY_NOBODY;
    return CHY_OK;
}

/* A digest was given; without its hash that is told by the length, for ECDSA alone. */
static enum chy_err read_digest(const struct chy_door_input *in, struct signing *s,
                                struct chy_error *err)
{
    bool is_inferred = in->hash == CHY_HASH_NONE && in->scheme == CHY_DOOR_ECDSA;
    enum chy_hash_alg hash = is_inferred ? hash_of_length(in->data.n) : in->hash;
    s->algorithm = algorithm_of(in->scheme, hash);
    if (s->algorithm == CHY_ALG_NONE || in->data.n != chy_hash_alg_bytes(hash))
        return chy_fail(err, CHY_E_ARG,
                        "the tool gave %zu bytes, which are no digest that can be signed",
                        in->data.n);
    s->digest = in->data;
    s->hashed_by = is_inferred ? CHY_HASHED_BY_INFERRED : CHY_HASHED_BY_TOOL;
    return CHY_OK;
}

static enum chy_err read_message(const struct chy_door_input *in, struct signing *s,
                                 struct chy_error *err)
{
    if (in->stream != 0 || in->hash != CHY_HASH_NONE || in->data.n == 0)
        return chy_fail(err, CHY_E_ARG, "Ed25519 signs a message of 1 to %d bytes",
                        CHY_LIMIT_CONTENT);
    s->algorithm = CHY_ALG_ED25519;
    s->message = in->data;
    s->hashed_by = CHY_HASHED_BY_NOBODY;
    return CHY_OK;
}

enum chy_err input_read(struct conn *c, const struct chy_door_input *input, struct chy_arena *arena,
                        struct signing *ret_signing, struct chy_error *err)
{
    struct signing s = { .algorithm = CHY_ALG_NONE };
    bool is_hashed_here = input->stream != 0 || input->is_message;
    if (input->scheme == CHY_DOOR_ED25519)
        CHY_TRY(read_message(input, &s, err));
    else if (is_hashed_here && input->hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_ARG, "a message is to be hashed, but with which hash?");
    else if (is_hashed_here)
        CHY_TRY(read_hashed(c, input, arena, &s, err));
    else if (input->scheme == CHY_DOOR_RSA_PKCS1 && input->hash == CHY_HASH_NONE)
        CHY_TRY(read_digest_info(input, &s, err));
    else
        CHY_TRY(read_digest(input, &s, err));
    *ret_signing = s;
    return CHY_OK;
}
