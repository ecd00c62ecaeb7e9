/* SPDX-License-Identifier: MIT */
/* The steps of a sandbox that have files of their own. Private to sandbox.c. */
#pragma once

#include "os/sandbox.h"

/* A Landlock ruleset, made while the paths can still be opened; *ret_fd is -1 when the kernel has
 * no Landlock, or nothing is limited. Fills the fields about Landlock of `result`. */
CHY_MUST_USE enum chy_err chy_sandbox_landlock_make(const struct chy_sandbox *sandbox, int *ret_fd,
                                                    struct chy_sandbox_result *result,
                                                    struct chy_error *err);
CHY_MUST_USE enum chy_err chy_sandbox_landlock_enter(int ruleset_fd, struct chy_error *err);

CHY_MUST_USE enum chy_err chy_sandbox_seccomp_enter(const struct chy_sandbox *sandbox,
                                                    struct chy_error *err);
