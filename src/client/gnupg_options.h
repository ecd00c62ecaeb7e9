/* SPDX-License-Identifier: MIT */
/* The command line of a program that stands for one of GnuPG's: a table of its own, from which
 * --help comes, too, and the reader of all of them. Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/schema.h"

enum chy_gnupg_command {
    CHY_GNUPG_NOTHING = 0,
    CHY_GNUPG_SIGN, /* --sign: the data and its signature in one */
    CHY_GNUPG_DETACH_SIGN,
    CHY_GNUPG_CLEAR_SIGN,
    CHY_GNUPG_VERIFY,
    CHY_GNUPG_EXPORT,
    CHY_GNUPG_IMPORT,
    CHY_GNUPG_LIST_KEYS,
    CHY_GNUPG_LIST_SECRET_KEYS,
    CHY_GNUPG_QUICK_CERTIFY,
    CHY_GNUPG_VERSION,
    CHY_GNUPG_HELP,
    CHY_GNUPG_HAND_OVER, /* to the real program, with all words as they are */
};

struct chy_gnupg_options {
    enum chy_gnupg_command command;
    bool is_armored;
    bool is_text; /* --textmode */
    bool is_yes;
    bool is_quiet;
    bool is_verbose;
    bool is_colons;
    struct chy_str local_user;
    struct chy_str default_key;
    struct chy_str output;
    struct chy_str digest_algo;
    struct chy_str status_fd;
    struct chy_strs words; /* what is no option */
};

enum chy_gnupg_action {
    CHY_GNUPG_COMMAND,
    CHY_GNUPG_FLAG,
    CHY_GNUPG_TEXT,          /* takes a value */
    CHY_GNUPG_PASSED_OVER,   /* of no meaning here, and no harm */
    CHY_GNUPG_PASSED_OVER_2, /* likewise, with its value */
};

struct chy_gnupg_row {
    const char *name;
    char letter; /* 0: none */
    enum chy_gnupg_action action;
    enum chy_gnupg_command command; /* of a command */
    size_t at;                      /* of a flag or text: in struct chy_gnupg_options */
    bool is_off;                    /* a flag is set to false */
    const char *help;               /* NULL: not shown */
};

struct chy_gnupg_table {
    const char *program; /* "chancery-gpg" */
    const char *other;   /* that it stands for: "gpg" */
    const struct chy_gnupg_row *rows;
    size_t n;
};

#define CHY_GNUPG_AT(member) offsetof(struct chy_gnupg_options, member)
/* Rows: name, letter, what, help. */
#define CHY_GNUPG_CMD(n, l, c, h)                                                            \
    {                                                                                        \
        .name = (n), .letter = (l), .action = CHY_GNUPG_COMMAND, .command = (c), .help = (h) \
    }
#define CHY_GNUPG_SET(n, l, m, h)                                                                \
    {                                                                                            \
        .name = (n), .letter = (l), .action = CHY_GNUPG_FLAG, .at = CHY_GNUPG_AT(m), .help = (h) \
    }
#define CHY_GNUPG_VALUE(n, l, m, h)                                                              \
    {                                                                                            \
        .name = (n), .letter = (l), .action = CHY_GNUPG_TEXT, .at = CHY_GNUPG_AT(m), .help = (h) \
    }

/* What the words say; all of it borrows from them and from the arena. `-b` and `-s` go together; of
 * other commands there is one. What is handed over may have any options.
 * Errors: CHY_E_ARG          an option without its value, two commands
 *         CHY_E_UNSUPPORTED  an option that is not in the table; two keys
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_gnupg_options_read(const struct chy_gnupg_table *table, int argc,
                                                 char *const *argv, struct chy_arena *arena,
                                                 struct chy_gnupg_options *ret_options,
                                                 struct chy_error *err);
/* "--sign, -s" and what it does, a line for each option that does something here. */
void chy_gnupg_options_help(const struct chy_gnupg_table *table, struct chy_buf *out);
