/* SPDX-License-Identifier: MIT */
/* What the kernel tells of another process: /proc/PID, held on to by a descriptor. A descriptor is
 * of one process for ever: when that has ended, everything fails, whoever has its number then. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "os/file_stamp.h"
#include "os/socket.h"

/* Whoever connected a Unix socket (of a pair: who made it), and hold on to that process. Where the
 * kernel has SO_PEERPIDFD (6.5) it is surely that process; else one that had its number when this
 * was called.
 * Errors: CHY_E_NETWORK    the socket does not tell
 *         CHY_E_NOT_FOUND  the process has ended; ret_cred is set all the same
 *         CHY_E_BUSY, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_proc_open_peer(int socket, struct chy_socket_cred *ret_cred,
                                             int *ret_fd, struct chy_error *err);
/* Its parent. Errors of this and what follows: CHY_E_NOT_FOUND it has ended; CHY_E_IO (it is not
 * ours to look at), CHY_E_BUSY, CHY_E_NOMEM; CHY_E_LIMIT of the buffer */
CHY_MUST_USE enum chy_err chy_proc_open_parent(int proc_fd, int *ret_fd, struct chy_error *err);

/* Append its command line, each word with a NUL behind it; what is over the buffer's maximum is
 * left out. The process can write there what it likes. */
CHY_MUST_USE enum chy_err chy_proc_command(int proc_fd, struct chy_buf *out, struct chy_error *err);
/* Which file runs. */
CHY_MUST_USE enum chy_err chy_proc_program(int proc_fd, struct chy_file_stamp *ret_stamp,
                                           struct chy_error *err);
/* Append the path of that file, only if it leads to the very file for us as well: not for one that
 * was replaced, nor in another root or mount namespace (CHY_E_NOT_FOUND). */
CHY_MUST_USE enum chy_err chy_proc_program_path(int proc_fd, struct chy_buf *out,
                                                struct chy_error *err);
/* Open that file for reading, whatever its path is now. */
CHY_MUST_USE enum chy_err chy_proc_program_open(int proc_fd, int *ret_fd,
                                                struct chy_file_stamp *ret_stamp,
                                                struct chy_error *err);
