/* SPDX-License-Identifier: MIT */
/* What a client keeps on the disk while memory is short or the disk fails: the configuration and
 * the credential are the old ones or the new ones, whole, whatever the n-th failure hits. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/credential.h"
#include "client/settings.h"
#include "crypto/pem.h"
#include "crypto/privkey.h"
#include "crypto/x509.h"
#include "failing_io.h"
#include "os/file.h"
#include "temp_dir.h"

#define STEPS_MAX 2000 /* a sweep that does not end */

static struct temp_dir home;
static struct chy_str dir; /* of the configuration */
static struct chy_arena names;
static char credential[96];
static struct chy_privkey *keys[2]; /* the old one's, the new one's */
static struct chy_buf certificates[2];

/* --- what fails --- */

struct fault {
    void (*limit)(size_t n, unsigned how); /* SIZE_MAX: nothing fails */
    bool (*has_failed)(void);
    unsigned how;
};

static void limit_io(size_t n, unsigned how)
{
    failing_io_after(n, (enum failing_io_mode)how);
}

static const struct fault faults[] = {
    { chy_mem_fail_from, chy_mem_has_failed, CHY_MEM_ARENAS },
    { chy_mem_fail_from, chy_mem_has_failed, CHY_MEM_ARENAS | CHY_MEM_ONCE },
    { limit_io, failing_io_has_failed, FAILING_IO_ONCE },
    { limit_io, failing_io_has_failed, FAILING_IO_EVER },
};

/* `once` is run with the n-th failing, for every n; `check` sees what came of it, with what would
 * have come of it without. */
static void sweep(enum chy_err (*once)(void), void (*check)(enum chy_err r))
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(faults); i++) {
        bool has_failed = true;
        for (size_t n = 0; has_failed; n++) {
            assert_true(n < STEPS_MAX);
            faults[i].limit(n, faults[i].how);
            enum chy_err r = once();
            has_failed = faults[i].has_failed();
            faults[i].limit(SIZE_MAX, 0);
            assert_true(r == CHY_OK || has_failed);
            check(r);
        }
    }
}

/* --- the credential --- */

static void make_certificate(size_t i)
{
    const struct chy_cert_request request = {
        .profile = CHY_CERT_TLS_SERVER,
        .serial = { 0x80, 2, 3 },
        .subject = CHY_STR("CN=client"),
        .not_before_us = 1700000000000000,
        .not_after_us = 1800000000000000,
    };
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    chy_buf_init(&certificates[i], (size_t)CHY_LIMIT_CERTIFICATE * 2);
    assert_int_equal(chy_privkey_generate(&keys[i], NULL), CHY_OK);
    assert_int_equal(chy_privkey_self_signed(keys[i], &request, &der, NULL), CHY_OK);
    assert_true(chy_pem_append(&certificates[i], "CERTIFICATE", chy_buf_bytes(&der)));
}

static enum chy_err write_credential(size_t i)
{
    return chy_credential_write(credential, keys[i], chy_buf_str(&certificates[i]), NULL);
}

static enum chy_err replace_credential(void)
{
    return write_credential(1);
}

/* Whose the file is: its key is asked for a request, its certificate for its times. */
static bool is_of(size_t i)
{
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf csr;
    struct chy_credential_times times;
    chy_buf_init(&csr, CHY_LIMIT_CERTIFICATE);
    assert_int_equal(chy_credential_again(credential, &key, &csr, NULL), CHY_OK);
    assert_int_equal(chy_credential_times(credential, &times, NULL), CHY_OK);
    return chy_bytes_equal(chy_pubkey_spki(chy_privkey_public(key)),
                           chy_pubkey_spki(chy_privkey_public(keys[i])));
}

static void check_credential(enum chy_err r)
{
    if (r == CHY_OK)
        assert_true(is_of(1));
    else
        assert_true(is_of(0) || is_of(1)); /* written, and the folder not made durable */
    assert_int_equal(write_credential(0), CHY_OK);
}

static void test_credential__is_whole(void **state)
{
    (void)state;
    assert_int_equal(write_credential(0), CHY_OK);
    sweep(replace_credential, check_credential);
}

static enum chy_err read_credential(void)
{
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf csr;
    struct chy_credential_times times;
    chy_buf_init(&csr, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_credential_again(credential, &key, &csr, NULL));
    CHY_TRY(chy_credential_times(credential, &times, NULL));
    assert_true(csr.n > 100);
    assert_int_equal(times.not_after_us, 1800000000000000);
    return CHY_OK;
}

static void check_nothing(enum chy_err r)
{
    (void)r;
}

static void test_credential__is_read_whole(void **state)
{
    (void)state;
    assert_int_equal(write_credential(0), CHY_OK);
    sweep(read_credential, check_nothing);
}

/* --- the configuration --- */

static const struct chy_profile first = { .name = { "first", 5 },
                                          .url = { "https://one.example", 19 },
                                          .log_key = { "one+key", 7 } };
static const struct chy_profile second = { .name = { "second", 6 },
                                           .url = { "https://two.example", 19 } };

static enum chy_err save(const struct chy_profile *profile)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return chy_client_config_save(dir, profile, &arena, NULL);
}

static enum chy_err save_second(void)
{
    return save(&second);
}

static enum chy_err load(struct chy_arena *arena, const char *profile, struct chy_settings *s)
{
    const struct chy_client_env env = { .home = home.path, .profile = profile };
    const struct chy_settings_options none = { { 0 }, { 0 } };
    chy_arena_init(arena, CHY_LIMIT_ARENA);
    return chy_settings_load(&env, &none, arena, s, NULL);
}

static void check_profile(const char *name, const char *url)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_settings s = { 0 };
    assert_int_equal(load(&arena, name, &s), CHY_OK);
    assert_true(chy_str_equal_c(s.profile.url, url));
    chy_settings_done(&s);
}

static void check_config(enum chy_err r)
{
    check_profile("first", "https://one.example");
    if (r == CHY_OK)
        check_profile("second", "https://two.example");
    assert_int_equal(chy_file_remove(home.fd, ".config/chancery/config.yaml", NULL), CHY_OK);
    assert_int_equal(save(&first), CHY_OK);
}

static void test_config__is_whole(void **state)
{
    (void)state;
    assert_int_equal(save(&first), CHY_OK);
    sweep(save_second, check_config);
}

/* Never the settings of half a file: without its pin or log key, a profile trusts more. */
static enum chy_err load_first(void)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_settings s = { 0 };
    CHY_TRY(load(&arena, "first", &s));
    assert_true(chy_str_equal_c(s.profile.log_key, "one+key"));
    assert_true(chy_str_equal_c(s.profile.url, "https://one.example"));
    chy_settings_done(&s);
    return CHY_OK;
}

static void test_config__is_read_whole(void **state)
{
    (void)state;
    assert_int_equal(save(&first), CHY_OK);
    sweep(load_first, check_nothing);
}

/* --- the program --- */

static int setup(void **state)
{
    const struct chy_client_env env = { .home = home.path };
    (void)state;
    temp_dir_make(&home);
    chy_arena_init(&names, CHY_LIMIT_PATH * (size_t)4);
    assert_int_equal(chy_client_dir(&env, &names, &dir, NULL), CHY_OK);
    (void)snprintf(credential, sizeof credential, "%s/credential.pem", home.path);
    make_certificate(0);
    make_certificate(1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(keys); i++) {
        chy_privkey_freep(&keys[i]);
        chy_buf_done(&certificates[i]);
    }
    chy_arena_done(&names);
    temp_dir_remove(&home);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_credential__is_whole),
        T(test_credential__is_read_whole),
        T(test_config__is_whole),
        T(test_config__is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
