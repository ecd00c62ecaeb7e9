/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a connection, as the kernel tells: what becomes facts of its
 * signatures. A fact that cannot be learnt is left out, never guessed. docs/security.md says what
 * this evidence is worth.
 *
 * It is taken once, when the connection is new, and looked at again for each request: once the
 * process has ended or runs another program, nothing is said of an application any more, since
 * either of the two may have written what came.
 *
 * Threads: shared, counted; immutable but for the hash, which has its own mutex. */
#pragma once

#include "agent/programs.h"
#include "base/arena.h"
#include "os/user.h"
#include "proto/types.h"

struct chy_peer;

struct chy_facts {
    const struct chy_fact *p;
    size_t n;
};

/* What is the same for all peers; asked once, since a user's name may be far away. */
struct chy_peer_place {
    struct chy_programs *programs;
    char user[CHY_USER_NAME_BYTES]; /* our own; "" when it is not known */
    char host[CHY_HOST_NAME_BYTES];
};
void chy_peer_place_init(struct chy_peer_place *place, struct chy_programs *programs);

/* `socket` is looked at and stays the caller's; `place` must outlive the peer. A process that
 * has ended already, or is not ours to look at, is no error: there is less to say of it.
 * Errors: CHY_E_NETWORK the socket does not tell who; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_peer_new(int socket, const struct chy_peer_place *place,
                                       struct chy_peer **ret_peer, struct chy_error *err);
struct chy_peer *chy_peer_ref(struct chy_peer *p);
void chy_peer_unref(struct chy_peer *p); /* NULL is a no-op */
void chy_peer_unrefp(struct chy_peer **p);

/* Whether it may speak to us: it has our user, or is root. */
bool chy_peer_is_ours(const struct chy_peer *p);
/* The most that its facts take in JSON. */
size_t chy_peer_bytes(const struct chy_peer *p);
/* Path of the program; empty when it is not known. */
struct chy_str chy_peer_path(const struct chy_peer *p);

/* The facts as of now, in the arena. May read the whole program, so not for the thread of the loop.
 * Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_peer_facts(struct chy_peer *p, enum chy_basis basis,
                                         struct chy_arena *arena, struct chy_facts *ret_facts,
                                         struct chy_error *err);
