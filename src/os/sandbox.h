/* SPDX-License-Identifier: MIT */
/* What a process may do for the rest of its life, declared as data and entered once, after
 * everything was opened. Steps, in order: limits; own user (when started as root); no_new_privs; no
 * core dump, no tracing; Landlock; seccomp. The first step that fails ends it with an error, and
 * the process must
 * then end: it may be half way in. Call with one thread.
 *
 * A loose build (-DCHY_SANDBOX_LOOSE=1, for sanitizers, valgrind and coverage) leaves out what
 * breaks those: seccomp, Landlock's rules for files, the memory limit, and the ban on tracing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Rights to a path and all below it. */
#define CHY_PATH_READ  (1u << 0) /* files and lists of folders */
#define CHY_PATH_WRITE (1u << 1) /* write, make, remove, rename; ioctl on a device */
#define CHY_PATH_EXEC  (1u << 2)

struct chy_sandbox_path {
    const char *path;
    unsigned rights;
    bool is_optional; /* left out when it does not exist */
};

/* Groups of system calls beyond the base set. The base set computes, allocates (never executable
 * memory), uses descriptors it has, waits, reads clocks, makes pipes, and exits. Opening a file or
 * looking at one by path answers EACCES unless a group allows it; anything else not allowed kills
 * the process by SIGSYS. */
#define CHY_CALLS_READ_FILES (1u << 0) /* open for reading, stat, list folders */
#define CHY_CALLS_WRITE_FILES \
    (1u << 1)                       /* the same and open for writing, rename, remove, sync, lock */
#define CHY_CALLS_ACCEPT  (1u << 2) /* accept connections, socket options */
#define CHY_CALLS_CONNECT (1u << 3) /* make sockets (Unix, IPv4, IPv6, netlink) and connect them */
#define CHY_CALLS_FORK    (1u << 4) /* fork, wait, signal children, socket pairs, pidfds */
#define CHY_CALLS_THREADS (1u << 5) /* start threads */
#define CHY_CALLS_DLOPEN  (1u << 6) /* map executable memory; wants CHY_CALLS_READ_FILES as well */
#define CHY_CALLS_EXEC    (1u << 7) /* start programs */
#define CHY_CALLS_DEVICE  (1u << 8) /* any ioctl: HSM and TPM devices */
#define CHY_CALLS_SANDBOX (1u << 9) /* enter a stricter sandbox: for who forks and then does */

struct chy_sandbox {
    const char *name; /* "inspect", for messages */
    const char *user; /* NULL: stay who we are; looked at only when started as root */
    const uint32_t *supplementary_gids; /* groups kept or added beside the user's own */
    size_t supplementary_gid_count;
    uint64_t max_files;        /* RLIMIT_NOFILE; 0: as it is */
    uint64_t max_memory_bytes; /* RLIMIT_AS; 0: as it is */
    bool limits_files;         /* Landlock: nothing but `paths` */
    const struct chy_sandbox_path *paths;
    size_t path_count;
    bool may_bind_tcp; /* Landlock, where the kernel can tell (ABI 4) */
    bool may_connect_tcp;
    bool may_use_abstract_sockets; /* Landlock (ABI 6): other processes' abstract Unix sockets */
    bool limits_calls;             /* seccomp: the base set and `calls` */
    unsigned calls;
    /* No more than it takes to compute over descriptors that are there, and to answer: a third of
     * the base set, made in a third of the time. For a process that lives for one question. */
    bool computes_only;
};

/* What was applied: for the log, and for `chancery doctor`. */
struct chy_sandbox_result {
    bool is_loose;
    bool has_changed_user;
    int landlock_abi; /* 0: the kernel has none, or it is off */
    bool limits_files;
    bool limits_tcp;
    bool limits_scope; /* signals and abstract sockets stay within the sandbox */
    bool limits_calls;
};

/* Errors: CHY_E_NOT_FOUND no such user, or a path that is not optional does not exist
 *         CHY_E_ARG       the user is root; groups or limits that make no sense
 *         CHY_E_UNSUPPORTED seccomp is not there (a missing Landlock is only told in the result)
 *         CHY_E_INTEGRITY rights that were dropped could be taken back
 *         CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_sandbox_enter(const struct chy_sandbox *sandbox,
                                            struct chy_sandbox_result *ret_result,
                                            struct chy_error *err);

bool chy_sandbox_is_loose(void);
