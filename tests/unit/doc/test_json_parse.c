/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"

struct fixture {
    struct chy_arena arena;
    struct chy_error err;
    const struct chy_doc *doc;
};

static int set_up(void **state)
{
    static struct fixture t;
    chy_arena_init(&t.arena, CHY_LIMIT_ARENA);
    t.doc = NULL;
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *t = *state;
    chy_arena_done(&t->arena);
    return 0;
}

static enum chy_err parse(struct fixture *t, const char *text)
{
    return chy_json_parse(chy_str_bytes(chy_str_of(text)), &t->arena, &t->doc, &t->err);
}

/* `n` times `text`. */
static void repeat(struct chy_buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(chy_buf_append_c(b, text));
}

static void test_json_parse__builds_a_tree(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, " { \"a\" : [ 1, -2, true, false, null ], \"\" : {} , "
                              "\"t\":\"\\u00e4\\n\\\"\xf0\x9f\x94\x91\" } \n"),
                     CHY_OK);
    assert_int_equal(t->doc->kind, CHY_DOC_MAP);
    assert_int_equal(t->doc->n, 3);
    const struct chy_doc *a = chy_doc_get(t->doc, "a");
    assert_int_equal(a->kind, CHY_DOC_LIST);
    assert_int_equal(a->n, 5);
    assert_int_equal(a->items[0].kind, CHY_DOC_INTEGER);
    assert_int_equal(a->items[0].integer, 1);
    assert_int_equal(a->items[1].integer, -2);
    assert_true(a->items[2].kind == CHY_DOC_BOOL && a->items[2].boolean);
    assert_true(a->items[3].kind == CHY_DOC_BOOL && !a->items[3].boolean);
    assert_int_equal(a->items[4].kind, CHY_DOC_NULL);
    assert_int_equal(chy_doc_get(t->doc, "")->kind, CHY_DOC_MAP);
    assert_int_equal(chy_doc_get(t->doc, "")->n, 0);
    const struct chy_doc *text = chy_doc_get(t->doc, "t");
    assert_true(text->is_quoted);
    assert_true(chy_str_equal_c(text->text, "\xc3\xa4\n\"\xf0\x9f\x94\x91"));
    assert_null(chy_doc_get(t->doc, "b"));
    assert_null(chy_doc_get(a, "a"));
}

static void test_json_parse__takes_the_whole_range_of_integers(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, "[9223372036854775807,-9223372036854775808]"), CHY_OK);
    assert_true(t->doc->items[0].integer == INT64_MAX);
    assert_true(t->doc->items[1].integer == INT64_MIN);
}

static void test_json_parse__refuses_what_is_no_json(void **state)
{
    struct fixture *t = *state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "[}",
        "{]",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "\"a",
        "\"a\nb\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "01",
        "+1",
        "0x1",
        "1.5",
        "1.0",
        "1e2",
        "-",
        "NaN",
        "Infinity",
        "9223372036854775808",
        "-9223372036854775809",
        "1e999",
        "tru",
        "True",
        "nul",
        "{} {}",
        "{}x",
        "1 2",
        "/* c */ {}",
        "// c\n{}",
        "\xef\xbb\xbf{}",
        "{\"a\":1,\"a\":2}",
        "[{\"b\":{\"a\":1,\"\\u0061\":2}}]",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        if (parse(t, bad[i]) != CHY_E_MALFORMED || t->doc != NULL)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(t->err.code, CHY_E_MALFORMED);
    }
}

static void test_json_parse__refuses_a_raw_nul(void **state)
{
    struct fixture *t = *state;
    static const uint8_t in[] = "[1]\0";
    struct chy_bytes all = { in, sizeof in - 1 };
    assert_int_equal(chy_json_parse(all, &t->arena, &t->doc, &t->err), CHY_E_MALFORMED);
    static const uint8_t text[] = "\"a\0b\"";
    all = (struct chy_bytes){ text, sizeof text - 1 };
    assert_int_equal(chy_json_parse(all, &t->arena, &t->doc, &t->err), CHY_E_MALFORMED);
}

static void test_json_parse__says_where(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, "{\n \"a\": 1,\n \"a\": 2}"), CHY_E_MALFORMED);
    assert_non_null(strstr(t->err.text, "line 3 "));
    assert_non_null(strstr(t->err.text, "duplicate"));
}

static enum chy_err parse_nested(struct fixture *t, const char *open, size_t n, const char *close)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_JSON);
    repeat(&b, open, n);
    repeat(&b, close, close[0] == '\0' ? 0 : n);
    enum chy_err r = chy_json_parse(chy_buf_bytes(&b), &t->arena, &t->doc, &t->err);
    chy_buf_done(&b);
    return r;
}

static void test_json_parse__depth_is_limited(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse_nested(t, "[", CHY_LIMIT_DEPTH, "]"), CHY_OK);
    assert_int_equal(parse_nested(t, "[", CHY_LIMIT_DEPTH + 1, "]"), CHY_E_LIMIT);
    assert_non_null(strstr(t->err.text, "16 deep"));
    assert_int_equal(parse_nested(t, "[", 10000, "]"), CHY_E_LIMIT);
    assert_int_equal(parse_nested(t, "[", 1000000, ""), CHY_E_LIMIT);
    assert_int_equal(parse_nested(t, "{\"a\":", 10000, ""), CHY_E_LIMIT);
    /* brackets in texts are no nesting */
    assert_int_equal(parse(t, "[\"[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\\\\\"]"), CHY_OK);
}

static enum chy_err parse_values(struct fixture *t, size_t n)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_JSON);
    repeat(&b, "[", 1);
    repeat(&b, "[],", n - 2);
    repeat(&b, "{ } ]", 1);
    enum chy_err r = chy_json_parse(chy_buf_bytes(&b), &t->arena, &t->doc, &t->err);
    chy_buf_done(&b);
    return r;
}

static void test_json_parse__number_of_values_is_limited(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse_values(t, CHY_LIMIT_DOC_NODES), CHY_OK);
    assert_int_equal(t->doc->n, CHY_LIMIT_DOC_NODES - 1);
    assert_int_equal(parse_values(t, CHY_LIMIT_DOC_NODES + 1), CHY_E_LIMIT);
    assert_non_null(strstr(t->err.text, "400000 values"));
}

static enum chy_err parse_long(struct fixture *t, size_t n)
{
    char *p = malloc(n);
    assert_non_null(p);
    memset(p, 'x', n);
    p[0] = p[n - 1] = '"';
    enum chy_err r =
        chy_json_parse((struct chy_bytes){ (uint8_t *)p, n }, &t->arena, &t->doc, &t->err);
    free(p);
    return r;
}

static void test_json_parse__size_is_limited(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse_long(t, CHY_LIMIT_JSON), CHY_OK);
    assert_int_equal(t->doc->text.n, CHY_LIMIT_JSON - 2);
    assert_int_equal(parse_long(t, CHY_LIMIT_JSON + 1), CHY_E_LIMIT);
    assert_int_equal(parse_long(t, 10 * 1000 * 1000), CHY_E_LIMIT);
}

/* --- allocation: ours by the hook of base, jansson's by its own --- */

static const char sample[] =
    "{\"a\":[1,true,null,\"text\",{\"b\":\"c\"}],\"d\":{\"e\":[[]]},\"f\":-5}";

static void test_json_parse__survives_each_failed_allocation(void **state)
{
    struct fixture *t = *state;
    enum chy_err r = CHY_E_NOMEM;
    size_t n = 0;
    for (; r != CHY_OK; n++) {
        struct chy_arena own;
        const struct chy_doc *doc = NULL;
        chy_arena_init(&own, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        r = chy_json_parse(chy_str_bytes(chy_str_of(sample)), &own, &doc, &t->err);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        chy_arena_done(&own);
    }
    assert_true(n > 1);
}

static size_t jansson_left = SIZE_MAX;

static void *jansson_malloc(size_t n)
{
    if (jansson_left == 0)
        return NULL;
    jansson_left -= jansson_left != SIZE_MAX;
    return malloc(n);
}

static void test_json_parse__survives_each_failure_in_jansson(void **state)
{
    struct fixture *t = *state;
    json_set_alloc_funcs(jansson_malloc, free);
    enum chy_err r = CHY_E_NOMEM;
    size_t n = 0;
    for (; r != CHY_OK; n++) {
        jansson_left = n;
        t->doc = NULL;
        r = parse(t, sample);
        /* jansson does not always say that it was memory; it must not say that all is well */
        assert_true(r == CHY_OK ? jansson_left > 0 || t->doc != NULL : t->doc == NULL);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
    assert_int_equal(t->doc->n, 3);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    chy_json_prepare();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_json_parse__builds_a_tree),
        TEST(test_json_parse__takes_the_whole_range_of_integers),
        TEST(test_json_parse__refuses_what_is_no_json),
        TEST(test_json_parse__refuses_a_raw_nul),
        TEST(test_json_parse__says_where),
        TEST(test_json_parse__depth_is_limited),
        TEST(test_json_parse__number_of_values_is_limited),
        TEST(test_json_parse__size_is_limited),
        TEST(test_json_parse__survives_each_failed_allocation),
        TEST(test_json_parse__survives_each_failure_in_jansson),
    };
    return cmocka_run_group_tests_name("json_parse", tests, NULL, NULL);
}
