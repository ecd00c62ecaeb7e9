/* SPDX-License-Identifier: MIT */
/* YAML: the tree keeps what doc.h promises, every refusal says a line, and reading a tree into the
 * configuration or a request never goes wrong. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "proto/api.h"
#include "supervisor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t node_count;

static void check_text(struct chy_str s)
{
    CHY_ASSERT(s.p != NULL && chy_utf8_is_valid(s) && memchr(s.p, 0, s.n) == NULL);
}

static void check_tree(const struct chy_doc *doc, int depth)
{
    CHY_ASSERT(depth <= CHY_LIMIT_DEPTH && doc->line > 0 && ++node_count <= CHY_LIMIT_DOC_NODES);
    CHY_ASSERT(doc->kind != CHY_DOC_INTEGER && doc->kind != CHY_DOC_BOOL);
    if (doc->kind == CHY_DOC_TEXT)
        check_text(doc->text);
    for (size_t i = 0; doc->kind == CHY_DOC_LIST && i < doc->n; i++)
        check_tree(&doc->items[i], depth + 1);
    for (size_t i = 0; doc->kind == CHY_DOC_MAP && i < doc->n; i++) {
        check_text(doc->members[i].name);
        CHY_ASSERT(doc->members[i].name.n > 0 && doc->members[i].line > 0);
        check_tree(&doc->members[i].value, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct chy_sign_request request;
    static struct chy_config config;
    const struct chy_doc *doc = NULL;
    struct chy_bytes in = { data, n };
    struct chy_error err = { 0 };
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_yaml_parse(in, &arena, &doc, &err);
    CHY_ASSERT(r == CHY_OK || (r == err.code && chy_str_starts(chy_str_of(err.text), "line ")));
    if (r == CHY_OK) {
        node_count = 0;
        check_tree(doc, 0);
        r = chy_doc_read(&chy_sign_request_schema, doc, &arena, &request, &err);
        CHY_ASSERT(r == CHY_OK || chy_str_starts(chy_str_of(err.text), "line "));
        r = chy_config_parse(in, &arena, &config, &err);
        CHY_ASSERT(r == CHY_OK || chy_str_starts(chy_str_of(err.text), "line "));
        CHY_ASSERT(r != CHY_OK || chy_schema_check(&chy_config_schema, &config, NULL) == CHY_OK);
    }
    chy_arena_done(&arena);
    return 0;
}
