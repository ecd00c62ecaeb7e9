/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "client/signing.h"
#include "codec/hex.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "gpgsm/gpgsm.h"
#include "os/clock.h"
#include "os/fd.h"
#include "plugin/caller.h"

#define PEM_BYTES ((size_t)CHY_LIMIT_CMS * 3 / 2)

/* --- the server --- */

static struct chy_signing server_of(struct chy_gpgsm *g)
{
    return (struct chy_signing){ g->client, &g->env, &g->arena };
}

static enum chy_err connect_server(struct chy_gpgsm *g, struct chy_error *err)
{
    const struct chy_settings_options none = { .profile = { NULL, 0 } };
    struct chy_error why;
    CHY_TRY(chy_settings_load(&g->env, &none, &g->arena, &g->settings, err));
    g->has_settings = true;
    CHY_TRY(chy_signing_connect(&g->settings, &g->client, &why, err));
    if (why.code != CHY_OK)
        chy_gpgsm_say(g, "the client certificate could not be renewed: %s", why.text);
    return CHY_OK;
}

/* --- the key --- */

static enum chy_err find_key(struct chy_gpgsm *g, struct chy_key *ret_key, struct chy_error *err)
{
    const struct chy_signing s = server_of(g);
    struct chy_str name = g->options.local_user;
    if (name.n == 0)
        return chy_fail(err, CHY_E_ARG, "say which key signs: -u NAME, of git user.signingKey");
    if (name.n > CHY_LIMIT_NAME || !chy_text_is_plain(name))
        return chy_fail(err, CHY_E_NOT_FOUND, "\"%.*s\" is no name of a key", CHY_STR_ARG(name));
    enum chy_err r = chy_signing_key(&s, name, ret_key, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, r,
                        "there is no key \"%.*s\": git's user.signingKey is the name of a key "
                        "(chancery keys list --usable)",
                        CHY_STR_ARG(name));
    return r;
}

/* With one that has ended nobody would believe the signature; it is not even asked for. */
static enum chy_err check_certificate(const struct chy_key *key, struct chy_error *err)
{
    if (key->certificates.n == 0)
        return chy_fail(err, CHY_E_STATE,
                        "key \"%.*s\" has no certificate: have a CA issue one (chancery certs csr, "
                        "chancery certs import)",
                        CHY_STR_ARG(key->name));
    if (key->certificates.p[0].not_after_us <= chy_clock_realtime_us())
        return chy_fail(err, CHY_E_STATE,
                        "the certificate of key \"%.*s\" (%.*s) has ended: have a CA issue another",
                        CHY_STR_ARG(key->name), CHY_STR_ARG(key->certificates.p[0].subject));
    return CHY_OK;
}

/* --- the signature --- */

/* Ask for a signature over the attributes, which is about the data. */
static enum chy_err ask(struct chy_gpgsm *g, const struct chy_key *key, const struct chy_cms *cms,
                        struct chy_bytes attributes, uint64_t size_bytes,
                        struct chy_bytes *ret_signature, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg hash = chy_sign_alg_hash(cms->alg);
    const struct chy_artifact artifact = { .digest = cms->content_digest,
                                           .hash = hash,
                                           .size_bytes = size_bytes };
    const struct chy_sign_item item = {
        .key = key->name,
        .algorithm = cms->alg,
        .digest = { digest, chy_hash_alg_bytes(hash) },
        .content = attributes,
        .hashed_by = CHY_HASHED_BY_CLIENT,
        .artifact = &artifact,
    };
    const struct chy_signing s = server_of(g);
    const struct chy_sign_result *result = NULL;
    struct chy_sign_request request = { .items = { &item, 1 } };
    CHY_TRY(chy_hash(hash, attributes, digest, err));
    CHY_TRY(chy_caller_facts(g->client, &g->arena, &request, err));
    CHY_TRY(chy_signing_ask(&s, key, &request, &result, err));
    *ret_signature = result->signature;
    return CHY_OK;
}

/* --- the whole --- */

/* The numbers are OpenPGP's (RFC 4880 section 9), which gpgsm uses as well. */
static void say_created(const struct chy_gpgsm *g, const struct chy_key *key,
                        const struct chy_cms *cms)
{
    char fingerprint[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    int kind = chy_key_type_is_rsa(key->type) ? 1 : 19;
    int hash = 8 + (int)chy_sign_alg_hash(cms->alg) - (int)CHY_HASH_SHA256;
    chy_hex_encode((struct chy_bytes){ cms->certificates[0].sha256, CHY_HASH_BYTES }, fingerprint);
    chy_gpgsm_status(g, "SIG_CREATED D %d %d 00 %lld %s", kind, hash,
                     (long long)(cms->time_us / 1000000), fingerprint);
}

static enum chy_err write_signature(const struct chy_gpgsm *g, const struct chy_buf *der,
                                    struct chy_error *err)
{
    if (!g->options.is_armored)
        return chy_fd_write(g->out, chy_buf_bytes(der), err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, PEM_BYTES);
    chy_pem_append(&pem, "SIGNED MESSAGE", chy_buf_bytes(der));
    CHY_TRY(chy_buf_check(&pem, err));
    return chy_fd_write(g->out, chy_buf_bytes(&pem), err);
}

static enum chy_err sign_data(struct chy_gpgsm *g, const struct chy_key *key, struct chy_bytes data,
                              struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    CHY_CLEANUP(chy_buf_done) struct chy_buf attributes;
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    struct chy_bytes signature = { 0 };
    struct chy_cms cms = {
        .certificates = key->certificates.p,
        .n_certificates = key->certificates.n,
        .has_attributes = true,
        .holds_certificates = true,
        .alg = chy_key_type_default_alg(key->type),
        .time_us = chy_clock_realtime_us(),
    };
    enum chy_hash_alg hash = chy_sign_alg_hash(cms.alg);
    chy_buf_init(&attributes, CHY_LIMIT_CONTENT);
    chy_buf_init(&der, CHY_LIMIT_CMS);
    if (hash != CHY_HASH_NONE)
        CHY_TRY(chy_hash(hash, data, digest, err));
    cms.content_digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
    CHY_TRY(chy_cms_attributes(&cms, &attributes, err));
    CHY_TRY(ask(g, key, &cms, chy_buf_bytes(&attributes), data.n, &signature, err));
    CHY_TRY(chy_cms_assemble(&cms, chy_buf_bytes(&attributes), signature, &der, err));
    CHY_TRY(write_signature(g, &der, err));
    say_created(g, key, &cms);
    return CHY_OK;
}

enum chy_err chy_gpgsm_sign(struct chy_gpgsm *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf data;
    struct chy_key key;
    chy_buf_init(&data, CHY_LIMIT_GPGSM_DATA);
    if (g->options.command != CHY_GNUPG_DETACH_SIGN || g->options.words.n > 1)
        return chy_fail(err, CHY_E_ARG,
                        "one signature of one file, which stands apart, is made: -bsau KEY [FILE]");
    CHY_TRY(chy_gpgsm_read(g, 0, &data, err));
    CHY_TRY(connect_server(g, err));
    CHY_TRY(find_key(g, &key, err));
    CHY_TRY(check_certificate(&key, err));
    return sign_data(g, &key, chy_buf_bytes(&data), err);
}
