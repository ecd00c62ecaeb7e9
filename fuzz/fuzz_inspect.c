/* SPDX-License-Identifier: MIT */
/* One document, read as inspect's readers read it. The first byte says as what; of anything else
 * the whole input is a request as it comes from a peer. What is answered must encode, and decode to
 * the same bytes. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "codec/frame.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "inspect/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t key[1]; /* no chain is for it: what is looked at is the way there */

static bool request_of(struct chy_bytes in, struct chy_arena *arena, struct chy_content *content,
                       uint8_t digest[CHY_HASH_BYTES], struct chy_inspect_request *r)
{
    struct chy_bytes rest = { in.p + 1, in.n - 1 };
    *r = (struct chy_inspect_request){ .now_us = INT64_C(1800000000000000),
                                       .public_key = { key, 1 } };
    switch (in.p[0]) {
    case 'p':
        r->what = CHY_INSPECT_POLICY;
        break;
    case 'g':
        r->what = CHY_INSPECT_GUARD;
        break;
    case 'c':
        r->what = CHY_INSPECT_CHAIN;
        break;
    case 'd':
        r->what = CHY_INSPECT_CHAIN;
        r->bytes = rest;
        return true;
    case 'r':
        r->what = CHY_INSPECT_CSR;
        break;
    case 't':
        r->what = CHY_INSPECT_CONTENT;
        CHY_ASSERT(chy_sha256(rest, digest, NULL) == CHY_OK);
        *content = (struct chy_content){ CHY_HASH_SHA256, { digest, CHY_HASH_BYTES }, rest };
        r->contents.p = content;
        r->contents.n = 1;
        return true;
    default:
        return chy_schema_decode(&chy_inspect_request_schema, in, arena, r, NULL) == CHY_OK;
    }
    r->text = chy_bytes_str(rest);
    return true;
}

static void check_reply(const struct chy_inspect_reply *reply, struct chy_arena *arena)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf one;
    CHY_CLEANUP(chy_buf_done) struct chy_buf two;
    struct chy_inspect_reply again;
    chy_buf_init(&one, CHY_FRAME_BODY_MAX);
    chy_buf_init(&two, CHY_FRAME_BODY_MAX);
    enum chy_err r = chy_schema_encode(&chy_inspect_reply_schema, reply, &one, NULL);
    /* A subject may be longer than an answer takes; nothing else may fail. */
    if (r == CHY_E_LIMIT)
        return;
    CHY_ASSERT(r == CHY_OK);
    CHY_ASSERT(chy_schema_decode(&chy_inspect_reply_schema, chy_buf_bytes(&one), arena, &again,
                                 NULL) == CHY_OK);
    CHY_ASSERT(chy_schema_encode(&chy_inspect_reply_schema, &again, &two, NULL) == CHY_OK);
    CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&one), chy_buf_bytes(&two)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool is_ready;
    struct chy_arena arena;
    struct chy_content content;
    uint8_t digest[CHY_HASH_BYTES];
    struct chy_inspect_request request;
    struct chy_inspect_reply reply;
    if (n == 0)
        return 0;
    CHY_ASSERT(is_ready || chy_crypto_init(NULL) == CHY_OK);
    is_ready = true;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (request_of((struct chy_bytes){ data, n }, &arena, &content, digest, &request) &&
        chy_inspect_run(&request, &arena, &reply, NULL) == CHY_OK)
        check_reply(&reply, &arena);
    chy_arena_done(&arena);
    return 0;
}
