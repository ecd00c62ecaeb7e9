/* SPDX-License-Identifier: MIT */
/* The server's TLS certificate and key: made by `init`, checked whenever a configuration is read.
 * The key is looked at in memory that is locked and wiped; it is handed to front as a
 * descriptor. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"

/* Make a P-256 key and a self-signed certificate for these names ("dns:…", "ip:…") in two new
 * files, the key for its owner alone. ret_pin is the SHA-256 of the SubjectPublicKeyInfo.
 * Errors: CHY_E_ARG a name is none; CHY_E_EXISTS, CHY_E_IO, CHY_E_CRYPTO, CHY_E_LIMIT,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_identity_make(int dir_fd, const char *certificate, const char *key,
                                            struct chy_strs names, int64_t now_us,
                                            uint8_t ret_pin[CHY_HASH_BYTES], struct chy_error *err);

/* Errors: CHY_E_CONFLICT  the key is not the certificate's
 *         CHY_E_FORBIDDEN others can read the key; CHY_E_MALFORMED, CHY_E_UNSUPPORTED,
 *         CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_LIMIT, CHY_E_NOMEM. The text names the file. */
CHY_MUST_USE enum chy_err chy_identity_check(const char *certificate, const char *key,
                                             uint8_t ret_pin[CHY_HASH_BYTES],
                                             struct chy_error *err);
