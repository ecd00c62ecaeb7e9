/* SPDX-License-Identifier: MIT */
/* A plan of chancery exec, as --dry-run shows it. */
#include "base/limits.h"
#include "cli/exec/exec.h"

#define TEXT_MAX ((size_t)4 * CHY_LIMIT_PATH)

static const struct chy_field file_fields[] = {
    CHY_F_STR(struct chy_exec_file, path, 0, 0, CHY_LIMIT_PATH, "where it is"),
    CHY_F_STR(struct chy_exec_file, text, CHY_MULTILINE, 0, TEXT_MAX, "what is in it"),
    CHY_F_BOOL(struct chy_exec_file, is_link, 0, "it is a link, and that is where it leads to"),
};
static const struct chy_schema file_schema =
    CHY_SCHEMA("ExecFile", struct chy_exec_file, file_fields, "A file that a tool gets.");
#define S struct chy_exec_plan
static const struct chy_field plan_fields[] = {
    CHY_F_STRS(S, argv, 0, CHY_LIMIT_ARGUMENTS, (size_t)32 * CHY_LIMIT_PATH,
               "the tool and its arguments"),
    CHY_F_STRS(S, set, 0, CHY_EXEC_VARIABLES, (size_t)4 * CHY_LIMIT_COMMAND,
               "variables that are set, NAME=VALUE"),
    CHY_F_STRS(S, unset, 0, CHY_EXEC_VARIABLES, CHY_LIMIT_NAME, "variables that are taken out"),
    CHY_F_LIST(S, files, &file_schema, struct chy_exec_file, 0, 0, 4, "files that it gets"),
    CHY_F_STR(S, hint, 0, 0, CHY_LIMIT_TEXT, "what to know of the tool"),
};
#undef S
const struct chy_schema chy_exec_plan_schema = CHY_SCHEMA(
    "ExecPlan", struct chy_exec_plan, plan_fields, "What a tool gets so that it signs here.");

/* As a shell reads it back. */
static void print_word(FILE *out, struct chy_str word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-{}";
    bool is_plain = word.n != 0;
    for (size_t i = 0; i < word.n; i++)
        is_plain = is_plain && strchr(plain, word.p[i]) != NULL && word.p[i] != '\0';
    if (is_plain) {
        chy_cli_say(out, word);
        return;
    }
    (void)fputc('\'', out);
    while (word.n != 0) {
        const char *quote = memchr(word.p, '\'', word.n);
        size_t n = quote != NULL ? (size_t)(quote - word.p) : word.n;
        chy_cli_say(out, (struct chy_str){ word.p, n });
        if (quote != NULL)
            (void)fputs("'\\''", out);
        n += quote != NULL ? 1 : 0;
        word = (struct chy_str){ word.p + n, word.n - n };
    }
    (void)fputc('\'', out);
}

void chy_exec_words_print(FILE *out, const struct chy_strs *words)
{
    for (size_t i = 0; i < words->n; i++) {
        (void)fputs(i != 0 ? " " : "", out);
        print_word(out, words->p[i]);
    }
    (void)fputc('\n', out);
}

void chy_exec_plan_print(FILE *out, const struct chy_exec_plan *plan)
{
    for (size_t i = 0; i < plan->files.n; i++) {
        const struct chy_exec_file *f = &plan->files.p[i];
        if (f->is_link)
            chy_cli_say(out, CHY_STR("# "), f->path, CHY_STR(" -> "), f->text, CHY_STR("\n"));
        else
            chy_cli_say(out, CHY_STR("# "), f->path, CHY_STR(":\n"), f->text, CHY_STR("\n"));
    }
    for (size_t i = 0; i < plan->unset.n; i++)
        chy_cli_say(out, CHY_STR("unset "), plan->unset.p[i], CHY_STR("\n"));
    for (size_t i = 0; i < plan->set.n; i++) {
        const struct chy_str *v = &plan->set.p[i];
        size_t n = (size_t)((const char *)memchr(v->p, '=', v->n) - v->p) + 1;
        chy_cli_say(out, CHY_STR("export "), (struct chy_str){ v->p, n });
        print_word(out, (struct chy_str){ v->p + n, v->n - n });
        (void)fputc('\n', out);
    }
    chy_exec_words_print(out, &plan->argv);
    if (plan->hint.n != 0)
        chy_cli_say(out, CHY_STR("# "), plan->hint, CHY_STR("\n"));
}
