/* SPDX-License-Identifier: MIT */
/* What the signer knows, private to src/signer. One thread; everything hangs off struct signer.
 *
 * The way of a request: a frame becomes a job (job.h); the job's steps run when what they waited
 * for
 * arrives: an answer of inspect, of a token, or the durability of what they wrote (ledger.h).
 * Nothing blocks but the commit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "os/channel.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/sandbox.h"
#include "policy/policy.h"
#include "proto/internal.h"
#include "store/principal.h"
#include "store/store.h"

struct job;
struct ledger;
struct token;
struct denial_bucket;
struct caller;

/* A key as it is now. Never freed while the signer lives: jobs hold pointers across their steps,
 * and look at `record` anew in each. */
struct key {
    struct key *next;
    struct chy_arena arena; /* owns `record`; replaced as a whole */
    struct chy_key_record record;
    struct chy_policy_guard *guard; /* compiled; NULL: none */
    struct key *by_name;            /* chain of the name table */
};

enum {
    KEY_BUCKETS = 4096,
    CALLERS = 256, /* some kilobytes each; more than so many at once are read again */
};

/* A connection to front, or the one to inspect. */
struct peer {
    struct peer *next;
    struct signer *s;
    struct chy_channel *channel;
};

struct counters {
    uint64_t signed_ok;
    uint64_t sign_failed;
    uint64_t denied;
    uint64_t denials_not_logged;
    uint64_t commits;
    uint64_t checkpoints;
    uint64_t calls;
};

struct signer {
    struct chy_loop *loop;
    struct chy_log log;
    struct chy_channel *supervisor;
    struct chy_arena config_arena;
    struct chy_signer_config config;

    struct chy_store *store;
    struct ledger *ledger;
    struct key *keys;
    struct key *key_table[KEY_BUCKETS];

    struct chy_arena policy_arena;
    struct chy_policy_record policy_record; /* number 0: none was ever applied */
    uint8_t policy_hash[CHY_HASH_BYTES];
    struct chy_policy_rules *policy;
    struct chy_timer *policy_timer; /* renews the compiled windows of time */

    struct peer *fronts;
    struct peer *inspect; /* NULL while it is being restarted */
    struct token *tokens;
    struct job *jobs;
    struct job *own_job;  /* the step of the signer's own start that is under way */
    int64_t own_retry_us; /* monotonic: not before it another one */
    int64_t own_pause_us;
    uint64_t next_frame_id;
    struct denial_bucket *denials;   /* by principal */
    struct caller *callers[CALLERS]; /* see callers.h */
    struct chy_timer *housekeeping;

    struct counters counters;
    struct chy_sandbox_result sandbox;
    struct chy_bytes client_ca; /* DER, in config_arena; empty until it exists */
    bool is_bootstrapped;       /* the signer's own keys exist, the start is in the log */
    bool is_draining;
    bool is_stop_written;
    bool has_failed; /* the loop was stopped because the store or the log broke */
};

/* The key of this name, NULL if there is none. Destroyed keys are found as well. */
struct key *signer_key(struct signer *s, struct chy_str name);
/* Take over a new record (and compile its guard): after its commit. Errors: CHY_E_NOMEM, those of
 * decode */
CHY_MUST_USE enum chy_err signer_key_put(struct signer *s, const struct chy_key_record *record,
                                         struct chy_error *err);
/* Take over a policy after its commit. Errors: CHY_E_NOMEM, those of compile */
CHY_MUST_USE enum chy_err signer_policy_put(struct signer *s,
                                            const struct chy_policy_record *record,
                                            struct chy_error *err);
/* Tell the supervisor that calls can come. */
void signer_ready(struct signer *s);
/* After a commit: what is in memory must follow, or it would be another state than the stored one.
 * Passes `r` on; unless it is CHY_OK, the signer ends. */
enum chy_err signer_must(struct signer *s, enum chy_err r, const struct chy_error *err);
/* A code in a message of another process: minus enum chy_err. CHY_E_PROTOCOL when there is none
 * such. */
enum chy_err signer_code(uint32_t wire);
/* The end: say why, also to every caller, stop the loop, exit with an error; what is durable is on
 * the disk, the next incarnation goes on from there. */
void signer_die(struct signer *s, const struct chy_error *why);
