/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "proto/api.h"

/* --- a schema with every kind of field --- */

enum color {
    COLOR_NONE,
    COLOR_RED
};
static const struct chy_enum_value colors[] = { { COLOR_NONE, "none", NULL },
                                                { COLOR_RED, "red", NULL } };
static const struct chy_enum color_enum = CHY_ENUM("color", colors);

struct inner {
    uint32_t n;
};
static const struct chy_field inner_fields[] = {
    CHY_F_U32(struct inner, n, CHY_REQUIRED, 2, 5, "n"),
};
static const struct chy_schema inner_schema =
    CHY_SCHEMA("Inner", struct inner, inner_fields, "inner");

struct all {
    bool flag;
    uint32_t u32;
    uint64_t u64;
    int64_t when_us;
    enum color color;
    struct chy_str str;
    struct chy_str wild;
    struct chy_bytes bytes;
    struct chy_bytes hex;
    uint8_t hash[CHY_HASH_BYTES];
    uint8_t id[CHY_ID_BYTES];
    struct inner in;
    const struct inner *option;
    CHY_LIST_OF(struct inner) list;
    struct chy_strs strs;
    struct chy_strs lone;
    CHY_LIST_OF(struct chy_label) labels;
    struct chy_str internal;
    struct chy_str path;
    struct chy_str query;
};
static const struct chy_field all_fields[] = {
    CHY_F_BOOL(struct all, flag, 0, "flag"),
    CHY_F_U32(struct all, u32, 0, 10, 20, "u32"),
    CHY_F_U64(struct all, u64, 0, 0, UINT64_MAX, "u64"),
    CHY_F_TIME(struct all, when, 0, "when"),
    CHY_F_ENUM(struct all, color, &color_enum, enum color, 0, "color"),
    CHY_F_STR(struct all, str, CHY_REQUIRED, 2, 4, "str"),
    CHY_F_STR(struct all, wild, CHY_MULTILINE, 0, 10, "wild"),
    CHY_F_BYTES(struct all, bytes, 0, 2, 4, "bytes"),
    CHY_F_HEX(struct all, hex, 0, 2, 4, "hex"),
    CHY_F_HASH(struct all, hash, 0, "hash"),
    CHY_F_ID(struct all, id, 0, "id"),
    CHY_F_STRUCT(struct all, in, &inner_schema, struct inner, 0, "in"),
    CHY_F_OPTION(struct all, option, &inner_schema, struct inner, 0, "option"),
    CHY_F_LIST(struct all, list, &inner_schema, struct inner, 0, 1, 2, "list"),
    CHY_F_STRS(struct all, strs, 0, 2, 3, "strs"),
    CHY_F_STRS(struct all, lone, CHY_ONE_OR_MORE, 2, 3, "lone"),
    CHY_F_LIST(struct all, labels, &chy_label_schema, struct chy_label, CHY_AS_MAP, 0, 2, "labels"),
    CHY_F_STR(struct all, internal, CHY_INTERNAL | CHY_REQUIRED, 0, 4, "internal"),
    CHY_F_STR(struct all, path, CHY_IN_PATH | CHY_REQUIRED, 0, 4, "path"),
    CHY_F_STR(struct all, query, CHY_IN_QUERY | CHY_REQUIRED, 0, 4, "query"),
};
static const struct chy_schema all_schema = CHY_SCHEMA("All", struct all, all_fields, "all");

struct fixture {
    struct chy_arena arena;
    struct chy_error err;
    struct all value;
};

static int set_up(void **state)
{
    static struct fixture t;
    chy_arena_init(&t.arena, CHY_LIMIT_ARENA);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *t = *state;
    chy_arena_done(&t->arena);
    return 0;
}

static enum chy_err read_json(struct fixture *t, const char *text)
{
    const struct chy_doc *doc = NULL;
    if (chy_json_parse(chy_str_bytes(chy_str_of(text)), &t->arena, &doc, &t->err) != CHY_OK)
        fail_msg("%s: %s", text, t->err.text);
    return chy_doc_read(&all_schema, doc, &t->arena, &t->value, &t->err);
}

static enum chy_err read_yaml(struct fixture *t, const char *text)
{
    const struct chy_doc *doc = NULL;
    if (chy_yaml_parse(chy_str_bytes(chy_str_of(text)), &t->arena, &doc, &t->err) != CHY_OK)
        fail_msg("%s: %s", text, t->err.text);
    return chy_doc_read(&all_schema, doc, &t->arena, &t->value, &t->err);
}

#define HASH_TEXT "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0F"
#define ID_TEXT   "000102030405060708090a0b0c0d0e0f"

static void assert_all_is_read(const struct all *v)
{
    assert_true(v->flag);
    assert_int_equal(v->u32, 10);
    assert_true(v->u64 == INT64_MAX);
    assert_int_equal(v->when_us, 1);
    assert_int_equal(v->color, COLOR_RED);
    assert_true(chy_str_equal_c(v->str, "abcd"));
    assert_true(chy_str_equal_c(v->wild, "a\nb"));
    assert_true(chy_bytes_equal(v->bytes, chy_str_bytes(CHY_STR("\xff\xfe"))));
    assert_true(chy_bytes_equal(v->hex, chy_str_bytes(CHY_STR("\xfe\xdc\xba"))));
    for (uint8_t i = 0; i < CHY_HASH_BYTES; i++)
        assert_int_equal(v->hash[i], i % 16);
    assert_int_equal(v->id[15], 15);
    assert_int_equal(v->in.n, 2);
    assert_int_equal(v->option->n, 5);
    assert_int_equal(v->list.n, 2);
    assert_int_equal(v->list.p[1].n, 4);
    assert_int_equal(v->strs.n, 2);
    assert_true(chy_str_equal_c(v->strs.p[1], "b"));
    assert_int_equal(v->lone.n, 1);
    assert_true(chy_str_equal_c(v->lone.p[0], "one"));
    assert_int_equal(v->labels.n, 2);
    assert_true(chy_str_equal_c(v->labels.p[0].name, "x"));
    assert_true(chy_str_equal_c(v->labels.p[0].value, "y"));
    assert_true(chy_str_equal_c(v->labels.p[1].name, "z"));
    assert_int_equal(v->labels.p[1].value.n, 0);
}

static void test_doc_read__json_fills_every_kind(void **state)
{
    struct fixture *t = *state;
    enum chy_err r = read_json(
        t, "{\"flag\":true,\"u32\":10,\"u64\":9223372036854775807,"
           "\"when\":\"1970-01-01T00:00:00.000001Z\",\"color\":\"red\",\"str\":\"abcd\","
           "\"wild\":\"a\\nb\",\"bytes\":\"//4=\",\"hex\":\"fedcBA\",\"hash\":\"" HASH_TEXT
           "\",\"id\":\"" ID_TEXT "\",\"in\":{\"n\":2},\"option\":{\"n\":5},"
           "\"list\":[{\"n\":3},{\"n\":4}],\"strs\":[\"a\",\"b\"],\"lone\":\"one\","
           "\"labels\":{\"x\":\"y\",\"z\":\"\"}}");
    if (r != CHY_OK)
        fail_msg("%s", t->err.text);
    assert_all_is_read(&t->value);
}

static void test_doc_read__yaml_fills_every_kind(void **state)
{
    struct fixture *t = *state;
    enum chy_err r = read_yaml(t, "flag: true\n"
                                  "u32: 10\n"
                                  "u64: 9223372036854775807\n"
                                  "when: 1970-01-01T00:00:00.000001Z\n"
                                  "color: red\n"
                                  "str: abcd\n"
                                  "wild: |-\n  a\n  b\n"
                                  "bytes: //4=\n"
                                  "hex: fedcBA\n"
                                  "hash: " HASH_TEXT "\n"
                                  "id: \"" ID_TEXT "\"\n"
                                  "in: {n: 2}\n"
                                  "option:\n  n: 5\n"
                                  "list:\n- n: 3\n- n: 4\n"
                                  "strs: [a, b]\n"
                                  "lone: one\n"
                                  "labels: {x: y, z: ''}\n");
    if (r != CHY_OK)
        fail_msg("%s", t->err.text);
    assert_all_is_read(&t->value);
}

static void test_doc_read__what_is_absent_is_zero(void **state)
{
    struct fixture *t = *state;
    static const struct all zero;
    memset(&t->value, 0xa5, sizeof t->value);
    assert_int_equal(read_json(t, "{\"str\":\"ab\"}"), CHY_OK);
    assert_true(chy_str_equal_c(t->value.str, "ab"));
    t->value.str = zero.str;
    assert_memory_equal(&t->value, &zero, sizeof zero);
}

static void test_doc_read__one_or_more_takes_both(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(read_yaml(t, "str: ab\nlone: [a, b]\n"), CHY_OK);
    assert_int_equal(t->value.lone.n, 2);
    assert_int_equal(read_yaml(t, "str: ab\nlone: []\n"), CHY_OK);
    assert_int_equal(t->value.lone.n, 0);
}

/* --- refusals: each is one change of a document that is right --- */

struct refusal {
    const char *member; /* beside "str" */
    enum chy_err code;
    const char *text;
};

static const struct refusal json_refusals[] = {
    { "\"flag\":1", CHY_E_MALFORMED, "flag is a number, expected true or false" },
    { "\"flag\":\"true\"", CHY_E_MALFORMED, "flag is a text, expected true or false" },
    { "\"flag\":null", CHY_E_MALFORMED, "flag is empty (leave it out instead)" },
    { "\"u32\":\"10\"", CHY_E_MALFORMED, "u32 is a text, expected a number" },
    { "\"u32\":true", CHY_E_MALFORMED, "u32 is a boolean, expected a number" },
    { "\"u32\":9", CHY_E_LIMIT, "u32 is 9, expected 10 to 20" },
    { "\"u32\":21", CHY_E_LIMIT, "u32 is 21, expected 10 to 20" },
    { "\"u32\":4294967306", CHY_E_LIMIT, "u32 is 4294967306, expected 10 to 20" },
    { "\"u64\":-1", CHY_E_LIMIT, "u64 is -1, expected 0 at least" },
    { "\"when\":1", CHY_E_MALFORMED, "when is a number, expected a text" },
    { "\"when\":\"today\"", CHY_E_MALFORMED, "when is wrong: \"today\" is no time of RFC 3339" },
    { "\"color\":\"blue\"", CHY_E_MALFORMED, "color is \"blue\", expected one of: red" },
    { "\"color\":1", CHY_E_MALFORMED, "color is a number, expected a text" },
    { "\"bytes\":\"//4\"", CHY_E_MALFORMED, "bytes is wrong: base 64 text has 3 characters" },
    { "\"bytes\":\"/w==\"", CHY_E_MALFORMED, "bytes has 1 bytes, at least 2 are needed" },
    { "\"bytes\":\"AAAAAAA=\"", CHY_E_LIMIT, "bytes has 5 bytes, at most 4 are allowed" },
    { "\"hex\":\"abc\"", CHY_E_MALFORMED, "hex is wrong: hexadecimal text has 3 digits" },
    { "\"hex\":\"abxd\"", CHY_E_MALFORMED, "hex is wrong: character 3 is no hexadecimal digit" },
    { "\"hex\":\"ab\"", CHY_E_MALFORMED, "hex has 1 bytes, at least 2 are needed" },
    { "\"hex\":\"abababababa\"", CHY_E_LIMIT, "hex has 5 bytes, at most 4 are allowed" },
    { "\"hash\":\"00\"", CHY_E_MALFORMED, "hash is wrong: hexadecimal text has 2 digits" },
    { "\"id\":\"" HASH_TEXT "\"", CHY_E_MALFORMED, "id is wrong" },
    { "\"in\":[]", CHY_E_MALFORMED, "in is a list, expected a map" },
    { "\"in\":{}", CHY_E_MALFORMED, "in.n is missing" },
    { "\"in\":{\"n\":6}", CHY_E_LIMIT, "in.n is 6, expected 2 to 5" },
    { "\"option\":null", CHY_E_MALFORMED, "option is empty" },
    { "\"option\":{\"m\":1}", CHY_E_MALFORMED, "option.m is not known; known here: n" },
    { "\"list\":{}", CHY_E_MALFORMED, "list is a map, expected a list" },
    { "\"list\":[]", CHY_E_MALFORMED, "list has 0 elements, expected 1 to 2" },
    { "\"list\":[{\"n\":2},{\"n\":2},{\"n\":2}]", CHY_E_LIMIT, "list has 3 elements" },
    { "\"list\":[{\"n\":2},{\"n\":1}]", CHY_E_LIMIT, "list[1].n is 1, expected 2 to 5" },
    { "\"list\":[{\"n\":2},5]", CHY_E_MALFORMED, "list[1] is a number, expected a map" },
    { "\"strs\":\"a\"", CHY_E_MALFORMED, "strs is a text, expected a list" },
    { "\"strs\":[\"a\",1]", CHY_E_MALFORMED, "strs[1] is a number, expected a text" },
    { "\"strs\":[\"a\",\"b\",\"c\"]", CHY_E_LIMIT, "strs has 3 elements, at most 2" },
    { "\"strs\":[\"abcd\"]", CHY_E_LIMIT, "strs has an element of 4 bytes, expected 1 to 3" },
    { "\"strs\":[\"\"]", CHY_E_MALFORMED, "strs has an element of 0 bytes" },
    { "\"strs\":[\"\\n\"]", CHY_E_MALFORMED, "strs is not plain" },
    { "\"lone\":1", CHY_E_MALFORMED, "lone is a number, expected a text or a list" },
    { "\"labels\":[]", CHY_E_MALFORMED, "labels is a list, expected a map" },
    { "\"labels\":{\"x\":1}", CHY_E_MALFORMED, "labels.x is a number, expected a text" },
    { "\"labels\":{\"x\":\"\\n\"}", CHY_E_MALFORMED, "labels.x is not plain" },
    { "\"labels\":{\"\":\"x\"}", CHY_E_MALFORMED, "is missing" },
    { "\"labels\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}", CHY_E_LIMIT, "labels has 3 elements" },
    { "\"wild\":\"12345678901\"", CHY_E_LIMIT, "wild has 11 bytes, at most 10" },
    { "\"internal\":\"x\"", CHY_E_MALFORMED, "internal is not known" },
    { "\"path\":\"x\"", CHY_E_MALFORMED, "path is not known" },
    { "\"query\":\"x\"", CHY_E_MALFORMED, "query is not known" },
    { "\"Str\":\"x\"", CHY_E_MALFORMED, "Str is not known; known here: flag, u32, u64, when" },
};

static void test_doc_read__refuses_json_and_says_where(void **state)
{
    struct fixture *t = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(json_refusals); i++) {
        const struct refusal *bad = &json_refusals[i];
        struct chy_str text = chy_arena_printf(&t->arena, "{\"str\":\"abcd\",%s}", bad->member);
        enum chy_err r = read_json(t, text.p);
        if (r != bad->code || strncmp(t->err.text, bad->text, strlen(bad->text)) != 0) {
            if (r != bad->code || strstr(t->err.text, bad->text) == NULL)
                fail_msg("%s: %s \"%s\", expected \"%s\"", bad->member, chy_err_name(r),
                         t->err.text, bad->text);
        }
        assert_int_equal(t->err.code, bad->code);
    }
}

static const struct refusal yaml_refusals[] = {
    { "flag: yes", CHY_E_MALFORMED, "line 2: flag is \"yes\", expected true or false" },
    { "flag: 'true'", CHY_E_MALFORMED, "line 2: flag is a text, expected true or false" },
    { "flag:", CHY_E_MALFORMED, "line 2: flag is empty" },
    { "u32: '10'", CHY_E_MALFORMED, "line 2: u32 is a text, expected a number" },
    { "u32: 010", CHY_E_MALFORMED, "line 2: u32 is \"010\", expected a decimal number" },
    { "u32: 0x10", CHY_E_MALFORMED, "line 2: u32 is \"0x10\"" },
    { "u32: +10", CHY_E_MALFORMED, "line 2: u32 is \"+10\"" },
    { "u32: 1_0", CHY_E_MALFORMED, "line 2: u32 is \"1_0\"" },
    { "u32: 10s", CHY_E_MALFORMED, "line 2: u32 is \"10s\"" },
    { "u32: -10", CHY_E_MALFORMED, "line 2: u32 is \"-10\"" },
    { "u32: 18446744073709551616", CHY_E_MALFORMED, "line 2: u32 is \"18446744073709551616\"" },
    { "u32: 18446744073709551615", CHY_E_LIMIT, "line 2: u32 is 18446744073709551615" },
    { "list:\n  - n: 2\n  -\n    n: 9", CHY_E_LIMIT, "line 5: list[1].n is 9, expected 2 to 5" },
    { "list:\n  - n: 2\n    m: 3", CHY_E_MALFORMED, "line 4: list[0].m is not known" },
    { "strs:\n- a\n- [b]", CHY_E_MALFORMED, "line 4: strs[1] is a list, expected a text" },
    { "strs: null", CHY_E_MALFORMED, "line 2: strs is empty" },
    { "labels: {a: {}}", CHY_E_MALFORMED, "line 2: labels.a is a map, expected a text" },
};

static void test_doc_read__refuses_yaml_and_says_the_line(void **state)
{
    struct fixture *t = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(yaml_refusals); i++) {
        const struct refusal *bad = &yaml_refusals[i];
        struct chy_str text = chy_arena_printf(&t->arena, "str: abcd\n%s\n", bad->member);
        enum chy_err r = read_yaml(t, text.p);
        if (r != bad->code || strncmp(t->err.text, bad->text, strlen(bad->text)) != 0)
            fail_msg("%s: %s \"%s\", expected \"%s\"", bad->member, chy_err_name(r), t->err.text,
                     bad->text);
    }
}

static void test_doc_read__refuses_a_wrong_or_missing_required_text(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(read_json(t, "{}"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "str is missing");
    assert_int_equal(read_json(t, "{\"str\":\"\"}"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "str is missing");
    assert_int_equal(read_json(t, "{\"str\":\"a\"}"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "str has 1 bytes, at least 2 are needed");
    assert_int_equal(read_json(t, "{\"str\":\"abcde\"}"), CHY_E_LIMIT);
    assert_int_equal(read_json(t, "{\"str\":\"a\\tb\"}"), CHY_E_MALFORMED);
    assert_int_equal(read_json(t, "[]"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "the document is a list, expected a map");
    assert_int_equal(read_yaml(t, "- a\n"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "line 1: the document is a list, expected a map");
    assert_int_equal(read_yaml(t, "\n\nu32: 10\n"), CHY_E_MALFORMED);
    assert_string_equal(t->err.text, "line 3: str is missing");
}

/* A name from outside cannot push what matters out of the text, nor put control characters into
 * it. */
static void test_doc_read__shows_little_of_a_long_name(void **state)
{
    struct fixture *t = *state;
    char text[3000];
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"\\u001b[31m", 11);
    memcpy(text + sizeof text - 5, "\":1}", 5);
    assert_int_equal(read_json(t, text), CHY_E_MALFORMED);
    assert_non_null(strstr(t->err.text, " is not known; known here: flag, u32"));
    assert_null(strchr(t->err.text, 0x1b));
}

static void test_doc_read__needs_no_error_struct(void **state)
{
    struct fixture *t = *state;
    const struct chy_doc *doc = NULL;
    assert_int_equal(chy_json_parse(chy_str_bytes(CHY_STR("{\"u32\":1}")), &t->arena, &doc, NULL),
                     CHY_OK);
    assert_int_equal(chy_doc_read(&all_schema, doc, &t->arena, &t->value, NULL), CHY_E_LIMIT);
}

static void test_doc_read_lenient__passes_over_what_it_does_not_know(void **state)
{
    struct fixture *t = *state;
    const struct chy_doc *doc = NULL;
    struct chy_str text = CHY_STR("{\"str\":\"ab\",\"new\":[1,{}],\"in\":{\"n\":2,\"m\":null}}");
    assert_int_equal(chy_json_parse(chy_str_bytes(text), &t->arena, &doc, NULL), CHY_OK);
    assert_int_equal(chy_doc_read_lenient(&all_schema, doc, &t->arena, &t->value, NULL), CHY_OK);
    assert_int_equal(t->value.in.n, 2);
    assert_int_equal(chy_doc_read(&all_schema, doc, &t->arena, &t->value, NULL), CHY_E_MALFORMED);
    text = CHY_STR("{\"new\":1}");
    assert_int_equal(chy_json_parse(chy_str_bytes(text), &t->arena, &doc, NULL), CHY_OK);
    assert_int_equal(chy_doc_read_lenient(&all_schema, doc, &t->arena, &t->value, NULL),
                     CHY_E_MALFORMED);
}

static void test_doc_read__survives_each_failed_allocation(void **state)
{
    struct fixture *t = *state;
    const struct chy_doc *doc = NULL;
    struct chy_str text =
        CHY_STR("{\"str\":\"ab\",\"hex\":\"abcd\",\"bytes\":\"//4=\",\"option\":{\"n\":2},"
                "\"list\":[{\"n\":2}],\"strs\":[\"a\"],\"labels\":{\"a\":\"b\"}}");
    assert_int_equal(chy_json_parse(chy_str_bytes(text), &t->arena, &doc, NULL), CHY_OK);
    /* An arena asks for a block now and then only: its own maximum fails at each of its
     * allocations. */
    enum chy_err r = CHY_E_NOMEM;
    size_t n = 0;
    for (; r != CHY_OK; n++) {
        struct chy_arena own;
        chy_arena_init(&own, n * 16);
        r = chy_doc_read(&all_schema, doc, &own, &t->value, &t->err);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        chy_arena_done(&own);
    }
    assert_true(n > 6);
    struct chy_arena own;
    chy_arena_init(&own, CHY_LIMIT_ARENA);
    chy_mem_fail_after(0);
    assert_int_equal(chy_doc_read(&all_schema, doc, &own, &t->value, &t->err), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    chy_arena_done(&own);
}

/* --- one field from a text --- */

static enum chy_err read_text(struct fixture *t, const char *name, const char *text)
{
    const struct chy_field *f = chy_schema_field(&all_schema, chy_str_of(name));
    assert_non_null(f);
    return chy_doc_read_text(f, chy_str_of(text), &t->arena, &t->value, &t->err);
}

static void test_doc_read_text__reads_what_a_url_can_carry(void **state)
{
    struct fixture *t = *state;
    memset(&t->value, 0, sizeof t->value);
    assert_int_equal(read_text(t, "flag", "true"), CHY_OK);
    assert_int_equal(read_text(t, "u32", "10"), CHY_OK);
    assert_int_equal(read_text(t, "u64", "18446744073709551615"), CHY_OK);
    assert_int_equal(read_text(t, "when", "1970-01-01T00:00:01Z"), CHY_OK);
    assert_int_equal(read_text(t, "color", "red"), CHY_OK);
    assert_int_equal(read_text(t, "path", "abcd"), CHY_OK);
    assert_int_equal(read_text(t, "hex", "fedc"), CHY_OK);
    assert_int_equal(read_text(t, "id", ID_TEXT), CHY_OK);
    assert_int_equal(read_text(t, "hash", HASH_TEXT), CHY_OK);
    assert_int_equal(read_text(t, "strs", "a"), CHY_OK);
    assert_true(t->value.flag && t->value.u32 == 10 && t->value.u64 == UINT64_MAX);
    assert_true(t->value.when_us == 1000000 && t->value.color == COLOR_RED);
    assert_true(chy_str_equal_c(t->value.path, "abcd"));
    assert_true(t->value.hex.n == 2 && t->value.id[1] == 1 && t->value.hash[31] == 15);
    assert_true(t->value.strs.n == 1 && chy_str_equal_c(t->value.strs.p[0], "a"));
}

static void test_doc_read_text__refuses(void **state)
{
    struct fixture *t = *state;
    static const struct {
        const char *name;
        const char *text;
        enum chy_err code;
        const char *why;
    } bad[] = {
        { "flag", "1", CHY_E_MALFORMED, "flag is \"1\", expected true or false" },
        { "u32", "", CHY_E_MALFORMED, "u32 is \"\", expected a decimal number" },
        { "u32", "1 ", CHY_E_MALFORMED, "u32 is \"1 \"" },
        { "u32", "21", CHY_E_LIMIT, "u32 is 21, expected 10 to 20" },
        { "path", "abcde", CHY_E_LIMIT, "path has 5 bytes, at most 4 are allowed" },
        { "path", "a\xff", CHY_E_MALFORMED, "path is not plain" },
        { "path", "", CHY_E_MALFORMED, "path is missing" },
        { "color", "RED", CHY_E_MALFORMED, "color is \"RED\"" },
        { "id", "00", CHY_E_MALFORMED, "id is wrong" },
        { "strs", "abcd", CHY_E_LIMIT, "strs has an element of 4 bytes" },
        { "in", "x", CHY_E_INTERNAL, "in is of no kind" },
        { "list", "x", CHY_E_INTERNAL, "list is of no kind" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        assert_int_equal(read_text(t, bad[i].name, bad[i].text), bad[i].code);
        if (strncmp(t->err.text, bad[i].why, strlen(bad[i].why)) != 0)
            fail_msg("\"%s\", expected \"%s\"", t->err.text, bad[i].why);
    }
}

/* --- requests of the real interface --- */

static void test_doc_read__sign_request_with_1001_items(void **state)
{
    struct fixture *t = *state;
    struct chy_sign_request request;
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_JSON);
    for (size_t n = CHY_LIMIT_SIGN_ITEMS; n <= CHY_LIMIT_SIGN_ITEMS + 1; n++) {
        const struct chy_doc *doc = NULL;
        chy_buf_clear(&b);
        chy_buf_append_c(&b, "{\"items\":[");
        for (size_t i = 0; i < n; i++)
            chy_buf_printf(&b,
                           "%s{\"key\":\"k\",\"algorithm\":\"ecdsa-sha256\",\"digest\":\"ab\","
                           "\"hashed_by\":\"tool\"}",
                           i > 0 ? "," : "");
        assert_true(chy_buf_append_c(&b, "]}"));
        assert_int_equal(chy_json_parse(chy_buf_bytes(&b), &t->arena, &doc, &t->err), CHY_OK);
        enum chy_err r = chy_doc_read(&chy_sign_request_schema, doc, &t->arena, &request, &t->err);
        assert_int_equal(r, n > CHY_LIMIT_SIGN_ITEMS ? CHY_E_LIMIT : CHY_OK);
    }
    assert_string_equal(t->err.text, "items has 1001 elements, expected 1 to 1000");
    chy_buf_done(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_doc_read__json_fills_every_kind),
        TEST(test_doc_read__yaml_fills_every_kind),
        TEST(test_doc_read__what_is_absent_is_zero),
        TEST(test_doc_read__one_or_more_takes_both),
        TEST(test_doc_read__refuses_json_and_says_where),
        TEST(test_doc_read__refuses_yaml_and_says_the_line),
        TEST(test_doc_read__refuses_a_wrong_or_missing_required_text),
        TEST(test_doc_read__shows_little_of_a_long_name),
        TEST(test_doc_read__needs_no_error_struct),
        TEST(test_doc_read_lenient__passes_over_what_it_does_not_know),
        TEST(test_doc_read__survives_each_failed_allocation),
        TEST(test_doc_read_text__reads_what_a_url_can_carry),
        TEST(test_doc_read_text__refuses),
        TEST(test_doc_read__sign_request_with_1001_items),
    };
    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
