/* SPDX-License-Identifier: MIT */
/* Owned file descriptors: `CHY_CLEANUP(chy_fd_closep) int fd = -1;` owns, chy_fd_take() hands
 * on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* A deadline that never comes. */
#define CHY_NO_DEADLINE INT64_MAX

/* Close and set to -1; -1 is a no-op. errno stays as it was. */
void chy_fd_closep(int *fd);
/* The descriptor, which is forgotten here. */
int chy_fd_take(int *fd);

CHY_MUST_USE enum chy_err chy_fd_set_nonblocking(int fd, bool is_on, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_fd_set_cloexec(int fd, bool is_on, struct chy_error *err);
/* A second descriptor for the same thing, closed on exec. */
CHY_MUST_USE enum chy_err chy_fd_dup(int fd, int *ret_fd, struct chy_error *err);

/* Write all of `bytes` to a blocking descriptor; a part may have been written on failure. */
CHY_MUST_USE enum chy_err chy_fd_write(int fd, struct chy_bytes bytes, struct chy_error *err);

/* Wait for `events` (POLLIN, POLLOUT) until `deadline_us` of the monotonic clock. Hang-up and
 * errors count as ready: the next read or write tells. Errors: CHY_E_TIMEOUT, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_fd_wait(int fd, short events, int64_t deadline_us,
                                      struct chy_error *err);

/* The number of an open descriptor that a command line names: up to four digits.
 * Errors: CHY_E_ARG no such number, or nothing is open there */
CHY_MUST_USE enum chy_err chy_fd_of_text(struct chy_str text, int *ret_fd, struct chy_error *err);
