/* SPDX-License-Identifier: MIT */
#include <sys/prctl.h>

#include "gpg/gpg.h"

enum chy_err chy_gpg_settings(struct chy_gpg *g, struct chy_error *err)
{
    const struct chy_settings_options options = { .profile = { NULL, 0 } };
    if (g->has_settings)
        return CHY_OK;
    CHY_TRY(chy_settings_load(&g->env, &options, &g->arena, &g->settings, err));
    g->has_settings = true;
    return CHY_OK;
}

/* A process whose memory must not be dumped is one that the agent cannot look at: it would not
 * learn who signs. So it is only done where a credential of ours is in that memory. */
static void protect_memory(void)
{
#ifndef CHY_SANDBOX_LOOSE                  /* a leak checker must see our memory */
    CHY_IGNORE(prctl(PR_SET_DUMPABLE, 0)); /* cannot fail with this value */
#endif
}

enum chy_err chy_gpg_connect(struct chy_gpg *g, struct chy_error *err)
{
    if (g->client != NULL)
        return CHY_OK;
    CHY_TRY(chy_gpg_settings(g, err));
    if (g->settings.agent_socket.n == 0 || g->settings.token != NULL)
        protect_memory();
    CHY_TRY(chy_client_open(&g->settings, &g->client, err));
    if (!chy_client_is_agent(g->client))
        protect_memory();
    return CHY_OK;
}
