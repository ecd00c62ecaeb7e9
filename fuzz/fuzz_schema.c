/* SPDX-License-Identifier: MIT */
/* The canonical form. The first byte picks the message; what the rest decodes to encodes to the
 * same bytes, passes the check, and its copy is equal. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "codec/schema.h"
#include "values.h"

#define STRUCT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static _Alignas(16) char value[STRUCT_MAX];
static _Alignas(16) char copy[STRUCT_MAX];

static void check_value(const struct chy_schema *schema, struct chy_bytes in,
                        struct chy_arena *arena)
{
    struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    CHY_ASSERT(chy_schema_encode(schema, value, &out, NULL) == CHY_OK);
    CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&out), in));
    CHY_ASSERT(chy_schema_check(schema, value, NULL) == CHY_OK);
    CHY_ASSERT(chy_schema_copy(schema, value, arena, copy, NULL) == CHY_OK);
    CHY_ASSERT(values_equal(schema, value, copy, 0));
    chy_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    const struct chy_schema *schema = values_schemas[data[0] % values_schemas_n];
    struct chy_bytes in = { data + 1, n - 1 };
    struct chy_error err = { 0 };
    struct chy_arena arena;
    CHY_ASSERT(schema->size <= STRUCT_MAX);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_schema_decode(schema, in, &arena, value, &err);
    CHY_ASSERT(r == CHY_OK || (r == err.code && chy_utf8_is_valid(chy_str_of(err.text))));
    if (r == CHY_OK)
        check_value(schema, in, &arena);
    chy_arena_done(&arena);
    return 0;
}
