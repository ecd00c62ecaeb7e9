/* SPDX-License-Identifier: MIT */
/* Links: connections to the agent or to a private helper, one for each call that is in flight, kept
 * for the next one. Shared, guarded by the guest's mutex; whoever took a link has it alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/frame.h"

struct chy_guest;

struct chy_guest_link {
    struct chy_guest_link *next;
    uint64_t serial; /* never that of another link of this process */
    int fd;          /* -1: none yet, or no more */
    bool is_busy;
    int64_t idle_since_us;
    size_t streams; /* hashes of operations that stand on the other side */
    uint64_t last_id;
};

struct chy_guest_links {
    struct chy_guest_link *first;
    size_t count;
    uint64_t last_serial;
};

/* A link for this call alone: an idle one, or a new one that is connected and greeted. One that was
 * closed while it was idle is noticed here.
 *
 * serial  0: any. Else that very link, which is waited for
 *
 * Errors: CHY_E_NETWORK  nobody listens, or the other side closed; or that very link is gone
 *         CHY_E_TIMEOUT  no link was free, or no greeting came, in time
 *         CHY_E_FORBIDDEN somebody else's socket
 *         CHY_E_PROTOCOL the greeting is none
 *         CHY_E_STATE    the end began
 *         CHY_E_IO       the helper cannot be started; CHY_E_NOMEM, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_guest_link_take(struct chy_guest *g, uint64_t serial,
                                              int64_t deadline_us, struct chy_guest_link **ret_link,
                                              struct chy_error *err);
void chy_guest_link_give(struct chy_guest *g, struct chy_guest_link *link);
/* Close and forget it. */
void chy_guest_link_drop(struct chy_guest *g, struct chy_guest_link *link);

/* Send a frame of this type and wait for the answer, which borrows from `ret_in`, the caller's.
 * Errors: CHY_E_NETWORK  the frame did not go out whole: it was not received
 *         CHY_E_IO       it went out, but the answer did not come
 *         CHY_E_TIMEOUT  likewise, within the deadline
 *         CHY_E_PROTOCOL what came is no frame, or not one
 *         CHY_E_LIMIT, CHY_E_NOMEM (nothing went out, or the answer is too large)
 * After any of them the link must be dropped. */
CHY_MUST_USE enum chy_err chy_guest_link_exchange(struct chy_guest_link *link, uint16_t type,
                                                  struct chy_bytes body, int64_t deadline_us,
                                                  struct chy_buf *ret_in,
                                                  struct chy_frame *ret_frame,
                                                  struct chy_error *err);

/* Mutex held. Wake whoever waits for an answer; they find their link closed. */
void chy_guest_links_shut_locked(struct chy_guest_links *links);
/* In a forked child: the connections are the parent's. They are closed here, and only here. */
void chy_guest_links_disown_locked(struct chy_guest_links *links);
void chy_guest_links_done(struct chy_guest_links *links);
