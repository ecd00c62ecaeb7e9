/* SPDX-License-Identifier: MIT */
/* DigestInfo of PKCS#1 v1.5: what a tool hands over that makes the digest itself. Pure.
 * Source: RFC 8017 section 9.2 */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/types.h"

enum chy_digest_info_kind {
    CHY_DIGEST_INFO_NONE = 0, /* not one of SHA-256, SHA-384 or SHA-512 */
    CHY_DIGEST_INFO_WHOLE,    /* the one encoding that a signer makes of the digest */
    CHY_DIGEST_INFO_VARIANT,  /* of such a hash without the NULL parameters: a signature made of the
                                 digest would not be over these bytes */
};

/* `ret_hash` and `ret_digest` (a view of `data`) are set unless it is none. */
enum chy_digest_info_kind chy_digest_info_read(struct chy_bytes data, enum chy_hash_alg *ret_hash,
                                               struct chy_bytes *ret_digest);
