/* SPDX-License-Identifier: MIT */
/* The store of a new server: the first administrator and his enrolment code, in one transaction.
 * Private to this folder. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"

#define INIT_ADMINISTRATOR "admin"
#define INIT_CODE_VALID_US (INT64_C(24) * 3600 * 1000000)

/* Make the store at `path`. Signer, at its first start, logs that the administrator was made: the
 * object "init" tells it. The code goes to the end of `code`; `url` may be empty.
 * Errors: CHY_E_EXISTS, CHY_E_STORE, CHY_E_CRYPTO, CHY_E_ARG the URL, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err init_store_make(const char *path, const uint8_t pin[CHY_HASH_BYTES],
                                          struct chy_str url, int64_t now_us, struct chy_buf *code,
                                          struct chy_error *err);
