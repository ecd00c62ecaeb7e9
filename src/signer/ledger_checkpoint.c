/* SPDX-License-Identifier: MIT */
#include <utlist.h>

#include "base/limits.h"
#include "codec/base64.h"
#include "os/clock.h"
#include "signer/ledger_internal.h"
#include "tlog/checkpoint.h"
#include "tlog/receipt.h"

enum {
    CHECKPOINT_PACE_US = 100 * 1000, /* when nobody waits for one */
};

void ledger_wait_checkpoint(struct ledger *l, struct job *job, uint64_t index, job_fn *next)
{
    job->step = next;
    job->wait_index = index;
    DL_APPEND2(l->waiting_checkpoint, job, wait_prev, wait_next);
    job->wait_list = &l->waiting_checkpoint;
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
    struct job *job = ledger_waiting_take(&l->waiting_checkpoint);
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

void ledger_checkpoint_turn(struct ledger *l, int64_t now_us)
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
