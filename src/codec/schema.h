/* SPDX-License-Identifier: MIT */
/* One table of fields for a struct; from it come the canonical binary form (frames, log leaves,
 * policies), JSON and YAML (src/doc), and OpenAPI (src/front).
 *
 * Canonical binary form: the fields in table order, nothing between them, nothing behind them.
 *   BOOL u8 0|1 · U32 u32 · U64 u64 · TIME i64 as u64 · ENUM u16 · HASH 32 bytes · ID 16 bytes
 *   STR, BYTES, HEX  u32 length, bytes · STRS  u32 count, each as STR
 *   STRUCT its fields · OPTION u8 0|1, then its fields · LIST u32 count, each its fields
 * Integers are big-endian. A value has exactly one encoding, and what decodes encodes to the same
 * bytes.
 *
 * Threads: pure. Values borrow: a decoded text or byte string points into the input, lists into the
 * arena. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define CHY_HASH_BYTES 32 /* SHA-256 */
#define CHY_ID_BYTES   16

enum chy_kind {
    CHY_KIND_BOOL,
    CHY_KIND_U32,
    CHY_KIND_U64,
    CHY_KIND_TIME,   /* int64_t, microseconds since 1970 UTC; JSON: RFC 3339; 0 is "none" */
    CHY_KIND_ENUM,   /* an enum of int size; JSON: its name */
    CHY_KIND_STR,    /* struct chy_str, UTF-8, without control characters unless CHY_MULTILINE */
    CHY_KIND_BYTES,  /* struct chy_bytes; JSON: base64 */
    CHY_KIND_HEX,    /* struct chy_bytes; JSON: lower-case hex */
    CHY_KIND_HASH,   /* uint8_t[CHY_HASH_BYTES]; JSON: hex */
    CHY_KIND_ID,     /* uint8_t[CHY_ID_BYTES]; JSON: hex */
    CHY_KIND_STRUCT, /* a struct inside */
    CHY_KIND_OPTION, /* a pointer to a struct, NULL when absent */
    CHY_KIND_LIST,   /* CHY_LIST_OF(struct x) */
    CHY_KIND_STRS,   /* struct chy_strs */
};

enum {
    CHY_REQUIRED = 1 << 0,    /* must be present in a document */
    CHY_MULTILINE = 1 << 1,   /* STR: any valid UTF-8 */
    CHY_IN_PATH = 1 << 2,     /* request: {name} of the path, not in the body */
    CHY_IN_QUERY = 1 << 3,    /* request: ?name= of the URL, not in the body */
    CHY_INTERNAL = 1 << 4,    /* between our processes only: never in a document */
    CHY_ONE_OR_MORE = 1 << 5, /* STRS: a lone text stands for a list of one */
    /* LIST of a struct whose first two fields are STR: a map in documents */
    CHY_AS_MAP = 1 << 6,
    CHY_SECRET = 1 << 7, /* shown to its receiver once, never logged; documentation only */
};

struct chy_enum_value {
    int value;
    const char *name;
    const char *doc; /* may be NULL */
};

struct chy_enum {
    const char *name;
    const struct chy_enum_value *values;
    size_t n;
};

struct chy_schema;

struct chy_field {
    const char *name; /* lower_snake, as in documents */
    enum chy_kind kind;
    uint32_t flags;
    size_t offset;
    const struct chy_schema *schema; /* STRUCT, OPTION, LIST */
    const struct chy_enum *values;   /* ENUM */
    /* Value for integers, bytes for text and byte strings, elements for lists. An empty text or
     * byte string is "absent" and always allowed unless the field is CHY_REQUIRED. */
    uint64_t min;
    uint64_t max;
    const char *doc;
};

struct chy_schema {
    const char *name; /* UpperCamel, as in OpenAPI */
    size_t size;      /* of the struct */
    const struct chy_field *fields;
    size_t n;
    const char *doc;
};

#define CHY_LIST_OF(T) \
    struct {           \
        const T *p;    \
        size_t n;      \
    }

struct chy_list {
    const void *p;
    size_t n;
};

struct chy_strs {
    const struct chy_str *p;
    size_t n;
};

/* A field row. The comparison of pointer types makes a row of the wrong kind fail to compile. */
#define CHY_FIELD_(S, member, knd, ctype, flgs, sub, enm, lo, hi, text)                            \
    {                                                                                              \
        .name = #member, .kind = (knd), .flags = (flgs),                                           \
        .offset =                                                                                  \
            offsetof(S, member) +                                                                  \
            0 * sizeof(                                                                            \
                    char[__builtin_types_compatible_p(__typeof__(((S *)0)->member), ctype) ? 1     \
                                                                                           : -1]), \
        .schema = (sub), .values = (enm), .min = (lo), .max = (hi), .doc = (text)                  \
    }
#define CHY_F_BOOL(S, m, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_BOOL, bool, flags, NULL, NULL, 0, 1, doc)
#define CHY_F_U32(S, m, flags, lo, hi, doc) \
    CHY_FIELD_(S, m, CHY_KIND_U32, uint32_t, flags, NULL, NULL, lo, hi, doc)
#define CHY_F_U64(S, m, flags, lo, hi, doc) \
    CHY_FIELD_(S, m, CHY_KIND_U64, uint64_t, flags, NULL, NULL, lo, hi, doc)
/* The member is `m_us`; documents call it `m`. */
#define CHY_F_TIME(S, m, flgs, text)                                                            \
    {                                                                                           \
        .name = #m, .kind = CHY_KIND_TIME, .flags = (flgs),                                     \
        .offset =                                                                               \
            offsetof(S, m##_us) +                                                               \
            0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->m##_us), int64_t) \
                                ? 1                                                             \
                                : -1]),                                                         \
        .max = INT64_MAX, .doc = (text)                                                         \
    }
#define CHY_F_ENUM(S, m, enm, etype, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_ENUM, etype, flags, NULL, enm, 0, 0, doc)
#define CHY_F_STR(S, m, flags, lo, hi, doc) \
    CHY_FIELD_(S, m, CHY_KIND_STR, struct chy_str, flags, NULL, NULL, lo, hi, doc)
#define CHY_F_BYTES(S, m, flags, lo, hi, doc) \
    CHY_FIELD_(S, m, CHY_KIND_BYTES, struct chy_bytes, flags, NULL, NULL, lo, hi, doc)
#define CHY_F_HEX(S, m, flags, lo, hi, doc) \
    CHY_FIELD_(S, m, CHY_KIND_HEX, struct chy_bytes, flags, NULL, NULL, lo, hi, doc)
#define CHY_F_HASH(S, m, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_HASH, uint8_t[CHY_HASH_BYTES], flags, NULL, NULL, 0, 0, doc)
#define CHY_F_ID(S, m, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_ID, uint8_t[CHY_ID_BYTES], flags, NULL, NULL, 0, 0, doc)
#define CHY_F_STRUCT(S, m, sub, T, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_STRUCT, T, flags, sub, NULL, 0, 0, doc)
#define CHY_F_OPTION(S, m, sub, T, flags, doc) \
    CHY_FIELD_(S, m, CHY_KIND_OPTION, const T *, flags, sub, NULL, 0, 0, doc)
#define CHY_F_STRS(S, m, flags, max_count, max_bytes, doc) \
    CHY_FIELD_(S, m, CHY_KIND_STRS, struct chy_strs, flags, NULL, NULL, max_bytes, max_count, doc)
/* CHY_LIST_OF() makes a new type each time: the row checks that it points to T. */
#define CHY_F_LIST(S, m, sub, T, flgs, lo, hi, text)                                           \
    {                                                                                          \
        .name = #m, .kind = CHY_KIND_LIST, .flags = (flgs),                                    \
        .offset =                                                                              \
            offsetof(S, m) +                                                                   \
            0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->m.p), const T *) \
                                ? 1                                                            \
                                : -1]),                                                        \
        .schema = (sub), .min = (lo), .max = (hi), .doc = (text)                               \
    }

#define CHY_SCHEMA(nm, T, rows, text)                                                              \
    {                                                                                              \
        .name = (nm), .size = sizeof(T), .fields = (rows), .n = CHY_ARRAY_LEN(rows), .doc = (text) \
    }
#define CHY_ENUM(nm, rows)                                       \
    {                                                            \
        .name = (nm), .values = (rows), .n = CHY_ARRAY_LEN(rows) \
    }

/* Append the canonical form of `value` to `out`.
 * Errors: CHY_E_LIMIT   a value breaks its field's bounds, or `out` its maximum
 *         CHY_E_ARG     a required field is empty, an enum has no such value, a text is not UTF-8
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_schema_encode(const struct chy_schema *schema, const void *value,
                                            struct chy_buf *out, struct chy_error *err);

/* Decode all of `in` into the struct at `ret_value` (schema->size bytes; zeroed first).
 * The result borrows from `in` and from the arena.
 * Errors: CHY_E_MALFORMED  truncated, trailing bytes, bad UTF-8, unknown enum value, bool not 0 or
 *                          1, a required field empty
 *         CHY_E_LIMIT      a bound of a field or CHY_LIMIT_DEPTH is passed
 *         CHY_E_NOMEM      the arena is full */
CHY_MUST_USE enum chy_err chy_schema_decode(const struct chy_schema *schema, struct chy_bytes in,
                                            struct chy_arena *arena, void *ret_value,
                                            struct chy_error *err);

/* The bounds alone: what encode checks, without encoding. Errors as encode. */
CHY_MUST_USE enum chy_err chy_schema_check(const struct chy_schema *schema, const void *value,
                                           struct chy_error *err);

/* A copy that borrows from nothing but the arena. */
CHY_MUST_USE enum chy_err chy_schema_copy(const struct chy_schema *schema, const void *value,
                                          struct chy_arena *arena, void *ret_value,
                                          struct chy_error *err);

const char *chy_enum_name(const struct chy_enum *e, int value); /* NULL if there is none */
/* CHY_E_NOT_FOUND if no value has this name (err may be NULL). */
CHY_MUST_USE enum chy_err chy_enum_find(const struct chy_enum *e, struct chy_str name,
                                        int *ret_value, struct chy_error *err);
const struct chy_field *chy_schema_field(const struct chy_schema *schema, struct chy_str name);

/* Typed access by table; for the walkers of documents. */
static inline void *chy_field_at(const struct chy_field *f, void *value)
{
    return (char *)value + f->offset;
}
static inline const void *chy_field_in(const struct chy_field *f, const void *value)
{
    return (const char *)value + f->offset;
}
int chy_field_enum(const struct chy_field *f, const void *value);
/* Absent as a document sees it: empty text or bytes, no pointer, empty list, time 0, all-zero hash
 * or id. */
bool chy_field_is_empty(const struct chy_field *f, const void *value);
