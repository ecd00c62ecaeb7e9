/* SPDX-License-Identifier: MIT */
#include "query/key_ids.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "store/records.h"

/* Times as long as a reading took: so it takes a twentieth of the time at most. */
#define PAUSE 20

struct reading {
    struct chy_arena scratch; /* for one record */
    struct chy_arena arena;   /* of the names */
    struct chy_buf rows;      /* of struct query_key_id */
};

static void reading_done(struct reading *r)
{
    chy_arena_done(&r->scratch);
    chy_arena_done(&r->arena);
    chy_buf_done(&r->rows);
}

static enum chy_err id_add(void *ctx, struct chy_str name, struct chy_bytes body,
                           struct chy_error *err)
{
    struct reading *r = ctx;
    struct chy_key_record record;
    chy_arena_reset(&r->scratch);
    CHY_TRY(chy_record_decode(&chy_key_record_schema, name, body, &r->scratch, &record, err));
    struct query_key_id row = { .name = chy_arena_str(&r->arena, name) };
    if (row.name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the ids of keys");
    memcpy(row.id, record.key.id, sizeof row.id);
    chy_buf_append(&r->rows, (struct chy_bytes){ (const uint8_t *)&row, sizeof row });
    return chy_buf_check(&r->rows, err);
}

static int compare_ids(const void *a, const void *b)
{
    const struct query_key_id *x = a;
    const struct query_key_id *y = b;
    return chy_bytes_compare((struct chy_bytes){ x->id, sizeof x->id },
                             (struct chy_bytes){ y->id, sizeof y->id });
}

static enum chy_err ids_read(struct query_key_ids *ids, struct chy_store *store,
                             struct chy_error *err)
{
    CHY_CLEANUP(reading_done) struct reading r;
    chy_arena_init(&r.scratch, CHY_LIMIT_FRAME);
    chy_arena_init(&r.arena, CHY_LIMIT_ARENA);
    chy_buf_init(&r.rows, CHY_LIMIT_ARENA);
    CHY_TRY(chy_store_walk(store, CHY_OBJECT_KEY, CHY_STR(""), id_add, &r, err));
    size_t n = r.rows.n / sizeof(struct query_key_id);
    if (n != 0)
        qsort(r.rows.p, n, sizeof(struct query_key_id), compare_ids);
    struct chy_bytes rows = chy_arena_bytes(&r.arena, chy_buf_bytes(&r.rows));
    if (rows.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the ids of keys");
    query_key_ids_done(ids);
    ids->rows = (const void *)rows.p;
    ids->n = n;
    ids->arena = r.arena;
    r.arena = (struct chy_arena){ NULL, 0, 0 };
    return CHY_OK;
}

enum chy_err query_key_ids_read(struct query_key_ids *ids, struct chy_store *store,
                                struct chy_error *err)
{
    int64_t before_us = chy_clock_monotonic_us();
    if (before_us < ids->next_read_us)
        return CHY_OK;
    enum chy_err r = ids_read(ids, store, err);
    int64_t after_us = chy_clock_monotonic_us();
    ids->next_read_us = after_us + PAUSE * (after_us - before_us);
    return r;
}

static const struct query_key_id *ids_look(const struct query_key_ids *ids,
                                           const uint8_t id[CHY_ID_BYTES])
{
    struct query_key_id wanted = { 0 };
    memcpy(wanted.id, id, sizeof wanted.id);
    return ids->n != 0 ? bsearch(&wanted, ids->rows, ids->n, sizeof *ids->rows, compare_ids) : NULL;
}

enum chy_err query_key_ids_find(struct query_key_ids *ids, struct chy_store *store,
                                const uint8_t id[CHY_ID_BYTES], struct chy_str *ret_name,
                                struct chy_error *err)
{
    const struct query_key_id *found = ids_look(ids, id);
    if (found == NULL) {
        CHY_TRY(query_key_ids_read(ids, store, err));
        found = ids_look(ids, id);
    }
    *ret_name = found != NULL ? found->name : CHY_STR("");
    return CHY_OK;
}

void query_key_ids_done(struct query_key_ids *ids)
{
    chy_arena_done(&ids->arena);
    ids->rows = NULL;
    ids->n = 0;
}
