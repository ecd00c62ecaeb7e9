/* SPDX-License-Identifier: MIT */
/* What no code of src/token can say (token/pkcs11.h), as an attacker in this process would. */
#pragma once

#include "proto/pkcs11.h"

CK_RV attack_wrap(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *wrapped,
                  CK_ULONG *wrapped_len);
CK_RV attack_set(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                 CK_ATTRIBUTE *attrs, CK_ULONG count);
CK_RV attack_create(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_ATTRIBUTE *attrs,
                    CK_ULONG count, CK_OBJECT_HANDLE *object);
