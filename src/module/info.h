/* SPDX-License-Identifier: MIT */
/* What the module says of itself: one slot, one token in it, always present. The agent is not asked
 * for any of it. */
#pragma once

#include "proto/pkcs11.h"

struct chy_p11;

/* Version of the standard that the caller's list of functions is of. */
CK_RV chy_p11_get_info(CK_VERSION standard, CK_INFO *ret_info);
CK_RV chy_p11_slot_list(CK_SLOT_ID *list, CK_ULONG *n);
CK_RV chy_p11_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *ret_info);
CK_RV chy_p11_token_info(struct chy_p11 *m, CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info);
CK_RV chy_p11_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n);
CK_RV chy_p11_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info);
CK_RV chy_p11_random(CK_BYTE *random, CK_ULONG n);
