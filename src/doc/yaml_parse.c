/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"

/* A list or map that is not finished. */
struct level {
    enum chy_doc_kind kind;
    uint32_t line;
    size_t first;  /* its first child on the builder's stack */
    bool has_name; /* MAP: a name has come, its value has not */
    struct chy_str name;
    uint32_t name_line;
};

/* Children wait on one stack (those of a list without a name) until their parent ends, and then
 * move into the arena as one array. libyaml does not recurse, and neither does this. */
struct builder {
    struct chy_arena *arena;
    struct chy_error *err;
    struct chy_doc_member *stack;
    size_t n;
    size_t cap;
    size_t node_count;
    struct level levels[CHY_LIMIT_DEPTH];
    size_t depth;
    size_t document_count;
    struct chy_doc *root; /* once it is complete */
};

static uint32_t mark_line(const yaml_mark_t *mark)
{
    return mark->line < UINT32_MAX ? (uint32_t)mark->line + 1 : UINT32_MAX;
}

static enum chy_err no_memory(struct builder *b)
{
    return chy_fail(b->err, CHY_E_NOMEM, "no memory for a YAML document");
}

static enum chy_err stack_push(struct builder *b, const struct chy_doc_member *m)
{
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 64 : b->cap * 2; /* bounded by CHY_LIMIT_DOC_NODES */
        void *p = chy_realloc(b->stack, cap * sizeof *b->stack);
        if (p == NULL)
            return no_memory(b);
        b->stack = p;
        b->cap = cap;
    }
    b->stack[b->n++] = *m;
    return CHY_OK;
}

/* A value is complete: it becomes a child of the innermost level, or the document. */
static enum chy_err value_put(struct builder *b, const struct chy_doc *value)
{
    if (b->depth == 0) {
        b->root = chy_arena_new(b->arena, struct chy_doc);
        if (b->root == NULL)
            return no_memory(b);
        *b->root = *value;
        return CHY_OK;
    }
    struct level *l = &b->levels[b->depth - 1];
    struct chy_doc_member m = { .value = *value };
    if (l->kind == CHY_DOC_MAP) {
        m.name = l->name;
        m.line = l->name_line;
        l->has_name = false;
    }
    return stack_push(b, &m);
}

static bool name_is_due(const struct builder *b)
{
    return b->depth > 0 && b->levels[b->depth - 1].kind == CHY_DOC_MAP &&
           !b->levels[b->depth - 1].has_name;
}

/* What holds for every node: it counts, and stands for itself alone. */
static enum chy_err node_check(struct builder *b, uint32_t line, const yaml_char_t *anchor,
                               const yaml_char_t *tag)
{
    if (anchor != NULL)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: anchors and aliases are not allowed",
                        line);
    if (tag != NULL)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: tags are not allowed", line);
    if (!name_is_due(b) && ++b->node_count > CHY_LIMIT_DOC_NODES)
        return chy_fail(b->err, CHY_E_LIMIT, "line %u: the YAML has over %d values", line,
                        CHY_LIMIT_DOC_NODES);
    return CHY_OK;
}

static enum chy_err name_put(struct builder *b, struct chy_str name, bool is_plain, uint32_t line)
{
    if (is_plain && chy_str_equal_c(name, "<<"))
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: merge keys are not allowed", line);
    if (name.n == 0)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: a name is empty", line);
    struct level *l = &b->levels[b->depth - 1];
    l->name = name;
    l->name_line = line;
    l->has_name = true;
    return CHY_OK;
}

/* The plain scalars that mean "no value" (YAML 1.2 core schema). */
static bool text_is_null(struct chy_str s)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(words); i++)
        if (chy_str_equal_c(s, words[i]))
            return true;
    return false;
}

static enum chy_err scalar_put(struct builder *b, const yaml_event_t *e, uint32_t line)
{
    CHY_TRY(node_check(b, line, e->data.scalar.anchor, e->data.scalar.tag));
    struct chy_str given =
        chy_bytes_str((struct chy_bytes){ e->data.scalar.value, e->data.scalar.length });
    if (!chy_utf8_is_valid(given) || memchr(given.p, 0, given.n) != NULL)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: a text has U+0000 or is no UTF-8", line);
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct chy_str text = chy_arena_str(b->arena, given);
    if (text.p == NULL)
        return no_memory(b);
    if (name_is_due(b))
        return name_put(b, text, is_plain, line);
    struct chy_doc doc = {
        .kind = CHY_DOC_TEXT, .line = line, .is_quoted = !is_plain, .text = text
    };
    if (is_plain && text_is_null(text))
        doc = (struct chy_doc){ .kind = CHY_DOC_NULL, .line = line };
    return value_put(b, &doc);
}

static enum chy_err level_open(struct builder *b, enum chy_doc_kind kind, uint32_t line,
                               const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (name_is_due(b))
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: a name must be a text", line);
    CHY_TRY(node_check(b, line, anchor, tag));
    if (b->depth == CHY_LIMIT_DEPTH)
        return chy_fail(b->err, CHY_E_LIMIT, "line %u: the YAML is nested over %d deep", line,
                        CHY_LIMIT_DEPTH);
    b->levels[b->depth++] = (struct level){ .kind = kind, .line = line, .first = b->n };
    return CHY_OK;
}

static int member_order(const void *a, const void *b)
{
    const struct chy_doc_member *const *x = a;
    const struct chy_doc_member *const *y = b;
    int r = chy_str_compare((*x)->name, (*y)->name);
    return r != 0 ? r : (*x > *y) - (*x < *y);
}

/* Sorted, so that a map of a hundred thousand names costs no square of that. */
static enum chy_err names_check(struct builder *b, const struct chy_doc_member *members, size_t n)
{
    if (n < 2)
        return CHY_OK;
    CHY_CLEANUP(chy_freep)
    const struct chy_doc_member **sorted = chy_new_array(const struct chy_doc_member *, n);
    if (sorted == NULL)
        return no_memory(b);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &members[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
    qsort(sorted, n, sizeof *sorted, member_order);
    for (size_t i = 1; i < n; i++)
        if (chy_str_equal(sorted[i - 1]->name, sorted[i]->name))
            return chy_fail(b->err, CHY_E_MALFORMED,
                            "line %u: \"%.*s\" is here already, in line %u", sorted[i]->line,
                            CHY_STR_ARG(sorted[i]->name), sorted[i - 1]->line);
    return CHY_OK;
}

static enum chy_err level_close(struct builder *b)
{
    struct level l = b->levels[--b->depth];
    struct chy_doc doc = { .kind = l.kind, .line = l.line, .n = b->n - l.first };
    /* Nothing is on the stack yet when the document is an empty list or map. */
    const struct chy_doc_member *from = b->stack != NULL ? b->stack + l.first : NULL;
    CHY_ASSERT(from != NULL || doc.n == 0);
    if (l.kind == CHY_DOC_MAP) {
        CHY_TRY(names_check(b, from, doc.n));
        struct chy_doc_member *members = chy_arena_array(b->arena, struct chy_doc_member, doc.n);
        if (members == NULL)
            return no_memory(b);
        chy_copy(members, from, doc.n * sizeof *members);
        doc.members = members;
    } else {
        struct chy_doc *items = chy_arena_array(b->arena, struct chy_doc, doc.n);
        if (items == NULL)
            return no_memory(b);
        for (size_t i = 0; i < doc.n; i++)
            items[i] = from[i].value;
        doc.items = items;
    }
    b->n = l.first;
    return value_put(b, &doc);
}

static enum chy_err document_open(struct builder *b, const yaml_event_t *e, uint32_t line)
{
    if (++b->document_count > 1)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: a second document begins", line);
    if (e->data.document_start.version_directive != NULL ||
        e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: directives are not allowed", line);
    return CHY_OK;
}

static enum chy_err event_handle(struct builder *b, const yaml_event_t *e)
{
    uint32_t line = mark_line(&e->start_mark);
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return document_open(b, e, line);
    case YAML_ALIAS_EVENT:
        return chy_fail(b->err, CHY_E_MALFORMED, "line %u: anchors and aliases are not allowed",
                        line);
    case YAML_SCALAR_EVENT:
        return scalar_put(b, e, line);
    case YAML_SEQUENCE_START_EVENT:
        return level_open(b, CHY_DOC_LIST, line, e->data.sequence_start.anchor,
                          e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return level_open(b, CHY_DOC_MAP, line, e->data.mapping_start.anchor,
                          e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return level_close(b);
    case YAML_STREAM_END_EVENT:
        if (b->root == NULL)
            return chy_fail(b->err, CHY_E_MALFORMED, "line 1: the YAML is empty");
        return CHY_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return CHY_OK;
    }
    return chy_fail(b->err, CHY_E_INTERNAL, "line %u: an event of no known type", line);
}

static enum chy_err parser_problem(struct builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(b);
    /* The reader, which meets what is no UTF-8, gives no line; the scanner is about there. */
    const yaml_mark_t *mark =
        parser->error == YAML_READER_ERROR ? &parser->mark : &parser->problem_mark;
    return chy_fail(b->err, CHY_E_MALFORMED, "line %u: no valid YAML: %s%s%s", mark_line(mark),
                    parser->problem != NULL ? parser->problem : "unreadable",
                    parser->context != NULL ? ", " : "",
                    parser->context != NULL ? parser->context : "");
}

static enum chy_err events_run(struct builder *b, yaml_parser_t *parser)
{
    for (;;) {
        CHY_CLEANUP(yaml_event_delete) yaml_event_t e;
        if (yaml_parser_parse(parser, &e) == 0)
            return parser_problem(b, parser);
        CHY_TRY(event_handle(b, &e));
        if (e.type == YAML_STREAM_END_EVENT)
            return CHY_OK;
    }
}

enum chy_err chy_yaml_parse(struct chy_bytes in, struct chy_arena *arena,
                            const struct chy_doc **ret_doc, struct chy_error *err)
{
    if (in.n > CHY_LIMIT_YAML)
        return chy_fail(err, CHY_E_LIMIT, "line 1: the YAML is %zu bytes long, expected %d at most",
                        in.n, CHY_LIMIT_YAML);
    struct builder b = { .arena = arena, .err = err };
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0)
        return no_memory(&b);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, in.n != 0 ? in.p : (const uint8_t *)"", in.n);
    enum chy_err r = events_run(&b, &parser);
    yaml_parser_delete(&parser);
    chy_free(b.stack);
    if (r == CHY_OK)
        *ret_doc = b.root;
    return r;
}
