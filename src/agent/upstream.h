/* SPDX-License-Identifier: MIT */
/* How the agent reaches its server: by src/client; tests have another. One client is used by one
 * thread at a time. */
#pragma once

#include "client/client.h"

struct chy_upstream {
    /* `settings` are borrowed while the client lives. */
    enum chy_err (*open)(const struct chy_settings *settings, void **ret_client,
                         struct chy_error *err);
    void (*close)(void *client);
    enum chy_err (*call)(void *client, enum chy_op op, const void *request, struct chy_arena *arena,
                         void *response, struct chy_error *err);
    const char *(*request_id)(const void *client); /* of the last call */
    void (*set_patience)(void *client, int64_t patience_ms);
    /* Of the credential, where that is due. Any thread. */
    enum chy_err (*renew)(const struct chy_settings *settings, struct chy_error *err);
    int64_t slow_us; /* a call that takes longer hangs, as far as anybody knows */
};

extern const struct chy_upstream chy_upstream_server;
