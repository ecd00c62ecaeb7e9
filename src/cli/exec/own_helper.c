/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/exec/talk_internal.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"

struct chy_exec_agent {
    struct chy_exec_agent_options options;
    struct chy_process helper;
    struct chy_channel *control; /* of the helper; closing it ends it */
};

/* A variable for the helper alone; what was there before is put back. */
struct lent {
    const char *name;
    struct chy_str value;
    char *before;
};

static void lend(struct lent *l, struct chy_arena *arena)
{
    const char *old = secure_getenv(l->name);
    struct chy_str value = chy_arena_str(arena, l->value);
    if (l->value.n == 0 || value.p == NULL)
        return;
    l->before = old != NULL ? chy_strdup(chy_str_of(old)) : NULL;
    CHY_IGNORE(setenv(l->name, value.p, 1)); /* NOLINT: there is one thread */
}

static void take_back(struct lent *l)
{
    if (l->value.n == 0)
        return;
    if (l->before != NULL)
        CHY_IGNORE(setenv(l->name, l->before, 1)); /* NOLINT: there is one thread */
    else
        CHY_IGNORE(unsetenv(l->name)); /* NOLINT: there is one thread */
    chy_free(l->before);
}

/* Its login is ours: what names it, and how the server is reached. */
static enum chy_err spawn(struct chy_exec_agent *agent, int fd, struct chy_error *err)
{
    static const char *const keep[] = {
        "HOME",
        "PATH",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "TMPDIR",
        "LANG",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "ASAN_OPTIONS",
        "LSAN_OPTIONS",
        "UBSAN_OPTIONS",
        "TSAN_OPTIONS",
        "CHANCERY_URL",
        "CHANCERY_CA",
        "CHANCERY_CERT",
        "CHANCERY_KEY",
        "CHANCERY_TOKEN",
        "CHANCERY_TOKEN_FILE",
        "CHANCERY_PROFILE",
        NULL,
    };
    const struct chy_exec_agent_options *o = &agent->options;
    struct lent lent[] = {
        { "CHANCERY_TOKEN", chy_str_of(o->token), NULL },
        { "CHANCERY_PROFILE", o->profile, NULL },
        { "CHANCERY_URL", o->url, NULL },
    };
    struct chy_process_spec spec = {
        .role = CHY_DOOR_HELPER_ROLE,
        .fds = &fd,
        .fd_count = 1,
        .is_silent = true, /* the terminal is the tool's */
        .env_keep = keep,
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lent); i++)
        lend(&lent[i], o->arena);
    enum chy_err r = chy_process_spawn(&spec, &agent->helper, err);
    for (size_t i = 0; i < CHY_ARRAY_LEN(lent); i++)
        take_back(&lent[i]);
    return r;
}

static enum chy_err helper_start(struct chy_exec_agent *agent, struct chy_error *err)
{
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int its = pair[1];
    CHY_TRY(spawn(agent, its, err));
    chy_fd_closep(&its);
    CHY_TRY(exec_channel(&ours, &agent->control, err));
    struct chy_door_listen listen = { .path = agent->options.socket };
    enum chy_err r = exec_ask(agent->control, CHY_DOOR_LISTEN, &chy_door_listen_schema, &listen,
                              CHY_DOOR_LISTENING, err);
    if (r == CHY_E_NOT_FOUND && !chy_channel_is_open(agent->control))
        return chy_fail(err, CHY_E_STATE, "the helper ended at once");
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "the helper does not start");
}

enum chy_err chy_exec_agent_open(const struct chy_exec_agent_options *options,
                                 struct chy_exec_agent **ret_agent, struct chy_error *err)
{
    CHY_CLEANUP(chy_exec_agent_closep)
    struct chy_exec_agent *agent = chy_new(struct chy_exec_agent);
    if (agent == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to talk to the agent");
    agent->options = *options;
    agent->helper = (struct chy_process){ -1, -1 };
    if (options->is_helper)
        CHY_TRY(helper_start(agent, err));
    *ret_agent = CHY_TAKE(agent);
    return CHY_OK;
}

void chy_exec_agent_close(struct chy_exec_agent *agent)
{
    if (agent == NULL)
        return;
    chy_channel_free(agent->control);
    chy_process_endp(&agent->helper); /* of the process that was started; the helper left it */
    chy_free(agent);
}

void chy_exec_agent_closep(struct chy_exec_agent **agent)
{
    chy_exec_agent_close(*agent);
}
