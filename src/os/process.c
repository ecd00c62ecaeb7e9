/* SPDX-License-Identifier: MIT */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

#define CANNOT_START  127
#define TRACED_NAP_MS 10

extern char **environ;

/* All that the child needs after fork(), where nothing may be allocated. */
struct child_plan {
    const struct chy_process_spec *spec;
    const char *program;
    char *const *env;
    int null_fd;
    int report_fd; /* closed by a successful exec; else gets the errno */
    pid_t parent;
};

void chy_process_ignore_sigpipe(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    CHY_ASSERT(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

void chy_process_hide_memory(void)
{
#ifndef CHY_SANDBOX_LOOSE                  /* a leak checker must see our memory */
    CHY_IGNORE(prctl(PR_SET_DUMPABLE, 0)); /* cannot fail with this value */
#endif
}

/* Fails if the parent died before it took effect. */
static bool die_with_parent(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

static void signals_reset(void)
{
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action = { .sa_handler = i == SIGPIPE ? SIG_IGN : SIG_DFL };
        CHY_IGNORE(sigaction(i, &action, NULL)); /* KILL, STOP and the C library's own refuse */
    }
    sigset_t none;
    sigemptyset(&none);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a child has one thread */
    CHY_IGNORE(sigprocmask(SIG_SETMASK, &none, NULL)); /* cannot fail with these values */
}

/* First out of the way of the numbers that are to be given, then onto them. */
static bool fds_place(struct child_plan *plan)
{
    const struct chy_process_spec *spec = plan->spec;
    int past = CHY_PROCESS_FIRST_FD + (int)spec->fd_count;
    int moved[CHY_PROCESS_FDS_MAX];
    for (size_t i = 0; i < spec->fd_count; i++) {
        moved[i] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, past + 1);
        if (moved[i] < 0)
            return false;
    }
    int report = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, past + 1);
    int null_fd = fcntl(plan->null_fd, F_DUPFD_CLOEXEC, past + 1);
    if (spec->is_silent && (dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0))
        return false;
    if (report < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup3(report, past, O_CLOEXEC) < 0)
        return false;
    plan->report_fd = past;
    for (size_t i = 0; i < spec->fd_count; i++)
        if (dup2(moved[i], CHY_PROCESS_FIRST_FD + (int)i) < 0)
            return false;
    return close_range((unsigned)past + 1, ~0U, 0) == 0;
}

static CHY_NORETURN void child_run(struct child_plan *plan)
{
    char name[] = "chanceryd";
    char role[64];
    size_t n = strnlen(plan->spec->role, sizeof role - 1);
    memcpy(role, plan->spec->role, n);
    role[n] = '\0';
    char *const argv[] = { name, role, NULL };
    signals_reset();
    if (die_with_parent(plan->parent) && setsid() >= 0 && fds_place(plan))
        execve(plan->program, argv, plan->env);
    int e = errno;
    CHY_IGNORE(write(plan->report_fd, &e, sizeof e)); /* nobody else to tell */
    _exit(CANNOT_START);
}

static bool is_kept(const char *entry, const char *const *keep)
{
    for (size_t i = 0; keep != NULL && keep[i] != NULL; i++) {
        size_t n = strlen(keep[i]);
        if (chy_str_starts(chy_str_of(entry), keep[i]) && entry[n] == '=')
            return true;
    }
    return false;
}

/* The pointers only; the texts stay in our own environment. */
static char **env_make(const char *const *keep)
{
    size_t all = 0;
    while (environ != NULL && environ[all] != NULL)
        all++;
    char **env = chy_new_array(char *, all + 1);
    size_t n = 0;
    for (size_t i = 0; env != NULL && i < all; i++)
        if (is_kept(environ[i], keep))
            env[n++] = environ[i];
    return env;
}

static enum chy_err fail_start(struct chy_error *err, const char *what, int e)
{
    return chy_fail_sys(err, chy_sys_code(e), e, "cannot start %s: %s", what, chy_sys_text(e));
}

/* From fork() on the parent must not lose the child: it is killed and collected on any failure. */
static enum chy_err child_adopt(pid_t pid, struct chy_process *ret_process, struct chy_error *err)
{
    int pidfd = pidfd_open(pid, 0); /* closed on exec by itself */
    if (pidfd < 0) {
        int e = errno;
        CHY_IGNORE(kill(pid, SIGKILL)); /* not collected yet, so the number is still its own */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return fail_start(err, "a process", e);
    }
    *ret_process = (struct chy_process){ pid, pidfd };
    return CHY_OK;
}

/* Wait for exec: end of file means that it worked. */
static int exec_errno(int report_fd)
{
    int e = 0;
    ssize_t n;
    do
        n = read(report_fd, &e, sizeof e);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    return n == (ssize_t)sizeof e && e != 0 ? e : EIO;
}

static enum chy_err spawn_with(struct child_plan *plan, struct chy_process *ret_process,
                               struct chy_error *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return fail_start(err, plan->program, errno);
    CHY_CLEANUP(chy_fd_closep) int read_end = report[0];
    CHY_CLEANUP(chy_fd_closep) int write_end = report[1];
    plan->report_fd = write_end;
    plan->parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_run(plan);
    if (pid < 0)
        return fail_start(err, plan->program, errno);
    struct chy_process process;
    CHY_TRY(child_adopt(pid, &process, err));
    chy_fd_closep(&write_end);
    int e = exec_errno(read_end);
    if (e != 0) {
        chy_process_endp(&process);
        return fail_start(err, plan->program, e);
    }
    *ret_process = process;
    return CHY_OK;
}

enum chy_err chy_process_spawn(const struct chy_process_spec *spec, struct chy_process *ret_process,
                               struct chy_error *err)
{
    if (spec->fd_count > CHY_PROCESS_FDS_MAX)
        return chy_fail(err, CHY_E_ARG, "%zu descriptors for a process, expected %d at most",
                        spec->fd_count, CHY_PROCESS_FDS_MAX);
    CHY_CLEANUP(chy_fd_closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return fail_start(err, spec->role, errno);
    CHY_CLEANUP(chy_freep) char **env = env_make(spec->env_keep);
    if (env == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a process's environment");
    struct child_plan plan = {
        .spec = spec,
        .program = spec->program != NULL ? spec->program : "/proc/self/exe",
        .env = env,
        .null_fd = null_fd,
    };
    return spawn_with(&plan, ret_process, err);
}

enum chy_err chy_process_fork(struct chy_process *ret_process, bool *ret_is_child,
                              struct chy_error *err)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return fail_start(err, "a process", errno);
    if (pid == 0) {
        if (!die_with_parent(parent))
            _exit(CANNOT_START);
        *ret_is_child = true;
        return CHY_OK;
    }
    *ret_is_child = false;
    return child_adopt(pid, ret_process, err);
}

enum chy_err chy_process_inherit(size_t fd_count, struct chy_error *err)
{
    chy_process_ignore_sigpipe();
    for (size_t i = 0; i < fd_count; i++) {
        int fd = CHY_PROCESS_FIRST_FD + (int)i;
        if (fcntl(fd, F_GETFD) < 0)
            return chy_fail(err, CHY_E_STATE,
                            "descriptor %d is not open: this role is started by the supervisor",
                            fd);
        CHY_TRY(chy_fd_set_cloexec(fd, true, err));
    }
    return CHY_OK;
}

enum chy_err chy_process_signal(const struct chy_process *process, int signal_number,
                                struct chy_error *err)
{
    if (pidfd_send_signal(process->pidfd, signal_number, NULL, 0) == 0 || errno == ESRCH)
        return CHY_OK;
    return chy_fail_sys(err, CHY_E_IO, errno, "cannot signal process %d: %s", (int)process->pid,
                        chy_sys_text(errno));
}

/* Collect what has ended. A debugger that traces it comes first, and may take its time: until then
 * it is not ours to collect, though its pidfd is readable, and there is no event to wait for. */
static enum chy_err collect(const struct chy_process *process, int64_t deadline_us,
                            siginfo_t *ret_info, struct chy_error *err)
{
    for (;;) {
        *ret_info = (siginfo_t){ .si_pid = 0 };
        int r = waitid(P_PIDFD, (id_t)process->pidfd, ret_info, WEXITED | WNOHANG);
        if (r != 0 && errno != EINTR)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot collect process %d: %s",
                                (int)process->pid, chy_sys_text(errno));
        if (r == 0 && ret_info->si_pid != 0)
            return CHY_OK;
        if (r == 0 && chy_clock_monotonic_us() >= deadline_us)
            return chy_fail(err, CHY_E_TIMEOUT, "process %d has ended, but is being traced",
                            (int)process->pid);
        CHY_IGNORE(poll(NULL, 0, TRACED_NAP_MS)); /* a signal only makes it shorter */
    }
}

enum chy_err chy_process_wait(struct chy_process *process, int64_t deadline_us,
                              struct chy_process_end *ret_end, struct chy_error *err)
{
    siginfo_t info;
    CHY_TRY(chy_fd_wait(process->pidfd, POLLIN, deadline_us, err));
    CHY_TRY(collect(process, deadline_us, &info, err));
    chy_fd_closep(&process->pidfd);
    process->pid = -1;
    *ret_end = (struct chy_process_end){ info.si_code != CLD_EXITED, info.si_status };
    return CHY_OK;
}

void chy_process_endp(struct chy_process *process)
{
    if (process->pidfd < 0)
        return;
    struct chy_process_end end;
    if (chy_process_signal(process, SIGKILL, NULL) != CHY_OK ||
        chy_process_wait(process, CHY_NO_DEADLINE, &end, NULL) != CHY_OK)
        chy_fd_closep(&process->pidfd);
    process->pid = -1;
}

void chy_process_end_text(struct chy_process_end end, char ret_text[CHY_PROCESS_END_TEXT_BYTES])
{
    const char *name = end.was_signal ? sigabbrev_np(end.value) : NULL;
    const char *text = end.was_signal ? sigdescr_np(end.value) : NULL;
    if (!end.was_signal)
        snprintf(ret_text, CHY_PROCESS_END_TEXT_BYTES, "exited with %d", end.value);
    else if (name != NULL && text != NULL)
        snprintf(ret_text, CHY_PROCESS_END_TEXT_BYTES, "was killed by SIG%s (%s)", name, text);
    else
        snprintf(ret_text, CHY_PROCESS_END_TEXT_BYTES, "was killed by signal %d", end.value);
}

/* --- leaving --- */

/* The parent ends, the child goes on. */
static enum chy_err fork_away(struct chy_error *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return fail_start(err, "a process", errno);
    if (pid > 0)
        _exit(0);
    return CHY_OK;
}

enum chy_err chy_process_detach(int keep_fd, struct chy_error *err)
{
    if (keep_fd != STDERR_FILENO + 1)
        return chy_fail(err, CHY_E_ARG, "descriptor %d cannot be kept alone", keep_fd);
    if (fcntl(keep_fd, F_GETFD) < 0)
        return chy_fail_sys(err, CHY_E_STATE, errno, "descriptor %d is not open", keep_fd);
    if (close_range((unsigned)keep_fd + 1, ~0U, 0) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot close what was inherited: %s",
                            chy_sys_text(errno));
    CHY_TRY(fork_away(err));
    if (setsid() < 0)
        return fail_start(err, "a session", errno);
    return fork_away(err); /* one that leads no session never gets a terminal */
}

void chy_process_leave(int code)
{
    _exit(code);
}
