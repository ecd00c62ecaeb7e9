/* SPDX-License-Identifier: MIT */
#include "codec/schema.h"

#include <string.h>

#include "base/limits.h"

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

const char *chy_enum_name(const struct chy_enum *e, int value)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->values[i].value == value)
            return e->values[i].name;
    return NULL;
}

enum chy_err chy_enum_find(const struct chy_enum *e, struct chy_str name, int *ret_value,
                           struct chy_error *err)
{
    for (size_t i = 0; i < e->n; i++)
        if (chy_str_equal_c(name, e->values[i].name)) {
            *ret_value = e->values[i].value;
            return CHY_OK;
        }
    return chy_fail(err, CHY_E_NOT_FOUND, "\"%.*s\" is no %s", CHY_STR_ARG(name), e->name);
}

const struct chy_field *chy_schema_field(const struct chy_schema *schema, struct chy_str name)
{
    for (size_t i = 0; i < schema->n; i++)
        if (chy_str_equal_c(name, schema->fields[i].name))
            return &schema->fields[i];
    return NULL;
}

int chy_field_enum(const struct chy_field *f, const void *value)
{
    int v;
    memcpy(&v, chy_field_in(f, value), sizeof v);
    return v;
}

bool chy_field_is_empty(const struct chy_field *f, const void *value)
{
    const void *at = chy_field_in(f, value);
    switch (f->kind) {
    case CHY_KIND_STR:
        return ((const struct chy_str *)at)->n == 0;
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX:
        return ((const struct chy_bytes *)at)->n == 0;
    case CHY_KIND_STRS:
    case CHY_KIND_LIST:
        return ((const struct chy_list *)at)->n == 0;
    case CHY_KIND_OPTION:
        return *(const void *const *)at == NULL;
    case CHY_KIND_TIME:
        return *(const int64_t *)at == 0;
    case CHY_KIND_HASH:
        return is_zero(at, CHY_HASH_BYTES);
    case CHY_KIND_ID:
        return is_zero(at, CHY_ID_BYTES);
    case CHY_KIND_BOOL:
    case CHY_KIND_U32:
    case CHY_KIND_U64:
    case CHY_KIND_ENUM:
    case CHY_KIND_STRUCT:
        return false;
    }
    return false;
}

/* --- bounds, the same for both directions; `bad` is the code for a value that is wrong rather than
 * too large: ours to fix when encoding, the peer's when decoding --- */

struct check {
    enum chy_err bad;
    struct chy_error *err;
};

static enum chy_err check_length(const struct check *c, const struct chy_field *f, uint64_t n,
                                 uint64_t min, uint64_t max)
{
    if (n == 0 && (f->flags & CHY_REQUIRED) != 0 && f->kind != CHY_KIND_LIST &&
        f->kind != CHY_KIND_STRS)
        return chy_fail(c->err, c->bad, "%s is missing", f->name);
    if (n > max)
        return chy_fail(c->err, CHY_E_LIMIT, "%s has %llu %s, at most %llu are allowed", f->name,
                        (unsigned long long)n,
                        f->kind == CHY_KIND_LIST || f->kind == CHY_KIND_STRS ? "elements" : "bytes",
                        (unsigned long long)max);
    bool may_be_empty = n == 0 && f->kind != CHY_KIND_LIST;
    if (n < min && !may_be_empty)
        return chy_fail(c->err, c->bad, "%s has %llu %s, at least %llu are needed", f->name,
                        (unsigned long long)n, f->kind == CHY_KIND_LIST ? "elements" : "bytes",
                        (unsigned long long)min);
    return CHY_OK;
}

static enum chy_err check_text(const struct check *c, const struct chy_field *f, struct chy_str s)
{
    bool ok = (f->flags & CHY_MULTILINE) != 0 ? chy_utf8_is_valid(s) : chy_text_is_plain(s);
    if (!ok)
        return chy_fail(c->err, c->bad, "%s is not %s", f->name,
                        (f->flags & CHY_MULTILINE) != 0
                            ? "valid UTF-8"
                            : "plain UTF-8 text without control characters");
    return CHY_OK;
}

static enum chy_err check_number(const struct check *c, const struct chy_field *f, uint64_t v)
{
    if (v < f->min || v > f->max)
        return chy_fail(c->err, CHY_E_LIMIT, "%s is %llu, expected %llu to %llu", f->name,
                        (unsigned long long)v, (unsigned long long)f->min,
                        (unsigned long long)f->max);
    return CHY_OK;
}

static enum chy_err check_time(const struct check *c, const struct chy_field *f, int64_t v)
{
    if (v < 0)
        return chy_fail(c->err, c->bad, "%s is before 1970", f->name);
    return CHY_OK;
}

static enum chy_err check_enum(const struct check *c, const struct chy_field *f, int v)
{
    if (v < 0 || v > UINT16_MAX || chy_enum_name(f->values, v) == NULL)
        return chy_fail(c->err, c->bad, "%s has no value %d", f->name, v);
    return CHY_OK;
}

static enum chy_err check_string(const struct check *c, const struct chy_field *f,
                                 struct chy_bytes b)
{
    CHY_TRY(check_length(c, f, b.n, f->min, f->max));
    return f->kind == CHY_KIND_STR ? check_text(c, f, chy_bytes_str(b)) : CHY_OK;
}

/* STRS keep the largest text in `min`: the smallest list is always empty. */
static enum chy_err check_strs_element(const struct check *c, const struct chy_field *f,
                                       struct chy_str s)
{
    if (s.n == 0 || s.n > f->min)
        return chy_fail(c->err, s.n == 0 ? c->bad : CHY_E_LIMIT,
                        "%s has an element of %zu bytes, expected 1 to %llu", f->name, s.n,
                        (unsigned long long)f->min);
    return check_text(c, f, s);
}

static enum chy_err check_strs_count(const struct check *c, const struct chy_field *f, size_t n)
{
    return check_length(c, f, n, 0, f->max);
}

/* --- encoding --- */

static enum chy_err encode_struct(const struct chy_schema *schema, const void *value, int depth,
                                  struct chy_buf *out, const struct check *c);

static enum chy_err encode_strs(const struct chy_field *f, const struct chy_strs *strs,
                                struct chy_buf *out, const struct check *c)
{
    CHY_TRY(check_strs_count(c, f, strs->n));
    chy_buf_append_u32(out, (uint32_t)strs->n);
    for (size_t i = 0; i < strs->n; i++) {
        CHY_TRY(check_strs_element(c, f, strs->p[i]));
        chy_buf_append_u32(out, (uint32_t)strs->p[i].n);
        chy_buf_append_str(out, strs->p[i]);
    }
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err encode_list(const struct chy_field *f, const struct chy_list *list, int depth,
                                struct chy_buf *out, const struct check *c)
{
    CHY_TRY(check_length(c, f, list->n, f->min, f->max));
    chy_buf_append_u32(out, (uint32_t)list->n);
    for (size_t i = 0; i < list->n; i++)
        CHY_TRY(encode_struct(f->schema, (const char *)list->p + i * f->schema->size, depth + 1,
                              out, c));
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err encode_option(const struct chy_field *f, const void *target, int depth,
                                  struct chy_buf *out, const struct check *c)
{
    if (target == NULL && (f->flags & CHY_REQUIRED) != 0)
        return chy_fail(c->err, c->bad, "%s is missing", f->name);
    chy_buf_append_u8(out, target != NULL);
    return target != NULL ? encode_struct(f->schema, target, depth + 1, out, c) : CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err encode_field(const struct chy_field *f, const void *at, int depth,
                                 struct chy_buf *out, const struct check *c)
{
    switch (f->kind) {
    case CHY_KIND_BOOL:
        chy_buf_append_u8(out, *(const bool *)at);
        return CHY_OK;
    case CHY_KIND_U32:
        chy_buf_append_u32(out, *(const uint32_t *)at);
        return check_number(c, f, *(const uint32_t *)at);
    case CHY_KIND_U64:
        chy_buf_append_u64(out, *(const uint64_t *)at);
        return check_number(c, f, *(const uint64_t *)at);
    case CHY_KIND_TIME:
        chy_buf_append_u64(out, (uint64_t) * (const int64_t *)at);
        return check_time(c, f, *(const int64_t *)at);
    case CHY_KIND_ENUM: {
        int v;
        memcpy(&v, at, sizeof v);
        chy_buf_append_u16(out, (uint16_t)v);
        return check_enum(c, f, v);
    }
    case CHY_KIND_STR:
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX: {
        /* chy_str and chy_bytes differ in the pointer's type alone */
        struct chy_bytes b = *(const struct chy_bytes *)at;
        chy_buf_append_u32(out, (uint32_t)b.n);
        chy_buf_append(out, b);
        return check_string(c, f, b);
    }
    case CHY_KIND_HASH:
        chy_buf_append(out, (struct chy_bytes){ at, CHY_HASH_BYTES });
        return CHY_OK;
    case CHY_KIND_ID:
        chy_buf_append(out, (struct chy_bytes){ at, CHY_ID_BYTES });
        return CHY_OK;
    case CHY_KIND_STRUCT:
        return encode_struct(f->schema, at, depth + 1, out, c);
    case CHY_KIND_OPTION:
        return encode_option(f, *(const void *const *)at, depth, out, c);
    case CHY_KIND_LIST:
        return encode_list(f, at, depth, out, c);
    case CHY_KIND_STRS:
        return encode_strs(f, at, out, c);
    }
    return chy_fail(c->err, CHY_E_INTERNAL, "%s is of no known kind", f->name);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err encode_struct(const struct chy_schema *schema, const void *value, int depth,
                                  struct chy_buf *out, const struct check *c)
{
    if (depth > CHY_LIMIT_DEPTH)
        return chy_fail(c->err, CHY_E_LIMIT, "%s is nested over %d deep", schema->name,
                        CHY_LIMIT_DEPTH);
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        CHY_TRY(encode_field(f, chy_field_in(f, value), depth, out, c));
    }
    return CHY_OK;
}

enum chy_err chy_schema_encode(const struct chy_schema *schema, const void *value,
                               struct chy_buf *out, struct chy_error *err)
{
    struct check c = { CHY_E_ARG, err };
    CHY_TRY(encode_struct(schema, value, 0, out, &c));
    return chy_buf_check(out, err);
}

enum chy_err chy_schema_check(const struct chy_schema *schema, const void *value,
                              struct chy_error *err)
{
    struct chy_buf scratch; /* nothing is kept: appends fail, only the bounds are looked at */
    chy_buf_init(&scratch, 0);
    struct check c = { CHY_E_ARG, err };
    return encode_struct(schema, value, 0, &scratch, &c);
}

/* --- decoding --- */

struct reader {
    struct chy_bytes in; /* what is left */
    struct chy_arena *arena;
    struct check c;
};

static enum chy_err decode_struct(const struct chy_schema *schema, void *value, int depth,
                                  struct reader *r);

static enum chy_err take(struct reader *r, const char *name, size_t n, const uint8_t **ret)
{
    if (n > r->in.n)
        return chy_fail(r->c.err, CHY_E_MALFORMED, "%s is cut off: %zu bytes left, %zu needed",
                        name, r->in.n, n);
    *ret = r->in.p;
    r->in.p += n;
    r->in.n -= n;
    return CHY_OK;
}

static enum chy_err take_int(struct reader *r, const char *name, size_t width, uint64_t *ret)
{
    const uint8_t *p;
    CHY_TRY(take(r, name, width, &p));
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    *ret = v;
    return CHY_OK;
}

static enum chy_err take_flag(struct reader *r, const char *name, bool *ret)
{
    uint64_t v;
    CHY_TRY(take_int(r, name, 1, &v));
    if (v > 1)
        return chy_fail(r->c.err, CHY_E_MALFORMED, "%s is %u, expected 0 or 1", name, (unsigned)v);
    *ret = v == 1;
    return CHY_OK;
}

static enum chy_err take_string(struct reader *r, const char *name, struct chy_bytes *ret)
{
    uint64_t n;
    CHY_TRY(take_int(r, name, 4, &n));
    CHY_TRY(take(r, name, (size_t)n, &ret->p));
    ret->n = (size_t)n;
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err decode_list(const struct chy_field *f, struct chy_list *list, int depth,
                                struct reader *r)
{
    uint64_t n;
    CHY_TRY(take_int(r, f->name, 4, &n));
    CHY_TRY(check_length(&r->c, f, n, f->min, f->max));
    /* Each element takes at least a byte unless its struct is empty: a short input cannot ask for a
     * large array. */
    if (n > r->in.n)
        return chy_fail(r->c.err, CHY_E_MALFORMED, "%s has more elements than bytes", f->name);
    char *p = chy_arena_alloc(r->arena, (size_t)n, f->schema->size);
    if (p == NULL)
        return chy_fail(r->c.err, CHY_E_NOMEM, "no memory for %llu elements of %s",
                        (unsigned long long)n, f->name);
    for (size_t i = 0; i < n; i++)
        CHY_TRY(decode_struct(f->schema, p + i * f->schema->size, depth + 1, r));
    list->p = p;
    list->n = (size_t)n;
    return CHY_OK;
}

static enum chy_err decode_strs(const struct chy_field *f, struct chy_strs *strs, struct reader *r)
{
    uint64_t n;
    CHY_TRY(take_int(r, f->name, 4, &n));
    CHY_TRY(check_strs_count(&r->c, f, (size_t)n));
    if (n > r->in.n)
        return chy_fail(r->c.err, CHY_E_MALFORMED, "%s has more elements than bytes", f->name);
    struct chy_str *p = chy_arena_array(r->arena, struct chy_str, (size_t)n);
    if (p == NULL)
        return chy_fail(r->c.err, CHY_E_NOMEM, "no memory for %llu elements of %s",
                        (unsigned long long)n, f->name);
    for (size_t i = 0; i < n; i++) {
        struct chy_bytes b = { 0 };
        CHY_TRY(take_string(r, f->name, &b));
        p[i] = chy_bytes_str(b);
        CHY_TRY(check_strs_element(&r->c, f, p[i]));
    }
    strs->p = p;
    strs->n = (size_t)n;
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err decode_option(const struct chy_field *f, void *at, int depth, struct reader *r)
{
    bool is_there;
    CHY_TRY(take_flag(r, f->name, &is_there));
    if (!is_there) {
        if ((f->flags & CHY_REQUIRED) != 0)
            return chy_fail(r->c.err, CHY_E_MALFORMED, "%s is missing", f->name);
        return CHY_OK;
    }
    void *target = chy_arena_alloc(r->arena, 1, f->schema->size);
    if (target == NULL)
        return chy_fail(r->c.err, CHY_E_NOMEM, "no memory for %s", f->name);
    CHY_TRY(decode_struct(f->schema, target, depth + 1, r));
    memcpy(at, &target, sizeof target);
    return CHY_OK;
}

static enum chy_err decode_integer(const struct chy_field *f, void *at, struct reader *r)
{
    uint64_t v;
    size_t width = f->kind == CHY_KIND_U32 ? 4 : f->kind == CHY_KIND_ENUM ? 2 : 8;
    CHY_TRY(take_int(r, f->name, width, &v));
    if (f->kind == CHY_KIND_ENUM) {
        int e = (int)v;
        CHY_TRY(check_enum(&r->c, f, e));
        memcpy(at, &e, sizeof e);
    } else if (f->kind == CHY_KIND_U32) {
        CHY_TRY(check_number(&r->c, f, v));
        *(uint32_t *)at = (uint32_t)v;
    } else if (f->kind == CHY_KIND_U64) {
        CHY_TRY(check_number(&r->c, f, v));
        *(uint64_t *)at = v;
    } else {
        CHY_TRY(check_time(&r->c, f, v > INT64_MAX ? -1 : (int64_t)v));
        *(int64_t *)at = (int64_t)v;
    }
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err decode_field(const struct chy_field *f, void *at, int depth, struct reader *r)
{
    const uint8_t *p = NULL;
    switch (f->kind) {
    case CHY_KIND_BOOL:
        return take_flag(r, f->name, at);
    case CHY_KIND_U32:
    case CHY_KIND_U64:
    case CHY_KIND_TIME:
    case CHY_KIND_ENUM:
        return decode_integer(f, at, r);
    case CHY_KIND_STR:
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX:
        CHY_TRY(take_string(r, f->name, at));
        return check_string(&r->c, f, *(const struct chy_bytes *)at);
    case CHY_KIND_HASH:
    case CHY_KIND_ID: {
        size_t n = f->kind == CHY_KIND_HASH ? CHY_HASH_BYTES : CHY_ID_BYTES;
        CHY_TRY(take(r, f->name, n, &p));
        chy_copy(at, p, n);
        return CHY_OK;
    }
    case CHY_KIND_STRUCT:
        return decode_struct(f->schema, at, depth + 1, r);
    case CHY_KIND_OPTION:
        return decode_option(f, at, depth, r);
    case CHY_KIND_LIST:
        return decode_list(f, at, depth, r);
    case CHY_KIND_STRS:
        return decode_strs(f, at, r);
    }
    return chy_fail(r->c.err, CHY_E_INTERNAL, "%s is of no known kind", f->name);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH */
static enum chy_err decode_struct(const struct chy_schema *schema, void *value, int depth,
                                  struct reader *r)
{
    if (depth > CHY_LIMIT_DEPTH)
        return chy_fail(r->c.err, CHY_E_LIMIT, "%s is nested over %d deep", schema->name,
                        CHY_LIMIT_DEPTH);
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        CHY_TRY(decode_field(f, chy_field_at(f, value), depth, r));
    }
    return CHY_OK;
}

enum chy_err chy_schema_decode(const struct chy_schema *schema, struct chy_bytes in,
                               struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    struct reader r = { in, arena, { CHY_E_MALFORMED, err } };
    memset(ret_value, 0, schema->size);
    CHY_TRY(decode_struct(schema, ret_value, 0, &r));
    if (r.in.n != 0)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes behind the end of %s", r.in.n,
                        schema->name);
    return CHY_OK;
}

enum chy_err chy_schema_copy(const struct chy_schema *schema, const void *value,
                             struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_ARENA);
    CHY_TRY(chy_schema_encode(schema, value, &b, err));
    struct chy_bytes own = chy_arena_bytes(arena, chy_buf_bytes(&b));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a copy of %s", schema->name);
    return chy_schema_decode(schema, own, arena, ret_value, err);
}
