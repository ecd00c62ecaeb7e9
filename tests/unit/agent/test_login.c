/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/login.h"
#include "base/limits.h"
#include "base/mem.h"
#include "os/file.h"

static char home[64];
static char path[128];
static struct chy_client_env env;
static const struct chy_settings_options options;
static struct chy_login *login;
static struct chy_arena arena;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(home, sizeof home, "/tmp/chancery-test-login-XXXXXX");
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/chancery", home);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/chancery/config.yaml", home);
    env = (struct chy_client_env){ .config_home = home };
    assert_int_equal(chy_login_new(&env, &options, &login, NULL), CHY_OK);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_login_free(login);
    chy_arena_done(&arena);
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    (void)rmdir(home);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(chy_file_replace(AT_FDCWD, path, chy_str_bytes(chy_str_of(text)), 0600, NULL),
                     CHY_OK);
}

#define ONE "profiles: [{name: default, url: \"https://one.example\"}]\n"
#define TWO "profiles: [{name: default, url: \"https://two.example\"}]\n"

static struct chy_login_use *take(const char *url)
{
    struct chy_login_use *use = NULL;
    assert_int_equal(chy_login_take(login, &use, NULL), CHY_OK);
    assert_true(chy_str_equal_c(chy_login_settings(use)->profile.url, url));
    return use;
}

static void test_take__another_file_is_read(void **state)
{
    (void)state;
    struct chy_login_use *use = NULL;
    struct chy_error err;
    assert_int_equal(chy_login_take(login, &use, &err), CHY_E_STATE); /* no file, no server */
    put(ONE);
    use = take("https://one.example");
    struct chy_login_use *same = take("https://one.example");
    assert_ptr_equal(same, use);
    put(TWO);
    struct chy_login_use *other = take("https://two.example");
    assert_ptr_not_equal(other, use);
    /* Who has the old one keeps it. */
    assert_true(chy_str_equal_c(chy_login_settings(use)->profile.url, "https://one.example"));
    chy_login_use_unref(login, use);
    chy_login_use_unref(login, same);
    chy_login_use_unref(login, other);
}

static void test_take__a_file_that_is_wrong(void **state)
{
    (void)state;
    struct chy_error err;
    put(ONE);
    chy_login_use_unref(login, take("https://one.example"));
    put("profiles: [");
    chy_login_use_unref(login, take("https://one.example")); /* it may be half written */
    assert_int_equal(chy_login_reload(login, &err), CHY_E_MALFORMED);
    chy_login_use_unref(login, take("https://one.example"));
    put(TWO);
    assert_int_equal(chy_login_reload(login, &err), CHY_OK);
    chy_login_use_unref(login, take("https://two.example"));
}

static void test_whoami__is_of_the_settings(void **state)
{
    (void)state;
    const struct chy_whoami whoami = { .principal = CHY_STR("alice"),
                                       .expires_us = 7,
                                       .is_agent = true };
    struct chy_login_view v;
    bool is_agent = true;
    put(ONE);
    struct chy_login_use *use = take("https://one.example");
    assert_false(chy_login_is_known(login, use, &is_agent));
    assert_false(is_agent);
    chy_login_set_whoami(login, use, &whoami);
    assert_true(chy_login_is_known(login, use, &is_agent));
    assert_true(is_agent);
    assert_int_equal(chy_login_look(login, &arena, &v, NULL), CHY_OK);
    assert_true(chy_str_equal_c(v.principal, "alice"));
    assert_true(v.is_agent);
    assert_int_equal(v.expires_us, 7);
    put(TWO);
    struct chy_login_use *other = take("https://two.example");
    assert_false(chy_login_is_known(login, other, &is_agent));
    assert_int_equal(chy_login_look(login, &arena, &v, NULL), CHY_OK);
    assert_int_equal(v.principal.n, 0);
    assert_false(v.is_agent);
    chy_login_use_unref(login, use);
    chy_login_use_unref(login, other);
}

static void test_note__what_ails_the_login(void **state)
{
    (void)state;
    static const enum chy_err about_one[] = { CHY_E_DENIED, CHY_E_NOT_FOUND, CHY_E_MALFORMED };
    struct chy_error err;
    struct chy_login_view v;
    put(ONE);
    chy_login_use_unref(login, take("https://one.example"));
    CHY_IGNORE(chy_fail(&err, CHY_E_EXPIRED, "it ended"));
    chy_login_note(login, CHY_E_EXPIRED, &err);
    assert_int_equal(chy_login_look(login, &arena, &v, NULL), CHY_OK);
    assert_true(
        chy_str_equal_c(v.trouble, "it ended. Enrol again: ask an administrator for a new code."));
    for (size_t i = 0; i < CHY_ARRAY_LEN(about_one); i++) {
        chy_login_note(login, CHY_E_EXPIRED, &err);
        assert_true(chy_login_has_trouble(login));
        chy_login_note(login, about_one[i], &err); /* so it did answer */
        assert_false(chy_login_has_trouble(login));
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    bool is_over = false;
    put(ONE);
    for (size_t n = 0; !is_over; n++) {
        struct chy_login *l = NULL;
        struct chy_login_use *use = NULL;
        struct chy_error err;
        chy_mem_fail_after(n);
        enum chy_err r = chy_login_new(&env, &options, &l, &err);
        if (r == CHY_OK)
            r = chy_login_take(l, &use, &err);
        is_over = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, is_over ? CHY_OK : CHY_E_NOMEM);
        if (r == CHY_OK)
            chy_login_use_unref(l, use);
        chy_login_free(l);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_take__another_file_is_read),
        TEST(test_take__a_file_that_is_wrong),
        TEST(test_whoami__is_of_the_settings),
        TEST(test_note__what_ails_the_login),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
