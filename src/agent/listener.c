/* SPDX-License-Identifier: MIT */
#include "agent/listener.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/socket.h"

#define ACCEPTS_PER_TURN 64

struct chy_listener {
    struct chy_listener_options options; /* its path lies in the arena */
    struct chy_arena arena;
    int lock_fd;
    int fd;
    struct chy_watch *watch;
};

static void on_accept(void *ctx, uint32_t events)
{
    struct chy_listener *l = ctx;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        char peer[CHY_SOCKET_TEXT_BYTES];
        struct chy_error err;
        int fd = -1;
        enum chy_err r = chy_socket_accept(l->fd, &fd, peer, &err);
        if (r != CHY_OK)
            chy_log(l->options.log, CHY_LOG_WARNING, "accept.failed", CHY_L_ERR(&err));
        if (r != CHY_OK || fd < 0)
            return;
        l->options.admit(l->options.ctx, fd);
    }
}

/* The folder of the socket: made for us alone where it is not there. */
static enum chy_err folder_take(struct chy_listener *l, struct chy_error *err)
{
    struct chy_str path = l->options.path;
    const char *slash = memrchr(path.p, '/', path.n);
    struct chy_str folder = { path.p, (size_t)(slash - path.p) };
    struct chy_str name = chy_arena_str(&l->arena, folder);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    if (folder.n == 0)
        return CHY_OK;
    enum chy_err r = chy_dir_make(AT_FDCWD, name.p, 0700, err);
    if (r == CHY_E_EXISTS)
        return chy_dir_check_own(name.p, err);
    return r;
}

static enum chy_err lock_take(struct chy_listener *l, struct chy_error *err)
{
    struct chy_str path = l->options.path;
    struct chy_str lock = chy_arena_printf(&l->arena, "%.*s.lock", CHY_STR_ARG(path));
    if (lock.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    enum chy_err r = chy_file_lock(AT_FDCWD, lock.p, &l->lock_fd, err);
    if (r == CHY_E_BUSY)
        return chy_fail(err, CHY_E_EXISTS, "an agent listens on %.*s already", CHY_STR_ARG(path));
    return r;
}

enum chy_err chy_listener_open(const struct chy_listener_options *options,
                               struct chy_listener **ret_listener, struct chy_error *err)
{
    if (options->path.n == 0 || options->path.p[0] != '/')
        return chy_fail(err, CHY_E_ARG, "the socket's path must be absolute, not \"%.*s\"",
                        CHY_STR_ARG(options->path));
    CHY_CLEANUP(chy_listener_closep) struct chy_listener *l = chy_new(struct chy_listener);
    if (l == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a socket");
    l->options = *options;
    l->lock_fd = l->fd = -1;
    chy_arena_init(&l->arena, (size_t)CHY_LIMIT_PATH * 4);
    l->options.path = chy_arena_str(&l->arena, options->path);
    struct chy_str address = chy_arena_printf(&l->arena, "unix:%.*s", CHY_STR_ARG(options->path));
    if (l->options.path.p == NULL || address.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    CHY_TRY(folder_take(l, err));
    CHY_TRY(lock_take(l, err));
    CHY_TRY(chy_socket_listen(address, 0600, &l->fd, err));
    CHY_TRY(chy_watch_new(options->loop, l->fd, EPOLLIN, on_accept, l, &l->watch, err));
    *ret_listener = CHY_TAKE(l);
    return CHY_OK;
}

void chy_listener_close(struct chy_listener *l)
{
    if (l == NULL)
        return;
    chy_watch_freep(&l->watch);
    if (l->fd >= 0)
        CHY_IGNORE(chy_file_remove(AT_FDCWD, l->options.path.p, NULL)); /* nobody listens there */
    chy_fd_closep(&l->fd);
    chy_fd_closep(&l->lock_fd);
    chy_arena_done(&l->arena);
    chy_free(l);
}

void chy_listener_closep(struct chy_listener **l)
{
    chy_listener_close(*l);
}
