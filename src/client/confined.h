/* SPDX-License-Identifier: MIT */
/* Work over a stranger's file where a hostile one can do no harm: in a child of this process that
 * has the file's descriptor and what was in memory, may compute and answer once (os/sandbox.h), and
 * is killed when it takes too long. It keeps the machine safe, not the answer: whoever takes the
 * child over answers for it. Call from a process with one thread. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* In the child. `out` is what the parent gets; nothing else of what is done here is seen there. */
typedef enum chy_err chy_confined_fn(const void *ctx, int fd, struct chy_arena *arena,
                                     struct chy_buf *out, struct chy_error *err);

struct chy_confined {
    chy_confined_fn *work;
    const void *ctx;
    int fd; /* stays the caller's */
    uint32_t timeout_ms;
    size_t max_bytes; /* of the answer */
    const char *what; /* "the signature", for messages */
};

/* Work that is under way. Not shared. */
struct chy_confined_child;

/* Begin; several may run at once. `confined` and what its context leads to are needed no more: the
 * child has its own copy. Errors: CHY_E_IO, CHY_E_BUSY, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_confined_start(const struct chy_confined *confined,
                                             struct chy_confined_child **ret_child,
                                             struct chy_error *err);
/* Wait for the end, and append what `work` gave to `out`. Once for each child.
 * Errors: those of `work`
 *         CHY_E_TIMEOUT      it took too long, from its start
 *         CHY_E_UNSUPPORTED  the child was ended by what it read, or said nothing proper
 *         CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_confined_finish(struct chy_confined_child *child, struct chy_buf *out,
                                              struct chy_error *err);
void chy_confined_free(struct chy_confined_child *child);   /* kills what still runs */
void chy_confined_freep(struct chy_confined_child **child); /* leaves NULL */

/* All three. Errors: of start and finish */
CHY_MUST_USE enum chy_err chy_confined_run(const struct chy_confined *confined, struct chy_buf *out,
                                           struct chy_error *err);
