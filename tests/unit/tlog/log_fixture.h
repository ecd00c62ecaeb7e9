/* SPDX-License-Identifier: MIT */
/* What the tests of the log share: the tree as the RFC defines it, slowly, and an Ed25519 signer.
 *  */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "crypto/hash.h"
#include "tlog/merkle.h"
#include "tlog/note.h"

struct chy_hasher *fixture_hasher(void); /* the caller frees it */

/* Leaf hash of the test entry `i`, which is its number in decimal. */
struct chy_tlog_hash fixture_leaf(struct chy_hasher *h, uint64_t i);
/* MTH(D[n]) of RFC 6962 section 2.1 over leaf hashes. */
struct chy_tlog_hash fixture_root(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                  size_t n);
/* PATH(m, D[n]) and PROOF(m, D[n]) of RFC 6962 sections 2.1.1 and 2.1.2. */
struct chy_tlog_proof fixture_path(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                   size_t m, size_t n);
struct chy_tlog_proof fixture_consistency(struct chy_hasher *h, const struct chy_tlog_hash *leaves,
                                          size_t m, size_t n);

/* The key of a seed of 32 bytes of `seed`, and its signature. */
struct chy_tlog_vkey fixture_vkey(struct chy_hasher *h, const char *name, uint8_t seed);
void fixture_sign(uint8_t seed, struct chy_str text, uint8_t signature[64]);
/* Append the note of `text`, signed. */
void fixture_note(struct chy_hasher *h, struct chy_buf *out, struct chy_str text, const char *name,
                  uint8_t seed);
