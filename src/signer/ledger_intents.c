/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/limits.h"
#include "signer/ledger_internal.h"

struct open_intent {
    uint64_t index;
    bool is_answered;
};

struct intent_scan {
    struct chy_arena arena; /* of one entry */
    struct chy_buf open;    /* of struct open_intent, by index */
};

static enum chy_err entry_decode(struct chy_bytes bytes, uint64_t index, struct chy_arena *arena,
                                 struct chy_entry *ret, struct chy_error *err)
{
    enum chy_err r = chy_schema_decode(&chy_entry_schema, bytes, arena, ret, err);
    if (r == CHY_OK || r == CHY_E_NOMEM)
        return r;
    return chy_fail(err, CHY_E_INTEGRITY, "log entry %llu does not decode",
                    (unsigned long long)index);
}

static int compare_intents(const void *a, const void *b)
{
    const struct open_intent *x = a;
    const struct open_intent *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static enum chy_err scan_leaf(void *ctx, uint64_t index, struct chy_bytes entry,
                              struct chy_bytes detail, struct chy_error *err)
{
    struct intent_scan *scan = ctx;
    struct chy_entry e;
    (void)detail;
    chy_arena_reset(&scan->arena);
    CHY_TRY(entry_decode(entry, index, &scan->arena, &e, err));
    if (ledger_is_intent(&e)) {
        struct open_intent intent = { .index = index };
        chy_buf_append(&scan->open, (struct chy_bytes){ (const uint8_t *)&intent, sizeof intent });
        return chy_buf_check(&scan->open, err);
    }
    if (!ledger_is_outcome(&e) || scan->open.n == 0)
        return CHY_OK;
    struct open_intent wanted = { .index = e.intent_index };
    struct open_intent *found = bsearch(&wanted, scan->open.p, scan->open.n / sizeof wanted,
                                        sizeof wanted, compare_intents);
    if (found != NULL)
        found->is_answered = true;
    return CHY_OK;
}

static enum chy_err close_intent(struct ledger *l, struct chy_arena *arena, uint64_t index,
                                 struct chy_error *err)
{
    struct chy_bytes bytes;
    struct chy_entry e;
    chy_arena_reset(arena);
    CHY_TRY(chy_store_log_get(l->s->store, index, arena, &bytes, NULL, err));
    CHY_TRY(entry_decode(bytes, index, arena, &e, err));
    e.kind = e.kind == CHY_ENTRY_SIGN_INTENT ? CHY_ENTRY_SIGN_OUTCOME : CHY_ENTRY_KEY;
    e.outcome = CHY_OUTCOME_UNKNOWN;
    e.intent_index = index;
    memset(e.detail_sha256, 0, sizeof e.detail_sha256);
    return ledger_add(l, &e, NULL, NULL, err);
}

static enum chy_err read_floor(struct ledger *l, struct chy_arena *arena, struct chy_error *err)
{
    struct chy_log_index floor = { 0 };
    enum chy_err r = chy_record_get(l->s->store, CHY_OBJECT_META, CHY_STR(META_FLOOR),
                                    &chy_log_index_schema, arena, &floor, err);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    l->floor = CHY_MIN(floor.index, l->size);
    return CHY_OK;
}

enum chy_err ledger_close_open_intents(struct ledger *l, size_t *ret_count, struct chy_error *err)
{
    struct intent_scan scan = { 0 };
    chy_arena_init(&scan.arena, CHY_LIMIT_ARENA);
    chy_buf_init(&scan.open, SIZE_MAX / 4);
    enum chy_err r = read_floor(l, &scan.arena, err);
    if (r == CHY_OK)
        r = chy_store_log_walk(l->s->store, l->floor, UINT64_MAX, scan_leaf, &scan, err);
    const struct open_intent *open = (const void *)scan.open.p;
    size_t count = 0;
    for (size_t i = 0; r == CHY_OK && i < scan.open.n / sizeof *open; i++)
        if (!open[i].is_answered) {
            r = close_intent(l, &scan.arena, open[i].index, err);
            count++;
        }
    if (r == CHY_OK)
        *ret_count = count;
    chy_buf_done(&scan.open);
    chy_arena_done(&scan.arena);
    return r;
}
