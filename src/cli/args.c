/* SPDX-License-Identifier: MIT */
#include "cli/args.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "os/file.h"
#include "os/file_stream.h"

struct parser {
    struct chy_arena *arena;
    struct chy_error *err;
    struct chy_str *words;
    size_t n_words;
    size_t at;
    struct chy_cli_value *values;
    size_t n_values;
    size_t n_positional; /* taken so far */
    const struct chy_cli_command *command;
};

static bool is_option(struct chy_str word)
{
    return word.n > 1 && word.p[0] == '-';
}

/* --- which command --- */

static enum chy_err wrong_noun(const struct parser *p, struct chy_str noun)
{
    return chy_fail(p->err, CHY_E_ARG, "there is no command \"%.*s\"; chancery help lists all",
                    CHY_STR_ARG(noun));
}

static enum chy_err wrong_verb(const struct parser *p, struct chy_str noun, struct chy_str verb)
{
    char known[160];
    size_t n = 0;
    known[0] = '\0';
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (!chy_str_equal_c(noun, c->noun) || c->verb == NULL)
            continue;
        int w = snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "", c->verb);
        n += w > 0 && (size_t)w < sizeof known - n ? (size_t)w : 0;
    }
    if (n == 0)
        return wrong_noun(p, noun);
    if (verb.n == 0)
        return chy_fail(p->err, CHY_E_ARG, "%.*s what? One of: %s", CHY_STR_ARG(noun), known);
    return chy_fail(p->err, CHY_E_ARG, "%.*s knows no \"%.*s\"; it knows: %s", CHY_STR_ARG(noun),
                    CHY_STR_ARG(verb), known);
}

/* Global options may stand before the command; they are read again with all others. */
static struct chy_str next_word(struct parser *p, size_t *at)
{
    while (*at < p->n_words && is_option(p->words[*at])) {
        bool takes_value = false;
        for (size_t i = 0; i < chy_cli_globals_n; i++) {
            const struct chy_cli_option *o = &chy_cli_globals[i];
            struct chy_str word = p->words[*at];
            takes_value = takes_value ||
                          (o->arg != NULL && word.n > 2 &&
                           chy_str_equal_c((struct chy_str){ word.p + 2, word.n - 2 }, o->name));
        }
        *at += takes_value ? 2 : 1;
    }
    return *at < p->n_words ? p->words[(*at)++] : (struct chy_str){ 0 };
}

static void drop_word(struct parser *p, size_t at)
{
    memmove(&p->words[at], &p->words[at + 1], (p->n_words - at - 1) * sizeof *p->words);
    p->n_words--;
}

static bool asks_for_help(const struct parser *p)
{
    for (size_t i = 0; i < p->n_words && !chy_str_equal_c(p->words[i], "--"); i++) {
        if (chy_str_equal_c(p->words[i], "--help") || chy_str_equal_c(p->words[i], "-h"))
            return true;
    }
    return false;
}

static bool find_command(struct parser *p, struct chy_cli_args *args)
{
    size_t at = 0;
    args->noun = next_word(p, &at);
    if (args->noun.n == 0)
        return true;
    drop_word(p, --at);
    size_t verb_at = at;
    struct chy_str verb = next_word(p, &verb_at);
    p->command = chy_cli_find(args->noun, verb);
    if (p->command != NULL && p->command->verb != NULL)
        drop_word(p, verb_at - 1);
    args->command = p->command;
    return p->command != NULL;
}

static enum chy_err complain(struct parser *p, const struct chy_cli_args *args)
{
    size_t at = 0;
    return wrong_verb(p, args->noun, next_word(p, &at));
}

/* --- its options --- */

static const struct chy_cli_option *find_in(const struct chy_cli_option *options, size_t n,
                                            struct chy_str name)
{
    for (size_t i = 0; i < n; i++) {
        if ((options[i].flags & CHY_CLI_POSITIONAL) == 0 && chy_str_equal_c(name, options[i].name))
            return &options[i];
    }
    return NULL;
}

static bool was_given(const struct parser *p, const struct chy_cli_option *option)
{
    for (size_t i = 0; i < p->n_values; i++) {
        if (p->values[i].option == option)
            return true;
    }
    return false;
}

static enum chy_err add_value(struct parser *p, const struct chy_cli_option *option,
                              struct chy_str text)
{
    if ((option->flags & CHY_CLI_REPEATED) == 0 && was_given(p, option))
        return chy_fail(p->err, CHY_E_ARG, "--%s is given twice", option->name);
    p->values[p->n_values++] = (struct chy_cli_value){ option, text };
    return CHY_OK;
}

static enum chy_err parse_option(struct parser *p, struct chy_str word)
{
    struct chy_str name = { word.p + 2, word.n - 2 };
    const char *equals = memchr(name.p, '=', name.n);
    struct chy_str value = { 0 };
    if (equals != NULL) {
        value = (struct chy_str){ equals + 1, name.n - (size_t)(equals + 1 - name.p) };
        name.n = (size_t)(equals - name.p);
    }
    const struct chy_cli_option *o = find_in(p->command->options, p->command->n_options, name);
    if (o == NULL)
        o = find_in(chy_cli_globals, chy_cli_globals_n, name);
    if (o == NULL)
        return chy_fail(p->err, CHY_E_ARG, "there is no option --%.*s; see chancery help %s",
                        CHY_STR_ARG(name), p->command->noun);
    if (o->arg == NULL && equals != NULL)
        return chy_fail(p->err, CHY_E_ARG, "--%s takes no value", o->name);
    if (o->arg != NULL && equals == NULL) {
        if (p->at == p->n_words)
            return chy_fail(p->err, CHY_E_ARG, "--%s needs a value: %s", o->name, o->arg);
        value = p->words[p->at++];
    }
    return add_value(p, o, value);
}

/* The next positional that is not filled; the last may be repeated. */
static enum chy_err parse_positional(struct parser *p, struct chy_str word)
{
    size_t seen = 0;
    for (size_t i = 0; i < p->command->n_options; i++) {
        const struct chy_cli_option *o = &p->command->options[i];
        if ((o->flags & CHY_CLI_POSITIONAL) == 0)
            continue;
        bool takes_it = seen == p->n_positional || (o->flags & CHY_CLI_REPEATED) != 0;
        seen++;
        if (!takes_it)
            continue;
        p->n_positional += (o->flags & CHY_CLI_REPEATED) == 0 ? 1 : 0;
        return add_value(p, o, word);
    }
    return chy_fail(p->err, CHY_E_ARG, "\"%.*s\" is one word too many; see chancery help %s",
                    CHY_STR_ARG(word), p->command->noun);
}

static enum chy_err parse_words(struct parser *p)
{
    bool is_over = false;
    while (p->at < p->n_words) {
        struct chy_str word = p->words[p->at++];
        if (!is_over && chy_str_equal_c(word, "--"))
            is_over = true;
        else if (!is_over && word.n > 2 && chy_str_starts(word, "--"))
            CHY_TRY(parse_option(p, word));
        else if (!is_over && is_option(word))
            return chy_fail(p->err, CHY_E_ARG, "there is no option %.*s; see chancery help %s",
                            CHY_STR_ARG(word), p->command->noun);
        else
            CHY_TRY(parse_positional(p, word));
    }
    return CHY_OK;
}

static enum chy_err check_required(const struct parser *p)
{
    for (size_t i = 0; i < p->command->n_options; i++) {
        const struct chy_cli_option *o = &p->command->options[i];
        if ((o->flags & CHY_CLI_REQUIRED) == 0 || was_given(p, o))
            continue;
        if ((o->flags & CHY_CLI_POSITIONAL) != 0)
            return chy_fail(p->err, CHY_E_ARG, "%s is missing; see chancery help %s", o->name,
                            p->command->noun);
        return chy_fail(p->err, CHY_E_ARG, "--%s %s is missing; see chancery help %s", o->name,
                        o->arg, p->command->noun);
    }
    return CHY_OK;
}

enum chy_err chy_cli_args_parse(int argc, char *const *argv, struct chy_arena *arena,
                                struct chy_cli_args *ret_args, struct chy_error *err)
{
    size_t n = argc > 1 ? (size_t)argc - 1 : 0;
    if (n > CHY_LIMIT_ARGUMENTS)
        return chy_fail(err, CHY_E_LIMIT, "%zu words, %d are the most", n, CHY_LIMIT_ARGUMENTS);
    struct parser p = { .arena = arena, .err = err };
    struct chy_cli_args args = { 0 };
    p.words = chy_arena_array(arena, struct chy_str, n);
    p.values = chy_arena_array(arena, struct chy_cli_value, n);
    if (p.words == NULL || p.values == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the command line");
    for (size_t i = 0; i < n; i++)
        p.words[p.n_words++] = chy_str_of(argv[i + 1]);
    args.wants_help = asks_for_help(&p);
    bool is_found = find_command(&p, &args);
    if (args.wants_help || args.noun.n == 0) {
        /* What does not exist is answered by the list of what does. */
        args.wants_help = true;
        *ret_args = args;
        return CHY_OK;
    }
    if (!is_found)
        return complain(&p, &args);
    CHY_TRY(parse_words(&p));
    CHY_TRY(check_required(&p));
    args.values = p.values;
    args.n = p.n_values;
    *ret_args = args;
    return CHY_OK;
}

/* --- looking up --- */

bool chy_cli_has(const struct chy_cli_args *args, const char *name)
{
    return chy_cli_arg_count(args, name) != 0;
}

struct chy_str chy_cli_arg(const struct chy_cli_args *args, const char *name)
{
    for (size_t i = 0; i < args->n; i++) {
        if (chy_str_equal_c(chy_str_of(args->values[i].option->name), name))
            return args->values[i].text;
    }
    return (struct chy_str){ 0 };
}

size_t chy_cli_arg_count(const struct chy_cli_args *args, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < args->n; i++)
        n += chy_str_equal_c(chy_str_of(args->values[i].option->name), name) ? 1 : 0;
    return n;
}

enum chy_err chy_cli_arg_all(const struct chy_cli_args *args, const char *name,
                             struct chy_arena *arena, struct chy_strs *ret_texts,
                             struct chy_error *err)
{
    size_t n = chy_cli_arg_count(args, name);
    struct chy_str *texts = chy_arena_array(arena, struct chy_str, n);
    if (texts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the command line");
    size_t k = 0;
    for (size_t i = 0; i < args->n; i++) {
        if (chy_str_equal_c(chy_str_of(args->values[i].option->name), name))
            texts[k++] = args->values[i].text;
    }
    *ret_texts = (struct chy_strs){ texts, n };
    return CHY_OK;
}

/* --- into a request --- */

static enum chy_err read_stdin(struct chy_buf *text, struct chy_error *err)
{
    uint8_t part[4096];
    for (;;) {
        size_t got = 0;
        CHY_TRY(chy_fd_read(STDIN_FILENO, part, sizeof part, &got, err));
        if (got == 0)
            return CHY_OK;
        chy_buf_append(text, (struct chy_bytes){ part, got });
        CHY_TRY(chy_buf_check(text, err));
    }
}

enum chy_err chy_cli_read_text(struct chy_str path, size_t max_bytes, struct chy_arena *arena,
                               struct chy_str *ret_text, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, max_bytes);
    if (chy_str_equal_c(path, "-")) {
        CHY_TRY(read_stdin(&text, err));
    } else {
        struct chy_str name = chy_arena_str(arena, path);
        if (name.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a file's name");
        CHY_TRY(chy_file_read(AT_FDCWD, name.p, &text, err));
    }
    /* A file of a certificate often has the key as well: that is never sent anywhere. */
    static const char mark[] = "PRIVATE KEY-----";
    if (text.n != 0 && memmem(text.p, text.n, mark, sizeof mark - 1) != NULL)
        return chy_fail(err, CHY_E_ARG, "there is a private key in %.*s: nothing of it was sent",
                        CHY_STR_ARG(path));
    if (!chy_utf8_is_valid(chy_buf_str(&text)))
        return chy_fail(err, CHY_E_ARG, "%.*s is no text in UTF-8; a certificate must be PEM",
                        CHY_STR_ARG(path));
    struct chy_str copy = chy_arena_str(arena, chy_buf_str(&text));
    if (copy.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for %.*s", CHY_STR_ARG(path));
    *ret_text = copy;
    return CHY_OK;
}

enum chy_err chy_cli_read_field(const struct chy_field *f, const struct chy_cli_value *v,
                                struct chy_arena *arena, void *request, struct chy_error *err)
{
    if (v->option->arg == NULL && (v->option->flags & CHY_CLI_POSITIONAL) == 0) {
        *(bool *)chy_field_at(f, request) = true;
        return CHY_OK;
    }
    struct chy_str text = v->text;
    if ((v->option->flags & CHY_CLI_CONTENT) != 0)
        CHY_TRY(chy_cli_read_text(v->text, f->max, arena, &text, err));
    struct chy_error why;
    enum chy_err r = chy_doc_read_text(f, text, arena, request, &why);
    if (r == CHY_OK)
        return CHY_OK;
    if (r == CHY_E_NOMEM)
        return chy_fail(err, r, "%s", why.text);
    bool is_positional = (v->option->flags & CHY_CLI_POSITIONAL) != 0;
    return chy_fail(err, CHY_E_ARG, "%s%s: %s", is_positional ? "" : "--", v->option->name,
                    why.text);
}

enum chy_err chy_cli_args_fill(const struct chy_cli_args *args, const struct chy_schema *schema,
                               struct chy_arena *arena, void *request, struct chy_error *err)
{
    for (size_t i = 0; i < args->n; i++) {
        const struct chy_cli_option *o = args->values[i].option;
        if (o->field == NULL)
            continue;
        const struct chy_field *f = chy_schema_field(schema, chy_str_of(o->field));
        CHY_ASSERT(f != NULL);
        if (f->kind == CHY_KIND_STRS)
            CHY_TRY(chy_cli_arg_all(args, o->name, arena, chy_field_at(f, request), err));
        else
            CHY_TRY(chy_cli_read_field(f, &args->values[i], arena, request, err));
    }
    enum chy_err r = chy_schema_check(schema, request, err);
    if (r == CHY_OK || r == CHY_E_NOMEM)
        return r;
    /* Whatever is wrong with it, the command line said it. */
    if (err != NULL)
        err->code = CHY_E_ARG;
    return CHY_E_ARG;
}
