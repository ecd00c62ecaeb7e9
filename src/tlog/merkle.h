/* SPDX-License-Identifier: MIT */
/* The Merkle tree of RFC 6962 over SHA-256: hashes, and the making and checking of proofs.
 *
 *   leaf = H(00 || entry)    node = H(01 || left || right)    root of no entry = H("")
 *
 * A node is named by level and index: node (b, k) covers the entries k * 2^b up to (k + 1) * 2^b.
 * The last node of a level may be cut short by the end of the tree; such nodes are in a
 * `chy_tlog_edge`. Pure; the hasher is for SHA-256 and not shared. Source: RFC 6962 section 2.1,
 * RFC 9162 section 2.1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/types.h"

struct chy_hasher;

struct chy_tlog_hash {
    uint8_t b[CHY_HASH_BYTES];
};

/* Beginning with the hash nearest to the leaf. */
struct chy_tlog_proof {
    size_t n;
    struct chy_tlog_hash hashes[CHY_LIMIT_PROOF];
};

/* Where the complete nodes of a tree come from. `index` is always that of a node which the tree
 * being proved covers whole. */
struct chy_tlog_nodes {
    enum chy_err (*read)(void *ctx, unsigned level, uint64_t index, struct chy_tlog_hash *ret_hash,
                         struct chy_error *err);
    void *ctx;
};

/* The last node of every level, whole or not, of a tree of `size` entries; the highest is the root.
 *  */
struct chy_tlog_edge {
    uint64_t size;
    unsigned levels; /* at least 1 */
    struct chy_tlog_hash last[CHY_LIMIT_PROOF + 1];
};

bool chy_tlog_hash_equal(const struct chy_tlog_hash *a, const struct chy_tlog_hash *b);

void chy_tlog_leaf_hash(struct chy_hasher *h, struct chy_bytes entry, struct chy_tlog_hash *ret);
void chy_tlog_node_hash(struct chy_hasher *h, const struct chy_tlog_hash *left,
                        const struct chy_tlog_hash *right, struct chy_tlog_hash *ret);
/* The root of the tree without entries. */
void chy_tlog_empty_hash(struct chy_hasher *h, struct chy_tlog_hash *ret);

/* Errors: CHY_E_ARG if `size` is over CHY_LIMIT_LOG_SIZE; those of `nodes` */
CHY_MUST_USE enum chy_err chy_tlog_edge_make(struct chy_hasher *h,
                                             const struct chy_tlog_nodes *nodes, uint64_t size,
                                             struct chy_tlog_edge *ret_edge, struct chy_error *err);
/* Lives as long as the edge. */
const struct chy_tlog_hash *chy_tlog_edge_root(const struct chy_tlog_edge *edge);

/* The proof that entry `index` is in the tree of `edge`. No hash is computed.
 * Errors: CHY_E_ARG if the tree has no such entry; those of `nodes` */
CHY_MUST_USE enum chy_err chy_tlog_prove_inclusion(const struct chy_tlog_nodes *nodes,
                                                   const struct chy_tlog_edge *edge, uint64_t index,
                                                   struct chy_tlog_proof *ret_proof,
                                                   struct chy_error *err);
/* The proof that the tree of `edge` goes on from its own first `old_size` entries; empty if
 * that is all of them.
 * Errors: CHY_E_ARG if old_size is 0 or above the tree's; those of `nodes` */
CHY_MUST_USE enum chy_err chy_tlog_prove_consistency(const struct chy_tlog_nodes *nodes,
                                                     const struct chy_tlog_edge *edge,
                                                     uint64_t old_size,
                                                     struct chy_tlog_proof *ret_proof,
                                                     struct chy_error *err);

/* CHY_OK only if the proof shows that `leaf` is entry `index` of the tree of `size` with this root.
 * Errors: CHY_E_INTEGRITY
 * Source: RFC 9162 section 2.1.3.2 */
CHY_MUST_USE enum chy_err chy_tlog_check_inclusion(struct chy_hasher *h, uint64_t index,
                                                   uint64_t size, const struct chy_tlog_hash *leaf,
                                                   const struct chy_tlog_proof *proof,
                                                   const struct chy_tlog_hash *root,
                                                   struct chy_error *err);
/* CHY_OK only if the proof shows that the tree (new_size, new_root) goes on from (old_size,
 * old_root). A tree without entries says nothing and is refused as the old one.
 * Errors: CHY_E_INTEGRITY
 * Source: RFC 9162 section 2.1.4.2 */
CHY_MUST_USE enum chy_err chy_tlog_check_consistency(struct chy_hasher *h, uint64_t old_size,
                                                     uint64_t new_size,
                                                     const struct chy_tlog_hash *old_root,
                                                     const struct chy_tlog_hash *new_root,
                                                     const struct chy_tlog_proof *proof,
                                                     struct chy_error *err);
