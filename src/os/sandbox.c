/* SPDX-License-Identifier: MIT */
#include "os/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"
#include "os/sandbox_parts.h"
#include "os/sys.h"

#define USER_BYTES 16384 /* for getpwnam_r: a line of the user database */
#define GIDS_MAX   16

#if defined(CHY_SANDBOX_LOOSE) && CHY_SANDBOX_LOOSE
static const bool is_loose = true;
#else
static const bool is_loose = false;
#endif

bool chy_sandbox_is_loose(void)
{
    return is_loose;
}

static enum chy_err fail_step(struct chy_error *err, const struct chy_sandbox *s, const char *step)
{
    return chy_fail_sys(err, CHY_E_IO, errno, "sandbox of %s: cannot %s: %s", s->name, step,
                        chy_sys_text(errno));
}

static bool limit_set(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit limit = { .rlim_cur = value, .rlim_max = value };
    return setrlimit(resource, &limit) == 0;
}

static enum chy_err limits_apply(const struct chy_sandbox *s, struct chy_error *err)
{
    if (!limit_set(RLIMIT_CORE, 0))
        return fail_step(err, s, "forbid core dumps");
    if (s->max_files != 0 && !limit_set(RLIMIT_NOFILE, s->max_files))
        return fail_step(err, s, "limit the number of descriptors");
    /* Sanitizers map terabytes. */
    if (s->max_memory_bytes != 0 && !is_loose && !limit_set(RLIMIT_AS, s->max_memory_bytes))
        return fail_step(err, s, "limit the memory");
    return CHY_OK;
}

static enum chy_err user_find(const struct chy_sandbox *s, uid_t *ret_uid, gid_t *ret_gid,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *text = chy_malloc(USER_BYTES);
    if (text == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a user's data");
    struct passwd pw;
    struct passwd *found = NULL;
    int e = getpwnam_r(s->user, &pw, text, USER_BYTES, &found);
    if (found == NULL)
        return chy_fail_sys(err, CHY_E_NOT_FOUND, e, "sandbox of %s: there is no user \"%s\"",
                            s->name, s->user);
    if (found->pw_uid == 0 || found->pw_gid == 0)
        return chy_fail(err, CHY_E_ARG, "sandbox of %s: the user \"%s\" has root's rights", s->name,
                        s->user);
    *ret_uid = found->pw_uid;
    *ret_gid = found->pw_gid;
    return CHY_OK;
}

/* That the kernel agrees, and that there is no way back. */
static enum chy_err user_verify(const struct chy_sandbox *s, uid_t uid, gid_t gid,
                                struct chy_error *err)
{
    uid_t u[3];
    gid_t g[3];
    if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
        return fail_step(err, s, "ask for the user");
    for (size_t i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != gid)
            return chy_fail(err, CHY_E_INTEGRITY, "sandbox of %s: the user did not change",
                            s->name);
    if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0)
        return chy_fail(err, CHY_E_INTEGRITY, "sandbox of %s: root's rights can be taken back",
                        s->name);
    return CHY_OK;
}

static enum chy_err user_change(const struct chy_sandbox *s, uid_t uid, gid_t gid,
                                struct chy_error *err)
{
    if (s->supplementary_gid_count > GIDS_MAX)
        return chy_fail(err, CHY_E_ARG, "sandbox of %s: %zu groups, expected %d at most", s->name,
                        s->supplementary_gid_count, GIDS_MAX);
    gid_t gids[GIDS_MAX];
    for (size_t i = 0; i < s->supplementary_gid_count; i++) {
        if (s->supplementary_gids[i] == 0)
            return chy_fail(err, CHY_E_ARG, "sandbox of %s: root's group is not given", s->name);
        gids[i] = s->supplementary_gids[i];
    }
    if (setgroups(s->supplementary_gid_count, gids) != 0)
        return fail_step(err, s, "set the groups");
    if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return fail_step(err, s, "change the user");
    return user_verify(s, uid, gid, err);
}

/* A change of user makes the kernel forget that we die with our parent. */
static enum chy_err parent_death_keep(const struct chy_sandbox *s, int signal_number, pid_t parent,
                                      struct chy_error *err)
{
    if (signal_number == 0)
        return CHY_OK;
    if (prctl(PR_SET_PDEATHSIG, signal_number) != 0)
        return fail_step(err, s, "die with the parent");
    if (getppid() != parent)
        return chy_fail(err, CHY_E_STATE, "sandbox of %s: the parent died meanwhile", s->name);
    return CHY_OK;
}

static enum chy_err user_apply(const struct chy_sandbox *s, struct chy_sandbox_result *result,
                               struct chy_error *err)
{
    if (s->user == NULL || geteuid() != 0)
        return CHY_OK;
    uid_t uid = 0;
    gid_t gid = 0;
    int death_signal = 0;
    pid_t parent = getppid();
    CHY_TRY(user_find(s, &uid, &gid, err));
    if (prctl(PR_GET_PDEATHSIG, &death_signal) != 0)
        return fail_step(err, s, "ask what happens when the parent dies");
    CHY_TRY(user_change(s, uid, gid, err));
    CHY_TRY(parent_death_keep(s, death_signal, parent, err));
    result->has_changed_user = true;
    return CHY_OK;
}

static enum chy_err privileges_apply(const struct chy_sandbox *s, struct chy_error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_step(err, s, "set no_new_privs");
    /* LeakSanitizer traces its own process, and a change of user has turned that off. */
    if (prctl(PR_SET_DUMPABLE, is_loose ? 1 : 0, 0, 0, 0) != 0)
        return fail_step(err, s, "forbid tracing");
    return CHY_OK;
}

enum chy_err chy_sandbox_enter(const struct chy_sandbox *sandbox,
                               struct chy_sandbox_result *ret_result, struct chy_error *err)
{
    struct chy_sandbox_result result = { .is_loose = is_loose };
    CHY_CLEANUP(chy_fd_closep) int ruleset_fd = -1;
    CHY_TRY(limits_apply(sandbox, err));
    CHY_TRY(chy_sandbox_landlock_make(sandbox, &ruleset_fd, &result, err));
    CHY_TRY(user_apply(sandbox, &result, err));
    CHY_TRY(privileges_apply(sandbox, err));
    if (ruleset_fd >= 0)
        CHY_TRY(chy_sandbox_landlock_enter(ruleset_fd, err));
    chy_fd_closep(&ruleset_fd);
    if (sandbox->limits_calls && !is_loose) {
        CHY_TRY(chy_sandbox_seccomp_enter(sandbox, err));
        result.limits_calls = true;
    }
    *ret_result = result;
    return CHY_OK;
}
