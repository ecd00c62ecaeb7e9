/* SPDX-License-Identifier: MIT */
/* What chancery sign takes for a file to sign: what each is that it is given, and where the signed
 * one goes. Nothing is signed here, and nothing is changed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "cli/sign/files.h"
#include "crypto/init.h"
#include "os/fd.h"
#include "os/file.h"
#include "temp_dir.h"

#define NOBODY    65534
#define WORDS_MAX 8

static struct temp_dir dir;
static char here[CHY_LIMIT_PATH];
static struct chy_cli cli;
static struct chy_cli_args args;
static struct sign_run run;
static struct chy_error err;

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir.path), 0);
    cli = (struct chy_cli){ .out = stdout, .err = fopen("/dev/null", "we") };
    assert_non_null(cli.err);
    chy_arena_init(&cli.arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&cli.arena);
    (void)fclose(cli.err);
    assert_int_equal(chdir(here), 0);
    temp_dir_remove(&dir);
    return 0;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(chy_file_replace(dir.fd, name, chy_str_bytes(chy_str_of(text)), 0640, NULL),
                     CHY_OK);
}

/* "chancery sign --key k" and these words, which end with NULL. */
static enum chy_err read_words(const char *const *words)
{
    const char *argv[WORDS_MAX + 4] = { "chancery", "sign", "--key", "k" };
    int argc = 4;
    for (; words[argc - 4] != NULL; argc++)
        argv[argc] = words[argc - 4];
    assert_int_equal(
        chy_cli_args_parse(argc, CHY_UNCONST(char *const, argv), &cli.arena, &args, &err), CHY_OK);
    run = (struct sign_run){ .cli = &cli, .args = &args, .key = CHY_STR("k"), .jobs = 2 };
    return sign_inputs_read(&run, &err);
}
#define READ(...) read_words((const char *const[]){ __VA_ARGS__, NULL })

static void assert_failed(size_t i, const char *why)
{
    const struct sign_result *r = &run.files[i].result;
    assert_int_equal(r->state, SIGN_FAILED);
    if (strstr(r->detail.p, why) == NULL)
        fail_msg("%.*s: \"%.*s\" does not say \"%s\"", CHY_STR_ARG(r->file), CHY_STR_ARG(r->detail),
                 why);
}

static void assert_waits(size_t i, const char *path, const char *out)
{
    const struct sign_file *f = &run.files[i];
    char full[CHY_LIMIT_PATH];
    if (f->result.state != SIGN_WAITING)
        fail_msg("%.*s: %.*s", CHY_STR_ARG(f->result.file), CHY_STR_ARG(f->result.detail));
    (void)snprintf(full, sizeof full, "%s/%s", dir.path, path);
    assert_string_equal(f->path, full);
    (void)snprintf(full, sizeof full, "%s/%s", dir.path, out);
    assert_string_equal(f->out, full);
}

static void test_read__a_file(void **state)
{
    (void)state;
    put("a", "what is signed");
    assert_int_equal(READ("a"), CHY_OK);
    assert_waits(0, "a", "a.p7s");
    assert_string_equal(run.files[0].tool->name, "cms");
    assert_int_equal(run.files[0].mode, 0640);
    assert_null(run.files[0].look);
}

static void test_read__nothing_is_there(void **state)
{
    (void)state;
    assert_int_equal(READ("none", ""), CHY_OK);
    assert_failed(0, "No such file");
    assert_failed(1, "No such file");
}

/* None of them is waited for, and the file between them is read. */
static void test_read__what_is_no_regular_file(void **state)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "socket" };
    (void)state;
    CHY_CLEANUP(chy_fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    put("a", "what is signed");
    assert_int_equal(READ("pipe", "folder", "/dev/zero", "a", "/dev/tty", "socket"), CHY_OK);
    assert_failed(0, "is not a regular file");
    assert_failed(1, "it is a folder: give the files in it");
    assert_failed(2, "is not a regular file");
    assert_waits(3, "a", "a.p7s");
    assert_int_equal(run.files[4].result.state, SIGN_FAILED);
    assert_failed(5, "socket");
}

static void test_read__links(void **state)
{
    (void)state;
    put("a", "what is signed");
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("../a", "folder/link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("folder", "to-folder"), 0);
    assert_int_equal(READ("folder/link", "dangling", "loop", "to-folder"), CHY_OK);
    assert_waits(0, "a", "a.p7s"); /* beside what the link leads to */
    assert_failed(1, "No such file");
    assert_failed(2, "symbolic links");
    assert_failed(3, "it is a folder");
    assert_int_equal(READ("a", "folder/link"), CHY_E_ARG);
    assert_non_null(strstr(err.text, "would both become"));
}

/* Two names of one file are two files: each gets its own signature. */
static void test_read__hard_links(void **state)
{
    (void)state;
    put("a", "what is signed");
    assert_int_equal(link("a", "b"), 0);
    assert_int_equal(READ("a", "b"), CHY_OK);
    assert_waits(0, "a", "a.p7s");
    assert_waits(1, "b", "b.p7s");
}

static void test_read__a_file_that_may_only_be_read(void **state)
{
    (void)state;
    put("a", "what is signed");
    assert_int_equal(chmod("a", 0400), 0);
    assert_int_equal(READ("a"), CHY_OK);
    assert_waits(0, "a", "a.p7s");
    assert_int_equal(run.files[0].mode, 0400);
}

/* Root may do all of it: then it is done as somebody else. */
static void test_read__what_may_not_be_done(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    put("secret", "what nobody may read");
    put("a", "what is signed");
    assert_int_equal(chmod("secret", 0), 0);
    assert_int_equal(chmod("a", 0444), 0);
    assert_int_equal(mkdir("closed", 0), 0);
    assert_int_equal(chmod(".", 0555), 0);
    if (is_root)
        assert_int_equal(seteuid(NOBODY), 0);
    enum chy_err r = READ("secret", "closed/a", "a");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(".", 0700), 0);
    assert_int_equal(chmod("closed", 0700), 0);
    assert_int_equal(r, CHY_OK);
    assert_failed(0, "Permission denied");
    assert_failed(1, "Permission denied");
    assert_failed(2, "Permission denied"); /* nothing can be put beside it */
}

static void test_read__force(void **state)
{
    (void)state;
    put("a", "what is signed");
    put("a.p7s", "a signature");
    assert_int_equal(READ("a"), CHY_OK);
    assert_failed(0, "it is signed already; with --force ");
    assert_int_equal(READ("--force", "a"), CHY_OK);
    assert_waits(0, "a", "a.p7s");
    assert_true(run.files[0].result.was_signed);
    assert_int_equal(READ("--out", "elsewhere", "a"), CHY_OK);
    assert_waits(0, "a", "elsewhere");
}

static void test_read__one_that_begins_as_what_it_is_not(void **state)
{
    (void)state;
    put("a", "PK\003\004");
    assert_int_equal(READ("a"), CHY_OK);
    assert_failed(0, "--detached beside it");
    assert_int_equal(READ("--detached", "a"), CHY_OK);
    assert_waits(0, "a", "a.p7s");
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_read__a_file),
        T(test_read__nothing_is_there),
        T(test_read__what_is_no_regular_file),
        T(test_read__links),
        T(test_read__hard_links),
        T(test_read__a_file_that_may_only_be_read),
        T(test_read__what_may_not_be_done),
        T(test_read__force),
        T(test_read__one_that_begins_as_what_it_is_not),
    };
    if (kernel_skips_all())
        return 0;
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
