/* SPDX-License-Identifier: MIT */
/* Private to src/crypto: certificates as OpenSSL objects. */
#pragma once

#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_der_writer;

/* Exactly one certificate in DER, at most CHY_LIMIT_CERTIFICATE bytes. */
CHY_MUST_USE enum chy_err chy_x509_load(struct chy_bytes der, X509 **ret_cert,
                                        struct chy_error *err);

/* Seconds of RFC 5280 section 4.1.2.5: UTCTime until 2049, GeneralizedTime from 2050 on.
 * Errors: CHY_E_ARG before 1970 or after 9999; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err x509_time_write(struct chy_der_writer *w, int64_t t_us,
                                          struct chy_error *err);

/* Body of the OID of the built-in CA's certificate policy. */
struct chy_bytes chy_oid_development_policy(void);
