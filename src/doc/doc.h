/* SPDX-License-Identifier: MIT */
/* A document from outside, JSON or YAML, as one tree; and its reading into a struct by schema.
 *
 * The tree lives in the arena it was parsed into. Only src/doc knows jansson and libyaml. Threads:
 * pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/schema.h"

enum chy_doc_kind {
    CHY_DOC_NULL, /* JSON null; YAML: nothing, ~ or null, not quoted. No field accepts it. */
    CHY_DOC_BOOL,
    CHY_DOC_INTEGER, /* JSON only: within int64_t, written without fraction or exponent */
    CHY_DOC_TEXT,    /* JSON string, or any other YAML scalar, as it is written */
    CHY_DOC_LIST,
    CHY_DOC_MAP,
};

struct chy_doc {
    enum chy_doc_kind kind;
    uint32_t line;  /* YAML: where it begins, from 1; JSON: 0 */
    bool is_quoted; /* JSON string, quoted or block scalar of YAML: never a number or boolean */
    bool boolean;
    int64_t integer;
    struct chy_str text;
    const struct chy_doc *items;          /* LIST: n of them */
    const struct chy_doc_member *members; /* MAP: n of them, names unique */
    size_t n;
};

struct chy_doc_member {
    struct chy_str name;
    uint32_t line;
    struct chy_doc value;
};

/* jansson seeds its hash tables from /dev/urandom when it makes its first object. A process that
 * parses JSON calls this once at its start, before threads and before it gives up the right to open
 * files. */
void chy_json_prepare(void);

/* Parse one JSON text, RFC 8259, strictly: at most CHY_LIMIT_JSON bytes, CHY_LIMIT_DEPTH deep,
 * CHY_LIMIT_DOC_NODES nodes; no duplicate names, no bytes behind the value, valid UTF-8, no U+0000,
 * numbers that are integers in the range of int64_t.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_json_parse(struct chy_bytes in, struct chy_arena *arena,
                                         const struct chy_doc **ret_doc, struct chy_error *err);

/* Parse one YAML document, strictly: at most CHY_LIMIT_YAML bytes, depth and nodes as above; no
 * aliases or anchors (so no alias bombs), no tags, directives or merge keys, no second document, no
 * duplicate names, valid UTF-8 without U+0000; names are scalars and not empty. Error texts begin
 * with "line N: ", but for CHY_E_NOMEM.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_yaml_parse(struct chy_bytes in, struct chy_arena *arena,
                                         const struct chy_doc **ret_doc, struct chy_error *err);

/* Read `doc` into the struct at `ret_value` (zeroed first) by its schema.
 *
 * Unknown, duplicate and CHY_INTERNAL names are errors, as are members flagged CHY_IN_PATH or
 * CHY_IN_QUERY; a missing CHY_REQUIRED member is one unless such a flag says that it comes from
 * elsewhere. Bounds are those of the schema. Texts and lists borrow from the document and the
 * arena. JSON must have the right type; YAML scalars are read as the field's kind wants
 * (true/false, decimal numbers; durations and sizes are plain numbers whose unit is in the name). A
 * field that the document lacks is zero, which its bounds need not allow: chy_schema_check() looks
 * at all. Error texts name the place, "items[3].digest has 65 bytes, ...", for YAML with "line 12:
 * " in front. For an unknown name the text lists what is known. What `ret_value` holds after an
 * error is undefined.
 *
 * Errors: CHY_E_MALFORMED wrong shape, type, name or value; CHY_E_LIMIT a bound; CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_doc_read(const struct chy_schema *schema, const struct chy_doc *doc,
                                       struct chy_arena *arena, void *ret_value,
                                       struct chy_error *err);

/* As chy_doc_read() for what comes from a server that may be newer: names that are not read here
 * are passed over. */
CHY_MUST_USE enum chy_err chy_doc_read_lenient(const struct chy_schema *schema,
                                               const struct chy_doc *doc, struct chy_arena *arena,
                                               void *ret_value, struct chy_error *err);

/* One field from a text, as in a path or a query string: STR, U32, U64, BOOL, ID, HASH, HEX, TIME,
 * ENUM, and STRS by one element. `text` must live as long as the value. Errors: CHY_E_MALFORMED,
 * CHY_E_LIMIT. */
CHY_MUST_USE enum chy_err chy_doc_read_text(const struct chy_field *field, struct chy_str text,
                                            struct chy_arena *arena, void *value,
                                            struct chy_error *err);

/* The member of a map, NULL if there is none or `doc` is no map. */
const struct chy_doc *chy_doc_get(const struct chy_doc *doc, const char *name);

/* Append the struct as JSON. Left out: CHY_INTERNAL, CHY_IN_PATH and CHY_IN_QUERY fields, absent
 * options, and empty texts, byte strings, times, hashes and ids that are not CHY_REQUIRED; lists,
 * numbers, booleans and enums always stand. `indent` > 0 pretty-prints with that many spaces a
 * level (0: one line).
 * Errors: CHY_E_ARG an enum without a name, a text with U+0000 or that is no UTF-8, a number over
 * INT64_MAX, a time outside chy_time_write(); CHY_E_LIMIT also nested over CHY_LIMIT_DEPTH,
 * CHY_E_NOMEM of `out`. */
CHY_MUST_USE enum chy_err chy_json_write(const struct chy_schema *schema, const void *value,
                                         unsigned indent, struct chy_buf *out,
                                         struct chy_error *err);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
bool chy_json_write_text(struct chy_buf *out, struct chy_str s);

#define CHY_TIME_MAX_US INT64_C(253402300799999999) /* the last microsecond of 9999 */

/* RFC 3339 in UTC with microseconds as needed: "2026-11-21T21:41:47Z", "…:47.000250Z". False as
 * chy_buf_append(); and for a time below 0 or over CHY_TIME_MAX_US, when nothing is appended. */
bool chy_time_write(struct chy_buf *out, int64_t time_us);
/* Accepts an offset, and a fraction of up to nine digits (what is below a microsecond is dropped);
 * years 1970 to 9999; no leap seconds. Errors: CHY_E_MALFORMED. */
CHY_MUST_USE enum chy_err chy_time_read(struct chy_str text, int64_t *ret_time_us,
                                        struct chy_error *err);
