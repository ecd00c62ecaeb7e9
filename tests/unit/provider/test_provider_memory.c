/* SPDX-License-Identifier: MIT */
/* Each allocation of the provider fails in turn. It is linked here, not loaded, so that its
 * allocator can be told to. */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/provider.h>

#include "base/limits.h"
#include "base/mem.h"
#include "module_fixture.h"
#include "provider/provider.h"
#include "provider_fixture.h"

#define STEPS_MAX 20000

static const uint8_t big[CHY_LIMIT_CONTENT + 100];

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    ssl.ours = OSSL_LIB_CTX_new();
    ssl.others = OSSL_LIB_CTX_new();
    assert_true(OSSL_PROVIDER_add_builtin(ssl.ours, "built-in", OSSL_provider_init));
    ssl.providers[0] = OSSL_PROVIDER_load(ssl.ours, "default");
    return ssl.providers[0] != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    chy_mem_fail_after(SIZE_MAX);
    providers_unload();
    ERR_clear_error();
    return fixture_teardown(state);
}

/* From nothing to a signature. */
static bool run(struct chy_bytes message)
{
    struct made made;
    bool is_signed = false;
    OSSL_PROVIDER *provider = OSSL_PROVIDER_load(ssl.ours, "built-in");
    EVP_PKEY *key = provider != NULL ? key_open("chancery:p256") : NULL;
    if (key != NULL)
        is_signed = sign_with_key(key, "SHA256", false, message, &made);
    EVP_PKEY_free(key);
    OSSL_PROVIDER_unload(provider);
    return is_signed;
}

static bool list(void)
{
    OSSL_PROVIDER *provider = OSSL_PROVIDER_load(ssl.ours, "built-in");
    bool is_whole = provider != NULL && objects_count("chancery:") == 6;
    OSSL_PROVIDER_unload(provider);
    return is_whole;
}

static bool run_short(void)
{
    return run((struct chy_bytes){ (const uint8_t *)"m", 1 });
}

static bool run_long(void)
{
    return run((struct chy_bytes){ big, sizeof big });
}

/* It fails as often as memory ends, leaks nothing (the sanitizer tells), and works at last. */
static void sweep(bool (*what)(void))
{
    size_t n = 0;
    bool has_failed = true;
    for (; has_failed && n < STEPS_MAX; n++) {
        chy_mem_fail_after(n);
        bool is_done = what();
        has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(is_done, !has_failed);
        ERR_clear_error();
    }
    assert_false(has_failed);
    assert_true(n > 10);
}

static void test_memory__of_a_signature(void **state)
{
    (void)state;
    sweep(run_short);
}

static void test_memory__of_a_long_message(void **state)
{
    (void)state;
    sweep(run_long);
}

static void test_memory__of_a_list(void **state)
{
    (void)state;
    sweep(list);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_memory__of_a_signature),
        T(test_memory__of_a_long_message),
        T(test_memory__of_a_list),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
