/* SPDX-License-Identifier: MIT */
#include "token/object.h"

#include "base/limits.h"
#include "crypto/pubkey.h"
#include "token/rv.h"

enum chy_err chy_object_find(struct chy_session *session, const struct chy_object_query *query,
                             size_t max, CK_OBJECT_HANDLE *ret_objects, size_t *ret_n,
                             struct chy_error *err)
{
    CK_OBJECT_CLASS class = query->class;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE attrs[4] = { { CKA_CLASS, &class, sizeof class },
                              { CKA_TOKEN, &yes, sizeof yes } };
    CK_ULONG n = 2;
    if (query->label.n != 0)
        attrs[n++] = (CK_ATTRIBUTE){ CKA_LABEL, CHY_UNCONST(void, query->label.p), query->label.n };
    if (query->id.n != 0)
        attrs[n++] = (CK_ATTRIBUTE){ CKA_ID, CHY_UNCONST(void, query->id.p), query->id.n };

    CK_RV rv = session->f->C_FindObjectsInit(session->handle, attrs, n);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_FindObjectsInit", err);
    CK_ULONG found = 0;
    CK_ULONG got = 0;
    do {
        got = 0;
        rv = session->f->C_FindObjects(session->handle, ret_objects + found, max - found, &got);
        found += CHY_MIN(got, max - found);
    } while (rv == CKR_OK && got > 0 && found < max);
    CK_RV final_rv = session->f->C_FindObjectsFinal(session->handle);
    if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_FindObjects", err);
    if (final_rv != CKR_OK)
        return chy_session_fail(session, final_rv, "C_FindObjectsFinal", err);
    *ret_n = found;
    return CHY_OK;
}

enum chy_err chy_object_find_one(struct chy_session *session, const struct chy_object_query *query,
                                 CK_OBJECT_HANDLE *ret_object, struct chy_error *err)
{
    CK_OBJECT_HANDLE found[2] = { CK_INVALID_HANDLE, CK_INVALID_HANDLE };
    size_t n = 0;
    CHY_TRY(chy_object_find(session, query, CHY_ARRAY_LEN(found), found, &n, err));
    if (n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "the token has no such object");
    if (n > 1)
        return chy_fail(err, CHY_E_CONFLICT, "the token has more than one such object");
    *ret_object = found[0];
    return CHY_OK;
}

/* *ret_n is CK_UNAVAILABLE_INFORMATION when the object does not have the attribute. */
static enum chy_err read_attribute(struct chy_session *session, CK_OBJECT_HANDLE object,
                                   CK_ATTRIBUTE_TYPE type, void *to, CK_ULONG *ret_n,
                                   struct chy_error *err)
{
    CK_ATTRIBUTE attr = { type, to, to != NULL ? *ret_n : 0 };
    CK_RV rv = session->f->C_GetAttributeValue(session->handle, object, &attr, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE)
        attr.ulValueLen = CK_UNAVAILABLE_INFORMATION;
    else if (rv != CKR_OK)
        return chy_session_fail(session, rv, "C_GetAttributeValue", err);
    *ret_n = attr.ulValueLen;
    return CHY_OK;
}

enum chy_err chy_object_bytes(struct chy_session *session, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE_TYPE type, size_t max, struct chy_arena *arena,
                              struct chy_bytes *ret_value, struct chy_error *err)
{
    CK_ULONG n = 0;
    CHY_TRY(read_attribute(session, object, type, NULL, &n, err));
    if (n == CK_UNAVAILABLE_INFORMATION || n == 0) {
        *ret_value = (struct chy_bytes){ NULL, 0 };
        return CHY_OK;
    }
    if (n > max)
        return chy_fail(err, CHY_E_LIMIT, "the attribute 0x%lx is %lu bytes, %zu are the most",
                        type, n, max);
    uint8_t *p = chy_arena_alloc(arena, n, 1);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the value of an attribute");
    CK_ULONG got = n;
    CHY_TRY(read_attribute(session, object, type, p, &got, err));
    if (got > n)
        return chy_fail(err, CHY_E_TOKEN, "the attribute 0x%lx changed while it was read", type);
    *ret_value = (struct chy_bytes){ p, got };
    return CHY_OK;
}

enum chy_err chy_object_bool(struct chy_session *session, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE_TYPE type, bool absent, bool *ret_value,
                             struct chy_error *err)
{
    CK_BBOOL value = CK_FALSE;
    CK_ULONG n = sizeof value;
    CHY_TRY(read_attribute(session, object, type, &value, &n, err));
    *ret_value = n == sizeof value ? value != CK_FALSE : absent;
    return CHY_OK;
}

enum chy_err chy_object_ulong(struct chy_session *session, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_value, struct chy_error *err)
{
    CK_ULONG value = 0;
    CK_ULONG n = sizeof value;
    CHY_TRY(read_attribute(session, object, type, &value, &n, err));
    if (n != sizeof value)
        return chy_fail(err, CHY_E_TOKEN, "an object lacks the attribute 0x%lx", type);
    *ret_value = value;
    return CHY_OK;
}

static enum chy_err rsa_public_key(struct chy_session *session, CK_OBJECT_HANDLE object,
                                   struct chy_arena *arena, struct chy_pubkey **ret_key,
                                   struct chy_error *err)
{
    struct chy_bytes modulus = { NULL, 0 };
    struct chy_bytes exponent = { NULL, 0 };
    CHY_TRY(
        chy_object_bytes(session, object, CKA_MODULUS, CHY_LIMIT_PUBLIC_KEY, arena, &modulus, err));
    CHY_TRY(chy_object_bytes(session, object, CKA_PUBLIC_EXPONENT, CHY_LIMIT_PUBLIC_KEY, arena,
                             &exponent, err));
    return chy_pubkey_from_rsa(modulus, exponent, ret_key, err);
}

static enum chy_err ec_public_key(struct chy_session *session, CK_OBJECT_HANDLE object,
                                  CK_KEY_TYPE type, struct chy_arena *arena,
                                  struct chy_pubkey **ret_key, struct chy_error *err)
{
    struct chy_bytes params = { NULL, 0 };
    struct chy_bytes point = { NULL, 0 };
    CHY_TRY(chy_object_bytes(session, object, CKA_EC_PARAMS, CHY_LIMIT_PUBLIC_KEY, arena, &params,
                             err));
    CHY_TRY(
        chy_object_bytes(session, object, CKA_EC_POINT, CHY_LIMIT_PUBLIC_KEY, arena, &point, err));
    if (type == CKK_EC_EDWARDS)
        return chy_pubkey_from_ed25519(point, ret_key, err);
    return chy_pubkey_from_ec(params, point, ret_key, err);
}

enum chy_err chy_object_public_key(struct chy_session *session, CK_OBJECT_HANDLE object,
                                   struct chy_pubkey **ret_key, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, 4 * (size_t)CHY_LIMIT_PUBLIC_KEY);
    CK_ULONG type = 0;
    CHY_TRY(chy_object_ulong(session, object, CKA_KEY_TYPE, &type, err));
    if (type == CKK_RSA)
        return rsa_public_key(session, object, &arena, ret_key, err);
    if (type == CKK_EC || type == CKK_EC_EDWARDS)
        return ec_public_key(session, object, type, &arena, ret_key, err);
    return chy_fail(err, CHY_E_UNSUPPORTED, "keys of the PKCS#11 type 0x%lx are not supported",
                    type);
}

enum chy_err chy_object_destroy(struct chy_session *session, CK_OBJECT_HANDLE object,
                                struct chy_error *err)
{
    CK_RV rv = session->f->C_DestroyObject(session->handle, object);
    if (rv == CKR_OK || chy_rv_is_stale(rv))
        return CHY_OK;
    return chy_session_fail(session, rv, "C_DestroyObject", err);
}
