/* SPDX-License-Identifier: MIT */
#include "query/tree.h"

#include "base/limits.h"

#define APPEND_MAX 65536 /* entries: more are reached faster by loading the tree anew */

struct leaf_walk {
    struct chy_hasher *hasher;
    struct chy_tlog_hash *hashes; /* or */
    struct chy_tlog_tree *tree;   /* to be appended to */
    size_t n;
};

static enum chy_err leaf_take(void *ctx, uint64_t index, struct chy_bytes entry,
                              struct chy_bytes detail, struct chy_error *err)
{
    struct leaf_walk *w = ctx;
    struct chy_tlog_hash leaf;
    (void)index;
    (void)detail;
    chy_tlog_leaf_hash(w->hasher, entry, &leaf);
    if (w->tree != NULL)
        CHY_TRY(chy_tlog_tree_append(w->tree, &leaf, err));
    else
        w->hashes[w->n] = leaf;
    w->n++;
    return CHY_OK;
}

static enum chy_err leaves_take(struct query *q, uint64_t from, uint64_t count, struct leaf_walk *w,
                                struct chy_error *err)
{
    CHY_TRY(chy_store_log_walk(q->store, from, count, leaf_take, w, err));
    if (w->n != count)
        return chy_fail(err, CHY_E_INTEGRITY, "the store lacks entries of the log behind %llu",
                        (unsigned long long)(from + w->n));
    return CHY_OK;
}

static enum chy_err read_tile(void *ctx, const struct chy_tlog_tile *tile,
                              struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct query *q = ctx;
    _Static_assert(sizeof(struct chy_tlog_hash) == CHY_HASH_BYTES, "a tile is hashes and no more");
    if (tile->width == CHY_TLOG_TILE_WIDTH)
        return chy_store_tile_get(q->store, tile->level, tile->index, (uint8_t *)hashes, err);
    if (tile->level != 0)
        return chy_fail(err, CHY_E_INTERNAL, "a partial tile of level %u is not stored",
                        tile->level);
    struct leaf_walk w = { .hasher = q->hasher, .hashes = hashes };
    return leaves_take(q, tile->index * CHY_TLOG_TILE_WIDTH, tile->width, &w, err);
}

static enum chy_err tree_grow(struct query *q, uint64_t size, struct chy_error *err)
{
    uint64_t from = chy_tlog_tree_size(q->tree);
    struct leaf_walk w = { .hasher = q->hasher, .tree = q->tree };
    return leaves_take(q, from, size - from, &w, err);
}

static bool can_grow(const struct query *q, uint64_t size)
{
    return q->tree != NULL && chy_tlog_tree_size(q->tree) <= size &&
           size - chy_tlog_tree_size(q->tree) <= APPEND_MAX;
}

static enum chy_err tree_bring_to(struct query *q, const struct chy_tlog_checkpoint *cp,
                                  struct chy_error *err)
{
    struct chy_tlog_hash root;
    if (!can_grow(q, cp->size)) {
        const struct chy_tlog_tree_io io = { .ctx = q, .read_tile = read_tile };
        struct chy_tlog_tree *fresh;
        CHY_TRY(chy_tlog_tree_load(q->hasher, &io, cp->size, &fresh, err));
        chy_tlog_tree_free(q->tree);
        q->tree = fresh;
    }
    CHY_TRY(tree_grow(q, cp->size, err));
    CHY_TRY(chy_tlog_tree_root(q->tree, &root, err));
    if (!chy_tlog_hash_equal(&root, &cp->root))
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the store's log is not the one of which a checkpoint was published");
    return CHY_OK;
}

enum chy_err query_tree_get(struct query_call *call, struct chy_tlog_tree **ret_tree,
                            struct chy_error *err)
{
    struct query *q = call->q;
    uint64_t size;
    if (call->note.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "no checkpoint was published yet");
    CHY_TRY(chy_store_log_size(q->store, &size, err));
    if (size < call->checkpoint.size)
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the store holds %llu log entries, a checkpoint of %llu was published",
                        (unsigned long long)size, (unsigned long long)call->checkpoint.size);
    enum chy_err r = tree_bring_to(q, &call->checkpoint, err);
    if (r != CHY_OK) {
        /* It may have grown half-way. */
        chy_tlog_tree_free(q->tree);
        q->tree = NULL;
        return r;
    }
    *ret_tree = q->tree;
    return CHY_OK;
}
