/* SPDX-License-Identifier: MIT */
/* Policies and guards: YAML in, canonical bytes out. */
#include "base/limits.h"
#include "inspect/run.h"
#include "policy/yaml.h"

static enum chy_err made_set(struct chy_inspect_reply *reply, const struct chy_buf *from,
                             struct chy_arena *arena, struct chy_error *err)
{
    reply->made = chy_arena_bytes(arena, chy_buf_bytes(from));
    if (reply->made.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a canonical form");
    return CHY_OK;
}

enum chy_err inspect_policy(const struct chy_inspect_request *request, struct chy_arena *arena,
                            struct chy_inspect_reply *reply, struct chy_error *err)
{
    struct chy_policy_doc doc;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_POLICY);
    CHY_TRY(chy_policy_from_yaml(chy_str_bytes(request->text), arena, &doc, err));
    CHY_TRY(chy_policy_doc_encode(&doc, &out, err));
    return made_set(reply, &out, arena, err);
}

enum chy_err inspect_guard(const struct chy_inspect_request *request, struct chy_arena *arena,
                           struct chy_inspect_reply *reply, struct chy_error *err)
{
    struct chy_policy_guard_doc doc;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, (size_t)4 * CHY_LIMIT_GUARD);
    if (request->text.n > CHY_LIMIT_GUARD)
        return chy_fail(err, CHY_E_LIMIT, "a guard of %zu bytes, at most %d are allowed",
                        request->text.n, CHY_LIMIT_GUARD);
    CHY_TRY(chy_policy_guard_from_yaml(chy_str_bytes(request->text), arena, &doc, err));
    CHY_TRY(chy_policy_guard_encode(&doc, &out, err));
    return made_set(reply, &out, arena, err);
}
