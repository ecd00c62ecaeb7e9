/* SPDX-License-Identifier: MIT */
/* The OpenAPI 3.1 description of the interface, printed from the table of operations and the
 * schemas. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#define CHY_LIMIT_OPENAPI 1048576 /* bytes of the document; it has about 60,000 */

/* Append the document. `version` is the software's; SignServer's door is described where it is
 * open.
 * Errors: CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_openapi_write(struct chy_str version, bool signserver,
                                            struct chy_buf *out, struct chy_error *err);
