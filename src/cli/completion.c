/* SPDX-License-Identifier: MIT */
/* Completion for shells, from the table. */
#include "cli/cli.h"

static bool is_first_of_noun(size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (chy_str_equal_c(chy_str_of(chy_cli_commands[i].noun), chy_cli_commands[at].noun))
            return false;
    }
    return true;
}

/* Calls `each` for the command's options, the global ones last. */
typedef void (*each_fn)(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o);
static void each_option(FILE *out, const struct chy_cli_command *c, each_fn each)
{
    for (size_t i = 0; i < c->n_options; i++)
        each(out, c, &c->options[i]);
    for (size_t i = 0; i < chy_cli_globals_n; i++)
        each(out, c, &chy_cli_globals[i]);
}

static void put_names(FILE *out, const struct chy_enum *values)
{
    const char *lead = "";
    for (size_t i = 0; i < values->n; i++) {
        if (values->values[i].value == 0)
            continue;
        (void)fprintf(out, "%s%s", lead, values->values[i].name);
        lead = " ";
    }
}

static void put_nouns(FILE *out)
{
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        if (is_first_of_noun(i))
            (void)fprintf(out, "%s%s", i != 0 ? " " : "", chy_cli_commands[i].noun);
    }
}

static void put_verbs(FILE *out, const char *noun)
{
    const char *lead = "";
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (c->verb == NULL || !chy_str_equal_c(chy_str_of(noun), c->noun))
            continue;
        (void)fprintf(out, "%s%s", lead, c->verb);
        lead = " ";
    }
}

/* --- bash --- */

static void bash_word(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    (void)c;
    if ((o->flags & CHY_CLI_POSITIONAL) == 0)
        (void)fprintf(out, " --%s", o->name);
}

static void bash_values(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    const struct chy_enum *values = chy_cli_option_values(c, o);
    if (values == NULL || (o->flags & CHY_CLI_POSITIONAL) != 0)
        return;
    (void)fprintf(out, "        \"%s %s --%s\") words=\"", c->noun, c->verb != NULL ? c->verb : "",
                  o->name);
    put_names(out, values);
    (void)fputs("\" ;;\n", out);
}

static void print_bash(FILE *out)
{
    (void)fputs("# SPDX-License-Identifier: MIT\n"
                "# bash completion for chancery; made from its table of commands\n"
                "_chancery() {\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                "    local noun=${COMP_WORDS[1]-} verb=\n"
                "    case $noun in\n",
                out);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (!is_first_of_noun(i) || c->verb == NULL)
            continue;
        (void)fprintf(out,
                      "    %s)\n        verb=${COMP_WORDS[2]-}\n"
                      "        [ \"$COMP_CWORD\" -ne 2 ] || words=\"",
                      c->noun);
        put_verbs(out, c->noun);
        (void)fputs("\" ;;\n", out);
    }
    (void)fputs("    esac\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        words=\"",
                out);
    put_nouns(out);
    (void)fputs("\"\n    elif [ -z \"$words\" ]; then\n"
                "        case \"$noun $verb $prev\" in\n",
                out);
    for (size_t i = 0; i < chy_cli_commands_n; i++)
        each_option(out, &chy_cli_commands[i], bash_values);
    (void)fputs("        esac\n"
                "    fi\n"
                "    if [ -z \"$words\" ] && [ \"${cur#-}\" != \"$cur\" ]; then\n"
                "        case \"$noun $verb\" in\n",
                out);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        (void)fprintf(out, "        \"%s %s\") words=\"", c->noun, c->verb != NULL ? c->verb : "");
        each_option(out, c, bash_word);
        (void)fputs("\" ;;\n", out);
    }
    (void)fputs("        esac\n"
                "    fi\n"
                "    if [ -n \"$words\" ]; then\n"
                "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                "    else\n"
                "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                "    fi\n"
                "}\n"
                "complete -o filenames -F _chancery chancery\n",
                out);
}

/* --- zsh --- */

/* In single quotes, with what _arguments takes for its own shielded. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", out);
        else if (*text == ':' || *text == '[' || *text == ']' || *text == '\\')
            (void)fprintf(out, "\\%c", *text);
        else
            (void)fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    const struct chy_enum *values = chy_cli_option_values(c, o);
    bool is_positional = (o->flags & CHY_CLI_POSITIONAL) != 0;
    bool is_repeated = (o->flags & CHY_CLI_REPEATED) != 0;
    (void)fputs("            '", out);
    if (!is_positional) {
        (void)fprintf(out, "%s--%s[", is_repeated ? "*" : "", o->name);
        zsh_text(out, chy_cli_option_help(c, o));
        (void)fputc(']', out);
    }
    if (is_positional)
        (void)fputs(is_repeated ? "*:" : ":", out);
    else if (o->arg != NULL)
        (void)fputc(':', out);
    if (o->arg != NULL) {
        zsh_text(out, o->arg);
        (void)fputc(':', out);
        if (values != NULL) {
            (void)fputc('(', out);
            put_names(out, values);
            (void)fputc(')', out);
        } else if ((o->flags & CHY_CLI_FILE) != 0) {
            (void)fputs("_files", out);
        }
    }
    (void)fputs("' \\\n", out);
}

static void print_zsh(FILE *out)
{
    (void)fputs("#compdef chancery\n"
                "# SPDX-License-Identifier: MIT\n"
                "# made from the table of commands of chancery\n"
                "_chancery() {\n"
                "    local noun=${words[2]-} verb=\n"
                "    if (( CURRENT == 2 )); then\n"
                "        compadd -- ",
                out);
    put_nouns(out);
    (void)fputs("\n        return\n    fi\n    case $noun in\n", out);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (!is_first_of_noun(i) || c->verb == NULL)
            continue;
        (void)fprintf(out, "    %s)\n        if (( CURRENT == 3 )); then\n            compadd -- ",
                      c->noun);
        put_verbs(out, c->noun);
        (void)fputs("\n            return\n        fi\n"
                    "        verb=${words[3]}\n"
                    "        shift 2 words\n        (( CURRENT -= 2 )) ;;\n",
                    out);
    }
    (void)fputs("    *)\n        shift 1 words\n        (( CURRENT -= 1 )) ;;\n    esac\n"
                "    case \"$noun $verb\" in\n",
                out);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        (void)fprintf(out, "    \"%s %s\")\n        _arguments \\\n", c->noun,
                      c->verb != NULL ? c->verb : "");
        each_option(out, c, zsh_option);
        (void)fputs("            && return ;;\n", out);
    }
    (void)fputs("    esac\n}\n_chancery \"$@\"\n", out);
}

/* --- fish --- */

static void fish_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void fish_condition(FILE *out, const struct chy_cli_command *c)
{
    (void)fprintf(out, "complete -c chancery -n '__fish_seen_subcommand_from %s", c->noun);
    if (c->verb != NULL)
        (void)fprintf(out, "; and __fish_seen_subcommand_from %s", c->verb);
    (void)fputc('\'', out);
}

static void fish_option(FILE *out, const struct chy_cli_command *c, const struct chy_cli_option *o)
{
    const struct chy_enum *values = chy_cli_option_values(c, o);
    if ((o->flags & CHY_CLI_POSITIONAL) != 0)
        return;
    fish_condition(out, c);
    (void)fprintf(out, " -l %s", o->name);
    if (o->arg != NULL)
        (void)fputs((o->flags & CHY_CLI_FILE) != 0 ? " -r -F" : " -x", out);
    if (values != NULL) {
        (void)fputs(" -a '", out);
        put_names(out, values);
        (void)fputc('\'', out);
    }
    (void)fputs(" -d '", out);
    fish_text(out, chy_cli_option_help(c, o));
    (void)fputs("'\n", out);
}

static void print_fish(FILE *out)
{
    (void)fputs("# SPDX-License-Identifier: MIT\n"
                "# fish completion for chancery; made from its table of commands\n",
                out);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (is_first_of_noun(i)) {
            (void)fprintf(out, "complete -c chancery -n __fish_use_subcommand -x -a %s\n", c->noun);
            if (c->verb != NULL) {
                (void)fprintf(out,
                              "complete -c chancery -n '__fish_seen_subcommand_from %s; and not "
                              "__fish_seen_subcommand_from ",
                              c->noun);
                put_verbs(out, c->noun);
                (void)fputs("' -x -a '", out);
                put_verbs(out, c->noun);
                (void)fputs("'\n", out);
            }
        }
        each_option(out, c, fish_option);
    }
}

bool chy_cli_print_completion(FILE *out, struct chy_str shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(shells); i++) {
        if (chy_str_equal_c(shell, shells[i].shell)) {
            shells[i].print(out);
            return true;
        }
    }
    return false;
}
