/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/gnupg_line.h"
#include "os/fd.h"

static char said[4096];

CHY_PRINTF(1, 2) static void say(const char *fmt, ...)
{
    va_list args;
    CHY_CLEANUP(chy_fd_closep) int fd = memfd_create("said", MFD_CLOEXEC);
    va_start(args, fmt);
    chy_gnupg_line(fd, CHY_GNUPG_STATUS, fmt, args);
    va_end(args);
    ssize_t n = pread(fd, said, sizeof said - 1, 0);
    assert_true(n >= 0);
    said[n] = '\0';
}

static void test_line__is_one(void **state)
{
    (void)state;
    say("INV_SGNR 9 %s", "a\n[GNUPG:] GOODSIG 1 b\r\x1b[31m\x7f");
    assert_string_equal(said, "[GNUPG:] INV_SGNR 9 a?[GNUPG:] GOODSIG 1 b??[31m?\n");
    say("GOODSIG %s", "h\xc3\xa9");
    assert_string_equal(said, "[GNUPG:] GOODSIG h\xc3\xa9\n");
}

static void test_line__ends_at_the_limit(void **state)
{
    (void)state;
    char text[2050];
    for (size_t n = 2047; n <= 2048; n++) {
        memset(text, 'x', n);
        text[n] = '\0';
        say("%s", text);
        assert_int_equal(strlen(said), sizeof CHY_GNUPG_STATUS - 1 + 2047 + 1);
        assert_int_equal(said[strlen(said) - 1], '\n');
    }
}

static void test_line__to_nobody(void **state)
{
    (void)state;
    va_list none;
    memset(&none, 0, sizeof none);
    chy_gnupg_line(-1, "", "x", none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line__is_one),
        cmocka_unit_test(test_line__ends_at_the_limit),
        cmocka_unit_test(test_line__to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
