/* SPDX-License-Identifier: MIT */
#include "client/log_verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "tlog/checkpoint.h"
#include "tlog/receipt.h"
#include "tlog/tree.h"

#define BUNDLE_MAX    ((size_t)CHY_TLOG_TILE_WIDTH * (CHY_LIMIT_ENTRY + 2))
#define RECEIPT_START "c2sp.org/tlog-proof@"
#define U(x)          ((unsigned long long)(x))

/* What a known text makes to be checked, and when: a head when the tree has its size, a receipt
 * also when its entry comes by. */
struct event {
    uint64_t at;
    bool is_leaf; /* the receipt's entry; else the head */
    struct chy_tlog_hash root;
    struct chy_tlog_receipt receipt;
    const struct chy_log_known *known;
};

struct verifier {
    const struct chy_log_check *check;
    struct chy_log_report *report;
    struct chy_hasher *hasher;
    struct chy_tlog_tree *tree;
    struct chy_log_rules *rules;
    struct event *events; /* sorted */
    size_t n_events;
    size_t next_event;
    struct chy_buf file;   /* the file that is looked at */
    struct chy_buf detail; /* the bundle of details beside the one of entries */
    struct chy_arena arena;
    bool has_root; /* all entries are in the tree */
};

CHY_PRINTF(2, 3) static void find(struct verifier *v, const char *fmt, ...)
{
    if (v->report->n_findings < CHY_LIMIT_FINDINGS) {
        struct chy_log_finding *f = &v->report->findings[v->report->n_findings];
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(f->text, sizeof f->text, fmt, ap);
        va_end(ap);
        f->has_index = false;
    }
    v->report->n_findings++;
}

CHY_PRINTF(3, 4) static void find_at(struct verifier *v, uint64_t index, const char *fmt, ...)
{
    char text[192];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    find(v, "entry %llu %s", U(index), text);
    if (v->report->n_findings <= CHY_LIMIT_FINDINGS) {
        struct chy_log_finding *f = &v->report->findings[v->report->n_findings - 1];
        f->has_index = true;
        f->index = index;
    }
}

static void on_rule_broken(void *ctx, uint64_t index, const char *text)
{
    find_at(ctx, index, "%s", text);
}

/* Whether the file is there; everything else that keeps it from being read ends the
 * verification. */
static enum chy_err read_file(struct verifier *v, const char *path, struct chy_buf *to,
                              bool *ret_is_there, struct chy_error *err)
{
    chy_buf_clear(to);
    enum chy_err r = v->check->source.read(v->check->source.ctx, path, to, err);
    *ret_is_there = r == CHY_OK;
    if (r == CHY_E_LIMIT) {
        find(v, "%s is longer than any such file", path);
        chy_buf_clear(to);
        *ret_is_there = true;
        return CHY_OK;
    }
    return r == CHY_E_NOT_FOUND ? CHY_OK : r;
}

/* --- what is known from elsewhere --- */

static int event_compare(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (int)x->is_leaf - (int)y->is_leaf;
}

static void add_event(struct verifier *v, const struct event *e)
{
    v->events[v->n_events++] = *e;
}

/* What a check said is a finding, unless it could not be made. */
static enum chy_err no_memory(enum chy_err r, const struct chy_error *why, struct chy_error *err)
{
    return r == CHY_E_NOMEM ? chy_fail(err, r, "%s", why->text) : CHY_OK;
}

/* Only what the log's key signed says anything about the log. */
static enum chy_err add_known(struct verifier *v, const struct chy_log_known *known,
                              struct chy_error *err)
{
    struct event leaf = { .is_leaf = true, .known = known };
    struct chy_bytes note = known->content;
    struct chy_error why;
    bool is_receipt = chy_str_starts(chy_bytes_str(note), RECEIPT_START);
    if (is_receipt) {
        enum chy_err r = chy_tlog_receipt_parse(note, &leaf.receipt, &why);
        if (r != CHY_OK) {
            find(v, "%s is no receipt: %s", known->name, why.text);
            return no_memory(r, &why, err);
        }
        leaf.at = leaf.receipt.index;
        note = leaf.receipt.checkpoint;
    }
    struct chy_tlog_checkpoint head;
    enum chy_err r = chy_tlog_checkpoint_open(note, v->check->keys, v->check->n_keys, &head, &why);
    if (r != CHY_OK) {
        find(v, "%s is not a checkpoint of this log: %s", known->name, why.text);
        return no_memory(r, &why, err);
    }
    if (is_receipt)
        add_event(v, &leaf);
    add_event(v, &(struct event){ .at = head.size, .root = head.root, .known = known });
    return CHY_OK;
}

static void check_known_head(struct verifier *v, const struct event *e,
                             const struct chy_tlog_hash *root)
{
    if (chy_tlog_hash_equal(&e->root, root))
        v->report->known++;
    else
        find(v, "%s: its first %llu entries are not those of this log, which was rewritten",
             e->known->name, U(e->at));
}

static enum chy_err check_known_leaf(struct verifier *v, const struct event *e,
                                     const struct chy_tlog_hash *leaf, struct chy_error *err)
{
    struct chy_tlog_checkpoint head;
    struct chy_error why;
    enum chy_err r = chy_tlog_receipt_check(v->hasher, &e->receipt, leaf, v->check->keys,
                                            v->check->n_keys, &head, &why);
    if (r != CHY_OK)
        find_at(v, e->at, "is not the one of the receipt %s: %s", e->known->name, why.text);
    return no_memory(r, &why, err);
}

static enum chy_err run_events(struct verifier *v, uint64_t size, const struct chy_tlog_hash *leaf,
                               struct chy_error *err)
{
    while (v->next_event < v->n_events && v->events[v->next_event].at == size) {
        const struct event *e = &v->events[v->next_event];
        if (e->is_leaf && leaf == NULL)
            break; /* beyond the last entry: told below */
        v->next_event++;
        if (e->is_leaf) {
            CHY_TRY(check_known_leaf(v, e, leaf, err));
            continue;
        }
        struct chy_tlog_hash root;
        CHY_TRY(chy_tlog_tree_root(v->tree, &root, err));
        check_known_head(v, e, &root);
    }
    return CHY_OK;
}

/* A head of the log that is beyond its end. */
static void check_tail(struct verifier *v)
{
    for (size_t i = v->next_event; i < v->n_events; i++) {
        const struct event *e = &v->events[i];
        if (!e->is_leaf)
            find(v, "%s knows %llu entries, this log has only %llu: its tail is missing",
                 e->known->name, U(e->at), U(v->report->checked));
    }
}

/* --- hash tiles --- */

static void compare_tile(struct verifier *v, const struct chy_tlog_tile *tile, const char *path,
                         const struct chy_tlog_hash *hashes)
{
    if (v->file.n != tile->width * sizeof *hashes) {
        find(v, "%s has %zu bytes instead of %zu", path, v->file.n, tile->width * sizeof *hashes);
        return;
    }
    for (unsigned i = 0; i < tile->width; i++) {
        struct chy_tlog_hash found;
        memcpy(found.b, v->file.p + i * sizeof found.b, sizeof found.b);
        if (chy_tlog_hash_equal(&found, &hashes[i]))
            continue;
        if (tile->level == 0)
            find_at(v, tile->index * CHY_TLOG_TILE_WIDTH + i, "does not hash to what %s says",
                    path);
        else
            find(v, "%s: hash %u is not the one of the entries below it", path, i);
    }
}

static enum chy_err check_tile(struct verifier *v, const struct chy_tlog_tile *tile,
                               const struct chy_tlog_hash *hashes, struct chy_error *err)
{
    char path[CHY_LOG_PATH_BYTES];
    bool is_there;
    CHY_TRY(chy_log_path(tile, false, path, err));
    CHY_TRY(read_file(v, path, &v->file, &is_there, err));
    if (is_there)
        compare_tile(v, tile, path, hashes);
    else
        find(v, "%s is missing", path);
    return CHY_OK;
}

static enum chy_err on_tile_done(void *ctx, const struct chy_tlog_tile *tile,
                                 const struct chy_tlog_hash *hashes, struct chy_error *err)
{
    return check_tile(ctx, tile, hashes, err);
}

/* The tree grows from nothing and proves nothing, so it never asks for what it has given away. */
static enum chy_err on_read_tile(void *ctx, const struct chy_tlog_tile *tile,
                                 struct chy_tlog_hash *hashes, struct chy_error *err)
{
    (void)ctx;
    (void)hashes;
    return chy_fail(err, CHY_E_NOT_FOUND, "tile %u/%llu is not kept", tile->level, U(tile->index));
}

static enum chy_err check_partial_tiles(struct verifier *v, struct chy_error *err)
{
    struct chy_tlog_hash hashes[CHY_TLOG_TILE_WIDTH];
    for (unsigned level = 0; level < CHY_TLOG_TILE_LEVELS; level++) {
        uint64_t n = v->report->size >> (level * CHY_TLOG_TILE_HEIGHT);
        struct chy_tlog_tile tile = { level, n / CHY_TLOG_TILE_WIDTH,
                                      (unsigned)(n % CHY_TLOG_TILE_WIDTH) };
        if (tile.width == 0)
            continue;
        CHY_TRY(chy_tlog_tree_tile(v->tree, &tile, hashes, err));
        CHY_TRY(check_tile(v, &tile, hashes, err));
    }
    return CHY_OK;
}

/* --- entries --- */

static void check_detail(struct verifier *v, uint64_t index, const struct chy_entry *e,
                         struct chy_bytes detail)
{
    static const uint8_t none[CHY_HASH_BYTES];
    struct chy_bytes wanted = { e->detail_sha256, CHY_HASH_BYTES };
    bool has_commitment = !chy_bytes_equal(wanted, (struct chy_bytes){ none, sizeof none });
    if (detail.n == 0) {
        v->report->details_pruned += has_commitment ? 1 : 0;
        return;
    }
    uint8_t hash[CHY_HASH_BYTES];
    chy_hasher_add(v->hasher, detail);
    chy_hasher_end(v->hasher, hash);
    if (chy_bytes_equal(wanted, (struct chy_bytes){ hash, sizeof hash }))
        v->report->details++;
    else
        find_at(v, index,
                has_commitment ? "has a detail record that is not the one it commits to"
                               : "has a detail record but commits to none");
}

static enum chy_err check_entry(struct verifier *v, uint64_t index, struct chy_bytes bytes,
                                struct chy_bytes detail, struct chy_error *err)
{
    struct chy_tlog_hash leaf;
    chy_tlog_leaf_hash(v->hasher, bytes, &leaf);
    CHY_TRY(run_events(v, index, &leaf, err));
    CHY_TRY(chy_tlog_tree_append(v->tree, &leaf, err));
    v->report->checked = index + 1;

    struct chy_entry entry;
    struct chy_error why;
    chy_arena_reset(&v->arena);
    enum chy_err r = chy_schema_decode(&chy_entry_schema, bytes, &v->arena, &entry, &why);
    if (r == CHY_E_NOMEM)
        return chy_fail(err, r, "%s", why.text);
    if (r != CHY_OK)
        find_at(v, index, "cannot be read: %s", why.text);
    else
        check_detail(v, index, &entry, detail);
    return chy_log_rules_feed(v->rules, index, r == CHY_OK ? &entry : NULL, err);
}

/* The records of a bundle of details; a folder of them may have been pruned whole. */
static enum chy_err load_details(struct verifier *v, const struct chy_tlog_tile *tile,
                                 struct chy_bytes records[CHY_TLOG_TILE_WIDTH],
                                 struct chy_error *err)
{
    char path[CHY_LOG_PATH_BYTES];
    bool is_there;
    memset(records, 0, CHY_TLOG_TILE_WIDTH * sizeof *records);
    CHY_TRY(chy_log_path(tile, true, path, err));
    CHY_TRY(read_file(v, path, &v->detail, &is_there, err));
    if (!is_there)
        return CHY_OK;
    struct chy_bytes rest = chy_buf_bytes(&v->detail);
    for (unsigned i = 0; i < tile->width; i++) {
        if (chy_tlog_bundle_next(&rest, &records[i], NULL) != CHY_OK) {
            find(v, "%s ends before the record of entry %llu", path,
                 U(tile->index * CHY_TLOG_TILE_WIDTH + i));
            return CHY_OK;
        }
    }
    if (rest.n != 0)
        find(v, "%s has %zu bytes behind its last record", path, rest.n);
    return CHY_OK;
}

/* *ret_goes_on is false when what follows cannot be known any more. */
static enum chy_err check_bundle(struct verifier *v, const struct chy_tlog_tile *tile,
                                 bool *ret_goes_on, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bundle;
    struct chy_bytes details[CHY_TLOG_TILE_WIDTH];
    char path[CHY_LOG_PATH_BYTES];
    uint64_t first = tile->index * CHY_TLOG_TILE_WIDTH;
    bool is_there;
    *ret_goes_on = false;
    chy_buf_init(&bundle, BUNDLE_MAX);
    CHY_TRY(chy_log_path(tile, false, path, err));
    CHY_TRY(read_file(v, path, &bundle, &is_there, err));
    if (!is_there) {
        find(v, "%s is missing: nothing is known of entry %llu and what follows it", path,
             U(first));
        return CHY_OK;
    }
    CHY_TRY(load_details(v, tile, details, err));
    struct chy_bytes rest = chy_buf_bytes(&bundle);
    for (unsigned i = 0; i < tile->width; i++) {
        struct chy_bytes entry;
        if (chy_tlog_bundle_next(&rest, &entry, NULL) != CHY_OK) {
            find_at(v, first + i, "is cut short in %s, and what follows it is missing", path);
            return CHY_OK;
        }
        CHY_TRY(check_entry(v, first + i, entry, details[i], err));
    }
    if (rest.n != 0)
        find(v, "%s has %zu bytes behind its last entry", path, rest.n);
    *ret_goes_on = true;
    return CHY_OK;
}

static enum chy_err check_entries(struct verifier *v, struct chy_error *err)
{
    bool goes_on = true;
    for (uint64_t index = 0; goes_on; index++) {
        struct chy_tlog_tile tile = { .level = CHY_TLOG_ENTRIES, .index = index };
        tile.width = chy_tlog_tile_width(CHY_TLOG_ENTRIES, index, v->report->size);
        if (tile.width == 0)
            break;
        CHY_TRY(check_bundle(v, &tile, &goes_on, err));
    }
    v->has_root = goes_on;
    return CHY_OK;
}

/* --- the head --- */

/* *ret_is_there is false when there is nothing to go by. An unsigned head is a finding; it still
 * says where to look for what else is wrong. */
static enum chy_err read_head(struct verifier *v, struct chy_bytes note, bool *ret_is_there,
                              struct chy_error *err)
{
    struct chy_tlog_checkpoint head;
    struct chy_error why;
    struct chy_str text;
    *ret_is_there = true;
    enum chy_err r = chy_tlog_checkpoint_open(note, v->check->keys, v->check->n_keys, &head, &why);
    if (r != CHY_OK) {
        find(v, "the checkpoint is not signed by the log's key: %s", why.text);
        CHY_TRY(no_memory(r, &why, err));
        *ret_is_there = chy_tlog_note_text(note, &text, NULL) == CHY_OK &&
                        chy_tlog_checkpoint_parse(text, &head, NULL) == CHY_OK;
    }
    if (!*ret_is_there)
        return CHY_OK;
    v->report->size = head.size;
    v->report->root = head.root;
    (void)snprintf(v->report->origin, sizeof v->report->origin, "%.*s", CHY_STR_ARG(head.origin));
    return CHY_OK;
}

static enum chy_err check_root(struct verifier *v, struct chy_error *err)
{
    struct chy_tlog_hash root;
    CHY_TRY(chy_tlog_tree_root(v->tree, &root, err));
    if (!chy_tlog_hash_equal(&root, &v->report->root))
        find(v, "the %llu entries do not make the root of the checkpoint", U(v->report->size));
    return CHY_OK;
}

static enum chy_err verify(struct verifier *v, struct chy_error *err)
{
    struct chy_tlog_tree_io io = { .ctx = v, .read_tile = on_read_tile, .tile_done = on_tile_done };
    CHY_CLEANUP(chy_buf_done) struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    CHY_TRY(v->check->source.read(v->check->source.ctx, "checkpoint", &note, err));
    bool has_head;
    CHY_TRY(read_head(v, chy_buf_bytes(&note), &has_head, err));
    if (!has_head)
        return CHY_OK;
    CHY_TRY(chy_tlog_tree_load(v->hasher, &io, 0, &v->tree, err));
    CHY_TRY(chy_log_rules_new(on_rule_broken, v, &v->rules, err));
    for (size_t i = 0; i < v->check->n_known; i++)
        CHY_TRY(add_known(v, &v->check->known[i], err));
    if (v->n_events != 0)
        qsort(v->events, v->n_events, sizeof *v->events, event_compare);
    CHY_TRY(check_entries(v, err));
    CHY_TRY(run_events(v, v->report->checked, NULL, err));
    check_tail(v);
    v->report->counts = chy_log_rules_counts(v->rules);
    if (!v->has_root)
        return CHY_OK;
    CHY_TRY(check_partial_tiles(v, err));
    return check_root(v, err);
}

static void verifier_done(struct verifier *v)
{
    chy_tlog_tree_free(v->tree);
    chy_log_rules_free(v->rules);
    chy_hasher_free(v->hasher);
    chy_free(v->events);
    chy_buf_done(&v->file);
    chy_buf_done(&v->detail);
    chy_arena_done(&v->arena);
}

enum chy_err chy_log_verify(const struct chy_log_check *check, struct chy_log_report *ret_report,
                            struct chy_error *err)
{
    *ret_report = (struct chy_log_report){ 0 };
    CHY_CLEANUP(verifier_done) struct verifier v = { .check = check, .report = ret_report };
    if (check->n_keys == 0)
        return chy_fail(err, CHY_E_ARG, "no log key is known to verify with");
    if (check->n_known > CHY_LIMIT_KNOWN)
        return chy_fail(err, CHY_E_LIMIT, "%zu known heads, %d are the most", check->n_known,
                        CHY_LIMIT_KNOWN);
    chy_buf_init(&v.file, (size_t)CHY_TLOG_TILE_BYTES);
    chy_buf_init(&v.detail, BUNDLE_MAX);
    chy_arena_init(&v.arena, CHY_LIMIT_ARENA);
    /* A receipt makes two. */
    v.events = chy_new_array(struct event, check->n_known * 2 + 1);
    if (v.events == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the verification");
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &v.hasher, err));
    CHY_TRY(verify(&v, err));
    ret_report->is_verified = v.has_root && ret_report->n_findings == 0;
    return CHY_OK;
}
