/* SPDX-License-Identifier: MIT */
/* Child processes: the program again in another role, or a fork of this very process. A child dies
 * with its parent (PR_SET_PDEATHSIG) and is watched by a pidfd, so that no number is ever mistaken
 * for another process. Call from a process with one thread. Not shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

/* Where a role finds its descriptors: the channel first, then the others in the order of the
 * spec. */
#define CHY_PROCESS_FIRST_FD 3
#define CHY_PROCESS_FDS_MAX  32

struct chy_process {
    pid_t pid;
    int pidfd; /* readable once the process has ended; owned */
};

struct chy_process_spec {
    const char *role;            /* "@front": argv is {"chanceryd", role} */
    const char *program;         /* NULL: /proc/self/exe, the very file that runs now */
    const int *fds;              /* become 3, 4, ...; stay the caller's */
    size_t fd_count;             /* up to CHY_PROCESS_FDS_MAX */
    bool is_silent;              /* standard output and error go to /dev/null */
    const char *const *env_keep; /* names of variables to hand on, up to NULL; NULL: none */
};

/* Start a role. It has an empty environment but for env_keep, standard input from /dev/null, our
 * standard output and error unless it is silent, the descriptors of the spec and no others, a
 * session of its own (a terminal's ^C is for the parent alone), and default signals, none blocked,
 * SIGPIPE ignored.
 * Errors: CHY_E_ARG       too many descriptors
 *         CHY_E_NOT_FOUND no such program (and what else exec said, by errno, as CHY_E_IO)
 *         CHY_E_NOMEM, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_process_spawn(const struct chy_process_spec *spec,
                                            struct chy_process *ret_process, struct chy_error *err);

/* Fork. In the child *ret_is_child is true, `ret_process` untouched; it must end by _exit(). */
CHY_MUST_USE enum chy_err chy_process_fork(struct chy_process *ret_process, bool *ret_is_child,
                                           struct chy_error *err);

/* In a role, first of all: check that descriptors 3 to 3 + fd_count - 1 are open, keep them from
 * other programs, and ignore SIGPIPE. Errors: CHY_E_STATE one is not open: not started by the
 * supervisor */
CHY_MUST_USE enum chy_err chy_process_inherit(size_t fd_count, struct chy_error *err);
void chy_process_ignore_sigpipe(void);
/* No other process may look into our memory from now on, and no core is written. Nor may it see
 * which program we are: an agent that is to state that could not. */
void chy_process_hide_memory(void);

/* A process that has ended already is no error. */
CHY_MUST_USE enum chy_err chy_process_signal(const struct chy_process *process, int signal_number,
                                             struct chy_error *err);

/* Go on as a process of its own: in a new session, nobody's child, with no descriptors but 0 to 2
 * and `keep_fd` (which must be 3). The caller's process ends with exit code 0; what returns is the
 * new one. On failure the old one may return instead.
 * Errors: CHY_E_ARG another descriptor; CHY_E_STATE it is not open; CHY_E_BUSY, CHY_E_NOMEM,
 * CHY_E_IO */
CHY_MUST_USE enum chy_err chy_process_detach(int keep_fd, struct chy_error *err);
/* End now, with nothing tidied up: for a process whose threads hang. */
CHY_NORETURN void chy_process_leave(int code);

struct chy_process_end {
    bool was_signal;
    int value; /* exit code, or the number of the signal */
};

/* Collect the end of a child: wait until `deadline_us` (0: look only). Once collected, `process` is
 * {-1, -1}. Errors: CHY_E_TIMEOUT it runs still, or whoever traces it has not collected it yet;
 * CHY_E_IO not our child */
CHY_MUST_USE enum chy_err chy_process_wait(struct chy_process *process, int64_t deadline_us,
                                           struct chy_process_end *ret_end, struct chy_error *err);
/* Kill, collect and forget; for clean-up. {-1, -1} is a no-op. */
void chy_process_endp(struct chy_process *process);

#define CHY_PROCESS_END_TEXT_BYTES 64
/* "exited with 3", "was killed by SIGSYS (Bad system call)". */
void chy_process_end_text(struct chy_process_end end, char ret_text[CHY_PROCESS_END_TEXT_BYTES]);
