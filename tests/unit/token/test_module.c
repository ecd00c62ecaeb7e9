/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "os/file.h"
#include "os/process.h"
#include "token_fixture.h"

#define NO_HASH ((struct chy_str){ NULL, 0 })

static struct fixture fx;

static int make(void **state)
{
    (void)state;
    fixture_make(&fx);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    fixture_remove(&fx);
    return 0;
}

static void test_module_open__wants_an_absolute_path_of_a_regular_file(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    struct chy_error err;
    assert_code(chy_module_open(CHY_STR("libsofthsm2.so"), NO_HASH, &m, &err), CHY_E_ARG);
    assert_text(err, "not an absolute path");
    assert_code(chy_module_open(CHY_STR(""), NO_HASH, &m, &err), CHY_E_ARG);
    assert_code(chy_module_open(CHY_STR("/nowhere/x.so"), NO_HASH, &m, &err), CHY_E_NOT_FOUND);
    assert_code(chy_module_open(CHY_STR("/dev/null"), NO_HASH, &m, &err), CHY_E_IO);
    assert_text(err, "not a regular file");
    assert_code(chy_module_open(chy_str_of(fx.dir), NO_HASH, &m, &err), CHY_E_IO);
    assert_null(m);
}

static void test_module_open__follows_no_link_and_waits_for_no_fifo(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    struct chy_error err;
    const char *link = fixture_path(&fx, "link.so");
    assert_int_equal(symlink(fx.softhsm, link), 0);
    assert_code(chy_module_open(chy_str_of(link), NO_HASH, &m, &err), CHY_E_IO);
    assert_text(err, "symbolic link");
    const char *fifo = fixture_path(&fx, "fifo.so");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_code(chy_module_open(chy_str_of(fifo), NO_HASH, &m, &err), CHY_E_IO);
}

static void test_module_open__stands_at_its_limit(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    struct chy_error err;
    const char *path = fixture_path(&fx, "large.so");
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_code(chy_module_open(chy_str_of(path), NO_HASH, &m, &err), CHY_E_IO);
    assert_text(err, "is empty");
    assert_int_equal(ftruncate(fd, (off_t)CHY_LIMIT_MODULE + 1), 0);
    assert_code(chy_module_open(chy_str_of(path), NO_HASH, &m, &err), CHY_E_LIMIT);
    assert_int_equal(ftruncate(fd, CHY_LIMIT_MODULE), 0);
    assert_code(chy_module_open(chy_str_of(path), NO_HASH, &m, &err), CHY_OK);
    chy_module_free(m);
    close(fd);
    unlink(path);
}

static void test_module_open__checks_the_hash(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    struct chy_error err;
    struct chy_str path = chy_str_of(fx.softhsm);
    char hash[65];
    memcpy(hash, fx.made.module_sha256, sizeof hash);
    assert_code(chy_module_open(path, chy_str_of(hash), &m, &err), CHY_OK);
    char again[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    chy_hex_encode((struct chy_bytes){ chy_module_sha256(m), CHY_HASH_BYTES }, again);
    assert_string_equal(again, hash);
    assert_null(chy_module_functions(m));
    chy_module_free(m);

    m = NULL;
    hash[63] = hash[63] == '0' ? '1' : '0';
    assert_code(chy_module_open(path, chy_str_of(hash), &m, &err), CHY_E_INTEGRITY);
    assert_text(err, fx.made.module_sha256);
    hash[63] = '\0';
    assert_code(chy_module_open(path, chy_str_of(hash), &m, &err), CHY_E_ARG);
    assert_null(m);
}

static void copy_file(const char *from, const char *to)
{
    struct chy_buf content;
    chy_buf_init(&content, CHY_LIMIT_MODULE);
    assert_code(chy_file_read(AT_FDCWD, from, &content, NULL), CHY_OK);
    assert_code(chy_file_replace(AT_FDCWD, to, chy_buf_bytes(&content), 0600, NULL), CHY_OK);
    chy_buf_done(&content);
}

/* What was hashed is what runs: the file is changed in place between the two. */
static void test_module_load__runs_the_bytes_that_were_hashed(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    struct chy_error err = { .text = "" };
    const char *path = fixture_path(&fx, "copy.so");
    copy_file(fx.softhsm, path);
    assert_code(chy_module_open(chy_str_of(path), chy_str_of(fx.made.module_sha256), &m, &err),
                CHY_OK);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_code(chy_module_load(m, NO_HASH, &err), CHY_OK);
    assert_non_null(chy_module_functions(m));
    assert_code(chy_module_load(m, NO_HASH, &err), CHY_E_STATE);
    chy_module_free(m);
}

static void test_module_load__refuses_what_is_no_module(void **state)
{
    (void)state;
    struct chy_error err;
    struct chy_module *m = NULL;
    const char *text = fixture_path(&fx, "softhsm2.conf");
    assert_code(chy_module_open(chy_str_of(text), NO_HASH, &m, &err), CHY_OK);
    assert_code(chy_module_load(m, NO_HASH, &err), CHY_E_TOKEN);
    assert_text(err, "cannot load the PKCS#11 module");
    chy_module_free(m);

    Dl_info library;
    assert_true(dladdr((void *)(uintptr_t)_cmocka_run_group_tests, &library) != 0);
    char *path = realpath(library.dli_fname, NULL);
    assert_non_null(path);
    m = NULL;
    assert_code(chy_module_open(chy_str_of(path), NO_HASH, &m, &err), CHY_OK);
    assert_code(chy_module_load(m, NO_HASH, &err), CHY_E_TOKEN);
    assert_text(err, "C_GetFunctionList");
    chy_module_free(m);
    free(path);
}

static void test_module_load__tells_of_a_lock_it_cannot_take(void **state)
{
    (void)state;
    struct chy_error err;
    struct chy_module *m = NULL;
    assert_code(chy_module_open(chy_str_of(fx.softhsm), NO_HASH, &m, &err), CHY_OK);
    assert_code(chy_module_load(m, CHY_STR("/nowhere/lock"), &err), CHY_E_NOT_FOUND);
    chy_module_free(m);
}

/* SoftHSM loses sight of its token when processes log in at once; the lock is against that. */
static void test_module_load__starts_many_processes_at_once(void **state)
{
    (void)state;
    enum {
        COUNT = 12
    };
    struct chy_process children[COUNT];
    struct chy_bytes pin = chy_secret_bytes(fx.pin);
    char pin_text[64];
    assert_true(pin.n < sizeof pin_text);
    memcpy(pin_text, pin.p, pin.n); /* a secret is wiped in a child */
    int gate[2];
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    for (int i = 0; i < COUNT; i++) {
        bool is_child = false;
        assert_code(chy_process_fork(&children[i], &is_child, NULL), CHY_OK);
        if (is_child) {
            char go;
            close(gate[1]);
            CHY_IGNORE(read(gate[0], &go, 1)); /* until the parent closes the other end */
            memcpy(chy_secret_room(fx.pin), pin_text, pin.n);
            struct chy_error err = { .text = "" };
            struct chy_module *m = NULL;
            struct chy_slot *slot = NULL;
            const struct chy_slot_options options = { .label = CHY_STR(FIXTURE_LABEL),
                                                      .pin = fx.pin };
            enum chy_err r = chy_module_open(chy_str_of(fx.softhsm), NO_HASH, &m, &err);
            if (r == CHY_OK)
                r = chy_module_load(m, chy_str_of(fixture_path(&fx, "lock")), &err);
            if (r == CHY_OK)
                r = chy_slot_open(m, &options, &slot, &err);
            if (r != CHY_OK)
                fprintf(stderr, "%s\n", err.text);
            _exit(r == CHY_OK ? 0 : 1);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < COUNT; i++) {
        struct chy_process_end end;
        assert_code(chy_process_wait(&children[i], INT64_MAX, &end, NULL), CHY_OK);
        assert_false(end.was_signal);
        assert_int_equal(end.value, 0);
    }
}

static void test_module_open__survives_every_failed_allocation(void **state)
{
    (void)state;
    struct chy_module *m = NULL;
    size_t n = 0;
    for (;; n++) {
        chy_mem_fail_after(n);
        enum chy_err r = chy_module_open(chy_str_of(fx.softhsm), NO_HASH, &m, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        if (!has_failed) {
            assert_code(r, CHY_OK);
            break;
        }
        assert_code(r, CHY_E_NOMEM);
    }
    assert_true(n > 1);
    chy_module_free(m);
}

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_module_open__wants_an_absolute_path_of_a_regular_file),
        cmocka_unit_test(test_module_open__follows_no_link_and_waits_for_no_fifo),
        cmocka_unit_test(test_module_open__stands_at_its_limit),
        cmocka_unit_test(test_module_open__checks_the_hash),
        cmocka_unit_test(test_module_load__runs_the_bytes_that_were_hashed),
        cmocka_unit_test(test_module_load__refuses_what_is_no_module),
        cmocka_unit_test(test_module_load__tells_of_a_lock_it_cannot_take),
        cmocka_unit_test(test_module_load__starts_many_processes_at_once),
        cmocka_unit_test(test_module_open__survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
