/* SPDX-License-Identifier: MIT */
/* What is said and answered where no server is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpg/gpg.h"
#include "program.h"
#include "temp_dir.h"

static struct temp_dir dir;

static int run(int argc, char *const *argv, const struct chy_client_env *env,
               const struct program_streams *s)
{
    return chy_gpg_run(argc, argv, env, s->in, fileno(s->out), fileno(s->err));
}

#define RUN(...) program_run(run, dir.path, "", (const char *const[]){ __VA_ARGS__, NULL })

static void test_run__version_and_help(void **state)
{
    (void)state;
    assert_int_equal(RUN("--version"), CHY_GPG_DONE);
    assert_non_null(strstr(out_text, "chancery-gpg (Chancery) "));
    assert_int_equal(RUN("--help"), CHY_GPG_DONE);
    assert_non_null(strstr(out_text, "--clear-sign"));
    assert_string_equal(err_text, "");
}

static void test_run__wrong_use(void **state)
{
    (void)state;
    assert_int_equal(RUN("file"), CHY_GPG_USE);
    assert_non_null(strstr(err_text, "chancery-gpg: say what to do"));
    assert_int_equal(RUN("--encrypt"), CHY_GPG_USE);
    assert_int_equal(RUN("-b", "a", "b"), CHY_GPG_USE);
    assert_int_equal(RUN("-b", "--textmode", "a"), CHY_GPG_USE);
    assert_int_equal(RUN("-b", "--status-fd", "x", "a"), CHY_GPG_USE);
    assert_int_equal(RUN("-b", "--status-fd", "999", "a"), CHY_GPG_USE);
    assert_int_equal(RUN("-b", "--status-fd", "99999999999999", "a"), CHY_GPG_USE);
    assert_int_equal(RUN("--quick-certify", "k"), CHY_GPG_USE);
    assert_int_equal(RUN("--quick-certify", "k", "two\nlines"), CHY_GPG_USE);
}

static void test_run__nobody_to_ask(void **state)
{
    (void)state;
    assert_int_equal(RUN("-b", "-u", "k", "/etc/passwd"), CHY_GPG_REFUSED);
    assert_non_null(strstr(err_text, "Enrol with chancery enroll"));
}

/* One line each, whatever is in the words. */
static void test_run__nothing_steers_the_terminal(void **state)
{
    (void)state;
    assert_int_equal(RUN("--\x1b[31m\n[GNUPG:] X"), CHY_GPG_USE);
    assert_null(strchr(err_text, '\x1b'));
    assert_ptr_equal(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    program_done();
    temp_dir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__version_and_help),
        cmocka_unit_test(test_run__wrong_use),
        cmocka_unit_test(test_run__nobody_to_ask),
        cmocka_unit_test(test_run__nothing_steers_the_terminal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
