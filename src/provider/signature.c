/* SPDX-License-Identifier: MIT */
/* Signatures for OpenSSL. Keys of the server sign through the agent. Verification, of these keys
 * and of public ones that OpenSSL hands in, is OpenSSL's own: in a program that loaded us first we
 * may be asked to verify anything, with parameters that we never sign with.
 * Source: provider-signature(7). */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "provider/algorithm.h"
#include "provider/key.h"
#include "provider/provider.h"
#include "provider/sign.h"

struct signature {
    const struct chy_prov *prov;
    enum chy_prov_kind kind;
    struct chy_prov_key *key; /* NULL: nothing was begun */
    struct chy_prov_signing signing;
    EVP_PKEY_CTX *verify; /* NULL: it signs. `verify_md` owns it if that is there */
    EVP_MD_CTX *verify_md;
};

static struct signature *signature_new(const struct chy_prov *prov, enum chy_prov_kind kind)
{
    struct signature *s = chy_new(struct signature);
    if (s == NULL)
        return NULL;
    s->prov = prov;
    s->kind = kind;
    chy_prov_signing_init(&s->signing, kind);
    return s;
}

static void *rsa_newctx(void *provctx, const char *properties)
{
    (void)properties;
    return signature_new(provctx, CHY_PROV_RSA);
}

static void *ecdsa_newctx(void *provctx, const char *properties)
{
    (void)properties;
    return signature_new(provctx, CHY_PROV_EC);
}

static void *ed25519_newctx(void *provctx, const char *properties)
{
    (void)properties;
    return signature_new(provctx, CHY_PROV_ED25519);
}

static void verify_done(struct signature *s)
{
    if (s->verify_md == NULL)
        EVP_PKEY_CTX_free(s->verify);
    EVP_MD_CTX_free(s->verify_md);
    s->verify = NULL;
    s->verify_md = NULL;
}

static void signature_free(void *ctx)
{
    struct signature *s = ctx;
    if (s == NULL)
        return;
    verify_done(s);
    chy_prov_signing_done(&s->signing);
    chy_prov_key_unref(s->key);
    chy_free(s);
}

static int answer(const struct signature *s, enum chy_err r, const struct chy_error *err)
{
    if (r != CHY_OK)
        chy_prov_raise(s->prov, err);
    return r == CHY_OK;
}

/* --- copies: EVP_DigestSignFinal() makes one, so that the caller may go on --- */

static bool verify_dup(const struct signature *from, struct signature *to)
{
    if (from->verify == NULL)
        return true;
    if (from->verify_md == NULL) {
        to->verify = EVP_PKEY_CTX_dup(from->verify);
        return to->verify != NULL;
    }
    to->verify_md = EVP_MD_CTX_new();
    if (to->verify_md == NULL || !EVP_MD_CTX_copy_ex(to->verify_md, from->verify_md))
        return false;
    to->verify = EVP_MD_CTX_get_pkey_ctx(to->verify_md);
    return to->verify != NULL;
}

static void *signature_dup(void *ctx)
{
    struct chy_error err;
    const struct signature *from = ctx;
    struct signature *to = signature_new(from->prov, from->kind);
    if (to == NULL)
        return NULL;
    enum chy_err r = chy_prov_signing_copy(&from->signing, &to->signing, &err);
    to->key = from->key != NULL ? chy_prov_key_ref(from->key) : NULL;
    if (answer(from, r, &err) && verify_dup(from, to))
        return to;
    signature_free(to);
    return NULL;
}

/* --- parameters --- */

static enum chy_err digest_set(struct signature *s, const OSSL_PARAM params[],
                               struct chy_error *err)
{
    enum chy_hash_alg hash;
    const char *name = NULL;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
    if (p == NULL || s->kind == CHY_PROV_ED25519)
        return CHY_OK;
    if (!OSSL_PARAM_get_utf8_string_ptr(p, &name) || name == NULL)
        return chy_fail(err, CHY_E_ARG, "the digest's name is none");
    CHY_TRY(chy_prov_hash_of(name, &hash, err));
    if (s->signing.is_message && hash != s->signing.hash)
        return chy_fail(err, CHY_E_STATE, "the message is hashed with %s, not with %.32s",
                        chy_prov_hash_name(s->signing.hash), name);
    s->signing.hash = hash;
    return CHY_OK;
}

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    struct chy_error err;
    struct signature *s = ctx;
    if (params == NULL)
        return 1;
    if (s->verify != NULL)
        return EVP_PKEY_CTX_set_params(s->verify, params) > 0;
    enum chy_err r = digest_set(s, params, &err);
    if (r == CHY_OK && s->kind == CHY_PROV_RSA)
        r = chy_prov_rsa_set(&s->signing, params, &err);
    return answer(s, r, &err);
}

static enum chy_err identifier_get(const struct signature *s, OSSL_PARAM *p, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_PROV_ALGORITHM_MAX);
    CHY_TRY(chy_prov_algorithm_write(s->signing.scheme, s->signing.hash, &der, err));
    return OSSL_PARAM_set_octet_string(p, der.p, der.n)
               ? CHY_OK
               : chy_fail(err, CHY_E_LIMIT, "the algorithm's identifier does not fit");
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    struct chy_error err;
    const struct signature *s = ctx;
    if (params == NULL)
        return 1;
    if (s->verify != NULL)
        return EVP_PKEY_CTX_get_params(s->verify, params) > 0;
    OSSL_PARAM *identifier = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
    if (identifier != NULL && !answer(s, identifier_get(s, identifier, &err), &err))
        return 0;
    if (digest != NULL && !OSSL_PARAM_set_utf8_string(digest, chy_prov_hash_name(s->signing.hash)))
        return 0;
    return s->kind != CHY_PROV_RSA || chy_prov_rsa_get(&s->signing, params);
}

#define IDENTIFIER OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0)
#define TEXT(name) OSSL_PARAM_utf8_string((name), NULL, 0)
#define RSA_TEXTS                                                           \
    TEXT(OSSL_SIGNATURE_PARAM_DIGEST), TEXT(OSSL_SIGNATURE_PARAM_PAD_MODE), \
        TEXT(OSSL_SIGNATURE_PARAM_PSS_SALTLEN), TEXT(OSSL_SIGNATURE_PARAM_MGF1_DIGEST)

static const OSSL_PARAM *rsa_gettable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { IDENTIFIER, RSA_TEXTS, OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *rsa_settable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { RSA_TEXTS, OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ecdsa_gettable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { IDENTIFIER, TEXT(OSSL_SIGNATURE_PARAM_DIGEST),
                                       OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ecdsa_settable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { TEXT(OSSL_SIGNATURE_PARAM_DIGEST), OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ed25519_gettable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { IDENTIFIER, OSSL_PARAM_END };
    return list;
}

static const OSSL_PARAM *ed25519_settable(void *ctx, void *provctx)
{
    (void)ctx;
    (void)provctx;
    static const OSSL_PARAM list[] = { OSSL_PARAM_END };
    return list;
}

/* --- the beginning --- */

/* OpenSSL begins anew with a context it has, and without a key to keep the one before. */
static enum chy_err key_take(struct signature *s, const struct chy_prov_keydata *d,
                             struct chy_error *err)
{
    verify_done(s);
    if (d == NULL && s->key == NULL)
        return chy_fail(err, CHY_E_ARG, "there is no key");
    if (d == NULL)
        return CHY_OK;
    if (d->key == NULL || d->kind != s->kind)
        return chy_fail(err, CHY_E_ARG, "the key is of another kind");
    struct chy_prov_key *old = s->key;
    s->key = chy_prov_key_ref(d->key);
    chy_prov_key_unref(old);
    return CHY_OK;
}

static enum chy_err sign_begin(struct signature *s, const void *keydata, struct chy_error *err)
{
    CHY_TRY(key_take(s, keydata, err));
    if (s->key->name.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "the key is a public one, and not the server's");
    chy_prov_signing_done(&s->signing);
    chy_prov_signing_init(&s->signing, s->kind);
    return CHY_OK;
}

static int sign_init(void *ctx, void *keydata, const OSSL_PARAM params[])
{
    struct chy_error err;
    struct signature *s = ctx;
    return answer(s, sign_begin(s, keydata, &err), &err) && set_params(s, params);
}

static enum chy_err message_begin(struct signature *s, const char *digest, const void *keydata,
                                  struct chy_error *err)
{
    CHY_TRY(sign_begin(s, keydata, err));
    s->signing.is_message = true;
    if (s->kind != CHY_PROV_ED25519)
        return chy_prov_hash_of(digest != NULL && digest[0] != '\0' ? digest : "SHA256",
                                &s->signing.hash, err);
    if (digest == NULL || digest[0] == '\0')
        return CHY_OK;
    return chy_fail(err, CHY_E_UNSUPPORTED, "Ed25519 signs the message, not a digest of %.32s",
                    digest);
}

static int digest_sign_init(void *ctx, const char *digest, void *keydata, const OSSL_PARAM params[])
{
    struct chy_error err;
    struct signature *s = ctx;
    return answer(s, message_begin(s, digest, keydata, &err), &err) && set_params(s, params);
}

/* --- signing --- */

static enum chy_err signature_make(struct signature *s, unsigned char *to, size_t *ret_n,
                                   size_t room, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    size_t max = chy_prov_key_signature_max(s->key);
    chy_buf_init(&out, max);
    /* Before it is made: it cannot be asked for twice. */
    if (room < max)
        return chy_fail(err, CHY_E_ARG, "there is room for %zu bytes, a signature has up to %zu",
                        room, max);
    CHY_TRY(chy_prov_signing_end(&s->signing, s->key, &out, err));
    chy_copy(to, out.p, out.n);
    *ret_n = out.n;
    return CHY_OK;
}

static int digest_sign_update(void *ctx, const unsigned char *data, size_t n)
{
    struct chy_error err;
    struct signature *s = ctx;
    return answer(
        s, chy_prov_signing_add(&s->signing, s->prov, (struct chy_bytes){ data, n }, &err), &err);
}

static int digest_sign_final(void *ctx, unsigned char *to, size_t *ret_n, size_t room)
{
    struct chy_error err;
    struct signature *s = ctx;
    if (s->key == NULL)
        return 0;
    if (to == NULL) {
        *ret_n = chy_prov_key_signature_max(s->key);
        return 1;
    }
    return answer(s, signature_make(s, to, ret_n, room, &err), &err);
}

/* All at once: a digest that OpenSSL's commands made, or Ed25519's message. A context may sign
 * again
 * and again: what it signed, or had no room for, is no part of what comes now. */
static int sign(void *ctx, unsigned char *to, size_t *ret_n, size_t room, const unsigned char *data,
                size_t n)
{
    struct signature *s = ctx;
    chy_buf_clear(&s->signing.data);
    if (to != NULL && !digest_sign_update(ctx, data, n))
        return 0;
    return digest_sign_final(ctx, to, ret_n, room);
}

/* --- verifying --- */

static EVP_PKEY *public_key(const struct signature *s)
{
    static const char *const names[] = {
        [CHY_PROV_RSA] = "RSA", [CHY_PROV_EC] = "EC", [CHY_PROV_ED25519] = "ED25519"
    };
    struct chy_prov_params params;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(s->prov->hashes, names[s->kind], NULL);
    chy_prov_params_of(s->key, true, &params);
    if (c != NULL && EVP_PKEY_fromdata_init(c) > 0)
        CHY_IGNORE(EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params.list)); /* then NULL */
    EVP_PKEY_CTX_free(c);
    return key;
}

static bool verify_begin(struct signature *s, const void *keydata,
                         int (*init)(EVP_PKEY_CTX *c, const OSSL_PARAM params[]),
                         const OSSL_PARAM params[])
{
    struct chy_error err;
    if (!answer(s, key_take(s, keydata, &err), &err))
        return false;
    EVP_PKEY *key = public_key(s);
    s->verify = key != NULL ? EVP_PKEY_CTX_new_from_pkey(s->prov->hashes, key, NULL) : NULL;
    EVP_PKEY_free(key); /* the context has its own */
    return s->verify != NULL && init(s->verify, params) > 0;
}

static int verify_init(void *ctx, void *keydata, const OSSL_PARAM params[])
{
    return verify_begin(ctx, keydata, EVP_PKEY_verify_init_ex, params);
}

static int verify(void *ctx, const unsigned char *signature, size_t signature_n,
                  const unsigned char *data, size_t n)
{
    const struct signature *s = ctx;
    return EVP_PKEY_verify(s->verify, signature, signature_n, data, n) > 0;
}

static int recover_init(void *ctx, void *keydata, const OSSL_PARAM params[])
{
    return verify_begin(ctx, keydata, EVP_PKEY_verify_recover_init_ex, params);
}

static int recover(void *ctx, unsigned char *to, size_t *ret_n, size_t room,
                   const unsigned char *signature, size_t signature_n)
{
    const struct signature *s = ctx;
    *ret_n = room;
    return EVP_PKEY_verify_recover(s->verify, to, ret_n, signature, signature_n) > 0;
}

static int digest_verify_init(void *ctx, const char *digest, void *keydata,
                              const OSSL_PARAM params[])
{
    struct chy_error err;
    struct signature *s = ctx;
    if (!answer(s, key_take(s, keydata, &err), &err))
        return 0;
    EVP_PKEY *key = public_key(s);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_begun =
        key != NULL && md != NULL &&
        EVP_DigestVerifyInit_ex(md, &s->verify, digest, s->prov->hashes, NULL, key, params) > 0;
    EVP_PKEY_free(key);
    if (is_begun) {
        s->verify_md = md;
        return 1;
    }
    s->verify = NULL;
    EVP_MD_CTX_free(md);
    return 0;
}

static int digest_verify_update(void *ctx, const unsigned char *data, size_t n)
{
    const struct signature *s = ctx;
    return EVP_DigestVerifyUpdate(s->verify_md, data, n) > 0;
}

static int digest_verify_final(void *ctx, const unsigned char *signature, size_t signature_n)
{
    const struct signature *s = ctx;
    return EVP_DigestVerifyFinal(s->verify_md, signature, signature_n) > 0;
}

static int digest_verify(void *ctx, const unsigned char *signature, size_t signature_n,
                         const unsigned char *data, size_t n)
{
    const struct signature *s = ctx;
    return EVP_DigestVerify(s->verify_md, signature, signature_n, data, n) > 0;
}

/* --- tables --- */

#define OF_KIND(kind)                                                                  \
    CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, kind##_newctx),                      \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),                \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signature_dup),                  \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),     \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digest_verify_init), \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_params),             \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, kind##_gettable),   \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_params),             \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, kind##_settable)

#define OF_DIGESTS                                                                         \
    CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init),                           \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_SIGN, sign),                                 \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY_INIT, verify_init),                   \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY, verify),                             \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digest_sign_update),     \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digest_sign_final),       \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, digest_verify_update), \
        CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, digest_verify_final)

static const OSSL_DISPATCH rsa_functions[] = {
    OF_KIND(rsa), OF_DIGESTS,
    CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY_RECOVER_INIT, recover_init),
    CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY_RECOVER, recover), CHY_PROV_FUNCTIONS_END
};
static const OSSL_DISPATCH ecdsa_functions[] = { OF_KIND(ecdsa), OF_DIGESTS,
                                                 CHY_PROV_FUNCTIONS_END };
/* Ed25519 has no parts: the message is hashed twice (RFC 8032 section 5.1.6). */
static const OSSL_DISPATCH ed25519_functions[] = {
    OF_KIND(ed25519), CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
    CHY_PROV_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, digest_verify), CHY_PROV_FUNCTIONS_END
};

const OSSL_ALGORITHM chy_prov_signatures[] = {
    { "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=chancery", rsa_functions,
      "RSA signatures by a Chancery server" },
    { "ECDSA", "provider=chancery", ecdsa_functions, "ECDSA signatures by a Chancery server" },
    { "ED25519:1.3.101.112", "provider=chancery", ed25519_functions,
      "Ed25519 signatures by a Chancery server" },
    { NULL, NULL, NULL, NULL },
};
