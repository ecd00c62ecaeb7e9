/* SPDX-License-Identifier: MIT */
/* What the kernel says of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/machine.h"

static void test_disk_room__here(void **state)
{
    (void)state;
    struct chy_disk_room room = { 0 };
    assert_int_equal(chy_disk_room("/", &room, NULL), CHY_OK);
    assert_true(room.size_bytes >= room.free_bytes);
    assert_true(room.size_bytes > 0);
}

static void test_disk_room__no_such_path(void **state)
{
    (void)state;
    struct chy_disk_room room;
    struct chy_error err;
    assert_int_equal(chy_disk_room("/no/such", &room, &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such"));
    assert_int_equal(chy_disk_room("/etc/passwd/x", &room, &err), CHY_E_NOT_FOUND);
}

static void test_clock_is_kept__answers(void **state)
{
    (void)state;
    assert_int_equal(chy_clock_is_kept(), chy_clock_is_kept());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_room__here),
        cmocka_unit_test(test_disk_room__no_such_path),
        cmocka_unit_test(test_clock_is_kept__answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
