/* SPDX-License-Identifier: MIT */
/* Finding objects, which is when the agent is asked for keys. Where the template names a label or
 * an id, for that key alone; else for all, once, and afterwards whether the list is still right. */
#pragma once

#include "base/compiler.h"
#include "proto/pkcs11.h"

struct chy_p11_call;

CK_RV chy_p11_find_init(struct chy_p11_call *call, const CK_ATTRIBUTE *attrs, CK_ULONG n);
CK_RV chy_p11_find(struct chy_p11_call *call, CK_OBJECT_HANDLE *handles, CK_ULONG max,
                   CK_ULONG *ret_n);
CK_RV chy_p11_find_final(struct chy_p11_call *call);
CK_RV chy_p11_get_attributes(struct chy_p11_call *call, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE *attrs, CK_ULONG n);
CK_RV chy_p11_get_size(struct chy_p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *ret_size);
