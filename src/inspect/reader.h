/* SPDX-License-Identifier: MIT */
/* The readers: one process for each document, forked from this one, and a bounded queue of
 * documents that wait for one. Private to src/inspect. Not shared.
 *
 * Whatever a reader does, exactly one answer follows for each document that was taken, unless its
 * peer was dropped: the reader's own if it came whole, in time and decodes, else an error that says
 * what became of the reader. */
#pragma once

#include "inspect/run.h"
#include "os/log.h"
#include "os/loop.h"

#define INSPECT_PEERS 2 /* signer and query */

/* `body` is a struct chy_inspect_reply, borrowed during the call. */
typedef void inspect_answer_fn(void *ctx, unsigned peer, uint64_t id, struct chy_bytes body);

struct inspect_readers_options {
    struct chy_loop *loop;
    struct chy_log *log;
    inspect_run_fn *run; /* what a reader does with its document */
    uint32_t timeout_ms; /* for one document */
    inspect_answer_fn *answer;
    void *ctx;
};

struct inspect_readers;

/* Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err inspect_readers_new(const struct inspect_readers_options *options,
                                              struct inspect_readers **ret_readers,
                                              struct chy_error *err);
/* Kills those that run; nobody is answered. */
void inspect_readers_free(struct inspect_readers *r);

/* Have the document `body`, the canonical form of a struct chy_inspect_request, read for peer 0 or
 * 1. May answer before it returns. */
void inspect_readers_add(struct inspect_readers *r, unsigned peer, uint64_t id,
                         struct chy_bytes body);
/* The peer is gone: forget its documents, kill their readers. */
void inspect_readers_drop(struct inspect_readers *r, unsigned peer);
/* Documents that wait or are being read. */
size_t inspect_readers_pending(const struct inspect_readers *r);
