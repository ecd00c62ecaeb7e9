/* SPDX-License-Identifier: MIT */
/* What is said and answered where no server is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "gpg/gpg.h"

static char home[] = "/tmp/chancery-gpg-XXXXXX";
static char out[8192];
static char said[8192];

static void read_back(int fd, char *text, size_t size)
{
    ssize_t n = pread(fd, text, size - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static int run(char *const *argv)
{
    const struct chy_client_env env = { .home = home };
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    int o = memfd_create("out", MFD_CLOEXEC);
    int e = memfd_create("err", MFD_CLOEXEC);
    assert_true(o >= 0 && e >= 0);
    int code = chy_gpg_run(argc, argv, &env, STDIN_FILENO, o, e);
    read_back(o, out, sizeof out);
    read_back(e, said, sizeof said);
    return code;
}

#define RUN(...) run((char *const[]){ CHY_UNCONST(char, "gpg"), __VA_ARGS__, NULL })
#define W(text)  CHY_UNCONST(char, text)

static void test_run__version_and_help(void **state)
{
    (void)state;
    assert_int_equal(RUN(W("--version")), CHY_GPG_DONE);
    assert_non_null(strstr(out, "chancery-gpg (Chancery) "));
    assert_int_equal(RUN(W("--help")), CHY_GPG_DONE);
    assert_non_null(strstr(out, "--clear-sign"));
    assert_string_equal(said, "");
}

static void test_run__wrong_use(void **state)
{
    (void)state;
    assert_int_equal(RUN(W("file")), CHY_GPG_USE);
    assert_non_null(strstr(said, "chancery-gpg: say what to do"));
    assert_int_equal(RUN(W("--encrypt")), CHY_GPG_USE);
    assert_int_equal(RUN(W("-b"), W("a"), W("b")), CHY_GPG_USE);
    assert_int_equal(RUN(W("-b"), W("--textmode"), W("a")), CHY_GPG_USE);
    assert_int_equal(RUN(W("-b"), W("--status-fd"), W("x"), W("a")), CHY_GPG_USE);
    assert_int_equal(RUN(W("-b"), W("--status-fd"), W("999"), W("a")), CHY_GPG_USE);
    assert_int_equal(RUN(W("-b"), W("--status-fd"), W("99999999999999"), W("a")), CHY_GPG_USE);
    assert_int_equal(RUN(W("--quick-certify"), W("k")), CHY_GPG_USE);
    assert_int_equal(RUN(W("--quick-certify"), W("k"), W("two\nlines")), CHY_GPG_USE);
}

static void test_run__nobody_to_ask(void **state)
{
    (void)state;
    assert_int_equal(RUN(W("-b"), W("-u"), W("k"), W("/etc/passwd")), CHY_GPG_REFUSED);
    assert_non_null(strstr(said, "Enrol with chancery enroll"));
}

/* One line each, whatever is in the words. */
static void test_run__nothing_steers_the_terminal(void **state)
{
    (void)state;
    assert_int_equal(RUN(W("--\x1b[31m\n[GNUPG:] X")), CHY_GPG_USE);
    assert_null(strchr(said, '\x1b'));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(home) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(home);
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
