/* SPDX-License-Identifier: MIT */
/* The attributes of the objects: one table. Pure; objects are immutable. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "module/objects.h"
#include "proto/pkcs11.h"

/* A value; `bytes` points into the object, into a table, or to `number` or `boolean` here: do not
 * move it. */
struct chy_p11_value {
    struct chy_bytes bytes;
    CK_ULONG number;
    CK_BBOOL boolean;
};

/* CKR_OK; CKR_ATTRIBUTE_SENSITIVE  a part of a private key, which is nowhere on this side
 *         CKR_ATTRIBUTE_TYPE_INVALID objects of this kind have none such */
CK_RV chy_p11_attribute(const struct chy_p11_object *object, CK_ATTRIBUTE_TYPE type,
                        struct chy_p11_value *ret_value);
/* The rules of C_GetAttributeValue for the whole template, all of which is worked through.
 * Source: 2.40 section 5.7.5 */
CK_RV chy_p11_attributes_get(const struct chy_p11_object *object, CK_ATTRIBUTE *attrs, size_t n);
/* Bytes of all values together. */
CK_ULONG chy_p11_attributes_size(const struct chy_p11_object *object);

CK_KEY_TYPE chy_p11_key_type(const struct chy_door_key *key);
/* Bytes of a signature by this key, as PKCS#11 has it. */
size_t chy_p11_signature_bytes(const struct chy_door_key *key);
