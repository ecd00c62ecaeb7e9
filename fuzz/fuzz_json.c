/* SPDX-License-Identifier: MIT */
/* JSON requests: what is parsed is read into every request there is; what can be read is written,
 * and what was written reads the same. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "proto/ops.h"
#include "values.h"

#define STRUCT_MAX 4096
#define OUT_MAX    (8 * CHY_LIMIT_JSON) /* one control character becomes six */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static _Alignas(16) char value[STRUCT_MAX];
static _Alignas(16) char back[STRUCT_MAX];

static void check_round_trip(const struct chy_schema *schema, struct chy_arena *arena)
{
    const struct chy_doc *doc = NULL;
    struct chy_buf out;
    chy_buf_init(&out, OUT_MAX);
    CHY_ASSERT(chy_json_write(schema, value, (unsigned)(arena->used % 3), &out, NULL) == CHY_OK);
    if (out.n <= CHY_LIMIT_JSON) {
        CHY_ASSERT(chy_json_parse(chy_buf_bytes(&out), arena, &doc, NULL) == CHY_OK);
        CHY_ASSERT(chy_doc_read(schema, doc, arena, back, NULL) == CHY_OK);
        CHY_ASSERT(values_equal(schema, value, back, 0));
    }
    chy_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct chy_doc *doc = NULL;
    struct chy_arena arena;
    struct chy_error err = { 0 };
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_json_parse((struct chy_bytes){ data, n }, &arena, &doc, &err);
    CHY_ASSERT(r == CHY_OK || (r == err.code && err.text[0] != '\0'));
    for (size_t i = 0; r == CHY_OK && i < chy_op_rows_n; i++) {
        const struct chy_schema *schema = chy_op_rows[i].request;
        CHY_ASSERT(schema->size <= STRUCT_MAX);
        enum chy_err read = chy_doc_read(schema, doc, &arena, value, &err);
        if (read == CHY_OK)
            check_round_trip(schema, &arena);
        else
            CHY_ASSERT(read == err.code && chy_utf8_is_valid(chy_str_of(err.text)));
    }
    chy_arena_done(&arena);
    return 0;
}
