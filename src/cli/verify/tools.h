/* SPDX-License-Identifier: MIT */
/* Other people's verifiers: how one is run, and the files that they are given. Private to
 * verify_tools*.c and what stands in their table. */
#pragma once

#include "base/buf.h"
#include "cli/verify/verify.h"

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
    int lock_fd;    /* on `dir`: what a killed one leaves, the next one removes */
    uint64_t files; /* for which there was a folder, to name the next */
};

/* What they are given for one file, below `dir`. */
struct verify_folder {
    struct chy_str path;
    struct chy_str copy; /* of the file; empty: not yet */
    uint64_t names;      /* taken, to name the next */
};

/* A tool at work for one file. */
struct verify_tool_run {
    struct verify_file *f;
    struct verify_tools *tools;
    const char *program;
    struct chy_buf said; /* on both outputs */
};

/* Run it; true if it ended with exit code 0. When it could not be run at all that is said, and
 * `ret_was_run` is false. `words` ends with NULL; the first is the program. `stdin_fd` is read from
 * its start; -1: it has none. */
bool verify_tool_exec(struct verify_tool_run *run, const char *const *words, int stdin_fd,
                      bool *ret_was_run);
/* Whether it said this. */
bool verify_tool_said(const struct verify_tool_run *run, const char *text);
/* What stands behind `text` up to the end of the line; empty when it did not say that. */
struct chy_str verify_tool_value(const struct verify_tool_run *run, const char *text);
/* The file is not good: with the last line that the tool said. */
void verify_tool_refused(struct verify_tool_run *run);

/* A tool that could not be given what it needs. */
void verify_tool_unready(struct verify_tool_run *run, enum chy_err r, const struct chy_error *why);
/* Its last word, made once the tool had no complaint. */
void verify_tool_good(struct verify_tool_run *run);

/* The folder of all, made with the first tool, and that of the file. Errors: CHY_E_IO, CHY_E_NOMEM,
 * CHY_E_CRYPTO */
enum chy_err verify_tools_ready(struct verify_file *f, struct chy_error *err);
/* The file is a private copy from here on, which no tool opens by a name that is somebody else's:
 * else that would put another file there between two looks. Once; the kind must be the same.
 * Errors: CHY_E_STATE it changed meanwhile; CHY_E_LIMIT over CHY_LIMIT_VERIFY_COPY; CHY_E_IO,
 *         CHY_E_NOMEM, and those of chy_artifact_inspect() */
enum chy_err verify_copy_make(struct verify_file *f, struct chy_error *err);

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

/* The path of the file's copy, as a tool is given it. */
const char *verify_tool_file(const struct verify_tool_run *run);
/* The path of a file with the signature beside it, as we have read that. NULL: why not is said. */
const char *verify_tool_beside(struct verify_tool_run *run);

/* --- each says what its tool found --- */

/* osslsigncode.c */
void verify_run_osslsigncode(struct verify_tool_run *run);
/* java.c */
void verify_run_jarsigner(struct verify_tool_run *run);
void verify_run_apksigner(struct verify_tool_run *run);
/* pgp.c */
void verify_run_rpmkeys(struct verify_tool_run *run);
void verify_run_gpgv(struct verify_tool_run *run);
void verify_run_gpgv_text(struct verify_tool_run *run);
void verify_run_deb(struct verify_tool_run *run);
/* sshsig.c */
void verify_run_ssh(struct verify_tool_run *run);
/* fit.c */
void verify_run_fit(struct verify_tool_run *run);
/* xml.c */
void verify_run_xmlsec(struct verify_tool_run *run);
