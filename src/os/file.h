/* SPDX-License-Identifier: MIT */
/* Files and folders, whole and small: configuration, secrets, certificates, checkpoints, the lock.
 *
 * A path is taken relative to `dir_fd` (AT_FDCWD: the working directory). Every descriptor is
 * closed on exec. Only regular files are read: a FIFO or device in the place of one is refused, not
 * waited for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/secret.h"

/* Append the whole file to `to`, whose maximum is the file's; `to` keeps its old content on
 * failure. Errors: CHY_E_NOT_FOUND, CHY_E_LIMIT (larger than `to` may grow), CHY_E_IO, CHY_E_NOMEM
 * */
CHY_MUST_USE enum chy_err chy_file_read(int dir_fd, const char *path, struct chy_buf *to,
                                        struct chy_error *err);

/* Read a secret. The last part of the path may not be a symbolic link, and nobody but the owner may
 * be able to read the file. In systemd's credentials folder ($CREDENTIALS_DIRECTORY) the group may
 * too: that is how systemd shows its access list. One line feed at the end is dropped.
 * Errors: CHY_E_FORBIDDEN others could read or write it, or somebody else owns it
 *         CHY_E_MALFORMED it is empty
 *         CHY_E_LIMIT     over CHY_LIMIT_SECRET; CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_file_read_secret(int dir_fd, const char *path,
                                               struct chy_secret **ret_secret,
                                               struct chy_error *err);
/* The same for a descriptor that a trusted process handed over (file, pipe or memfd): read from
 * where it stands to its end; no check of who may read it. `fd` stays the caller's. */
CHY_MUST_USE enum chy_err chy_file_read_secret_fd(int fd, struct chy_secret **ret_secret,
                                                  struct chy_error *err);

/* Write a file so that a crash at any time leaves the old content or the new, never a mixture: a
 * temporary file beside it, fsync, rename, fsync of the folder. `mode` is not subject to the umask.
 * On failure the old file is as it was; only if the last fsync fails, the new one stands there, and
 * it is unknown whether it will outlive a power cut (CHY_E_IO).
 * chy_file_create refuses with CHY_E_EXISTS when something of that name is there.
 * Errors: CHY_E_NOT_FOUND the folder is not there; CHY_E_EXISTS; CHY_E_IO; CHY_E_ARG no file
 * name */
CHY_MUST_USE enum chy_err chy_file_replace(int dir_fd, const char *path, struct chy_bytes content,
                                           mode_t mode, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_file_create(int dir_fd, const char *path, struct chy_bytes content,
                                          mode_t mode, struct chy_error *err);

/* Open for reading and writing in place, made with `mode` (under the umask) when absent; no
 * symbolic link. For a small file that is changed often, as the log's anchor. */
CHY_MUST_USE enum chy_err chy_file_open_anchor(int dir_fd, const char *path, mode_t mode,
                                               int *ret_fd, struct chy_error *err);
/* Open such a file for reading alone. Errors: CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_open_read(int dir_fd, const char *path, int *ret_fd,
                                             struct chy_error *err);
/* Put `bytes` at `offset`, durable on CHY_OK (fdatasync). On failure the range holds anything. */
CHY_MUST_USE enum chy_err chy_file_pwrite_sync(int fd, struct chy_bytes bytes, uint64_t offset,
                                               struct chy_error *err);
/* Put `bytes` at the end, durable on CHY_OK; on failure the file is cut back to its old length. */
CHY_MUST_USE enum chy_err chy_file_append_sync(int fd, struct chy_bytes bytes,
                                               struct chy_error *err);
/* Up to `n` bytes at `offset`; fewer at the end of the file. */
CHY_MUST_USE enum chy_err chy_file_pread(int fd, void *to, size_t n, uint64_t offset, size_t *ret_n,
                                         struct chy_error *err);

/* Removes a file (not a folder). Errors: CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_remove(int dir_fd, const char *path, struct chy_error *err);
/* A symbolic link. Errors: CHY_E_EXISTS, CHY_E_NOT_FOUND (its folder), CHY_E_IO */
CHY_MUST_USE enum chy_err chy_link_make(const char *target, int dir_fd, const char *path,
                                        struct chy_error *err);
/* Change the owner; of a symbolic link itself, never of what it points to. */
CHY_MUST_USE enum chy_err chy_file_chown(int dir_fd, const char *path, uid_t uid, gid_t gid,
                                         struct chy_error *err);

/* One folder with exactly `mode`. Errors: CHY_E_EXISTS, CHY_E_NOT_FOUND (its parent), CHY_E_IO */
CHY_MUST_USE enum chy_err chy_dir_make(int dir_fd, const char *path, mode_t mode,
                                       struct chy_error *err);
/* Whether nobody else can put something into the folder, or in the place of something there: it is
 * ours or root's, and not for others to write (but for a sticky one, as /tmp is).
 * Errors: CHY_E_FORBIDDEN; CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_dir_check_own(const char *path, struct chy_error *err);
/* A descriptor for the *at functions above. Errors: CHY_E_NOT_FOUND, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_dir_open(int dir_fd, const char *path, int *ret_fd,
                                       struct chy_error *err);

/* Take the lock file, made when absent; held until `ret_fd` and all its copies are closed. Never
 * waits. Errors: CHY_E_BUSY another process holds it; the text names it when it is known */
CHY_MUST_USE enum chy_err chy_file_lock(int dir_fd, const char *path, int *ret_fd,
                                        struct chy_error *err);
/* Whether another process holds it; changes nothing. A file that is not there is not held.
 * Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_is_locked(int dir_fd, const char *path, bool *ret_is_locked,
                                             struct chy_error *err);
