/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../os/kernel_fixture.h"
#include "base/mem.h"
#include "token_fixture.h"

struct place {
    char dir[64];
    char pin[128];
    char so_pin[128];
    struct chy_setup_options options;
};

static char *softhsm;

static int make(void **state)
{
    (void)state;
    assert_code(chy_setup_find_softhsm(&softhsm, NULL), CHY_OK);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    chy_free(softhsm);
    return 0;
}

static void place_make(struct place *p)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/chy-setup-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->pin, sizeof p->pin, "%s/pin", p->dir);
    snprintf(p->so_pin, sizeof p->so_pin, "%s/so-pin", p->dir);
    p->options =
        (struct chy_setup_options){ chy_str_of(softhsm), chy_str_of(p->dir), CHY_STR("test"),
                                    chy_str_of(p->pin), chy_str_of(p->so_pin) };
}

static void place_remove(struct place *p)
{
    struct fixture f = { .pin = NULL };
    snprintf(f.dir, sizeof f.dir, "%s", p->dir);
    fixture_remove(&f);
}

static mode_t mode_of(const char *dir, const char *name)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void read_text(const char *path, char *to, size_t n)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t got = fread(to, 1, n - 1, file);
    to[got] = '\0';
    fclose(file);
}

static void test_setup__makes_a_token_with_random_pins(void **state)
{
    (void)state;
    struct place a;
    struct place b;
    struct chy_setup_result made = { .serial = "" };
    struct chy_setup_result made_b;
    struct chy_error err;
    char pins[4][64];
    place_make(&a);
    place_make(&b);
    const char *before = secure_getenv("SOFTHSM2_CONF");
    assert_code(chy_setup_softhsm(&a.options, &made, &err), CHY_OK);
    assert_code(chy_setup_softhsm(&b.options, &made_b, &err), CHY_OK);
    assert_ptr_equal(secure_getenv("SOFTHSM2_CONF"), before); /* the caller's is untouched */
    assert_int_equal(strlen(made.serial), 16);
    assert_int_equal(strlen(made.module_sha256), 64);
    assert_string_not_equal(made.serial, made_b.serial);
    read_text(a.pin, pins[0], 64);
    read_text(a.so_pin, pins[1], 64);
    read_text(b.pin, pins[2], 64);
    read_text(b.so_pin, pins[3], 64);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(strlen(pins[i]), 32);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(pins[i], pins[j]);
    }
    assert_int_equal(mode_of(a.dir, "pin"), 0600);
    assert_int_equal(mode_of(a.dir, "so-pin"), 0600);
    assert_int_equal(mode_of(a.dir, "softhsm2.conf"), 0600);
    assert_int_equal(mode_of(a.dir, "tokens"), 0700);
    place_remove(&a);
    place_remove(&b);
}

static void test_setup__writes_over_nothing(void **state)
{
    (void)state;
    struct place p;
    struct chy_setup_result made;
    struct chy_error err;
    char before[64];
    char after[64];
    place_make(&p);
    assert_code(chy_setup_softhsm(&p.options, &made, &err), CHY_OK);
    read_text(p.pin, before, sizeof before);
    assert_code(chy_setup_softhsm(&p.options, &made, &err), CHY_E_EXISTS);
    read_text(p.pin, after, sizeof after);
    assert_string_equal(before, after);
    place_remove(&p);
}

static void test_setup__refuses_what_makes_no_sense(void **state)
{
    (void)state;
    struct place p;
    struct chy_setup_result made;
    struct chy_error err;
    place_make(&p);
    struct chy_setup_options o = p.options;
    o.module = CHY_STR("libsofthsm2.so");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o = p.options;
    o.directory = CHY_STR("tokens");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o.directory = CHY_STR("/tmp/a\nlog.level = DEBUG");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o = p.options;
    o.pin_file = CHY_STR("pin");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o = p.options;
    o.so_pin_file = CHY_STR("");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o = p.options;
    o.label = CHY_STR("");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o.label = CHY_STR("123456789012345678901234567890123");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_ARG);
    o = p.options;
    o.directory = CHY_STR("/nowhere/at/all");
    assert_code(chy_setup_softhsm(&o, &made, &err), CHY_E_NOT_FOUND);
    assert_int_equal(rmdir(p.dir), 0); /* nothing was made */
}

static void test_setup__takes_a_label_of_the_full_length(void **state)
{
    (void)state;
    struct place p;
    struct chy_setup_result made;
    place_make(&p);
    p.options.label = CHY_STR("12345678901234567890123456789012");
    assert_code(chy_setup_softhsm(&p.options, &made, NULL), CHY_OK);
    place_remove(&p);
}

static void fault_of(const struct place *p, const char *fault)
{
    struct fixture f = { .pin = NULL };
    snprintf(f.dir, sizeof f.dir, "%s", p->dir);
    fixture_fault(&f, fault);
}

static void test_setup__survives_a_module_that_does_not(void **state)
{
    (void)state;
    struct place p;
    struct chy_setup_result made;
    struct chy_error err;
    place_make(&p);
    p.options.module = chy_str_of(fixture_faulty());
    fault_of(&p, "crash-at-load");
    assert_code(chy_setup_softhsm(&p.options, &made, &err), CHY_E_TOKEN);
    assert_text(err, "SIGABRT");
    place_remove(&p);
    place_make(&p);
    p.options.module = chy_str_of(fixture_faulty());
    fault_of(&p, "hardware");
    assert_code(chy_setup_softhsm(&p.options, &made, &err), CHY_E_UNSUPPORTED);
    assert_text(err, "not SoftHSM");
    place_remove(&p);
}

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup__makes_a_token_with_random_pins),
        cmocka_unit_test(test_setup__writes_over_nothing),
        cmocka_unit_test(test_setup__refuses_what_makes_no_sense),
        cmocka_unit_test(test_setup__takes_a_label_of_the_full_length),
        cmocka_unit_test(test_setup__survives_a_module_that_does_not),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
