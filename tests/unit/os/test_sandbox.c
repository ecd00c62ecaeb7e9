/* SPDX-License-Identifier: MIT */
/* Each case forks a child that enters a sandbox and does one thing; how the child ends is the
 * result. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernel_fixture.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/socket.h"

#define ENTER_FAILED 90
#define USER         "chancery-inspect"

typedef int deed_fn(void); /* 0, or the errno it got */

static char folder[64];
static char file_inside[128];

static struct chy_process_end run(const struct chy_sandbox *s, deed_fn *deed)
{
    struct chy_process p = { -1, -1 };
    bool is_child = false;
    struct chy_error err;
    assert_int_equal(chy_process_fork(&p, &is_child, &err), CHY_OK);
    if (is_child) {
        struct chy_sandbox_result result;
        if (chy_sandbox_enter(s, &result, &err) != CHY_OK) {
            fprintf(stderr, "%s\n", err.text);
            _exit(ENTER_FAILED);
        }
        _exit(deed());
    }
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&p, CHY_NO_DEADLINE, &end, &err), CHY_OK);
    return end;
}

static void assert_exits(const struct chy_sandbox *s, deed_fn *deed, int code)
{
    struct chy_process_end end = run(s, deed);
    assert_false(end.was_signal);
    assert_int_equal(end.value, code);
}

static void assert_killed(const struct chy_sandbox *s, deed_fn *deed)
{
    struct chy_process_end end = run(s, deed);
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGSYS);
}

/* --- deeds --- */

static int do_exec(void)
{
    char *argv[] = { (char[]){ "true" }, NULL };
    char *env[] = { NULL };
    execve("/bin/true", argv, env);
    return errno;
}

static int do_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 ? 0 : errno;
}

static int do_packet_socket(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    return fd >= 0 ? 0 : errno;
}

static int do_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
}

static int do_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return errno;
    return status;
}

static void *thread_body(void *p)
{
    return p;
}

static int do_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, NULL, thread_body, NULL);
    return r != 0 ? r : pthread_join(t, NULL);
}

static int do_open_passwd(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno;
}

static int do_open_inside(void)
{
    return open(file_inside, O_RDONLY) >= 0 ? 0 : errno;
}

static int do_write_inside(void)
{
    int fd = open(file_inside, O_WRONLY | O_TRUNC);
    return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : errno;
}

static int do_make_inside(void)
{
    char name[160];
    snprintf(name, sizeof name, "%s/new", folder);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd >= 0 && unlink(name) == 0 ? 0 : errno;
}

static int do_make_outside(void)
{
    int fd = open("/tmp/chancery-test-outside", O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return errno;
    unlink("/tmp/chancery-test-outside");
    return 0;
}

static int do_map_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? 0 : errno;
}

static int do_protect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

static int do_set_limit(void)
{
    struct rlimit l = { 10, 10 };
    return setrlimit(RLIMIT_NOFILE, &l) == 0 ? 0 : errno;
}

static int do_new_user_space(void)
{
    return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0 ? 0 : errno;
}

/* What every role does all day. */
static int do_ordinary(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0 || write(fds[1], "abc", 3) != 3)
        return 1;
    char back[4];
    struct stat st;
    if (read(fds[0], back, 3) != 3 || fstat(fds[0], &st) != 0)
        return 2;
    char *p = chy_malloc(1 << 20);
    if (p == NULL)
        return 3;
    memset(p, 1, 1 << 20);
    chy_free(p);
    if (poll(NULL, 0, 0) != 0)
        return 4;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || getpid() <= 0)
        return 5;
    return 0;
}

static int do_compute(void)
{
    struct stat st;
    char *p = chy_malloc(1 << 20);
    if (p == NULL || fstat(0, &st) != 0 || getpid() <= 0)
        return 1;
    memset(p, 1, 1 << 20);
    chy_free(p);
    return read(-1, &st, 0) == -1 && errno == EBADF ? 0 : 2;
}

static int do_pipe(void)
{
    int fds[2];
    return pipe2(fds, O_CLOEXEC);
}

static int do_poll(void)
{
    return poll(NULL, 0, 0);
}

static int do_set_flags(void)
{
    return fcntl(0, F_SETFL, 0) < 0 ? errno : 0;
}

static int do_yield(void)
{
    return sched_yield();
}

static int do_signal_parent(void)
{
    return (int)syscall(SYS_tgkill, getppid(), getppid(), SIGCONT);
}

static int do_abort(void)
{
    abort();
}

/* A listener on loopback, made before the sandbox is entered. */
static int listener_fd = -1;
static char listener[CHY_SOCKET_TEXT_BYTES];

static int do_connect_tcp(void)
{
    int fd = -1;
    struct chy_error err;
    if (chy_socket_connect(chy_str_of(listener), CHY_NO_DEADLINE, &fd, &err) != CHY_OK)
        return (int)err.sys;
    return 0;
}

static int do_bind_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return bind(fd, (struct sockaddr *)&in, sizeof in) == 0 ? 0 : errno;
}

static pid_t sibling;

static int do_signal_sibling(void)
{
    return kill(sibling, 0) == 0 ? 0 : errno;
}

static int do_tell_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE);
}

static int do_tell_core_limit(void)
{
    struct rlimit l;
    return getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max == 0 ? 0 : 1;
}

static int do_tell_no_new_privs(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static int do_tell_files_limit(void)
{
    struct rlimit l;
    return getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max == 20 ? 0 : 1;
}

static int do_map_much(void)
{
    void *p = mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? 0 : errno;
}

static int do_become_root(void)
{
    return setuid(0) == 0 || seteuid(0) == 0 || getuid() == 0 ? 1 : 0;
}

static int do_tell_groups(void)
{
    return getgroups(0, NULL);
}

static int do_tell_death_signal(void)
{
    int s = 0;
    return prctl(PR_GET_PDEATHSIG, &s) == 0 ? s : 99;
}

/* --- system calls --- */

static const struct chy_sandbox base = { .name = "base", .limits_calls = true };

static struct chy_sandbox with(unsigned calls)
{
    struct chy_sandbox s = base;
    s.calls = calls;
    s.may_bind_tcp = true;
    s.may_connect_tcp = true;
    return s;
}

static void test_sandbox_calls__base_set_lets_a_process_work(void **state)
{
    (void)state;
    assert_exits(&base, do_ordinary, 0);
}

static void test_sandbox_calls__base_set_kills_what_is_not_in_it(void **state)
{
    (void)state;
    deed_fn *deeds[] = { do_exec,           do_socket,       do_ptrace,       do_fork,
                         do_thread,         do_map_exec,     do_protect_exec, do_set_limit,
                         do_new_user_space, do_packet_socket };
    for (size_t i = 0; i < CHY_ARRAY_LEN(deeds); i++)
        assert_killed(&base, deeds[i]);
}

static void test_sandbox_calls__base_set_refuses_files(void **state)
{
    (void)state;
    assert_exits(&base, do_open_passwd, EACCES);
    assert_exits(&base, do_make_outside, EACCES);
}

static const struct chy_sandbox computing = {
    .name = "computing",
    .limits_calls = true,
    .computes_only = true,
};

static void test_sandbox_calls__who_computes_only_can_compute(void **state)
{
    (void)state;
    assert_exits(&computing, do_compute, 0);
    assert_exits(&computing, do_open_passwd, EACCES);
}

static void test_sandbox_calls__who_computes_only_can_do_nothing_else(void **state)
{
    (void)state;
    deed_fn *deeds[] = { do_exec,      do_socket, do_fork,      do_thread,
                         do_pipe,      do_poll,   do_map_exec,  do_protect_exec,
                         do_set_flags, do_yield,  do_set_limit, do_signal_parent };
    for (size_t i = 0; i < CHY_ARRAY_LEN(deeds); i++)
        assert_killed(&computing, deeds[i]);
}

static void test_sandbox_calls__who_computes_only_can_give_up(void **state)
{
    (void)state;
    struct chy_process_end end = run(&computing, do_abort);
    assert_true(end.was_signal);
    assert_int_equal(end.value, SIGABRT);
}

static void test_sandbox_calls__read_files(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_READ_FILES);
    assert_exits(&s, do_ordinary, 0);
    assert_exits(&s, do_open_passwd, 0);
    assert_exits(&s, do_write_inside, EACCES);
    assert_exits(&s, do_make_inside, EACCES);
    assert_killed(&s, do_exec);
}

static void test_sandbox_calls__write_files(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_WRITE_FILES);
    assert_exits(&s, do_make_inside, 0);
    assert_exits(&s, do_write_inside, 0);
    assert_killed(&s, do_socket);
}

static void test_sandbox_calls__connect(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_CONNECT);
    assert_exits(&s, do_connect_tcp, 0);
    assert_killed(&s, do_packet_socket);
}

static void test_sandbox_calls__fork_but_no_threads_and_no_name_spaces(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_FORK);
    assert_exits(&s, do_fork, 0);
    assert_killed(&s, do_thread);
    assert_killed(&s, do_new_user_space);
    assert_killed(&s, do_exec);
}

static void test_sandbox_calls__threads_but_no_fork(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_THREADS);
    assert_exits(&s, do_thread, 0);
    assert_killed(&s, do_fork);
}

static void test_sandbox_calls__dlopen_maps_code(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_DLOPEN | CHY_CALLS_READ_FILES);
    assert_exits(&s, do_map_exec, 0);
    assert_exits(&s, do_protect_exec, 0);
    assert_killed(&s, do_exec);
}

static void test_sandbox_calls__exec(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_EXEC | CHY_CALLS_READ_FILES);
    assert_exits(&s, do_exec, 0);
}

static int do_accept(void)
{
    int fd = -1;
    int one = 1;
    char peer[CHY_SOCKET_TEXT_BYTES];
    if (chy_socket_accept(listener_fd, &fd, peer, NULL) != CHY_OK)
        return 1;
    return setsockopt(listener_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 ? 0 : 2;
}

static void test_sandbox_calls__accept(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_ACCEPT);
    assert_exits(&s, do_accept, 0);
    assert_killed(&base, do_accept);
    assert_killed(&s, do_socket);
}

/* Shut down, a listener is a socket that could connect; MSG_FASTOPEN does so while it sends. */
static int do_connect_by_sending(void)
{
    struct sockaddr_in in;
    socklen_t n = sizeof in;
    if (getsockname(listener_fd, (struct sockaddr *)&in, &n) != 0 ||
        shutdown(listener_fd, SHUT_RDWR) != 0)
        return 1;
    ssize_t r = sendto(listener_fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT, (struct sockaddr *)&in, n);
    return r >= 0 ? 0 : errno;
}

static int do_connect_by_sending_message(void)
{
    struct msghdr m = { 0 };
    return sendmsg(listener_fd, &m, MSG_FASTOPEN | MSG_DONTWAIT) >= 0 ? 0 : errno;
}

static int do_set_other_option(void)
{
    int one = 1;
    return setsockopt(listener_fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0 ? 0 : errno;
}

static void test_sandbox_calls__who_accepts_cannot_call_out(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_ACCEPT);
    assert_killed(&s, do_connect_by_sending);
    assert_killed(&s, do_connect_by_sending_message);
    assert_killed(&s, do_set_other_option);
}

static int do_have_other_signalled(void)
{
    return fcntl(listener_fd, F_SETOWN, sibling) == 0 ? 0 : errno;
}

static int do_choose_signal(void)
{
    return fcntl(listener_fd, F_SETSIG, SIGKILL) == 0 ? 0 : errno;
}

static int do_signal_thread_of_sibling(void)
{
    return syscall(SYS_tgkill, sibling, sibling, 0) == 0 ? 0 : errno;
}

static int do_signal_itself(void)
{
    return raise(SIGWINCH) == 0 ? 0 : errno;
}

static void test_sandbox_calls__nobody_else_is_signalled(void **state)
{
    (void)state;
    sibling = getpid();
    assert_killed(&base, do_have_other_signalled);
    assert_killed(&base, do_choose_signal);
    assert_killed(&base, do_signal_thread_of_sibling);
    assert_exits(&base, do_signal_itself, 0);
}

static int do_enter_stricter(void)
{
    struct chy_sandbox_result result;
    struct chy_error err;
    if (chy_sandbox_enter(&base, &result, &err) != CHY_OK)
        return 1;
    return do_open_passwd() == EACCES ? 0 : 2;
}

static void test_sandbox_calls__a_stricter_one_within(void **state)
{
    (void)state;
    struct chy_sandbox s = with(CHY_CALLS_SANDBOX | CHY_CALLS_READ_FILES);
    assert_exits(&s, do_enter_stricter, 0);
}

/* --- Landlock --- */

static bool has_landlock(int abi)
{
    long have = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1);
    return have >= abi;
}

static void test_sandbox_files__only_the_named_paths(void **state)
{
    (void)state;
    if (!has_landlock(1))
        skip();
    struct chy_sandbox_path read_only = { folder, CHY_PATH_READ, false };
    struct chy_sandbox s = {
        .name = "files", .limits_files = true, .paths = &read_only, .path_count = 1
    };
    assert_exits(&s, do_open_inside, 0);
    assert_exits(&s, do_write_inside, EACCES);
    assert_exits(&s, do_make_inside, EACCES);
    assert_exits(&s, do_open_passwd, EACCES);
    assert_exits(&s, do_make_outside, EACCES);
    assert_exits(&s, do_exec, EACCES);
}

static void test_sandbox_files__write_and_exec(void **state)
{
    (void)state;
    if (!has_landlock(1))
        skip();
    struct chy_sandbox_path paths[] = {
        { folder, CHY_PATH_READ | CHY_PATH_WRITE, false },
        { "/usr", CHY_PATH_READ | CHY_PATH_EXEC, false },
        { "/lib", CHY_PATH_READ | CHY_PATH_EXEC, true },
        { "/lib64", CHY_PATH_READ | CHY_PATH_EXEC, true },
        { "/bin", CHY_PATH_READ | CHY_PATH_EXEC, true },
    };
    struct chy_sandbox s = {
        .name = "files", .limits_files = true, .paths = paths, .path_count = CHY_ARRAY_LEN(paths)
    };
    assert_exits(&s, do_make_inside, 0);
    assert_exits(&s, do_write_inside, 0);
    assert_exits(&s, do_exec, 0);
    assert_exits(&s, do_make_outside, EACCES);
}

static void test_sandbox_files__a_single_file(void **state)
{
    (void)state;
    if (!has_landlock(1))
        skip();
    struct chy_sandbox_path path = { file_inside, CHY_PATH_READ | CHY_PATH_WRITE, false };
    struct chy_sandbox s = {
        .name = "files", .limits_files = true, .paths = &path, .path_count = 1
    };
    assert_exits(&s, do_write_inside, 0);
    assert_exits(&s, do_make_inside, EACCES);
}

static void test_sandbox_files__nothing_at_all(void **state)
{
    (void)state;
    if (!has_landlock(1))
        skip();
    struct chy_sandbox s = { .name = "files", .limits_files = true };
    assert_exits(&s, do_open_passwd, EACCES);
    assert_exits(&s, do_ordinary, 0);
}

static void test_sandbox_tcp__refused_unless_allowed(void **state)
{
    (void)state;
    if (!has_landlock(4))
        skip();
    struct chy_sandbox s = { .name = "tcp" };
    assert_exits(&s, do_connect_tcp, EACCES);
    assert_exits(&s, do_bind_tcp, EACCES);
    s.may_connect_tcp = true;
    assert_exits(&s, do_connect_tcp, 0);
    assert_exits(&s, do_bind_tcp, EACCES);
    s.may_bind_tcp = true;
    assert_exits(&s, do_bind_tcp, 0);
}

static void test_sandbox_scope__others_cannot_be_signalled(void **state)
{
    (void)state;
    if (!has_landlock(6))
        skip();
    struct chy_sandbox s = { .name = "scope" };
    sibling = getpid();
    assert_exits(&s, do_signal_sibling, EPERM);
}

/* --- the rest, in every build --- */

static const struct chy_sandbox plain = { .name = "plain", .max_files = 20 };

static void test_sandbox_enter__process_attributes(void **state)
{
    (void)state;
    assert_exits(&plain, do_tell_core_limit, 0);
    assert_exits(&plain, do_tell_no_new_privs, 1);
    assert_exits(&plain, do_tell_files_limit, 0);
    assert_exits(&plain, do_tell_dumpable, chy_sandbox_is_loose() ? 1 : 0);
}

static void test_sandbox_enter__memory_limit(void **state)
{
    (void)state;
    struct chy_sandbox s = { .name = "memory", .max_memory_bytes = 256u << 20 };
    assert_exits(&s, do_map_much, ENOMEM);
}

static void test_sandbox_enter__optional_path_may_be_absent(void **state)
{
    (void)state;
    struct chy_sandbox_path path = { "/nonexistent/chancery", CHY_PATH_READ, true };
    struct chy_sandbox s = {
        .name = "paths", .limits_files = true, .paths = &path, .path_count = 1
    };
    assert_exits(&s, do_ordinary, 0);
}

static void test_sandbox_enter__needed_path_must_exist(void **state)
{
    (void)state;
    if (!has_landlock(1))
        skip();
    struct chy_sandbox_path path = { "/nonexistent/chancery", CHY_PATH_READ, false };
    struct chy_sandbox s = {
        .name = "paths", .limits_files = true, .paths = &path, .path_count = 1
    };
    assert_exits(&s, do_ordinary, ENTER_FAILED);
}

/* --- users: only root can change --- */

static int do_tell_user(void)
{
    struct passwd *pw = getpwnam(USER);
    return pw != NULL && getuid() == pw->pw_uid && geteuid() == pw->pw_uid && getgid() == pw->pw_gid
               ? 0
               : 1;
}

static void test_sandbox_user__changes_for_good(void **state)
{
    (void)state;
    struct chy_sandbox s = { .name = "user", .user = USER };
    assert_exits(&s, do_tell_user, 0);
    assert_exits(&s, do_become_root, 0);
    assert_exits(&s, do_tell_groups, 0);
    assert_exits(&s, do_tell_death_signal, SIGKILL);
    assert_exits(&s, do_tell_dumpable, chy_sandbox_is_loose() ? 1 : 0);
}

static void test_sandbox_user__supplementary_groups(void **state)
{
    (void)state;
    const uint32_t gids[] = { 4, 5 };
    const uint32_t root_gid[] = { 0 };
    struct chy_sandbox s = {
        .name = "user", .user = USER, .supplementary_gids = gids, .supplementary_gid_count = 2
    };
    assert_exits(&s, do_tell_groups, 2);
    s.supplementary_gids = root_gid;
    s.supplementary_gid_count = 1;
    assert_exits(&s, do_tell_groups, ENTER_FAILED);
    s.supplementary_gid_count = 17;
    assert_exits(&s, do_tell_groups, ENTER_FAILED);
}

static void test_sandbox_user__unknown_and_root_are_refused(void **state)
{
    (void)state;
    struct chy_sandbox s = { .name = "user", .user = "chancery-nobody-has-this" };
    assert_exits(&s, do_ordinary, ENTER_FAILED);
    s.user = "root";
    assert_exits(&s, do_ordinary, ENTER_FAILED);
}

static void test_sandbox_enter__tells_what_it_did(void **state)
{
    (void)state;
    bool is_child = false;
    struct chy_process p = { -1, -1 };
    assert_int_equal(chy_process_fork(&p, &is_child, NULL), CHY_OK);
    if (is_child) {
        struct chy_sandbox s = { .name = "all",
                                 .limits_files = true,
                                 .limits_calls = true,
                                 .user = getpwnam(USER) != NULL ? USER : NULL };
        struct chy_sandbox_result r;
        bool was_root = geteuid() == 0 && s.user != NULL;
        if (chy_sandbox_enter(&s, &r, NULL) != CHY_OK)
            _exit(1);
        bool is_tight = !chy_sandbox_is_loose();
        bool is_right = r.is_loose == !is_tight && r.limits_calls == is_tight &&
                        r.limits_files == (is_tight && r.landlock_abi >= 1) &&
                        r.limits_tcp == (r.landlock_abi >= 4) &&
                        r.limits_scope == (r.landlock_abi >= 6) && r.has_changed_user == was_root;
        _exit(is_right ? 0 : 2);
    }
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&p, CHY_NO_DEADLINE, &end, NULL), CHY_OK);
    assert_false(end.was_signal);
    assert_int_equal(end.value, 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/chancery-sandbox-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file_inside, sizeof file_inside, "%s/file", folder);
    int fd = open(file_inside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0)
        return -1;
    if (chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &listener_fd, NULL) != CHY_OK)
        return -1;
    return chy_socket_address(listener_fd, listener, NULL) == CHY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    chy_fd_closep(&listener_fd);
    unlink(file_inside);
    return rmdir(folder);
}

#define TIGHT_TESTS                                                                   \
    cmocka_unit_test(test_sandbox_calls__base_set_lets_a_process_work),               \
        cmocka_unit_test(test_sandbox_calls__base_set_kills_what_is_not_in_it),       \
        cmocka_unit_test(test_sandbox_calls__base_set_refuses_files),                 \
        cmocka_unit_test(test_sandbox_calls__who_computes_only_can_compute),          \
        cmocka_unit_test(test_sandbox_calls__who_computes_only_can_do_nothing_else),  \
        cmocka_unit_test(test_sandbox_calls__who_computes_only_can_give_up),          \
        cmocka_unit_test(test_sandbox_calls__read_files),                             \
        cmocka_unit_test(test_sandbox_calls__write_files),                            \
        cmocka_unit_test(test_sandbox_calls__connect),                                \
        cmocka_unit_test(test_sandbox_calls__accept),                                 \
        cmocka_unit_test(test_sandbox_calls__who_accepts_cannot_call_out),            \
        cmocka_unit_test(test_sandbox_calls__nobody_else_is_signalled),               \
        cmocka_unit_test(test_sandbox_calls__fork_but_no_threads_and_no_name_spaces), \
        cmocka_unit_test(test_sandbox_calls__threads_but_no_fork),                    \
        cmocka_unit_test(test_sandbox_calls__dlopen_maps_code),                       \
        cmocka_unit_test(test_sandbox_calls__exec),                                   \
        cmocka_unit_test(test_sandbox_calls__a_stricter_one_within),                  \
        cmocka_unit_test(test_sandbox_files__only_the_named_paths),                   \
        cmocka_unit_test(test_sandbox_files__write_and_exec),                         \
        cmocka_unit_test(test_sandbox_files__a_single_file),                          \
        cmocka_unit_test(test_sandbox_files__nothing_at_all),                         \
        cmocka_unit_test(test_sandbox_enter__memory_limit),                           \
        cmocka_unit_test(test_sandbox_enter__needed_path_must_exist)

#define LOOSE_TESTS                                                        \
    cmocka_unit_test(test_sandbox_tcp__refused_unless_allowed),            \
        cmocka_unit_test(test_sandbox_scope__others_cannot_be_signalled),  \
        cmocka_unit_test(test_sandbox_enter__process_attributes),          \
        cmocka_unit_test(test_sandbox_enter__optional_path_may_be_absent), \
        cmocka_unit_test(test_sandbox_enter__tells_what_it_did)

#define USER_TESTS                                                 \
    cmocka_unit_test(test_sandbox_user__changes_for_good),         \
        cmocka_unit_test(test_sandbox_user__supplementary_groups), \
        cmocka_unit_test(test_sandbox_user__unknown_and_root_are_refused)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest loose[] = { LOOSE_TESTS };
    const struct CMUnitTest tight[] = { TIGHT_TESTS };
    const struct CMUnitTest user[] = { USER_TESTS };
    struct CMUnitTest tests[CHY_ARRAY_LEN(loose) + CHY_ARRAY_LEN(tight) + CHY_ARRAY_LEN(user)];
    size_t n = CHY_ARRAY_LEN(loose);
    memcpy(tests, loose, sizeof loose);
    if (!chy_sandbox_is_loose()) {
        memcpy(tests + n, tight, sizeof tight);
        n += CHY_ARRAY_LEN(tight);
    }
    if (geteuid() == 0) {
        memcpy(tests + n, user, sizeof user);
        n += CHY_ARRAY_LEN(user);
    }
    return _cmocka_run_group_tests("sandbox", tests, n, set_up, tear_down);
}
