/* SPDX-License-Identifier: MIT */
/* The private helper: the program `chancery @helper`, started where no agent listens. It is told of
 * each new connection over a control socket (proto/door.h), and ends when that is closed. Guarded
 * by the guest's mutex. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_guest;

struct chy_guest_helper {
    bool is_running;
    bool is_starting;
    int control_fd;        /* while it runs */
    size_t users;          /* of control_fd at this moment */
    unsigned failures;     /* since it last greeted somebody */
    int64_t not_before_us; /* when it may be started again */
};

/* A new connection to the helper, which is started if it does not run; waits for its turn where it
 * has failed before.
 * Errors: CHY_E_NETWORK  it ended: a new try starts another
 *         CHY_E_IO       it cannot be started
 *         CHY_E_TIMEOUT, CHY_E_STATE (the end began), CHY_E_NOMEM, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_guest_helper_connect(struct chy_guest *g, int64_t deadline_us,
                                                   int *ret_fd, struct chy_error *err);
/* A connection was greeted: what failed before is forgotten. */
void chy_guest_helper_works(struct chy_guest *g);
/* Mutex held. In a forked child, and at the end: closed, not told. */
void chy_guest_helper_forget_locked(struct chy_guest_helper *helper);
