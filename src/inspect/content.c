/* SPDX-License-Identifier: MIT */
/* Bytes to be signed: do they hash to the digest, and what are they? */
#include "base/limits.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "inspect/recognize.h"
#include "inspect/run.h"
#include "policy/facts.h"

enum {
    FACTS = 2
};

static enum chy_err facts_add(struct chy_bytes content, struct chy_arena *arena,
                              struct chy_content_result *result, struct chy_error *err)
{
    uint8_t hash[CHY_HASH_BYTES];
    struct chy_fact *facts = chy_arena_array(arena, struct chy_fact, FACTS);
    char *hex = chy_arena_alloc(arena, CHY_HEX_SIZE(sizeof hash), 1);
    if (facts == NULL || hex == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    CHY_TRY(chy_sha256(content, hash, err));
    chy_hex_encode((struct chy_bytes){ hash, sizeof hash }, hex);
    facts[0] = (struct chy_fact){ .name = CHY_STR(CHY_FACT_CONTENT_TYPE),
                                  .value = chy_str_of(inspect_recognize(content)),
                                  .basis = CHY_BASIS_SERVER };
    facts[1] = (struct chy_fact){ .name = CHY_STR(CHY_FACT_CONTENT_SHA256),
                                  .value = chy_str_of(hex),
                                  .basis = CHY_BASIS_SERVER };
    result->facts.p = facts;
    result->facts.n = FACTS;
    return CHY_OK;
}

static enum chy_err content_inspect(const struct chy_content *c, struct chy_arena *arena,
                                    struct chy_content_result *result, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    size_t n = chy_hash_alg_bytes(c->hash);
    if (n == 0)
        return chy_fail(err, CHY_E_ARG, "content without a hash algorithm");
    CHY_TRY(chy_hash(c->hash, c->content, digest, err));
    result->matches = chy_bytes_equal((struct chy_bytes){ digest, n }, c->digest);
    /* Of bytes that are not what is signed nothing is said. */
    return result->matches ? facts_add(c->content, arena, result, err) : CHY_OK;
}

enum chy_err inspect_content(const struct chy_inspect_request *request, struct chy_arena *arena,
                             struct chy_inspect_reply *reply, struct chy_error *err)
{
    size_t n = request->contents.n;
    struct chy_content_result *results = chy_arena_array(arena, struct chy_content_result, n);
    if (results == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for %zu results", n);
    for (size_t i = 0; i < n; i++)
        CHY_TRY(content_inspect(&request->contents.p[i], arena, &results[i], err));
    reply->content_results.p = results;
    reply->content_results.n = n;
    return CHY_OK;
}
