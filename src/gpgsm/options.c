/* SPDX-License-Identifier: MIT */
#include "gpgsm/options.h"

/* clang-format off */
static const struct chy_gnupg_row rows[] = {
    CHY_GNUPG_CMD("sign", 's', CHY_GNUPG_SIGN, "may stand beside -b, as git has it"),
    CHY_GNUPG_CMD("detach-sign", 'b', CHY_GNUPG_DETACH_SIGN, "sign standard input, or a file, apart from it"),
    CHY_GNUPG_SET("armor", 'a', is_armored, "write it in PEM"),
    CHY_GNUPG_VALUE("local-user", 'u', local_user, "the key's name on the server"),
    CHY_GNUPG_CMD("verify", 0, CHY_GNUPG_VERIFY, "SIGNATURE [FILE]: verify against the trust file"),
    CHY_GNUPG_VALUE("status-fd", 0, status_fd, "a descriptor for status lines"),
    CHY_GNUPG_CMD("version", 0, CHY_GNUPG_VERSION, "print the version"),
    CHY_GNUPG_CMD("help", 'h', CHY_GNUPG_HELP, "print this"),
};
/* clang-format on */

const struct chy_gnupg_table chy_gpgsm_table = { "chancery-gpgsm", "gpgsm", rows,
                                                 CHY_ARRAY_LEN(rows) };
