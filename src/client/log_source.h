/* SPDX-License-Identifier: MIT */
/* Where the files of a log come from: a folder that was exported, or a server. Both have the layout
 * of c2sp.org/tlog-tiles, and beside it the detail records:
 *
 *   checkpoint
 *   tile/<L>/<N>[.p/<W>]        hashes
 *   tile/entries/<N>[.p/<W>]    entries, each behind its length (u16)
 *   details/<N>[.p/<W>]         detail records likewise; length 0 where there is none, or none any
 *                               more
 */
#pragma once

#include "base/arena.h"
#include "client/client.h"
#include "tlog/tile.h"

struct chy_log_source {
    void *ctx;
    /* Append the file to `to`. Errors: CHY_E_NOT_FOUND there is no such file; others end the
     * work */
    enum chy_err (*read)(void *ctx, const char *path, struct chy_buf *to, struct chy_error *err);
};

#define CHY_LOG_PATH_BYTES 96

/* "tile/0/x001/067.p/5"; for CHY_TLOG_ENTRIES and `is_detail`, "details/…".
 * Errors: CHY_E_LIMIT the index is beyond all logs */
CHY_MUST_USE enum chy_err chy_log_path(const struct chy_tlog_tile *tile, bool is_detail,
                                       char path[CHY_LOG_PATH_BYTES], struct chy_error *err);

/* A folder; `fd` is borrowed. */
struct chy_log_folder {
    int fd;
};
struct chy_log_source chy_log_folder_source(struct chy_log_folder *folder);

/* A server. Entries and details need the right to read the log. */
struct chy_log_server {
    struct chy_client *client;
};
struct chy_log_source chy_log_server_source(struct chy_log_server *server);

/* What an export wrote. */
struct chy_log_copied {
    uint64_t entries;
    uint64_t files;
};

/* Copy a log into the folder `fd`, made ready by the caller: the checkpoint last, so that it never
 * speaks of files that are not there. Nothing is verified here.
 * Errors: CHY_E_MALFORMED the checkpoint; those of reading and writing */
CHY_MUST_USE enum chy_err chy_log_copy(const struct chy_log_source *from, int fd,
                                       struct chy_log_copied *ret_copied, struct chy_error *err);
