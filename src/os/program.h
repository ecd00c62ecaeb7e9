/* SPDX-License-Identifier: MIT */
/* Somebody else's program, run as a shell would run it: in our session and process group, at our
 * terminal, with our descriptors (those that are closed on exec excepted). For a program of our
 * own see process.h. Call from a process with one thread. Not shared. */
#pragma once

#include "os/process.h"

#define CHY_PROGRAM_KEPT 2

struct chy_program {
    const char *const *argv; /* as `env` it ends with NULL */
    const char *const *env;
    /* Descriptors of ours that are closed on exec, and by this program alone are not: what it must
     * hold as long as it runs, such as a lock. The first `n_kept` of them. */
    int kept[CHY_PROGRAM_KEPT];
    size_t n_kept;
};

/* Start `argv[0]`, which is looked for in PATH when it has no slash, with `env`, SIGPIPE
 * as usual and no signal blocked.
 * Errors: CHY_E_NOT_FOUND there is no such program; CHY_E_IO it cannot be run; CHY_E_NOMEM,
 *         CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_program_start(const struct chy_program *program,
                                            struct chy_process *ret_process, struct chy_error *err);

/* The same, with /dev/null as standard input, and `output_fd` (which stays the caller's) as
 * standard output and error: for programs that run side by side and must not ask. */
CHY_MUST_USE enum chy_err chy_program_start_quiet(const struct chy_program *program, int output_fd,
                                                  struct chy_process *ret_process,
                                                  struct chy_error *err);

/* Become that program: same process, same descriptors. Returns only on failure.
 * Errors: CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_program_become(const char *path, char *const *argv,
                                             struct chy_error *err);

/* Whether a signal of the keyboard (SIGINT, SIGQUIT) reaches the program without our help: our
 * process group is the one in front at the terminal of a standard descriptor. */
bool chy_program_has_keyboard(void);

/* Whether there is a program of this name in the folders of `path` (as PATH), or at it when it has
 * a slash. The first such file's path is in `ret_path` (CHY_LIMIT_PATH bytes). */
bool chy_program_find(const char *path, const char *name, char *ret_path);

/* Load a shared library and look a symbol up in it, in a child, whose address space it may
 * spoil. Errors: CHY_E_NOT_FOUND it is not there, or not loaded, or lacks the symbol; the text says
 *         what the loader said; CHY_E_TIMEOUT after 10 s; CHY_E_IO, CHY_E_BUSY */
CHY_MUST_USE enum chy_err chy_library_probe(const char *path, const char *symbol,
                                            struct chy_error *err);
