/* SPDX-License-Identifier: MIT */
/* The table of commands holds what everything that is derived from it takes for granted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

#define FOREACH_OPTION(c, o)                                 \
    for (const struct chy_cli_command *c = chy_cli_commands; \
         c < chy_cli_commands + chy_cli_commands_n; c++)     \
        for (const struct chy_cli_option *o = c->options;    \
             o != NULL && o < c->options + c->n_options; o++)

static void test_table__options_name_fields(void **state)
{
    (void)state;
    FOREACH_OPTION(c, o)
    {
        if (o->field != NULL && chy_cli_option_field(c, o) == NULL)
            fail_msg("%s %s: --%s names no field", c->noun, c->verb, o->name);
    }
}

static void test_table__switches_are_booleans(void **state)
{
    (void)state;
    FOREACH_OPTION(c, o)
    {
        const struct chy_field *f = chy_cli_option_field(c, o);
        if (f == NULL)
            continue;
        if ((o->arg == NULL) != (f->kind == CHY_KIND_BOOL))
            fail_msg("%s: --%s: a switch is a boolean, and nothing else is", c->noun, o->name);
        if (((o->flags & CHY_CLI_REPEATED) != 0) != (f->kind == CHY_KIND_STRS))
            fail_msg("%s: --%s: a list is repeated, and nothing else is", c->noun, o->name);
    }
}

/* What the server demands, the command line demands, unless the command's own code sees to it. */
static void test_table__required_fields_can_be_given(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        const struct chy_op_row *row = chy_op_row((int)c->op);
        if (row == NULL || c->run != chy_cli_run_operation)
            continue;
        for (size_t k = 0; k < row->request->n; k++) {
            const struct chy_field *f = &row->request->fields[k];
            bool is_there = (f->flags & CHY_REQUIRED) == 0;
            for (size_t m = 0; m < c->n_options; m++)
                is_there = is_there || (chy_cli_option_field(c, &c->options[m]) == f &&
                                        (c->options[m].flags & CHY_CLI_REQUIRED) != 0);
            if (!is_there)
                fail_msg("%s %s: nothing demands %s", c->noun, c->verb, f->name);
        }
    }
}

static void test_table__everything_has_help(void **state)
{
    (void)state;
    FOREACH_OPTION(c, o)
    assert_true(strlen(chy_cli_option_help(c, o)) > 2);
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        size_t n = strlen(chy_cli_commands[i].summary);
        assert_true(n > 5 && chy_cli_commands[i].summary[n - 1] != '.');
    }
}

static void test_table__names_are_unique(void **state)
{
    (void)state;
    FOREACH_OPTION(c, o)
    {
        for (const struct chy_cli_option *p = c->options; p < o; p++)
            assert_string_not_equal(p->name, o->name);
        for (size_t i = 0; i < chy_cli_globals_n; i++)
            assert_string_not_equal(chy_cli_globals[i].name, o->name);
    }
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        assert_ptr_equal(chy_cli_find(chy_str_of(c->noun), chy_str_of(c->verb)), c);
    }
}

/* After a positional that takes all that is left, or may be left out, none can be told apart. */
static void test_table__positionals_can_be_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        bool is_open = false;
        for (size_t k = 0; k < chy_cli_commands[i].n_options; k++) {
            const struct chy_cli_option *o = &chy_cli_commands[i].options[k];
            if ((o->flags & CHY_CLI_POSITIONAL) == 0)
                continue;
            assert_false(is_open);
            assert_non_null(o->arg);
            is_open = (o->flags & CHY_CLI_REPEATED) != 0 || (o->flags & CHY_CLI_REQUIRED) == 0;
        }
    }
}

static void test_table__views_name_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        const struct chy_op_row *row = chy_op_row((int)c->op);
        if (row == NULL || c->view == NULL || c->view->list == NULL)
            continue;
        const struct chy_field *list = chy_schema_field(row->response, chy_str_of(c->view->list));
        assert_non_null(list);
        assert_non_null(c->view->empty);
        for (size_t k = 0; k < c->view->n_columns; k++) {
            const struct chy_cli_column *column = &c->view->columns[k];
            assert_true(column->write != NULL ||
                        chy_schema_field(list->schema, chy_str_of(column->field)) != NULL);
        }
    }
}

/* An operation that nobody can call from here is forgotten, or named in this list. */
static void test_table__every_operation_has_a_command(void **state)
{
    (void)state;
    static const enum chy_op elsewhere[] = {
        CHY_OP_HELLO,          CHY_OP_ENROLL,   CHY_OP_RENEW,       CHY_OP_SIGN,
        CHY_OP_LOG_CHECKPOINT, CHY_OP_LOG_TILE, CHY_OP_LOG_ENTRIES,
    };
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        bool is_there = false;
        for (size_t k = 0; k < chy_cli_commands_n; k++)
            is_there = is_there || chy_cli_commands[k].op == chy_op_rows[i].op;
        for (size_t k = 0; k < CHY_ARRAY_LEN(elsewhere); k++)
            is_there = is_there || elsewhere[k] == chy_op_rows[i].op;
        if (!is_there)
            fail_msg("no command calls %s", chy_op_rows[i].id);
    }
}

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void print_bash(FILE *out)
{
    assert_true(chy_cli_print_completion(out, CHY_STR("bash")));
}
static void print_zsh(FILE *out)
{
    assert_true(chy_cli_print_completion(out, CHY_STR("zsh")));
}
static void print_fish(FILE *out)
{
    assert_true(chy_cli_print_completion(out, CHY_STR("fish")));
}

/* Names of options as each form writes them. */
static void assert_has_all(char *text, const char *prefix)
{
    FOREACH_OPTION(c, o)
    {
        char name[64];
        if ((o->flags & CHY_CLI_POSITIONAL) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%s%s", prefix, o->name);
        if (strstr(text, name) == NULL)
            fail_msg("%s is missing", name);
    }
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        assert_non_null(strstr(text, chy_cli_commands[i].noun));
        if (chy_cli_commands[i].verb != NULL)
            assert_non_null(strstr(text, chy_cli_commands[i].verb));
    }
    free(text);
}

static void test_completion__has_everything(void **state)
{
    (void)state;
    assert_has_all(printed(print_bash), "--");
    assert_has_all(printed(print_zsh), "--");
    assert_has_all(printed(print_fish), "-l ");
}

static void test_completion__other_shells(void **state)
{
    (void)state;
    assert_false(chy_cli_print_completion(stderr, CHY_STR("csh")));
}

/* In the page a "-" is written "\-". */
static void test_man__has_everything(void **state)
{
    (void)state;
    char *page = printed(chy_cli_print_man);
    FOREACH_OPTION(c, o)
    {
        char name[160];
        size_t n = 0;
        bool is_positional = (o->flags & CHY_CLI_POSITIONAL) != 0;
        n += (size_t)snprintf(name, sizeof name, ".It %s \"", is_positional ? "Ar" : "Fl Fl");
        for (const char *p = o->name; *p != '\0'; p++)
            n += (size_t)snprintf(name + n, sizeof name - n, "%s%c", *p == '-' ? "\\" : "", *p);
        (void)snprintf(name + n, sizeof name - n, "\"");
        if (strstr(page, name) == NULL)
            fail_msg("%s is missing", name);
    }
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        char name[64];
        const char *verb = chy_cli_commands[i].verb;
        (void)snprintf(name, sizeof name, ".It Nm Cm %s%s%s\n", chy_cli_commands[i].noun,
                       verb != NULL ? " " : "", verb != NULL ? verb : "");
        assert_non_null(strstr(page, name));
    }
    free(page);
}

static void test_man__has_every_setting(void **state)
{
    (void)state;
    char *page = printed(chy_cli_print_config_man);
    for (size_t i = 0; i < chy_profile_schema.n; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, ".It Ic %s\n", chy_profile_schema.fields[i].name);
        assert_non_null(strstr(page, name));
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__options_name_fields),
        cmocka_unit_test(test_table__switches_are_booleans),
        cmocka_unit_test(test_table__required_fields_can_be_given),
        cmocka_unit_test(test_table__everything_has_help),
        cmocka_unit_test(test_table__names_are_unique),
        cmocka_unit_test(test_table__positionals_can_be_told_apart),
        cmocka_unit_test(test_table__views_name_fields),
        cmocka_unit_test(test_table__every_operation_has_a_command),
        cmocka_unit_test(test_completion__has_everything),
        cmocka_unit_test(test_completion__other_shells),
        cmocka_unit_test(test_man__has_everything),
        cmocka_unit_test(test_man__has_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
