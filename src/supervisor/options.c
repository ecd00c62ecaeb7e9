/* SPDX-License-Identifier: MIT */
#include "supervisor/options.h"

#include <string.h>

#include "base/bytes.h"

struct option_row {
    const char *name;
    const char *value; /* what stands for its value in --help; NULL: it has none */
    unsigned flag;
    size_t offset;
    bool is_list;
    const char *help;
};

#define ROW(n, v, f, member, list, h)                      \
    {                                                      \
        n, v, f, offsetof(struct options, member), list, h \
    }
static const struct option_row rows[] = {
    ROW("--config", "FILE", OPTION_CONFIG, config, false, "the configuration file"),
    ROW("--data", "DIR", OPTION_DATA, data, false, "the data directory, with its chanceryd.yaml"),
    ROW("--listen", "ADDRESS", OPTION_LISTEN, listen, true,
        "where to listen, 127.0.0.1:8443 if not given; may be repeated"),
    ROW("--name", "NAME", OPTION_NAME, names, true,
        "a DNS name or IP address for the TLS certificate; may be repeated"),
    ROW("--to", "DIR", OPTION_TO, to, false, "a new folder for the backup"),
    ROW("--from", "DIR", OPTION_FROM, from, false, "the folder of a backup"),
    ROW("--accept-older-store", NULL, OPTION_ACCEPT_OLDER_STORE, accept_older_store, false,
        "start although the store is older than the last checkpoint that was published"),
    ROW("--json", NULL, OPTION_JSON, json, false, "print one JSON document"),
};
#undef ROW

static const struct command *command_find(const struct command *commands, size_t n,
                                          const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (commands[i].name != NULL && strcmp(commands[i].name, word) == 0)
            return &commands[i];
    return NULL;
}

static const struct option_row *row_find(const char *word, size_t n)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (chy_str_equal_c((struct chy_str){ word, n }, rows[i].name))
            return &rows[i];
    return NULL;
}

static enum chy_err value_put(const struct option_row *row, const char *value, bool is_again,
                              struct options *options, struct chy_error *err)
{
    char *at = (char *)options + row->offset;
    if (row->is_list) {
        struct option_list *list = (struct option_list *)(void *)at;
        if (list->n == CHY_OPTION_NAMES_MAX)
            return chy_fail(err, CHY_E_ARG, "%s is given more than %d times", row->name,
                            CHY_OPTION_NAMES_MAX);
        list->p[list->n++] = value;
        return CHY_OK;
    }
    if (is_again)
        return chy_fail(err, CHY_E_ARG, "%s is given twice", row->name);
    if (row->value == NULL)
        *(bool *)(void *)at = true;
    else
        *(const char **)(void *)at = value;
    return CHY_OK;
}

/* "--name value" or "--name=value"; *i is left at the last word that was used. */
static enum chy_err option_take(const struct command *command, const char *const *args, size_t n,
                                size_t *i, unsigned *given, struct options *options,
                                struct chy_error *err)
{
    const char *word = args[*i];
    const char *equals = strchr(word, '=');
    size_t name_len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct option_row *row = row_find(word, name_len);
    if (row == NULL || (command->takes & row->flag) == 0)
        return chy_fail(err, CHY_E_ARG, "%s takes no %.*s",
                        command->name != NULL ? command->name : "the server", (int)name_len, word);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (row->value == NULL && value != NULL)
        return chy_fail(err, CHY_E_ARG, "%s takes no value", row->name);
    if (row->value != NULL && value == NULL)
        value = *i + 1 < n ? args[++*i] : "";
    if (row->value != NULL && value[0] == '\0')
        return chy_fail(err, CHY_E_ARG, "%s wants a value: %s", row->name, row->value);
    CHY_TRY(value_put(row, value, (*given & row->flag) != 0, options, err));
    *given |= row->flag;
    return CHY_OK;
}

static void names_append(unsigned flags, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if ((flags & rows[i].flag) != 0 && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? " or " : "", rows[i].name);
}

static enum chy_err given_check(const struct command *command, unsigned given,
                                struct chy_error *err)
{
    char names[64] = "";
    unsigned one = given & command->takes_one;
    if (command->takes_one != 0 && (one == 0 || (one & (one - 1)) != 0)) {
        names_append(command->takes_one, names, sizeof names);
        return chy_fail(err, CHY_E_ARG, "%s %s is needed", one == 0 ? "" : "only one of", names);
    }
    unsigned missing = command->needs & ~given;
    if (missing != 0) {
        names_append(missing & (~missing + 1), names, sizeof names);
        return chy_fail(err, CHY_E_ARG, "%s is needed", names);
    }
    return CHY_OK;
}

enum chy_err options_parse(const struct command *commands, size_t command_count,
                           const char *const *args, size_t arg_count,
                           const struct command **ret_command, struct options *ret_options,
                           struct chy_error *err)
{
    struct options options = { .config = NULL };
    const struct command *command = &commands[0];
    unsigned given = 0;
    size_t i = 0;
    if (arg_count > 0 && args[0][0] != '-') {
        command = command_find(commands, command_count, args[0]);
        if (command == NULL)
            return chy_fail(err, CHY_E_ARG, "there is no command \"%s\"", args[0]);
        i = 1;
    }
    for (; i < arg_count; i++) {
        if (args[i][0] != '-')
            return chy_fail(err, CHY_E_ARG, "\"%s\" is not an option", args[i]);
        CHY_TRY(option_take(command, args, arg_count, &i, &given, &options, err));
    }
    CHY_TRY(given_check(command, given, err));
    *ret_command = command;
    *ret_options = options;
    return CHY_OK;
}

void options_help(const struct command *commands, size_t command_count, FILE *out)
{
    (void)fputs("usage:\n", out);
    for (size_t i = 0; i < command_count; i++)
        (void)fprintf(out, "  chanceryd %s\n      %s\n", commands[i].usage, commands[i].help);
    (void)fputs("  chanceryd --version | --help\n\noptions:\n", out);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        int n = fprintf(out, "  %s%s%s", rows[i].name, rows[i].value != NULL ? " " : "",
                        rows[i].value != NULL ? rows[i].value : "");
        (void)fprintf(out, "%*s%s\n", n < 24 ? 24 - n : 1, "", rows[i].help);
    }
}
