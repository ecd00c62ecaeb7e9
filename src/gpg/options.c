/* SPDX-License-Identifier: MIT */
#include "gpg/options.h"

#include <stdio.h>

enum action {
    COMMAND,
    FLAG,
    TEXT,          /* takes a value */
    PASSED_OVER,   /* of no meaning here, and no harm */
    PASSED_OVER_2, /* likewise, with its value */
};

struct row {
    const char *name;
    char letter;
    enum action action;
    int command;      /* COMMAND */
    size_t at;        /* FLAG, TEXT: in struct chy_gpg_options */
    bool is_off;      /* FLAG: set to false */
    const char *help; /* NULL: not shown */
};

#define AT(member) offsetof(struct chy_gpg_options, member)
#define CMD(n, l, c, h)                                                            \
    {                                                                              \
        .name = (n), .letter = (l), .action = COMMAND, .command = (c), .help = (h) \
    }
#define HANDED(n, l) CMD(n, l, CHY_GPG_HAND_OVER, NULL)
#define SET(n, l, m, h)                                                      \
    {                                                                        \
        .name = (n), .letter = (l), .action = FLAG, .at = AT(m), .help = (h) \
    }
#define UNSET(n, m)                                              \
    {                                                            \
        .name = (n), .action = FLAG, .at = AT(m), .is_off = true \
    }
#define VALUE(n, l, m, h)                                                    \
    {                                                                        \
        .name = (n), .letter = (l), .action = TEXT, .at = AT(m), .help = (h) \
    }
#define NONE(n)                            \
    {                                      \
        .name = (n), .action = PASSED_OVER \
    }
#define NONE_2(n)                            \
    {                                        \
        .name = (n), .action = PASSED_OVER_2 \
    }

/* clang-format off */
static const struct row rows[] = {
    CMD("sign", 's', CHY_GPG_SIGN, "sign; the data and its signature become one file"),
    CMD("detach-sign", 'b', CHY_GPG_DETACH_SIGN, "make a signature beside the file"),
    CMD("clear-sign", 0, CHY_GPG_CLEAR_SIGN, "sign a text that stays readable"),
    CMD("clearsign", 0, CHY_GPG_CLEAR_SIGN, NULL),
    CMD("quick-certify", 0, CHY_GPG_QUICK_CERTIFY, "KEY USER-ID: give a key its user id, once"),
    CMD("export", 0, CHY_GPG_EXPORT, "write public keys with their user ids"),
    CMD("import", 0, CHY_GPG_IMPORT, "take what --export wrote on another machine"),
    CMD("list-keys", 'k', CHY_GPG_LIST_KEYS, "show the keys that may sign"),
    CMD("list-public-keys", 0, CHY_GPG_LIST_KEYS, NULL),
    CMD("fingerprint", 0, CHY_GPG_LIST_KEYS, NULL),
    CMD("list-secret-keys", 'K', CHY_GPG_LIST_SECRET_KEYS, "the same, as gpg shows secret keys"),
    CMD("version", 0, CHY_GPG_VERSION, "say which version this is"),
    CMD("help", 'h', CHY_GPG_HELP, "say this"),
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
    NONE_2("compress-level"), NONE_2("cipher-algo"),
};
/* clang-format on */

struct reader {
    int argc;
    char *const *argv;
    int next; /* word */
    struct chy_arena *arena;
    struct chy_gpg_options options;
    struct chy_str *words;
    bool has_command;
};

static const struct row *find_row(struct chy_str name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (chy_str_equal_c(name, rows[i].name))
            return &rows[i];
    }
    return NULL;
}

static const struct row *find_letter(char letter)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (rows[i].letter != 0 && rows[i].letter == letter)
            return &rows[i];
    }
    return NULL;
}

/* `-b` and `-s` go together, as with gpg; of other commands there is one. */
static enum chy_err take_command(struct reader *r, const struct row *row, struct chy_error *err)
{
    enum chy_gpg_command before = r->options.command;
    enum chy_gpg_command now = (enum chy_gpg_command)row->command;
    bool is_pair = (before == CHY_GPG_DETACH_SIGN && now == CHY_GPG_SIGN) ||
                   (before == CHY_GPG_SIGN && now == CHY_GPG_DETACH_SIGN);
    if (before != CHY_GPG_NOTHING && before != now && !is_pair)
        return chy_fail(err, CHY_E_ARG, "--%s is a second command; give one", row->name);
    r->options.command = is_pair ? CHY_GPG_DETACH_SIGN : now;
    return CHY_OK;
}

static enum chy_err take_text(struct reader *r, const struct row *row, struct chy_str value,
                              struct chy_error *err)
{
    struct chy_str *text = (struct chy_str *)(void *)((char *)&r->options + row->at);
    if (row->at == AT(local_user) && text->n != 0 && !chy_str_equal(*text, value))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "one key makes one signature here, not two: --%s is given twice",
                        row->name);
    if (value.n == 0)
        return chy_fail(err, CHY_E_ARG, "--%s has no value", row->name);
    *text = value;
    return CHY_OK;
}

/* `value.p` is NULL where none stands at the option itself: then it is the next word. */
static enum chy_err take_option(struct reader *r, const struct row *row, struct chy_str value,
                                struct chy_error *err)
{
    bool takes_value = row->action == TEXT || row->action == PASSED_OVER_2;
    if (!takes_value && value.p != NULL)
        return chy_fail(err, CHY_E_ARG, "--%s takes no value", row->name);
    if (takes_value && value.p == NULL) {
        if (r->next == r->argc)
            return chy_fail(err, CHY_E_ARG, "--%s has no value", row->name);
        value = chy_str_of(r->argv[r->next++]);
    }
    if (row->action == COMMAND)
        return take_command(r, row, err);
    if (row->action == TEXT)
        return take_text(r, row, value, err);
    if (row->action == FLAG)
        *(bool *)((char *)&r->options + row->at) = !row->is_off;
    return CHY_OK;
}

static enum chy_err unknown(struct chy_str word, struct chy_error *err)
{
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "chancery-gpg signs and has no option \"%.*s\": chancery-gpg --help says what "
                    "there is; for the rest there is gpg",
                    CHY_STR_ARG(word));
}

static enum chy_err take_long(struct reader *r, struct chy_str word, struct chy_error *err)
{
    const char *equals = memchr(word.p, '=', word.n);
    struct chy_str name = { word.p + 2, (equals != NULL ? (size_t)(equals - word.p) : word.n) - 2 };
    struct chy_str value = { 0 };
    const struct row *row = find_row(name);
    if (row == NULL)
        return unknown((struct chy_str){ word.p, name.n + 2 }, err);
    if (equals != NULL)
        value = (struct chy_str){ equals + 1, word.n - name.n - 3 };
    return take_option(r, row, value, err);
}

/* -bsau KEY, -oFILE */
static enum chy_err take_letters(struct reader *r, struct chy_str word, struct chy_error *err)
{
    for (size_t i = 1; i < word.n; i++) {
        const struct row *row = find_letter(word.p[i]);
        struct chy_str rest = { word.p + i + 1, word.n - i - 1 };
        if (row == NULL)
            return unknown((struct chy_str){ word.p, word.n }, err);
        bool has_value = row->action == TEXT && rest.n != 0;
        CHY_TRY(take_option(r, row, has_value ? rest : (struct chy_str){ 0 }, err));
        if (row->action == TEXT)
            return CHY_OK;
    }
    return CHY_OK;
}

static enum chy_err take_word(struct reader *r, bool *is_over, struct chy_error *err)
{
    struct chy_str word = chy_str_of(r->argv[r->next++]);
    if (*is_over || word.n < 2 || word.p[0] != '-') {
        r->words[r->options.words.n++] = word;
        return CHY_OK;
    }
    if (chy_str_equal_c(word, "--")) {
        *is_over = true;
        return CHY_OK;
    }
    return word.p[1] == '-' ? take_long(r, word, err) : take_letters(r, word, err);
}

/* What is handed over may have options that are none of ours, so it is looked for first. */
static bool is_handed_over(int argc, char *const *argv)
{
    for (int i = 1; i < argc && !chy_str_equal_c(chy_str_of(argv[i]), "--"); i++) {
        struct chy_str word = chy_str_of(argv[i]);
        const struct row *row = NULL;
        if (chy_str_starts(word, "--"))
            row = find_row((struct chy_str){ word.p + 2, word.n - 2 });
        else if (word.n == 2 && word.p[0] == '-')
            row = find_letter(word.p[1]);
        if (row != NULL && row->action == COMMAND && row->command == CHY_GPG_HAND_OVER)
            return true;
    }
    return false;
}

enum chy_err chy_gpg_options_read(int argc, char *const *argv, struct chy_arena *arena,
                                  struct chy_gpg_options *ret_options, struct chy_error *err)
{
    struct reader r = { .argc = argc, .argv = argv, .next = 1, .arena = arena };
    bool is_over = false;
    if (is_handed_over(argc, argv)) {
        *ret_options = (struct chy_gpg_options){ .command = CHY_GPG_HAND_OVER };
        return CHY_OK;
    }
    r.words = chy_arena_array(arena, struct chy_str, (size_t)argc + 1);
    if (r.words == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the command line");
    while (r.next < argc)
        CHY_TRY(take_word(&r, &is_over, err));
    r.options.words.p = r.words;
    *ret_options = r.options;
    return CHY_OK;
}

void chy_gpg_options_help(struct chy_buf *out)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        char name[32];
        if (rows[i].help == NULL)
            continue;
        (void)snprintf(name, sizeof name, rows[i].letter != 0 ? "--%s, -%c" : "--%s", rows[i].name,
                       rows[i].letter);
        chy_buf_printf(out, "  %-24s%s\n", name, rows[i].help);
    }
}
