/* SPDX-License-Identifier: MIT */
/* AlgorithmIdentifier of a signature, as it stands in certificates and CMS. Pure. */
#pragma once

#include "base/buf.h"
#include "proto/door.h"

#define CHY_PROV_ALGORITHM_MAX 96 /* bytes; RSASSA-PSS has 67 */

/* Append it; PSS has MGF1 with the same hash, and a salt as long.
 * Source: RFC 4055 sections 3.1 and 5; RFC 5758 section 3.2; RFC 8410 section 3.
 * Errors: CHY_E_UNSUPPORTED there is none, without a hash; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_prov_algorithm_write(enum chy_door_scheme scheme,
                                                   enum chy_hash_alg hash, struct chy_buf *out,
                                                   struct chy_error *err);
