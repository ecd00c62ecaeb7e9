/* SPDX-License-Identifier: MIT */
#include "plugin/caller.h"

#include "agent/peer.h"
#include "os/fd.h"
#include "os/socket.h"

static enum chy_err ask_basis(struct chy_client *client, struct chy_arena *arena,
                              enum chy_basis *ret_basis, struct chy_error *err)
{
    const struct chy_empty nothing = { 0 };
    struct chy_whoami whoami;
    enum chy_err r = chy_client_call(client, CHY_OP_WHOAMI, &nothing, arena, &whoami, err);
    *ret_basis = CHY_BASIS_DECLARED;
    if (r == CHY_E_FORBIDDEN)
        return CHY_OK; /* an API token for signing alone, which is no agent's */
    if (r != CHY_OK)
        return r;
    *ret_basis = whoami.is_agent ? CHY_BASIS_AGENT : CHY_BASIS_DECLARED;
    return CHY_OK;
}

/* The kernel tells of a pair of sockets who made it: that is us. */
static enum chy_err look(struct chy_programs *programs, enum chy_basis basis,
                         struct chy_arena *arena, struct chy_facts *ret_facts,
                         struct chy_error *err)
{
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int one = pair[0];
    CHY_CLEANUP(chy_fd_closep) int other = pair[1];
    CHY_CLEANUP(chy_peer_unrefp) struct chy_peer *self = NULL;
    struct chy_peer_place place;
    chy_peer_place_init(&place, programs);
    CHY_TRY(chy_peer_new(one, &place, &self, err));
    return chy_peer_facts(self, basis, arena, ret_facts, err);
}

enum chy_err chy_caller_facts(struct chy_client *client, struct chy_arena *arena,
                              struct chy_sign_request *request, struct chy_error *err)
{
    CHY_CLEANUP(chy_programs_freep) struct chy_programs *programs = NULL;
    enum chy_basis basis;
    struct chy_facts facts;
    if (chy_client_is_agent(client))
        return CHY_OK;
    CHY_TRY(ask_basis(client, arena, &basis, err));
    CHY_TRY(chy_programs_new(&programs, err));
    CHY_TRY(look(programs, basis, arena, &facts, err));
    request->facts.p = facts.p;
    request->facts.n = facts.n;
    return CHY_OK;
}
