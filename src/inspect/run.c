/* SPDX-License-Identifier: MIT */
#include "inspect/run.h"

static inspect_run_fn *const handlers[] = {
    [CHY_INSPECT_POLICY] = inspect_policy,
    [CHY_INSPECT_GUARD] = inspect_guard,
    [CHY_INSPECT_CHAIN] = inspect_chain,
    [CHY_INSPECT_CSR] = inspect_csr,
    [CHY_INSPECT_CONTENT] = inspect_content,
    [CHY_INSPECT_BUILD_CSR] = inspect_build_csr,
    [CHY_INSPECT_BUILD_CERTIFICATE] = inspect_build_certificate,
};

enum chy_err chy_inspect_run(const struct chy_inspect_request *request, struct chy_arena *arena,
                             struct chy_inspect_reply *ret_reply, struct chy_error *err)
{
    size_t what = (size_t)request->what;
    struct chy_inspect_reply reply = { .code = 0 };
    if (what >= CHY_ARRAY_LEN(handlers) || handlers[what] == NULL)
        return chy_fail(err, CHY_E_ARG, "there is no inspection %zu", what);
    CHY_TRY(handlers[what](request, arena, &reply, err));
    *ret_reply = reply;
    return CHY_OK;
}
