/* SPDX-License-Identifier: MIT */
/* Help, from the table. */
#include "cli/cli.h"

#define OPTION_COLUMN 30
#define WIDTH         80

/* In lines of WIDTH columns. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        bool is_new_line = column != 0 && column + 1 + n > WIDTH;
        (void)fprintf(out, "%s%.*s", is_new_line ? "\n" : column != 0 ? " " : "", (int)n, text);
        column = is_new_line || column == 0 ? n : column + 1 + n;
        text += n + (text[n] == ' ' ? 1 : 0);
    }
    (void)fputc('\n', out);
}

/* "--type TYPE", "NAME", "[FILE ...]" */
static void write_usage(struct chy_buf *out, const struct chy_cli_option *o)
{
    bool is_positional = (o->flags & CHY_CLI_POSITIONAL) != 0;
    bool is_required = (o->flags & CHY_CLI_REQUIRED) != 0;
    chy_buf_printf(out, " %s%s%s", is_required ? "" : "[", is_positional ? "" : "--", o->name);
    if (!is_positional && o->arg != NULL)
        chy_buf_printf(out, " %s", o->arg);
    if ((o->flags & CHY_CLI_REPEATED) != 0)
        chy_buf_append_c(out, "...");
    if (!is_required)
        chy_buf_append_u8(out, ']');
}

static enum chy_err print_usage(FILE *out, const struct chy_cli_command *c, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf line;
    chy_buf_init(&line, 4096);
    chy_buf_printf(&line, "usage: chancery %s%s%s", c->noun, c->verb != NULL ? " " : "",
                   c->verb != NULL ? c->verb : "");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < c->n_options; i++) {
            bool is_positional = (c->options[i].flags & CHY_CLI_POSITIONAL) != 0;
            if (is_positional == (pass == 0))
                write_usage(&line, &c->options[i]);
        }
    }
    chy_buf_append_u8(&line, 0);
    CHY_TRY(chy_buf_check(&line, err));
    print_wrapped(out, (const char *)line.p);
    return CHY_OK;
}

static void print_values(FILE *out, const struct chy_enum *values)
{
    const char *lead = "";
    (void)fprintf(out, "%*s", OPTION_COLUMN + 2, "");
    for (size_t i = 0; i < values->n; i++) {
        if (values->values[i].value == 0)
            continue; /* "none" cannot be asked for */
        (void)fprintf(out, "%s%s", lead, values->values[i].name);
        lead = i % 4 == 0 ? ",\n                                " : ", ";
    }
    (void)fputc('\n', out);
}

static void print_option(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    char left[64];
    bool is_positional = (o->flags & CHY_CLI_POSITIONAL) != 0;
    (void)snprintf(left, sizeof left, "%s%s%s%s", is_positional ? "" : "--", o->name,
                   !is_positional && o->arg != NULL ? " " : "",
                   !is_positional && o->arg != NULL ? o->arg : "");
    (void)fprintf(out, "  %-*s%s\n", OPTION_COLUMN, left, chy_cli_option_help(c, o));
    const struct chy_enum *values = chy_cli_option_values(c, o);
    if (values != NULL)
        print_values(out, values);
}

static enum chy_err print_command(FILE *out, const struct chy_cli_command *c, struct chy_error *err)
{
    CHY_TRY(print_usage(out, c, err));
    (void)fprintf(out, "\n%s\n", c->summary);
    if (c->details != NULL)
        print_wrapped(out, c->details);
    (void)fputc('\n', out);
    for (size_t i = 0; i < c->n_options; i++)
        print_option(out, c, &c->options[i]);
    for (size_t i = 0; i < chy_cli_globals_n; i++)
        print_option(out, c, &chy_cli_globals[i]);
    return CHY_OK;
}

/* All commands, or those of one noun. */
static void print_list(FILE *out, struct chy_str noun)
{
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        char name[64];
        if (noun.n != 0 && !chy_str_equal_c(noun, c->noun))
            continue;
        (void)snprintf(name, sizeof name, "%s %s", c->noun, c->verb != NULL ? c->verb : "");
        (void)fprintf(out, "  %-24s%s\n", name, c->summary);
    }
}

static bool is_noun(struct chy_str noun)
{
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        if (chy_str_equal_c(noun, chy_cli_commands[i].noun))
            return true;
    }
    return false;
}

enum chy_err chy_cli_print_help(FILE *out, const struct chy_cli_args *args, struct chy_error *err)
{
    if (args->command != NULL)
        return print_command(out, args->command, err);
    bool has_noun = is_noun(args->noun);
    (void)fputs("usage: chancery COMMAND [OPTION]...\n\n", out);
    print_list(out, has_noun ? args->noun : (struct chy_str){ 0 });
    (void)fputs(
        "\nchancery help COMMAND tells more. Exit codes: 0 done, 1 refused or not verified, "
        "2 wrong use, 3 trouble.\n",
        out);
    return CHY_OK;
}

int chy_cli_run_help(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err = { 0 };
    struct chy_strs words;
    if (chy_cli_has(args, "man")) {
        chy_cli_print_man(cli->out);
        return CHY_CLI_DONE;
    }
    if (chy_cli_has(args, "man-config")) {
        chy_cli_print_config_man(cli->out);
        return CHY_CLI_DONE;
    }
    if (chy_cli_has(args, "completion")) {
        struct chy_str shell = chy_cli_arg(args, "completion");
        if (chy_cli_print_completion(cli->out, shell))
            return CHY_CLI_DONE;
        CHY_IGNORE(chy_fail(&err, CHY_E_ARG,
                            "there is completion for bash, zsh and fish, not for %.*s",
                            CHY_STR_ARG(shell)));
        return chy_cli_fail(cli, &err);
    }
    if (chy_cli_arg_all(args, "COMMAND", &cli->arena, &words, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    struct chy_str none = { 0 };
    struct chy_cli_args about = { .noun = words.n > 0 ? words.p[0] : none };
    about.command = chy_cli_find(about.noun, words.n > 1 ? words.p[1] : none);
    if (about.noun.n != 0 && !is_noun(about.noun)) {
        CHY_IGNORE(
            chy_fail(&err, CHY_E_ARG, "there is no command \"%.*s\"", CHY_STR_ARG(about.noun)));
        return chy_cli_fail(cli, &err);
    }
    enum chy_err r = chy_cli_print_help(cli->out, &about, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}
