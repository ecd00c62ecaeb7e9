/* SPDX-License-Identifier: MIT */
/* The command line of chancery-gpgsm, which is gpgsm's as far as git needs it: a table, from which
 * --help comes, too. Pure. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

enum chy_gpgsm_command {
    CHY_GPGSM_NOTHING = 0,
    CHY_GPGSM_SIGN,
    CHY_GPGSM_VERIFY,
    CHY_GPGSM_VERSION,
    CHY_GPGSM_HELP,
};

struct chy_gpgsm_options {
    enum chy_gpgsm_command command;
    bool is_detached;
    bool is_armored;
    struct chy_str local_user; /* name of the key */
    struct chy_str status_fd;
    struct chy_str words[2]; /* --verify: the signature and the data; else the data */
    size_t n_words;
};

/* What the words say, borrowed from them.
 * Errors: CHY_E_ARG  an option that is not in the table, one without its value, two commands, more
 * than two words */
CHY_MUST_USE enum chy_err chy_gpgsm_options_read(int argc, char *const *argv,
                                                 struct chy_gpgsm_options *ret_options,
                                                 struct chy_error *err);
/* A line for each option. */
void chy_gpgsm_options_help(struct chy_buf *out);
