/* SPDX-License-Identifier: MIT */
#include "query/handlers.h"

static query_fn *const handlers[CHY_OP_LAST + 1] = {
    [CHY_OP_HELLO] = query_hello,
    [CHY_OP_WHOAMI] = query_whoami,
    [CHY_OP_USERS_LIST] = query_users_list,
    [CHY_OP_USERS_SHOW] = query_users_show,
    [CHY_OP_KEYS_LIST] = query_keys_list,
    [CHY_OP_KEYS_SHOW] = query_keys_show,
    [CHY_OP_CERTS_DEVELOPMENT_CA] = query_development_ca,
    [CHY_OP_POLICIES_LIST] = query_policies_list,
    [CHY_OP_POLICIES_SHOW] = query_policies_show,
    [CHY_OP_POLICIES_TEST] = query_policies_test,
    [CHY_OP_LOG_LIST] = query_log_list,
    [CHY_OP_LOG_SHOW] = query_log_show,
    [CHY_OP_LOG_RECEIPT] = query_log_receipt,
    [CHY_OP_LOG_CHECKPOINT] = query_log_checkpoint,
    [CHY_OP_LOG_TILE] = query_log_tile,
    [CHY_OP_LOG_ENTRIES] = query_log_entries,
};

query_fn *query_handler(enum chy_op op)
{
    return (size_t)op < CHY_ARRAY_LEN(handlers) ? handlers[op] : NULL;
}
