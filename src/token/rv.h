/* SPDX-License-Identifier: MIT */
/* Return values of a PKCS#11 module: their names, and what they mean for this process. Pure. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"
#include "token/pkcs11.h"

/* "CKR_DEVICE_ERROR"; "a vendor's error" from 0x80000000 on; "an error that the standard does not
 * name". */
const char *chy_rv_name(CK_RV rv);

/* The module, the device or our session is gone: only a new process helps. */
bool chy_rv_is_fatal(CK_RV rv);
/* The object handle is stale: look the object up again. */
bool chy_rv_is_stale(CK_RV rv);

/* Fill `err` with the function and the name of `rv`, and `rv` as its `sys`.
 * CKR_MECHANISM_INVALID, CKR_CURVE_NOT_SUPPORTED, CKR_KEY_SIZE_RANGE and
 * CKR_FUNCTION_NOT_SUPPORTED give CHY_E_UNSUPPORTED, everything else CHY_E_TOKEN. */
#define chy_fail_rv(err, rv, function) chy_failed(chy_rv_error((err), (rv), CHY_WHERE, (function)))
enum chy_err chy_rv_error(struct chy_error *err, CK_RV rv, const char *where, const char *function);
