/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "os/fd.h"
#include "plugin/message.h"

static struct chy_arena arena;
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

/* `n` bytes to be read. */
static int file_of(size_t n)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    uint8_t *bytes = calloc(1, n + 1);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    free(bytes);
    return fd;
}

static enum chy_err read_zeros(size_t n, enum chy_hash_alg hash, struct chy_message *m)
{
    CHY_CLEANUP(chy_fd_closep) int fd = file_of(n);
    return chy_message_read(fd, hash, &arena, m, &err);
}

static void test_read__hashes_all_and_keeps_what_fits(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 65535, CHY_LIMIT_CONTENT, CHY_LIMIT_CONTENT + 1, 300000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct chy_message read_one;
        struct chy_message made;
        uint8_t *zeros = calloc(1, sizes[i] + 1);
        assert_int_equal(read_zeros(sizes[i], CHY_HASH_SHA384, &read_one), CHY_OK);
        assert_int_equal(chy_message_of((struct chy_bytes){ zeros, sizes[i] }, CHY_HASH_SHA384,
                                        &arena, &made, &err),
                         CHY_OK);
        assert_int_equal(read_one.digest.n, 48);
        assert_true(chy_bytes_equal(read_one.digest, made.digest));
        assert_int_equal(read_one.size_bytes, sizes[i]);
        assert_int_equal(read_one.content.n, sizes[i] <= CHY_LIMIT_CONTENT ? sizes[i] : 0);
        assert_int_equal(made.content.n, read_one.content.n);
        free(zeros);
    }
}

static void test_read__errors(void **state)
{
    (void)state;
    struct chy_message m;
    assert_int_equal(chy_message_read(-1, CHY_HASH_SHA256, &arena, &m, &err), CHY_E_IO);
    assert_int_equal(read_zeros(1, CHY_HASH_NONE, &m), CHY_E_ARG);
    for (size_t n = 0;; n++) {
        chy_arena_done(&arena);
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = read_zeros(100, CHY_HASH_SHA256, &m);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
}

static void test_put__by_algorithm(void **state)
{
    (void)state;
    struct chy_message m;
    struct chy_sign_item item = { .algorithm = CHY_ALG_ECDSA_SHA256 };
    assert_int_equal(read_zeros(100, CHY_HASH_SHA256, &m), CHY_OK);
    assert_int_equal(chy_message_put(&m, &item, &err), CHY_OK);
    assert_int_equal(item.digest.n, 32);
    assert_int_equal(item.content.n, 100);
    assert_int_equal(item.message.n, 0);
    assert_int_equal(item.hashed_by, CHY_HASHED_BY_CLIENT);
    item = (struct chy_sign_item){ .algorithm = CHY_ALG_ED25519 };
    assert_int_equal(chy_message_put(&m, &item, &err), CHY_OK);
    assert_int_equal(item.digest.n, 0);
    assert_int_equal(item.message.n, 100);
    assert_int_equal(item.hashed_by, CHY_HASHED_BY_NOBODY);
}

static void test_put__a_message_at_the_limit(void **state)
{
    (void)state;
    struct chy_message m;
    struct chy_sign_item item = { .algorithm = CHY_ALG_ED25519 };
    assert_int_equal(read_zeros(CHY_LIMIT_CONTENT, CHY_HASH_SHA256, &m), CHY_OK);
    assert_int_equal(chy_message_put(&m, &item, &err), CHY_OK);
    assert_int_equal(read_zeros(CHY_LIMIT_CONTENT + 1, CHY_HASH_SHA256, &m), CHY_OK);
    assert_int_equal(chy_message_put(&m, &item, &err), CHY_E_LIMIT);
}

static void test_input__limit(void **state)
{
    (void)state;
    struct chy_bytes all;
    for (size_t n = 999; n <= 1001; n++) {
        CHY_CLEANUP(chy_fd_closep) int fd = file_of(n);
        enum chy_err r = chy_input_read(fd, 1000, &arena, &all, &err);
        assert_int_equal(r, n <= 1000 ? CHY_OK : CHY_E_LIMIT);
        if (r == CHY_OK)
            assert_int_equal(all.n, n);
    }
    assert_int_equal(chy_input_read(-1, 1000, &arena, &all, &err), CHY_E_IO);
    chy_arena_done(&arena);
    chy_arena_init(&arena, 10);
    assert_int_equal(chy_input_read(-1, 1000, &arena, &all, &err), CHY_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read__hashes_all_and_keeps_what_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read__errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_put__by_algorithm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_put__a_message_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input__limit, setup, teardown),
    };
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
