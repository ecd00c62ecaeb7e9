/* SPDX-License-Identifier: MIT */
/* Private to src/crypto: certificates as OpenSSL objects. */
#pragma once

#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* Exactly one certificate in DER, at most CHY_LIMIT_CERTIFICATE bytes. */
CHY_MUST_USE enum chy_err chy_x509_load(struct chy_bytes der, X509 **ret_cert,
                                        struct chy_error *err);

/* Body of the OID of the built-in CA's certificate policy. */
struct chy_bytes chy_oid_development_policy(void);
