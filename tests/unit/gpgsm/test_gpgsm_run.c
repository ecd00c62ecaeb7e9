/* SPDX-License-Identifier: MIT */
/* What is said and answered where no server is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gpgsm/gpgsm.h"
#include "program.h"
#include "temp_dir.h"

#define DONE    0
#define REFUSED 1
#define USE     2

static struct temp_dir dir;

static int run(int argc, char *const *argv, const struct chy_client_env *env,
               const struct program_streams *s)
{
    return chy_gpgsm_run(argc, argv, env, NULL, s->in, fileno(s->out), fileno(s->err));
}

#define RUN(...) program_run(run, dir.path, "data", (const char *const[]){ __VA_ARGS__, NULL })

static void test_run__version_and_help(void **state)
{
    (void)state;
    assert_int_equal(RUN("--version"), DONE);
    assert_non_null(strstr(out_text, "chancery-gpgsm (Chancery) "));
    assert_int_equal(RUN("--help"), DONE);
    assert_non_null(strstr(out_text, "--verify"));
    assert_string_equal(err_text, "");
}

static void test_run__wrong_use(void **state)
{
    (void)state;
    assert_int_equal(RUN("file"), USE);
    assert_non_null(strstr(err_text, "chancery-gpgsm: say what to do"));
    assert_int_equal(RUN("-s", "-u", "k"), USE); /* both in one is not made */
    assert_int_equal(RUN("-b", "-u", "k", "a", "b"), USE);
    assert_int_equal(RUN("--verify"), USE);
    assert_int_equal(RUN("--verify", "a", "b", "c"), USE);
    assert_int_equal(RUN("--status-fd=999", "-bu", "k"), USE);
    assert_int_equal(RUN("--encrypt"), USE);
    assert_non_null(strstr(err_text, "for the rest there is gpgsm\n"));
    assert_string_equal(out_text, "");
}

static void test_run__nobody_to_ask(void **state)
{
    (void)state;
    assert_int_equal(RUN("-b", "-u", "k"), REFUSED);
    assert_non_null(strstr(err_text, "Enrol with chancery enroll"));
}

/* Without it nothing is found good, and nothing bad. */
static void test_run__no_trust_file(void **state)
{
    (void)state;
    assert_int_equal(RUN("--verify", "/etc/passwd", "-"), USE);
    assert_non_null(strstr(err_text, "there is no trust file"));
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
        cmocka_unit_test(test_run__no_trust_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
