/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "doc/doc.h"

/* of "items[3].facts[0].value", as far as an error text has room for it */
#define PLACE_BYTES   160
#define SHOWN_BYTES   48 /* of a value or name from outside */
#define SCHEMA_FIELDS 64 /* of one struct: those seen are the bits of a word */
_Static_assert(PLACE_BYTES < CHY_ERROR_TEXT_BYTES, "a place leaves room for what is wrong there");

/* Where the walk is: a chain on the stack from the innermost place to the document. */
struct place {
    const struct place *up;
    struct chy_str name; /* of a member; NULL for an element */
    size_t index;        /* of an element */
    uint32_t line;       /* 0: unknown */
};

struct reader {
    struct chy_arena *arena;
    struct chy_error *err;
    bool is_lenient;
};

static int shown(struct chy_str s)
{
    size_t n = CHY_MIN(s.n, (size_t)SHOWN_BYTES);
    while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}
#define SHOWN(s) shown(s), ((s).p != NULL ? (s).p : "")

/* --- errors: "line 12: items[3].digest has 65 bytes, at most 64 are allowed" --- */

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document, CHY_LIMIT_DEPTH at most */
static size_t place_write(const struct place *at, char *out, size_t size)
{
    if (at->up == NULL)
        return 0;
    size_t n = place_write(at->up, out, size);
    int w = at->name.p != NULL
                ? snprintf(out + n, size - n, "%s%.*s", n > 0 ? "." : "", SHOWN(at->name))
                : snprintf(out + n, size - n, "[%zu]", at->index);
    return w < 0 ? n : CHY_MIN(n + (size_t)w, size - 1);
}

/* The text says what is wrong ("has 65 bytes"); the place and the line go in front of it. */
static enum chy_err place_put(const struct reader *r, const struct place *at, enum chy_err code)
{
    if (r->err == NULL)
        return code;
    char place[PLACE_BYTES] = "";
    char what[CHY_ERROR_TEXT_BYTES];
    memcpy(what, r->err->text, sizeof what);
    size_t n = place_write(at, place, sizeof place);
    const char *where = r->err->where;
    const char *subject = n > 0 ? place : "the document";
    if (at->line != 0)
        return chy_error_set(r->err, code, 0, where, "line %u: %s %s", at->line, subject, what);
    return chy_error_set(r->err, code, 0, where, "%s %s", subject, what);
}

#define read_fail(r, at, code, ...) place_put((r), (at), chy_fail((r)->err, (code), __VA_ARGS__))

static const char *kind_text(const struct chy_doc *doc)
{
    switch (doc->kind) {
    case CHY_DOC_NULL:
        return "empty (leave it out instead)";
    case CHY_DOC_BOOL:
        return "a boolean";
    case CHY_DOC_INTEGER:
        return "a number";
    case CHY_DOC_TEXT:
        return "a text";
    case CHY_DOC_LIST:
        return "a list";
    case CHY_DOC_MAP:
        return "a map";
    }
    return "of no known kind";
}

static enum chy_err wrong_type(const struct reader *r, const struct place *at,
                               const struct chy_doc *doc, const char *expected)
{
    return read_fail(r, at, CHY_E_MALFORMED, "is %s, expected %s", kind_text(doc), expected);
}

static enum chy_err no_memory(const struct reader *r, const struct place *at)
{
    return read_fail(r, at, CHY_E_NOMEM, "needs more memory than there is");
}

/* --- scalars --- */

/* The bounds of the schema, by the codec's own check of a struct with this one field. Its texts
 * begin with the field's name, which the place says already. */
static enum chy_err bounds_check(const struct reader *r, const struct place *at,
                                 const struct chy_field *f, const void *value)
{
    const struct chy_schema one = { .name = f->name, .fields = f, .n = 1 };
    enum chy_err code = chy_schema_check(&one, value, r->err);
    if (code == CHY_OK)
        return CHY_OK;
    if (code == CHY_E_ARG) /* what is the caller's mistake there is the document's here */
        code = CHY_E_MALFORMED;
    size_t n = strlen(f->name);
    if (r->err != NULL && chy_str_starts(chy_str_of(r->err->text), f->name) &&
        r->err->text[n] == ' ')
        memmove(r->err->text, r->err->text + n + 1, strlen(r->err->text + n + 1) + 1);
    return place_put(r, at, code);
}

/* Digits alone: no sign, no leading zero, no exponent. False also for what is over UINT64_MAX. */
static bool text_to_u64(struct chy_str s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

static enum chy_err number_read(const struct reader *r, const struct place *at,
                                const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    uint64_t v = 0;
    if (doc->kind == CHY_DOC_INTEGER && doc->integer >= 0)
        v = (uint64_t)doc->integer;
    else if (doc->kind == CHY_DOC_INTEGER)
        return read_fail(r, at, CHY_E_LIMIT, "is %lld, expected %llu at least",
                         (long long)doc->integer, (unsigned long long)f->min);
    else if (doc->kind != CHY_DOC_TEXT || doc->is_quoted)
        return wrong_type(r, at, doc, "a number");
    else if (!text_to_u64(doc->text, &v))
        return read_fail(r, at, CHY_E_MALFORMED, "is \"%.*s\", expected a decimal number",
                         SHOWN(doc->text));
    if (v > f->max || v < f->min)
        return read_fail(r, at, CHY_E_LIMIT, "is %llu, expected %llu to %llu",
                         (unsigned long long)v, (unsigned long long)f->min,
                         (unsigned long long)f->max);
    if (f->kind == CHY_KIND_U32)
        *(uint32_t *)chy_field_at(f, value) = (uint32_t)v;
    else
        *(uint64_t *)chy_field_at(f, value) = v;
    return CHY_OK;
}

static enum chy_err bool_read(const struct reader *r, const struct place *at,
                              const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    bool *to = chy_field_at(f, value);
    if (doc->kind == CHY_DOC_BOOL)
        *to = doc->boolean;
    else if (doc->kind != CHY_DOC_TEXT || doc->is_quoted)
        return wrong_type(r, at, doc, "true or false");
    else if (chy_str_equal_c(doc->text, "true"))
        *to = true;
    else if (chy_str_equal_c(doc->text, "false"))
        *to = false;
    else
        return read_fail(r, at, CHY_E_MALFORMED, "is \"%.*s\", expected true or false",
                         SHOWN(doc->text));
    return CHY_OK;
}

/* "a, b, c" as far as there is room; not the "none" that stands for what was not said. */
static const char *names_join(char *out, size_t size, const struct chy_enum *e)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < e->n && n < size; i++) {
        if (e->values[i].value == 0 && strcmp(e->values[i].name, "none") == 0)
            continue;
        int w = snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", e->values[i].name);
        n += w > 0 ? (size_t)w : 0;
    }
    return out;
}

static enum chy_err enum_read(const struct reader *r, const struct place *at,
                              const struct chy_field *f, struct chy_str text, void *value)
{
    int v = 0;
    char known[CHY_ERROR_TEXT_BYTES];
    if (chy_enum_find(f->values, text, &v, NULL) != CHY_OK)
        return read_fail(r, at, CHY_E_MALFORMED, "is \"%.*s\", expected one of: %s", SHOWN(text),
                         names_join(known, sizeof known, f->values));
    memcpy(chy_field_at(f, value), &v, sizeof v);
    return CHY_OK;
}

/* BYTES and HEX: the length is known before anything is decoded. */
static enum chy_err bytes_read(const struct reader *r, const struct place *at,
                               const struct chy_field *f, struct chy_str text, void *value)
{
    size_t n = text.n / 2;
    if (f->kind == CHY_KIND_BYTES) {
        n = text.n / 4 * 3;
        for (size_t i = 0; i < 2 && i < text.n && n > 0 && text.p[text.n - 1 - i] == '='; i++)
            n--;
    }
    if (n > f->max)
        return read_fail(r, at, CHY_E_LIMIT, "has %zu bytes, at most %llu are allowed", n,
                         (unsigned long long)f->max);
    uint8_t *p = chy_arena_array(r->arena, uint8_t, n);
    if (p == NULL)
        return no_memory(r, at);
    struct chy_error why = { 0 };
    enum chy_err code = f->kind == CHY_KIND_BYTES ? chy_base64_decode_exact(text, p, n, &why)
                                                  : chy_hex_decode(text, p, n, &why);
    if (code != CHY_OK)
        return read_fail(r, at, code, "is wrong: %s", why.text);
    *(struct chy_bytes *)chy_field_at(f, value) = (struct chy_bytes){ p, n };
    return bounds_check(r, at, f, value);
}

static enum chy_err fixed_read(const struct reader *r, const struct place *at,
                               const struct chy_field *f, struct chy_str text, void *value)
{
    size_t n = f->kind == CHY_KIND_HASH ? CHY_HASH_BYTES : CHY_ID_BYTES;
    struct chy_error why = { 0 };
    enum chy_err code = chy_hex_decode(text, chy_field_at(f, value), n, &why);
    return code == CHY_OK ? CHY_OK : read_fail(r, at, code, "is wrong: %s", why.text);
}

static enum chy_err time_read(const struct reader *r, const struct place *at,
                              const struct chy_field *f, struct chy_str text, void *value)
{
    struct chy_error why = { 0 };
    enum chy_err code = chy_time_read(text, chy_field_at(f, value), &why);
    return code == CHY_OK ? CHY_OK : read_fail(r, at, code, "is wrong: %s", why.text);
}

static enum chy_err str_read(const struct reader *r, const struct place *at,
                             const struct chy_field *f, struct chy_str text, void *value)
{
    *(struct chy_str *)chy_field_at(f, value) = text;
    return bounds_check(r, at, f, value);
}

static enum chy_err scalar_read(const struct reader *r, const struct place *at,
                                const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    if (f->kind == CHY_KIND_U32 || f->kind == CHY_KIND_U64)
        return number_read(r, at, f, doc, value);
    if (f->kind == CHY_KIND_BOOL)
        return bool_read(r, at, f, doc, value);
    if (doc->kind != CHY_DOC_TEXT)
        return wrong_type(r, at, doc, "a text");
    if (f->kind == CHY_KIND_STR)
        return str_read(r, at, f, doc->text, value);
    if (f->kind == CHY_KIND_ENUM)
        return enum_read(r, at, f, doc->text, value);
    if (f->kind == CHY_KIND_TIME)
        return time_read(r, at, f, doc->text, value);
    if (f->kind == CHY_KIND_BYTES || f->kind == CHY_KIND_HEX)
        return bytes_read(r, at, f, doc->text, value);
    if (f->kind == CHY_KIND_HASH || f->kind == CHY_KIND_ID)
        return fixed_read(r, at, f, doc->text, value);
    return read_fail(r, at, CHY_E_INTERNAL, "is of no kind that a document can hold");
}

/* --- lists and structs --- */

static enum chy_err struct_read(const struct reader *r, const struct place *at,
                                const struct chy_schema *schema, const struct chy_doc *doc,
                                void *value);

static enum chy_err strs_read(const struct reader *r, const struct place *at,
                              const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    bool is_lone = doc->kind == CHY_DOC_TEXT && (f->flags & CHY_ONE_OR_MORE) != 0;
    if (doc->kind != CHY_DOC_LIST && !is_lone)
        return wrong_type(r, at, doc,
                          (f->flags & CHY_ONE_OR_MORE) != 0 ? "a text or a list" : "a list");
    size_t n = is_lone ? 1 : doc->n;
    if (n > f->max)
        return read_fail(r, at, CHY_E_LIMIT, "has %zu elements, at most %llu are allowed", n,
                         (unsigned long long)f->max);
    struct chy_str *p = chy_arena_array(r->arena, struct chy_str, n);
    if (p == NULL)
        return no_memory(r, at);
    for (size_t i = 0; i < n; i++) {
        const struct chy_doc *item = is_lone ? doc : &doc->items[i];
        struct place here = { .up = at, .index = i, .line = item->line };
        if (item->kind != CHY_DOC_TEXT)
            return wrong_type(r, &here, item, "a text");
        p[i] = item->text;
    }
    *(struct chy_strs *)chy_field_at(f, value) = (struct chy_strs){ p, n };
    return bounds_check(r, at, f, value);
}

/* A map stands for a list of structs that begin with a name and a value, both texts. */
static enum chy_err map_element_read(const struct reader *r, const struct place *at,
                                     const struct chy_schema *schema,
                                     const struct chy_doc_member *m, void *element)
{
    struct place here = { .up = at, .name = m->name, .line = m->line };
    CHY_ASSERT(schema->n >= 2 && schema->fields[0].kind == CHY_KIND_STR &&
               schema->fields[1].kind == CHY_KIND_STR);
    CHY_TRY(str_read(r, &here, &schema->fields[0], m->name, element));
    return scalar_read(r, &here, &schema->fields[1], &m->value, element);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document, CHY_LIMIT_DEPTH at most */
static enum chy_err list_read(const struct reader *r, const struct place *at,
                              const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    bool is_map = (f->flags & CHY_AS_MAP) != 0;
    if (doc->kind != (is_map ? CHY_DOC_MAP : CHY_DOC_LIST))
        return wrong_type(r, at, doc, is_map ? "a map" : "a list");
    if (doc->n < f->min || doc->n > f->max)
        return read_fail(r, at, doc->n > f->max ? CHY_E_LIMIT : CHY_E_MALFORMED,
                         "has %zu elements, expected %llu to %llu", doc->n,
                         (unsigned long long)f->min, (unsigned long long)f->max);
    char *p = chy_arena_alloc(r->arena, doc->n, f->schema->size);
    if (p == NULL)
        return no_memory(r, at);
    for (size_t i = 0; i < doc->n; i++) {
        void *element = p + i * f->schema->size;
        if (is_map) {
            CHY_TRY(map_element_read(r, at, f->schema, &doc->members[i], element));
            continue;
        }
        struct place here = { .up = at, .index = i, .line = doc->items[i].line };
        CHY_TRY(struct_read(r, &here, f->schema, &doc->items[i], element));
    }
    struct chy_list list = { p, doc->n };
    memcpy(chy_field_at(f, value), &list, sizeof list);
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document, CHY_LIMIT_DEPTH at most */
static enum chy_err option_read(const struct reader *r, const struct place *at,
                                const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    void *target = chy_arena_alloc(r->arena, 1, f->schema->size);
    if (target == NULL)
        return no_memory(r, at);
    CHY_TRY(struct_read(r, at, f->schema, doc, target));
    memcpy(chy_field_at(f, value), &target, sizeof target);
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document, CHY_LIMIT_DEPTH at most */
static enum chy_err field_read(const struct reader *r, const struct place *at,
                               const struct chy_field *f, const struct chy_doc *doc, void *value)
{
    switch (f->kind) {
    case CHY_KIND_STRUCT:
        return struct_read(r, at, f->schema, doc, chy_field_at(f, value));
    case CHY_KIND_OPTION:
        return option_read(r, at, f, doc, value);
    case CHY_KIND_LIST:
        return list_read(r, at, f, doc, value);
    case CHY_KIND_STRS:
        return strs_read(r, at, f, doc, value);
    case CHY_KIND_BOOL:
    case CHY_KIND_U32:
    case CHY_KIND_U64:
    case CHY_KIND_TIME:
    case CHY_KIND_ENUM:
    case CHY_KIND_STR:
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX:
    case CHY_KIND_HASH:
    case CHY_KIND_ID:
        break;
    }
    return scalar_read(r, at, f, doc, value);
}

static bool field_is_in_document(const struct chy_field *f)
{
    return (f->flags & (CHY_INTERNAL | CHY_IN_PATH | CHY_IN_QUERY)) == 0;
}

static enum chy_err unknown_name(const struct reader *r, const struct place *at,
                                 const struct chy_schema *schema)
{
    char known[CHY_ERROR_TEXT_BYTES] = "";
    size_t n = 0;
    for (size_t i = 0; i < schema->n && n < sizeof known; i++) {
        if (!field_is_in_document(&schema->fields[i]))
            continue;
        int w = snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "",
                         schema->fields[i].name);
        n += w > 0 ? (size_t)w : 0;
    }
    return read_fail(r, at, CHY_E_MALFORMED, "is not known; known here: %s",
                     n > 0 ? known : "nothing");
}

static enum chy_err missing_check(const struct reader *r, const struct place *at,
                                  const struct chy_schema *schema, uint64_t seen)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & CHY_REQUIRED) == 0 || !field_is_in_document(f) || (seen >> i & 1) != 0)
            continue;
        struct place here = { .up = at, .name = chy_str_of(f->name), .line = at->line };
        return read_fail(r, &here, CHY_E_MALFORMED, "is missing");
    }
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document, CHY_LIMIT_DEPTH at most */
static enum chy_err struct_read(const struct reader *r, const struct place *at,
                                const struct chy_schema *schema, const struct chy_doc *doc,
                                void *value)
{
    CHY_ASSERT(schema->n <= SCHEMA_FIELDS);
    if (doc->kind != CHY_DOC_MAP)
        return wrong_type(r, at, doc, "a map");
    uint64_t seen = 0;
    for (size_t i = 0; i < doc->n; i++) {
        const struct chy_doc_member *m = &doc->members[i];
        const struct chy_field *f = chy_schema_field(schema, m->name);
        struct place here = { .up = at, .name = m->name, .line = m->line };
        if (f != NULL && field_is_in_document(f)) {
            seen |= UINT64_C(1) << (f - schema->fields);
            CHY_TRY(field_read(r, &here, f, &m->value, value));
        } else if (!r->is_lenient) {
            return unknown_name(r, &here, schema);
        }
    }
    return missing_check(r, at, schema, seen);
}

static enum chy_err document_read(const struct reader *r, const struct chy_schema *schema,
                                  const struct chy_doc *doc, void *ret_value)
{
    struct place top = { .line = doc->line };
    memset(ret_value, 0, schema->size);
    return struct_read(r, &top, schema, doc, ret_value);
}

enum chy_err chy_doc_read(const struct chy_schema *schema, const struct chy_doc *doc,
                          struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    struct reader r = { .arena = arena, .err = err };
    return document_read(&r, schema, doc, ret_value);
}

enum chy_err chy_doc_read_lenient(const struct chy_schema *schema, const struct chy_doc *doc,
                                  struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    struct reader r = { .arena = arena, .err = err, .is_lenient = true };
    return document_read(&r, schema, doc, ret_value);
}

enum chy_err chy_doc_read_text(const struct chy_field *field, struct chy_str text,
                               struct chy_arena *arena, void *value, struct chy_error *err)
{
    struct reader r = { .arena = arena, .err = err };
    struct place top = { 0 };
    struct place at = { .up = &top, .name = chy_str_of(field->name) };
    struct chy_doc doc = { .kind = CHY_DOC_TEXT, .text = text };
    if (field->kind != CHY_KIND_STRS)
        return scalar_read(&r, &at, field, &doc, value);
    struct chy_doc list = { .kind = CHY_DOC_LIST, .items = &doc, .n = 1 };
    return strs_read(&r, &at, field, &list, value);
}

const struct chy_doc *chy_doc_get(const struct chy_doc *doc, const char *name)
{
    if (doc->kind != CHY_DOC_MAP)
        return NULL;
    for (size_t i = 0; i < doc->n; i++)
        if (chy_str_equal_c(doc->members[i].name, name))
            return &doc->members[i].value;
    return NULL;
}
