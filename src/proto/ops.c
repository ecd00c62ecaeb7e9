/* SPDX-License-Identifier: MIT */
#include "proto/ops.h"

#include <stdio.h>

#include "base/limits.h"

enum {
    READ_KEYS = CHY_MAY_KNOWN,
    MANAGE_KEYS = CHY_MAY_KEY_MANAGER,
    MANAGE_USERS = CHY_MAY_ADMINISTRATOR,
    READ_USERS = CHY_MAY_ADMINISTRATOR | CHY_MAY_AUDITOR,
    READ_POLICY =
        CHY_MAY_POLICY_AUTHOR | CHY_MAY_AUDITOR | CHY_MAY_ADMINISTRATOR | CHY_MAY_KEY_MANAGER,
    READ_LOG = CHY_MAY_AUDITOR | CHY_MAY_ADMINISTRATOR,
};

#define ROW(op, id, method, path, server, may, req, resp, doc)                    \
    {                                                                             \
        CHY_OP_##op, id, CHY_HTTP_##method, path, CHY_OP_BY_##server, may, false, \
            &chy_##req##_schema, &chy_##resp##_schema, doc                        \
    }
#define RAW(op, id, path, may, req, doc)                                                      \
    {                                                                                         \
        CHY_OP_##op, id, CHY_HTTP_GET, path, CHY_OP_BY_QUERY, may, true, &chy_##req##_schema, \
            &chy_raw_schema, doc                                                              \
    }

/* clang-format off */
const struct chy_op_row chy_op_rows[] = {
    ROW(HELLO, "hello", GET, "/v1/hello", QUERY, CHY_MAY_ANYBODY, empty, hello,
        "Version handshake, the server's clock and the log's verifier key."),
    ROW(ENROLL, "enroll", POST, "/v1/enroll", SIGNER, CHY_MAY_ANYBODY, enroll_request, client_certificate,
        "Turn a one-time code into a client certificate."),
    ROW(RENEW, "renew", POST, "/v1/renew", SIGNER, CHY_MAY_KNOWN, renew_request, client_certificate,
        "Renew the client certificate that this request came with."),
    ROW(WHOAMI, "whoami", GET, "/v1/whoami", QUERY, CHY_MAY_KNOWN, empty, whoami,
        "Who the server takes you for."),
    ROW(SIGN, "sign", POST, "/v1/sign", SIGNER, CHY_MAY_KNOWN, sign_request, sign_response,
        "Sign digests (or messages, by ed25519 and rsa-pkcs1-raw) as far as policy allows."),
    ROW(USERS_LIST, "users.list", GET, "/v1/users", QUERY, READ_USERS, empty, user_list,
        "List principals."),
    ROW(USERS_SHOW, "users.show", GET, "/v1/users/{name}", QUERY, READ_USERS, user_name, user,
        "Show a principal."),
    ROW(USERS_CREATE, "users.create", POST, "/v1/users", SIGNER, MANAGE_USERS, user_create, user,
        "Create a principal."),
    ROW(USERS_UPDATE, "users.update", PUT, "/v1/users/{name}", SIGNER, MANAGE_USERS, user_update, user,
        "Change groups, roles or state of a principal."),
    ROW(USERS_ENROLMENT_CODE, "users.enrolment-code", POST, "/v1/users/{name}/enrolment-codes", SIGNER,
        MANAGE_USERS, enrolment_code_request, enrolment_code, "Make a one-time enrolment code."),
    ROW(API_TOKENS_CREATE, "users.api-token-create", POST, "/v1/users/{name}/api-tokens", SIGNER, MANAGE_USERS,
        api_token_create, api_token, "Make an API token."),
    ROW(API_TOKENS_REVOKE, "users.api-token-revoke", DELETE, "/v1/users/{name}/api-tokens/{id}", SIGNER,
        MANAGE_USERS, api_token_ref, empty, "Revoke an API token."),
    ROW(TOKENS_LIST, "tokens.list", GET, "/v1/tokens", SIGNER, READ_POLICY, empty, token_list,
        "List the tokens (HSM slots)."),
    ROW(KEYS_LIST, "keys.list", GET, "/v1/keys", QUERY, READ_KEYS, key_query, key_list,
        "List keys: all for those who manage or audit, else those that policy might let you use."),
    ROW(KEYS_SHOW, "keys.show", GET, "/v1/keys/{name}", QUERY, READ_KEYS, key_name, key, "Show a key."),
    ROW(KEYS_CREATE, "keys.create", POST, "/v1/keys", SIGNER, MANAGE_KEYS, key_create, key,
        "Generate a key in a token."),
    ROW(KEYS_ADOPT, "keys.adopt", POST, "/v1/keys/adopt", SIGNER, MANAGE_KEYS, key_adopt, key,
        "Take on a key that is in a token already, with its certificate."),
    ROW(KEYS_ENABLE, "keys.enable", POST, "/v1/keys/{name}/enable", SIGNER, MANAGE_KEYS, key_name, key,
        "Enable a disabled key."),
    ROW(KEYS_DISABLE, "keys.disable", POST, "/v1/keys/{name}/disable", SIGNER, MANAGE_KEYS, key_name, key,
        "Disable a key: nothing is signed with it until it is enabled."),
    ROW(KEYS_DESTROY, "keys.destroy", POST, "/v1/keys/{name}/destroy", SIGNER, MANAGE_KEYS, key_destroy, key,
        "Destroy a key for ever; answers when every token process has dropped its copy."),
    ROW(KEYS_GUARD, "keys.guard", PUT, "/v1/keys/{name}/guard", SIGNER, CHY_MAY_KNOWN, key_guard, key,
        "Set what may be signed with a key at most. Only its owners may."),
    ROW(CERTS_CSR, "certs.csr", POST, "/v1/keys/{name}/csr", SIGNER, MANAGE_KEYS, csr_request, csr,
        "Make a certificate request."),
    ROW(CERTS_IMPORT, "certs.import", PUT, "/v1/keys/{name}/certificate", SIGNER, MANAGE_KEYS,
        certificate_import, key, "Import the chain that a CA issued."),
    ROW(CERTS_DEVELOPMENT, "certs.development", POST, "/v1/keys/{name}/development-certificate", SIGNER,
        MANAGE_KEYS, development_certificate, key, "Have the built-in development CA issue a certificate."),
    ROW(CERTS_DEVELOPMENT_CA, "certs.development-ca", GET, "/v1/development-ca", QUERY, CHY_MAY_ANYBODY, empty,
        pem, "The certificate of the built-in development CA."),
    ROW(POLICIES_LIST, "policies.list", GET, "/v1/policies", QUERY, READ_POLICY, empty, policy_list,
        "List the versions of the policy."),
    ROW(POLICIES_SHOW, "policies.show", GET, "/v1/policies/{number}", QUERY, READ_POLICY, policy_number, policy,
        "Show a version of the policy; 0 is the one in force."),
    ROW(POLICIES_APPLY, "policies.apply", POST, "/v1/policies", SIGNER, CHY_MAY_POLICY_AUTHOR, policy_apply,
        policy, "Put a new policy in force."),
    ROW(POLICIES_TEST, "policies.test", POST, "/v1/policies/test", QUERY, READ_POLICY, policy_test,
        policy_test_result, "Explain rule by rule what the policy or a draft would answer."),
    ROW(LOG_LIST, "log.list", GET, "/v1/log", QUERY, READ_LOG, log_query, log_page, "List entries of the log."),
    ROW(LOG_SHOW, "log.show", GET, "/v1/log/{index}", QUERY, READ_LOG, log_index, log_row,
        "Show an entry of the log."),
    ROW(LOG_RECEIPT, "log.receipt", GET, "/v1/log/{index}/receipt", QUERY, CHY_MAY_KNOWN, log_index,
        log_receipt, "The receipt of an entry against the present checkpoint."),
    RAW(LOG_CHECKPOINT, "log.checkpoint", "/log/checkpoint", CHY_MAY_ANYBODY, empty,
        "The log's checkpoint, c2sp.org/tlog-checkpoint."),
    RAW(LOG_TILE, "log.tile", "/log/tile/{path...}", CHY_MAY_ANYBODY, tile_path,
        "A hash tile, c2sp.org/tlog-tiles."),
    RAW(LOG_ENTRIES, "log.entries", "/log/tile/entries/{path...}", READ_LOG, tile_path,
        "An entry bundle, c2sp.org/tlog-tiles; needs the right to read the log."),
};
/* clang-format on */
const size_t chy_op_rows_n = CHY_ARRAY_LEN(chy_op_rows);
_Static_assert(CHY_ARRAY_LEN(chy_op_rows) == CHY_OP_LAST, "one row for each operation, in order");

const struct chy_op_row *chy_op_row(int op)
{
    return op >= 1 && op <= CHY_OP_LAST ? &chy_op_rows[op - 1] : NULL;
}

const char *chy_http_method_name(enum chy_http_method method)
{
    switch (method) {
    case CHY_HTTP_GET:
        return "GET";
    case CHY_HTTP_HEAD:
        return "HEAD";
    case CHY_HTTP_POST:
        return "POST";
    case CHY_HTTP_PUT:
        return "PUT";
    case CHY_HTTP_DELETE:
        return "DELETE";
    }
    return "";
}

/* Cut the next "/"-separated part off `s`. */
static struct chy_str part_next(struct chy_str *s)
{
    const char *slash = s->n != 0 ? memchr(s->p, '/', s->n) : NULL;
    struct chy_str part = { s->p, slash != NULL ? (size_t)(slash - s->p) : s->n };
    size_t used = part.n + (slash != NULL ? 1 : 0);
    s->p += used;
    s->n -= used;
    return part;
}

static bool part_is_param(struct chy_str part)
{
    return part.n > 2 && part.p[0] == '{' && part.p[part.n - 1] == '}';
}

/* "{path...}": all that is left, slashes included. */
static bool part_takes_rest(struct chy_str part)
{
    return part_is_param(part) && part.n > 5 &&
           chy_str_equal_c((struct chy_str){ part.p + part.n - 4, 4 }, "...}");
}

static bool path_matches(const char *pattern, struct chy_str path, struct chy_op_match *m)
{
    struct chy_str pat = chy_str_of(pattern);
    m->n = 0;
    while (pat.n > 0) {
        struct chy_str want = part_next(&pat);
        if (part_takes_rest(want)) {
            m->names[m->n] = (struct chy_str){ want.p + 1, want.n - 5 };
            m->values[m->n++] = path;
            return path.n > 0;
        }
        bool had_more = path.n > 0;
        struct chy_str got = part_next(&path);
        if (part_is_param(want)) {
            if (got.n == 0 || m->n == CHY_OP_PARAMS)
                return false;
            m->names[m->n] = (struct chy_str){ want.p + 1, want.n - 2 };
            m->values[m->n++] = got;
        } else if (!chy_str_equal(want, got) || (!had_more && want.n > 0)) {
            return false;
        }
    }
    return path.n == 0;
}

/* Fixed parts win over parameters: "/v1/keys/adopt" is no key called "adopt". */
static size_t path_fixed_parts(const char *pattern)
{
    size_t n = 0;
    struct chy_str pat = chy_str_of(pattern);
    while (pat.n > 0)
        n += part_is_param(part_next(&pat)) ? 0 : 1;
    return n;
}

bool chy_op_find(enum chy_http_method method, struct chy_str path, struct chy_op_match *ret_match)
{
    struct chy_op_match found = { 0 };
    size_t allow_n = 0;
    bool ends_in_slash = path.n > 1 && path.p[path.n - 1] == '/';
    for (size_t i = 0; i < chy_op_rows_n && !ends_in_slash; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        struct chy_op_match m = { 0 };
        if (!path_matches(row->path, path, &m))
            continue;
        if (row->method != method) {
            int w = snprintf(found.allow + allow_n, sizeof found.allow - allow_n, "%s%s",
                             allow_n > 0 ? ", " : "", chy_http_method_name(row->method));
            allow_n += w > 0 && (size_t)w < sizeof found.allow - allow_n ? (size_t)w : 0;
            continue;
        }
        if (found.row != NULL && path_fixed_parts(found.row->path) >= path_fixed_parts(row->path))
            continue;
        m.row = row;
        memcpy(m.allow, found.allow, sizeof m.allow);
        found = m;
    }
    *ret_match = found;
    return found.row != NULL;
}

bool chy_op_in_scopes(const struct chy_op_row *row, struct chy_strs scopes)
{
    struct chy_str id = chy_str_of(row->id);
    for (size_t i = 0; i < scopes.n; i++) {
        struct chy_str s = scopes.p[i];
        if (chy_str_equal(s, id) || chy_str_equal_c(s, "*"))
            return true;
        bool is_family = s.n > 2 && s.p[s.n - 1] == '*' && s.p[s.n - 2] == '.';
        struct chy_str family = { s.p, s.n - 1 };
        if (is_family && id.n >= family.n &&
            chy_str_equal((struct chy_str){ id.p, family.n }, family))
            return true;
    }
    return false;
}

static void append_percent(struct chy_buf *out, struct chy_str s, bool keep_slash)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
        if (plain)
            chy_buf_append_u8(out, c);
        else
            chy_buf_printf(out, "%%%02X", c);
    }
}

static enum chy_err append_value(const struct chy_field *f, const void *request, bool keep_slash,
                                 struct chy_buf *out, struct chy_error *err)
{
    const void *at = chy_field_in(f, request);
    if (f->kind == CHY_KIND_STR)
        append_percent(out, *(const struct chy_str *)at, keep_slash);
    else if (f->kind == CHY_KIND_U64)
        chy_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
    else if (f->kind == CHY_KIND_U32)
        chy_buf_printf(out, "%u", *(const uint32_t *)at);
    else if (f->kind == CHY_KIND_BOOL)
        chy_buf_append_c(out, *(const bool *)at ? "true" : "false");
    else if (f->kind == CHY_KIND_ID)
        for (size_t i = 0; i < CHY_ID_BYTES; i++)
            chy_buf_printf(out, "%02x", ((const uint8_t *)at)[i]);
    else if (f->kind == CHY_KIND_HEX)
        for (size_t i = 0; i < ((const struct chy_bytes *)at)->n; i++)
            chy_buf_printf(out, "%02x", ((const struct chy_bytes *)at)->p[i]);
    else
        return chy_fail(err, CHY_E_INTERNAL, "%s cannot stand in a URL", f->name);
    return CHY_OK;
}

static bool query_is_empty(const struct chy_field *f, const void *request)
{
    if (f->kind == CHY_KIND_U64)
        return *(const uint64_t *)chy_field_in(f, request) == 0;
    if (f->kind == CHY_KIND_U32)
        return *(const uint32_t *)chy_field_in(f, request) == 0;
    if (f->kind == CHY_KIND_BOOL)
        return !*(const bool *)chy_field_in(f, request);
    return chy_field_is_empty(f, request);
}

static enum chy_err append_query(const struct chy_op_row *row, const void *request,
                                 struct chy_buf *out, struct chy_error *err)
{
    char sep = '?';
    for (size_t i = 0; i < row->request->n; i++) {
        const struct chy_field *f = &row->request->fields[i];
        if ((f->flags & CHY_IN_QUERY) == 0 || query_is_empty(f, request))
            continue;
        chy_buf_printf(out, "%c%s=", sep, f->name);
        CHY_TRY(append_value(f, request, false, out, err));
        sep = '&';
    }
    return CHY_OK;
}

enum chy_err chy_op_path(const struct chy_op_row *row, const void *request, struct chy_buf *out,
                         struct chy_error *err)
{
    struct chy_str pat = chy_str_of(row->path);
    CHY_CLEANUP(chy_buf_done) struct chy_buf own;
    chy_buf_init(&own, CHY_LIMIT_PATH);
    while (pat.n > 0) {
        struct chy_str part = part_next(&pat);
        if (part_is_param(part)) {
            bool takes_rest = part_takes_rest(part);
            struct chy_str name = { part.p + 1, part.n - (takes_rest ? 5 : 2) };
            const struct chy_field *f = chy_schema_field(row->request, name);
            if (f == NULL)
                return chy_fail(err, CHY_E_INTERNAL, "%s has no field for its path", row->id);
            if (chy_field_is_empty(f, request))
                return chy_fail(err, CHY_E_ARG, "%s is missing", f->name);
            CHY_TRY(append_value(f, request, takes_rest, &own, err));
        } else {
            chy_buf_append_str(&own, part);
        }
        if (pat.n > 0)
            chy_buf_append_u8(&own, '/');
    }
    CHY_TRY(append_query(row, request, &own, err));
    CHY_TRY(chy_buf_check(&own, err));
    chy_buf_append(out, chy_buf_bytes(&own));
    return chy_buf_check(out, err);
}
