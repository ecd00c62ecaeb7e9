/* SPDX-License-Identifier: MIT */
/* PKCS#11's return values, as the module gives them. Pure. */
#pragma once

#include "base/err.h"
#include "proto/pkcs11.h"

const char *chy_p11_rv_name(CK_RV rv); /* "CKR_DEVICE_ERROR" */
/* What PKCS#11 says for one of our errors; the table of base/err.h, but where the standard has a
 * word that fits a tool's call better. */
CK_RV chy_p11_rv(enum chy_err code);
