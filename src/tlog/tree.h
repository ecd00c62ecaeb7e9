/* SPDX-License-Identifier: MIT */
/* The growing tree of a log, in memory as far as its right edge: the last two tiles of every level
 * with all nodes inside them, so that roots and proofs of recent entries need no tile read and no
 * hash computed again. Everything older is read by a callback. At most 400 KB for any number of
 * entries.
 *
 * An append that failed leaves the tree ahead of the store: it is then broken, answers CHY_E_STATE
 * to everything, and must be loaded anew; so must a tree whose appended entries could not be
 * committed. Not shared. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "tlog/merkle.h"
#include "tlog/tile.h"

struct chy_tlog_tree;

struct chy_tlog_tree_io {
    void *ctx;
    /* The hashes of a tile: full ones of every level, and of level 0 the last, partial one, as wide
     * as asked. Fails with CHY_E_NOT_FOUND where there is none. */
    enum chy_err (*read_tile)(void *ctx, const struct chy_tlog_tile *tile,
                              struct chy_tlog_hash *hashes, struct chy_error *err);
    /* An append has filled a tile: 256 hashes to be stored in the transaction of that entry. NULL
     * where nobody wants to know. */
    enum chy_err (*tile_done)(void *ctx, const struct chy_tlog_tile *tile,
                              const struct chy_tlog_hash *hashes, struct chy_error *err);
};

/* The tree of the first `size` entries; for 0 nothing is read. The caller compares the root with
 * what it knows. `h` is borrowed for the life of the tree.
 * Errors: CHY_E_ARG  more than CHY_LIMIT_LOG_SIZE; CHY_E_NOMEM; those of read_tile */
CHY_MUST_USE enum chy_err chy_tlog_tree_load(struct chy_hasher *h,
                                             const struct chy_tlog_tree_io *io, uint64_t size,
                                             struct chy_tlog_tree **ret_tree,
                                             struct chy_error *err);
void chy_tlog_tree_free(struct chy_tlog_tree *t);
void chy_tlog_tree_freep(struct chy_tlog_tree **t);

uint64_t chy_tlog_tree_size(const struct chy_tlog_tree *t);

/* The next entry, by its leaf hash; its index is the size before.
 * Errors: CHY_E_NOMEM, CHY_E_LIMIT (the log is full), those of tile_done; the tree is then broken
 *  */
CHY_MUST_USE enum chy_err chy_tlog_tree_append(struct chy_tlog_tree *t,
                                               const struct chy_tlog_hash *leaf,
                                               struct chy_error *err);

/* Of the tree as it is now: costs some hashes after an append, nothing when asked again. */
CHY_MUST_USE enum chy_err chy_tlog_tree_root(struct chy_tlog_tree *t,
                                             struct chy_tlog_hash *ret_root, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_tlog_tree_prove_inclusion(struct chy_tlog_tree *t, uint64_t index,
                                                        struct chy_tlog_proof *ret_proof,
                                                        struct chy_error *err);
CHY_MUST_USE enum chy_err chy_tlog_tree_prove_consistency(struct chy_tlog_tree *t,
                                                          uint64_t old_size,
                                                          struct chy_tlog_proof *ret_proof,
                                                          struct chy_error *err);

/* Of an earlier size of the tree, for checkpoints that were published then.
 * Errors: CHY_E_ARG  the tree never was so long, or not yet; those of read_tile */
CHY_MUST_USE enum chy_err chy_tlog_tree_edge_at(struct chy_tlog_tree *t, uint64_t size,
                                                struct chy_tlog_edge *ret_edge,
                                                struct chy_error *err);
/* The tree as a source of nodes, for chy_tlog_prove_...() with such an edge. Lives as the tree. */
struct chy_tlog_nodes chy_tlog_tree_nodes(struct chy_tlog_tree *t);

/* The first tile->width hashes of a tile that the tree fills so far, from memory or by read_tile.
 * Errors: CHY_E_NOT_FOUND  it does not */
CHY_MUST_USE enum chy_err chy_tlog_tree_tile(struct chy_tlog_tree *t,
                                             const struct chy_tlog_tile *tile,
                                             struct chy_tlog_hash *hashes, struct chy_error *err);
