/* SPDX-License-Identifier: MIT */
/* The program as it is run, where no server is needed: exit codes, and the log verified offline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "log_export.h"
#include "os/file.h"
#include "program.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct export e;
static char vkey[256];

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    export_init(&e);
    export_add_usual(&e);
    export_write(&e, e.n);
    struct chy_log_source from = export_source(&e);
    struct chy_log_copied copied;
    assert_int_equal(chy_log_copy(&from, dir.fd, &copied, NULL), CHY_OK);
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, sizeof vkey);
    assert_true(chy_tlog_vkey_append(&text, &e.key));
    (void)snprintf(vkey, sizeof vkey, "--key=%.*s", CHY_STR_ARG(chy_buf_str(&text)));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    program_done();
    export_done(&e);
    temp_dir_remove(&dir);
    return 0;
}

static int run(int argc, char *const *argv, const struct chy_client_env *env,
               const struct program_streams *streams)
{
    struct chy_client_env own = *env;
    return chy_cli_run(argc, argv, &own, streams->out, streams->err);
}

#define RUN(...) program_run(run, dir.path, "", (const char *const[]){ __VA_ARGS__, NULL })

static void put(const char *path, const struct chy_buf *content)
{
    assert_int_equal(chy_file_replace(dir.fd, path, chy_buf_bytes(content), 0644, NULL), CHY_OK);
}

static void test_verify__good(void **state)
{
    (void)state;
    assert_int_equal(RUN("log", "verify", dir.path, vkey), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, "verified " EXPORT_ORIGIN ": 5 entries"));
    assert_non_null(strstr(out_text, "1 signatures, 1 refusals"));
    assert_string_equal(err_text, "");
}

static void test_verify__json(void **state)
{
    (void)state;
    assert_int_equal(RUN("log", "verify", dir.path, vkey, "--json"), CHY_CLI_DONE);
    assert_int_equal(out_text[0], '{');
    assert_non_null(strstr(out_text, "\"is_verified\": true"));
    assert_non_null(strstr(out_text, "\"size\": 5"));
}

static void test_verify__changed(void **state)
{
    (void)state;
    struct chy_buf *bundle = &export_find(&e, "tile/entries/000.p/5")->content;
    bundle->p[bundle->n - 1] ^= 1;
    put("tile/entries/000.p/5", bundle);
    assert_int_equal(RUN("log", "verify", dir.path, vkey), CHY_CLI_REFUSED);
    assert_non_null(strstr(out_text, "entry 4 "));
    assert_non_null(strstr(out_text, "NOT VERIFIED\n"));
    assert_int_equal(RUN("log", "verify", dir.path, vkey, "--json"), CHY_CLI_REFUSED);
    assert_non_null(strstr(out_text, "\"is_verified\": false"));
}

static void test_verify__known(void **state)
{
    (void)state;
    char path[128];
    CHY_CLEANUP(chy_buf_done) struct chy_buf receipt;
    chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
    export_receipt(&e, 2, 4, &receipt);
    put("receipt", &receipt);
    (void)snprintf(path, sizeof path, "%s/receipt", dir.path);
    assert_int_equal(RUN("log", "verify", dir.path, vkey, "--known", path), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, "all 1 known"));
    receipt.p[receipt.n - 9] ^= 1;
    put("receipt", &receipt);
    assert_int_equal(RUN("log", "verify", dir.path, vkey, "--known", path), CHY_CLI_REFUSED);
    assert_int_equal(RUN("log", "verify", dir.path, vkey, "--known", "/no/such"), CHY_CLI_REFUSED);
    assert_non_null(strstr(err_text, "/no/such"));
}

static void test_verify__wrong_use(void **state)
{
    (void)state;
    assert_int_equal(RUN("log", "verify"), CHY_CLI_USE);
    assert_int_equal(RUN("log", "verify", dir.path, "--server", vkey), CHY_CLI_USE);
    assert_int_equal(RUN("log", "verify", dir.path), CHY_CLI_USE); /* no key is known */
    assert_int_equal(RUN("log", "verify", dir.path, "--key=nonsense"), CHY_CLI_USE);
    assert_int_equal(RUN("log", "verify", "/no/such", vkey), CHY_CLI_REFUSED);
}

static void test_help__exit_codes(void **state)
{
    (void)state;
    assert_int_equal(program_run(run, dir.path, "", (const char *const[]){ NULL }), CHY_CLI_USE);
    assert_int_equal(RUN("help"), CHY_CLI_DONE);
    assert_int_equal(RUN("--help"), CHY_CLI_DONE);
    assert_int_equal(RUN("help", "keys", "create"), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, "--type TYPE"));
    assert_int_equal(RUN("help", "nonsense"), CHY_CLI_USE);
    assert_int_equal(RUN("help", "--completion", "csh"), CHY_CLI_USE);
    assert_int_equal(RUN("nonsense"), CHY_CLI_USE);
    assert_string_equal(out_text, "");
}

static void test_commands__without_a_server(void **state)
{
    (void)state;
    assert_int_equal(RUN("keys", "list"), CHY_CLI_REFUSED);
    assert_non_null(strstr(err_text, "names no server. Enrol with chancery enroll, or"));
    assert_int_equal(RUN("version"), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, CHY_VERSION));
}

static void test_roles__list(void **state)
{
    (void)state;
    assert_int_equal(RUN("roles", "list"), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, "policy-author\n"));
    assert_non_null(strstr(out_text, "  policies.apply\n"));
    assert_int_equal(RUN("roles", "list", "--json"), CHY_CLI_DONE);
    assert_non_null(strstr(out_text, "\"auditor\""));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_verify__good),
        T(test_verify__json),
        T(test_verify__changed),
        T(test_verify__known),
        T(test_verify__wrong_use),
        T(test_help__exit_codes),
        T(test_commands__without_a_server),
        T(test_roles__list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
