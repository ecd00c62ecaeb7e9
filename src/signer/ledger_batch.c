/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/random.h"
#include "signer/ledger_internal.h"

enum {
    BATCH_BYTES_MAX = 64 << 20,       /* of entries, details and objects; outcomes go past it */
    BATCH_BYTES_HARD_MAX = 512 << 20, /* with 20,000 outcomes of 16 KiB */
    BATCH_BYTES_KEEP = 4 << 20,       /* what is held for the next batch */
    BATCH_LEAVES_MAX = 20000,         /* a request of 1,000 items makes 2,000 */
    BATCH_CHANGES_MAX = 20000,
    OWN_CHANGES = 2, /* the floor and the mark of the anchor */
};
#define CLOCK_BACK_MAX_US (INT64_C(60) * 1000000)

void ledger_batch_init(struct ledger *l)
{
    chy_buf_init(&l->bytes, BATCH_BYTES_HARD_MAX);
    chy_buf_init(&l->leaves, (size_t)2 * BATCH_LEAVES_MAX * sizeof(struct leaf));
    chy_buf_init(&l->changes, (BATCH_CHANGES_MAX + OWN_CHANGES) * sizeof(struct change));
}

/* One big batch does not hold its memory for ever. */
void ledger_batch_clear(struct ledger *l)
{
    if (l->bytes.cap > BATCH_BYTES_KEEP) {
        chy_buf_done(&l->bytes);
        chy_buf_done(&l->leaves);
        chy_buf_done(&l->changes);
        ledger_batch_init(l);
        return;
    }
    chy_buf_clear(&l->bytes);
    chy_buf_clear(&l->leaves);
    chy_buf_clear(&l->changes);
}

size_t ledger_leaf_count(const struct ledger *l)
{
    return l->leaves.n / sizeof(struct leaf);
}

size_t ledger_change_count(const struct ledger *l)
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

bool ledger_is_intent(const struct chy_entry *e)
{
    return (e->kind == CHY_ENTRY_SIGN_INTENT || e->kind == CHY_ENTRY_KEY_INTENT) &&
           e->decision == CHY_DECISION_ALLOWED;
}

bool ledger_is_outcome(const struct chy_entry *e)
{
    return e->outcome != CHY_OUTCOME_NONE;
}

/* Outcomes are let in always: their intents kept a place for them. */
static enum chy_err room_check(const struct ledger *l, const struct chy_entry *e,
                               struct chy_error *err)
{
    size_t wanted = ledger_is_intent(e) ? 2 : 1;
    if (ledger_is_outcome(e) || (ledger_leaf_count(l) + l->owed + wanted <= BATCH_LEAVES_MAX &&
                                 l->bytes.n <= BATCH_BYTES_MAX))
        return CHY_OK;
    return chy_fail(err, CHY_E_BUSY, "%zu log entries are under way already; try again",
                    ledger_leaf_count(l) + l->owed);
}

static enum chy_err entry_time(struct ledger *l, const struct chy_entry *e, int64_t *ret_us,
                               struct chy_error *err)
{
    int64_t now = chy_clock_realtime_us();
    if (now < l->last_entry_us - CLOCK_BACK_MAX_US && !ledger_is_outcome(e))
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
    if (ledger_is_intent(entry))
        l->owed++;
    else if (ledger_is_outcome(entry) && l->owed > 0)
        l->owed--;
    if (ret_index != NULL)
        *ret_index = l->size + ledger_leaf_count(l) - 1;
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
    if (ledger_change_count(l) < BATCH_CHANGES_MAX && l->bytes.n <= BATCH_BYTES_MAX)
        return CHY_OK;
    return chy_fail(err, CHY_E_BUSY, "%zu changes are under way already; try again",
                    ledger_change_count(l));
}

enum chy_err ledger_change_put(struct ledger *l, enum chy_object_kind kind, struct chy_str name,
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
    enum chy_err r = ledger_change_put(l, kind, name, schema, record, err);
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
