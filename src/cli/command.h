/* SPDX-License-Identifier: MIT */
/* The table of commands. Help, the man page, shell completion and the reading of the command line
 * come from it; so do most commands themselves: a row names the operation it calls, its options
 * name fields of that operation's request, its view says which fields of the response are shown. */
#pragma once

#include "base/bytes.h"
#include "proto/ops.h"

struct chy_cli;
struct chy_cli_args;
struct chy_cli_view;

enum {
    CHY_CLI_POSITIONAL = 1 << 0,
    CHY_CLI_REQUIRED = 1 << 1,
    CHY_CLI_REPEATED = 1 << 2,
    CHY_CLI_CONTENT =
        1 << 3,            /* the value names a file, "-" standard input; its text is the field's */
    CHY_CLI_FILE = 1 << 4, /* the value names a file (for completion) */
    CHY_CLI_GLOBAL = 1 << 5, /* of every command */
};

struct chy_cli_option {
    const char *name;  /* "type"; of a positional what stands in its place: "NAME" */
    const char *arg;   /* what stands for the value: "TYPE"; NULL: a switch */
    const char *field; /* of the request; NULL: the command's own code reads it */
    unsigned flags;
    const char *help;              /* NULL: the field's */
    const struct chy_enum *values; /* of what the command's own code reads; NULL: any */
};

struct chy_cli_command {
    const char *noun;
    const char *verb; /* NULL: the noun alone is the command */
    const char *summary;
    const char *details; /* for the man page; may be NULL */
    const struct chy_cli_option *options;
    size_t n_options;
    enum chy_op op; /* 0: none, or more than one */
    const struct chy_cli_view *view;
    /* Does it, answers the exit code. */
    int (*run)(struct chy_cli *cli, const struct chy_cli_args *args);
};

extern const struct chy_cli_command chy_cli_commands[];
extern const size_t chy_cli_commands_n;
extern const struct chy_cli_option chy_cli_globals[];
extern const size_t chy_cli_globals_n;

/* NULL when there is none. A noun that stands alone is found with any verb. */
const struct chy_cli_command *chy_cli_find(struct chy_str noun, struct chy_str verb);
/* The field that an option fills; NULL when its command reads it. */
const struct chy_field *chy_cli_option_field(const struct chy_cli_command *command,
                                             const struct chy_cli_option *option);
/* What help says of an option, and the names it takes (NULL: any). */
const char *chy_cli_option_help(const struct chy_cli_command *command,
                                const struct chy_cli_option *option);
const struct chy_enum *chy_cli_option_values(const struct chy_cli_command *command,
                                             const struct chy_cli_option *option);
