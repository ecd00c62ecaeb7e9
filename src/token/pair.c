/* SPDX-License-Identifier: MIT */
#include "token/pair.h"

#include "base/limits.h"
#include "codec/hex.h"
#include "crypto/pubkey.h"
#include "token/object.h"
#include "token/sign.h"

#define CERTIFICATES_MAX 32 /* under one object id, that are destroyed with it in one go */

struct id_text {
    char p[CHY_HEX_SIZE(CHY_LIMIT_NAME)];
};

static struct id_text id_text(struct chy_bytes id)
{
    struct id_text text = { "" };
    id.n = CHY_MIN(id.n, (size_t)CHY_LIMIT_NAME);
    chy_hex_encode(id, text.p);
    return text;
}

void chy_pair_done(struct chy_pair *pair)
{
    chy_pubkey_freep(&pair->public_key);
    pair->private_key = CK_INVALID_HANDLE;
}

/* The public key of a private one: from the object beside it, or from an RSA private key's own
 * public parts where there is none. */
static enum chy_err public_key_of(struct chy_session *session, CK_OBJECT_HANDLE private_key,
                                  struct chy_bytes object_id, struct chy_pubkey **ret_key,
                                  struct chy_error *err)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    enum chy_err r = chy_object_find_one(
        session, &(struct chy_object_query){ .class = CKO_PUBLIC_KEY, .id = object_id }, &object,
        err);
    if (r == CHY_E_CONFLICT)
        return chy_fail(err, r, "the token has more than one public key with the id %s",
                        id_text(object_id).p);
    if (r == CHY_OK)
        return chy_object_public_key(session, object, ret_key, err);
    if (r != CHY_E_NOT_FOUND)
        return r;
    CK_ULONG type = 0;
    CHY_TRY(chy_object_ulong(session, private_key, CKA_KEY_TYPE, &type, err));
    if (type == CKK_RSA)
        return chy_object_public_key(session, private_key, ret_key, err);
    return chy_fail(err, CHY_E_NOT_FOUND, "the token has no public key with the id %s",
                    id_text(object_id).p);
}

static enum chy_err check_usable(struct chy_session *session, CK_OBJECT_HANDLE private_key,
                                 struct chy_error *err)
{
    bool wants_pin = false;
    CHY_TRY(chy_object_bool(session, private_key, CKA_ALWAYS_AUTHENTICATE, false, &wants_pin, err));
    if (wants_pin)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the key wants the PIN for each signature, which is not supported");
    return CHY_OK;
}

enum chy_err chy_pair_locate(struct chy_session *session, struct chy_bytes object_id,
                             struct chy_pair *ret_pair, struct chy_error *err)
{
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { CK_INVALID_HANDLE, NULL };
    if (object_id.n == 0 || object_id.n > CHY_LIMIT_NAME)
        return chy_fail(err, CHY_E_ARG, "an object id of %zu bytes, expected 1 to %d", object_id.n,
                        CHY_LIMIT_NAME);
    enum chy_err r = chy_object_find_one(
        session, &(struct chy_object_query){ .class = CKO_PRIVATE_KEY, .id = object_id },
        &pair.private_key, err);
    if (r == CHY_E_NOT_FOUND || r == CHY_E_CONFLICT)
        return chy_fail(err, r, "the token has %s private key with the id %s",
                        r == CHY_E_NOT_FOUND ? "no" : "more than one", id_text(object_id).p);
    if (r != CHY_OK)
        return r;
    CHY_TRY(check_usable(session, pair.private_key, err));
    CHY_TRY(public_key_of(session, pair.private_key, object_id, &pair.public_key, err));
    ret_pair->private_key = pair.private_key;
    ret_pair->public_key = CHY_TAKE(pair.public_key);
    return CHY_OK;
}

static enum chy_err check_hash(const struct chy_pubkey *key, const struct chy_token_key_ref *ref,
                               struct chy_error *err)
{
    struct chy_bytes found = { chy_pubkey_hash(key), CHY_HASH_BYTES };
    struct chy_bytes wanted = { ref->public_key_sha256, CHY_HASH_BYTES };
    if (chy_bytes_equal(found, wanted))
        return CHY_OK;
    return chy_fail(err, CHY_E_CONFLICT, "another key than the one named has the id %s",
                    id_text(ref->object_id).p);
}

enum chy_err chy_pair_locate_ref(struct chy_session *session, const struct chy_token_key_ref *ref,
                                 struct chy_pair *ret_pair, struct chy_error *err)
{
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { CK_INVALID_HANDLE, NULL };
    CHY_TRY(chy_pair_locate(session, ref->object_id, &pair, err));
    CHY_TRY(check_hash(pair.public_key, ref, err));
    ret_pair->private_key = pair.private_key;
    ret_pair->public_key = CHY_TAKE(pair.public_key);
    return CHY_OK;
}

enum chy_err chy_pair_copy(struct chy_session *session, CK_OBJECT_HANDLE private_key,
                           CK_OBJECT_HANDLE *ret_copy, struct chy_error *err)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE attr = { CKA_TOKEN, &no, sizeof no };
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    CK_RV rv = session->f->C_CopyObject(session->handle, private_key, &attr, 1, &copy);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_CopyObject", err);
    *ret_copy = copy;
    return CHY_OK;
}

/* --- what is said of a key --- */

static enum chy_err describe_origin(struct chy_session *session, CK_OBJECT_HANDLE private_key,
                                    struct chy_token_key_reply *reply, struct chy_error *err)
{
    bool is_extractable = true;
    bool is_sensitive = false;
    /* What the token does not say is taken for the worse. */
    CHY_TRY(chy_object_bool(session, private_key, CKA_EXTRACTABLE, true, &is_extractable, err));
    CHY_TRY(chy_object_bool(session, private_key, CKA_SENSITIVE, false, &is_sensitive, err));
    CHY_TRY(chy_object_bool(session, private_key, CKA_LOCAL, false, &reply->is_local, err));
    CHY_TRY(chy_object_bool(session, private_key, CKA_NEVER_EXTRACTABLE, false,
                            &reply->is_never_extractable, err));
    reply->is_extractable = is_extractable || !is_sensitive;
    return CHY_OK;
}

static enum chy_err describe(struct chy_session *session, const struct chy_pair *pair,
                             struct chy_bytes object_id, struct chy_arena *arena,
                             struct chy_token_key_reply *ret_reply, struct chy_error *err)
{
    struct chy_token_key_reply reply = { .type = chy_pubkey_type(pair->public_key) };
    reply.public_key = chy_arena_bytes(arena, chy_pubkey_spki(pair->public_key));
    reply.object_id = chy_arena_bytes(arena, object_id);
    if (reply.public_key.p == NULL || reply.object_id.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the description of a key");
    CHY_TRY(describe_origin(session, pair->private_key, &reply, err));
    *ret_reply = reply;
    return CHY_OK;
}

static enum chy_err describe_certificate(struct chy_session *session, struct chy_arena *arena,
                                         struct chy_token_key_reply *reply, struct chy_error *err)
{
    CK_OBJECT_HANDLE found[CERTIFICATES_MAX] = { CK_INVALID_HANDLE };
    size_t n = 0;
    CHY_TRY(chy_object_find(
        session, &(struct chy_object_query){ .class = CKO_CERTIFICATE, .id = reply->object_id },
        CERTIFICATES_MAX, found, &n, err));
    if (n == 1)
        return chy_object_bytes(session, found[0], CKA_VALUE, CHY_LIMIT_CERTIFICATE, arena,
                                &reply->certificate, err);
    if (n > 1) {
        reply->text = chy_arena_printf(
            arena, "%zu certificates in the token have the key's object id, so none was taken", n);
        if (reply->text.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "cannot allocate the description of a key");
    }
    return CHY_OK;
}

/* --- making --- */

struct make_row {
    CK_MECHANISM_TYPE mechanism;
    CK_ULONG bits;      /* RSA */
    const uint8_t *oid; /* else the curve: OBJECT IDENTIFIER, DER */
    CK_ULONG oid_bytes;
};

static const uint8_t oid_p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t oid_p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
static const uint8_t oid_p521[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 };
static const uint8_t oid_ed25519[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };

static const struct make_row make_rows[] = {
    [CHY_KEY_RSA_2048] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, NULL, 0 },
    [CHY_KEY_RSA_3072] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 3072, NULL, 0 },
    [CHY_KEY_RSA_4096] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 4096, NULL, 0 },
    [CHY_KEY_P256] = { CKM_EC_KEY_PAIR_GEN, 0, oid_p256, sizeof oid_p256 },
    [CHY_KEY_P384] = { CKM_EC_KEY_PAIR_GEN, 0, oid_p384, sizeof oid_p384 },
    [CHY_KEY_P521] = { CKM_EC_KEY_PAIR_GEN, 0, oid_p521, sizeof oid_p521 },
    [CHY_KEY_ED25519] = { CKM_EC_EDWARDS_KEY_PAIR_GEN, 0, oid_ed25519, sizeof oid_ed25519 },
};

#define ATTRIBUTES_MAX 16

struct template
{
    CK_ATTRIBUTE attrs[ATTRIBUTES_MAX];
    CK_ULONG n;
};

/* `value` is lent until the template has been used; it is only read. */
static void template_put(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    CHY_ASSERT(t->n < ATTRIBUTES_MAX);
    t->attrs[t->n++] = (CK_ATTRIBUTE){ type, CHY_UNCONST(void, value), n };
}

static void template_put_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    static const CK_BBOOL no = CK_FALSE;
    static const CK_BBOOL yes = CK_TRUE;
    template_put(t, type, value ? &yes : &no, sizeof yes);
}

static void template_put_names(struct template *t, const struct chy_token_generate *request)
{
    template_put(t, CKA_LABEL, request->label.p, request->label.n);
    template_put(t, CKA_ID, request->object_id.p, request->object_id.n);
}

static struct template public_template(const struct chy_token_generate *request)
{
    static const uint8_t exponent[] = { 0x01, 0x00, 0x01 };
    const struct make_row *row = &make_rows[request->type];
    struct template t = { .n = 0 };
    template_put_names(&t, request);
    template_put_bool(&t, CKA_TOKEN, true);
    template_put_bool(&t, CKA_PRIVATE, false);
    template_put_bool(&t, CKA_VERIFY, true);
    template_put_bool(&t, CKA_ENCRYPT, false);
    template_put_bool(&t, CKA_WRAP, false);
    if (row->bits != 0) {
        template_put(&t, CKA_MODULUS_BITS, &row->bits, sizeof row->bits);
        template_put(&t, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
    } else {
        template_put(&t, CKA_EC_PARAMS, row->oid, row->oid_bytes);
    }
    return t;
}

static struct template private_template(const struct chy_token_generate *request)
{
    struct template t = { .n = 0 };
    template_put_names(&t, request);
    template_put_bool(&t, CKA_TOKEN, true);
    template_put_bool(&t, CKA_PRIVATE, true);
    template_put_bool(&t, CKA_SENSITIVE, true);
    template_put_bool(&t, CKA_EXTRACTABLE, false);
    template_put_bool(&t, CKA_SIGN, true);
    template_put_bool(&t, CKA_SIGN_RECOVER, false);
    template_put_bool(&t, CKA_DECRYPT, false);
    template_put_bool(&t, CKA_UNWRAP, false);
    template_put_bool(&t, CKA_DERIVE, false);
    return t;
}

static enum chy_err check_free(struct chy_session *session,
                               const struct chy_token_generate *request, struct chy_error *err)
{
    static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
    for (size_t i = 0; i < CHY_ARRAY_LEN(classes); i++) {
        CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
        size_t n = 0;
        struct chy_object_query by_id = { .class = classes[i], .id = request->object_id };
        CHY_TRY(chy_object_find(session, &by_id, 1, &found, &n, err));
        if (n != 0)
            return chy_fail(err, CHY_E_EXISTS, "the token has a key with the id %s already",
                            id_text(request->object_id).p);
        struct chy_object_query by_label = { .class = classes[i], .label = request->label };
        CHY_TRY(chy_object_find(session, &by_label, 1, &found, &n, err));
        if (n != 0)
            return chy_fail(err, CHY_E_EXISTS, "the token has a key with the label %.*s already",
                            CHY_STR_ARG(request->label));
    }
    return CHY_OK;
}

static enum chy_err check_request(const struct chy_token_generate *request, struct chy_error *err)
{
    if (request->type <= CHY_KEY_NONE || (size_t)request->type >= CHY_ARRAY_LEN(make_rows))
        return chy_fail(err, CHY_E_ARG, "a new key needs its type");
    if (request->label.n == 0 || request->label.n > CHY_LIMIT_NAME)
        return chy_fail(err, CHY_E_ARG, "a new key needs a label of 1 to %d bytes", CHY_LIMIT_NAME);
    if (request->object_id.n == 0 || request->object_id.n > CHY_LIMIT_NAME)
        return chy_fail(err, CHY_E_ARG, "a new key needs an object id of 1 to %d bytes",
                        CHY_LIMIT_NAME);
    return CHY_OK;
}

static enum chy_err describe_made(struct chy_session *session,
                                  const struct chy_token_generate *request,
                                  CK_OBJECT_HANDLE private_key, CK_OBJECT_HANDLE public_key,
                                  struct chy_arena *arena, struct chy_token_key_reply *ret_key,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { private_key, NULL };
    struct chy_token_key_reply key;
    CHY_TRY(chy_object_public_key(session, public_key, &pair.public_key, err));
    CHY_TRY(describe(session, &pair, request->object_id, arena, &key, err));
    if (key.type != request->type)
        return chy_fail(err, CHY_E_INTEGRITY, "the token made a key of type %s, not %s",
                        chy_enum_name(&chy_key_type_enum, (int)key.type),
                        chy_enum_name(&chy_key_type_enum, (int)request->type));
    if (key.is_extractable)
        return chy_fail(err, CHY_E_INTEGRITY, "the token made a key that can be taken out of it");
    *ret_key = key;
    return CHY_OK;
}

enum chy_err chy_pair_generate(struct chy_session *session,
                               const struct chy_token_generate *request, struct chy_arena *arena,
                               struct chy_token_key_reply *ret_key, struct chy_error *err)
{
    CHY_TRY(check_request(request, err));
    CHY_TRY(check_free(session, request, err));
    struct template public = public_template(request);
    struct template private = private_template(request);
    CK_MECHANISM mechanism = { .mechanism = make_rows[request->type].mechanism };
    CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
    CK_RV rv = session->f->C_GenerateKeyPair(session->handle, &mechanism, public.attrs, public.n,
                                             private.attrs, private.n, &public_key, &private_key);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_GenerateKeyPair", err);
    enum chy_err r = describe_made(session, request, private_key, public_key, arena, ret_key, err);
    if (r != CHY_OK) {
        /* The first error is the one to tell; what cannot be destroyed is an unused key. */
        CHY_IGNORE(chy_object_destroy(session, private_key, NULL));
        CHY_IGNORE(chy_object_destroy(session, public_key, NULL));
    }
    return r;
}

/* --- finding --- */

static enum chy_err object_id_by_label(struct chy_session *session, struct chy_str label,
                                       struct chy_arena *arena, struct chy_bytes *ret_id,
                                       struct chy_error *err)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct chy_object_query query = { .class = CKO_PRIVATE_KEY, .label = label };
    enum chy_err r = chy_object_find_one(session, &query, &object, err);
    if (r == CHY_E_NOT_FOUND || r == CHY_E_CONFLICT)
        return chy_fail(err, r, "the token has %s private key with the label %.*s",
                        r == CHY_E_NOT_FOUND ? "no" : "more than one", CHY_STR_ARG(label));
    if (r != CHY_OK)
        return r;
    CHY_TRY(chy_object_bytes(session, object, CKA_ID, CHY_LIMIT_NAME, arena, ret_id, err));
    if (ret_id->n == 0)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the key with the label %.*s has no object id (CKA_ID): give it one first",
                        CHY_STR_ARG(label));
    return CHY_OK;
}

enum chy_err chy_pair_find(struct chy_session *session, const struct chy_token_find *request,
                           struct chy_arena *arena, struct chy_token_key_reply *ret_key,
                           struct chy_error *err)
{
    if ((request->label.n == 0) == (request->object_id.n == 0))
        return chy_fail(err, CHY_E_ARG, "a key is found by its label or by its object id");
    struct chy_bytes id = request->object_id;
    if (id.n == 0)
        CHY_TRY(object_id_by_label(session, request->label, arena, &id, err));
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { CK_INVALID_HANDLE, NULL };
    struct chy_token_key_reply key;
    CHY_TRY(chy_pair_locate(session, id, &pair, err));
    CHY_TRY(describe(session, &pair, id, arena, &key, err));
    CHY_TRY(describe_certificate(session, arena, &key, err));
    *ret_key = key;
    return CHY_OK;
}

/* --- destroying --- */

static enum chy_err destroy_all(struct chy_session *session, CK_OBJECT_CLASS class,
                                struct chy_bytes object_id, struct chy_error *err)
{
    CK_OBJECT_HANDLE found[CERTIFICATES_MAX];
    size_t n = 0;
    struct chy_object_query query = { .class = class, .id = object_id };
    CHY_TRY(chy_object_find(session, &query, CERTIFICATES_MAX, found, &n, err));
    for (size_t i = 0; i < n; i++)
        CHY_TRY(chy_object_destroy(session, found[i], err));
    return CHY_OK;
}

/* After a crash between the two: the private key has gone, its public key is still there. */
static enum chy_err check_remainder(struct chy_session *session,
                                    const struct chy_token_key_ref *ref, struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *key = NULL;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct chy_object_query query = { .class = CKO_PUBLIC_KEY, .id = ref->object_id };
    if (chy_object_find_one(session, &query, &object, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_NOT_FOUND, "the token has no key pair with the id %s",
                        id_text(ref->object_id).p);
    CHY_TRY(chy_object_public_key(session, object, &key, err));
    return check_hash(key, ref, err);
}

enum chy_err chy_pair_destroy(struct chy_session *session, const struct chy_token_key_ref *ref,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { CK_INVALID_HANDLE, NULL };
    struct chy_error cause;
    enum chy_err r = chy_pair_locate_ref(session, ref, &pair, &cause);
    if (r == CHY_OK)
        CHY_TRY(chy_object_destroy(session, pair.private_key, err));
    else if (r == CHY_E_NOT_FOUND)
        CHY_TRY(check_remainder(session, ref, err));
    else
        return chy_error_set(err, r, cause.sys, cause.where, "%s", cause.text);
    CHY_TRY(destroy_all(session, CKO_PUBLIC_KEY, ref->object_id, err));
    return destroy_all(session, CKO_CERTIFICATE, ref->object_id, err);
}
