/* SPDX-License-Identifier: MIT */
/* Private to the files of the ledger: what they share. ledger.c opens and closes it, ledger_batch.c
 * gathers, ledger_commit.c makes durable, ledger_checkpoint.c publishes, ledger_intents.c tidies up
 * after a crash. */
#pragma once

#include "signer/ledger.h"
#include "signer/tokens.h"
#include "store/anchor.h"
#include "tlog/tree.h"

/* Below it every intent has its outcome; saved now and then, so that a start need not read the
 * whole log. */
#define META_FLOOR "intent-floor"
/* Once a checkpoint was published: a start without its file outside the store is refused. */
#define META_ANCHORED "anchored"

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
    bool is_urgent;         /* see ledger_is_urgent() */
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

/* ledger_batch.c */
void ledger_batch_init(struct ledger *l);
/* One big batch does not hold its memory for ever. */
void ledger_batch_clear(struct ledger *l);
size_t ledger_leaf_count(const struct ledger *l);
size_t ledger_change_count(const struct ledger *l);
/* ledger_put() without its check of room: for the ledger's own marks. Errors: those of
 * chy_schema_encode() */
CHY_MUST_USE enum chy_err ledger_change_put(struct ledger *l, enum chy_object_kind kind,
                                            struct chy_str name, const struct chy_schema *schema,
                                            const void *record, struct chy_error *err);
/* An allowed intent: an outcome is owed for it. */
bool ledger_is_intent(const struct chy_entry *e);
bool ledger_is_outcome(const struct chy_entry *e);

/* ledger_commit.c: all jobs of the list, which is empty then. Each is to be taken up once; those
 * that come to wait meanwhile are for the next time. */
struct job *ledger_waiting_take(struct job **list);

/* ledger_checkpoint.c: once a turn, ask for a checkpoint if one is due. */
void ledger_checkpoint_turn(struct ledger *l, int64_t now_us);
