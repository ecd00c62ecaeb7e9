/* SPDX-License-Identifier: MIT */
/* A body for SignServer's door, and what follows "Basic " in Authorization. What is read becomes a
 * sign request that is read back, for each type of key. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "front/signserver_api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sign(const struct chy_signserver_ask *ask, enum chy_key_type type,
                 struct chy_arena *arena)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    struct chy_sign_request back;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    if (chy_signserver_sign(ask, type, ask->reason, arena, &out, NULL) != CHY_OK)
        return;
    CHY_ASSERT(chy_schema_decode(&chy_sign_request_schema, chy_buf_bytes(&out), arena, &back,
                                 NULL) == CHY_OK);
    CHY_ASSERT(back.items.n == 1 && (back.items.p[0].digest.n != 0) != (type == CHY_KEY_ED25519));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chy_arena arena;
    struct chy_signserver_ask ask;
    struct chy_caller caller;
    chy_arena_init(&arena, (size_t)4 * CHY_LIMIT_JSON);
    CHY_IGNORE(
        chy_signserver_password((struct chy_str){ (const char *)data, size }, &caller, NULL));
    if (chy_signserver_read((struct chy_bytes){ data, size }, &arena, &ask, NULL) == CHY_OK) {
        CHY_ASSERT(ask.digest.n == chy_hash_alg_bytes(ask.hash));
        ask.worker = CHY_STR("app");
        sign(&ask, CHY_KEY_RSA_3072, &arena);
        sign(&ask, CHY_KEY_P256, &arena);
        sign(&ask, CHY_KEY_ED25519, &arena);
    }
    chy_arena_done(&arena);
    return 0;
}
