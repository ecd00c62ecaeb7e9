/* SPDX-License-Identifier: MIT */
#include "signer/handlers.h"

#include "signer/sign.h"

static job_fn *const handlers[CHY_OP_LAST + 1] = {
    [CHY_OP_ENROLL] = enroll_begin,
    [CHY_OP_RENEW] = renew_begin,
    [CHY_OP_SIGN] = sign_begin,
    [CHY_OP_USERS_CREATE] = users_create,
    [CHY_OP_USERS_UPDATE] = users_update,
    [CHY_OP_USERS_ENROLMENT_CODE] = users_enrolment_code,
    [CHY_OP_API_TOKENS_CREATE] = api_tokens_create,
    [CHY_OP_API_TOKENS_REVOKE] = api_tokens_revoke,
    [CHY_OP_TOKENS_LIST] = tokens_list_begin,
    [CHY_OP_KEYS_CREATE] = keys_create,
    [CHY_OP_KEYS_ADOPT] = keys_adopt,
    [CHY_OP_KEYS_ENABLE] = keys_enable,
    [CHY_OP_KEYS_DISABLE] = keys_disable,
    [CHY_OP_KEYS_DESTROY] = keys_destroy,
    [CHY_OP_KEYS_GUARD] = keys_guard,
    [CHY_OP_CERTS_CSR] = certs_csr,
    [CHY_OP_CERTS_IMPORT] = certs_import,
    [CHY_OP_CERTS_DEVELOPMENT] = certs_development,
    [CHY_OP_POLICIES_APPLY] = policies_apply,
};

job_fn *job_handler(enum chy_op op)
{
    return op >= 1 && op <= CHY_OP_LAST ? handlers[op] : NULL;
}
