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

/* Broken and out of time here is what somebody handed in: neither this server nor his credential,
 * of which those codes speak to a client. */
static enum chy_err fault_of_document(enum chy_err r, struct chy_error *err)
{
    if (r != CHY_E_INTEGRITY && r != CHY_E_EXPIRED)
        return r;
    r = r == CHY_E_INTEGRITY ? CHY_E_MALFORMED : CHY_E_CONFLICT;
    if (err != NULL)
        err->code = r;
    return r;
}

enum chy_err chy_inspect_run(const struct chy_inspect_request *request, struct chy_arena *arena,
                             struct chy_inspect_reply *ret_reply, struct chy_error *err)
{
    size_t what = (size_t)request->what;
    struct chy_inspect_reply reply = { .code = 0 };
    if (what >= CHY_ARRAY_LEN(handlers) || handlers[what] == NULL)
        return chy_fail(err, CHY_E_ARG, "there is no inspection %zu", what);
    enum chy_err r = handlers[what](request, arena, &reply, err);
    if (r != CHY_OK)
        return fault_of_document(r, err);
    *ret_reply = reply;
    return CHY_OK;
}
