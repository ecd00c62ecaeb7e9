/* SPDX-License-Identifier: MIT */
#include "log_export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tlog/checkpoint.h"
#include "tlog/receipt.h"

void export_init(struct export *e)
{
    memset(e, 0, sizeof *e);
    e->hasher = fixture_hasher();
    e->key = fixture_vkey(e->hasher, EXPORT_ORIGIN, EXPORT_SEED);
}

static void files_clear(struct export *e)
{
    for (size_t i = 0; i < e->n_files; i++)
        chy_buf_done(&e->files[i].content);
    e->n_files = 0;
}

void export_done(struct export *e)
{
    files_clear(e);
    for (size_t i = 0; i < e->n; i++) {
        chy_buf_done(&e->entries[i]);
        chy_buf_done(&e->details[i]);
    }
    chy_hasher_free(e->hasher);
}

void export_add(struct export *e, const struct chy_entry *entry,
                const struct chy_entry_detail *detail)
{
    struct chy_entry copy = *entry;
    assert_true(e->n < EXPORT_ENTRIES);
    chy_buf_init(&e->entries[e->n], CHY_LIMIT_ENTRY);
    chy_buf_init(&e->details[e->n], CHY_LIMIT_ENTRY);
    if (detail != NULL) {
        struct chy_buf *out = &e->details[e->n];
        assert_int_equal(chy_schema_encode(&chy_entry_detail_schema, detail, out, NULL), CHY_OK);
        chy_hasher_add(e->hasher, chy_buf_bytes(out));
        chy_hasher_end(e->hasher, copy.detail_sha256);
    }
    struct chy_buf *out = &e->entries[e->n++];
    assert_int_equal(chy_schema_encode(&chy_entry_schema, &copy, out, NULL), CHY_OK);
}

static struct chy_entry entry_base(const struct export *e, enum chy_entry_kind kind)
{
    static const uint8_t digest[32] = { 0xd1 };
    struct chy_entry entry = {
        .version = CHY_ENTRY_VERSION,
        .kind = kind,
        .time_us = 1700000000000000 + (int64_t)e->n,
        .node = CHY_STR("node"),
        .principal = CHY_STR("alice"),
        .action = CHY_STR("sign"),
        .subject = CHY_STR("release"),
        .key_sha256 = { 0x4b },
        .algorithm = CHY_ALG_ECDSA_SHA256,
        .digest = { digest, sizeof digest },
    };
    return entry;
}

static void add_intent(struct export *e, enum chy_decision decision, bool has_detail)
{
    struct chy_entry entry = entry_base(e, CHY_ENTRY_SIGN_INTENT);
    struct chy_entry_detail detail = { .salt = { 0x5a, 1 }, .reason = CHY_STR("because") };
    entry.decision = decision;
    export_add(e, &entry, has_detail ? &detail : NULL);
}

static void add_outcome(struct export *e, uint64_t intent)
{
    struct chy_entry entry = entry_base(e, CHY_ENTRY_SIGN_OUTCOME);
    entry.outcome = CHY_OUTCOME_DONE;
    entry.intent_index = intent;
    entry.result_sha256[0] = 0x51;
    export_add(e, &entry, NULL);
}

void export_add_usual(struct export *e)
{
    struct chy_entry start = entry_base(e, CHY_ENTRY_SERVER_START);
    export_add(e, &start, NULL);
    add_intent(e, CHY_DECISION_ALLOWED, true);
    add_outcome(e, 1);
    add_intent(e, CHY_DECISION_DENIED, true);
    add_intent(e, CHY_DECISION_ALLOWED, false);
}

void export_add_pairs(struct export *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t intent = e->n;
        add_intent(e, CHY_DECISION_ALLOWED, i % 3 == 0);
        add_outcome(e, intent);
    }
}

/* --- files --- */

static struct chy_buf *file_add(struct export *e, const struct chy_tlog_tile *tile, bool is_detail)
{
    assert_true(e->n_files < EXPORT_FILES);
    struct export_file *f = &e->files[e->n_files++];
    chy_buf_init(&f->content, (size_t)1 << 20);
    if (tile == NULL)
        memcpy(f->path, "checkpoint", sizeof "checkpoint");
    else
        assert_int_equal(chy_log_path(tile, is_detail, f->path, NULL), CHY_OK);
    return &f->content;
}

static struct chy_tlog_hash leaf_of(struct export *e, size_t i)
{
    struct chy_tlog_hash leaf;
    chy_tlog_leaf_hash(e->hasher, chy_buf_bytes(&e->entries[i]), &leaf);
    return leaf;
}

static void leaves_of(struct export *e, struct chy_tlog_hash leaves[EXPORT_ENTRIES])
{
    for (size_t i = 0; i < e->n; i++)
        leaves[i] = leaf_of(e, i);
}

/* By the definition: node (8 * level, k) is the root of the leaves below it. */
static void write_tiles(struct export *e, const struct chy_tlog_hash *leaves, size_t size)
{
    for (unsigned level = 0; level < 2; level++) {
        size_t below = (size_t)1 << (level * CHY_TLOG_TILE_HEIGHT);
        struct chy_tlog_tile tile = { .level = level };
        for (; (tile.width = chy_tlog_tile_width(level, tile.index, size)) != 0; tile.index++) {
            struct chy_buf *out = file_add(e, &tile, false);
            for (size_t k = 0; k < tile.width; k++) {
                size_t first = (tile.index * CHY_TLOG_TILE_WIDTH + k) * below;
                struct chy_tlog_hash h = fixture_root(e->hasher, leaves + first, below);
                assert_true(chy_buf_append(out, (struct chy_bytes){ h.b, sizeof h.b }));
            }
        }
    }
}

static void write_bundles(struct export *e, const struct chy_buf *records, size_t size,
                          bool is_detail)
{
    struct chy_tlog_tile tile = { .level = CHY_TLOG_ENTRIES };
    for (; (tile.width = chy_tlog_tile_width(tile.level, tile.index, size)) != 0; tile.index++) {
        struct chy_buf *out = file_add(e, &tile, is_detail);
        for (size_t k = 0; k < tile.width; k++) {
            size_t i = tile.index * CHY_TLOG_TILE_WIDTH + k;
            assert_true(chy_tlog_bundle_add(out, chy_buf_bytes(&records[i])));
        }
    }
}

void export_checkpoint(struct export *e, size_t size, struct chy_buf *out)
{
    static struct chy_tlog_hash leaves[EXPORT_ENTRIES];
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_NOTE);
    leaves_of(e, leaves);
    struct chy_tlog_checkpoint head = { .origin = CHY_STR(EXPORT_ORIGIN), .size = size };
    head.root = fixture_root(e->hasher, leaves, size);
    assert_true(chy_tlog_checkpoint_append(&text, &head));
    fixture_note(e->hasher, out, chy_buf_str(&text), EXPORT_ORIGIN, EXPORT_SEED);
}

void export_receipt(struct export *e, size_t index, size_t size, struct chy_buf *out)
{
    static struct chy_tlog_hash leaves[EXPORT_ENTRIES];
    CHY_CLEANUP(chy_buf_done) struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    leaves_of(e, leaves);
    export_checkpoint(e, size, &note);
    struct chy_tlog_receipt receipt = { .index = index, .checkpoint = chy_buf_bytes(&note) };
    receipt.proof = fixture_path(e->hasher, leaves, index, size);
    assert_true(chy_tlog_receipt_append(out, &receipt));
}

void export_write(struct export *e, size_t size)
{
    static struct chy_tlog_hash leaves[EXPORT_ENTRIES];
    files_clear(e);
    leaves_of(e, leaves);
    export_checkpoint(e, size, file_add(e, NULL, false));
    write_tiles(e, leaves, size);
    write_bundles(e, e->entries, size, false);
    write_bundles(e, e->details, size, true);
}

struct export_file *export_find(struct export *e, const char *path)
{
    for (size_t i = 0; i < e->n_files; i++) {
        if (strcmp(e->files[i].path, path) == 0)
            return &e->files[i];
    }
    return NULL;
}

void export_remove(struct export *e, const char *path)
{
    struct export_file *f = export_find(e, path);
    assert_non_null(f);
    chy_buf_done(&f->content);
    *f = e->files[--e->n_files];
}

static enum chy_err on_read(void *ctx, const char *path, struct chy_buf *to, struct chy_error *err)
{
    const struct export_file *f = export_find(ctx, path);
    if (f == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no %s", path);
    CHY_IGNORE(chy_buf_append(to, chy_buf_bytes(&f->content))); /* checked at once */
    return chy_buf_check(to, err);
}

struct chy_log_source export_source(struct export *e)
{
    return (struct chy_log_source){ .ctx = e, .read = on_read };
}

void export_verify(struct export *e, const struct chy_log_known *known, size_t n_known,
                   struct chy_log_report *report)
{
    struct chy_error err = { 0 };
    struct chy_log_check check = {
        .source = export_source(e), .keys = &e->key, .n_keys = 1, .known = known, .n_known = n_known
    };
    if (chy_log_verify(&check, report, &err) != CHY_OK)
        fail_msg("the verification could not run: %s", err.text);
}
