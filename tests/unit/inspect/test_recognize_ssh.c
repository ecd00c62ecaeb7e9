/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/ssh_wire.h"
#include "inspect/recognize.h"
#include "policy/facts.h"

static struct chy_buf out;

static int setup(void **state)
{
    (void)state;
    chy_buf_init(&out, 4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&out);
    return 0;
}

/* All of it is `name`, and each beginning shorter than `least` is other. */
static void expect(const char *name, size_t least)
{
    assert_int_equal(chy_buf_check(&out, NULL), CHY_OK);
    for (size_t n = 0; n <= out.n; n++)
        assert_string_equal(inspect_recognize((struct chy_bytes){ out.p, n }),
                            n < least ? CHY_CONTENT_OTHER : name);
}

static void test_signature(void **state)
{
    (void)state;
    chy_buf_append_c(&out, "SSHSIG");
    chy_ssh_put_text(&out, "git");
    chy_ssh_put_text(&out, "");
    chy_ssh_put_text(&out, "sha512");
    chy_ssh_put_text(&out, "0123456789012345678901234567890123456789012345678901234567890123");
    expect(CHY_CONTENT_SSH_SIGNATURE, 6);
}

static void test_certificate(void **state)
{
    (void)state;
    static const char *const types[] = {
        "ssh-rsa-cert-v01@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ssh-rsa-cert-v00@openssh.com",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        chy_buf_clear(&out);
        chy_ssh_put_text(&out, types[i]);
        chy_ssh_put_text(&out, "nonce");
        size_t least = out.n;
        chy_ssh_put_text(&out, "key");
        expect(CHY_CONTENT_SSH_CERTIFICATE, least);
    }
}

static void test_login(void **state)
{
    (void)state;
    chy_ssh_put_text(&out, "01234567890123456789012345678901");
    chy_buf_append_u8(&out, 50);
    chy_ssh_put_text(&out, "root");
    size_t least = out.n;
    chy_ssh_put_text(&out, "ssh-connection");
    chy_ssh_put_text(&out, "publickey");
    expect(CHY_CONTENT_SSH_LOGIN, least);
    out.p[36] = 51; /* another message */
    expect(CHY_CONTENT_OTHER, 0);
}

static void test_other(void **state)
{
    (void)state;
    chy_buf_append_c(&out, "sshsig, in lower case");
    expect(CHY_CONTENT_OTHER, 0);
    chy_buf_clear(&out);
    chy_ssh_put_text(&out, "ssh-ed25519"); /* a bare key */
    chy_ssh_put_text(&out, "0123");
    expect(CHY_CONTENT_OTHER, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signature, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_login, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
