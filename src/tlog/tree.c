/* SPDX-License-Identifier: MIT */
#include "tlog/tree.h"

#include <inttypes.h>

#include "base/mem.h"

/* All nodes of one tile, level by level of the tree from the hashes that the tile is made of (256
 * of them) up to its root: 256 + 128 + ... + 1. */
#define TILE_NODES (2 * CHY_TLOG_TILE_WIDTH - 1)

struct tile_nodes {
    uint64_t index;
    unsigned width; /* of the lowest level; 0 in a slot that holds nothing */
    struct chy_tlog_hash nodes[TILE_NODES];
};

/* One level of tiles: the one that is being filled, the full one before it, and the older one that
 * was read last. */
struct tile_level {
    struct tile_nodes *edge;
    struct tile_nodes *before;
    struct tile_nodes *older;
    struct tile_nodes slots[3];
};

struct chy_tlog_tree {
    struct chy_hasher *hasher;
    struct chy_tlog_tree_io io;
    struct chy_tlog_edge edge; /* of edge.size entries; made anew when that is not `size` */
    uint64_t size;
    bool is_broken;
    struct tile_level *levels[CHY_TLOG_TILE_LEVELS]; /* NULL: no entry has reached it */
};

static struct chy_tlog_hash *tile_node(struct tile_nodes *t, unsigned height, unsigned i)
{
    return &t->nodes[2 * CHY_TLOG_TILE_WIDTH - (2 * CHY_TLOG_TILE_WIDTH >> height) + i];
}

/* Hash `t->width` of the lowest level, and the nodes that it completes. */
static void tile_add(struct chy_hasher *h, struct tile_nodes *t, const struct chy_tlog_hash *hash)
{
    *tile_node(t, 0, t->width++) = *hash;
    for (unsigned height = 1; t->width % (1u << height) == 0 && height <= CHY_TLOG_TILE_HEIGHT;
         height++) {
        unsigned i = (t->width >> height) - 1;
        chy_tlog_node_hash(h, tile_node(t, height - 1, 2 * i), tile_node(t, height - 1, 2 * i + 1),
                           tile_node(t, height, i));
    }
}

static const struct chy_tlog_hash *tile_root(struct tile_nodes *t)
{
    return tile_node(t, CHY_TLOG_TILE_HEIGHT, 0);
}

/* NULL when there is no memory. */
static struct tile_level *level_get(struct chy_tlog_tree *t, unsigned level)
{
    CHY_ASSERT(level < CHY_TLOG_TILE_LEVELS); /* 256^8 entries are over CHY_LIMIT_LOG_SIZE */
    if (t->levels[level] == NULL) {
        struct tile_level *l = chy_new(struct tile_level);
        if (l == NULL)
            return NULL;
        l->edge = &l->slots[0];
        l->before = &l->slots[1];
        l->older = &l->slots[2];
        t->levels[level] = l;
    }
    return t->levels[level];
}

static enum chy_err fail_level(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "cannot allocate a level of tiles");
}

/* The edge is full: it becomes the tile before, and an empty one follows. */
static void level_turn(struct tile_level *l)
{
    struct tile_nodes *filled = l->edge;
    l->edge = l->before;
    l->before = filled;
    l->edge->index = filled->index + 1;
    l->edge->width = 0;
}

/* Read a tile and compute the nodes inside it. */
static enum chy_err tile_read(struct chy_tlog_tree *t, const struct chy_tlog_tile *tile,
                              struct tile_nodes *to, struct chy_error *err)
{
    struct chy_tlog_hash hashes[CHY_TLOG_TILE_WIDTH];
    CHY_TRY(t->io.read_tile(t->io.ctx, tile, hashes, err));
    to->index = tile->index;
    to->width = 0;
    for (unsigned i = 0; i < tile->width; i++)
        tile_add(t->hasher, to, &hashes[i]);
    return CHY_OK;
}

/* A full tile, from memory or read into the slot for older ones. */
static enum chy_err tile_get_full(struct chy_tlog_tree *t, unsigned level, uint64_t index,
                                  struct tile_nodes **ret_tile, struct chy_error *err)
{
    struct tile_level *l = level_get(t, level);
    if (l == NULL)
        return fail_level(err);
    struct tile_nodes *known[] = { l->before, l->older };
    for (size_t i = 0; i < CHY_ARRAY_LEN(known); i++) {
        if (known[i]->width == CHY_TLOG_TILE_WIDTH && known[i]->index == index) {
            *ret_tile = known[i];
            return CHY_OK;
        }
    }
    l->older->width = 0; /* holds nothing, should the read fail */
    const struct chy_tlog_tile tile = { level, index, CHY_TLOG_TILE_WIDTH };
    CHY_TRY(tile_read(t, &tile, l->older, err));
    *ret_tile = l->older;
    return CHY_OK;
}

/* chy_tlog_nodes.read: node (b, k) is whole, and so is in the edge or in a full tile. */
static enum chy_err node_read(void *ctx, unsigned b, uint64_t k, struct chy_tlog_hash *ret_hash,
                              struct chy_error *err)
{
    struct chy_tlog_tree *t = ctx;
    unsigned level = b / CHY_TLOG_TILE_HEIGHT;
    unsigned height = b % CHY_TLOG_TILE_HEIGHT;
    uint64_t index = k >> (CHY_TLOG_TILE_HEIGHT - height);
    unsigned i = (unsigned)(k & ((1u << (CHY_TLOG_TILE_HEIGHT - height)) - 1));
    if (b >= 64 || k >= t->size >> b)
        return chy_fail(err, CHY_E_ARG, "the tree has no node %" PRIu64 " on level %u", k, b);

    struct tile_level *l = level_get(t, level);
    if (l == NULL)
        return fail_level(err);
    struct tile_nodes *tile = l->edge;
    if (index != tile->index)
        CHY_TRY(tile_get_full(t, level, index, &tile, err));
    *ret_hash = *tile_node(tile, height, i);
    return CHY_OK;
}

struct chy_tlog_nodes chy_tlog_tree_nodes(struct chy_tlog_tree *t)
{
    return (struct chy_tlog_nodes){ .read = node_read, .ctx = t };
}

/* The edge of a level above the first is nowhere stored: its hashes are the roots of the full tiles
 * below it. */
static enum chy_err edge_rebuild(struct chy_tlog_tree *t, unsigned level, struct tile_level *l,
                                 unsigned width, struct chy_error *err)
{
    for (unsigned i = 0; i < width; i++) {
        uint64_t below = l->edge->index * CHY_TLOG_TILE_WIDTH + i;
        struct tile_nodes *tile = NULL;
        CHY_TRY(tile_get_full(t, level - 1, below, &tile, err));
        tile_add(t->hasher, l->edge, tile_root(tile));
    }
    return CHY_OK;
}

static enum chy_err level_load(struct chy_tlog_tree *t, unsigned level, struct chy_error *err)
{
    struct tile_level *l = level_get(t, level);
    if (l == NULL)
        return fail_level(err);
    uint64_t hashes = t->size >> (level * CHY_TLOG_TILE_HEIGHT);
    uint64_t index = hashes / CHY_TLOG_TILE_WIDTH;
    unsigned width = (unsigned)(hashes % CHY_TLOG_TILE_WIDTH);
    l->edge->index = index;
    if (index > 0) {
        const struct chy_tlog_tile before = { level, index - 1, CHY_TLOG_TILE_WIDTH };
        CHY_TRY(tile_read(t, &before, l->before, err));
    }
    if (level > 0)
        return edge_rebuild(t, level, l, width, err);
    const struct chy_tlog_tile edge = { 0, index, width };
    return width > 0 ? tile_read(t, &edge, l->edge, err) : CHY_OK;
}

enum chy_err chy_tlog_tree_load(struct chy_hasher *h, const struct chy_tlog_tree_io *io,
                                uint64_t size, struct chy_tlog_tree **ret_tree,
                                struct chy_error *err)
{
    if (size > CHY_LIMIT_LOG_SIZE)
        return chy_fail(err, CHY_E_ARG, "a log cannot have %" PRIu64 " entries", size);
    CHY_CLEANUP(chy_tlog_tree_freep) struct chy_tlog_tree *t = chy_new(struct chy_tlog_tree);
    if (t == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a tree");
    t->hasher = h;
    t->io = *io;
    t->size = size;
    for (unsigned level = 0;
         level < CHY_TLOG_TILE_LEVELS && size >> (level * CHY_TLOG_TILE_HEIGHT) > 0; level++)
        CHY_TRY(level_load(t, level, err));
    chy_tlog_empty_hash(h, &t->edge.last[0]); /* the edge of no entry; another is made when asked */
    t->edge.levels = 1;
    *ret_tree = CHY_TAKE(t);
    return CHY_OK;
}

void chy_tlog_tree_free(struct chy_tlog_tree *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < CHY_ARRAY_LEN(t->levels); i++)
        chy_free(t->levels[i]);
    chy_free(t);
}

void chy_tlog_tree_freep(struct chy_tlog_tree **t)
{
    chy_tlog_tree_free(*t);
}

uint64_t chy_tlog_tree_size(const struct chy_tlog_tree *t)
{
    return t->size;
}

static enum chy_err tree_check(const struct chy_tlog_tree *t, struct chy_error *err)
{
    if (t->is_broken)
        return chy_fail(err, CHY_E_STATE, "the tree is broken by an append that failed");
    return CHY_OK;
}

/* Put the leaf into the lowest edge; every tile that this fills gives a hash to the level above. */
static enum chy_err leaf_add(struct chy_tlog_tree *t, const struct chy_tlog_hash *leaf,
                             struct chy_error *err)
{
    struct chy_tlog_hash hash = *leaf;
    for (unsigned level = 0;; level++) {
        struct tile_level *l = level_get(t, level);
        if (l == NULL)
            return fail_level(err);
        tile_add(t->hasher, l->edge, &hash);
        if (l->edge->width < CHY_TLOG_TILE_WIDTH)
            return CHY_OK;
        hash = *tile_root(l->edge);
        const struct chy_tlog_tile tile = { level, l->edge->index, CHY_TLOG_TILE_WIDTH };
        if (t->io.tile_done != NULL)
            CHY_TRY(t->io.tile_done(t->io.ctx, &tile, l->edge->nodes, err));
        level_turn(l);
    }
}

enum chy_err chy_tlog_tree_append(struct chy_tlog_tree *t, const struct chy_tlog_hash *leaf,
                                  struct chy_error *err)
{
    CHY_TRY(tree_check(t, err));
    if (t->size == CHY_LIMIT_LOG_SIZE)
        return chy_fail(err, CHY_E_LIMIT, "the log is full");
    t->is_broken = true; /* until all levels have it */
    CHY_TRY(leaf_add(t, leaf, err));
    t->size++;
    t->is_broken = false;
    return CHY_OK;
}

static enum chy_err edge_now(struct chy_tlog_tree *t, struct chy_error *err)
{
    if (t->edge.size == t->size)
        return tree_check(t, err);
    return chy_tlog_tree_edge_at(t, t->size, &t->edge, err);
}

enum chy_err chy_tlog_tree_root(struct chy_tlog_tree *t, struct chy_tlog_hash *ret_root,
                                struct chy_error *err)
{
    CHY_TRY(edge_now(t, err));
    *ret_root = *chy_tlog_edge_root(&t->edge);
    return CHY_OK;
}

enum chy_err chy_tlog_tree_prove_inclusion(struct chy_tlog_tree *t, uint64_t index,
                                           struct chy_tlog_proof *ret_proof, struct chy_error *err)
{
    CHY_TRY(edge_now(t, err));
    const struct chy_tlog_nodes nodes = chy_tlog_tree_nodes(t);
    return chy_tlog_prove_inclusion(&nodes, &t->edge, index, ret_proof, err);
}

enum chy_err chy_tlog_tree_prove_consistency(struct chy_tlog_tree *t, uint64_t old_size,
                                             struct chy_tlog_proof *ret_proof,
                                             struct chy_error *err)
{
    CHY_TRY(edge_now(t, err));
    const struct chy_tlog_nodes nodes = chy_tlog_tree_nodes(t);
    return chy_tlog_prove_consistency(&nodes, &t->edge, old_size, ret_proof, err);
}

enum chy_err chy_tlog_tree_edge_at(struct chy_tlog_tree *t, uint64_t size,
                                   struct chy_tlog_edge *ret_edge, struct chy_error *err)
{
    CHY_TRY(tree_check(t, err));
    if (size > t->size)
        return chy_fail(err, CHY_E_ARG, "the log has %" PRIu64 " entries, not %" PRIu64, t->size,
                        size);
    const struct chy_tlog_nodes nodes = chy_tlog_tree_nodes(t);
    return chy_tlog_edge_make(t->hasher, &nodes, size, ret_edge, err);
}

enum chy_err chy_tlog_tree_tile(struct chy_tlog_tree *t, const struct chy_tlog_tile *tile,
                                struct chy_tlog_hash *hashes, struct chy_error *err)
{
    CHY_TRY(tree_check(t, err));
    if (tile->level >= CHY_TLOG_TILE_LEVELS || tile->width == 0 ||
        tile->width > chy_tlog_tile_width(tile->level, tile->index, t->size))
        return chy_fail(err, CHY_E_NOT_FOUND, "the log has no such tile");
    struct tile_level *l = level_get(t, tile->level);
    if (l == NULL)
        return fail_level(err);
    struct tile_nodes *nodes = l->edge;
    if (tile->index != nodes->index)
        CHY_TRY(tile_get_full(t, tile->level, tile->index, &nodes, err));
    memcpy(hashes, nodes->nodes, tile->width * sizeof *hashes);
    return CHY_OK;
}
