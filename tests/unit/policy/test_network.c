/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/network.h"

static bool has(const char *network, const char *address)
{
    struct chy_network n;
    uint8_t a[CHY_ADDRESS_BYTES];
    struct chy_error err = { .text = "" };
    if (chy_network_parse(chy_str_of(network), &n, &err) != CHY_OK)
        fail_msg("%s", err.text);
    if (!chy_address_parse(chy_str_of(address), a))
        fail_msg("%s is no address", address);
    return chy_network_has(&n, a);
}

static void test_network_has__both_families(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.255.255"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_false(has("10.0.0.0/8", "9.255.255.255"));
    assert_true(has("192.0.2.128/25", "192.0.2.128"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.6"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(has("2001:db8::/32", "2001:db9::"));
    assert_true(has("2001:db8::1/128", "2001:db8::1"));
    assert_true(has("2001:db8:0:8000::/49", "2001:db8:0:ffff::"));
    assert_false(has("2001:db8:0:8000::/49", "2001:db8:0:7fff::"));
    assert_true(has("::/0", "2001:db8::1"));
}

static void test_network_has__a_mapped_address_is_the_ipv4_one(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(has("::/0", "10.1.2.3"));
}

static void test_network_parse__refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0/8",
        "10.0.0.1/8",
        "10.0.0.0/8x",
        "::/129",
        "2001:db8::1/32",
        "fe80::1%eth0",
        "host.name",
        "10.0.0.0 /8",
        "10.0.0.0/8/8",
        "1.2.3.4.5",
        "::g",
        "10.0.0.0/1000",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_network n = { .bits = 7 };
        struct chy_error err = { .code = CHY_OK };
        if (chy_network_parse(chy_str_of(bad[i]), &n, &err) != CHY_E_MALFORMED)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(err.code, CHY_E_MALFORMED);
        assert_int_equal(n.bits, 7);
    }
}

static void test_address_parse__refuses(void **state)
{
    (void)state;
    uint8_t a[CHY_ADDRESS_BYTES];
    assert_false(chy_address_parse(CHY_STR(""), a));
    assert_false(chy_address_parse(CHY_STR("10.0.0.0/8"), a));
    assert_false(chy_address_parse(CHY_STR("localhost"), a));
    assert_false(chy_address_parse(CHY_STR("10.0.0.1\0"), a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_has__both_families),
        cmocka_unit_test(test_network_has__a_mapped_address_is_the_ipv4_one),
        cmocka_unit_test(test_network_parse__refuses),
        cmocka_unit_test(test_address_parse__refuses),
    };
    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
