/* SPDX-License-Identifier: MIT */
/* DigestInfo: what PKCS#1 v1.5 signs in place of a bare digest, SEQUENCE { SEQUENCE { OID, NULL },
 * OCTET STRING }. Of SHA-2 it is a fixed beginning and the digest, so no DER is read or written
 * here. Pure. Source: RFC 8017 section 9.2, note 1. */
#pragma once

#include "proto/types.h"

#define CHY_DIGEST_INFO_HEAD_BYTES 19

/* What stands before the digest; empty for CHY_HASH_NONE. */
struct chy_bytes chy_digest_info_head(enum chy_hash_alg hash);

/* Whether some verifier could take `in` for a DigestInfo of SHA-256, SHA-384 or SHA-512, be it in
 * the form above, without the NULL, or in one that only a careless reader takes: a SEQUENCE that
 * names one of them anywhere. */
bool chy_digest_info_is_like(struct chy_bytes in);
