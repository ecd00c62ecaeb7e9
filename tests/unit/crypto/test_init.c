/* SPDX-License-Identifier: MIT */
/* The promise of init.h: after chy_crypto_init() nothing opens a file. The proof is a child that
 * the kernel kills when it tries. */
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/privkey.h"
#include "crypto/x509.h"

static int files_forbid(void)
{
    static const int calls[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2),
                                 SCMP_SYS(socket), SCMP_SYS(execve) };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int r = filter == NULL;
    for (size_t i = 0; r == 0 && i < CHY_ARRAY_LEN(calls); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}

/* One of everything; which step failed, or 0. */
static int use_all(void)
{
    static struct chy_x509_chain chain;
    struct chy_privkey *key = NULL;
    struct chy_secret *pem = NULL;
    struct chy_x509_csr csr;
    struct chy_buf cert;
    struct chy_buf req;
    struct chy_arena a;
    const struct chy_str san = CHY_STR("dns:localhost");
    const struct chy_cert_request request = { .subject = CHY_STR("CN=localhost"),
                                              .not_after_us = INT64_C(4000000000) * 1000000,
                                              .sans = &san,
                                              .n_sans = 1 };
    uint8_t digest[CHY_HASH_BYTES];
    chy_buf_init(&cert, CHY_LIMIT_CERTIFICATE);
    chy_buf_init(&req, CHY_LIMIT_CERTIFICATE);
    chy_arena_init(&a, 1 << 20);
    if (chy_sha256(chy_str_bytes(san), digest, NULL) != CHY_OK)
        return 1;
    if (chy_privkey_generate(&key, NULL) != CHY_OK || chy_privkey_to_pem(key, &pem, NULL) != CHY_OK)
        return 2;
    if (chy_privkey_self_signed(key, &request, &cert, NULL) != CHY_OK)
        return 3;
    if (chy_x509_chain_parse(&a, chy_buf_bytes(&cert), &chain, NULL) != CHY_OK)
        return 4;
    if (chy_x509_chain_check(&chain, chain.certs[0].spki, 1000000, NULL) != CHY_E_UNSUPPORTED)
        return 5; /* it is for a server */
    if (chy_privkey_csr(key, CHY_STR("CN=a"), &san, 1, &req, NULL) != CHY_OK ||
        chy_csr_parse(&a, chy_buf_bytes(&req), &csr, NULL) != CHY_OK)
        return 6;
    return 0;
}

static void test_crypto_init__no_file_is_opened_after_it(void **state)
{
    (void)state;
    kernel_require(); /* valgrind opens files of its own */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (chy_crypto_init(NULL) != CHY_OK)
            _exit(50);
        if (files_forbid() != 0)
            _exit(51);
        /* Not _exit(): a build that counts lines opens files there. */
        syscall(SYS_exit_group, use_all());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status)); /* not killed */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_crypto_init__may_be_repeated(void **state)
{
    (void)state;
    assert_int_equal(chy_crypto_init(NULL), CHY_OK);
    assert_int_equal(chy_crypto_init(NULL), CHY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto_init__no_file_is_opened_after_it),
        cmocka_unit_test(test_crypto_init__may_be_repeated),
    };
    return cmocka_run_group_tests_name("init", tests, NULL, NULL);
}
