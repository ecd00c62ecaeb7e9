/* SPDX-License-Identifier: MIT */
/* What ssh-keygen -Y sign signed:
 *
 *   signature  "SSHSIG" | u32 1 | key | namespace | reserved | hash's name | signature |
 *   signed     "SSHSIG" | namespace | reserved | hash's name | hash of the file |
 *
 * Each but the first two is an SSH string (codec/ssh_wire.h). Source: OpenSSH's PROTOCOL.sshsig */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "codec/ssh_wire.h"
#include "crypto/pem.h"
#include "crypto/signature.h"

#define PREAMBLE    "SSHSIG"
#define VERSION     1
#define P521_NUMBER 66

struct sshsig {
    struct chy_bytes name_space;
    struct chy_bytes reserved;
    struct chy_bytes hash;
    struct chy_bytes type;
    struct chy_bytes value;
};

static enum chy_err sshsig_read(struct chy_bytes in, struct sshsig *ret, struct chy_error *err)
{
    const struct chy_bytes preamble = chy_str_bytes(CHY_STR(PREAMBLE));
    struct chy_bytes key;
    struct chy_bytes signature;
    uint32_t version;
    if (!chy_str_starts(chy_bytes_str(in), PREAMBLE))
        return chy_fail(err, CHY_E_MALFORMED, "no signature of ssh-keygen");
    in = (struct chy_bytes){ in.p + preamble.n, in.n - preamble.n };
    CHY_TRY(chy_ssh_take_u32(&in, &version, err));
    if (version != VERSION)
        return chy_fail(err, CHY_E_UNSUPPORTED, "an SSH signature of version %u", version);
    CHY_TRY(chy_ssh_take_string(&in, &key, err));
    CHY_TRY(chy_ssh_take_string(&in, &ret->name_space, err));
    CHY_TRY(chy_ssh_take_string(&in, &ret->reserved, err));
    CHY_TRY(chy_ssh_take_string(&in, &ret->hash, err));
    CHY_TRY(chy_ssh_take_string(&in, &signature, err));
    CHY_TRY(chy_ssh_end(in, err));
    CHY_TRY(chy_ssh_take_string(&signature, &ret->type, err));
    CHY_TRY(chy_ssh_take_string(&signature, &ret->value, err));
    return chy_ssh_end(signature, err);
}

static enum chy_sign_alg alg_of(struct chy_bytes type)
{
    static const struct {
        const char *type;
        enum chy_sign_alg alg;
    } algs[] = {
        { "rsa-sha2-256", CHY_ALG_RSA_PKCS1_SHA256 },
        { "rsa-sha2-512", CHY_ALG_RSA_PKCS1_SHA512 },
        { "ecdsa-sha2-nistp256", CHY_ALG_ECDSA_SHA256 },
        { "ecdsa-sha2-nistp384", CHY_ALG_ECDSA_SHA384 },
        { "ecdsa-sha2-nistp521", CHY_ALG_ECDSA_SHA512 },
        { "ssh-ed25519", CHY_ALG_ED25519 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(algs); i++) {
        if (chy_str_equal_c(chy_bytes_str(type), algs[i].type))
            return algs[i].alg;
    }
    return CHY_ALG_NONE;
}

/* --- the signature as our server gives it --- */

static bool put_padded(struct chy_buf *out, struct chy_bytes number, size_t width)
{
    static const uint8_t zeros[CHY_LIMIT_RAW_SIGNATURE] = { 0 };
    while (number.n > width && number.p[0] == 0)
        number = (struct chy_bytes){ number.p + 1, number.n - 1 };
    return number.n <= width && width <= sizeof zeros &&
           chy_buf_append(out, (struct chy_bytes){ zeros, width - number.n }) &&
           chy_buf_append(out, number);
}

static enum chy_err ecdsa_value(struct chy_bytes in, struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    struct chy_bytes r;
    struct chy_bytes s;
    chy_buf_init(&raw, (size_t)2 * P521_NUMBER);
    CHY_TRY(chy_ssh_take_string(&in, &r, err));
    CHY_TRY(chy_ssh_take_string(&in, &s, err));
    CHY_TRY(chy_ssh_end(in, err));
    if (!put_padded(&raw, r, P521_NUMBER) || !put_padded(&raw, s, P521_NUMBER))
        return chy_fail(err, CHY_E_MALFORMED, "a signature's numbers are longer than any curve's");
    return chy_ecdsa_to_der(chy_buf_bytes(&raw), out, err);
}

static enum chy_err value_of(enum chy_sign_alg alg, struct chy_bytes in, struct chy_buf *out,
                             struct chy_error *err)
{
    bool is_ecdsa = alg >= CHY_ALG_ECDSA_SHA256 && alg <= CHY_ALG_ECDSA_SHA512;
    if (is_ecdsa)
        return ecdsa_value(in, out, err);
    if (!put_padded(out, in, alg == CHY_ALG_ED25519 ? in.n : chy_rsa_signature_bytes(in.n)))
        return chy_fail(err, CHY_E_MALFORMED, "a signature longer than any key's");
    return chy_buf_check(out, err);
}

/* --- what was signed --- */

static enum chy_err signed_make(struct verify_run *run, const struct sshsig *s, struct chy_buf *out,
                                struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    const struct verify_ranges all = verify_whole(run);
    struct chy_str name = chy_bytes_str(s->hash);
    enum chy_hash_alg hash = chy_str_equal_c(name, "sha512")   ? CHY_HASH_SHA512
                             : chy_str_equal_c(name, "sha256") ? CHY_HASH_SHA256
                                                               : CHY_HASH_NONE;
    if (hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED, "an SSH signature by another hash than SSH's");
    CHY_TRY(verify_hash(run, &all, hash, digest, err));
    chy_buf_append_c(out, PREAMBLE);
    chy_ssh_put_string(out, s->name_space);
    chy_ssh_put_string(out, s->reserved);
    chy_ssh_put_string(out, s->hash);
    chy_ssh_put_string(out, (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) });
    return chy_buf_check(out, err);
}

static enum chy_err sshsig_add(struct verify_run *run, const struct sshsig *s,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf message;
    CHY_CLEANUP(chy_buf_done) struct chy_buf value;
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_sign_alg alg = alg_of(s->type);
    chy_buf_init(&message, CHY_LIMIT_SSH_MESSAGE);
    chy_buf_init(&value, CHY_LIMIT_RAW_SIGNATURE);
    if (alg == CHY_ALG_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED, "an SSH signature by a key that no server has");
    CHY_TRY(signed_make(run, s, &message, err));
    CHY_TRY(value_of(alg, s->value, &value, err));
    struct chy_bytes signed_ = chy_buf_bytes(&message);
    enum chy_hash_alg hash = chy_sign_alg_hash(alg);
    if (hash != CHY_HASH_NONE) {
        CHY_TRY(chy_hash(hash, signed_, digest, err));
        signed_ = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
    }
    return verify_signed_add(run, alg, signed_, chy_buf_bytes(&value), err);
}

enum chy_err verify_ssh(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf blob;
    struct chy_str text = chy_bytes_str(run->input->signature);
    struct sshsig s;
    chy_buf_init(&blob, CHY_LIMIT_SSH_MESSAGE);
    CHY_TRY(chy_pem_take(&text, "SSH SIGNATURE", &blob, err));
    CHY_TRY(sshsig_read(chy_buf_bytes(&blob), &s, err));
    return sshsig_add(run, &s, err);
}
