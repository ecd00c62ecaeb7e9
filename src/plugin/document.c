/* SPDX-License-Identifier: MIT */
#include "plugin/document.h"

#include "doc/doc.h"

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as CHY_LIMIT_DEPTH, where the parser ended */
static enum chy_err drop_nulls(struct chy_doc *doc, struct chy_arena *arena, struct chy_error *err)
{
    if (doc->kind != CHY_DOC_MAP || doc->n == 0)
        return CHY_OK;
    struct chy_doc_member *kept = chy_arena_array(arena, struct chy_doc_member, doc->n);
    size_t n = 0;
    if (kept == NULL)
        return no_memory(err);
    for (size_t i = 0; i < doc->n; i++) {
        if (doc->members[i].value.kind == CHY_DOC_NULL)
            continue;
        kept[n] = doc->members[i];
        CHY_TRY(drop_nulls(&kept[n++].value, arena, err));
    }
    doc->members = kept;
    doc->n = n;
    return CHY_OK;
}

enum chy_err chy_go_json_read(const struct chy_schema *schema, struct chy_bytes in,
                              struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    const struct chy_doc *parsed = NULL;
    CHY_TRY(chy_json_parse(in, arena, &parsed, err));
    struct chy_doc doc = *parsed;
    CHY_TRY(drop_nulls(&doc, arena, err));
    CHY_TRY(chy_doc_read_lenient(schema, &doc, arena, ret_value, err));
    return CHY_OK;
}
