/* SPDX-License-Identifier: MIT */
#include "gpg/options.h"

#define CMD          CHY_GNUPG_CMD
#define SET          CHY_GNUPG_SET
#define VALUE        CHY_GNUPG_VALUE
#define HANDED(n, l) CHY_GNUPG_CMD(n, l, CHY_GNUPG_HAND_OVER, NULL)
#define UNSET(n, m)                                                                  \
    {                                                                                \
        .name = (n), .action = CHY_GNUPG_FLAG, .at = CHY_GNUPG_AT(m), .is_off = true \
    }
#define NONE(n)                                      \
    {                                                \
        .name = (n), .action = CHY_GNUPG_PASSED_OVER \
    }
#define NONE_2(n)                                      \
    {                                                  \
        .name = (n), .action = CHY_GNUPG_PASSED_OVER_2 \
    }

/* clang-format off */
static const struct chy_gnupg_row rows[] = {
    CMD("sign", 's', CHY_GNUPG_SIGN, "sign; the data and its signature become one file"),
    CMD("detach-sign", 'b', CHY_GNUPG_DETACH_SIGN, "make a signature beside the file"),
    CMD("clear-sign", 0, CHY_GNUPG_CLEAR_SIGN, "sign a text that stays readable"),
    CMD("clearsign", 0, CHY_GNUPG_CLEAR_SIGN, NULL),
    CMD("quick-certify", 0, CHY_GNUPG_QUICK_CERTIFY, "KEY USER-ID: give a key its user id, once"),
    CMD("export", 0, CHY_GNUPG_EXPORT, "write public keys with their user ids"),
    CMD("import", 0, CHY_GNUPG_IMPORT, "take what --export wrote on another machine"),
    CMD("list-keys", 'k', CHY_GNUPG_LIST_KEYS, "show the keys that may sign"),
    CMD("list-public-keys", 0, CHY_GNUPG_LIST_KEYS, NULL),
    CMD("fingerprint", 0, CHY_GNUPG_LIST_KEYS, NULL),
    CMD("list-secret-keys", 'K', CHY_GNUPG_LIST_SECRET_KEYS, "the same, as gpg shows secret keys"),
    CMD("version", 0, CHY_GNUPG_VERSION, "say which version this is"),
    CMD("help", 'h', CHY_GNUPG_HELP, "say this"),
    HANDED("verify", 0), HANDED("verify-files", 0), HANDED("decrypt", 'd'),
    HANDED("list-packets", 0), HANDED("print-md", 0), HANDED("print-mds", 0),
    HANDED("dearmor", 0), HANDED("dearmour", 0), HANDED("enarmor", 0), HANDED("enarmour", 0),
    HANDED("check-signatures", 0), HANDED("check-sigs", 0), HANDED("list-signatures", 0),
    HANDED("list-sigs", 0), HANDED("show-keys", 0), HANDED("list-config", 0),

    VALUE("local-user", 'u', local_user, "KEY: its name, fingerprint, key id or user id"),
    VALUE("default-key", 0, default_key, "KEY: where --local-user is not given"),
    VALUE("output", 'o', output, "FILE: where the result goes; - is standard output"),
    VALUE("digest-algo", 0, digest_algo, "HASH: SHA256, SHA384 or SHA512"),
    VALUE("status-fd", 0, status_fd, "N: a descriptor for gpg's status lines"),
    SET("armor", 'a', is_armored, "write ASCII"), SET("armour", 0, is_armored, NULL),
    UNSET("no-armor", is_armored), UNSET("no-armour", is_armored),
    SET("textmode", 't', is_text, NULL), UNSET("no-textmode", is_text),
    SET("yes", 0, is_yes, "replace what is there"), UNSET("no", is_yes),
    SET("with-colons", 0, is_colons, "lists for programs"),
    SET("quiet", 'q', is_quiet, "say errors only"),
    SET("verbose", 'v', is_verbose, "say what was signed"), UNSET("no-verbose", is_verbose),

    NONE("batch"), NONE("no-batch"), NONE("no-tty"), NONE("no-greeting"), NONE("no-options"),
    NONE("no-secmem-warning"), NONE("no-permission-warning"), NONE("no-mdc-warning"),
    NONE("openpgp"), NONE("gnupg"), NONE("rfc4880"), NONE("rfc4880bis"), NONE("expert"),
    NONE("no-auto-check-trustdb"), NONE("no-autostart"), NONE("no-default-keyring"),
    NONE("no-random-seed-file"), NONE("use-agent"), NONE("no-use-agent"), NONE("lock-once"),
    NONE("lock-never"), NONE("disable-dirmngr"), NONE("exit-on-status-write-error"),
    NONE("enable-progress-filter"), NONE("utf8-strings"), NONE("emit-version"),
    NONE("no-emit-version"), NONE("no-comments"), NONE("escape-from-lines"),
    NONE("no-escape-from-lines"), NONE("fixed-list-mode"), NONE("with-fingerprint"),
    NONE("ask-cert-level"), NONE("no-ask-cert-level"), NONE("no-symkey-cache"),
    NONE("no-auto-key-retrieve"), NONE("no-auto-key-locate"), NONE("with-keygrip"),
    NONE_2("homedir"), NONE_2("keyring"), NONE_2("secret-keyring"), NONE_2("primary-keyring"),
    NONE_2("trustdb-name"), NONE_2("options"), NONE_2("keyid-format"), NONE_2("trust-model"),
    NONE_2("compliance"), NONE_2("pinentry-mode"), NONE_2("passphrase"), NONE_2("passphrase-fd"),
    NONE_2("passphrase-file"), NONE_2("passphrase-repeat"), NONE_2("command-fd"),
    NONE_2("logger-fd"), NONE_2("display-charset"), NONE_2("charset"), NONE_2("list-options"),
    NONE_2("verify-options"), NONE_2("export-options"), NONE_2("import-options"),
    NONE_2("set-filename"), NONE_2("comment"), NONE_2("cert-digest-algo"),
    NONE_2("personal-digest-preferences"), NONE_2("personal-cipher-preferences"),
    NONE_2("personal-compress-preferences"), NONE_2("compress-algo"), NONE_2("compression-algo"),
    NONE_2("compress-level"), NONE_2("cipher-algo"), NONE_2("weak-digest"),
};
/* clang-format on */

const struct chy_gnupg_table chy_gpg_table = { "chancery-gpg", "gpg", rows, CHY_ARRAY_LEN(rows) };
