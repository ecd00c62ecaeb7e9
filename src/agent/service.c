/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/service_internal.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/user.h"

#define ACCEPTS_PER_TURN 64
#define DRAIN_US         INT64_C(25000000) /* for what is in flight; systemd waits for 30 s here */
#define QUIET_US         INT64_C(20000)    /* between two looks whether it is over */
#define FILES_WANTED     8192              /* a connection takes three, and each worker some */

static void on_tick(void *ctx)
{
    struct service *s = ctx;
    chy_porter_tick(s->porter);
    chy_timer_set(s->tick, chy_clock_monotonic_us() + CHY_PORTER_TICK_US);
}

/* --- life --- */

/* As many descriptors as we may have, up to what we can use. */
static void raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= FILES_WANTED)
        return;
    r.rlim_cur = CHY_MIN(r.rlim_max, (rlim_t)FILES_WANTED);
    CHY_IGNORE(setrlimit(RLIMIT_NOFILE, &r)); /* fewer connections then */
}

enum chy_err service_init(struct service *s, const struct chy_client_env *env,
                          const struct chy_settings_options *settings, const char *role,
                          struct chy_error *err)
{
    *s = (struct service){ .settings = *settings, .lock_fd = -1, .listen_fd = -1 };
    chy_arena_init(&s->arena, (size_t)CHY_LIMIT_PATH * 4);
    chy_log_init(&s->log, STDERR_FILENO, CHY_LOG_NOTICE, role, chy_log_is_journal(STDERR_FILENO));
    raise_files();
    CHY_TRY(chy_loop_new(&s->loop, err));
    CHY_TRY(chy_login_new(env, &s->settings, &s->login, err));
    CHY_TRY(chy_programs_new(&s->programs, err));
    chy_peer_place_init(&s->place, s->programs);
    CHY_TRY(chy_workers_new(s->loop, s->login, &chy_upstream_server, &s->workers, err));
    const struct chy_porter_options options = {
        s->loop, s->login, s->workers, &s->place, &s->log,
    };
    CHY_TRY(chy_porter_new(&options, &s->porter, err));
    CHY_TRY(chy_timer_new(s->loop, on_tick, s, &s->tick, err));
    return chy_timer_new(s->loop, on_tick, s, &s->deadline, err);
}

static void listen_end(struct service *s)
{
    if (s->listen_fd < 0)
        return;
    chy_watch_freep(&s->listen_watch);
    chy_fd_closep(&s->listen_fd);
    CHY_IGNORE(chy_file_remove(AT_FDCWD, s->path.p, NULL)); /* nobody listens there any more */
}

void service_done(struct service *s)
{
    listen_end(s);
    chy_timer_free(s->tick);
    chy_timer_free(s->deadline);
    chy_workers_free(s->workers);
    chy_porter_free(s->porter);
    chy_programs_free(s->programs);
    chy_login_free(s->login);
    chy_loop_free(s->loop);
    chy_fd_closep(&s->lock_fd);
    chy_arena_done(&s->arena);
}

/* --- the socket --- */

static void on_accept(void *ctx, uint32_t events)
{
    struct service *s = ctx;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        char peer[CHY_SOCKET_TEXT_BYTES];
        struct chy_error err;
        int fd = -1;
        enum chy_err r = chy_socket_accept(s->listen_fd, &fd, peer, &err);
        if (r != CHY_OK)
            chy_log(&s->log, CHY_LOG_WARNING, "accept.failed", CHY_L_ERR(&err));
        if (r != CHY_OK || fd < 0)
            return;
        chy_porter_admit(s->porter, fd);
    }
}

/* The folder of the socket: made for us alone where it is not there. */
static enum chy_err folder_take(struct service *s, struct chy_error *err)
{
    const char *slash = memrchr(s->path.p, '/', s->path.n);
    struct chy_str folder = { s->path.p, (size_t)(slash - s->path.p) };
    struct chy_str name = chy_arena_str(&s->arena, folder);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    if (folder.n == 0)
        return CHY_OK;
    enum chy_err r = chy_dir_make(AT_FDCWD, name.p, 0700, err);
    if (r == CHY_E_EXISTS)
        return chy_dir_check_own(name.p, err);
    return r;
}

/* Two that start at once would both find the socket dead. */
static enum chy_err lock_take(struct service *s, struct chy_error *err)
{
    struct chy_str lock = chy_arena_printf(&s->arena, "%.*s.lock", CHY_STR_ARG(s->path));
    if (lock.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    enum chy_err r = chy_file_lock(AT_FDCWD, lock.p, &s->lock_fd, err);
    if (r == CHY_E_BUSY)
        return chy_fail(err, CHY_E_EXISTS, "an agent listens on %.*s already",
                        CHY_STR_ARG(s->path));
    return r;
}

enum chy_err service_listen(struct service *s, struct chy_str path, struct chy_error *err)
{
    if (path.n == 0 || path.p[0] != '/')
        return chy_fail(err, CHY_E_ARG, "the socket's path must be absolute, not \"%.*s\"",
                        CHY_STR_ARG(path));
    if (s->listen_fd >= 0)
        return chy_fail(err, CHY_E_STATE, "it listens on %.*s already", CHY_STR_ARG(s->path));
    s->path = chy_arena_str(&s->arena, path);
    struct chy_str address = chy_arena_printf(&s->arena, "unix:%.*s", CHY_STR_ARG(path));
    if (s->path.p == NULL || address.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    CHY_TRY(folder_take(s, err));
    CHY_TRY(lock_take(s, err));
    CHY_TRY(chy_socket_listen(address, 0600, &s->listen_fd, err));
    return chy_watch_new(s->loop, s->listen_fd, EPOLLIN, on_accept, s, &s->listen_watch, err);
}

/* --- running --- */

void service_end(struct service *s)
{
    s->is_ending = true;
    listen_end(s);
    chy_porter_close(s->porter);
    chy_loop_wake(s->loop);
}

enum chy_err service_run(struct service *s, struct chy_error *err)
{
    int64_t end_us = CHY_NO_DEADLINE;
    on_tick(s);
    while (!s->is_ending || !chy_porter_is_quiet(s->porter)) {
        int64_t now_us = chy_clock_monotonic_us();
        if (s->is_ending && end_us == CHY_NO_DEADLINE)
            end_us = now_us + DRAIN_US;
        if (now_us > end_us)
            return chy_fail(err, CHY_E_TIMEOUT, "what was in flight took too long");
        /* What a slow tool still has to read is not told by the loop: look now and then. */
        int64_t turn_us = s->is_ending ? now_us + QUIET_US : CHY_NO_DEADLINE;
        CHY_TRY(chy_loop_turn(s->loop, turn_us, err));
    }
    return CHY_OK;
}
