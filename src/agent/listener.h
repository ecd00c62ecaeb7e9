/* SPDX-License-Identifier: MIT */
/* A Unix socket that the agent listens at: for its user alone (0600), in a folder that nobody else
 * can write to, under a lock, since of two that start at once both would find it dead. In the
 * thread of the loop. */
#pragma once

#include "base/bytes.h"
#include "os/log.h"
#include "os/loop.h"

struct chy_listener;

struct chy_listener_options {
    struct chy_loop *loop; /* borrowed, as is the log */
    struct chy_log *log;
    struct chy_str path;
    void (*admit)(void *ctx, int fd); /* takes the descriptor of a new connection */
    void *ctx;
};

/* The folder is made, 0700, when it is not there; the one above must be.
 * Errors: CHY_E_EXISTS an agent listens there already; CHY_E_FORBIDDEN others could put something
 * in the place of the socket; CHY_E_ARG the path is not absolute, CHY_E_LIMIT it is too long;
 * CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_NETWORK, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_listener_open(const struct chy_listener_options *options,
                                            struct chy_listener **ret_listener,
                                            struct chy_error *err);
/* The socket's file goes, too. */
void chy_listener_close(struct chy_listener *l);
void chy_listener_closep(struct chy_listener **l);
