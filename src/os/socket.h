/* SPDX-License-Identifier: MIT */
/* Stream sockets by address text. Names are not resolved: nothing here asks a DNS server.
 *
 *     127.0.0.1:8443   [::1]:0   unix:/run/chancery/agent.sock
 *
 * Port 0 lets the kernel choose. All sockets are non-blocking and closed on exec; TCP ones send at
 * once (TCP_NODELAY), an IPv6 one takes IPv6 alone. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* Room for any address text with its NUL: "unix:" and 107 bytes of path. */
#define CHY_SOCKET_TEXT_BYTES 128

/* Listen. `unix_mode` is the mode of a Unix socket's file (not subject to the umask); a socket file
 * that nobody listens on any more is replaced.
 * Errors: CHY_E_ARG     not an address as above
 *         CHY_E_LIMIT   a path over 107 bytes
 *         CHY_E_EXISTS  the address is in use, or the path is something other than a dead socket
 *         CHY_E_NETWORK what else the kernel said */
CHY_MUST_USE enum chy_err chy_socket_listen(struct chy_str address, mode_t unix_mode, int *ret_fd,
                                            struct chy_error *err);

/* The address that a socket is bound to, in the form above ("unix:" for one without a name). */
CHY_MUST_USE enum chy_err chy_socket_address(int fd, char ret_text[CHY_SOCKET_TEXT_BYTES],
                                             struct chy_error *err);

/* Accept one connection; *ret_fd is -1 when none waits.
 * ret_peer  its address without the port ("192.0.2.1", "2001:db8::1"; an IPv4 address mapped into
 *           IPv6 is shown as IPv4), or "unix"
 * Errors:   CHY_E_BUSY    no descriptors or memory left: stop accepting for a while
 *           CHY_E_NETWORK */
CHY_MUST_USE enum chy_err chy_socket_accept(int listen_fd, int *ret_fd,
                                            char ret_peer[CHY_SOCKET_TEXT_BYTES],
                                            struct chy_error *err);

/* Connect, until `deadline_us` of the monotonic clock.
 * Errors: CHY_E_ARG, CHY_E_LIMIT as above; CHY_E_TIMEOUT; CHY_E_NETWORK nobody listens, no way
 * there */
CHY_MUST_USE enum chy_err chy_socket_connect(struct chy_str address, int64_t deadline_us,
                                             int *ret_fd, struct chy_error *err);

struct chy_socket_cred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* Who was at the other end of a Unix socket when it was connected. */
CHY_MUST_USE enum chy_err chy_socket_peer_cred(int fd, struct chy_socket_cred *ret_cred,
                                               struct chy_error *err);

/* Whether the path names a Unix socket; whether anybody listens there is another matter. */
bool chy_socket_is_there(const char *path);

/* Two connected Unix stream sockets. */
CHY_MUST_USE enum chy_err chy_socket_pair(int ret_fds[2], struct chy_error *err);
