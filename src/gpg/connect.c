/* SPDX-License-Identifier: MIT */
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

enum chy_err chy_gpg_connect(struct chy_gpg *g, struct chy_error *err)
{
    struct chy_error why;
    if (g->client != NULL)
        return CHY_OK;
    CHY_TRY(chy_gpg_settings(g, err));
    CHY_TRY(chy_signing_connect(&g->settings, &g->client, &why, err));
    if (why.code != CHY_OK)
        chy_gpg_say(g, "the client certificate could not be renewed: %s", why.text);
    return CHY_OK;
}
