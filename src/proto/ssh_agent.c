/* SPDX-License-Identifier: MIT */
#include "proto/ssh_agent.h"

#include "base/limits.h"
#include "codec/der.h"
#include "codec/ssh_wire.h"

#define RSA_NAME     "ssh-rsa"
#define SESSION_BIND "session-bind@openssh.com"

/* Keys whose signatures are named as they are, with the hash that goes with them. */
static const struct kind {
    enum chy_key_type type;
    enum chy_door_scheme scheme;
    enum chy_hash_alg hash;
    const char *name;
    const char *curve; /* NULL: the name says all */
} kinds[] = {
    { CHY_KEY_P256, CHY_DOOR_ECDSA, CHY_HASH_SHA256, "ecdsa-sha2-nistp256", "nistp256" },
    { CHY_KEY_P384, CHY_DOOR_ECDSA, CHY_HASH_SHA384, "ecdsa-sha2-nistp384", "nistp384" },
    { CHY_KEY_P521, CHY_DOOR_ECDSA, CHY_HASH_SHA512, "ecdsa-sha2-nistp521", "nistp521" },
    { CHY_KEY_ED25519, CHY_DOOR_ED25519, CHY_HASH_NONE, "ssh-ed25519", NULL },
};

static const struct {
    uint32_t flag;
    enum chy_hash_alg hash;
    const char *name;
} rsa_signatures[] = {
    { CHY_SSH_RSA_SHA2_256, CHY_HASH_SHA256, "rsa-sha2-256" },
    { CHY_SSH_RSA_SHA2_512, CHY_HASH_SHA512, "rsa-sha2-512" },
};

static const struct kind *kind_of(enum chy_key_type type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type)
            return &kinds[i];
    }
    return NULL;
}

/* --- messages --- */

enum chy_err chy_ssh_message_size(struct chy_bytes in, size_t *ret_size, struct chy_error *err)
{
    uint32_t n = 0;
    if (in.n < CHY_SSH_LENGTH_BYTES) {
        *ret_size = 0;
        return CHY_OK;
    }
    CHY_TRY(chy_ssh_take_u32(&in, &n, err));
    if (n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "a message of SSH without a type");
    if (n > CHY_LIMIT_SSH_MESSAGE)
        return chy_fail(err, CHY_E_LIMIT, "a message of SSH of %u bytes, %d at most", n,
                        CHY_LIMIT_SSH_MESSAGE);
    *ret_size = in.n >= n ? CHY_SSH_LENGTH_BYTES + (size_t)n : 0;
    return CHY_OK;
}

static enum chy_err read_sign(struct chy_bytes in, struct chy_ssh_request *r, struct chy_error *err)
{
    CHY_TRY(chy_ssh_take_string(&in, &r->key, err));
    CHY_TRY(chy_ssh_take_string(&in, &r->data, err));
    CHY_TRY(chy_ssh_take_u32(&in, &r->flags, err));
    return chy_ssh_end(in, err);
}

/* Whose host key that is, and its signature, is of no matter: nothing is granted by it. */
static enum chy_err read_extension(struct chy_bytes in, struct chy_ssh_request *r,
                                   struct chy_error *err)
{
    struct chy_bytes skipped;
    uint8_t flag = 0;
    CHY_TRY(chy_ssh_take_string(&in, &r->extension, err));
    if (!chy_str_equal_c(chy_bytes_str(r->extension), SESSION_BIND))
        return CHY_OK;
    for (size_t i = 0; i < 3; i++)
        CHY_TRY(chy_ssh_take_string(&in, &skipped, err));
    CHY_TRY(chy_ssh_take_u8(&in, &flag, err));
    r->is_forwarded = flag != 0;
    return chy_ssh_end(in, err);
}

enum chy_err chy_ssh_request_read(struct chy_bytes message, struct chy_ssh_request *ret_request,
                                  struct chy_error *err)
{
    struct chy_ssh_request r = { 0 };
    uint32_t n = 0;
    CHY_TRY(chy_ssh_take_u32(&message, &n, err));
    CHY_TRY(chy_ssh_take_u8(&message, &r.type, err));
    if (r.type == CHY_SSH_REQUEST_IDENTITIES)
        CHY_TRY(chy_ssh_end(message, err));
    else if (r.type == CHY_SSH_SIGN_REQUEST)
        CHY_TRY(read_sign(message, &r, err));
    else if (r.type == CHY_SSH_EXTENSION)
        CHY_TRY(read_extension(message, &r, err));
    *ret_request = r;
    return CHY_OK;
}

/* --- keys --- */

static enum chy_err point_write(const struct kind *kind, const struct chy_door_key *key,
                                struct chy_buf *out, struct chy_error *err)
{
    struct chy_bytes in = key->ec_point;
    struct chy_bytes point;
    CHY_TRY(chy_der_take(&in, CHY_DER_OCTET_STRING, &point, err));
    CHY_TRY(chy_der_end(in, err));
    chy_ssh_put_text(out, kind->name);
    if (kind->curve != NULL)
        chy_ssh_put_text(out, kind->curve);
    chy_ssh_put_string(out, point);
    return chy_buf_check(out, err);
}

enum chy_err chy_ssh_key_write(const struct chy_door_key *key, struct chy_buf *out,
                               struct chy_error *err)
{
    const struct kind *kind = kind_of(key->type);
    if (kind != NULL)
        return point_write(kind, key, out, err);
    if (!chy_key_type_is_rsa(key->type))
        return chy_fail(err, CHY_E_UNSUPPORTED, "SSH knows no keys of type %s",
                        chy_enum_name(&chy_key_type_enum, (int)key->type));
    chy_ssh_put_text(out, RSA_NAME);
    chy_ssh_put_mpint(out, key->public_exponent);
    chy_ssh_put_mpint(out, key->modulus);
    return chy_buf_check(out, err);
}

/* --- signatures --- */

static enum chy_err rsa_hash(uint32_t flags, enum chy_hash_alg *ret_hash, struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rsa_signatures); i++) {
        if (rsa_signatures[i].flag == flags) {
            *ret_hash = rsa_signatures[i].hash;
            return CHY_OK;
        }
    }
    if (flags == 0)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "an RSA signature with SHA-1 (ssh-rsa) is not made: ask for rsa-sha2-512");
    return chy_fail(err, CHY_E_UNSUPPORTED, "flags 0x%x mean nothing for an RSA key", flags);
}

enum chy_err chy_ssh_sign_input(const struct chy_door_key *key,
                                const struct chy_ssh_request *request,
                                struct chy_door_input *ret_input, struct chy_error *err)
{
    const struct kind *kind = kind_of(key->type);
    struct chy_door_input input = { .key = key->name, .data = request->data };
    if (request->data.n == 0)
        return chy_fail(err, CHY_E_ARG, "there is nothing to sign");
    if (request->data.n > CHY_LIMIT_CONTENT)
        return chy_fail(err, CHY_E_LIMIT, "%zu bytes are to be signed, %d at most", request->data.n,
                        CHY_LIMIT_CONTENT);
    if (kind == NULL) {
        input.scheme = CHY_DOOR_RSA_PKCS1;
        CHY_TRY(rsa_hash(request->flags, &input.hash, err));
    } else if (request->flags != 0) {
        return chy_fail(err, CHY_E_UNSUPPORTED, "flags 0x%x mean nothing for a key of type %s",
                        request->flags, kind->name);
    } else {
        input.scheme = kind->scheme;
        input.hash = kind->hash;
    }
    input.is_message = input.hash != CHY_HASH_NONE;
    *ret_input = input;
    return CHY_OK;
}

static const char *signature_name(const struct chy_door_input *input)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rsa_signatures); i++) {
        if (input->scheme == CHY_DOOR_RSA_PKCS1 && input->hash == rsa_signatures[i].hash)
            return rsa_signatures[i].name;
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        if (input->scheme == kinds[i].scheme && input->hash == kinds[i].hash)
            return kinds[i].name;
    }
    return NULL;
}

/* RFC 5656 section 3.1.2: r and s, each an mpint. */
static enum chy_err ecdsa_write(struct chy_bytes raw, struct chy_buf *out, struct chy_error *err)
{
    size_t n = raw.n / 2;
    if (raw.n == 0 || raw.n % 2 != 0)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes are no ECDSA signature", raw.n);
    CHY_CLEANUP(chy_buf_done) struct chy_buf pair;
    chy_buf_init(&pair, CHY_LIMIT_SIGNATURE);
    chy_ssh_put_mpint(&pair, (struct chy_bytes){ raw.p, n });
    chy_ssh_put_mpint(&pair, (struct chy_bytes){ raw.p + n, n });
    CHY_TRY(chy_buf_check(&pair, err));
    chy_ssh_put_string(out, chy_buf_bytes(&pair));
    return CHY_OK;
}

enum chy_err chy_ssh_signature_write(const struct chy_door_input *input, struct chy_bytes signature,
                                     struct chy_buf *out, struct chy_error *err)
{
    const char *name = signature_name(input);
    if (name == NULL)
        return chy_fail(err, CHY_E_ARG, "SSH has no name for such a signature");
    chy_ssh_put_text(out, name);
    if (input->scheme == CHY_DOOR_ECDSA)
        CHY_TRY(ecdsa_write(signature, out, err));
    else
        chy_ssh_put_string(out, signature);
    return chy_buf_check(out, err);
}
