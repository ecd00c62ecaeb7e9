/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
    return chy_yaml_parse(chy_str_bytes(chy_str_of(text)), &t->arena, &t->doc, &t->err);
}

static void test_yaml_parse__builds_a_tree_with_lines(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, "# a comment\n"
                              "name: Norway\n"
                              "plain: no\n"
                              "quoted: \"no\"\n"
                              "number: 010\n"
                              "nothing:\n"
                              "list:\n"
                              "  - a\n"
                              "  - {b: c, d: [e, f]}\n"
                              "text: |\n"
                              "  two\n"
                              "  lines\n"),
                     CHY_OK);
    assert_int_equal(t->doc->kind, CHY_DOC_MAP);
    assert_int_equal(t->doc->n, 7);
    assert_int_equal(t->doc->line, 2);
    assert_int_equal(t->doc->members[1].line, 3);
    const struct chy_doc *plain = chy_doc_get(t->doc, "plain");
    assert_true(plain->kind == CHY_DOC_TEXT && !plain->is_quoted);
    assert_true(chy_str_equal_c(plain->text, "no"));
    assert_true(chy_doc_get(t->doc, "quoted")->is_quoted);
    assert_true(chy_str_equal_c(chy_doc_get(t->doc, "number")->text, "010"));
    assert_int_equal(chy_doc_get(t->doc, "nothing")->kind, CHY_DOC_NULL);
    const struct chy_doc *list = chy_doc_get(t->doc, "list");
    assert_int_equal(list->n, 2);
    assert_int_equal(list->items[1].line, 9);
    assert_true(chy_str_equal_c(chy_doc_get(&list->items[1], "d")->items[1].text, "f"));
    const struct chy_doc *text = chy_doc_get(t->doc, "text");
    assert_true(text->is_quoted && chy_str_equal_c(text->text, "two\nlines\n"));
}

static void test_yaml_parse__a_scalar_may_be_the_document(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, "--- word\n"), CHY_OK);
    assert_true(chy_str_equal_c(t->doc->text, "word"));
    assert_int_equal(parse(t, "---\n...\n"), CHY_OK);
    assert_int_equal(t->doc->kind, CHY_DOC_NULL);
    static const char *const nulls[] = { "~", "null", "Null", "NULL" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(nulls); i++) {
        assert_int_equal(parse(t, nulls[i]), CHY_OK);
        assert_int_equal(t->doc->kind, CHY_DOC_NULL);
    }
    assert_int_equal(parse(t, "\"\""), CHY_OK);
    assert_int_equal(t->doc->kind, CHY_DOC_TEXT);
}

static void test_yaml_parse__refuses_and_says_where(void **state)
{
    struct fixture *t = *state;
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        { "", "line 1: the YAML is empty" },
        { "# nothing\n", "line 1: the YAML is empty" },
        { "a: 1\nb: &x 2\n", "line 2: anchors and aliases are not allowed" },
        { "a: 1\nb: *x\n", "line 2: anchors and aliases are not allowed" },
        { "- &x [1]\n", "line 1: anchors" },
        { "- &x {a: 1}\n", "line 1: anchors" },
        { "a: 1\n*x : 2\n", "line 2: anchors" },
        { "a:\n  !!str b\n", "line 2: tags are not allowed" },
        { "a: !!binary aGk=\n", "line 1: tags" },
        { "a: ! b\n", "line 1: tags" },
        { "!x [a]\n", "line 1: tags" },
        { "!!map {a: b}\n", "line 1: tags" },
        { "a: b\n<<: {c: d}\n", "line 2: merge keys are not allowed" },
        { "a: b\n---\nc: d\n", "line 2: a second document begins" },
        { "a: b\n...\nc: d\n", "line 3" },
        { "%YAML 1.1\n---\na: b\n", "line 1: directives are not allowed" },
        { "%TAG ! tag:x,2000:\n---\na: b\n", "line 1: directives are not allowed" },
        { "a: 1\nb: 2\na: 3\n", "line 3: \"a\" is here already, in line 1" },
        { "a: 1\n\"a\": 3\n", "line 2: \"a\" is here already, in line 1" },
        { "x: {a: 1, b: 2, a: 3}\n", "line 1: \"a\" is here already" },
        { "? [a]\n: b\n", "line 1: a name must be a text" },
        { "? {a: b}\n: c\n", "line 1: a name must be a text" },
        { "a: b\n: c\n", "line 2" },
        { "a: b\n\"\": c\n", "line 2: a name is empty" },
        { "a: [b\n", "line 2: no valid YAML" },
        { "a: \"b\n", "line 2: no valid YAML" },
        { "a: b\n c: d\n", "line 2: no valid YAML" },
        { "a: b\n\tc: d\n", "line 2: no valid YAML" },
        { "a: \"\\q\"\n", "line 1: no valid YAML" },
        { "a: \"\\0\"\n", "line 1: a text has U+0000" },
        { "\"a\\0\": b\n", "line 1: a text has U+0000" },
        { "a: \xff\n", "line 1: no valid YAML" },
        { "a: \x01\n", "line 1: no valid YAML" },
        { "a: @b\n", "line 1: no valid YAML" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        enum chy_err r = parse(t, bad[i].text);
        if (r != CHY_E_MALFORMED || t->doc != NULL || strstr(t->err.text, bad[i].why) == NULL)
            fail_msg("%s: %s \"%s\", expected \"%s\"", bad[i].text, chy_err_name(r),
                     r == CHY_OK ? "" : t->err.text, bad[i].why);
    }
}

static void test_yaml_parse__refuses_an_alias_bomb(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, "a: &a [x,x,x,x,x,x,x,x,x]\n"
                              "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                              "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                              "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                              "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"),
                     CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "line 1: anchors and aliases are not allowed");
    assert_true(t->arena.used < 100);
}

static void repeat(struct chy_buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(chy_buf_append_c(b, text));
}

static enum chy_err parse_parts(struct fixture *t, const char *first, const char *text, size_t n,
                                const char *last, size_t n_last)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    repeat(&b, first, 1);
    repeat(&b, text, n);
    repeat(&b, last, n_last);
    enum chy_err r = chy_yaml_parse(chy_buf_bytes(&b), &t->arena, &t->doc, &t->err);
    chy_buf_done(&b);
    return r;
}

static void test_yaml_parse__depth_is_limited(void **state)
{
    struct fixture *t = *state;
    size_t n = CHY_LIMIT_DEPTH;
    assert_int_equal(parse_parts(t, "", "[", n, "]", n), CHY_OK);
    assert_int_equal(parse_parts(t, "", "[", n + 1, "]", n + 1), CHY_E_LIMIT);
    assert_non_null(strstr(t->err.text, "line 1: the YAML is nested over 16 deep"));
    assert_int_equal(parse_parts(t, "", "[", 10000, "]", 10000), CHY_E_LIMIT);
    assert_int_equal(parse_parts(t, "", "{a: ", 10000, "", 0), CHY_E_LIMIT);
    assert_int_equal(parse_parts(t, "", "- ", n, "a", 1), CHY_OK);
    assert_int_equal(parse_parts(t, "", "- ", n + 1, "a", 1), CHY_E_LIMIT);
    assert_int_equal(parse_parts(t, "", "- ", 10000, "a", 1), CHY_E_LIMIT);
}

static void test_yaml_parse__number_of_values_is_limited(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse_parts(t, "", "- a\n", CHY_LIMIT_DOC_NODES - 1, "", 0), CHY_OK);
    assert_int_equal(t->doc->n, CHY_LIMIT_DOC_NODES - 1);
    assert_int_equal(parse_parts(t, "", "- a\n", CHY_LIMIT_DOC_NODES, "", 0), CHY_E_LIMIT);
    assert_non_null(strstr(t->err.text, "line 400000: the YAML has over 400000 values"));
}

static void test_yaml_parse__size_is_limited(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse_parts(t, "a\n", "#", CHY_LIMIT_YAML - 2, "", 0), CHY_OK);
    uint8_t *p = calloc(1, CHY_LIMIT_YAML + 1);
    assert_non_null(p);
    memset(p, '#', CHY_LIMIT_YAML + 1);
    struct chy_bytes in = { p, CHY_LIMIT_YAML + 1 };
    assert_int_equal(chy_yaml_parse(in, &t->arena, &t->doc, &t->err), CHY_E_LIMIT);
    free(p);
}

/* The names of a large map are compared without the square of their number. */
static void test_yaml_parse__a_map_of_100000_names(void **state)
{
    struct fixture *t = *state;
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    for (int i = 0; i < 100000; i++)
        assert_true(chy_buf_printf(&b, "n%d: %d\n", (i * 7919) % 100000, i));
    assert_int_equal(chy_yaml_parse(chy_buf_bytes(&b), &t->arena, &t->doc, &t->err), CHY_OK);
    assert_int_equal(t->doc->n, 100000);
    assert_true(chy_buf_append_c(&b, "n7919: again\n"));
    assert_int_equal(chy_yaml_parse(chy_buf_bytes(&b), &t->arena, &t->doc, &t->err),
                     CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "line 100001: \"n7919\" is here already, in line 2");
    chy_buf_done(&b);
}

static void test_yaml_parse__survives_each_failed_allocation(void **state)
{
    struct fixture *t = *state;
    enum chy_err r = CHY_E_NOMEM;
    size_t n = 0;
    for (; r != CHY_OK; n++) {
        struct chy_arena own;
        const struct chy_doc *doc = NULL;
        chy_arena_init(&own, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        r = chy_yaml_parse(chy_str_bytes(CHY_STR("a: [b, c]\nd: {e: f, g: h}\n")), &own, &doc,
                           &t->err);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        chy_arena_done(&own);
    }
    assert_true(n > 3);
}

static void test_yaml_parse__stops_at_the_arenas_maximum(void **state)
{
    struct fixture *t = *state;
    struct chy_arena small;
    chy_arena_init(&small, 64);
    assert_int_equal(
        chy_yaml_parse(chy_str_bytes(CHY_STR("[a, b, c, d, e, f, g]")), &small, &t->doc, &t->err),
        CHY_E_NOMEM);
    chy_arena_done(&small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_yaml_parse__builds_a_tree_with_lines),
        TEST(test_yaml_parse__a_scalar_may_be_the_document),
        TEST(test_yaml_parse__refuses_and_says_where),
        TEST(test_yaml_parse__refuses_an_alias_bomb),
        TEST(test_yaml_parse__depth_is_limited),
        TEST(test_yaml_parse__number_of_values_is_limited),
        TEST(test_yaml_parse__size_is_limited),
        TEST(test_yaml_parse__a_map_of_100000_names),
        TEST(test_yaml_parse__survives_each_failed_allocation),
        TEST(test_yaml_parse__stops_at_the_arenas_maximum),
    };
    return cmocka_run_group_tests_name("yaml_parse", tests, NULL, NULL);
}
