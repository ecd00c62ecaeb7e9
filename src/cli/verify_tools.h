/* SPDX-License-Identifier: MIT */
/* Other people's verifiers: how one is run, and the files that they are given. Private to
 * verify_tools*.c. */
#pragma once

#include "base/buf.h"
#include "cli/verify.h"

/* A command's words, of type const char *const *. */
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* What tools are given, made once in a private folder; each path is empty until then. */
struct verify_tools {
    struct chy_str dir;
    struct chy_str roots;       /* PEM */
    struct chy_str stamp_roots; /* likewise */
    struct chy_str keystore;    /* of Java, with both */
    struct chy_str rpmdb;       /* a folder */
    struct chy_str keyring;     /* OpenPGP keys in binary */
    struct chy_str signers;     /* of SSH */
    const char *const *env;
    uint64_t files; /* made for single files, to name the next */
};

/* A tool at work for one file. */
struct verify_tool_run {
    struct verify_file *f;
    struct verify_tools *tools;
    const char *program;
    struct chy_buf said; /* on both outputs */
};

/* Run it; true if it ended with exit code 0. When it could not be run at all that is said, and
 * `ret_was_run` is false. `words` ends with NULL; the first is the program. */
bool verify_tool_exec(struct verify_tool_run *run, const char *const *words, int stdin_fd,
                      bool *ret_was_run);
/* Whether it said this. */
bool verify_tool_said(const struct verify_tool_run *run, const char *text);
/* What stands behind `text` up to the end of the line; empty when it did not say that. */
struct chy_str verify_tool_value(const struct verify_tool_run *run, const char *text);
/* The file is not good: with the last line that the tool said. */
void verify_tool_refused(struct verify_tool_run *run);

/* The folder, made with the first tool. Errors: CHY_E_IO, CHY_E_NOMEM, CHY_E_CRYPTO */
enum chy_err verify_tools_ready(struct verify *v, struct verify_tools **ret_tools,
                                struct chy_error *err);

/* The files; each makes its own once. Errors: CHY_E_STATE the trust file has nothing for them;
 * CHY_E_IO, CHY_E_NOMEM, CHY_E_MALFORMED */
enum chy_err verify_make_roots(struct verify_tool_run *run, struct chy_error *err);
enum chy_err verify_make_keystore(struct verify_tool_run *run, struct chy_error *err);
enum chy_err verify_make_rpmdb(struct verify_tool_run *run, struct chy_error *err);
enum chy_err verify_make_keyring(struct verify_tool_run *run, struct chy_error *err);
enum chy_err verify_make_ssh_signers(struct verify_tool_run *run, struct chy_error *err);
/* A file of this content, or one that is not there yet, for this file alone. */
enum chy_err verify_make_file(struct verify_tool_run *run, struct chy_bytes content,
                              struct chy_str *ret_path, struct chy_error *err);
enum chy_err verify_make_name(struct verify_tool_run *run, struct chy_str *ret_path,
                              struct chy_error *err);

/* How a path is given to a tool: what begins with '-' is no option. NULL: no memory. */
const char *verify_tool_path(struct verify_tool_run *run, struct chy_str path);

/* --- verify_fit.c --- */

void verify_run_fit(struct verify_tool_run *run);
