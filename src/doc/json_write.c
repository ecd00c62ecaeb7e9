/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "doc/doc.h"

/* Appends are not checked one by one: the buffer remembers a failure until it is asked for. */
struct writer {
    struct chy_buf *out;
    struct chy_error *err;
    unsigned indent;
    unsigned depth;
};

bool chy_json_write_text(struct chy_buf *out, struct chy_str s)
{
    chy_buf_append_u8(out, '"');
    while (s.n > 0) {
        size_t len = chy_utf8_char(s);
        unsigned char c = (unsigned char)s.p[0];
        /* a character and how it is written */
        static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
        const char *letter = NULL;
        for (const char *l = letters; *l != '\0'; l += 2)
            if ((unsigned char)*l == c)
                letter = l + 1;
        if (len == 0)
            chy_buf_append_c(out, "\xef\xbf\xbd"); /* U+FFFD */
        else if (letter != NULL)
            chy_buf_printf(out, "\\%c", *letter);
        else if (c < 0x20 || c == 0x7f)
            chy_buf_printf(out, "\\u%04x", c);
        else
            chy_buf_append_str(out, (struct chy_str){ s.p, len });
        s.p += CHY_MAX(len, (size_t)1);
        s.n -= CHY_MAX(len, (size_t)1);
    }
    return chy_buf_append_u8(out, '"');
}

/* A line of its own for each member and element, where lines are wanted. */
static void line_break(const struct writer *w)
{
    if (w->indent == 0)
        return;
    chy_buf_append_u8(w->out, '\n');
    for (unsigned i = 0; i < w->indent * w->depth; i++)
        chy_buf_append_u8(w->out, ' ');
}

/* No deeper than chy_json_parse() goes. */
static enum chy_err open_put(struct writer *w, char c, const char *name)
{
    if (w->depth == CHY_LIMIT_DEPTH)
        return chy_fail(w->err, CHY_E_LIMIT, "%s is nested over %d deep", name, CHY_LIMIT_DEPTH);
    chy_buf_append_u8(w->out, (uint8_t)c);
    w->depth++;
    return CHY_OK;
}

static void close_put(struct writer *w, char c, bool was_empty)
{
    w->depth--;
    if (!was_empty)
        line_break(w);
    chy_buf_append_u8(w->out, (uint8_t)c);
}

static void element_begin(const struct writer *w, bool *is_first)
{
    if (!*is_first)
        chy_buf_append_u8(w->out, ',');
    *is_first = false;
    line_break(w);
}

static void name_put(const struct writer *w, struct chy_str name)
{
    chy_json_write_text(w->out, name);
    chy_buf_append_c(w->out, w->indent > 0 ? ": " : ":");
}

static enum chy_err struct_write(struct writer *w, const struct chy_schema *schema,
                                 const void *value);

static enum chy_err text_write(const struct writer *w, const struct chy_field *f, struct chy_str s)
{
    if (!chy_utf8_is_valid(s) || (s.n > 0 && memchr(s.p, 0, s.n) != NULL))
        return chy_fail(w->err, CHY_E_ARG, "%s has U+0000 or is no UTF-8", f->name);
    chy_json_write_text(w->out, s);
    return CHY_OK;
}

static enum chy_err number_write(const struct writer *w, const struct chy_field *f, uint64_t v)
{
    if (v > INT64_MAX)
        return chy_fail(w->err, CHY_E_ARG, "%s is %llu, more than a JSON number can be here",
                        f->name, (unsigned long long)v);
    chy_buf_printf(w->out, "%llu", (unsigned long long)v);
    return CHY_OK;
}

static enum chy_err time_write(const struct writer *w, const struct chy_field *f, int64_t v)
{
    if (v < 0 || v > CHY_TIME_MAX_US)
        return chy_fail(w->err, CHY_E_ARG, "%s is not within the years 1970 to 9999", f->name);
    chy_buf_append_u8(w->out, '"');
    chy_time_write(w->out, v);
    chy_buf_append_u8(w->out, '"');
    return CHY_OK;
}

static enum chy_err enum_write(const struct writer *w, const struct chy_field *f, const void *value)
{
    const char *name = chy_enum_name(f->values, chy_field_enum(f, value));
    if (name == NULL)
        return chy_fail(w->err, CHY_E_ARG, "%s has no value %d", f->name, chy_field_enum(f, value));
    chy_json_write_text(w->out, chy_str_of(name));
    return CHY_OK;
}

static void hex_write(const struct writer *w, struct chy_bytes b)
{
    chy_buf_append_u8(w->out, '"');
    chy_hex_append(w->out, b);
    chy_buf_append_u8(w->out, '"');
}

static void base64_write(const struct writer *w, struct chy_bytes b)
{
    chy_buf_append_u8(w->out, '"');
    chy_base64_append(w->out, b);
    chy_buf_append_u8(w->out, '"');
}

static enum chy_err strs_write(struct writer *w, const struct chy_field *f,
                               const struct chy_strs *strs)
{
    bool is_first = true;
    CHY_TRY(open_put(w, '[', f->name));
    for (size_t i = 0; i < strs->n; i++) {
        element_begin(w, &is_first);
        CHY_TRY(text_write(w, f, strs->p[i]));
    }
    close_put(w, ']', is_first);
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as open_put() lets it */
static enum chy_err list_write(struct writer *w, const struct chy_field *f,
                               const struct chy_list *list)
{
    bool is_first = true;
    bool is_map = (f->flags & CHY_AS_MAP) != 0;
    CHY_TRY(open_put(w, is_map ? '{' : '[', f->name));
    for (size_t i = 0; i < list->n; i++) {
        const void *element = (const char *)list->p + i * f->schema->size;
        element_begin(w, &is_first);
        if (!is_map) {
            CHY_TRY(struct_write(w, f->schema, element));
            continue;
        }
        const struct chy_str *name = chy_field_in(&f->schema->fields[0], element);
        const struct chy_str *text = chy_field_in(&f->schema->fields[1], element);
        CHY_TRY(text_write(w, &f->schema->fields[0], *name));
        chy_buf_append_c(w->out, w->indent > 0 ? ": " : ":");
        CHY_TRY(text_write(w, &f->schema->fields[1], *text));
    }
    close_put(w, is_map ? '}' : ']', is_first);
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as open_put() lets it */
static enum chy_err field_write(struct writer *w, const struct chy_field *f, const void *value)
{
    const void *at = chy_field_in(f, value);
    switch (f->kind) {
    case CHY_KIND_BOOL:
        chy_buf_append_c(w->out, *(const bool *)at ? "true" : "false");
        return CHY_OK;
    case CHY_KIND_U32:
        return number_write(w, f, *(const uint32_t *)at);
    case CHY_KIND_U64:
        return number_write(w, f, *(const uint64_t *)at);
    case CHY_KIND_TIME:
        return time_write(w, f, *(const int64_t *)at);
    case CHY_KIND_ENUM:
        return enum_write(w, f, value);
    case CHY_KIND_STR:
        return text_write(w, f, *(const struct chy_str *)at);
    case CHY_KIND_BYTES:
        base64_write(w, *(const struct chy_bytes *)at);
        return CHY_OK;
    case CHY_KIND_HEX:
        hex_write(w, *(const struct chy_bytes *)at);
        return CHY_OK;
    case CHY_KIND_HASH:
        hex_write(w, (struct chy_bytes){ at, CHY_HASH_BYTES });
        return CHY_OK;
    case CHY_KIND_ID:
        hex_write(w, (struct chy_bytes){ at, CHY_ID_BYTES });
        return CHY_OK;
    case CHY_KIND_STRUCT:
        return struct_write(w, f->schema, at);
    case CHY_KIND_OPTION:
        return struct_write(w, f->schema, *(const void *const *)at);
    case CHY_KIND_LIST:
        return list_write(w, f, at);
    case CHY_KIND_STRS:
        return strs_write(w, f, at);
    }
    return chy_fail(w->err, CHY_E_INTERNAL, "%s is of no known kind", f->name);
}

static bool field_is_left_out(const struct chy_field *f, const void *value)
{
    if ((f->flags & (CHY_INTERNAL | CHY_IN_PATH | CHY_IN_QUERY)) != 0)
        return true;
    if (f->kind == CHY_KIND_LIST || f->kind == CHY_KIND_STRS)
        return false;
    if (f->kind == CHY_KIND_OPTION)
        return chy_field_is_empty(f, value);
    return (f->flags & CHY_REQUIRED) == 0 && chy_field_is_empty(f, value);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as open_put() lets it */
static enum chy_err struct_write(struct writer *w, const struct chy_schema *schema,
                                 const void *value)
{
    bool is_first = true;
    CHY_TRY(open_put(w, '{', schema->name));
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if (field_is_left_out(f, value))
            continue;
        element_begin(w, &is_first);
        name_put(w, chy_str_of(f->name));
        CHY_TRY(field_write(w, f, value));
    }
    close_put(w, '}', is_first);
    return CHY_OK;
}

enum chy_err chy_json_write(const struct chy_schema *schema, const void *value, unsigned indent,
                            struct chy_buf *out, struct chy_error *err)
{
    struct writer w = { .out = out, .err = err, .indent = indent };
    CHY_TRY(struct_write(&w, schema, value));
    return chy_buf_check(out, err);
}
