/* SPDX-License-Identifier: MIT */
/* What a guest is told by the environment, read once at its start by secure_getenv: in a
 * set-user-ID program there is none of it. Immutable afterwards.
 *
 *     CHANCERY_AGENT_SOCK  path of the agent's socket; `none`: a private helper
 *     CHANCERY_HELPER      the helper's program, where it is not the installed one
 *     CHANCERY_LOG         absolute path of a file that gets a line for each failed call
 *     CHANCERY_KEYS        names or patterns of the keys to show, by commas or blanks
 *     CHANCERY_NAMING      how objects are named: plain, or signum
 *     CHANCERY_REASON, CHANCERY_RECEIPTS, CHANCERY_EXEC_TAG   see struct chy_door_hello
 *
 * Who says who to be (CHANCERY_PROFILE, CHANCERY_URL, CHANCERY_TOKEN, CHANCERY_TOKEN_FILE,
 * CHANCERY_CERT) does not mean the running agent's login: then only CHANCERY_AGENT_SOCK leads to
 * it. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#define CHY_GUEST_SOCKETS 2

struct chy_guest_config {
    /* Where an agent may listen, tried in order. None: a private helper at once. */
    char *sockets[CHY_GUEST_SOCKETS];
    bool is_socket_given; /* by CHANCERY_AGENT_SOCK: no helper stands in for it */
    char *helper;         /* absolute path */
    char *log;            /* NULL: none */
    struct chy_buf hello; /* the body of HELLO */
};

/* software  who speaks, in HELLO
 * keys      in place of CHANCERY_KEYS where that names none; NULL: none
 *
 * On failure it holds what was read before, the log first of all: chy_guest_config_done() it is.
 * Errors: CHY_E_ARG    a variable holds what it must not, named in the text
 *         CHY_E_LIMIT  likewise, too long or too many
 *         CHY_E_NOMEM, CHY_E_IO (the working directory has no path) */
CHY_MUST_USE enum chy_err chy_guest_config_read(struct chy_guest_config *config,
                                                const char *software, const char *keys,
                                                struct chy_error *err);
void chy_guest_config_done(struct chy_guest_config *config); /* leaves it zeroed */
