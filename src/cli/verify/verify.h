/* SPDX-License-Identifier: MIT */
/* chancery verify: what is told of each file, and the parts that find it out. One run; not
 * shared. */
#pragma once

#include "cli/cli.h"
#include "client/trust.h"
#include "client/verify.h"
#include "format/format.h"
#include "os/file_stamp.h"
#include "os/process.h"
#include "proto/entry.h"

enum verify_verdict {
    VERIFY_GOOD = 1,
    VERIFY_BAD,      /* a signature, or what is required of it, is not good */
    VERIFY_UNSIGNED, /* there is no signature */
    VERIFY_UNKNOWN,  /* it cannot be told: no tool, no right, no time */
};

/* The log's entry of the signature. */
struct verify_log {
    uint64_t index;
    int64_t time_us;
    struct chy_str principal;
    struct chy_str key;
    struct chy_str proof; /* "receipt": offline, by the log's key; "server": it gave one that is
                           * good */
    struct chy_str receipt_file;
};

struct verify_row {
    struct chy_str file;
    struct chy_str kind;
    enum verify_verdict verdict;
    struct chy_str detail;
    struct chy_strs verifiers; /* "chancery", "jarsigner" */
    CHY_LIST_OF(struct chy_verify_signer) signers;
    bool is_logged;
    const struct verify_log *log;
    struct chy_str log_detail; /* why it is not known to be in the log */
};

struct verify_counts {
    uint64_t verified;
    uint64_t not_verified;
    uint64_t unsigned_files;
    uint64_t cannot_tell;
};

extern const struct chy_enum verify_verdict_enum;
extern const struct chy_schema verify_row_schema;

struct verify_tools; /* what tools need, made once */

struct verify_receipt {
    struct chy_str file;
    struct chy_entry entry;
    uint64_t index;
};

struct verify {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    struct chy_trust *trust;
    int64_t now_us;
    struct verify_row *rows; /* CHY_LIMIT_VERIFY_FILES of them */
    size_t n_rows;
    struct verify_counts counts;
    bool skips_unsigned;
    struct verify_receipt *receipts; /* of --receipts, that are good */
    size_t n_receipts;
    size_t bad_receipts;
    int parent_fd;    /* of the file that is looked at, in a folder that is walked; */
    const char *name; /* its name there; NULL: it was named itself */
    bool is_offline;
    struct chy_str server_trouble; /* why the server is asked no more */
    struct verify_tools *tools;
};

/* --- file.c --- */

/* One file, with the signatures beside it: a row more. Errors: CHY_E_NOMEM, CHY_E_LIMIT, and what
 * ends the whole run */
CHY_MUST_USE enum chy_err verify_path(struct verify *v, struct chy_str path, struct chy_error *err);
/* Whether this is the name of something that belongs to another file, whose name is the front of
 * it. */
bool verify_is_beside(struct chy_str path, struct chy_str *ret_base);

/* What is known of one file while it is looked at. */
struct verify_file {
    struct verify *v;
    struct chy_arena *arena; /* of this file alone */
    struct chy_str path;
    int fd; /* what is looked at: the file, then a copy that nobody can change */
    uint64_t size_bytes;
    int opened_fd; /* the file, once `fd` is its copy; else -1 */
    struct chy_file_stamp opened;
    struct verify_folder *folder; /* with the copy and the like; NULL until a tool is run */
    struct chy_format_facts facts;
    struct verify_row row;
    bool is_signed;
    struct chy_bytes beside; /* the signature that a tool is to look at, if it is beside */
    struct chy_verify_signer signers[CHY_LIMIT_VERIFY_SIGNERS];
    size_t n_signers;
    struct chy_verify_signer made[CHY_LIMIT_VERIFY_SIGNERS]; /* what was signed, of tools */
    size_t n_made;
    struct chy_bytes certificate; /* of chy_verify_found */
    struct chy_str verifiers[8];
};

/* Whether it may be told as it is: text in one line, of at most CHY_LIMIT_PATH bytes. */
bool verify_is_name(struct chy_str path);
/* A verdict of one verifier: the worst of all counts. Text is kept in the file's arena. */
CHY_PRINTF(4, 5)
void verify_say(struct verify_file *f, enum verify_verdict verdict, const char *verifier,
                const char *fmt, ...);
/* The same of an error of ours. */
void verify_say_error(struct verify_file *f, enum chy_err r, const char *verifier,
                      const struct chy_error *why);
struct chy_verify_signer *verify_add_signer(struct verify_file *f);

/* --- own.c --- */

/* Our own verification; adds its signers. */
void verify_own(struct verify_file *f, enum chy_verify_form form, struct chy_bytes signature);
/* What was signed, of what a tool has verified: the tool's signers begin at `first`. */
void verify_learn(struct verify_file *f, enum chy_verify_form form, struct chy_bytes signature,
                  size_t first);
/* SHA-256 of the file. Errors: as chy_verify_file() */
CHY_MUST_USE enum chy_err verify_file_digest(struct verify_file *f, struct chy_bytes *ret_digest,
                                             struct chy_error *err);

/* --- copy.c --- */

/* The whole file, for one that is small. Errors: CHY_E_LIMIT, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err verify_content(const struct verify_file *f, struct chy_buf *to,
                                         struct chy_error *err);
/* At the end: it is said if the path has another file by now, or the file another content. */
void verify_still_there(struct verify_file *f);
/* The folder of one file, with all that is in it. */
void verify_folder_free(struct verify_file *f);

/* --- tools.c --- */

enum verify_tool_id {
    VERIFY_TOOL_NONE,
    VERIFY_TOOL_OSSLSIGNCODE,
    VERIFY_TOOL_JARSIGNER,
    VERIFY_TOOL_APKSIGNER,
    VERIFY_TOOL_RPMKEYS,
    VERIFY_TOOL_DEB,
    VERIFY_TOOL_GPGV,
    VERIFY_TOOL_GPGV_TEXT, /* clear-signed */
    VERIFY_TOOL_SSH,
    VERIFY_TOOL_FIT,
    VERIFY_TOOL_XMLSEC,
};
/* Have the tool look at the file and say what it found. */
void verify_by_tool(struct verify_file *f, enum verify_tool_id id);
void verify_tools_free(struct verify_tools *t);

/* --- receipt.c --- */

/* Those of --receipts. Errors: of reading the folder; CHY_E_NOMEM, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err verify_receipts_load(struct verify *v, struct chy_error *err);
/* A receipt that is no file's: what it proves. */
void verify_receipt_alone(struct verify_file *f);

/* --- log.c --- */

/* Find the signatures of the file in the log. */
void verify_find_in_log(struct verify_file *f);

/* --- report.c --- */

void verify_print_row(FILE *out, const struct verify_row *row);
void verify_print_counts(FILE *out, const struct verify_counts *counts);
CHY_MUST_USE enum chy_err verify_print_json(struct verify *v, struct chy_error *err);
