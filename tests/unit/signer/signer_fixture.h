/* SPDX-License-Identifier: MIT */
/* A signer process in a child of the test, with the test as its supervisor, fronts, inspect and
 * token processes. Inspect's part is the real library; a token is a few OpenSSL keys in the test,
 * which outlive the signer as a real token's do.
 *
 * Two things are watched in every test, whatever it is about: a digest comes to a token only when
 * an allowed intent for it can be read in the store, and a signature is answered only when its
 * outcome can. Everything waits with a deadline; failures end the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "os/channel.h"
#include "proto/internal.h"
#include "proto/ops.h"
#include "store/store.h"

enum {
    FX_WORKERS = 2,
    FX_FRONTS = 2,
    FX_KEYS = 16,
    FX_REPLIES = 4096,
    FX_HELD = 256,
};

/* What a token process does with the frames that come to it. */
enum worker_mode {
    WORKER_SIGNS,
    WORKER_HOLDS,     /* keeps frames; fx_release() answers them */
    WORKER_DIES,      /* closes the connection at the next frame, unanswered */
    WORKER_FAILS,     /* answers CHY_E_TOKEN */
    WORKER_MISCOUNTS, /* one answer too few, or one too many */
    WORKER_EMPTY,     /* code 0 without a signature */
    WORKER_BABBLES,   /* a code that does not exist, and a signature */
    WORKER_FORGES,    /* signs, but checkpoints wrongly */
};

struct held {
    uint16_t type;
    uint64_t id;
    struct chy_bytes body; /* owned */
};

struct worker {
    struct chy_channel *channel; /* NULL: down */
    int fd;                      /* of it, to poll */
    enum worker_mode mode;
    struct held held[FX_HELD];
    size_t held_n;
};

struct fake_key {
    uint8_t object_id[64];
    size_t object_id_n;
    EVP_PKEY *pkey;
    char label[CHY_LIMIT_NAME + 1];
    bool is_destroyed;
};

struct fx_reply {
    uint64_t id; /* 0: free */
    struct chy_bytes body;
};

struct fixture {
    char dir[64];
    struct chy_str store_path;
    struct chy_str anchor_path;
    pid_t pid;
    int exit_status;
    bool has_exited;
    struct chy_signer_config config;
    size_t disk_bytes; /* no file of the signer grows past it; 0: no such limit */

    struct chy_channel *supervisor;
    int supervisor_fd;
    struct chy_channel *fronts[FX_FRONTS];
    int front_fds[FX_FRONTS];
    struct chy_channel *inspect;
    int inspect_fd;
    bool inspect_is_silent;
    struct worker workers[FX_WORKERS];
    struct fake_key keys[FX_KEYS];
    size_t key_n;

    bool is_ready;
    size_t hung_count;
    struct chy_peer hung;
    bool has_trust;
    uint64_t next_id;
    struct fx_reply replies[FX_REPLIES];

    /* What the token saw. */
    bool watch_store; /* on by default; off where time is measured */
    struct chy_store *reader;
    uint64_t scanned; /* entries whose intents are in `intents` */
    uint8_t (*intents)[CHY_HASH_BYTES];
    size_t intent_n;
    size_t sign_frames;
    size_t signatures; /* asked for, administration included */
    size_t unlogged;   /* asked for without a durable intent: must stay 0 */
    size_t drops;
    size_t destroys;
    struct chy_arena arena; /* what answers point into; reset by fx_reset() */
};

/* The store with root (all roles), alice and bob; `change` may alter the configuration. */
typedef void fx_config_fn(struct chy_signer_config *config);
void fx_init(struct fixture *f, fx_config_fn *change);
/* Start the process and wait until it is ready (its own keys made). */
void fx_start(struct fixture *f);
/* The same without waiting, and without peers. */
void fx_spawn(struct fixture *f);
void fx_connect_all(struct fixture *f);
void fx_connect_front(struct fixture *f, size_t i);
void fx_connect_inspect(struct fixture *f);
void fx_connect_worker(struct fixture *f, size_t i); /* which then signs */
/* A successor in place of every worker, and wait until the signer knows them. */
void fx_renew_workers(struct fixture *f);
void fx_drop_worker(struct fixture *f, size_t i);
void fx_release(struct fixture *f, size_t worker);
/* DRAIN; the exit code must be 0. */
void fx_stop(struct fixture *f);
void fx_kill(struct fixture *f);
/* Wait for the end of the process; the exit code, or minus the signal. */
int fx_wait_exit(struct fixture *f);
/* Stop what runs, remove all. */
void fx_done(struct fixture *f);

/* Serve what comes for at most `wait_us`, until `until` says so (NULL: for the whole time). */
typedef bool fx_until_fn(struct fixture *f);
bool fx_pump(struct fixture *f, int64_t wait_us, fx_until_fn *until);

/* --- calls --- */

/* Callers: by the name of the principal, with a client certificate; "token:NAME" with the API token
 * whose text was registered by fx_api_token(); NULL: nobody. */
uint64_t fx_call(struct fixture *f, enum chy_op op, const char *caller, const void *request);
/* As fx_call(), with all that a call can have. */
uint64_t fx_call_raw(struct fixture *f, size_t front, const struct chy_call *call,
                     const void *request);
/* Whether the answer is there already. */
bool fx_has_reply(struct fixture *f, uint64_t id);
/* Wait for the answer; its code. `ret_response` (the row's response struct) may be NULL; it is
 * filled when the answer has one. `text` in fx_text(). */
enum chy_err fx_reply(struct fixture *f, uint64_t id, enum chy_op op, void *ret_response);
enum chy_err fx_do(struct fixture *f, enum chy_op op, const char *caller, const void *request,
                   void *ret_response);
const char *fx_text(void);
void fx_reset(struct fixture *f);
struct chy_caller fx_caller(const char *name);

/* --- short cuts --- */

void fx_policy(struct fixture *f, const char *yaml);
void fx_create_key(struct fixture *f, const char *name, enum chy_key_type type);
/* A policy that lets alice sign with everything, and key "k" (P-256). */
void fx_ready_to_sign(struct fixture *f);
/* A request of `n` items with `key`; the digests are all different, and different in each
 * request. */
struct chy_sign_request fx_sign_request(struct fixture *f, const char *key, size_t n);
uint64_t fx_sign(struct fixture *f, const char *key, size_t n);
enum chy_err fx_signed(struct fixture *f, uint64_t id, struct chy_sign_response *ret);
/* Whether this signature verifies under the key of this name in the store. */
bool fx_verifies(struct fixture *f, const char *key, enum chy_sign_alg alg, struct chy_bytes input,
                 struct chy_bytes signature);
uint64_t fx_counter(struct fixture *f, const char *name);
/* Wait until a checkpoint covers the whole log: none is signed before the next entry. */
void fx_settle(struct fixture *f);

/* --- the log as it is on the disk --- */

struct fx_log {
    struct chy_entry *entries;
    struct chy_bytes *raw;
    size_t n;
};
struct fx_log fx_log(struct fixture *f);
/* The size of the newest checkpoint outside the store; there must be one. */
uint64_t fx_published(struct fixture *f);
/* Each allowed intent has at most one outcome, after it, about the same digest; `ret_open` have
 * none. */
void fx_check_log(struct fixture *f, size_t *ret_open);
size_t fx_count(struct fixture *f, enum chy_entry_kind kind, const char *action,
                enum chy_outcome outcome);
