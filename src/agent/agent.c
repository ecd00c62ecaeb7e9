/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"

#include <signal.h>

#include "agent/service_internal.h"
#include "base/limits.h"
#include "os/notify.h"
#include "os/process.h"

struct agent {
    struct service service;
    struct chy_notify notify;
};

/* Libraries do not log; a manager that does not listen is no reason to stop. */
static void tell_manager(struct agent *a, enum chy_notify_state state)
{
    struct chy_error err;
    if (chy_notify_send(&a->notify, state, &err) != CHY_OK)
        chy_log(&a->service.log, CHY_LOG_WARNING, "agent.manager", CHY_L_ERR(&err));
}

static void on_end(void *ctx)
{
    struct agent *a = ctx;
    tell_manager(a, CHY_NOTIFY_STOPPING);
    service_end(&a->service);
}

static void on_reload(void *ctx)
{
    struct agent *a = ctx;
    struct chy_error err;
    tell_manager(a, CHY_NOTIFY_RELOADING);
    if (chy_login_reload(a->service.login, &err) == CHY_OK)
        chy_log(&a->service.log, CHY_LOG_NOTICE, "agent.reloaded");
    else
        chy_log(&a->service.log, CHY_LOG_ERROR, "agent.not_reloaded", CHY_L_ERR(&err));
    chy_porter_tick(a->service.porter);
    tell_manager(a, CHY_NOTIFY_READY);
}

static enum chy_err signals_take(struct agent *a, struct chy_loop *loop, struct chy_error *err)
{
    static const struct {
        int number;
        chy_loop_fn *fn;
    } signals[] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_reload } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(signals); i++)
        CHY_TRY(chy_loop_signal(loop, signals[i].number, signals[i].fn, a, err));
    return CHY_OK;
}

static enum chy_err socket_path(const struct chy_agent_options *options, struct chy_arena *arena,
                                struct chy_str *ret_path, struct chy_error *err)
{
    *ret_path = options->socket;
    if (options->socket.n != 0)
        return CHY_OK;
    return chy_agent_socket_default(options->env, arena, ret_path, err);
}

/* agent.ssh.sock for agent.sock */
static struct chy_str path_beside(struct chy_str path, struct chy_arena *arena)
{
    const struct chy_str end = CHY_STR(".sock");
    if (path.n > end.n && chy_str_equal((struct chy_str){ path.p + path.n - end.n, end.n }, end))
        path.n -= end.n;
    return chy_arena_printf(arena, "%.*s.ssh.sock", CHY_STR_ARG(path));
}

/* One that was asked for must be there. The usual one is not worth failing for: its path is four
 * bytes longer than the first's, and may be too long. */
static enum chy_err listen_ssh(struct agent *a, const struct chy_agent_options *options,
                               struct chy_str beside, struct chy_str *ret_path,
                               struct chy_error *err)
{
    struct service *s = &a->service;
    *ret_path = (struct chy_str){ 0 };
    if (chy_str_equal_c(options->ssh_socket, "none"))
        return CHY_OK;
    bool is_asked = options->ssh_socket.n != 0;
    struct chy_str path = is_asked ? options->ssh_socket : path_beside(beside, &s->arena);
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the socket's path");
    enum chy_err r = service_listen_ssh(s, path, err);
    if (r == CHY_OK)
        *ret_path = path;
    if (r == CHY_OK || is_asked)
        return r;
    chy_log(&s->log, CHY_LOG_WARNING, "agent.no_ssh", CHY_L_ERR(err));
    return CHY_OK;
}

static enum chy_err serve(struct agent *a, const struct chy_agent_options *options,
                          struct chy_error *err)
{
    struct service *s = &a->service;
    struct chy_str path;
    struct chy_str ssh_path;
    CHY_TRY(service_init(s, options->env, &options->settings, "agent", err));
    CHY_TRY(signals_take(a, s->loop, err));
    CHY_TRY(socket_path(options, &s->arena, &path, err));
    CHY_TRY(service_listen(s, path, err));
    CHY_TRY(listen_ssh(a, options, path, &ssh_path, err));
    chy_log(&s->log, CHY_LOG_NOTICE, "agent.ready", CHY_L_STR("socket", path),
            CHY_L_STR("ssh_socket", ssh_path));
    tell_manager(a, CHY_NOTIFY_READY);
    CHY_TRY(service_run(s, err));
    chy_log(&s->log, CHY_LOG_NOTICE, "agent.ended");
    return CHY_OK;
}

enum chy_err chy_agent_run(const struct chy_agent_options *options, struct chy_error *err)
{
    struct agent a = { .notify = { .fd = -1 } };
    CHY_TRY(chy_notify_open(&a.notify, err));
    enum chy_err r = serve(&a, options, err);
    if (r == CHY_E_TIMEOUT) {
        chy_log(&a.service.log, CHY_LOG_WARNING, "agent.gave_up", CHY_L_ERR(err));
        chy_process_leave(chy_err_exit_code(r)); /* threads hang: nobody can wait for them */
    }
    service_done(&a.service);
    chy_notify_close(&a.notify);
    return r;
}
