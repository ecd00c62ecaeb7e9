/* SPDX-License-Identifier: MIT */
/* System users, and to whom files belong. */
#pragma once

#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

struct chy_user_ids {
    uid_t uid;
    gid_t gid; /* of its own group */
};

/* Errors: CHY_E_NOT_FOUND there is no such user; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_user_find(const char *name, struct chy_user_ids *ret_ids,
                                        struct chy_error *err);

/* Give a folder, and everything in it, this owner and these modes: `dir_mode` to folders,
 * `file_mode` to files. Anything else in it is an error. Errors: as chy_tree_walk(); CHY_E_IO */
CHY_MUST_USE enum chy_err chy_tree_own(int dir_fd, const char *path, struct chy_user_ids owner,
                                       mode_t dir_mode, mode_t file_mode, struct chy_error *err);
