/* SPDX-License-Identifier: MIT */
#include "signer/ledger.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/random.h"
#include "signer/callers.h"
#include "signer/tokens.h"
#include "store/anchor.h"
#include "tlog/checkpoint.h"
#include "tlog/receipt.h"
#include "tlog/tree.h"

enum {
    BATCH_BYTES_MAX = 64 << 20,       /* of entries, details and objects; outcomes go past it */
    BATCH_BYTES_HARD_MAX = 512 << 20, /* with 20,000 outcomes of 16 KiB */
    BATCH_BYTES_KEEP = 4 << 20,       /* what is held for the next batch */
    BATCH_LEAVES_MAX = 20000,         /* a request of 1,000 items makes 2,000 */
    BATCH_CHANGES_MAX = 20000,
    OWN_CHANGES = 2,                 /* the floor and the mark of the anchor */
    CHECKPOINT_PACE_US = 100 * 1000, /* when nobody waits for one */
};
/* Below it every intent has its outcome; saved now and then, so that a start need not read the
 * whole log. */
#define META_FLOOR "intent-floor"
/* Once a checkpoint was published: a start without its file outside the store is refused. */
#define META_ANCHORED     "anchored"
#define FLOOR_EVERY       50000 /* entries */
#define CLOCK_BACK_MAX_US (INT64_C(60) * 1000000)

struct leaf {
    size_t entry_at; /* in `bytes` */
    size_t entry_n;
    size_t detail_n; /* behind the entry */
};

struct change {
    enum chy_object_kind kind;
    bool is_delete;
    size_t name_at; /* in `bytes` */
    size_t name_n;
    size_t body_n; /* behind the name */
};

struct ledger {
    struct signer *s;
    struct chy_hasher *hasher;
    struct chy_tlog_tree *tree;
    struct chy_anchor *anchor;
    struct chy_timer *pace;

    uint64_t size;           /* durable */
    uint64_t floor;          /* as it was saved */
    size_t owed;             /* allowed intents, in the log or gathered, without an outcome */
    bool is_anchored;        /* META_ANCHORED is in the store */
    struct chy_str accepted; /* see ledger_accepted() */
    int64_t last_entry_us;
    int64_t last_commit_us; /* monotonic: when the last one began */

    /* What the next commit brings. */
    struct chy_buf bytes;
    struct chy_buf leaves;  /* of struct leaf */
    struct chy_buf changes; /* of struct change */
    struct job *waiting;    /* for the commit, in order */
    struct job *waiting_checkpoint;

    /* Checkpoints. */
    struct key *key;
    struct chy_tlog_vkey vkey;
    uint64_t published; /* size of the newest checkpoint that was made durable in the anchor */
    int64_t last_checkpoint_us;
    struct chy_buf note; /* the newest checkpoint */
    struct chy_buf text; /* the one being signed */
    uint64_t text_size;
    struct sign_task task;
    bool is_signing;
};

/* --- opening --- */

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

static void batch_init(struct ledger *l)
{
    chy_buf_init(&l->bytes, BATCH_BYTES_HARD_MAX);
    chy_buf_init(&l->leaves, (size_t)2 * BATCH_LEAVES_MAX * sizeof(struct leaf));
    chy_buf_init(&l->changes, (BATCH_CHANGES_MAX + OWN_CHANGES) * sizeof(struct change));
}

/* One big batch does not hold its memory for ever. */
static void batch_clear(struct ledger *l)
{
    if (l->bytes.cap > BATCH_BYTES_KEEP) {
        chy_buf_done(&l->bytes);
        chy_buf_done(&l->leaves);
        chy_buf_done(&l->changes);
        batch_init(l);
        return;
    }
    chy_buf_clear(&l->bytes);
    chy_buf_clear(&l->leaves);
    chy_buf_clear(&l->changes);
}

enum chy_err ledger_open(struct signer *s, struct ledger **ret_ledger, struct chy_error *err)
{
    struct ledger *l = chy_new(struct ledger);
    if (l == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the ledger");
    l->s = s;
    batch_init(l);
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

/* --- gathering --- */

static size_t leaf_count(const struct ledger *l)
{
    return l->leaves.n / sizeof(struct leaf);
}

static size_t change_count(const struct ledger *l)
{
    return l->changes.n / sizeof(struct change);
}

struct ledger_mark ledger_mark(const struct ledger *l)
{
    return (struct ledger_mark){ .bytes = l->bytes.n,
                                 .leaves = l->leaves.n,
                                 .changes = l->changes.n,
                                 .owed = l->owed,
                                 .last_entry_us = l->last_entry_us };
}

static void buf_back(struct chy_buf *b, size_t n)
{
    CHY_ASSERT(n <= b->n);
    b->n = n;
    b->is_over = b->is_out_of_memory = false;
}

void ledger_rollback(struct ledger *l, const struct ledger_mark *mark)
{
    buf_back(&l->bytes, mark->bytes);
    buf_back(&l->leaves, mark->leaves);
    buf_back(&l->changes, mark->changes);
    l->owed = mark->owed;
    l->last_entry_us = mark->last_entry_us;
}

static bool is_intent(const struct chy_entry *e)
{
    return (e->kind == CHY_ENTRY_SIGN_INTENT || e->kind == CHY_ENTRY_KEY_INTENT) &&
           e->decision == CHY_DECISION_ALLOWED;
}

static bool is_outcome(const struct chy_entry *e)
{
    return e->outcome != CHY_OUTCOME_NONE;
}

/* Outcomes are let in always: their intents kept a place for them. */
static enum chy_err room_check(const struct ledger *l, const struct chy_entry *e,
                               struct chy_error *err)
{
    size_t wanted = is_intent(e) ? 2 : 1;
    if (is_outcome(e) ||
        (leaf_count(l) + l->owed + wanted <= BATCH_LEAVES_MAX && l->bytes.n <= BATCH_BYTES_MAX))
        return CHY_OK;
    return chy_fail(err, CHY_E_BUSY, "%zu log entries are under way already; try again",
                    leaf_count(l) + l->owed);
}

static enum chy_err entry_time(struct ledger *l, const struct chy_entry *e, int64_t *ret_us,
                               struct chy_error *err)
{
    int64_t now = chy_clock_realtime_us();
    if (now < l->last_entry_us - CLOCK_BACK_MAX_US && !is_outcome(e))
        return chy_fail(
            err, CHY_E_STATE,
            "the clock stands %lld s before the log's newest entry; nothing is signed until it is "
            "right",
            (long long)((l->last_entry_us - now) / 1000000));
    *ret_us = CHY_MAX(now, l->last_entry_us);
    return CHY_OK;
}

static enum chy_err detail_append(struct ledger *l, struct chy_entry_detail *detail,
                                  struct chy_buf *to, uint8_t ret_sha256[CHY_HASH_BYTES],
                                  struct chy_error *err)
{
    size_t at = to->n;
    CHY_TRY(chy_random_fill(detail->salt, sizeof detail->salt, err));
    CHY_TRY(chy_schema_encode(&chy_entry_detail_schema, detail, to, err));
    if (to->n - at > CHY_LIMIT_ENTRY)
        return chy_fail(err, CHY_E_LIMIT, "the facts of a request take over %d bytes in the log",
                        CHY_LIMIT_ENTRY);
    chy_hasher_add(l->hasher, (struct chy_bytes){ to->p + at, to->n - at });
    chy_hasher_end(l->hasher, ret_sha256);
    return CHY_OK;
}

/* The parts of a leaf in the order of the batch: entry, detail. The detail is encoded first,
 * because the entry holds its hash. */
static enum chy_err leaf_encode(struct ledger *l, struct chy_entry *entry,
                                struct chy_entry_detail *detail, struct leaf *ret_leaf,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf d;
    chy_buf_init(&d, (size_t)2 * CHY_LIMIT_ENTRY);
    if (detail != NULL)
        CHY_TRY(detail_append(l, detail, &d, entry->detail_sha256, err));
    size_t at = l->bytes.n;
    CHY_TRY(chy_schema_encode(&chy_entry_schema, entry, &l->bytes, err));
    size_t n = l->bytes.n - at;
    if (n > CHY_LIMIT_LEAF)
        return chy_fail(err, CHY_E_LIMIT,
                        "the public facts of a request take over %d bytes in the log",
                        CHY_LIMIT_LEAF);
    chy_buf_append(&l->bytes, chy_buf_bytes(&d));
    CHY_TRY(chy_buf_check(&l->bytes, err));
    *ret_leaf = (struct leaf){ at, n, d.n };
    return CHY_OK;
}

enum chy_err ledger_add(struct ledger *l, struct chy_entry *entry, struct chy_entry_detail *detail,
                        uint64_t *ret_index, struct chy_error *err)
{
    CHY_TRY(room_check(l, entry, err));
    CHY_TRY(entry_time(l, entry, &entry->time_us, err));
    entry->version = CHY_ENTRY_VERSION;
    entry->node = l->s->config.node;
    const struct ledger_mark mark = ledger_mark(l);
    struct leaf leaf;
    enum chy_err r = leaf_encode(l, entry, detail, &leaf, err);
    if (r == CHY_OK) {
        chy_buf_append(&l->leaves, (struct chy_bytes){ (const uint8_t *)&leaf, sizeof leaf });
        r = chy_buf_check(&l->leaves, err);
    }
    if (r != CHY_OK) {
        /* Nothing of a leaf that did not fit stays; what was gathered before does. */
        ledger_rollback(l, &mark);
        return r;
    }
    l->last_entry_us = entry->time_us;
    if (is_intent(entry))
        l->owed++;
    else if (is_outcome(entry) && l->owed > 0)
        l->owed--;
    if (ret_index != NULL)
        *ret_index = l->size + leaf_count(l) - 1;
    return CHY_OK;
}

enum chy_err ledger_add_intent(struct job *job, struct chy_entry *entry,
                               struct chy_entry_detail *detail, uint64_t *ret_index,
                               struct chy_error *err)
{
    CHY_TRY(ledger_add(job->s->ledger, entry, detail, ret_index, err));
    if (!job->has_intent)
        job->first_intent = *ret_index;
    job->has_intent = true;
    return CHY_OK;
}

static enum chy_err change_add(struct ledger *l, struct change *c, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(&l->bytes, err));
    chy_buf_append(&l->changes, (struct chy_bytes){ (const uint8_t *)c, sizeof *c });
    return chy_buf_check(&l->changes, err);
}

static enum chy_err change_check(const struct ledger *l, struct chy_error *err)
{
    if (change_count(l) < BATCH_CHANGES_MAX && l->bytes.n <= BATCH_BYTES_MAX)
        return CHY_OK;
    return chy_fail(err, CHY_E_BUSY, "%zu changes are under way already; try again",
                    change_count(l));
}

static enum chy_err change_put(struct ledger *l, enum chy_object_kind kind, struct chy_str name,
                               const struct chy_schema *schema, const void *record,
                               struct chy_error *err)
{
    struct change c = { .kind = kind, .name_at = l->bytes.n, .name_n = name.n };
    chy_buf_append_str(&l->bytes, name);
    size_t at = l->bytes.n;
    CHY_TRY(chy_schema_encode(schema, record, &l->bytes, err));
    c.body_n = l->bytes.n - at;
    return change_add(l, &c, err);
}

enum chy_err ledger_put(struct ledger *l, enum chy_object_kind kind, struct chy_str name,
                        const struct chy_schema *schema, const void *record, struct chy_error *err)
{
    const struct ledger_mark mark = ledger_mark(l);
    CHY_TRY(change_check(l, err));
    enum chy_err r = change_put(l, kind, name, schema, record, err);
    if (r != CHY_OK)
        ledger_rollback(l, &mark);
    return r;
}

enum chy_err ledger_delete(struct ledger *l, enum chy_object_kind kind, struct chy_str name,
                           struct chy_error *err)
{
    const struct ledger_mark mark = ledger_mark(l);
    struct change c = { .kind = kind, .is_delete = true, .name_at = l->bytes.n, .name_n = name.n };
    CHY_TRY(change_check(l, err));
    chy_buf_append_str(&l->bytes, name);
    enum chy_err r = change_add(l, &c, err);
    if (r != CHY_OK)
        ledger_rollback(l, &mark);
    return r;
}

void ledger_wait(struct ledger *l, struct job *job, job_fn *next)
{
    job->step = next;
    DL_APPEND2(l->waiting, job, wait_prev, wait_next);
    job->wait_list = &l->waiting;
}

void ledger_wait_checkpoint(struct ledger *l, struct job *job, uint64_t index, job_fn *next)
{
    job->step = next;
    job->wait_index = index;
    DL_APPEND2(l->waiting_checkpoint, job, wait_prev, wait_next);
    job->wait_list = &l->waiting_checkpoint;
}

void ledger_forget(struct job *job)
{
    if (job->wait_list != NULL)
        DL_DELETE2(*job->wait_list, job, wait_prev, wait_next);
    job->wait_list = NULL;
}

void ledger_expire(struct ledger *l, int64_t now_us)
{
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE2(l->waiting_checkpoint, job, next, wait_next)
    if (job->call.deadline_us != 0 && now_us > job->call.deadline_us) {
        struct chy_error err;
        chy_fail(&err, CHY_E_TIMEOUT,
                 "it was signed and logged, but no checkpoint that covers it could be published");
        job_fail(job, &err);
    }
}

/* Each waiting job once, in order; those that come to wait meanwhile are for the next time. */
static struct job *waiting_take(struct job **list)
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

/* --- the commit --- */

static enum chy_err write_leaves(struct ledger *l, struct chy_error *err)
{
    const struct leaf *leaves = (const void *)l->leaves.p;
    for (size_t i = 0; i < leaf_count(l); i++) {
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
    for (size_t i = 0; i < change_count(l); i++) {
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
    CHY_TRY(
        change_put(l, CHY_OBJECT_META, CHY_STR(META_FLOOR), &chy_log_index_schema, &floor, err));
    l->floor = floor.index;
    return CHY_OK;
}

static enum chy_err note_anchor(struct ledger *l, struct chy_error *err)
{
    if (l->is_anchored || l->published == 0)
        return CHY_OK;
    struct chy_log_index first = { l->published };
    CHY_TRY(
        change_put(l, CHY_OBJECT_META, CHY_STR(META_ANCHORED), &chy_log_index_schema, &first, err));
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
    struct job *job = waiting_take(&l->waiting);
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
    l->size += leaf_count(l);
    if (change_count(l) > 0)
        callers_forget(l->s);
    batch_clear(l);
    run_waiting(l);
    r = chy_store_maintain(l->s->store, &err);
    if (r != CHY_OK)
        chy_log(&l->s->log, CHY_LOG_WARNING, "store.upkeep", CHY_L_ERR(&err));
}

/* --- checkpoints --- */

enum chy_err ledger_set_key(struct ledger *l, struct key *key, struct chy_error *err)
{
    struct chy_bytes spki = key->record.key.public_key;
    /* RFC 8410: the raw Ed25519 key is the end of the SubjectPublicKeyInfo. */
    if (key->record.key.type != CHY_KEY_ED25519 || spki.n < CHY_ED25519_PUBLIC_BYTES)
        return chy_fail(err, CHY_E_INTEGRITY, "the log's key is no Ed25519 key");
    CHY_TRY(chy_tlog_vkey_make(l->hasher, l->s->config.origin,
                               spki.p + spki.n - CHY_ED25519_PUBLIC_BYTES, &l->vkey, err));
    l->key = key;
    return CHY_OK;
}

static enum chy_err publish(struct ledger *l, struct chy_bytes signature, struct chy_error *err)
{
    if (signature.n != CHY_ED25519_SIGNATURE_BYTES)
        return chy_fail(err, CHY_E_TOKEN, "the log's key made a signature of %zu bytes",
                        signature.n);
    CHY_TRY(chy_ed25519_verify(l->vkey.public_key, chy_buf_bytes(&l->text), signature, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf note;
    chy_buf_init(&note, CHY_ANCHOR_NOTE_BYTES);
    CHY_TRY(chy_tlog_note_make(&note, chy_buf_str(&l->text), &l->vkey, signature.p, err));
    CHY_TRY(chy_anchor_write(l->anchor, chy_buf_bytes(&note), err));
    chy_buf_clear(&l->note);
    chy_buf_append(&l->note, chy_buf_bytes(&note));
    CHY_TRY(chy_buf_check(&l->note, err));
    l->published = l->text_size;
    l->s->counters.checkpoints++;
    return CHY_OK;
}

static void run_waiting_checkpoint(struct ledger *l)
{
    struct job *job = waiting_take(&l->waiting_checkpoint);
    while (job != NULL) {
        struct job *next = job->wait_next;
        if (job->wait_index < l->published)
            job_run(job, job->step);
        else
            ledger_wait_checkpoint(l, job, job->wait_index, job->step);
        job = next;
    }
}

static void checkpoint_signed(struct sign_task *task, enum chy_err code, struct chy_str text,
                              struct chy_bytes signature)
{
    struct ledger *l = task->ctx;
    struct chy_error err;
    l->is_signing = false;
    l->last_checkpoint_us = chy_clock_monotonic_us();
    if (code != CHY_OK) {
        chy_log(&l->s->log, CHY_LOG_ERROR, "checkpoint.not_signed", CHY_L_STR("text", text));
        return;
    }
    enum chy_err r = publish(l, signature, &err);
    if (r != CHY_OK) {
        /* A log whose head cannot be published is as good as one that cannot be written. */
        signer_die(l->s, &err);
        return;
    }
    run_waiting_checkpoint(l);
}

static void checkpoint_begin(struct ledger *l)
{
    struct chy_error err;
    struct chy_tlog_checkpoint cp = { .origin = l->s->config.origin, .size = l->size };
    enum chy_err r = chy_tlog_tree_root(l->tree, &cp.root, &err);
    if (r == CHY_OK) {
        chy_buf_clear(&l->text);
        chy_tlog_checkpoint_append(&l->text, &cp);
        r = chy_buf_check(&l->text, &err);
    }
    if (r != CHY_OK) {
        signer_die(l->s, &err);
        return;
    }
    l->text_size = l->size;
    l->task = (struct sign_task){
        .key = l->key,
        .algorithm = CHY_ALG_ED25519,
        .input = chy_buf_bytes(&l->text),
        .for_administration = true,
        .done = checkpoint_signed,
        .ctx = l,
    };
    l->is_signing = tokens_sign(l->s, &l->task, &err) == CHY_OK;
    if (!l->is_signing)
        l->last_checkpoint_us = chy_clock_monotonic_us(); /* not ready: try again in a while */
}

static void checkpoint_turn(struct ledger *l, int64_t now_us)
{
    if (l->key == NULL || l->is_signing || l->size == l->published || l->s->has_failed)
        return;
    int64_t due = l->last_checkpoint_us + (l->waiting_checkpoint != NULL ? 0 : CHECKPOINT_PACE_US);
    if (now_us >= due)
        checkpoint_begin(l);
    else if (!chy_timer_is_set(l->pace))
        chy_timer_set(l->pace, due);
}

/* The entry itself, so that a receipt proves something without the log at hand. */
static enum chy_err receipt_extra(struct ledger *l, uint64_t index, struct chy_buf *out,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_bytes entry;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_store_log_get(l->s->store, index, &arena, &entry, NULL, err));
    chy_base64_append(out, entry);
    return chy_buf_check(out, err);
}

enum chy_err ledger_receipt(struct ledger *l, uint64_t index, struct chy_buf *out,
                            struct chy_error *err)
{
    if (index >= l->published)
        return chy_fail(err, CHY_E_STATE, "no checkpoint covers entry %llu yet",
                        (unsigned long long)index);
    struct chy_tlog_edge edge;
    struct chy_tlog_nodes nodes = chy_tlog_tree_nodes(l->tree);
    struct chy_tlog_receipt receipt = { .index = index, .checkpoint = chy_buf_bytes(&l->note) };
    CHY_TRY(chy_tlog_tree_edge_at(l->tree, l->published, &edge, err));
    CHY_TRY(chy_tlog_prove_inclusion(&nodes, &edge, index, &receipt.proof, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf extra;
    chy_buf_init(&extra, CHY_LIMIT_RECEIPT);
    CHY_TRY(receipt_extra(l, index, &extra, err));
    receipt.extra = chy_buf_str(&extra);
    chy_tlog_receipt_append(out, &receipt);
    return chy_buf_check(out, err);
}

/* --- the turn --- */

void ledger_turn(struct ledger *l, size_t in_flight)
{
    int64_t now = chy_clock_monotonic_us();
    if (!ledger_is_idle(l)) {
        int64_t due = l->last_commit_us + (int64_t)l->s->config.commit_pace_us;
        /* One alone never waits for company: with nothing at the tokens nothing more will come by
         * itself. */
        if (in_flight > 0 && now < due) {
            chy_timer_set(l->pace, due);
        } else {
            commit(l);
            if (!ledger_is_idle(l)) /* steps that followed wrote more */
                chy_loop_wake(l->s->loop);
        }
    }
    checkpoint_turn(l, now);
}

/* --- after a crash --- */

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
    if (is_intent(&e)) {
        struct open_intent intent = { .index = index };
        chy_buf_append(&scan->open, (struct chy_bytes){ (const uint8_t *)&intent, sizeof intent });
        return chy_buf_check(&scan->open, err);
    }
    if (!is_outcome(&e) || scan->open.n == 0)
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
