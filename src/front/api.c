/* SPDX-License-Identifier: MIT */
#include "front/api.h"

#include <strings.h>

#include "crypto/hash.h"
#include "doc/doc.h"

#define API_TOKEN_MAX 256 /* characters; ours have 60 or so */

/* "application/json", perhaps with parameters, of which only UTF-8 makes sense (RFC 8259 section
 * 11). */
static bool is_json(struct chy_str type)
{
    static const char json[] = "application/json";
    size_t n = sizeof json - 1;
    return type.n >= n && strncasecmp(type.p, json, n) == 0 &&
           (type.n == n || type.p[n] == ';' || type.p[n] == ' ');
}

bool chy_api_body_is_json(const struct chy_http_request *request)
{
    const struct chy_http_field *type = chy_http_field_find(request, "content-type");
    return request->body.n == 0 || (type != NULL && is_json(type->value));
}

static enum chy_err read_body(const struct chy_schema *schema,
                              const struct chy_http_request *request, struct chy_arena *arena,
                              void *value, struct chy_error *err)
{
    static const struct chy_doc nothing = { .kind = CHY_DOC_MAP };
    if (request->body.n == 0)
        return chy_doc_read(schema, &nothing, arena, value, err);
    const struct chy_doc *doc = NULL;
    CHY_TRY(chy_json_parse(request->body, arena, &doc, err));
    return chy_doc_read(schema, doc, arena, value, err);
}

static enum chy_err read_path(const struct chy_op_match *match, struct chy_arena *arena,
                              void *value, struct chy_error *err)
{
    for (size_t i = 0; i < match->n; i++) {
        const struct chy_field *f = chy_schema_field(match->row->request, match->names[i]);
        if (f == NULL || (f->flags & CHY_IN_PATH) == 0)
            return chy_fail(err, CHY_E_INTERNAL, "%s has no field for its path", match->row->id);
        struct chy_str text;
        CHY_TRY(chy_target_decode(match->values[i], arena, &text, err));
        CHY_TRY(chy_doc_read_text(f, text, arena, value, err));
    }
    return CHY_OK;
}

static enum chy_err read_query(const struct chy_schema *schema, const struct chy_target *target,
                               struct chy_arena *arena, void *value, struct chy_error *err)
{
    for (size_t i = 0; i < target->param_count; i++) {
        const struct chy_target_param *p = &target->params[i];
        const struct chy_field *f = chy_schema_field(schema, p->name);
        if (f == NULL || (f->flags & CHY_IN_QUERY) == 0)
            return chy_fail(err, CHY_E_MALFORMED, "there is no parameter \"%.*s\"",
                            CHY_STR_ARG(p->name));
        CHY_TRY(chy_doc_read_text(f, p->value, arena, value, err));
    }
    return CHY_OK;
}

enum chy_err chy_api_read_request(const struct chy_op_match *match,
                                  const struct chy_http_request *request,
                                  const struct chy_target *target, struct chy_arena *arena,
                                  struct chy_buf *out, struct chy_error *err)
{
    const struct chy_schema *schema = match->row->request;
    void *value = chy_arena_alloc(arena, 1, schema->size);
    if (value == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the request");
    CHY_TRY(read_body(schema, request, arena, value, err));
    CHY_TRY(read_path(match, arena, value, err));
    CHY_TRY(read_query(schema, target, arena, value, err));
    return chy_schema_encode(schema, value, out, err);
}

enum chy_err chy_api_token_caller(struct chy_bytes token, struct chy_caller *ret_caller,
                                  struct chy_error *err)
{
    if (token.n == 0 || token.n > API_TOKEN_MAX)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "this is no API token");
    CHY_TRY(chy_sha256(token, ret_caller->credential, err));
    ret_caller->method = CHY_AUTH_API_TOKEN;
    return CHY_OK;
}

static enum chy_err read_token(struct chy_str authorization, struct chy_caller *ret_caller,
                               struct chy_error *err)
{
    static const char scheme[] = "Bearer ";
    size_t n = sizeof scheme - 1;
    struct chy_bytes token = { 0 };
    if (authorization.n > n && strncasecmp(authorization.p, scheme, n) == 0)
        token = (struct chy_bytes){ (const uint8_t *)authorization.p + n, authorization.n - n };
    if (token.n == 0 || token.n > API_TOKEN_MAX)
        return chy_fail(err, CHY_E_UNAUTHENTICATED,
                        "Authorization is not \"Bearer\" and an API token");
    return chy_api_token_caller(token, ret_caller, err);
}

static enum chy_err judge_certificate(enum chy_tls_peer_state state, struct chy_error *err)
{
    switch (state) {
    case CHY_TLS_PEER_VALID:
        return CHY_OK;
    case CHY_TLS_PEER_EXPIRED:
        return chy_fail(err, CHY_E_EXPIRED, "the client certificate has expired; enrol again");
    case CHY_TLS_PEER_NOT_YET:
        return chy_fail(err, CHY_E_UNAUTHENTICATED,
                        "the client certificate is not valid yet; are both clocks right?");
    case CHY_TLS_PEER_FOREIGN:
        return chy_fail(err, CHY_E_UNAUTHENTICATED,
                        "the client certificate was not issued by this server for its clients");
    case CHY_TLS_PEER_NONE:
        break;
    }
    return chy_fail(err, CHY_E_UNAUTHENTICATED, "a client certificate or an API token is needed");
}

enum chy_err chy_api_read_caller(const struct chy_http_request *request,
                                 const struct chy_tls_peer *peer, int64_t now_us, unsigned may,
                                 struct chy_caller *ret_caller, struct chy_error *err)
{
    const struct chy_http_field *authorization = chy_http_field_find(request, "authorization");
    ret_caller->method = CHY_AUTH_NONE;
    if (authorization != NULL)
        return read_token(authorization->value, ret_caller, err);
    enum chy_tls_peer_state state = chy_tls_peer_state_at(peer, now_us);
    if (state == CHY_TLS_PEER_VALID) {
        ret_caller->method = CHY_AUTH_CERTIFICATE;
        chy_copy(ret_caller->credential, peer->sha256, sizeof ret_caller->credential);
        return CHY_OK;
    }
    return (may & CHY_MAY_ANYBODY) != 0 ? CHY_OK : judge_certificate(state, err);
}

enum chy_err chy_api_check_version(const struct chy_http_request *request, struct chy_error *err)
{
    const struct chy_http_field *f = chy_http_field_find(request, "chancery-api");
    size_t version = 0;
    if (f == NULL || (chy_http_content_length(f->value, &version) && version >= CHY_API_MIN &&
                      version <= CHY_API_MAX))
        return CHY_OK;
    return chy_fail(err, CHY_E_UNSUPPORTED, "this server speaks version %d to %d of the interface",
                    CHY_API_MIN, CHY_API_MAX);
}

/* Programs that are no browsers say neither. */
static bool is_from_here(const struct chy_http_request *request)
{
    const struct chy_http_field *site = chy_http_field_find(request, "sec-fetch-site");
    const struct chy_http_field *origin = chy_http_field_find(request, "origin");
    if (site != NULL)
        return chy_str_equal_c(site->value, "same-origin") || chy_str_equal_c(site->value, "none");
    if (origin == NULL)
        return true;
    struct chy_str scheme = CHY_STR("https://");
    struct chy_str host = origin->value;
    if (!chy_str_starts(host, scheme.p))
        return false;
    host = (struct chy_str){ host.p + scheme.n, host.n - scheme.n };
    return chy_str_equal(host, request->host);
}

enum chy_err chy_api_check_site(const struct chy_http_request *request, struct chy_error *err)
{
    bool only_reads = request->method == CHY_HTTP_GET || request->method == CHY_HTTP_HEAD;
    return only_reads || is_from_here(request)
               ? CHY_OK
               : chy_fail(err, CHY_E_FORBIDDEN, "a browser sent this for a page of another site");
}

enum chy_err chy_api_write_response(const struct chy_op_row *row, struct chy_bytes response,
                                    struct chy_arena *arena, struct chy_buf *out,
                                    struct chy_api_answer *ret_answer, struct chy_error *err)
{
    void *value = chy_arena_alloc(arena, 1, row->response->size);
    if (value == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for an answer");
    struct chy_error why;
    enum chy_err r = chy_schema_decode(row->response, response, arena, value, &why);
    if (r != CHY_OK)
        return chy_fail(err, r == CHY_E_NOMEM ? r : CHY_E_PROTOCOL, "the answer to %s: %s", row->id,
                        why.text);
    if (row->is_raw) {
        const struct chy_raw *raw = value;
        *ret_answer = (struct chy_api_answer){ raw->content_type, raw->body, raw->max_age_s };
        return CHY_OK;
    }
    size_t at = out->n;
    CHY_TRY(chy_json_write(row->response, value, 0, out, err));
    chy_buf_append_u8(out, '\n');
    CHY_TRY(chy_buf_check(out, err));
    *ret_answer = (struct chy_api_answer){ .content_type = CHY_STR("application/json"),
                                           .body = { out->p + at, out->n - at } };
    return CHY_OK;
}
