/* SPDX-License-Identifier: MIT */
#include <sys/resource.h>
#include <unistd.h>

#include "agent/service_internal.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"

#define DRAIN_US     INT64_C(25000000) /* for what is in flight; systemd waits for 30 s here */
#define QUIET_US     INT64_C(20000)    /* between two looks whether it is over */
#define FILES_WANTED 8192              /* a connection takes three, and each worker some */

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
    *s = (struct service){ .settings = *settings };
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
    chy_listener_close(CHY_TAKE(s->ssh));
    chy_listener_close(CHY_TAKE(s->door));
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
    chy_arena_done(&s->arena);
}

/* --- the sockets --- */

static void admit(void *ctx, int fd)
{
    struct service *s = ctx;
    chy_porter_admit(s->porter, fd);
}

static void admit_ssh(void *ctx, int fd)
{
    struct service *s = ctx;
    chy_porter_admit_ssh(s->porter, fd);
}

enum chy_err service_listen(struct service *s, struct chy_str path, struct chy_error *err)
{
    const struct chy_listener_options options = { s->loop, &s->log, path, admit, s };
    if (s->door != NULL)
        return chy_fail(err, CHY_E_STATE, "it listens already");
    return chy_listener_open(&options, &s->door, err);
}

enum chy_err service_listen_ssh(struct service *s, struct chy_str path, struct chy_error *err)
{
    const struct chy_listener_options options = { s->loop, &s->log, path, admit_ssh, s };
    return chy_listener_open(&options, &s->ssh, err);
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
