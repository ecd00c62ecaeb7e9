/* SPDX-License-Identifier: MIT */
/* The agent of agent_fixture.h as a process of its own, at a socket, for what speaks to it: its
 * server answers from within, and its memory is not the test's. */
#pragma once

#include <sys/types.h>

#include "agent_fixture.h"

struct agent_server {
    pid_t pid;
};

/* Start one that listens at `path` once this returns; `prepare` makes its keys, in it. Call from a
 * process with one thread. */
void agent_server_start(struct agent_server *s, const char *path, void (*prepare)(void));
void agent_server_end(struct agent_server *s);
