/* SPDX-License-Identifier: MIT */
/* chancery sign FILE…: what each file is, which tool signs it, and what became of it. The table of
 * tools is beside that of chancery exec: this one says which words sign a file of a kind, that one
 * what the tool gets so that it signs here. */
#pragma once

#include "cli/cli.h"
#include "cli/exec/exec.h"
#include "client/artifact.h"
#include "os/file_stamp.h"

/* How one tool signs files of some kinds. Words are templates: {file}, {out} (where the signed file
 * goes, in a folder of its own beside the place that it will have), {key}, {uri} (of the key),
 * {cert} (its certificate), {issuers} (the others of its chain), {tsa}. A word that is "{stamp}",
 * "{force}" or "{chain}" stands for the row's words of that name, or for none. Lists end with
 * NULL. */
struct sign_tool {
    const char *name; /* of the program; of --tool */
    const char *page; /* in docs/tools, of a program that may be missing */
    uint32_t kinds;   /* 1u << enum chy_format_kind */
    unsigned flags;
    const char *const *words; /* NULL: this program signs itself (own.c) */
    const char *const *stamp; /* NULL: it takes no authority for time stamps */
    const char *const *force;
    const char *const *chain;
    const char *again; /* what becomes of a signature that is there */
};

enum {
    SIGN_IN_PLACE = 1 << 0,    /* the tool changes {out}, which is a copy of {file} */
    SIGN_CERTIFICATE = 1 << 1, /* {cert}, {issuers} or {chain} is among the words */
    SIGN_DETACHED = 1 << 2,    /* the signature is a file of its own */
    SIGN_APPENDED = 1 << 3,    /* it stands behind the file's content, as the kernel has it */
};

enum sign_state {
    SIGN_WAITING, /* not begun */
    SIGN_SIGNED,
    SIGN_REFUSED,
    SIGN_FAILED,
};

/* What became of one file. */
struct sign_result {
    struct chy_str file;
    enum chy_format_kind kind;
    struct chy_str tool;
    enum sign_state state;
    struct chy_str output;
    bool was_signed; /* there was a signature before */
    struct chy_str detail;
    CHY_LIST_OF(struct chy_door_event) signatures;
};

struct sign_file {
    struct sign_result result;
    const char *path;     /* absolute, without links */
    struct chy_str name;  /* its last part */
    const char *out;      /* absolute */
    const char *aside;    /* folder beside `out` */
    const char *unplaced; /* the signed file in it */
    const struct sign_tool *tool;
    struct chy_confined_child *look; /* what it is, while that is found out; else NULL */
    struct chy_file_stamp stamp;
    unsigned mode;
    struct chy_artifact artifact;
    uint8_t sha256[CHY_HASH_BYTES];
};

/* The certificates of the key, as files in the private folder. */
struct sign_certificates {
    struct chy_key key;
    struct chy_str cert;
    struct chy_str issuers; /* empty: there are none but a root */
};

struct sign_run {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    struct chy_exec_setup setup;
    int folder_fd; /* locks the setup's folder; -1: it is not made */
    struct chy_exec_agent_options agent;
    struct sign_certificates certificates;
    struct chy_str key;
    struct chy_str tsa;      /* URL; empty: no time stamps */
    struct chy_str receipts; /* folder; empty: none are kept */
    bool has_type;
    enum chy_format_kind type; /* of --type */
    size_t jobs;
    struct sign_file *files;
    size_t n;
    size_t n_done;
    bool shows_progress;
};

/* --- tools.c: pure --- */

extern const struct sign_tool sign_tools[];
extern const size_t sign_tools_n;

/* The first row for the kind whose program is_there() says is installed; with a name that row
 * alone. Errors: CHY_E_NOT_FOUND no row, or its program is not installed; the text names both */
CHY_MUST_USE enum chy_err sign_tool_choose(enum chy_format_kind kind, struct chy_str name,
                                           bool (*is_there)(void *ctx, const char *program),
                                           void *ctx, const struct sign_tool **ret_tool,
                                           struct chy_error *err);
/* The words for a file, in the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err sign_tool_words(const struct sign_run *run, const struct sign_file *f,
                                          struct chy_arena *arena, struct chy_strs *ret_words,
                                          struct chy_error *err);

/* --- inputs.c --- */

/* Read the files of the command line: what each is, its tool, where it goes. What is wrong with one
 * file is its result. Errors: CHY_E_ARG files that get in each other's way; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err sign_inputs_read(struct sign_run *run, struct chy_error *err);
/* The file waits for a signature that is told with a time: by a time stamp, if there is one. */
bool sign_takes_stamp(const struct sign_file *f);
/* The key's certificates, asked of the server and, unless this is a dry run, written into the
 * folder. Outside of their time the files that they are of no use to have failed then.
 * Errors: what the server says; CHY_E_STATE there is none; CHY_E_MALFORMED it is no certificate;
 * CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err sign_certificates_read(struct sign_run *run, struct chy_error *err);
/* The digest of a file and what else is told of it. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err sign_file_hash(struct sign_file *f, struct chy_error *err);

/* --- run.c, own.c --- */

/* Run the tools, up to `jobs` at once. Each file that was waiting has a result then, but those of
 * this program. Errors: CHY_E_NOMEM, CHY_E_IO; of the agent */
CHY_MUST_USE enum chy_err sign_run_tools(struct sign_run *run, struct chy_error *err);
/* Make the names of the signed files outlive a power cut, once for each folder; what is in them is
 * durable already. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err sign_folders_sync(struct sign_run *run, struct chy_error *err);
/* Those that this program signs: many digests in a call. */
CHY_MUST_USE enum chy_err sign_run_own(struct sign_run *run, struct chy_error *err);
/* Errors: CHY_E_CONFLICT the file that was signed has changed meanwhile; CHY_E_IO */
CHY_MUST_USE enum chy_err sign_file_check_same(const struct sign_file *f, struct chy_error *err);
/* Put the signed file in its place, unless the file that was signed has changed meanwhile.
 * Errors: CHY_E_CONFLICT it has; CHY_E_IO */
CHY_MUST_USE enum chy_err sign_file_place(const struct sign_file *f, struct chy_error *err);

/* --- report.c --- */

extern const struct chy_schema sign_report_schema;

/* The error that a refused signature is: its problem's code, with its detail. */
enum chy_err sign_refusal(const struct chy_door_event *refused, struct chy_error *err);
/* Refused if a signature was, and the error is of that kind; else failed. */
void sign_file_fail(struct sign_file *f, struct chy_arena *arena, const struct chy_error *why);
void sign_file_done(struct sign_run *run, struct sign_file *f);
/* What still waits was not begun, since a signal ended the run; 0: none did. */
void sign_tell_interrupted(struct sign_run *run, int signal_number);
/* Lines and a summary on standard error, or one document; answers the exit code. */
int sign_report(struct sign_run *run);
int sign_dry_run(struct sign_run *run);

/* --- raw.c --- */

int chy_cli_run_sign_raw(struct chy_cli *cli, const struct chy_cli_args *args);
