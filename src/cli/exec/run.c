/* SPDX-License-Identifier: MIT */
/* One tool in the place of this process: its signals are the tool's. */
#include <signal.h>

#include "cli/exec/exec.h"
#include "os/loop.h"
#include "os/program.h"

static void on_terminate(void *ctx)
{
    chy_exec_door_signal(ctx, SIGTERM);
}

static void on_hangup(void *ctx)
{
    chy_exec_door_signal(ctx, SIGHUP);
}

static void on_user_1(void *ctx)
{
    chy_exec_door_signal(ctx, SIGUSR1);
}

static void on_user_2(void *ctx)
{
    chy_exec_door_signal(ctx, SIGUSR2);
}

/* The keyboard's signals reach the tool by themselves: once is enough. */
static void on_interrupt(void *ctx)
{
    if (!chy_program_has_keyboard())
        chy_exec_door_signal(ctx, SIGINT);
}

static void on_quit(void *ctx)
{
    if (!chy_program_has_keyboard())
        chy_exec_door_signal(ctx, SIGQUIT);
}

static enum chy_err watch_signals(struct chy_loop *loop, struct chy_exec_door *door,
                                  struct chy_error *err)
{
    static const struct {
        int number;
        chy_loop_fn *fn;
    } rows[] = {
        { SIGTERM, on_terminate }, { SIGHUP, on_hangup },    { SIGUSR1, on_user_1 },
        { SIGUSR2, on_user_2 },    { SIGINT, on_interrupt }, { SIGQUIT, on_quit },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        CHY_TRY(chy_loop_signal(loop, rows[i].number, rows[i].fn, door, err));
    return CHY_OK;
}

static void on_done(void *ctx)
{
    chy_loop_stop(ctx);
}

enum chy_err chy_exec_door_run(struct chy_exec_door *door, const struct chy_exec_plan *plan,
                               int lock_fd, struct chy_exec_report *ret_report,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_loop_freep) struct chy_loop *loop = NULL;
    CHY_TRY(chy_loop_new(&loop, err));
    const struct chy_exec_start run = { .loop = loop,
                                        .output_fd = -1,
                                        .done = on_done,
                                        .ctx = loop,
                                        .locks = { lock_fd },
                                        .n_locks = 1 };
    CHY_TRY(watch_signals(loop, door, err));
    enum chy_err r = chy_exec_door_start(door, plan, &run, err);
    if (r == CHY_OK)
        r = chy_loop_run(loop, err);
    if (r == CHY_OK)
        r = chy_exec_door_result(door, ret_report, err);
    /* What it watches must go before the loop does. */
    chy_exec_door_detach(door);
    return r;
}
