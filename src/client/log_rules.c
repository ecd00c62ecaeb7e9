/* SPDX-License-Identifier: MIT */
#include "client/log_rules.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

/* What the verifier remembers of an entry, for outcomes that point back to it. */
enum state {
    STATE_OTHER = 0,
    STATE_REFUSED, /* a sign intent that was not allowed */
    STATE_OPEN,    /* an allowed intent without an outcome so far */
    STATE_ANSWERED,
    STATE_UNREADABLE,
};

struct open_intent {
    uint64_t index;
    enum chy_entry_kind kind;
    enum chy_sign_alg algorithm;
    uint8_t key_sha256[CHY_HASH_BYTES];
    size_t digest_n;
    uint8_t digest[CHY_LIMIT_DIGEST];
};

struct chy_log_rules {
    chy_log_fault_fn fault;
    void *ctx;
    struct chy_log_counts counts;
    bool has_time;
    uint8_t *states; /* one for each entry */
    uint64_t n;
    size_t cap;
    struct open_intent *open; /* by index, ascending; what was answered goes now and then */
    size_t open_n;
    size_t open_cap;
    size_t answered_n; /* of these */
};

enum chy_err chy_log_rules_new(chy_log_fault_fn fault, void *ctx, struct chy_log_rules **ret_rules,
                               struct chy_error *err)
{
    struct chy_log_rules *r = chy_new(struct chy_log_rules);
    if (r == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the verification");
    r->fault = fault;
    r->ctx = ctx;
    *ret_rules = r;
    return CHY_OK;
}

void chy_log_rules_free(struct chy_log_rules *r)
{
    if (r == NULL)
        return;
    chy_free(r->states);
    chy_free(r->open);
    chy_free(r);
}

void chy_log_rules_freep(struct chy_log_rules **r)
{
    chy_log_rules_free(*r);
}

static bool is_open(const struct chy_log_rules *r, const struct open_intent *o)
{
    return r->states[o->index] == STATE_OPEN;
}

struct chy_log_counts chy_log_rules_counts(const struct chy_log_rules *r)
{
    struct chy_log_counts counts = r->counts;
    counts.open = r->open_n - r->answered_n;
    for (size_t i = 0; i < r->open_n; i++) {
        if (is_open(r, &r->open[i])) {
            counts.first_open = r->open[i].index;
            break;
        }
    }
    return counts;
}

/* Room for one more element of `size` bytes; doubles. */
static void *grown(void *p, size_t n, size_t *cap, size_t size)
{
    size_t wanted;
    size_t bytes;
    if (n < *cap)
        return p;
    if (__builtin_mul_overflow(*cap, 2, &wanted))
        return NULL;
    wanted = CHY_MAX(wanted, (size_t)64);
    if (__builtin_mul_overflow(wanted, size, &bytes))
        return NULL;
    void *q = chy_realloc(p, bytes);
    if (q != NULL)
        *cap = wanted;
    return q;
}

static enum chy_err make_room(struct chy_log_rules *r, struct chy_error *err)
{
    uint8_t *states = grown(r->states, r->n, &r->cap, sizeof *states);
    if (states == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the verification");
    r->states = states;
    struct open_intent *open = grown(r->open, r->open_n, &r->open_cap, sizeof *open);
    if (open == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the verification");
    r->open = open;
    return CHY_OK;
}

CHY_PRINTF(3, 4)
static void fault(struct chy_log_rules *r, uint64_t index, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->fault(r->ctx, index, text);
}

static enum state open_add(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e)
{
    struct open_intent *o = &r->open[r->open_n++];
    *o = (struct open_intent){ .index = index, .kind = e->kind, .algorithm = e->algorithm };
    memcpy(o->key_sha256, e->key_sha256, sizeof o->key_sha256);
    o->digest_n = CHY_MIN(e->digest.n, sizeof o->digest);
    chy_copy(o->digest, e->digest.p, o->digest_n);
    return STATE_OPEN;
}

/* NULL when it is not open. */
static struct open_intent *open_find(struct chy_log_rules *r, uint64_t index)
{
    size_t low = 0;
    size_t high = r->open_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->open[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < r->open_n && r->open[low].index == index && is_open(r, &r->open[low]);
    return is_there ? &r->open[low] : NULL;
}

/* Taken out when it is half of all: each intent is moved twice at most, on average. */
static void open_answered(struct chy_log_rules *r, const struct open_intent *o)
{
    r->states[o->index] = STATE_ANSWERED;
    if (++r->answered_n < 64 || r->answered_n * 2 < r->open_n)
        return;
    size_t n = 0;
    for (size_t i = 0; i < r->open_n; i++) {
        if (is_open(r, &r->open[i]))
            r->open[n++] = r->open[i];
    }
    r->open_n = n;
    r->answered_n = 0;
}

static bool is_zero(const uint8_t hash[CHY_HASH_BYTES])
{
    static const uint8_t zero[CHY_HASH_BYTES];
    return chy_bytes_equal((struct chy_bytes){ hash, CHY_HASH_BYTES },
                           (struct chy_bytes){ zero, sizeof zero });
}

/* An outcome repeats what it is about as far as it says anything; that must be what was allowed. */
static bool is_about(const struct open_intent *o, const struct chy_entry *e)
{
    bool key_fits = is_zero(e->key_sha256) ||
                    chy_bytes_equal((struct chy_bytes){ e->key_sha256, CHY_HASH_BYTES },
                                    (struct chy_bytes){ o->key_sha256, CHY_HASH_BYTES });
    bool digest_fits = e->digest.n == 0 ||
                       chy_bytes_equal(e->digest, (struct chy_bytes){ o->digest, o->digest_n });
    bool algorithm_fits = e->algorithm == CHY_ALG_NONE || e->algorithm == o->algorithm;
    return key_fits && digest_fits && algorithm_fits;
}

static const char *why_not_open(const struct chy_log_rules *r, uint64_t intent)
{
    switch ((enum state)r->states[intent]) {
    case STATE_REFUSED:
        return "which was not allowed";
    case STATE_ANSWERED:
        return "which has an outcome already";
    case STATE_UNREADABLE:
        return "which cannot be read";
    case STATE_OTHER:
    case STATE_OPEN:
        break;
    }
    return "which is no intent";
}

static void answer(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e,
                   enum chy_entry_kind wanted)
{
    if (e->intent_index >= index) {
        fault(r, index, "answers entry %llu, which comes after it",
              (unsigned long long)e->intent_index);
        return;
    }
    struct open_intent *o = open_find(r, e->intent_index);
    if (o == NULL) {
        fault(r, index, "answers entry %llu, %s", (unsigned long long)e->intent_index,
              why_not_open(r, e->intent_index));
        return;
    }
    if (o->kind != wanted)
        fault(r, index, "answers entry %llu, an intent of another kind",
              (unsigned long long)e->intent_index);
    else if (wanted == CHY_ENTRY_SIGN_INTENT && !is_about(o, e))
        fault(r, index, "is about another key or digest than its intent %llu",
              (unsigned long long)e->intent_index);
    open_answered(r, o);
}

static enum state feed_intent(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e)
{
    if (e->outcome != CHY_OUTCOME_NONE)
        fault(r, index, "is an intent and an outcome at once");
    if (e->decision == CHY_DECISION_ALLOWED)
        return open_add(r, index, e);
    if (e->decision == CHY_DECISION_NONE)
        fault(r, index, "is an intent without a decision");
    r->counts.refusals++;
    return STATE_REFUSED;
}

static enum state feed_outcome(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e)
{
    if (e->outcome == CHY_OUTCOME_NONE)
        fault(r, index, "is an outcome that says nothing");
    if (e->outcome == CHY_OUTCOME_DONE && is_zero(e->result_sha256))
        fault(r, index, "says that it signed and does not say what came of it");
    if (e->outcome == CHY_OUTCOME_DONE)
        r->counts.signatures++;
    else
        r->counts.failures++;
    answer(r, index, e, CHY_ENTRY_SIGN_INTENT);
    return STATE_OTHER;
}

static enum state feed_kind(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e)
{
    switch (e->kind) {
    case CHY_ENTRY_SIGN_INTENT:
        return feed_intent(r, index, e);
    case CHY_ENTRY_SIGN_OUTCOME:
        return feed_outcome(r, index, e);
    case CHY_ENTRY_KEY_INTENT:
        return open_add(r, index, e);
    case CHY_ENTRY_SERVER_START:
    case CHY_ENTRY_SERVER_STOP:
    case CHY_ENTRY_KEY:
    case CHY_ENTRY_POLICY:
    case CHY_ENTRY_USER:
    case CHY_ENTRY_RECOVERY:
        break;
    }
    /* Not everything that changes a key uses one: then there is no intent and no outcome. */
    if (e->outcome != CHY_OUTCOME_NONE)
        answer(r, index, e, CHY_ENTRY_KEY_INTENT);
    return STATE_OTHER;
}

static void feed_time(struct chy_log_rules *r, uint64_t index, const struct chy_entry *e)
{
    if (!r->has_time)
        r->counts.first_us = e->time_us;
    else if (e->time_us < r->counts.last_us)
        fault(r, index, "is older than the entry before it");
    r->has_time = true;
    r->counts.last_us = e->time_us;
}

enum chy_err chy_log_rules_feed(struct chy_log_rules *r, uint64_t index,
                                const struct chy_entry *entry, struct chy_error *err)
{
    CHY_ASSERT(index == r->n);
    CHY_TRY(make_room(r, err));
    enum state state = STATE_UNREADABLE;
    if (entry != NULL) {
        feed_time(r, index, entry);
        state = feed_kind(r, index, entry);
    }
    r->states[r->n++] = (uint8_t)state;
    return CHY_OK;
}
