/* SPDX-License-Identifier: MIT */
/* What a tool says to a plug-in: the first byte chooses whom. What is read keeps its promises. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "plugin/kms_request.h"
#include "plugin/notation_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_kms(struct chy_bytes json, struct chy_arena *arena)
{
    struct chy_kms_request r;
    struct chy_error err;
    enum chy_err code = chy_kms_request_read(CHY_STR(CHY_KMS_PROTOCOL), json, arena, &r, &err);
    if (code != CHY_OK) {
        CHY_ASSERT(code == err.code && chy_utf8_is_valid(chy_str_of(err.text)));
        return;
    }
    CHY_ASSERT(chy_enum_name(&chy_kms_method_enum, (int)r.method) != NULL);
    CHY_ASSERT(r.hash == CHY_HASH_NONE || chy_hash_alg_bytes(r.hash) != 0);
    CHY_ASSERT(r.key.n <= CHY_LIMIT_TEXT && chy_utf8_is_valid(r.key));
    CHY_ASSERT(r.digest.n <= CHY_LIMIT_DIGEST && r.signature.n <= CHY_LIMIT_SIGNATURE);
}

static void check_notation(enum chy_notation_command command, struct chy_bytes json,
                           struct chy_arena *arena)
{
    struct chy_notation_request r;
    struct chy_error err;
    enum chy_err code = chy_notation_request_read(command, json, arena, &r, &err);
    if (code != CHY_OK) {
        CHY_ASSERT(code == err.code && chy_utf8_is_valid(chy_str_of(err.text)));
        return;
    }
    CHY_ASSERT(r.key.n <= CHY_LIMIT_NAME && chy_utf8_is_valid(r.key));
    CHY_ASSERT(command == CHY_NOTATION_GET_METADATA || r.key.n != 0);
    CHY_ASSERT(command != CHY_NOTATION_GENERATE_SIGNATURE ||
               (r.payload.n != 0 && r.hash != CHY_HASH_NONE && r.key_type != CHY_KEY_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chy_arena arena;
    if (size == 0)
        return 0;
    const struct chy_bytes json = { data + 1, size - 1 };
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (data[0] % 4 == 0)
        check_kms(json, &arena);
    else
        check_notation((enum chy_notation_command)(data[0] % 4), json, &arena);
    chy_arena_done(&arena);
    return 0;
}
