/* SPDX-License-Identifier: MIT */
/* The sandbox of a token process: what SoftHSM needs, and what the configuration grants other
 * modules.
 *
 *   "network"  sockets and TCP connections: a network HSM's client
 *   "fork"     child processes
 *   "files"    any file that the user may use: beyond the folders of the token and of its lock, and
 *              the system's libraries
 *   "threads"  threads of the module's own
 *   "device"   USB, PCI and TPM devices (with "files", or the device's folder as `directory`) */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "os/log.h"
#include "os/sandbox.h"
#include "proto/internal.h"

/* extra_file  one more file that may be read, or NULL
 * Errors: CHY_E_ARG an unknown word in `profile`; as chy_sandbox_enter() */
CHY_MUST_USE enum chy_err chy_profile_enter(const struct chy_token_config *config,
                                            const char *extra_file,
                                            struct chy_sandbox_result *ret_result,
                                            struct chy_error *err);
