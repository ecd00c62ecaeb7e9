/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "file_fixture.h"
#include "format/fit.h"

#define NAMES \
    "kernel\0fdt\0ramdisk\0description\0compatible\0loadables\0required\0algo\0required-mode"
#define NAMES_AT 40
#define NAMES_N  128

static struct file f;
static struct chy_format_fit fit;
static struct chy_error err;

static int setup(void **state)
{
    (void)state;
    file_init(&f);
    file_text(&f, CHY_STR("\xd0\x0d\xfe\xed"));
    file_be(&f, 4, 0); /* finish() */
    file_be(&f, 4, NAMES_AT + NAMES_N);
    file_be(&f, 4, NAMES_AT);
    file_pad(&f, NAMES_AT);
    file_text(&f, CHY_STR(NAMES));
    file_pad(&f, NAMES_AT + NAMES_N);
    memset(&fit, 0, sizeof fit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_done(&f);
    return 0;
}

static void padded(void)
{
    file_pad(&f, (f.n + 3) & ~(size_t)3);
}

static void node(const char *name)
{
    file_be(&f, 4, 1);
    file_text(&f, (struct chy_str){ name, strlen(name) + 1 });
    padded();
}

static void end(void)
{
    file_be(&f, 4, 2);
}

static void property(const char *name, struct chy_str value)
{
    size_t at = 0;
    while (strcmp(&NAMES[at], name) != 0)
        at += strlen(&NAMES[at]) + 1;
    file_be(&f, 4, 3);
    file_be(&f, 4, value.n);
    file_be(&f, 4, at);
    file_text(&f, value);
    padded();
}

static void finish(void)
{
    file_be(&f, 4, 9);
    for (unsigned i = 0; i < 4; i++) {
        f.p[4 + i] = (uint8_t)(f.n >> (24 - 8 * i));
        f.p[36 + i] = (uint8_t)((f.n - NAMES_AT - NAMES_N) >> (24 - 8 * i));
    }
}

static enum chy_err fit_read(void)
{
    struct chy_bytes bytes = { f.p, f.n };
    const struct chy_format_source source = { f.n, chy_format_read_memory, &bytes };
    return chy_format_fit_read(&source, &fit, &err);
}

/* A tree with one node below `part`, which has one property. */
static void make(const char *part, const char *name, const char *key, struct chy_str value)
{
    node("");
    node(part);
    node(name);
    property(key, value);
    node("signature-1");
    property("algo", CHY_STR("sha256,rsa3072\0"));
    end();
    end();
    end();
    end();
    finish();
}

static void test_configurations(void **state)
{
    (void)state;
    make("configurations", "conf-1", "kernel", CHY_STR("kernel-1\0"));
    assert_int_equal(fit_read(), CHY_OK);
    assert_int_equal(fit.n_configurations, 1);
    assert_string_equal(fit.configurations[0].text, "conf-1");
    assert_false(fit.has_more);
    assert_false(fit.requires_signature);
}

static void test_images_are_no_configurations(void **state)
{
    (void)state;
    make("images", "kernel-1", "loadables", CHY_STR("x\0"));
    assert_int_equal(fit_read(), CHY_OK);
    assert_int_equal(fit.n_configurations, 0);
    assert_false(fit.has_more);
}

static void test_has_more(void **state)
{
    static const struct {
        const char *part;
        const char *key;
        struct chy_str value;
        bool has_more;
    } rows[] = {
        { "configurations", "fdt", { "fdt-1\0", 6 }, false },
        { "configurations", "ramdisk", { "r\0", 2 }, false },
        { "configurations", "description", { "a\0b\0", 4 }, false },
        { "configurations", "compatible", { "a\0b\0", 4 }, false },
        { "configurations", "fdt", { "a\0b\0", 4 }, true },    /* an overlay */
        { "configurations", "kernel", { "kernel", 6 }, true }, /* no end */
        { "configurations", "kernel", { "", 0 }, true },
        { "configurations", "loadables", { "a\0", 2 }, true },
        { "configurations", "algo", { "a\0", 2 }, true }, /* whatever it may be */
        { "configurations@1", "kernel", { "a\0", 2 }, true },
        { "images@1", "kernel", { "a\0", 2 }, true },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        teardown(state);
        setup(state);
        make(rows[i].part, "conf-1", rows[i].key, rows[i].value);
        assert_int_equal(fit_read(), CHY_OK);
        assert_int_equal(fit.has_more, rows[i].has_more);
    }
}

static void test_requires_signature(void **state)
{
    static const struct {
        const char *part;
        const char *key;
        struct chy_str value;
        bool requires;
    } rows[] = {
        { "signature", "required", { "conf\0", 5 }, true },
        { "signature", "required", { "image\0", 6 }, false },
        { "signature", "required", { "conf\0x", 6 }, false },
        { "signature", "required", { "conf", 4 }, false },
        { "signature", "required-mode", { "conf\0", 5 }, false },
        { "signatures", "required", { "conf\0", 5 }, false },
        { "configurations", "required", { "conf\0", 5 }, false },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        teardown(state);
        setup(state);
        make(rows[i].part, "key-r3", rows[i].key, rows[i].value);
        assert_int_equal(fit_read(), CHY_OK);
        assert_int_equal(fit.requires_signature, rows[i].requires);
    }
}

static enum chy_err read_named(void **state, const char *name)
{
    teardown(state);
    setup(state);
    make("configurations", name, "kernel", CHY_STR("k\0"));
    return fit_read();
}

static void test_names(void **state)
{
    char name[CHY_LIMIT_FIT_NAME + 2];
    memset(name, 'c', sizeof name);
    name[CHY_LIMIT_FIT_NAME] = '\0';
    assert_int_equal(read_named(state, name), CHY_OK);
    assert_string_equal(fit.configurations[0].text, name);
    name[CHY_LIMIT_FIT_NAME] = 'c';
    name[CHY_LIMIT_FIT_NAME + 1] = '\0';
    assert_int_equal(read_named(state, name), CHY_E_LIMIT);
    assert_int_equal(read_named(state, ""), CHY_E_MALFORMED);
    assert_int_equal(read_named(state, "a b"), CHY_E_MALFORMED);
    assert_int_equal(read_named(state, "a/b"), CHY_E_MALFORMED);
    assert_int_equal(read_named(state, "a\x1b"), CHY_E_MALFORMED);
    assert_int_equal(read_named(state, "a\x80"), CHY_E_MALFORMED);
}

static enum chy_err read_many(void **state, size_t n)
{
    teardown(state);
    setup(state);
    node("");
    node("configurations");
    for (size_t i = 0; i < n; i++) {
        node("c");
        end();
    }
    end();
    end();
    finish();
    return fit_read();
}

static void test_number_of_configurations(void **state)
{
    assert_int_equal(read_many(state, CHY_LIMIT_FIT_CONFIGURATIONS), CHY_OK);
    assert_int_equal(fit.n_configurations, CHY_LIMIT_FIT_CONFIGURATIONS);
    fit.n_configurations = 7;
    assert_int_equal(read_many(state, CHY_LIMIT_FIT_CONFIGURATIONS + 1), CHY_E_LIMIT);
}

static void test_cut_off(void **state)
{
    (void)state;
    make("configurations", "conf-1", "kernel", CHY_STR("kernel-1\0"));
    size_t whole = f.n;
    fit.n_configurations = 7;
    for (f.n = 0; f.n < whole; f.n++)
        assert_int_equal(fit_read(), CHY_E_MALFORMED);
    assert_int_equal(fit.n_configurations, 7); /* untouched */
    assert_int_equal(fit_read(), CHY_OK);
}

static enum chy_err read_fails(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                               struct chy_error *e)
{
    (void)ctx, (void)offset, (void)to, (void)n, (void)ret_n;
    return chy_fail(e, CHY_E_IO, "no disk");
}

static void test_the_source_fails(void **state)
{
    (void)state;
    const struct chy_format_source source = { 4096, read_fails, NULL };
    assert_int_equal(chy_format_fit_read(&source, &fit, &err), CHY_E_IO);
    assert_string_equal(err.text, "no disk");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_configurations), TEST(test_images_are_no_configurations),
        TEST(test_has_more),       TEST(test_requires_signature),
        TEST(test_names),          TEST(test_number_of_configurations),
        TEST(test_cut_off),        TEST(test_the_source_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
