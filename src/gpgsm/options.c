/* SPDX-License-Identifier: MIT */
#include "gpgsm/options.h"

#include <stddef.h>

enum action {
    COMMAND,
    FLAG,
    TEXT, /* takes a value */
};

#define AT(member) offsetof(struct chy_gpgsm_options, member)
#define CMD(n, l, c, h)                                                            \
    {                                                                              \
        .name = (n), .letter = (l), .action = COMMAND, .command = (c), .help = (h) \
    }
#define SET(n, l, m, h)                                                      \
    {                                                                        \
        .name = (n), .letter = (l), .action = FLAG, .at = AT(m), .help = (h) \
    }
#define VALUE(n, l, m, h)                                                    \
    {                                                                        \
        .name = (n), .letter = (l), .action = TEXT, .at = AT(m), .help = (h) \
    }

static const struct row {
    const char *name;
    char letter; /* 0: none */
    enum action action;
    enum chy_gpgsm_command command; /* COMMAND */
    size_t at;                      /* FLAG, TEXT */
    const char *help;
} rows[] = {
    CMD("sign", 's', CHY_GPGSM_SIGN, "sign what is on standard input, or a file"),
    SET("detach-sign", 'b', is_detached, "the signature stands apart (as it always does here)"),
    SET("armor", 'a', is_armored, "write it in PEM"),
    VALUE("local-user", 'u', local_user, "the key's name on the server"),
    CMD("verify", 0, CHY_GPGSM_VERIFY, "SIGNATURE [FILE]: verify against the trust file"),
    VALUE("status-fd", 0, status_fd, "a descriptor for status lines"),
    CMD("version", 0, CHY_GPGSM_VERSION, "print the version"),
    CMD("help", 'h', CHY_GPGSM_HELP, "print this"),
};

struct reader {
    int argc;
    char *const *argv;
    int next; /* word */
    struct chy_gpgsm_options options;
};

static const struct row *find_name(struct chy_str name)
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

static enum chy_err unknown(struct chy_str word, struct chy_error *err)
{
    return chy_fail(err, CHY_E_ARG, "there is no option \"%.*s\": see --help", CHY_STR_ARG(word));
}

static enum chy_err set_text(struct reader *r, const struct row *row, struct chy_str value,
                             struct chy_error *err)
{
    if (value.p == NULL && r->next < r->argc)
        value = chy_str_of(r->argv[r->next++]);
    if (value.n == 0)
        return chy_fail(err, CHY_E_ARG, "--%s has no value", row->name);
    *(struct chy_str *)(void *)((char *)&r->options + row->at) = value;
    return CHY_OK;
}

/* `value` as it was written behind the option; p is NULL where nothing was. */
static enum chy_err take(struct reader *r, const struct row *row, struct chy_str value,
                         struct chy_error *err)
{
    if (row->action == TEXT)
        return set_text(r, row, value, err);
    if (value.p != NULL)
        return chy_fail(err, CHY_E_ARG, "--%s takes no value", row->name);
    if (row->action == FLAG) {
        *(bool *)((char *)&r->options + row->at) = true;
        return CHY_OK;
    }
    if (r->options.command != CHY_GPGSM_NOTHING && r->options.command != row->command)
        return chy_fail(err, CHY_E_ARG, "--%s is a second command", row->name);
    r->options.command = row->command;
    return CHY_OK;
}

static enum chy_err take_long(struct reader *r, struct chy_str word, struct chy_error *err)
{
    const char *equals = memchr(word.p, '=', word.n);
    struct chy_str name = { word.p + 2, (equals != NULL ? (size_t)(equals - word.p) : word.n) - 2 };
    struct chy_str value = { 0 };
    const struct row *row = find_name(name);
    if (row == NULL)
        return unknown(word, err);
    if (equals != NULL)
        value = (struct chy_str){ equals + 1, word.n - name.n - 3 };
    return take(r, row, value, err);
}

/* Letters together, the last with its value behind it or in the next word: -bsau KEY, -uKEY. */
static enum chy_err take_letters(struct reader *r, struct chy_str word, struct chy_error *err)
{
    for (size_t i = 1; i < word.n; i++) {
        const struct row *row = find_letter(word.p[i]);
        struct chy_str rest = { word.p + i + 1, word.n - i - 1 };
        if (row == NULL)
            return unknown(word, err);
        if (row->action == TEXT)
            return take(r, row, rest.n != 0 ? rest : (struct chy_str){ 0 }, err);
        CHY_TRY(take(r, row, (struct chy_str){ 0 }, err));
    }
    return CHY_OK;
}

static enum chy_err take_word(struct reader *r, struct chy_str word, struct chy_error *err)
{
    if (r->options.n_words == CHY_ARRAY_LEN(r->options.words))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is a word too many", CHY_STR_ARG(word));
    r->options.words[r->options.n_words++] = word;
    return CHY_OK;
}

enum chy_err chy_gpgsm_options_read(int argc, char *const *argv,
                                    struct chy_gpgsm_options *ret_options, struct chy_error *err)
{
    struct reader r = { .argc = argc, .argv = argv, .next = 1 };
    bool is_over = false;
    while (r.next < argc) {
        struct chy_str word = chy_str_of(argv[r.next++]);
        if (is_over || word.n < 2 || word.p[0] != '-')
            CHY_TRY(take_word(&r, word, err));
        else if (chy_str_equal_c(word, "--"))
            is_over = true;
        else if (word.p[1] == '-')
            CHY_TRY(take_long(&r, word, err));
        else
            CHY_TRY(take_letters(&r, word, err));
    }
    *ret_options = r.options;
    return CHY_OK;
}

void chy_gpgsm_options_help(struct chy_buf *out)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        const char letter[] = { '-', row->letter, ',', '\0' };
        chy_buf_printf(out, "  %-3s --%-12s %s\n", row->letter != 0 ? letter : "", row->name,
                       row->help);
    }
}
