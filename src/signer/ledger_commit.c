/* SPDX-License-Identifier: MIT */
#include <utlist.h>

#include "crypto/hash.h"
#include "os/clock.h"
#include "signer/callers.h"
#include "signer/ledger_internal.h"

enum {
    FLOOR_EVERY = 50000, /* log entries from one saved floor to the next */
};

void ledger_wait(struct ledger *l, struct job *job, job_fn *next)
{
    ledger_wait_in_line(l, job, next);
    l->is_urgent = true;
}

void ledger_wait_in_line(struct ledger *l, struct job *job, job_fn *next)
{
    job->step = next;
    DL_APPEND2(l->waiting, job, wait_prev, wait_next);
    job->wait_list = &l->waiting;
}

bool ledger_is_urgent(const struct ledger *l)
{
    return l->is_urgent;
}

void ledger_forget(struct job *job)
{
    if (job->wait_list != NULL)
        DL_DELETE2(*job->wait_list, job, wait_prev, wait_next);
    job->wait_list = NULL;
}

/* Each waiting job once, in order; those that come to wait meanwhile are for the next time. */
struct job *ledger_waiting_take(struct job **list)
{
    struct job *all = *list;
    struct job *job;
    *list = NULL;
    DL_FOREACH2(all, job, wait_next)
    job->wait_list = NULL;
    return all;
}

bool ledger_is_idle(const struct ledger *l)
{
    return l->leaves.n == 0 && l->changes.n == 0 && l->waiting == NULL;
}

static enum chy_err write_leaves(struct ledger *l, struct chy_error *err)
{
    const struct leaf *leaves = (const void *)l->leaves.p;
    for (size_t i = 0; i < ledger_leaf_count(l); i++) {
        const uint8_t *p = l->bytes.p + leaves[i].entry_at;
        struct chy_bytes entry = { p, leaves[i].entry_n };
        struct chy_bytes detail = { p + leaves[i].entry_n, leaves[i].detail_n };
        struct chy_tlog_hash hash;
        CHY_TRY(chy_store_log_append(l->s->store, l->size + i, entry, detail, err));
        chy_tlog_leaf_hash(l->hasher, entry, &hash);
        CHY_TRY(chy_tlog_tree_append(l->tree, &hash, err));
    }
    return CHY_OK;
}

static enum chy_err write_changes(struct ledger *l, struct chy_error *err)
{
    const struct change *changes = (const void *)l->changes.p;
    for (size_t i = 0; i < ledger_change_count(l); i++) {
        const struct change *c = &changes[i];
        const uint8_t *p = l->bytes.p + c->name_at;
        struct chy_str name = { (const char *)p, c->name_n };
        enum chy_err r = c->is_delete
                             ? chy_store_delete(l->s->store, c->kind, name, err)
                             : chy_store_put(l->s->store, c->kind, name,
                                             (struct chy_bytes){ p + c->name_n, c->body_n }, err);
        /* Two jobs of one batch may both have dropped it: that is what they wanted. */
        if (r != CHY_OK && !(c->is_delete && r == CHY_E_NOT_FOUND))
            return r;
    }
    return CHY_OK;
}

static enum chy_err note_floor(struct ledger *l, struct chy_error *err)
{
    if (l->size - l->floor < FLOOR_EVERY)
        return CHY_OK;
    struct chy_log_index floor = { l->size };
    struct job *job;
    DL_FOREACH(l->s->jobs, job)
    if (job->has_intent)
        floor.index = CHY_MIN(floor.index, job->first_intent);
    CHY_TRY(ledger_change_put(l, CHY_OBJECT_META, CHY_STR(META_FLOOR), &chy_log_index_schema,
                              &floor, err));
    l->floor = floor.index;
    return CHY_OK;
}

static enum chy_err note_anchor(struct ledger *l, struct chy_error *err)
{
    if (l->is_anchored || l->published == 0)
        return CHY_OK;
    struct chy_log_index first = { l->published };
    CHY_TRY(ledger_change_put(l, CHY_OBJECT_META, CHY_STR(META_ANCHORED), &chy_log_index_schema,
                              &first, err));
    l->is_anchored = true;
    return CHY_OK;
}

static enum chy_err write_batch(struct ledger *l, struct chy_error *err)
{
    /* Jobs that only wait, with nothing to write, need no transaction. */
    if (l->leaves.n == 0 && l->changes.n == 0)
        return CHY_OK;
    CHY_TRY(note_floor(l, err));
    CHY_TRY(note_anchor(l, err));
    CHY_TRY(chy_store_begin(l->s->store, err));
    CHY_TRY(write_leaves(l, err));
    CHY_TRY(write_changes(l, err));
    CHY_TRY(chy_store_commit(l->s->store, err));
    l->s->counters.commits++;
    return CHY_OK;
}

static void run_waiting(struct ledger *l)
{
    struct job *job = ledger_waiting_take(&l->waiting);
    while (job != NULL) {
        struct job *next = job->wait_next;
        job_run(job, job->step);
        job = next;
    }
}

static void commit(struct ledger *l)
{
    struct chy_error err = { .code = CHY_E_STORE };
    l->last_commit_us = chy_clock_monotonic_us();
    enum chy_err r = write_batch(l, &err);
    if (r != CHY_OK) {
        chy_store_abort(l->s->store);
        err.code = r;
        signer_die(l->s, &err);
        return;
    }
    l->size += ledger_leaf_count(l);
    if (ledger_change_count(l) > 0)
        callers_forget(l->s);
    ledger_batch_clear(l);
    l->is_urgent = false;
    run_waiting(l);
    r = chy_store_maintain(l->s->store, &err);
    if (r != CHY_OK)
        chy_log(&l->s->log, CHY_LOG_WARNING, "store.upkeep", CHY_L_ERR(&err));
}

void ledger_turn(struct ledger *l, int64_t pace_us)
{
    int64_t now = chy_clock_monotonic_us();
    if (!ledger_is_idle(l)) {
        int64_t due = l->last_commit_us + pace_us;
        if (now < due) {
            chy_timer_set(l->pace, due);
        } else {
            commit(l);
            if (!ledger_is_idle(l)) /* steps that followed wrote more */
                chy_loop_wake(l->s->loop);
        }
    }
    ledger_checkpoint_turn(l, now);
}
