/* SPDX-License-Identifier: MIT */
/* System users, to whom files belong, and the name of the machine. */
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

#define CHY_USER_NAME_BYTES 129
#define CHY_HOST_NAME_BYTES 129

/* The name of a user. Errors: CHY_E_NOT_FOUND there is no such user, or its name is longer than
 * that; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_user_name(uid_t uid, char ret_name[CHY_USER_NAME_BYTES],
                                        struct chy_error *err);
/* The machine's name in lower case; "" when it has none, or none that fits. */
void chy_host_name(char ret_name[CHY_HOST_NAME_BYTES]);

/* Give a folder, and everything in it, this owner and these modes: `dir_mode` to folders,
 * `file_mode` to files. Anything else in it is an error. Errors: as chy_tree_walk(); CHY_E_IO */
CHY_MUST_USE enum chy_err chy_tree_own(int dir_fd, const char *path, struct chy_user_ids owner,
                                       mode_t dir_mode, mode_t file_mode, struct chy_error *err);
