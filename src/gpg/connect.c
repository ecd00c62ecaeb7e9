/* SPDX-License-Identifier: MIT */
#include <sys/prctl.h>

#include "client/enroll.h"
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

/* The one that is to be asked may not be there; g->client stays NULL then. */
static enum chy_err try_agent(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_client_closep) struct chy_client *client = NULL;
    if (g->settings.agent_socket.n == 0)
        return CHY_OK;
    if (g->settings.token != NULL)
        protect_memory();
    CHY_TRY(chy_client_open(&g->settings, &client, err));
    if (chy_client_is_agent(client))
        g->client = CHY_TAKE(client);
    return CHY_OK;
}

/* A certificate that ends soon is renewed first, as by `chancery` itself. */
static enum chy_err open_server(struct chy_gpg *g, struct chy_error *err)
{
    struct chy_error why;
    protect_memory();
    g->settings.agent_socket = (struct chy_str){ NULL, 0 };
    enum chy_err r = chy_client_renew(&g->settings, &why);
    if (r == CHY_E_EXPIRED)
        return chy_fail(err, r, "%s", why.text);
    if (r != CHY_OK)
        chy_gpg_say(g, "the client certificate could not be renewed: %s", why.text);
    return chy_client_open(&g->settings, &g->client, err);
}

enum chy_err chy_gpg_connect(struct chy_gpg *g, struct chy_error *err)
{
    if (g->client != NULL)
        return CHY_OK;
    CHY_TRY(chy_gpg_settings(g, err));
    CHY_TRY(try_agent(g, err));
    return g->client != NULL ? CHY_OK : open_server(g, err);
}
