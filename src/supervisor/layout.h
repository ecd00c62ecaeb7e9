/* SPDX-License-Identifier: MIT */
/* The data directory that `init` makes: where each thing is, whose it is when the server starts as
 * root, and who may read it. Private to this folder.
 *
 *   chanceryd.yaml       root    0600  the configuration
 *   tls/                 root    0700  certificate.pem, key.pem; handed to front as descriptors
 *   secrets/             root    0700  NAME.pin of each token, handed to its processes; NAME.so-pin
 *   store/               signer  2750  chancery.db; the group is query's, which reads
 *   anchor/              signer  2750  checkpoint: the newest that was published
 *   tokens/              root    0711
 *   tokens/NAME/         token   0700  SoftHSM's files
 *   lock                 root    0600  held while the server runs; made by it
 *
 * A server that an ordinary user starts owns all of it, 0700 and 0600. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "supervisor/config.h"

#define LAYOUT_CONFIG      "chanceryd.yaml"
#define LAYOUT_LOCK        "lock"
#define LAYOUT_TOKEN_BYTES 192

/* A folder to be filled: one that is made, or an empty one that is there. */
struct layout_new {
    const char *path;
    int fd;       /* of it; owned */
    bool is_ours; /* it was made here, and goes away with what is in it when not kept */
    bool is_kept;
};

/* Take the folder, with the mode that a data directory has, or 0700 when `is_private`.
 * Errors: CHY_E_EXISTS it is not empty; CHY_E_NOT_FOUND its parent is not there; CHY_E_IO */
CHY_MUST_USE enum chy_err layout_new_begin(const char *path, bool is_private,
                                           struct layout_new *ret_new, struct chy_error *err);
/* For CHY_CLEANUP: unless it is kept, removes what was made in it, and the folder if it was made
 * here. */
void layout_new_end(struct layout_new *new);

/* The folders of a data directory, in one that is empty. Errors: CHY_E_EXISTS, CHY_E_IO */
CHY_MUST_USE enum chy_err layout_make(int dir_fd, const struct chy_config *config,
                                      struct chy_error *err);
/* Give everything in it to whom it belongs. When not root: to nobody else, and nobody else may read
 * it. `config` is one that was loaded.
 * Errors: CHY_E_NOT_FOUND a system user of chanceryd is not there; CHY_E_IO, CHY_E_LIMIT,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err layout_own(int dir_fd, const struct chy_config *config,
                                     struct chy_error *err);
/* "tokens/NAME". Errors: CHY_E_LIMIT */
CHY_MUST_USE enum chy_err layout_token(struct chy_str name, char ret_path[LAYOUT_TOKEN_BYTES],
                                       struct chy_error *err);
