/* SPDX-License-Identifier: MIT */
/* The command line of chanceryd as one table: parsing, --help and the manual page's check come from
 * it. Private to this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/err.h"

#define CHY_OPTION_NAMES_MAX \
    16 /* of --name and --listen: a certificate's names, a server's addresses */

struct option_list {
    const char *p[CHY_OPTION_NAMES_MAX];
    size_t n;
};

struct options {
    const char *config;
    const char *data;
    const char *to;
    const char *from;
    struct option_list listen;
    struct option_list names;
    bool accept_older_store;
    bool json;
};

struct command {
    const char *name; /* NULL: without a word, it is the server */
    int (*run)(const struct options *options);
    const char *usage;
    const char *help;
    unsigned takes;     /* flags of enum option_flag */
    unsigned takes_one; /* of these exactly one must be given */
    unsigned needs;     /* and all of these */
};

enum option_flag {
    OPTION_CONFIG = 1 << 0,
    OPTION_DATA = 1 << 1,
    OPTION_TO = 1 << 2,
    OPTION_FROM = 1 << 3,
    OPTION_LISTEN = 1 << 4,
    OPTION_NAME = 1 << 5,
    OPTION_ACCEPT_OLDER_STORE = 1 << 6,
    OPTION_JSON = 1 << 7,
};

/* `args` begins behind the program's name. ret_options borrows from it.
 * Errors: CHY_E_ARG with what is wrong; the text is fit for the user */
CHY_MUST_USE enum chy_err options_parse(const struct command *commands, size_t command_count,
                                        const char *const *args, size_t arg_count,
                                        const struct command **ret_command,
                                        struct options *ret_options, struct chy_error *err);
void options_help(const struct command *commands, size_t command_count, FILE *out);
