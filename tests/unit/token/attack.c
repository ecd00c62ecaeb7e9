/* SPDX-License-Identifier: MIT */
#include "attack.h"

CK_RV attack_wrap(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *wrapped,
                  CK_ULONG *wrapped_len)
{
    return f->C_WrapKey(session, mechanism, wrapping_key, key, wrapped, wrapped_len);
}

CK_RV attack_set(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                 CK_ATTRIBUTE *attrs, CK_ULONG count)
{
    return f->C_SetAttributeValue(session, object, attrs, count);
}

CK_RV attack_create(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_ATTRIBUTE *attrs,
                    CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    return f->C_CreateObject(session, attrs, count, object);
}
