/* SPDX-License-Identifier: MIT */
/* The operations that query serves, one function each; handlers.c puts them into a table. */
#pragma once

#include "query/call.h"

enum chy_err query_hello(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_whoami(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_users_list(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_users_show(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_keys_list(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_keys_show(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_development_ca(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_policies_list(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_policies_show(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_policies_test(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_list(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_show(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_receipt(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_checkpoint(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_tile(struct query_call *call, void *response, struct chy_error *err);
enum chy_err query_log_entries(struct query_call *call, void *response, struct chy_error *err);

/* NULL for those that signer serves. */
query_fn *query_handler(enum chy_op op);

/* Whether one of the caller's roles is among these CHY_MAY_… flags. */
static inline bool query_has_role(const struct query_call *call, unsigned roles)
{
    return (call->who.may & roles) != 0;
}
