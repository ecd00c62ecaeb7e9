/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/agent_link.h"
#include "codec/frame.h"
#include "codec/hex.h"
#include "doc/doc.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/http_client.h"

/* A key of RSA 4096 takes a software token seconds, sometimes many. */
#define WRITE_TIMEOUT_MS 120000
#define READ_TIMEOUT_MS  30000
#define TRIES            5
#define FIRST_WAIT_MS    200
#define LONGEST_WAIT_MS  5000
/* What the agent itself waits for, and some. */
#define AGENT_WRITE_TIMEOUT_MS 150000
#define AGENT_READ_TIMEOUT_MS  60000

struct chy_client {
    const struct chy_settings *settings;
    struct chy_agent_link *agent; /* else: */
    struct chy_http_client *http;
    int64_t patience_ms;
    bool is_other_server; /* the agent's is not the profile's */
    char request_id[CHY_LIMIT_NAME + 1];
    struct chy_secret *key_pem;
    struct chy_buf certificate_pem;
};

static enum chy_err load_credential(struct chy_client *c, struct chy_error *err)
{
    const struct chy_profile *p = &c->settings->profile;
    /* A token was given on purpose; a second credential beside it would be a guess. */
    if (p->key.n == 0 || c->settings->token != NULL)
        return CHY_OK;
    CHY_TRY(chy_file_read_secret(AT_FDCWD, p->key.p, &c->key_pem, err));
    return chy_file_read(AT_FDCWD, p->certificate.p, &c->certificate_pem, err);
}

/* --- through the agent --- */

static enum chy_err link_open(struct chy_client *c, struct chy_error *err)
{
    uint8_t tag[CHY_ID_BYTES];
    bool has_tag = chy_hex_decode(c->settings->exec_tag, tag, sizeof tag, NULL) == CHY_OK;
    const struct chy_agent_link_options options = {
        .path = c->settings->agent_socket,
        .software = "chancery " CHY_VERSION,
        .tag = { tag, has_tag ? sizeof tag : 0 },
    };
    return chy_agent_link_open(&options, &c->agent, err);
}

/* Whether it is the profile's server that the agent speaks to. */
static enum chy_err link_compare(struct chy_client *c, bool *ret_is_same, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    const struct chy_empty nothing = { 0 };
    struct chy_door_status status;
    const struct chy_agent_question question = {
        CHY_DOOR_STATUS,       &chy_empty_schema,       &nothing,
        CHY_DOOR_STATUS_REPLY, &chy_door_status_schema, AGENT_READ_TIMEOUT_MS,
    };
    chy_arena_init(&arena, CHY_LIMIT_SECRET);
    CHY_TRY(chy_agent_link_ask(c->agent, &question, &arena, &status, err));
    const struct chy_profile *p = &c->settings->profile;
    *ret_is_same = chy_str_equal(status.url, p->url) && chy_str_equal(status.profile, p->name);
    c->is_other_server = !chy_str_equal(status.url, p->url);
    return CHY_OK;
}

/* Leaves c->agent NULL where the server is to be asked directly. */
static enum chy_err try_agent(struct chy_client *c, struct chy_error *err)
{
    bool is_same = false;
    bool is_named = c->settings->is_agent_named;
    if (c->settings->agent_socket.n == 0)
        return CHY_OK;
    enum chy_err r = link_open(c, err);
    if (r == CHY_OK)
        r = link_compare(c, &is_same, err);
    if (r != CHY_OK && is_named)
        return chy_error_prefix(err, r, "the agent of CHANCERY_AGENT_SOCK");
    if (r == CHY_E_NOMEM)
        return r;
    /* One of another profile may run as well as none: the settings say whom to ask. */
    if (r != CHY_OK || (!is_same && !is_named && c->settings->profile.url.n != 0)) {
        chy_agent_link_close(c->agent);
        c->agent = NULL;
        c->is_other_server = false;
    }
    return CHY_OK;
}

static enum chy_err call_agent(struct chy_client *c, const struct chy_op_row *row,
                               const void *request, struct chy_arena *arena, void *response,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(row->request, request, &body, err));
    const struct chy_door_call call = { (uint32_t)row->op, chy_buf_bytes(&body) };
    const struct chy_agent_question question = {
        CHY_DOOR_CALL,
        &chy_door_call_schema,
        &call,
        CHY_DOOR_CALLED,
        &chy_door_called_schema,
        row->method == CHY_HTTP_GET ? AGENT_READ_TIMEOUT_MS : AGENT_WRITE_TIMEOUT_MS,
    };
    struct chy_door_called called = { 0 };
    enum chy_err r = chy_agent_link_ask(c->agent, &question, arena, &called, err);
    struct chy_str id =
        r == CHY_OK ? called.request_id : chy_str_of(chy_agent_link_request_id(c->agent));
    chy_copy(c->request_id, id.p, id.n);
    c->request_id[id.n] = '\0';
    if (r != CHY_OK)
        return r;
    return chy_schema_decode(row->response, called.response, arena, response, err);
}

/* --- over HTTPS --- */

static enum chy_err http_open(struct chy_client *c, struct chy_error *err)
{
    const struct chy_profile *p = &c->settings->profile;
    if (p->url.n == 0)
        return chy_fail(err, CHY_E_STATE, "profile \"%.*s\" names no server", CHY_STR_ARG(p->name));
    CHY_TRY(load_credential(c, err));
    struct chy_http_client_options options = {
        .user_agent = "chancery/" CHY_VERSION,
        .pin = p->pin.n != 0 ? p->pin.p : NULL,
        .ca_file = p->ca.n != 0 ? p->ca.p : NULL,
        .key_pem = c->key_pem,
        .certificate_pem = chy_buf_bytes(&c->certificate_pem),
    };
    return chy_http_client_new(&options, &c->http, err);
}

enum chy_err chy_client_open(const struct chy_settings *settings, struct chy_client **ret_client,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_client_closep) struct chy_client *c = chy_new(struct chy_client);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a connection");
    c->settings = settings;
    chy_buf_init(&c->certificate_pem, CHY_LIMIT_SECRET);
    CHY_TRY(try_agent(c, err));
    if (c->agent == NULL)
        CHY_TRY(http_open(c, err));
    *ret_client = CHY_TAKE(c);
    return CHY_OK;
}

void chy_client_close(struct chy_client *c)
{
    if (c == NULL)
        return;
    chy_agent_link_close(c->agent);
    chy_http_client_free(c->http); /* borrows the key */
    chy_secret_free(c->key_pem);
    chy_buf_done(&c->certificate_pem);
    chy_free(c);
}

void chy_client_closep(struct chy_client **c)
{
    chy_client_close(*c);
}

void chy_client_set_patience(struct chy_client *c, int64_t patience_ms)
{
    c->patience_ms = patience_ms;
}

const char *chy_client_request_id(const struct chy_client *c)
{
    return c->request_id;
}

bool chy_client_is_agent(const struct chy_client *c)
{
    return c->agent != NULL;
}

struct chy_str chy_client_log_key(const struct chy_client *c)
{
    return c->is_other_server ? (struct chy_str){ 0 } : c->settings->profile.log_key;
}

/* --- answers --- */

static enum chy_err code_of_status(unsigned status)
{
    static const struct {
        unsigned status;
        enum chy_err code;
    } codes[] = {
        { 401, CHY_E_UNAUTHENTICATED },
        { 403, CHY_E_FORBIDDEN },
        { 404, CHY_E_NOT_FOUND },
        { 409, CHY_E_CONFLICT },
        { 413, CHY_E_LIMIT },
        { 429, CHY_E_RATE },
        { 503, CHY_E_BUSY },
        { 504, CHY_E_TIMEOUT },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(codes); i++) {
        if (codes[i].status == status)
            return codes[i].code;
    }
    return status >= 400 && status < 500 ? CHY_E_ARG : CHY_E_PROTOCOL;
}

static struct chy_str member_text(const struct chy_doc *doc, const char *name)
{
    const struct chy_doc *m = chy_doc_get(doc, name);
    return m != NULL && m->kind == CHY_DOC_TEXT ? m->text : (struct chy_str){ 0 };
}

/* The last part of the type is a name of our list of errors; one we do not know has its status.
 * Source: RFC 9457 section 3.1. */
static enum chy_err code_of_type(struct chy_str type, unsigned status)
{
    char name[40];
    const char *slash = type.n != 0 ? memrchr(type.p, '/', type.n) : NULL;
    const char *colon = type.n != 0 ? memrchr(type.p, ':', type.n) : NULL;
    const char *cut = slash > colon ? slash : colon;
    struct chy_str last =
        cut == NULL ? type : (struct chy_str){ cut + 1, type.n - (size_t)(cut + 1 - type.p) };
    if (last.n == 0 || last.n >= sizeof name)
        return code_of_status(status);
    chy_copy(name, last.p, last.n);
    name[last.n] = '\0';
    enum chy_err code = chy_err_from_type(name);
    bool is_known = code != CHY_E_INTERNAL || chy_str_equal_c(last, chy_err_type(CHY_E_INTERNAL));
    return is_known && code != CHY_OK ? code : code_of_status(status);
}

/* The server's sentence and, for its operators, its name of the request; a long sentence is cut. */
static enum chy_err fail_as(enum chy_err code, struct chy_str detail,
                            const struct chy_http_exchange *x, struct chy_error *err)
{
    char request[64] = "";
    if (x->request_id[0] != '\0')
        (void)snprintf(request, sizeof request, " (request %s)", x->request_id);
    size_t room = CHY_ERROR_TEXT_BYTES - 1 - strlen(request);
    return chy_fail(err, code, "%.*s%s", (int)CHY_MIN(detail.n, room), detail.p, request);
}

/* Signatures of which none was made are a problem, and what became of each stands in it. */
static bool has_result(const struct chy_op_row *row, const struct chy_doc *problem,
                       struct chy_arena *arena, void *response)
{
    const struct chy_doc *result = chy_doc_get(problem, "result");
    return row->op == CHY_OP_SIGN && result != NULL &&
           chy_doc_read_lenient(row->response, result, arena, response, NULL) == CHY_OK;
}

static enum chy_err explain_problem(const struct chy_op_row *row, const struct chy_http_exchange *x,
                                    struct chy_arena *arena, void *response, struct chy_error *err)
{
    const struct chy_doc *doc;
    /* What is read of it may borrow from the text, which ends before the arena does. */
    struct chy_bytes text = chy_arena_bytes(arena, chy_buf_bytes(x->answer));
    bool is_problem = text.p != NULL &&
                      chy_str_equal_c(chy_str_of(x->content_type), "application/problem+json") &&
                      chy_json_parse(text, arena, &doc, NULL) == CHY_OK;
    if (!is_problem) {
        char plain[48];
        int n = snprintf(plain, sizeof plain, "the server answered with status %u", x->status);
        return fail_as(code_of_status(x->status), (struct chy_str){ plain, (size_t)n }, x, err);
    }
    if (has_result(row, doc, arena, response))
        return CHY_OK;
    enum chy_err code = code_of_type(member_text(doc, "type"), x->status);
    struct chy_str detail = member_text(doc, "detail");
    if (detail.n == 0)
        detail = member_text(doc, "title");
    if (detail.n == 0)
        detail = chy_str_of(chy_err_title(code));
    return fail_as(code, detail, x, err);
}

static enum chy_err read_raw(const struct chy_http_exchange *x, struct chy_arena *arena,
                             struct chy_raw *raw, struct chy_error *err)
{
    *raw = (struct chy_raw){
        .content_type = chy_arena_str(arena, chy_str_of(x->content_type)),
        .body = chy_arena_bytes(arena, chy_buf_bytes(x->answer)),
    };
    if (raw->body.p == NULL && x->answer->n != 0)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the server's answer");
    return CHY_OK;
}

static enum chy_err read_answer(const struct chy_op_row *row, const struct chy_http_exchange *x,
                                struct chy_arena *arena, void *response, struct chy_error *err)
{
    if (row->is_raw)
        return read_raw(x, arena, response, err);
    if (row->response == &chy_empty_schema) {
        *(struct chy_empty *)response = (struct chy_empty){ 0 };
        return CHY_OK;
    }
    if (!chy_str_equal_c(chy_str_of(x->content_type), "application/json"))
        return chy_fail(err, CHY_E_PROTOCOL, "the answer is no JSON: is this a Chancery server?");
    /* What was read may borrow from the text, which ends before the arena does. */
    struct chy_bytes text = chy_arena_bytes(arena, chy_buf_bytes(x->answer));
    if (text.p == NULL && x->answer->n != 0)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the server's answer");
    const struct chy_doc *doc;
    enum chy_err r = chy_json_parse(text, arena, &doc, err);
    if (r == CHY_OK)
        r = chy_doc_read_lenient(row->response, doc, arena, response, err);
    if (r == CHY_E_MALFORMED || r == CHY_E_LIMIT)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's answer to %s is wrong: %s", row->id,
                        err != NULL ? err->text : "");
    return r;
}

/* --- asking --- */

/* Whether anything of the request is neither in the path nor in the query. */
static bool has_body(const struct chy_op_row *row)
{
    return row->method == CHY_HTTP_POST || row->method == CHY_HTTP_PUT;
}

static enum chy_err make_url(const struct chy_client *c, const struct chy_op_row *row,
                             const void *request, struct chy_buf *url, struct chy_error *err)
{
    chy_buf_append_str(url, c->settings->profile.url);
    CHY_TRY(chy_op_path(row, request, url, err));
    chy_buf_append_u8(url, 0);
    return chy_buf_check(url, err);
}

static int64_t wait_ms(const struct chy_http_exchange *x, unsigned tries)
{
    int64_t ms = (int64_t)FIRST_WAIT_MS << tries;
    if (x->retry_after_s != 0)
        ms = (int64_t)x->retry_after_s * 1000;
    return CHY_MIN(ms, (int64_t)LONGEST_WAIT_MS);
}

static bool is_busy(unsigned status)
{
    return status == 503 || status == 429;
}

/* A server that is being restarted refuses, resets or does not answer what connects to it. */
static bool may_come(enum chy_err r)
{
    return r == CHY_E_NETWORK || r == CHY_E_PROTOCOL || r == CHY_E_TIMEOUT;
}

/* One try; while nobody is there to be asked, more of them for as long as patience lasts. */
static enum chy_err reach(struct chy_client *c, struct chy_http_exchange *x, struct chy_error *err)
{
    int64_t patience_us = chy_clock_monotonic_us() + c->patience_ms * 1000;
    for (unsigned tries = 0;; tries++) {
        enum chy_err r = chy_http_client_do(c->http, x, err);
        if (!may_come(r) || !x->is_unsent || chy_clock_monotonic_us() >= patience_us)
            return r;
        CHY_IGNORE(poll(NULL, 0, (int)wait_ms(x, CHY_MIN(tries, 3U))));
    }
}

/* One request, asked again while the server is busy and time is left, if that cannot do it
 * twice. */
static enum chy_err exchange(struct chy_client *c, const struct chy_op_row *row,
                             struct chy_http_exchange *x, struct chy_error *err)
{
    bool is_safe = row->method == CHY_HTTP_GET;
    int64_t deadline_us =
        chy_clock_monotonic_us() + (is_safe ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS) * INT64_C(1000);
    for (unsigned tries = 0;; tries++) {
        x->timeout_ms = (deadline_us - chy_clock_monotonic_us()) / 1000;
        if (x->timeout_ms <= 0)
            return chy_fail(err, CHY_E_TIMEOUT, "the server had no time for this");
        CHY_TRY(reach(c, x, err));
        if (!is_safe || !is_busy(x->status) || tries + 1 == TRIES)
            return CHY_OK;
        /* Nothing but time is waited for here. */
        CHY_IGNORE(poll(NULL, 0, (int)wait_ms(x, tries)));
    }
}

static enum chy_err call(struct chy_client *c, const struct chy_op_row *row, const void *request,
                         struct chy_arena *arena, void *response, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf url;
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    CHY_CLEANUP(chy_buf_done) struct chy_buf answer;
    chy_buf_init(&url, CHY_LIMIT_URL + CHY_LIMIT_PATH + 1);
    chy_buf_init(&body, CHY_LIMIT_JSON);
    chy_buf_init(&answer, CHY_LIMIT_RESPONSE);
    CHY_TRY(make_url(c, row, request, &url, err));
    if (has_body(row))
        CHY_TRY(chy_json_write(row->request, request, 0, &body, err));
    struct chy_http_exchange x = {
        .method = chy_http_method_name(row->method),
        .url = (const char *)url.p,
        .accept = row->is_raw ? CHY_STR("*/*") : CHY_STR("application/json"),
        .bearer = c->settings->token,
        .has_body = has_body(row),
        .body = chy_buf_bytes(&body),
        .api_version = CHY_API_MAX,
        .answer = &answer,
    };
    CHY_TRY(exchange(c, row, &x, err));
    chy_copy(c->request_id, x.request_id, sizeof x.request_id);
    if (x.status < 200 || x.status > 299)
        return explain_problem(row, &x, arena, response, err);
    return read_answer(row, &x, arena, response, err);
}

/* Says which side is too old; leaves the error as it is when that is not the matter. */
static enum chy_err check_versions(struct chy_client *c, struct chy_arena *arena, enum chy_err r,
                                   struct chy_error *err)
{
    struct chy_empty nothing = { 0 };
    struct chy_hello hello;
    enum chy_err asked = call(c, chy_op_row(CHY_OP_HELLO), &nothing, arena, &hello, NULL);
    if (asked != CHY_OK || (hello.api_min <= CHY_API_MAX && hello.api_max >= CHY_API_MIN))
        return r;
    return chy_fail(
        err, CHY_E_UNSUPPORTED,
        "the server (%.*s) speaks versions %u to %u of the interface, this chancery (%s) "
        "speaks %d: use a %s chancery",
        CHY_STR_ARG(hello.server), hello.api_min, hello.api_max, CHY_VERSION, CHY_API_MAX,
        hello.api_min > CHY_API_MAX ? "newer" : "older");
}

enum chy_err chy_client_call(struct chy_client *c, enum chy_op op, const void *request,
                             struct chy_arena *arena, void *response, struct chy_error *err)
{
    const struct chy_op_row *row = chy_op_row((int)op);
    c->request_id[0] = '\0';
    if (row == NULL)
        return chy_fail(err, CHY_E_INTERNAL, "there is no operation %d", (int)op);
    if (c->agent != NULL)
        return call_agent(c, row, request, arena, response, err);
    enum chy_err r = call(c, row, request, arena, response, err);
    if (r == CHY_E_UNSUPPORTED || r == CHY_E_PROTOCOL)
        return check_versions(c, arena, r, err);
    return r;
}
