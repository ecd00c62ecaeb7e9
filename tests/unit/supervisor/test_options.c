/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/options.h"

static const struct command commands[] = {
    { NULL, NULL, "--config FILE", "serve", OPTION_CONFIG | OPTION_ACCEPT_OLDER_STORE, 0,
      OPTION_CONFIG },
    { "make", NULL, "make", "make one", OPTION_DATA | OPTION_LISTEN | OPTION_NAME | OPTION_JSON, 0,
      OPTION_DATA },
    { "copy", NULL, "copy", "copy one", OPTION_DATA | OPTION_CONFIG | OPTION_TO,
      OPTION_DATA | OPTION_CONFIG, OPTION_TO },
};

static enum chy_err parse(const char *const *words, size_t n, const struct command **ret_command,
                          struct options *ret_options, struct chy_error *err)
{
    return options_parse(commands, CHY_ARRAY_LEN(commands), words, n, ret_command, ret_options,
                         err);
}

#define WORDS(...)                        \
    (const char *const[]){ __VA_ARGS__ }, \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)

static void test_options_parse__the_server(void **state)
{
    const struct command *command;
    struct options o;
    (void)state;
    assert_int_equal(parse(WORDS("--config", "a", "--accept-older-store"), &command, &o, NULL),
                     CHY_OK);
    assert_ptr_equal(command, &commands[0]);
    assert_string_equal(o.config, "a");
    assert_true(o.accept_older_store);
    assert_false(o.json);
}

static void test_options_parse__values_behind_a_sign_or_as_the_next_word(void **state)
{
    const struct command *command;
    struct options o;
    (void)state;
    assert_int_equal(
        parse(WORDS("make", "--data=a=b", "--name", "x", "--name=y", "--json"), &command, &o, NULL),
        CHY_OK);
    assert_ptr_equal(command, &commands[1]);
    assert_string_equal(o.data, "a=b");
    assert_int_equal(o.names.n, 2);
    assert_string_equal(o.names.p[0], "x");
    assert_string_equal(o.names.p[1], "y");
    assert_true(o.json);
}

static void refused(const char *const *words, size_t n, const char *text)
{
    const struct command *command = NULL;
    struct options o;
    struct chy_error err;
    assert_int_equal(parse(words, n, &command, &o, &err), CHY_E_ARG);
    assert_null(command);
    if (strstr(err.text, text) == NULL)
        fail_msg("\"%s\" has no \"%s\"", err.text, text);
}

static void test_options_parse__refuses(void **state)
{
    (void)state;
    const struct command *command = NULL;
    struct options o;
    assert_int_equal(parse(NULL, 0, &command, &o, NULL), CHY_E_ARG);
    refused(WORDS("--config"), "wants a value: FILE");
    refused(WORDS("--config", ""), "wants a value");
    refused(WORDS("--config="), "wants a value");
    refused(WORDS("--config", "a", "--config", "b"), "--config is given twice");
    refused(WORDS("--confi", "a"), "the server takes no --confi");
    refused(WORDS("--config", "a", "--json"), "the server takes no --json");
    refused(WORDS("--config", "a", "b"), "\"b\" is not an option");
    refused(WORDS("--config", "a", "--accept-older-store=1"), "takes no value");
    refused(WORDS("make"), "--data is needed");
    refused(WORDS("make", "--to", "x"), "make takes no --to");
    refused(WORDS("unmake"), "no command \"unmake\"");
    refused(WORDS("copy", "--to", "x"), "--config or --data is needed");
    refused(WORDS("copy", "--to", "x", "--data", "a", "--config", "b"), "only one of");
    refused(WORDS("copy", "--data", "a"), "--to is needed");
}

static void test_options_parse__as_many_names_as_fit(void **state)
{
    const char *words[CHY_OPTION_NAMES_MAX + 3] = { "make", "--data=d" };
    const struct command *command = NULL;
    struct options o;
    (void)state;
    for (size_t i = 2; i < CHY_ARRAY_LEN(words); i++)
        words[i] = "--name=x";
    assert_int_equal(parse(words, CHY_OPTION_NAMES_MAX + 2, &command, &o, NULL), CHY_OK);
    assert_int_equal(o.names.n, CHY_OPTION_NAMES_MAX);
    command = NULL;
    refused(words, CHY_OPTION_NAMES_MAX + 3, "more than");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_parse__the_server),
        cmocka_unit_test(test_options_parse__values_behind_a_sign_or_as_the_next_word),
        cmocka_unit_test(test_options_parse__refuses),
        cmocka_unit_test(test_options_parse__as_many_names_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
