/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "signer/ledger_internal.h"
#include "tlog/checkpoint.h"

static enum chy_err tile_from_leaves(struct ledger *l, const struct chy_tlog_tile *tile,
                                     struct chy_tlog_hash *hashes, struct chy_error *err);

static enum chy_err read_tile(void *ctx, const struct chy_tlog_tile *tile,
                              struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct ledger *l = ctx;
    if (tile->level == 0 && tile->width < CHY_TLOG_TILE_WIDTH)
        return tile_from_leaves(l, tile, hashes, err);
    uint8_t full[CHY_STORE_TILE_BYTES];
    CHY_TRY(chy_store_tile_get(l->s->store, tile->level, tile->index, full, err));
    memcpy(hashes, full, tile->width * sizeof *hashes);
    return CHY_OK;
}

static enum chy_err tile_done(void *ctx, const struct chy_tlog_tile *tile,
                              const struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct ledger *l = ctx;
    struct chy_bytes b = { (const uint8_t *)hashes, CHY_STORE_TILE_BYTES };
    return chy_store_tile_put(l->s->store, tile->level, tile->index, b, err);
}

struct leaf_hashing {
    struct ledger *l;
    struct chy_tlog_hash *to;
    size_t n;
};

static enum chy_err hash_leaf(void *ctx, uint64_t index, struct chy_bytes entry,
                              struct chy_bytes detail, struct chy_error *err)
{
    struct leaf_hashing *w = ctx;
    (void)index;
    (void)detail;
    (void)err;
    chy_tlog_leaf_hash(w->l->hasher, entry, &w->to[w->n++]);
    return CHY_OK;
}

static enum chy_err tile_from_leaves(struct ledger *l, const struct chy_tlog_tile *tile,
                                     struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct leaf_hashing w = { l, hashes, 0 };
    CHY_TRY(chy_store_log_walk(l->s->store, tile->index * CHY_TLOG_TILE_WIDTH, tile->width,
                               hash_leaf, &w, err));
    if (w.n != tile->width)
        return chy_fail(err, CHY_E_INTEGRITY, "the log's leaves have a gap");
    return CHY_OK;
}

static enum chy_err read_last_time(struct ledger *l, struct chy_error *err)
{
    if (l->size == 0)
        return CHY_OK;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_bytes bytes;
    struct chy_entry e;
    CHY_TRY(chy_store_log_get(l->s->store, l->size - 1, &arena, &bytes, NULL, err));
    if (chy_schema_decode(&chy_entry_schema, bytes, &arena, &e, err) != CHY_OK)
        return chy_fail(err, CHY_E_INTEGRITY, "the log's newest entry does not decode");
    l->last_entry_us = e.time_us;
    return CHY_OK;
}

/* An operator may go on without what was published, and that is written: own.c. What is published
 * next then starts anew; the checkpoint that does not fit is not shown again. */
static enum chy_err go_on_without(struct ledger *l, const char *what, enum chy_err refusal)
{
    if (!l->s->config.accept_older_store)
        return refusal;
    l->accepted = chy_str_of(what);
    return CHY_OK;
}

static enum chy_err read_is_anchored(struct ledger *l, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_bytes body;
    chy_arena_init(&arena, 4096);
    enum chy_err r =
        chy_store_get(l->s->store, CHY_OBJECT_META, CHY_STR(META_ANCHORED), &arena, &body, err);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    l->is_anchored = r == CHY_OK;
    return CHY_OK;
}

/* The store must contain everything that was ever published. The signature is not looked at here:
 * the file is ours, and a wrong root is what matters; verifiers check the signature. */
static enum chy_err check_against_anchor(struct ledger *l, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_bytes note;
    CHY_TRY(chy_anchor_read(l->anchor, &arena, &note, err));
    if (note.n == 0 && l->is_anchored)
        return go_on_without(
            l, "the file of the newest checkpoint was lost",
            chy_fail(err, CHY_E_INTEGRITY,
                     "the file of the newest checkpoint, outside the store, is gone or empty, so "
                     "nobody can tell whether the store is the newest; put it back, or start once "
                     "with --accept-older-store, which is written to the log"));
    if (note.n == 0)
        return CHY_OK;
    struct chy_str text;
    struct chy_tlog_checkpoint cp;
    CHY_TRY(chy_tlog_note_text(note, &text, err));
    CHY_TRY(chy_tlog_checkpoint_parse(text, &cp, err));
    if (cp.size > l->size)
        return go_on_without(
            l, "the store is older than a checkpoint that was published",
            chy_fail(err, CHY_E_INTEGRITY,
                     "the store holds %llu log entries, but a checkpoint of %llu was published: "
                     "it is an older copy. Put the newest store back; if that is lost, start "
                     "once with --accept-older-store, which is written to the log",
                     (unsigned long long)l->size, (unsigned long long)cp.size));
    struct chy_tlog_edge edge;
    CHY_TRY(chy_tlog_tree_edge_at(l->tree, cp.size, &edge, err));
    if (!chy_tlog_hash_equal(chy_tlog_edge_root(&edge), &cp.root))
        return go_on_without(
            l, "the store's log is another one than that of which a checkpoint was published",
            chy_fail(
                err, CHY_E_INTEGRITY,
                "the store's log is another one than that of which a checkpoint of %llu entries "
                "was published; see chanceryd(8), --accept-older-store",
                (unsigned long long)cp.size));
    l->published = cp.size;
    chy_buf_append(&l->note, note);
    return chy_buf_check(&l->note, err);
}

static void wake_loop(void *ctx)
{
    (void)ctx; /* the turn itself does the work: ledger_turn() */
}

static enum chy_err open_parts(struct ledger *l, struct chy_error *err)
{
    struct signer *s = l->s;
    struct chy_tlog_tree_io io = { l, read_tile, tile_done };
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &l->hasher, err));
    CHY_TRY(chy_timer_new(s->loop, wake_loop, l, &l->pace, err));
    CHY_TRY(chy_store_log_size(s->store, &l->size, err));
    CHY_TRY(chy_tlog_tree_load(l->hasher, &io, l->size, &l->tree, err));
    CHY_TRY(read_last_time(l, err));
    CHY_TRY(read_is_anchored(l, err));
    struct chy_str path = chy_arena_str(&s->config_arena, s->config.anchor);
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the anchor's path");
    CHY_TRY(chy_anchor_open(path.p, true, &l->anchor, err));
    return check_against_anchor(l, err);
}

enum chy_err ledger_open(struct signer *s, struct ledger **ret_ledger, struct chy_error *err)
{
    struct ledger *l = chy_new(struct ledger);
    if (l == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the ledger");
    l->s = s;
    ledger_batch_init(l);
    chy_buf_init(&l->note, CHY_ANCHOR_NOTE_BYTES);
    chy_buf_init(&l->text, CHY_ANCHOR_NOTE_BYTES);
    enum chy_err r = open_parts(l, err);
    if (r != CHY_OK) {
        ledger_close(l);
        return r;
    }
    *ret_ledger = l;
    return CHY_OK;
}

void ledger_close(struct ledger *l)
{
    if (l == NULL)
        return;
    chy_buf_done(&l->bytes);
    chy_buf_done(&l->leaves);
    chy_buf_done(&l->changes);
    chy_buf_done(&l->note);
    chy_buf_done(&l->text);
    chy_tlog_tree_free(l->tree);
    chy_anchor_close(l->anchor);
    chy_timer_free(l->pace);
    chy_hasher_free(l->hasher);
    chy_free(l);
}

uint64_t ledger_size(const struct ledger *l)
{
    return l->size;
}

uint64_t ledger_published(const struct ledger *l)
{
    return l->published;
}

struct chy_str ledger_accepted(const struct ledger *l)
{
    return l->accepted;
}
