/* SPDX-License-Identifier: MIT */
/* A channel: frames both ways over a stream socket, with a bounded queue. Not shared.
 *
 * Two ways to use it. Waiting: right after chy_channel_new(), with deadlines; for start-up and for
 * simple processes. On a loop: after chy_channel_attach(), with callbacks; what was read ahead
 * before is delivered first. What is sent during one turn of the loop leaves in one write at its
 * end.
 *
 * A malformed frame, or descriptors that nobody asked for, end the channel. No call raises
 * SIGPIPE. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/frame.h"
#include "os/loop.h"

struct chy_channel;

struct chy_channel_options {
    size_t send_limit_bytes; /* of frames that wait to be written; headers count */
    bool takes_fds;          /* the peer may pass descriptors (Unix sockets alone) */
};

struct chy_channel_handler {
    /* One frame, borrowed until this returns. May send, close or free the channel. */
    void (*on_frame)(void *ctx, struct chy_channel *channel, const struct chy_frame *frame);
    /* The channel is closed: called once, never after chy_channel_close() or chy_channel_free();
     * may free the channel. `why` is CHY_OK when the peer closed between two frames, else
     * CHY_E_PROTOCOL (malformed, or closed within a frame), CHY_E_IO or CHY_E_NOMEM with `error`
     * telling more. */
    void (*on_close)(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error);
    void *ctx;
};

/* Takes `fd` on CHY_OK and makes it non-blocking; on failure it stays the caller's.
 * Errors: CHY_E_NOMEM, CHY_E_IO; CHY_E_ARG no send limit */
CHY_MUST_USE enum chy_err chy_channel_new(int fd, const struct chy_channel_options *options,
                                          struct chy_channel **ret_channel, struct chy_error *err);
/* What waits to be written is dropped; chy_channel_flush_wait() before it, where that matters. */
void chy_channel_free(struct chy_channel *channel);
void chy_channel_freep(struct chy_channel **channel);
/* As free, but the struct stays, and answers CHY_E_STATE. */
void chy_channel_close(struct chy_channel *channel);
bool chy_channel_is_open(const struct chy_channel *channel);

/* Hand over to a loop, which must outlive the channel; `handler` is copied.
 * Errors: CHY_E_STATE closed or attached already; CHY_E_NOMEM; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_channel_attach(struct chy_channel *channel, struct chy_loop *loop,
                                             const struct chy_channel_handler *handler,
                                             struct chy_error *err);

/* Queue one frame; the body is copied. On failure nothing of it is queued.
 * Errors: CHY_E_BUSY  the queue is full: the peer does not read; try later, or give it up
 *         CHY_E_LIMIT the frame is larger than a frame or the whole queue may be
 *         CHY_E_STATE the channel is closed
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_channel_send(struct chy_channel *channel,
                                           const struct chy_frame *frame, struct chy_error *err);
/* The same with 1 to CHY_LIMIT_FRAME_FDS descriptors, which are duplicated and stay the caller's.
 * Errors: as above; CHY_E_ARG a count out of range; CHY_E_BUSY as well when CHY_LIMIT_FD_FRAMES
 * frames
 *         with descriptors wait already */
CHY_MUST_USE enum chy_err chy_channel_send_fds(struct chy_channel *channel,
                                               const struct chy_frame *frame, const int *fds,
                                               size_t fd_count, struct chy_error *err);
/* Bytes that wait to be written. */
size_t chy_channel_pending_bytes(const struct chy_channel *channel);

/* Within on_frame, or between two chy_channel_receive_wait(): the next descriptor that came with
 * this very frame, now the caller's; -1 when there is no more. Those that nobody takes are
 * closed. */
int chy_channel_take_fd(struct chy_channel *channel);

/* Write all that waits. Errors: CHY_E_TIMEOUT, CHY_E_STATE, CHY_E_IO (the peer has gone: nothing
 * can be written any more, its last words can be read) */
CHY_MUST_USE enum chy_err chy_channel_flush_wait(struct chy_channel *channel, int64_t deadline_us,
                                                 struct chy_error *err);
/* The next frame, borrowed until the next call on this channel. Queued frames are written
 * meanwhile. Errors: CHY_E_NOT_FOUND the peer closed between two frames
 *         CHY_E_TIMEOUT   (the channel stays open)
 *         CHY_E_STATE     closed, or attached to a loop
 *         CHY_E_PROTOCOL, CHY_E_IO, CHY_E_NOMEM  the channel is closed */
CHY_MUST_USE enum chy_err chy_channel_receive_wait(struct chy_channel *channel, int64_t deadline_us,
                                                   struct chy_frame *ret_frame,
                                                   struct chy_error *err);
