/* SPDX-License-Identifier: MIT */
#include "client/gnupg_options.h"

#include <stdio.h>

struct reader {
    const struct chy_gnupg_table *table;
    int argc;
    char *const *argv;
    int next; /* word */
    struct chy_gnupg_options options;
    struct chy_str *words;
};

static const struct chy_gnupg_row *find_row(const struct chy_gnupg_table *table,
                                            struct chy_str name)
{
    for (size_t i = 0; i < table->n; i++) {
        if (chy_str_equal_c(name, table->rows[i].name))
            return &table->rows[i];
    }
    return NULL;
}

static const struct chy_gnupg_row *find_letter(const struct chy_gnupg_table *table, char letter)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].letter != 0 && table->rows[i].letter == letter)
            return &table->rows[i];
    }
    return NULL;
}

/* `-b` and `-s` go together, as with gpg; of other commands there is one. */
static enum chy_err take_command(struct reader *r, const struct chy_gnupg_row *row,
                                 struct chy_error *err)
{
    enum chy_gnupg_command before = r->options.command;
    enum chy_gnupg_command now = row->command;
    bool is_pair = (before == CHY_GNUPG_DETACH_SIGN && now == CHY_GNUPG_SIGN) ||
                   (before == CHY_GNUPG_SIGN && now == CHY_GNUPG_DETACH_SIGN);
    if (before != CHY_GNUPG_NOTHING && before != now && !is_pair)
        return chy_fail(err, CHY_E_ARG, "--%s is a second command; give one", row->name);
    r->options.command = is_pair ? CHY_GNUPG_DETACH_SIGN : now;
    return CHY_OK;
}

static enum chy_err take_text(struct reader *r, const struct chy_gnupg_row *row,
                              struct chy_str value, struct chy_error *err)
{
    struct chy_str *text = (struct chy_str *)(void *)((char *)&r->options + row->at);
    if (row->at == CHY_GNUPG_AT(local_user) && text->n != 0 && !chy_str_equal(*text, value))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "one key makes one signature here, not two: --%s is given twice",
                        row->name);
    if (value.n == 0)
        return chy_fail(err, CHY_E_ARG, "--%s has no value", row->name);
    *text = value;
    return CHY_OK;
}

/* `value.p` is NULL where none stands at the option itself: then it is the next word. */
static enum chy_err take_option(struct reader *r, const struct chy_gnupg_row *row,
                                struct chy_str value, struct chy_error *err)
{
    bool takes_value = row->action == CHY_GNUPG_TEXT || row->action == CHY_GNUPG_PASSED_OVER_2;
    if (!takes_value && value.p != NULL)
        return chy_fail(err, CHY_E_ARG, "--%s takes no value", row->name);
    if (takes_value && value.p == NULL) {
        if (r->next == r->argc)
            return chy_fail(err, CHY_E_ARG, "--%s has no value", row->name);
        value = chy_str_of(r->argv[r->next++]);
    }
    if (row->action == CHY_GNUPG_COMMAND)
        return take_command(r, row, err);
    if (row->action == CHY_GNUPG_TEXT)
        return take_text(r, row, value, err);
    if (row->action == CHY_GNUPG_FLAG)
        *(bool *)((char *)&r->options + row->at) = !row->is_off;
    return CHY_OK;
}

static enum chy_err unknown(const struct reader *r, struct chy_str word, struct chy_error *err)
{
    const struct chy_gnupg_table *t = r->table;
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "%s signs and has no option \"%.*s\": %s --help says what there is; for the "
                    "rest there is %s",
                    t->program, CHY_STR_ARG(word), t->program, t->other);
}

static enum chy_err take_long(struct reader *r, struct chy_str word, struct chy_error *err)
{
    const char *equals = memchr(word.p, '=', word.n);
    struct chy_str name = { word.p + 2, (equals != NULL ? (size_t)(equals - word.p) : word.n) - 2 };
    struct chy_str value = { 0 };
    const struct chy_gnupg_row *row = find_row(r->table, name);
    if (row == NULL)
        return unknown(r, (struct chy_str){ word.p, name.n + 2 }, err);
    if (equals != NULL)
        value = (struct chy_str){ equals + 1, word.n - name.n - 3 };
    return take_option(r, row, value, err);
}

/* -bsau KEY, -oFILE */
static enum chy_err take_letters(struct reader *r, struct chy_str word, struct chy_error *err)
{
    for (size_t i = 1; i < word.n; i++) {
        const struct chy_gnupg_row *row = find_letter(r->table, word.p[i]);
        struct chy_str rest = { word.p + i + 1, word.n - i - 1 };
        if (row == NULL)
            return unknown(r, word, err);
        bool has_value = row->action == CHY_GNUPG_TEXT && rest.n != 0;
        CHY_TRY(take_option(r, row, has_value ? rest : (struct chy_str){ 0 }, err));
        if (row->action == CHY_GNUPG_TEXT)
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
static bool is_handed_over(const struct chy_gnupg_table *table, int argc, char *const *argv)
{
    for (int i = 1; i < argc && !chy_str_equal_c(chy_str_of(argv[i]), "--"); i++) {
        struct chy_str word = chy_str_of(argv[i]);
        const struct chy_gnupg_row *row = NULL;
        if (chy_str_starts(word, "--"))
            row = find_row(table, (struct chy_str){ word.p + 2, word.n - 2 });
        else if (word.n == 2 && word.p[0] == '-')
            row = find_letter(table, word.p[1]);
        if (row != NULL && row->action == CHY_GNUPG_COMMAND && row->command == CHY_GNUPG_HAND_OVER)
            return true;
    }
    return false;
}

enum chy_err chy_gnupg_options_read(const struct chy_gnupg_table *table, int argc,
                                    char *const *argv, struct chy_arena *arena,
                                    struct chy_gnupg_options *ret_options, struct chy_error *err)
{
    struct reader r = { .table = table, .argc = argc, .argv = argv, .next = 1 };
    bool is_over = false;
    if (is_handed_over(table, argc, argv)) {
        *ret_options = (struct chy_gnupg_options){ .command = CHY_GNUPG_HAND_OVER };
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

void chy_gnupg_options_help(const struct chy_gnupg_table *table, struct chy_buf *out)
{
    for (size_t i = 0; i < table->n; i++) {
        char name[32];
        if (table->rows[i].help == NULL)
            continue;
        (void)snprintf(name, sizeof name, table->rows[i].letter != 0 ? "--%s, -%c" : "--%s",
                       table->rows[i].name, table->rows[i].letter);
        chy_buf_printf(out, "  %-24s%s\n", name, table->rows[i].help);
    }
}
