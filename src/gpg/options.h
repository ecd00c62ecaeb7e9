/* SPDX-License-Identifier: MIT */
/* The command line of chancery-gpg, which is gpg's as far as signing needs it: a table, from which
 * --help comes, too. Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/schema.h"

enum chy_gpg_command {
    CHY_GPG_NOTHING = 0,
    CHY_GPG_SIGN, /* --sign: the data and its signature in one */
    CHY_GPG_DETACH_SIGN,
    CHY_GPG_CLEAR_SIGN,
    CHY_GPG_EXPORT,
    CHY_GPG_IMPORT,
    CHY_GPG_LIST_KEYS,
    CHY_GPG_LIST_SECRET_KEYS,
    CHY_GPG_QUICK_CERTIFY,
    CHY_GPG_VERSION,
    CHY_GPG_HELP,
    CHY_GPG_HAND_OVER, /* to the real gpg, with all words as they are */
};

struct chy_gpg_options {
    enum chy_gpg_command command;
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

/* What the words say; all of it borrows from them and from the arena.
 * Errors: CHY_E_ARG          an option without its value, two commands, two keys
 *         CHY_E_UNSUPPORTED  an option of gpg's that is not for us, or nobody's
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_gpg_options_read(int argc, char *const *argv, struct chy_arena *arena,
                                               struct chy_gpg_options *ret_options,
                                               struct chy_error *err);
/* "--sign, -s" and what it does, a line for each option that does something here. */
void chy_gpg_options_help(struct chy_buf *out);
