/* SPDX-License-Identifier: MIT */
/* Ed25519 by raw public key, as signed notes carry it. Pure. Source: RFC 8032 section 5.1. */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

#define CHY_ED25519_PUBLIC_BYTES    32
#define CHY_ED25519_SIGNATURE_BYTES 64

/* CHY_OK only for a good signature.
 * Errors: CHY_E_INTEGRITY  not a signature by this key over this message
 *         CHY_E_MALFORMED  the key is none; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_ed25519_verify(const uint8_t public_key[CHY_ED25519_PUBLIC_BYTES],
                                             struct chy_bytes message, struct chy_bytes signature,
                                             struct chy_error *err);
