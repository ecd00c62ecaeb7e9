/* SPDX-License-Identifier: MIT */
/* The agent as a process: `chancery agent`, and the private helper `chancery @helper`, which is the
 * same for one tool. Both serve proto/door.h. They log to standard error (docs/log-events.md). */
#pragma once

#include "client/settings.h"

struct chy_agent_options {
    const struct chy_client_env *env;
    struct chy_settings_options settings;
    struct chy_str socket;     /* path; empty: the usual one */
    struct chy_str ssh_socket; /* of the SSH agent protocol; empty: beside the first; "none" */
};

/* Serve until SIGTERM or SIGINT; SIGHUP reads the settings again.
 * Errors: CHY_E_EXISTS an agent listens there already; CHY_E_FORBIDDEN others could put something
 * in the place of the socket; CHY_E_ARG, CHY_E_LIMIT the path; CHY_E_NOT_FOUND, CHY_E_IO,
 * CHY_E_NETWORK, CHY_E_BUSY, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_agent_run(const struct chy_agent_options *options,
                                        struct chy_error *err);

/* The role of a private helper (CHY_DOOR_HELPER_ROLE); answers the exit code. */
int chy_helper_main(const struct chy_client_env *env);
