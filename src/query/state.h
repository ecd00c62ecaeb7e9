/* SPDX-License-Identifier: MIT */
/* What query knows. Private to src/query. One thread; everything hangs off struct query. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "os/channel.h"
#include "os/log.h"
#include "os/loop.h"
#include "policy/policy.h"
#include "proto/internal.h"
#include "query/key_ids.h"
#include "store/anchor.h"
#include "store/principal.h"
#include "store/store.h"
#include "tlog/checkpoint.h"
#include "tlog/tree.h"

enum {
    QUERY_EXIT_DRAINED = 0,
    QUERY_EXIT_TROUBLE = 3,
};

struct query_call;

/* A policy, compiled; kept from call to call. */
struct query_policy {
    struct chy_policy_rules *rules; /* NULL: not compiled yet */
    uint64_t number;                /* 0: none was ever applied, and nothing is allowed */
    int64_t compiled_us;            /* for when its windows were laid out */
};

struct query_counters {
    uint64_t answered;
    uint64_t refused;
    uint64_t failed;
};

struct query {
    struct chy_loop *loop;
    struct chy_log log;
    struct chy_arena config_arena;
    struct chy_query_config config; /* its texts end in NUL */
    struct chy_channel *supervisor;
    struct chy_channel *front;   /* NULL while it is being restarted */
    struct chy_channel *inspect; /* likewise */

    struct chy_store *store;   /* NULL: not there yet */
    struct chy_anchor *anchor; /* NULL: nothing was published yet */
    struct chy_timer *open_timer;
    struct chy_error open_error; /* why the store is not open; told once */
    struct chy_hasher *hasher;
    struct chy_tlog_tree *tree; /* of the newest checkpoint that a call asked for; or NULL */
    struct query_policy policy;
    struct query_key_ids key_ids;

    struct query_call *waiting; /* for inspect */
    size_t waiting_count;
    uint64_t next_frame_id;
    struct query_counters counters;
    bool is_draining;
    bool is_ready_sent;
    int exit_code;
};
