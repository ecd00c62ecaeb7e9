/* SPDX-License-Identifier: MIT */
/* What other people's verifiers ask for: receipts, the checkpoint, tiles and entry bundles. All of
 * it is of the newest checkpoint that was published: an entry that none covers is not shown in
 * it. */
#include <string.h>

#include "base/limits.h"
#include "codec/base64.h"
#include "query/handlers.h"
#include "query/tree.h"
#include "tlog/receipt.h"

#define FULL_MAX_AGE_S    31536000u /* a full tile never changes */
#define PARTIAL_MAX_AGE_S 3600u     /* nor does a partial one, but nobody wants it for long */
#define BODY_MAX          (CHY_LIMIT_FRAME / 2)

static enum chy_err raw_set(struct query_call *call, const char *type, struct chy_bytes body,
                            uint32_t max_age_s, struct chy_raw *ret, struct chy_error *err)
{
    *ret = (struct chy_raw){ .content_type = chy_str_of(type), .max_age_s = max_age_s };
    ret->body = chy_arena_bytes(&call->arena, body);
    return ret->body.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
}

/* --- receipts --- */

/* Whoever neither reads the log nor is named in the entry learns nothing, not even whether there is
 * one. */
static enum chy_err entry_of_caller(struct query_call *call, uint64_t index,
                                    struct chy_bytes *ret_bytes, struct chy_error *err)
{
    struct chy_bytes bytes = { NULL, 0 };
    struct chy_entry entry;
    enum chy_err r = chy_store_log_get(call->q->store, index, &call->arena, &bytes, NULL, err);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    bool reads_all = query_has_role(call, CHY_MAY_AUDITOR | CHY_MAY_ADMINISTRATOR);
    bool is_his =
        r == CHY_OK && (reads_all || (chy_schema_decode(&chy_entry_schema, bytes, &call->arena,
                                                        &entry, NULL) == CHY_OK &&
                                      chy_str_equal(entry.principal, call->who.name)));
    if (!is_his)
        return chy_fail(err, CHY_E_NOT_FOUND, "the log has no entry %llu%s",
                        (unsigned long long)index, reads_all ? "" : " of yours");
    *ret_bytes = bytes;
    return CHY_OK;
}

enum chy_err query_log_receipt(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_log_index *r = call->request;
    struct chy_log_receipt *answer = response;
    struct chy_tlog_tree *tree;
    struct chy_bytes entry;
    struct chy_tlog_receipt receipt = { .index = r->index, .checkpoint = call->note };
    CHY_TRY(entry_of_caller(call, r->index, &entry, err));
    if (r->index >= call->checkpoint.size)
        return chy_fail(err, CHY_E_STATE,
                        "no checkpoint covers entry %llu yet; try again in a second",
                        (unsigned long long)r->index);
    CHY_TRY(query_tree_get(call, &tree, err));
    CHY_TRY(chy_tlog_tree_prove_inclusion(tree, r->index, &receipt.proof, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    CHY_CLEANUP(chy_buf_done) struct chy_buf extra;
    chy_buf_init(&out, CHY_LIMIT_RECEIPT);
    chy_buf_init(&extra, CHY_LIMIT_RECEIPT);
    chy_base64_append(&extra, entry); /* so that it proves something without the log at hand */
    CHY_TRY(chy_buf_check(&extra, err));
    receipt.extra = chy_buf_str(&extra);
    chy_tlog_receipt_append(&out, &receipt);
    CHY_TRY(chy_buf_check(&out, err));
    answer->receipt = chy_arena_str(&call->arena, chy_buf_str(&out));
    return answer->receipt.p != NULL ? CHY_OK
                                     : chy_fail(err, CHY_E_NOMEM, "no memory for a receipt");
}

enum chy_err query_log_checkpoint(struct query_call *call, void *response, struct chy_error *err)
{
    if (call->note.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "no checkpoint was published yet");
    return raw_set(call, "text/plain; charset=utf-8", call->note, 0, response, err);
}

/* --- tiles --- */

static enum chy_err tile_of_path(struct query_call *call, const char *prefix,
                                 struct chy_tlog_tile *ret_tile, struct chy_error *err)
{
    const struct chy_tile_path *r = call->request;
    struct chy_str path = chy_arena_printf(&call->arena, "%s%.*s", prefix, CHY_STR_ARG(r->path));
    struct chy_tlog_tile tile;
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    /* Another way to write a path, and a tile beyond the log, are the same to who asks: not
     * there. */
    bool is_tile = chy_tlog_tile_parse(path, &tile, NULL) == CHY_OK;
    if (!is_tile || tile.width > chy_tlog_tile_width(tile.level, tile.index, call->checkpoint.size))
        return chy_fail(err, CHY_E_NOT_FOUND, "the published log has no %.*s", CHY_STR_ARG(path));
    *ret_tile = tile;
    return CHY_OK;
}

static uint32_t tile_max_age_s(const struct chy_tlog_tile *tile)
{
    return tile->width == CHY_TLOG_TILE_WIDTH ? FULL_MAX_AGE_S : PARTIAL_MAX_AGE_S;
}

enum chy_err query_log_tile(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_tlog_tile tile;
    struct chy_tlog_tree *tree;
    CHY_TRY(tile_of_path(call, "tile/", &tile, err));
    if (tile.level >= CHY_TLOG_TILE_LEVELS)
        return chy_fail(err, CHY_E_NOT_FOUND, "the published log has no such tile");
    struct chy_tlog_hash *hashes =
        chy_arena_array(&call->arena, struct chy_tlog_hash, CHY_TLOG_TILE_WIDTH);
    if (hashes == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a tile");
    CHY_TRY(query_tree_get(call, &tree, err));
    CHY_TRY(chy_tlog_tree_tile(tree, &tile, hashes, err));
    struct chy_bytes body = { hashes[0].b, tile.width * sizeof *hashes };
    return raw_set(call, "application/octet-stream", body, tile_max_age_s(&tile), response, err);
}

static enum chy_err bundle_add(void *ctx, uint64_t index, struct chy_bytes entry,
                               struct chy_bytes detail, struct chy_error *err)
{
    struct chy_buf *out = ctx;
    (void)index;
    (void)detail;
    if (!chy_tlog_bundle_add(out, entry))
        return chy_fail(err, CHY_E_LIMIT,
                        "the bundle takes over %d bytes; ask for a partial one, or entry by entry",
                        BODY_MAX);
    return CHY_OK;
}

enum chy_err query_log_entries(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_tlog_tile tile;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, BODY_MAX);
    CHY_TRY(tile_of_path(call, "tile/entries/", &tile, err));
    CHY_TRY(chy_store_log_walk(call->q->store, tile.index * CHY_TLOG_TILE_WIDTH, tile.width,
                               bundle_add, &out, err));
    return raw_set(call, "application/octet-stream", chy_buf_bytes(&out), tile_max_age_s(&tile),
                   response, err);
}
