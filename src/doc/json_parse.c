/* SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "base/limits.h"
#include "doc/doc.h"

/* What one look at the bytes tells before anything is built from them. */
struct shape {
    size_t depth;
    size_t nodes;
};

/* The end of a string that begins at in.p[i]. An unfinished one ends with the input: jansson will
 * say so. */
static size_t string_end(struct chy_bytes in, size_t i)
{
    for (i++; i < in.n && in.p[i] != '"'; i++)
        if (in.p[i] == '\\')
            i++;
    return i;
}

/* jansson recurses once a level and allocates as it goes, so depth and number of values are counted
 * first. Of a text that is no JSON this counts at least what jansson meets before it refuses. */
static enum chy_err shape_check(struct chy_bytes in, struct chy_error *err)
{
    struct shape s = { .nodes = 1 };
    bool after_open = false;
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];
        bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        bool is_open = c == '[' || c == '{';
        bool is_close = c == ']' || c == '}';
        if (c == '"')
            i = string_end(in, i);
        if (c == ',' || (after_open && !is_close && !is_space))
            s.nodes++;
        if (is_open)
            s.depth++;
        if (is_close && s.depth > 0)
            s.depth--;
        if (s.depth > CHY_LIMIT_DEPTH)
            return chy_fail(err, CHY_E_LIMIT, "the JSON is nested over %d deep", CHY_LIMIT_DEPTH);
        if (s.nodes > CHY_LIMIT_DOC_NODES)
            return chy_fail(err, CHY_E_LIMIT, "the JSON has over %d values", CHY_LIMIT_DOC_NODES);
        after_open = is_open || (after_open && is_space);
    }
    return CHY_OK;
}

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a JSON document");
}

static enum chy_err text_take(const char *p, size_t n, struct chy_arena *arena, struct chy_str *ret,
                              struct chy_error *err)
{
    *ret = chy_arena_str(arena, (struct chy_str){ p, n });
    return ret->p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err value_take(const json_t *v, struct chy_arena *arena, struct chy_doc *ret,
                               struct chy_error *err);

/* NOLINTNEXTLINE(misc-no-recursion): shape_check() has held the depth to CHY_LIMIT_DEPTH */
static enum chy_err array_take(const json_t *v, struct chy_arena *arena, struct chy_doc *ret,
                               struct chy_error *err)
{
    size_t n = json_array_size(v);
    struct chy_doc *items = chy_arena_array(arena, struct chy_doc, n);
    if (items == NULL)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        CHY_TRY(value_take(json_array_get(v, i), arena, &items[i], err));
    *ret = (struct chy_doc){ .kind = CHY_DOC_LIST, .items = items, .n = n };
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): shape_check() has held the depth to CHY_LIMIT_DEPTH */
static enum chy_err object_take(json_t *v, struct chy_arena *arena, struct chy_doc *ret,
                                struct chy_error *err)
{
    size_t n = json_object_size(v);
    struct chy_doc_member *members = chy_arena_array(arena, struct chy_doc_member, n);
    if (members == NULL)
        return no_memory(err);
    struct chy_doc_member *m = members;
    for (void *i = json_object_iter(v); i != NULL; i = json_object_iter_next(v, i), m++) {
        const char *name = json_object_iter_key(i);
        CHY_TRY(text_take(name, strlen(name), arena, &m->name, err));
        CHY_TRY(value_take(json_object_iter_value(i), arena, &m->value, err));
    }
    *ret = (struct chy_doc){ .kind = CHY_DOC_MAP, .members = members, .n = n };
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): shape_check() has held the depth to CHY_LIMIT_DEPTH */
static enum chy_err value_take(const json_t *v, struct chy_arena *arena, struct chy_doc *ret,
                               struct chy_error *err)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: /* jansson's iterators take no const */
        return object_take(CHY_UNCONST(json_t, v), arena, ret, err);
    case JSON_ARRAY:
        return array_take(v, arena, ret, err);
    case JSON_STRING:
        *ret = (struct chy_doc){ .kind = CHY_DOC_TEXT, .is_quoted = true };
        return text_take(json_string_value(v), json_string_length(v), arena, &ret->text, err);
    case JSON_INTEGER:
        *ret = (struct chy_doc){ .kind = CHY_DOC_INTEGER, .integer = json_integer_value(v) };
        return CHY_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret = (struct chy_doc){ .kind = CHY_DOC_BOOL, .boolean = json_is_true(v) };
        return CHY_OK;
    case JSON_NULL:
        *ret = (struct chy_doc){ .kind = CHY_DOC_NULL };
        return CHY_OK;
    case JSON_REAL:
        return chy_fail(err, CHY_E_MALFORMED, "the JSON has the number %g, which is no integer",
                        json_real_value(v));
    }
    return chy_fail(err, CHY_E_INTERNAL, "the JSON has a value of no known type");
}

void chy_json_prepare(void)
{
    json_object_seed(0); /* from /dev/urandom */
}

enum chy_err chy_json_parse(struct chy_bytes in, struct chy_arena *arena,
                            const struct chy_doc **ret_doc, struct chy_error *err)
{
    if (in.n > CHY_LIMIT_JSON)
        return chy_fail(err, CHY_E_LIMIT, "the JSON is %zu bytes long, expected %d at most", in.n,
                        CHY_LIMIT_JSON);
    if (in.n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "the JSON is empty");
    CHY_TRY(shape_check(in, err));

    json_error_t why;
    CHY_CLEANUP(json_decrefp)
    json_t *root =
        json_loadb((const char *)in.p, in.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (root == NULL && json_error_code(&why) == json_error_out_of_memory)
        return no_memory(err);
    if (root == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "no valid JSON, line %d column %d: %s", why.line,
                        why.column, why.text);
    struct chy_doc *doc = chy_arena_new(arena, struct chy_doc);
    if (doc == NULL)
        return no_memory(err);
    CHY_TRY(value_take(root, arena, doc, err));
    *ret_doc = doc;
    return CHY_OK;
}
