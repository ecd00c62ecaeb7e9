/* SPDX-License-Identifier: MIT */
/* The list of system calls. A call is in a group because something was seen to need it; what is not
 * listed kills. File calls are refused with EACCES instead: the C library and OpenSSL try to open
 * files at times nobody foresees (time zones, the number of processors), and cope with a
 * refusal. */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/sandbox_parts.h"
#include "os/sys.h"

#define BASE      (1u << 31) /* of the base set, but not of who computes only */
#define ANY_FILES (CHY_CALLS_READ_FILES | CHY_CALLS_WRITE_FILES)

struct call_row {
    unsigned groups; /* allowed when one of them is wanted; 0: always */
    int call;
};

/* clang-format off */
static const struct call_row call_rows[] = {
    /* to compute, over descriptors that are there already, and answer */
    { 0, SCMP_SYS(read) }, { 0, SCMP_SYS(write) }, { 0, SCMP_SYS(pread64) }, { 0, SCMP_SYS(lseek) },
    { 0, SCMP_SYS(close) }, { 0, SCMP_SYS(dup) }, { 0, SCMP_SYS(fstat) }, { 0, SCMP_SYS(futex) },
    { 0, SCMP_SYS(clock_gettime) }, { 0, SCMP_SYS(gettimeofday) }, { 0, SCMP_SYS(time) },
    { 0, SCMP_SYS(brk) }, { 0, SCMP_SYS(munmap) }, { 0, SCMP_SYS(mremap) },
    { 0, SCMP_SYS(madvise) }, /* mmap and mprotect: see the rules for memory below */
    { 0, SCMP_SYS(getpid) }, { 0, SCMP_SYS(gettid) }, { 0, SCMP_SYS(getrandom) },
    { 0, SCMP_SYS(rt_sigaction) }, { 0, SCMP_SYS(rt_sigprocmask) }, { 0, SCMP_SYS(rt_sigreturn) },
    { 0, SCMP_SYS(exit) }, { 0, SCMP_SYS(exit_group) },

    /* descriptors */
    { BASE, SCMP_SYS(readv) }, { BASE, SCMP_SYS(writev) }, { BASE, SCMP_SYS(pwrite64) },
    { BASE, SCMP_SYS(close_range) },
    { BASE, SCMP_SYS(dup2) }, { BASE, SCMP_SYS(dup3) },
    { BASE, SCMP_SYS(pipe2) }, { BASE, SCMP_SYS(memfd_create) }, { BASE, SCMP_SYS(ftruncate) },
    { BASE, SCMP_SYS(recvmsg) }, { BASE, SCMP_SYS(recvfrom) }, { BASE, SCMP_SYS(shutdown) },
    { BASE, SCMP_SYS(getsockopt) }, { BASE, SCMP_SYS(getsockname) },
    { BASE, SCMP_SYS(getpeername) },
    /* waiting, and clocks */
    { BASE, SCMP_SYS(poll) }, { BASE, SCMP_SYS(ppoll) }, { BASE, SCMP_SYS(select) },
    { BASE, SCMP_SYS(pselect6) }, { BASE, SCMP_SYS(epoll_create1) }, { BASE, SCMP_SYS(epoll_ctl) },
    { BASE, SCMP_SYS(epoll_wait) }, { BASE, SCMP_SYS(epoll_pwait) },
    { BASE, SCMP_SYS(epoll_pwait2) }, { BASE, SCMP_SYS(eventfd2) }, { BASE, SCMP_SYS(signalfd4) },
    { BASE, SCMP_SYS(nanosleep) }, { BASE, SCMP_SYS(clock_nanosleep) },
    { BASE, SCMP_SYS(clock_getres) }, { BASE, SCMP_SYS(restart_syscall) },
    { BASE, SCMP_SYS(sched_yield) },
    /* memory */
    { BASE, SCMP_SYS(mlock) }, { BASE, SCMP_SYS(mlock2) },
    { BASE, SCMP_SYS(munlock) }, { BASE, SCMP_SYS(msync) },
    /* itself */
    { BASE, SCMP_SYS(getppid) },
    { BASE, SCMP_SYS(getuid) }, { BASE, SCMP_SYS(geteuid) }, { BASE, SCMP_SYS(getgid) },
    { BASE, SCMP_SYS(getegid) }, { BASE, SCMP_SYS(getrusage) },
    { BASE, SCMP_SYS(getcpu) }, { BASE, SCMP_SYS(uname) }, { BASE, SCMP_SYS(sysinfo) },
    { BASE, SCMP_SYS(sched_getaffinity) }, { BASE, SCMP_SYS(set_robust_list) },
    { BASE, SCMP_SYS(set_tid_address) }, { BASE, SCMP_SYS(rseq) }, { BASE, SCMP_SYS(membarrier) },
    { BASE, SCMP_SYS(rt_sigpending) }, { BASE, SCMP_SYS(sigaltstack) },

    { ANY_FILES, SCMP_SYS(stat) }, { ANY_FILES, SCMP_SYS(lstat) }, { ANY_FILES, SCMP_SYS(statx) },
    { ANY_FILES, SCMP_SYS(newfstatat) }, { ANY_FILES, SCMP_SYS(access) },
    { ANY_FILES, SCMP_SYS(faccessat) }, { ANY_FILES, SCMP_SYS(faccessat2) },
    { ANY_FILES, SCMP_SYS(readlink) }, { ANY_FILES, SCMP_SYS(readlinkat) },
    { ANY_FILES, SCMP_SYS(getdents64) }, { ANY_FILES, SCMP_SYS(getcwd) },
    { ANY_FILES, SCMP_SYS(statfs) }, { ANY_FILES, SCMP_SYS(fstatfs) },
    { ANY_FILES, SCMP_SYS(fadvise64) }, { ANY_FILES, SCMP_SYS(flock) },

    { CHY_CALLS_WRITE_FILES, SCMP_SYS(open) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(openat) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(fsync) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(fdatasync) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(sync_file_range) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(fallocate) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(rename) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(renameat) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(renameat2) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(unlink) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(unlinkat) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(mkdir) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(mkdirat) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(rmdir) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(chmod) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(fchmod) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(fchmodat) },
    { CHY_CALLS_WRITE_FILES, SCMP_SYS(utimensat) }, { CHY_CALLS_WRITE_FILES, SCMP_SYS(umask) },

    { CHY_CALLS_ACCEPT, SCMP_SYS(accept) }, { CHY_CALLS_ACCEPT, SCMP_SYS(accept4) },

    { CHY_CALLS_CONNECT, SCMP_SYS(connect) }, { CHY_CALLS_CONNECT, SCMP_SYS(bind) },
    { CHY_CALLS_CONNECT, SCMP_SYS(setsockopt) },
    { CHY_CALLS_CONNECT, SCMP_SYS(sendmsg) }, { CHY_CALLS_CONNECT, SCMP_SYS(sendto) },
    { CHY_CALLS_CONNECT, SCMP_SYS(sendmmsg) }, { CHY_CALLS_CONNECT, SCMP_SYS(recvmmsg) },

    { CHY_CALLS_FORK, SCMP_SYS(fork) }, { CHY_CALLS_FORK, SCMP_SYS(wait4) },
    { CHY_CALLS_FORK, SCMP_SYS(waitid) }, { CHY_CALLS_FORK, SCMP_SYS(kill) },
    { CHY_CALLS_FORK, SCMP_SYS(tgkill) },
    { CHY_CALLS_FORK, SCMP_SYS(pidfd_open) }, { CHY_CALLS_FORK, SCMP_SYS(pidfd_send_signal) },
    { CHY_CALLS_FORK, SCMP_SYS(setsid) },

    { CHY_CALLS_EXEC, SCMP_SYS(execve) }, { CHY_CALLS_EXEC, SCMP_SYS(vfork) },
    { CHY_CALLS_EXEC, SCMP_SYS(arch_prctl) }, { CHY_CALLS_EXEC, SCMP_SYS(prlimit64) },

    { CHY_CALLS_SANDBOX, SCMP_SYS(seccomp) }, { CHY_CALLS_SANDBOX, SCMP_SYS(prctl) },
    { CHY_CALLS_SANDBOX, SCMP_SYS(prlimit64) }, { CHY_CALLS_SANDBOX, SCMP_SYS(setrlimit) },
    { CHY_CALLS_SANDBOX, SCMP_SYS(landlock_create_ruleset) },
    { CHY_CALLS_SANDBOX, SCMP_SYS(landlock_add_rule) },
    { CHY_CALLS_SANDBOX, SCMP_SYS(landlock_restrict_self) },
};

/* Answered with EACCES where they are not allowed. */
static const int refused_calls[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(statfs), SCMP_SYS(getcwd),
};
/* clang-format on */

struct filter {
    scmp_filter_ctx ctx;
    unsigned calls;
    int failed; /* the first errno of a rule */
};

static void filter_release(scmp_filter_ctx *ctx)
{
    if (*ctx != NULL)
        seccomp_release(*ctx);
    *ctx = NULL;
}

static bool has(const struct filter *f, unsigned groups)
{
    return (f->calls & groups) != 0;
}

static void rule(struct filter *f, uint32_t action, int call, unsigned count,
                 const struct scmp_arg_cmp *args)
{
    int r = seccomp_rule_add_array(f->ctx, action, call, count, args);
    /* A call that this processor does not have (open on arm64) cannot be made. */
    if (r != 0 && r != -EDOM && f->failed == 0)
        f->failed = -r;
}

static void allow(struct filter *f, int call)
{
    rule(f, SCMP_ACT_ALLOW, call, 0, NULL);
}

static void allow_if_masked(struct filter *f, int call, unsigned arg, uint64_t mask, uint64_t value)
{
    rule(f, SCMP_ACT_ALLOW, call, 1, &SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

static void allow_if_equal(struct filter *f, int call, unsigned arg, uint64_t value)
{
    rule(f, SCMP_ACT_ALLOW, call, 1, &SCMP_CMP64(arg, SCMP_CMP_EQ, value, 0));
}

static bool row_is_allowed(const struct filter *f, const struct call_row *row)
{
    return row->groups == 0 || has(f, row->groups);
}

static bool call_is_allowed(const struct filter *f, int call)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(call_rows); i++)
        if (call_rows[i].call == call && row_is_allowed(f, &call_rows[i]))
            return true;
    return false;
}

/* Reading alone: each bit of the flags that writes or makes is refused. */
static void open_to_read(struct filter *f, int call, unsigned flags_arg)
{
    static const uint64_t writing[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };
    uint64_t all = 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(writing); i++) {
        all |= writing[i];
        rule(f, SCMP_ACT_ERRNO(EACCES), call, 1,
             &SCMP_CMP64(flags_arg, SCMP_CMP_MASKED_EQ, writing[i], writing[i]));
    }
    allow_if_masked(f, call, flags_arg, all, 0);
}

static void rules_of_files(struct filter *f)
{
    bool may_read_only = has(f, CHY_CALLS_READ_FILES) && !has(f, CHY_CALLS_WRITE_FILES);
    for (size_t i = 0; i < CHY_ARRAY_LEN(refused_calls); i++) {
        int call = refused_calls[i];
        if (may_read_only && call == SCMP_SYS(open))
            open_to_read(f, call, 1);
        else if (may_read_only && call == SCMP_SYS(openat))
            open_to_read(f, call, 2);
        else if (!call_is_allowed(f, call))
            rule(f, SCMP_ACT_ERRNO(EACCES), call, 0, NULL);
    }
    if (has(f, ANY_FILES))
        return;
    /* glibc's fstat(fd) is newfstatat(fd, "", AT_EMPTY_PATH). */
    allow_if_masked(f, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
    rule(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
         &SCMP_CMP64(3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
}

static void rules_of_memory(struct filter *f)
{
    if (has(f, CHY_CALLS_DLOPEN | CHY_CALLS_EXEC)) {
        allow(f, SCMP_SYS(mmap));
        allow(f, SCMP_SYS(mprotect));
        return;
    }
    allow_if_masked(f, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
    allow_if_masked(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
}

/* clone3 has its flags in memory, where no filter sees them: the C library falls back to clone. */
static void rules_of_processes(struct filter *f)
{
    const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    if (has(f, CHY_CALLS_FORK | CHY_CALLS_THREADS))
        rule(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
    if (has(f, CHY_CALLS_FORK))
        allow_if_masked(f, SCMP_SYS(clone), 0, spaces | CLONE_THREAD, 0);
    if (has(f, CHY_CALLS_THREADS))
        allow_if_masked(f, SCMP_SYS(clone), 0, spaces | CLONE_THREAD, CLONE_THREAD);
}

/* MSG_FASTOPEN connects without connect(): a listener that is shut down first is a fresh socket, so
 * who only accepts could call out. */
static void rules_of_sending(struct filter *f)
{
    if (has(f, CHY_CALLS_CONNECT))
        return;
    allow_if_masked(f, SCMP_SYS(sendto), 3, MSG_FASTOPEN, 0);
    allow_if_masked(f, SCMP_SYS(sendmsg), 2, MSG_FASTOPEN, 0);
    if (has(f, CHY_CALLS_ACCEPT))
        rule(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
             (const struct scmp_arg_cmp[]){ SCMP_CMP64(1, SCMP_CMP_EQ, IPPROTO_TCP, 0),
                                            SCMP_CMP64(2, SCMP_CMP_EQ, TCP_NODELAY, 0) });
}

/* Not F_SETOWN and F_SETSIG: with those a descriptor that becomes ready signals another process. */
static void rules_of_descriptors(struct filter *f)
{
    static const uint64_t commands[] = {
        F_DUPFD_CLOEXEC, F_GETFD,     F_GETFL, /* all that stdio wants: of who computes only too */
        F_DUPFD,         F_SETFD,     F_SETFL,      F_GETLK,     F_SETLK,     F_SETLKW,
        F_OFD_GETLK,     F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS,
    };
    size_t n = has(f, BASE) ? CHY_ARRAY_LEN(commands) : 3;
    for (size_t i = 0; i < n; i++)
        allow_if_equal(f, SCMP_SYS(fcntl), 1, commands[i]);
}

static void rules_of_sockets(struct filter *f)
{
    static const uint64_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    if (has(f, CHY_CALLS_FORK))
        allow_if_equal(f, SCMP_SYS(socketpair), 0, AF_UNIX);
    for (size_t i = 0; has(f, CHY_CALLS_CONNECT) && i < CHY_ARRAY_LEN(families); i++)
        allow_if_equal(f, SCMP_SYS(socket), 0, families[i]);
    /* Modules of others log by syslog(3), which makes a Unix socket and copes when it gets none. */
    if (has(f, CHY_CALLS_DLOPEN) && !has(f, CHY_CALLS_CONNECT))
        rule(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
             &SCMP_CMP64(0, SCMP_CMP_EQ, AF_UNIX, 0));
}

/* abort() signals itself; nobody else. */
static void rules_of_signals(struct filter *f)
{
    if (!call_is_allowed(f, SCMP_SYS(tgkill)))
        allow_if_equal(f, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
}

static void rules_of_others(struct filter *f)
{
    static const uint64_t prctls[] = { PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE,
                                       PR_SET_PDEATHSIG };
    if (!call_is_allowed(f, SCMP_SYS(prctl)))
        for (size_t i = 0; i < CHY_ARRAY_LEN(prctls); i++)
            allow_if_equal(f, SCMP_SYS(prctl), 0, prctls[i]);
    if (!call_is_allowed(f, SCMP_SYS(prlimit64))) /* ask, never set */
        allow_if_equal(f, SCMP_SYS(prlimit64), 2, 0);
    if (has(f, CHY_CALLS_DEVICE)) {
        allow(f, SCMP_SYS(ioctl));
        return;
    }
    allow_if_equal(f, SCMP_SYS(ioctl), 1, FIONREAD);
    allow_if_equal(f, SCMP_SYS(ioctl), 1, FIONBIO);
    /* stdio asks whether it writes to a terminal. */
    rule(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, &SCMP_CMP64(1, SCMP_CMP_EQ, TCGETS, 0));
}

static enum chy_err fail_filter(const struct chy_sandbox *s, int e, struct chy_error *err)
{
    enum chy_err code = e == ENOMEM ? CHY_E_NOMEM : CHY_E_UNSUPPORTED;
    return chy_fail_sys(err, code, e, "sandbox of %s: no filter of system calls: %s", s->name,
                        chy_sys_text(e));
}

static void rules_of_base(struct filter *f)
{
    rules_of_processes(f);
    rules_of_sockets(f);
    rules_of_sending(f);
    rules_of_others(f);
}

enum chy_err chy_sandbox_seccomp_enter(const struct chy_sandbox *sandbox, struct chy_error *err)
{
    CHY_CLEANUP(filter_release) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL)
        return fail_filter(sandbox, ENOMEM, err);
    struct filter f = { .ctx = ctx, .calls = sandbox->calls | (sandbox->computes_only ? 0 : BASE) };
    for (size_t i = 0; i < CHY_ARRAY_LEN(call_rows); i++)
        if (row_is_allowed(&f, &call_rows[i]))
            allow(&f, call_rows[i].call);
    rules_of_files(&f);
    rules_of_memory(&f);
    rules_of_descriptors(&f);
    rules_of_signals(&f);
    if (!sandbox->computes_only)
        rules_of_base(&f);
    if (f.failed != 0)
        return fail_filter(sandbox, f.failed, err);
    /* A binary tree in place of a list: every call of the process passes through it. */
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r == 0)
        r = seccomp_load(ctx);
    return r == 0 ? CHY_OK : fail_filter(sandbox, -r, err);
}
