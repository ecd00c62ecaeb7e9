/* SPDX-License-Identifier: MIT */
/* The writing side of the log and the store: what the steps of one turn of the loop add is gathered
 * and becomes durable in one commit (group commit). Also the Merkle tree, the checkpoints and
 * receipts.
 *
 * Add entries and changes, then have the job wait; its next step runs after the commit. When the
 * commit fails, every waiting job is answered with the error and the signer ends: nothing is ever
 * signed on a log that could not be written. */
#pragma once

#include "proto/entry.h"
#include "signer/job.h"
#include "signer/state.h"
#include "tlog/note.h"

/* Reads what is there: the tree, the newest entry's time, the checkpoint outside the store.
 * Errors: CHY_E_INTEGRITY  the store is older than the last published checkpoint, or another one;
 *                          the text says how to go on
 *         CHY_E_STORE, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err ledger_open(struct signer *s, struct ledger **ret_ledger,
                                      struct chy_error *err);
void ledger_close(struct ledger *l);

/* Append an entry; its version, node, time and detail hash are filled in here. `detail` may be
 * NULL; its salt is filled in here. The index is final once the commit has succeeded. Every allowed
 * intent keeps room for its outcome: an outcome is never refused for want of room, nor for the
 * clock.
 * Errors: CHY_E_LIMIT  the entry would pass CHY_LIMIT_ENTRY
 *         CHY_E_BUSY   the batch is full
 *         CHY_E_STATE  the clock went back by more than a minute
 *         CHY_E_ARG, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err ledger_add(struct ledger *l, struct chy_entry *entry,
                                     struct chy_entry_detail *detail, uint64_t *ret_index,
                                     struct chy_error *err);
/* The same for an intent: the job owes an outcome for it, on every way it may end. */
CHY_MUST_USE enum chy_err ledger_add_intent(struct job *job, struct chy_entry *entry,
                                            struct chy_entry_detail *detail, uint64_t *ret_index,
                                            struct chy_error *err);
/* Put or remove an object in the same commit. Errors: those of chy_schema_encode() */
CHY_MUST_USE enum chy_err ledger_put(struct ledger *l, enum chy_object_kind kind,
                                     struct chy_str name, const struct chy_schema *schema,
                                     const void *record, struct chy_error *err);
CHY_MUST_USE enum chy_err ledger_delete(struct ledger *l, enum chy_object_kind kind,
                                        struct chy_str name, struct chy_error *err);

/* What was gathered so far. A step of a job that fails leaves nothing behind: job_run() takes a
 * mark before it and goes back. No mark outlives the turn. */
struct ledger_mark {
    size_t bytes;
    size_t leaves;
    size_t changes;
    size_t owed;
    int64_t last_entry_us;
};
struct ledger_mark ledger_mark(const struct ledger *l);
void ledger_rollback(struct ledger *l, const struct ledger_mark *mark);

/* Run `next` of the job once all that was added so far is durable. */
void ledger_wait(struct ledger *l, struct job *job, job_fn *next);
/* The same for a job whose token is full: that commit need not come sooner for its sake. */
void ledger_wait_in_line(struct ledger *l, struct job *job, job_fn *next);
/* Somebody waits for the commit who is not in line. */
bool ledger_is_urgent(const struct ledger *l);
/* Run `next` once a published checkpoint covers the entry at `index`. */
void ledger_wait_checkpoint(struct ledger *l, struct job *job, uint64_t index, job_fn *next);
/* The job goes away. */
void ledger_forget(struct job *job);
/* Give up jobs that wait for a checkpoint past their callers' patience. */
void ledger_expire(struct ledger *l, int64_t now_us);

/* Once a turn: commit if the last one was `pace_us` ago, and ask for a checkpoint if one is due. */
void ledger_turn(struct ledger *l, int64_t pace_us);
bool ledger_is_idle(const struct ledger *l);

/* The receipt of a leaf under the newest checkpoint, appended to `out`. Errors: CHY_E_STATE not
 * covered yet; those of the tree */
CHY_MUST_USE enum chy_err ledger_receipt(struct ledger *l, uint64_t index, struct chy_buf *out,
                                         struct chy_error *err);

/* The log's key came to be. */
CHY_MUST_USE enum chy_err ledger_set_key(struct ledger *l, struct key *key, struct chy_error *err);
uint64_t ledger_size(const struct ledger *l);
uint64_t ledger_published(const struct ledger *l);
/* The operator accepted a store that lacks what was published: why, for the log; empty: it lacks
 * nothing. */
struct chy_str ledger_accepted(const struct ledger *l);

/* After a crash: intents without an outcome get one, "unknown". Call once, before anything else is
 * added.
 * Errors: CHY_E_INTEGRITY an entry does not decode; CHY_E_STORE, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err ledger_close_open_intents(struct ledger *l, size_t *ret_count,
                                                    struct chy_error *err);
