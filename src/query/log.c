/* SPDX-License-Identifier: MIT */
/* Entries of the log, for people: lists with filters, and one by one. */
#include "base/limits.h"
#include "query/entry_text.h"
#include "query/handlers.h"

enum {
    PAGE_DEFAULT = 100
};
/* Of one answer, past which no entry is added: in base 64, with its text, it must be below
 * CHY_LIMIT_JSON, or no client reads it. */
#define PAGE_BYTES (2 * (size_t)1048576)

static bool filter_is_open(const struct chy_log_query *f)
{
    return f->key.n == 0 && f->principal.n == 0 && f->kind.n == 0 && f->digest.n == 0;
}

static bool filter_takes(const struct chy_log_query *f, int kind, const struct chy_entry *e)
{
    return (f->key.n == 0 || chy_str_equal(f->key, query_entry_key(e))) &&
           (f->principal.n == 0 || chy_str_equal(f->principal, e->principal)) &&
           (f->kind.n == 0 || kind == (int)e->kind) &&
           (f->digest.n == 0 || chy_bytes_equal(f->digest, e->digest) ||
            chy_bytes_equal(f->digest, e->artifact_digest));
}

static bool detail_read(struct chy_bytes detail, struct chy_arena *arena,
                        struct chy_entry_detail *ret_detail)
{
    return detail.n > 0 &&
           chy_schema_decode(&chy_entry_detail_schema, detail, arena, ret_detail, NULL) == CHY_OK;
}

/* Facts stand in the intent alone: an outcome is looked up there. What is pruned is not known. */
static enum chy_err application_find(struct query_call *call, const struct chy_entry *e,
                                     const struct chy_entry_detail *own, struct chy_log_row *row,
                                     struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena scratch;
    struct chy_bytes entry;
    struct chy_bytes detail;
    struct chy_entry_detail intent;
    chy_arena_init(&scratch, CHY_LIMIT_ARENA);
    const struct chy_entry_detail *d = e->kind == CHY_ENTRY_SIGN_INTENT ? own : NULL;
    if (e->kind == CHY_ENTRY_SIGN_OUTCOME) {
        enum chy_err r =
            chy_store_log_get(call->q->store, e->intent_index, &scratch, &entry, &detail, err);
        if (r != CHY_OK && r != CHY_E_NOT_FOUND)
            return r;
        d = r == CHY_OK && detail_read(detail, &scratch, &intent) ? &intent : NULL;
    }
    const struct chy_fact *found = d != NULL ? query_entry_application(d) : NULL;
    if (found == NULL)
        return CHY_OK;
    struct chy_fact *copy = chy_arena_new(&call->arena, struct chy_fact);
    if (copy == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an entry");
    row->application = copy;
    return chy_schema_copy(&chy_fact_schema, found, &call->arena, copy, err);
}

/* What does not decode is shown as bytes: a log may hold entries of a version to come. */
static enum chy_err row_read(struct query_call *call, uint64_t index, struct chy_bytes entry,
                             struct chy_bytes detail, struct chy_log_row *row,
                             struct chy_error *err)
{
    struct chy_arena *arena = &call->arena;
    struct chy_entry e;
    struct chy_entry_detail d;
    *row = (struct chy_log_row){ .index = index, .entry = entry, .detail = detail };
    if (chy_schema_decode(&chy_entry_schema, entry, arena, &e, NULL) != CHY_OK) {
        row->text = CHY_STR("an entry that this version cannot read");
        return CHY_OK;
    }
    const struct chy_entry_detail *own = detail_read(detail, arena, &d) ? &d : NULL;
    CHY_TRY(application_find(call, &e, own, row, err));
    row->time_us = e.time_us;
    row->kind = chy_str_of(chy_enum_name(&chy_entry_kind_enum, (int)e.kind));
    row->principal = e.principal;
    row->key = query_entry_key(&e);
    row->decision = e.decision;
    row->rules = e.rules;
    row->text = query_entry_text(&e, own, row->application, arena);
    return row->text.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for an entry");
}

struct log_walk {
    struct query_call *call;
    const struct chy_log_query *filter;
    int kind;
    struct chy_arena scratch;
    struct chy_log_row *rows;
    size_t n;
    size_t max;
    size_t bytes;
    uint64_t next; /* the first index that was not looked at; newest first the last that was */
};

static void log_walk_done(struct log_walk *w)
{
    chy_arena_done(&w->scratch);
}

static bool is_wanted(struct log_walk *w, struct chy_bytes entry)
{
    struct chy_entry e;
    if (filter_is_open(w->filter))
        return true;
    chy_arena_reset(&w->scratch);
    return chy_schema_decode(&chy_entry_schema, entry, &w->scratch, &e, NULL) == CHY_OK &&
           filter_takes(w->filter, w->kind, &e);
}

static enum chy_err entry_add(void *ctx, uint64_t index, struct chy_bytes entry,
                              struct chy_bytes detail, struct chy_error *err)
{
    struct log_walk *w = ctx;
    if (w->n == w->max || w->bytes > PAGE_BYTES)
        return CHY_E_EXISTS; /* enough; this one is the next */
    w->next = w->filter->newest_first ? index : index + 1;
    if (!is_wanted(w, entry))
        return CHY_OK;
    struct chy_bytes own_entry = chy_arena_bytes(&w->call->arena, entry);
    struct chy_bytes own_detail = chy_arena_bytes(&w->call->arena, detail);
    if (own_entry.p == NULL || own_detail.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for entries");
    struct chy_log_row *row = &w->rows[w->n++];
    CHY_TRY(row_read(w->call, index, own_entry, own_detail, row, err));
    w->bytes += entry.n + detail.n + (row->application != NULL ? row->application->value.n : 0);
    return CHY_OK;
}

static enum chy_err log_walk_run(struct log_walk *w, struct chy_log_page *page,
                                 struct chy_error *err)
{
    const struct chy_log_query *f = w->filter;
    struct chy_store *store = w->call->q->store;
    uint64_t before = f->before != 0 ? CHY_MIN(f->before, page->size) : page->size;
    w->next = f->newest_first ? before : f->after;
    if (f->newest_first)
        CHY_TRY(chy_store_log_walk_back(store, before, CHY_LIMIT_SCAN, entry_add, w, err));
    else
        CHY_TRY(chy_store_log_walk(store, f->after, CHY_LIMIT_SCAN, entry_add, w, err));
    page->entries.p = w->rows;
    page->entries.n = w->n;
    page->next = CHY_MIN(w->next, page->size);
    return CHY_OK;
}

enum chy_err query_log_list(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_log_query *f = call->request;
    struct chy_log_page *page = response;
    CHY_CLEANUP(log_walk_done)
    struct log_walk w = {
        .call = call,
        .filter = f,
        .max = f->limit != 0 ? f->limit : PAGE_DEFAULT,
    };
    chy_arena_init(&w.scratch, CHY_LIMIT_ARENA);
    if (f->kind.n > 0 && chy_enum_find(&chy_entry_kind_enum, f->kind, &w.kind, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "there is no kind of entry \"%.*s\"", CHY_STR_ARG(f->kind));
    w.rows = chy_arena_array(&call->arena, struct chy_log_row, w.max);
    if (w.rows == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for entries");
    CHY_TRY(chy_store_log_size(call->q->store, &page->size, err));
    return log_walk_run(&w, page, err);
}

enum chy_err query_log_show(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_log_index *r = call->request;
    struct chy_bytes entry;
    struct chy_bytes detail;
    enum chy_err code =
        chy_store_log_get(call->q->store, r->index, &call->arena, &entry, &detail, err);
    if (code == CHY_E_NOT_FOUND)
        return chy_fail(err, code, "the log has no entry %llu", (unsigned long long)r->index);
    CHY_TRY(code);
    return row_read(call, r->index, entry, detail, response, err);
}
