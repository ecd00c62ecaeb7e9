/* SPDX-License-Identifier: MIT */
/* Files that are too long to be held: an artifact to be hashed part by part, a log that grows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

/* Open a regular file for reading. `ret_size` is its length now.
 * Errors: CHY_E_NOT_FOUND, CHY_E_IO (no regular file, no right to read it) */
CHY_MUST_USE enum chy_err chy_file_open_stream(int dir_fd, const char *path, int *ret_fd,
                                               uint64_t *ret_size, struct chy_error *err);
/* Open anything that can be read to its end: a file, a FIFO (waits for its writer), a device.
 * `ret_is_file` tells a regular file. Errors: CHY_E_NOT_FOUND, CHY_E_IO (a folder, no right) */
CHY_MUST_USE enum chy_err chy_file_open_input(int dir_fd, const char *path, int *ret_fd,
                                              bool *ret_is_file, struct chy_error *err);
/* Up to `n` bytes from where a blocking descriptor stands; *ret_n is 0 only at the end.
 * Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_fd_read(int fd, void *to, size_t n, size_t *ret_n,
                                      struct chy_error *err);
/* Open a regular file to add to its end, made with `mode` when absent. The last part of the path
 * may not be a symbolic link. Errors: CHY_E_NOT_FOUND the folder is not there; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_file_open_append(int dir_fd, const char *path, mode_t mode,
                                               int *ret_fd, struct chy_error *err);
