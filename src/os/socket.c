/* SPDX-License-Identifier: MIT */
#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/sys.h"

#define BACKLOG      1024
#define SOCKET_FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

/* Any address; `sa` is the view that the socket calls take. */
union address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage any;
};

static enum chy_err fail_address(struct chy_error *err, struct chy_str address)
{
    return chy_fail(err, CHY_E_ARG,
                    "\"%.*s\" is no address; expected 127.0.0.1:8443, [::1]:8443 or unix:/path",
                    CHY_STR_ARG(address));
}

static bool port_parse(struct chy_str text, in_port_t *ret_port)
{
    if (text.n < 1 || text.n > 5)
        return false;
    unsigned port = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.p[i] - '0');
    }
    *ret_port = htons((uint16_t)port);
    return port <= 65535;
}

static enum chy_err unix_parse(struct chy_str path, struct sockaddr_un *ret_un, socklen_t *ret_len,
                               struct chy_error *err)
{
    if (path.n == 0 || path.p[0] != '/' || memchr(path.p, 0, path.n) != NULL)
        return chy_fail(err, CHY_E_ARG, "a Unix socket's path must be absolute, not \"%.*s\"",
                        CHY_STR_ARG(path));
    if (path.n >= sizeof ret_un->sun_path)
        return chy_fail(err, CHY_E_LIMIT, "a Unix socket's path of %zu bytes, expected %zu at most",
                        path.n, sizeof ret_un->sun_path - 1);
    ret_un->sun_family = AF_UNIX;
    memcpy(ret_un->sun_path, path.p, path.n);
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return CHY_OK;
}

static enum chy_err address_parse(struct chy_str text, union address *ret_address,
                                  socklen_t *ret_len, struct chy_error *err)
{
    *ret_address = (union address){ .any = { .ss_family = AF_UNSPEC } };
    if (chy_str_starts(text, "unix:"))
        return unix_parse((struct chy_str){ text.p + 5, text.n - 5 }, &ret_address->un, ret_len,
                          err);

    const char *colon = text.n != 0 ? memrchr(text.p, ':', text.n) : NULL;
    if (colon == NULL)
        return fail_address(err, text);
    struct chy_str host = { text.p, (size_t)(colon - text.p) };
    in_port_t port;
    if (!port_parse((struct chy_str){ colon + 1, text.n - host.n - 1 }, &port))
        return fail_address(err, text);
    bool is_six = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (is_six)
        host = (struct chy_str){ host.p + 1, host.n - 2 };
    char name[INET6_ADDRSTRLEN];
    if (host.n >= sizeof name || memchr(host.p, 0, host.n) != NULL)
        return fail_address(err, text);
    chy_copy(name, host.p, host.n);
    name[host.n] = '\0';
    if (is_six) {
        ret_address->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
        *ret_len = sizeof ret_address->in6;
        if (inet_pton(AF_INET6, name, &ret_address->in6.sin6_addr) != 1)
            return fail_address(err, text);
    } else {
        ret_address->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
        *ret_len = sizeof ret_address->in;
        if (inet_pton(AF_INET, name, &ret_address->in.sin_addr) != 1)
            return fail_address(err, text);
    }
    return CHY_OK;
}

static enum chy_err fail_net(struct chy_error *err, const char *doing, struct chy_str address)
{
    enum chy_err code = errno == EADDRINUSE ? CHY_E_EXISTS : CHY_E_NETWORK;
    return chy_fail_sys(err, code, errno, "cannot %s %.*s: %s", doing, CHY_STR_ARG(address),
                        chy_sys_text(errno));
}

/* A socket file that refuses connections is left over from a process that died. */
static enum chy_err dead_socket_remove(const struct sockaddr_un *un, socklen_t len,
                                       struct chy_error *err)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0)
        return CHY_OK; /* bind tells what is wrong, if anything */
    if (!S_ISSOCK(st.st_mode))
        return chy_fail(err, CHY_E_EXISTS, "%s exists and is not a socket", un->sun_path);
    CHY_CLEANUP(chy_fd_closep) int probe = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (probe < 0)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot make a socket: %s",
                            chy_sys_text(errno));
    if (connect(probe, (const struct sockaddr *)un, len) == 0 || errno != ECONNREFUSED)
        return chy_fail(err, CHY_E_EXISTS, "somebody listens on %s already", un->sun_path);
    if (unlink(un->sun_path) != 0 && errno != ENOENT)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot remove the old socket %s: %s",
                            un->sun_path, chy_sys_text(errno));
    return CHY_OK;
}

static bool options_set(int fd, sa_family_t family)
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return false;
    return family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
}

enum chy_err chy_socket_listen(struct chy_str address, mode_t unix_mode, int *ret_fd,
                               struct chy_error *err)
{
    union address a;
    socklen_t len = 0;
    CHY_TRY(address_parse(address, &a, &len, err));
    bool is_unix = a.sa.sa_family == AF_UNIX;
    if (is_unix)
        CHY_TRY(dead_socket_remove(&a.un, len, err));
    CHY_CLEANUP(chy_fd_closep) int fd = socket(a.sa.sa_family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return fail_net(err, "make a socket for", address);
    /* Linux makes the socket file with the mode of the socket itself, so it is never wider. */
    if (is_unix ? fchmod(fd, unix_mode) != 0 : !options_set(fd, a.sa.sa_family))
        return fail_net(err, "set the options of", address);
    if (bind(fd, &a.sa, len) != 0 || (is_unix && chmod(a.un.sun_path, unix_mode) != 0) ||
        listen(fd, BACKLOG) != 0)
        return fail_net(err, "listen on", address);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

static void host_text(const union address *a, char ret_text[CHY_SOCKET_TEXT_BYTES])
{
    const char *text = NULL;
    if (a->sa.sa_family == AF_INET)
        text = inet_ntop(AF_INET, &a->in.sin_addr, ret_text, CHY_SOCKET_TEXT_BYTES);
    else if (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        text = inet_ntop(AF_INET, a->in6.sin6_addr.s6_addr + 12, ret_text, CHY_SOCKET_TEXT_BYTES);
    else if (a->sa.sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &a->in6.sin6_addr, ret_text, CHY_SOCKET_TEXT_BYTES);
    if (text == NULL)
        snprintf(ret_text, CHY_SOCKET_TEXT_BYTES, "%s",
                 a->sa.sa_family == AF_UNIX ? "unix" : "unknown");
}

enum chy_err chy_socket_address(int fd, char ret_text[CHY_SOCKET_TEXT_BYTES], struct chy_error *err)
{
    union address a = { .any = { .ss_family = AF_UNSPEC } };
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.sa, &len) != 0)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot ask for a socket's address: %s",
                            chy_sys_text(errno));
    char host[CHY_SOCKET_TEXT_BYTES];
    host_text(&a, host);
    if (a.sa.sa_family == AF_INET)
        snprintf(ret_text, CHY_SOCKET_TEXT_BYTES, "%.*s:%u", INET6_ADDRSTRLEN, host,
                 ntohs(a.in.sin_port));
    else if (a.sa.sa_family == AF_INET6)
        snprintf(ret_text, CHY_SOCKET_TEXT_BYTES, "[%.*s]:%u", INET6_ADDRSTRLEN, host,
                 ntohs(a.in6.sin6_port));
    else
        snprintf(ret_text, CHY_SOCKET_TEXT_BYTES, "unix:%.*s", (int)sizeof a.un.sun_path,
                 a.un.sun_path);
    return CHY_OK;
}

/* Errors of one connection that was gone before it was taken; accept(2) says to try the next. */
static bool is_of_one_connection(int e)
{
    return e == EINTR || e == ECONNABORTED || e == EPROTO || e == ENETDOWN || e == ENETUNREACH ||
           e == EHOSTDOWN || e == EHOSTUNREACH || e == ENOPROTOOPT || e == ENONET;
}

enum chy_err chy_socket_accept(int listen_fd, int *ret_fd, char ret_peer[CHY_SOCKET_TEXT_BYTES],
                               struct chy_error *err)
{
    union address a;
    int fd;
    do {
        a = (union address){ .any = { .ss_family = AF_UNSPEC } };
        socklen_t len = sizeof a;
        fd = accept4(listen_fd, &a.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && is_of_one_connection(errno));
    if (fd < 0 && errno == EAGAIN) {
        *ret_fd = -1;
        return CHY_OK;
    }
    if (fd < 0) {
        enum chy_err code =
            errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                ? CHY_E_BUSY
                : CHY_E_NETWORK;
        return chy_fail_sys(err, code, errno, "cannot accept a connection: %s",
                            chy_sys_text(errno));
    }
    int on = 1;
    if (a.sa.sa_family != AF_UNIX)
        /* Only speed depends on it; a connection that is gone already is told by its first read. */
        CHY_IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    host_text(&a, ret_peer);
    *ret_fd = fd;
    return CHY_OK;
}

static enum chy_err connect_finish(int fd, int64_t deadline_us, struct chy_error *err)
{
    CHY_TRY(chy_fd_wait(fd, POLLOUT, deadline_us, err));
    int sys = 0;
    socklen_t len = sizeof sys;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
        sys = errno;
    if (sys != 0)
        return chy_fail_sys(err, CHY_E_NETWORK, sys, "cannot connect: %s", chy_sys_text(sys));
    return CHY_OK;
}

enum chy_err chy_socket_connect(struct chy_str address, int64_t deadline_us, int *ret_fd,
                                struct chy_error *err)
{
    union address a;
    socklen_t len = 0;
    CHY_TRY(address_parse(address, &a, &len, err));
    CHY_CLEANUP(chy_fd_closep) int fd = socket(a.sa.sa_family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return fail_net(err, "make a socket for", address);
    if (a.sa.sa_family != AF_UNIX && !options_set(fd, a.sa.sa_family))
        return fail_net(err, "set the options of", address);
    if (connect(fd, &a.sa, len) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return fail_net(err, "connect to", address);
        CHY_TRY(connect_finish(fd, deadline_us, err));
    }
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_socket_peer_cred(int fd, struct chy_socket_cred *ret_cred, struct chy_error *err)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    /* A TCP socket answers with process 0, which is nobody's. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.pid == 0)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "the socket does not tell its peer");
    *ret_cred = (struct chy_socket_cred){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
    return CHY_OK;
}

bool chy_socket_is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

enum chy_err chy_socket_pair(int ret_fds[2], struct chy_error *err)
{
    if (socketpair(AF_UNIX, SOCKET_FLAGS, 0, ret_fds) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot make a socket pair: %s",
                            chy_sys_text(errno));
    return CHY_OK;
}
