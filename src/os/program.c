/* SPDX-License-Identifier: MIT */
#include "os/program.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

#define PROBE_US ((int64_t)10000000) /* a library with constructors that wait is none for us */

static void attributes_donep(posix_spawnattr_t *attributes)
{
    CHY_IGNORE(posix_spawnattr_destroy(attributes)); /* cannot fail once it was made */
}

static void actions_donep(posix_spawn_file_actions_t *actions)
{
    CHY_IGNORE(posix_spawn_file_actions_destroy(actions)); /* likewise */
}

static int redirect(posix_spawn_file_actions_t *actions, int output_fd)
{
    int e = 0;
    if (output_fd < 0)
        return 0;
    e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
    return e;
}

/* A descriptor that is made a copy of itself stays open. */
static int keep(posix_spawn_file_actions_t *actions, const struct chy_program *program)
{
    int e = 0;
    for (size_t i = 0; e == 0 && i < program->n_kept; i++)
        e = posix_spawn_file_actions_adddup2(actions, program->kept[i], program->kept[i]);
    return e;
}

/* With an `output_fd` of -1 the descriptors are ours. */
static int start(const struct chy_program *program, int output_fd, pid_t *ret_pid)
{
    CHY_CLEANUP(actions_donep) posix_spawn_file_actions_t actions;
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    CHY_CLEANUP(attributes_donep) posix_spawnattr_t attributes;
    e = posix_spawnattr_init(&attributes);
    if (e != 0)
        return e;
    e = redirect(&actions, output_fd);
    if (e == 0)
        e = keep(&actions, program);
    if (e != 0)
        return e;
    sigset_t ours; /* what a program of ours ignores; what was ignored before, as by nohup, stays */
    sigset_t none;
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigemptyset(&none);
    e = posix_spawnattr_setsigdefault(&attributes, &ours);
    if (e == 0)
        e = posix_spawnattr_setsigmask(&attributes, &none);
    if (e == 0)
        e = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (e == 0)
        e = posix_spawnp(ret_pid, program->argv[0], &actions, &attributes,
                         CHY_UNCONST(char *const, program->argv),
                         CHY_UNCONST(char *const, program->env));
    return e;
}

static enum chy_err start_watched(const struct chy_program *program, int output_fd,
                                  struct chy_process *ret_process, struct chy_error *err)
{
    const char *name = program->argv[0];
    pid_t pid;
    int e = start(program, output_fd, &pid);
    if (e != 0)
        return chy_fail_sys(err, chy_sys_code(e), e, "cannot run %s: %s", name, chy_sys_text(e));
    int pidfd = pidfd_open(pid, 0); /* not collected yet, so the number is still its own */
    if (pidfd < 0) {
        e = errno;
        CHY_IGNORE(kill(pid, SIGKILL)); /* what cannot be watched does not run */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return chy_fail_sys(err, chy_sys_code(e), e, "cannot watch %s: %s", name, chy_sys_text(e));
    }
    *ret_process = (struct chy_process){ pid, pidfd };
    return CHY_OK;
}

enum chy_err chy_program_start(const struct chy_program *program, struct chy_process *ret_process,
                               struct chy_error *err)
{
    return start_watched(program, -1, ret_process, err);
}

enum chy_err chy_program_start_quiet(const struct chy_program *program, int output_fd,
                                     struct chy_process *ret_process, struct chy_error *err)
{
    if (output_fd < 0)
        return chy_fail(err, CHY_E_ARG, "a program's output needs a descriptor");
    return start_watched(program, output_fd, ret_process, err);
}

enum chy_err chy_program_become(const char *path, char *const *argv, struct chy_error *err)
{
    const struct sigaction usual = { .sa_handler = SIG_DFL };
    CHY_IGNORE(sigaction(SIGPIPE, &usual, NULL)); /* cannot fail with this signal */
    CHY_IGNORE(execv(path, argv));                /* comes back only when it failed */
    return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot run %s: %s", path,
                        chy_sys_text(errno));
}

bool chy_program_has_keyboard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (tcgetpgrp(fd) == getpgrp())
            return true;
    }
    return false;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool chy_program_find(const char *path, const char *name, char *ret_path)
{
    if (strchr(name, '/') != NULL) {
        int n = snprintf(ret_path, CHY_LIMIT_PATH, "%s", name);
        return n > 0 && n < CHY_LIMIT_PATH && is_program(ret_path);
    }
    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");
        int w =
            snprintf(ret_path, CHY_LIMIT_PATH, "%.*s%s%s", (int)n, path, n != 0 ? "/" : "./", name);
        if (w > 0 && w < CHY_LIMIT_PATH && is_program(ret_path))
            return true;
        path += n + (path[n] == ':' ? 1 : 0);
    }
    return false;
}

/* --- a library in a child --- */

/* The answer is what the loader says, or nothing. */
static CHY_NORETURN void probe(int fd, const char *path, const char *symbol)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    bool is_found = library != NULL && dlsym(library, symbol) != NULL;
    const char *text = is_found ? NULL : dlerror(); /* NOLINT: a child has one thread */
    if (text != NULL)
        CHY_IGNORE(chy_fd_write(fd, chy_str_bytes(chy_str_of(text)), NULL));
    _exit(text != NULL ? 1 : 0);
}

enum chy_err chy_library_probe(const char *path, const char *symbol, struct chy_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot look at %s: %s", path,
                            chy_sys_text(errno));
    CHY_CLEANUP(chy_fd_closep) int read_end = ends[0];
    CHY_CLEANUP(chy_fd_closep) int write_end = ends[1];
    CHY_CLEANUP(chy_process_endp) struct chy_process child = { -1, -1 };
    bool is_child = false;
    CHY_TRY(chy_process_fork(&child, &is_child, err));
    if (is_child)
        probe(write_end, path, symbol);
    chy_fd_closep(&write_end);
    struct chy_process_end end;
    CHY_TRY(chy_process_wait(&child, chy_clock_monotonic_us() + PROBE_US, &end, err));
    char text[CHY_ERROR_TEXT_BYTES];
    ssize_t n = read(read_end, text, sizeof text - 1); /* a pipe holds that much */
    text[n > 0 ? n : 0] = '\0';
    if (n > 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "%s", text);
    char how[CHY_PROCESS_END_TEXT_BYTES];
    chy_process_end_text(end, how);
    if (end.was_signal || end.value != 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "the process that loaded %s %s", path, how);
    return CHY_OK;
}
