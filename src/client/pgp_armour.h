/* SPDX-License-Identifier: MIT */
/* The armour of OpenPGP keys, taken off: gpgv wants them bare. Pure. Source: RFC 4880 section 6. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

/* Append the bytes of all armoured public keys in `text`; what has no armour is appended as it is.
 * The checksum is not looked at: who reads the keys finds out.
 * Errors: CHY_E_MALFORMED  an armour without an end, or that is not base 64; CHY_E_LIMIT,
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_pgp_armour_take(struct chy_str text, struct chy_buf *out,
                                              struct chy_error *err);
