/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/args.h"

static struct chy_arena arena;
static struct chy_cli_args args;
static struct chy_error err;

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

#define WORDS_MAX 16

/* Words are separated by one blank. */
static enum chy_err parse(const char *line)
{
    static char text[512];
    static char *argv[WORDS_MAX + 1];
    int argc = 0;
    (void)snprintf(text, sizeof text, "chancery %s", line);
    for (char *p = text; p != NULL && argc < WORDS_MAX; argc++) {
        argv[argc] = p;
        p = strchr(p, ' ');
        if (p != NULL)
            *p++ = '\0';
    }
    argv[argc] = NULL;
    return chy_cli_args_parse(argc, argv, &arena, &args, &err);
}

static void assert_arg(const char *name, const char *expected)
{
    if (!chy_str_equal_c(chy_cli_arg(&args, name), expected))
        fail_msg("%s is \"%.*s\", not \"%s\"", name, CHY_STR_ARG(chy_cli_arg(&args, name)),
                 expected);
}

static void test_parse__a_command(void **state)
{
    (void)state;
    assert_int_equal(parse("keys create k --type p256 --group=a --group b --allow-rsa-2048"),
                     CHY_OK);
    assert_string_equal(args.command->noun, "keys");
    assert_string_equal(args.command->verb, "create");
    assert_arg("NAME", "k");
    assert_arg("type", "p256");
    assert_int_equal(chy_cli_arg_count(&args, "group"), 2);
    assert_true(chy_cli_has(&args, "allow-rsa-2048"));
    assert_false(chy_cli_has(&args, "json"));
}

/* Options may stand anywhere, and values may look like commands. */
static void test_parse__order_is_free(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--profile p keys show k --json",
        "keys --profile p show --json k",
        "--json keys show --profile=p k",
        "keys show k --profile p --json",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lines); i++) {
        assert_int_equal(parse(lines[i]), CHY_OK);
        assert_string_equal(args.command->verb, "show");
        assert_arg("profile", "p");
        assert_arg("NAME", "k");
        assert_true(chy_cli_has(&args, "json"));
    }
    assert_int_equal(parse("--profile keys keys show k"), CHY_OK);
    assert_arg("profile", "keys");
}

static void test_parse__double_dash(void **state)
{
    (void)state;
    assert_int_equal(parse("sign --key k -- --raw -"), CHY_OK);
    assert_int_equal(chy_cli_arg_count(&args, "FILE"), 2);
    assert_arg("FILE", "--raw");
    assert_false(chy_cli_has(&args, "raw"));
    assert_false(args.wants_help);
}

static void test_parse__empty_values(void **state)
{
    (void)state;
    assert_int_equal(parse("keys create k --type="), CHY_OK);
    assert_true(chy_cli_has(&args, "type"));
    assert_arg("type", "");
}

static void test_parse__noun_alone(void **state)
{
    (void)state;
    assert_int_equal(parse("whoami"), CHY_OK);
    assert_null(args.command->verb);
    assert_int_equal(parse("enroll"), CHY_OK);
}

static void test_parse__no_secret_in_an_argument(void **state)
{
    (void)state;
    assert_int_equal(parse("enroll CODE"), CHY_E_ARG);
}

static void test_parse__noun_and_its_positional(void **state)
{
    (void)state;
    assert_int_equal(parse("keys show k"), CHY_OK);
    assert_arg("NAME", "k");
}

static void test_parse__help(void **state)
{
    (void)state;
    static const char *const lines[] = { "--help", "keys --help", "keys nonsense --help",
                                         "keys create --help", "-h" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lines); i++) {
        assert_int_equal(parse(lines[i]), CHY_OK);
        assert_true(args.wants_help);
    }
    assert_int_equal(parse("keys create --help"), CHY_OK);
    assert_string_equal(args.command->verb, "create");
}

static void test_parse__wrong(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *part;
    } rows[] = {
        { "nonsense", "no command \"nonsense\"" },
        { "keys", "keys what?" },
        { "keys nonsense", "it knows: list, show" },
        { "keys show", "NAME is missing" },
        { "keys create k", "--type TYPE is missing" },
        { "keys show k l", "one word too many" },
        { "keys show k --nonsense", "no option --nonsense" },
        { "keys show k -x", "no option -x" },
        { "keys show k --json=yes", "takes no value" },
        { "keys show k --profile", "needs a value" },
        { "keys show k --profile a --profile b", "given twice" },
        { "keys show k --json --json", "given twice" },
        { "whoami now", "one word too many" },
        { "keys show k --js", "no option --js" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(parse(rows[i].line), CHY_E_ARG);
        if (strstr(err.text, rows[i].part) == NULL)
            fail_msg("\"%s\": no \"%s\" in \"%s\"", rows[i].line, rows[i].part, err.text);
    }
}

static void test_parse__limit(void **state)
{
    (void)state;
    static char *argv[CHY_LIMIT_ARGUMENTS + 3];
    static char sign[] = "sign", key[] = "--key=k", file[] = "f";
    for (size_t i = 0; i < CHY_ARRAY_LEN(argv); i++)
        argv[i] = file;
    argv[1] = sign;
    argv[2] = key;
    assert_int_equal(chy_cli_args_parse(CHY_LIMIT_ARGUMENTS + 1, argv, &arena, &args, &err),
                     CHY_OK);
    assert_int_equal(chy_cli_arg_count(&args, "FILE"), CHY_LIMIT_ARGUMENTS - 2);
    assert_int_equal(chy_cli_args_parse(CHY_LIMIT_ARGUMENTS + 2, argv, &arena, &args, &err),
                     CHY_E_LIMIT);
}

static void test_parse__no_memory(void **state)
{
    (void)state;
    chy_mem_fail_after(0);
    enum chy_err r = parse("whoami");
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
}

static enum chy_err fill(const char *line, void *request)
{
    assert_int_equal(parse(line), CHY_OK);
    return chy_cli_args_fill(&args, chy_op_row((int)args.command->op)->request, &arena, request,
                             &err);
}

static void test_fill__a_request(void **state)
{
    (void)state;
    struct chy_key_create r = { 0 };
    assert_int_equal(fill("keys create k --type rsa-4096 --group a --group b --owner group:o "
                          "--purpose release --allow-rsa-2048",
                          &r),
                     CHY_OK);
    assert_true(chy_str_equal_c(r.name, "k"));
    assert_int_equal(r.type, CHY_KEY_RSA_4096);
    assert_int_equal(r.groups.n, 2);
    assert_true(chy_str_equal_c(r.groups.p[1], "b"));
    assert_true(chy_str_equal_c(r.owners.p[0], "group:o"));
    assert_true(r.allow_rsa_2048);
    assert_true(chy_str_equal_c(r.purpose, "release"));
    struct chy_log_query q = { 0 };
    assert_int_equal(fill("log list --after 7 --limit 1000 --digest AbCd", &q), CHY_OK);
    assert_int_equal(q.after, 7);
    assert_int_equal(q.limit, 1000);
    assert_int_equal(q.digest.n, 2);
}

static void test_fill__wrong_values(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *part;
    } rows[] = {
        { "keys create k --type dsa", "--type" },
        { "keys create k --type=", "--type" },
        { "log list --limit 1001", "--limit" },
        { "log list --after -1", "--after" },
        { "log list --after 9223372036854775808", "--after" },
        { "log show x", "INDEX" },
        { "users revoke-token u 12", "ID" },
        { "users code u --minutes 10081", "--minutes" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        static uint64_t request[128];
        memset(request, 0, sizeof request);
        assert_int_equal(fill(rows[i].line, request), CHY_E_ARG);
        if (strstr(err.text, rows[i].part) == NULL)
            fail_msg("\"%s\": no \"%s\" in \"%s\"", rows[i].line, rows[i].part, err.text);
    }
}

static void test_fill__long_name(void **state)
{
    (void)state;
    char line[CHY_LIMIT_NAME + 32];
    struct chy_key_name r = { 0 };
    int n = snprintf(line, sizeof line, "keys show ");
    memset(line + n, 'k', CHY_LIMIT_NAME + 1);
    line[n + CHY_LIMIT_NAME + 1] = '\0';
    assert_int_equal(fill(line, &r), CHY_E_ARG);
    line[n + CHY_LIMIT_NAME] = '\0';
    assert_int_equal(fill(line, &r), CHY_OK);
}

static void test_fill__content_of_a_file(void **state)
{
    (void)state;
    struct chy_policy_apply r = { 0 };
    assert_int_equal(fill("policies apply /no/such/file", &r), CHY_E_NOT_FOUND);
    assert_int_equal(fill("policies apply /dev/null", &r), CHY_E_IO); /* no regular file */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_parse__a_command),
        T(test_parse__order_is_free),
        T(test_parse__double_dash),
        T(test_parse__empty_values),
        T(test_parse__noun_alone),
        T(test_parse__no_secret_in_an_argument),
        T(test_parse__noun_and_its_positional),
        T(test_parse__help),
        T(test_parse__wrong),
        T(test_parse__limit),
        T(test_parse__no_memory),
        T(test_fill__a_request),
        T(test_fill__wrong_values),
        T(test_fill__long_name),
        T(test_fill__content_of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
