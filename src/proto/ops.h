/* SPDX-License-Identifier: MIT */
/* The table of operations: the HTTP interface, what each takes and answers, who serves it and who
 * may call it. front routes by it, the client calls by it, OpenAPI is printed from it, signer and
 * query each keep a table of handlers by operation. To add an operation: a row here, its schemas in
 * api.h, a handler. */
#pragma once

#include "proto/api.h"

enum chy_op {
    CHY_OP_HELLO = 1,
    CHY_OP_ENROLL,
    CHY_OP_RENEW,
    CHY_OP_WHOAMI,
    CHY_OP_SIGN,
    CHY_OP_USERS_LIST,
    CHY_OP_USERS_SHOW,
    CHY_OP_USERS_CREATE,
    CHY_OP_USERS_UPDATE,
    CHY_OP_USERS_ENROLMENT_CODE,
    CHY_OP_API_TOKENS_CREATE,
    CHY_OP_API_TOKENS_REVOKE,
    CHY_OP_TOKENS_LIST,
    CHY_OP_KEYS_LIST,
    CHY_OP_KEYS_SHOW,
    CHY_OP_KEYS_CREATE,
    CHY_OP_KEYS_ADOPT,
    CHY_OP_KEYS_ENABLE,
    CHY_OP_KEYS_DISABLE,
    CHY_OP_KEYS_DESTROY,
    CHY_OP_KEYS_GUARD,
    CHY_OP_CERTS_CSR,
    CHY_OP_CERTS_IMPORT,
    CHY_OP_CERTS_DEVELOPMENT,
    CHY_OP_CERTS_DEVELOPMENT_CA,
    CHY_OP_POLICIES_LIST,
    CHY_OP_POLICIES_SHOW,
    CHY_OP_POLICIES_APPLY,
    CHY_OP_POLICIES_TEST,
    CHY_OP_LOG_LIST,
    CHY_OP_LOG_SHOW,
    CHY_OP_LOG_RECEIPT,
    CHY_OP_LOG_CHECKPOINT,
    CHY_OP_LOG_TILE,
    CHY_OP_LOG_ENTRIES,
    CHY_OP_LAST = CHY_OP_LOG_ENTRIES,
};

enum chy_op_server {
    CHY_OP_BY_SIGNER, /* all that writes or signs */
    CHY_OP_BY_QUERY,  /* all that reads */
};

enum chy_http_method {
    CHY_HTTP_GET = 1,
    CHY_HTTP_HEAD,
    CHY_HTTP_POST,
    CHY_HTTP_PUT,
    CHY_HTTP_DELETE,
};

/* Who may call. Roles are flags: any of those set will do. */
enum {
    CHY_MAY_ANYBODY = 1u << 0, /* also without a credential */
    CHY_MAY_KNOWN = 1u << 1,   /* every principal that is not disabled */
    CHY_MAY_ADMINISTRATOR = 1u << 2,
    CHY_MAY_KEY_MANAGER = 1u << 3,
    CHY_MAY_POLICY_AUTHOR = 1u << 4,
    CHY_MAY_AUDITOR = 1u << 5,
};

struct chy_op_row {
    enum chy_op op;
    const char *id; /* "keys.create": operationId, and the scope of an API token */
    enum chy_http_method method;
    const char *path; /* "/v1/keys/{name}"; a last "{path...}" takes the rest, slashes included */
    enum chy_op_server server;
    unsigned may;
    bool is_raw; /* answers struct chy_raw, written as it is */
    const struct chy_schema *request;
    const struct chy_schema *response;
    const char *doc;
};

/* In the order of enum chy_op. */
extern const struct chy_op_row chy_op_rows[];
extern const size_t chy_op_rows_n;

/* NULL for a number that is no operation. */
const struct chy_op_row *chy_op_row(int op);
const char *chy_http_method_name(enum chy_http_method method); /* "GET" */

/* The row whose path matches `path` (already split from the query, percent-decoding not yet done)
 * and method. A path that is known under other methods only sets *ret_allow to "GET, PUT" (static
 * storage of the caller, CHY_OP_ALLOW_BYTES) and answers NULL; an unknown one sets it to "".
 * Path parameters come back as views into `path`, in the order of the {…} in the row's path. */
#define CHY_OP_PARAMS      4
#define CHY_OP_ALLOW_BYTES 40
struct chy_op_match {
    const struct chy_op_row *row;
    size_t n;
    struct chy_str names[CHY_OP_PARAMS];
    struct chy_str values[CHY_OP_PARAMS];
    char allow[CHY_OP_ALLOW_BYTES];
};
bool chy_op_find(enum chy_http_method method, struct chy_str path, struct chy_op_match *ret_match);

/* Whether an API token with these scopes may call the operation: "sign", "keys.*", "*". */
bool chy_op_in_scopes(const struct chy_op_row *row, struct chy_strs scopes);
/* "{…}" parts of a row's path filled from the struct; for the client. Values are percent-encoded.
 * Query parameters that are not empty follow as "?a=b&c=d". Errors: CHY_E_ARG, CHY_E_LIMIT,
 * CHY_E_NOMEM. */
CHY_MUST_USE enum chy_err chy_op_path(const struct chy_op_row *row, const void *request,
                                      struct chy_buf *out, struct chy_error *err);
