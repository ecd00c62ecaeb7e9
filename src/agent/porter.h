/* SPDX-License-Identifier: MIT */
/* Keeps the door (proto/door.h): connections, what they ask, and what is answered from here without
 * the server. Everything that waits for the server is given to the workers. In the thread of the
 * loop. */
#pragma once

#include "agent/peer.h"
#include "agent/workers.h"
#include "os/log.h"

struct chy_porter;

/* All are borrowed and must outlive the porter. */
struct chy_porter_options {
    struct chy_loop *loop;
    struct chy_login *login;
    struct chy_workers *workers;
    const struct chy_peer_place *place;
    struct chy_log *log;
};

CHY_MUST_USE enum chy_err chy_porter_new(const struct chy_porter_options *options,
                                         struct chy_porter **ret_porter, struct chy_error *err);
/* After chy_workers_free(): what is in flight refers to it. */
void chy_porter_free(struct chy_porter *p);
void chy_porter_freep(struct chy_porter **p);

/* A connection; takes the descriptor in any case. One of another user is closed at once, one past
 * CHY_LIMIT_DOOR_CONNECTIONS is told CHY_E_BUSY first. */
void chy_porter_admit(struct chy_porter *p, int fd);
/* One that speaks the SSH agent protocol, with nothing asked for beforehand: no reason, no
 * receipts, all keys. Past the limit it is closed, as nothing can be told it. */
void chy_porter_admit_ssh(struct chy_porter *p, int fd);
/* Look after what nobody asks for: renewal, who we are, connections that say nothing. Call it every
 * CHY_PORTER_TICK_US, and once at the start. */
void chy_porter_tick(struct chy_porter *p);
#define CHY_PORTER_TICK_US 10000000

/* Requests are refused from now on (CHY_E_STATE); those in flight are answered. */
void chy_porter_close(struct chy_porter *p);
/* Nothing is in flight, and everything that was answered has left. */
bool chy_porter_is_quiet(const struct chy_porter *p);
