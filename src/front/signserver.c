/* SPDX-License-Identifier: MIT */
/* SignServer's door. What the caller may know of the key is asked of query first, in his name: it
 * says which signatures the key makes, and has the certificate that every answer carries. Then the
 * signature is asked of the signer by POST /v1/sign's own message, so policy and log are the same.
 */
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "front/api.h"
#include "front/exchange.h"
#include "front/problem.h"
#include "front/signserver_api.h"
#include "os/clock.h"

#define JOB_BYTES (4 * (size_t)CHY_LIMIT_CONTENT) /* what is to be signed, and a certificate */

/* What must be known until the last reply. Everything is in the arena. */
struct signserver_job {
    struct chy_arena arena;
    struct chy_caller caller;
    struct chy_signserver_ask ask;
    struct chy_bytes certificate;
};

static void job_free(void *state)
{
    struct signserver_job *job = state;
    if (job == NULL)
        return;
    chy_arena_done(&job->arena);
    chy_free(job);
}

static void job_freep(struct signserver_job **job)
{
    job_free(*job);
}

static bool keep_bytes(struct chy_arena *arena, struct chy_bytes *bytes)
{
    if (bytes->n == 0)
        return true;
    *bytes = chy_arena_bytes(arena, *bytes);
    return bytes->p != NULL;
}

static bool keep_str(struct chy_arena *arena, struct chy_str *text)
{
    if (text->n == 0)
        return true;
    *text = chy_arena_str(arena, *text);
    return text->p != NULL;
}

static enum chy_err job_new(const struct chy_caller *caller, const struct chy_signserver_ask *ask,
                            struct signserver_job **ret_job, struct chy_error *err)
{
    CHY_CLEANUP(job_freep) struct signserver_job *job = chy_new(struct signserver_job);
    if (job == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the request");
    chy_arena_init(&job->arena, JOB_BYTES);
    job->caller = *caller;
    job->ask = *ask;
    if (!keep_str(&job->arena, &job->caller.address) ||
        !keep_str(&job->arena, &job->caller.user_agent) ||
        !keep_str(&job->arena, &job->ask.worker) || !keep_str(&job->arena, &job->ask.reason) ||
        !keep_bytes(&job->arena, &job->ask.digest) || !keep_bytes(&job->arena, &job->ask.data))
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the request");
    *ret_job = CHY_TAKE(job);
    return CHY_OK;
}

/* --- answers --- */

static void answer_refusal(const struct exchange *x, int status, enum chy_err code,
                           struct chy_str text, const struct refusal *refusal)
{
    struct front *f = x->front;
    struct answer a = { .response = { .content_type = CHY_STR("application/json") } };
    struct chy_signserver_error e = {
        chy_problem_is_public(code) && text.n != 0
            ? text
            : CHY_STR("The server's log says more under this request id."),
    };
    exchange_log_failure(f, x->request_id, code, text);
    chy_buf_clear(&f->message);
    if (chy_json_write(&chy_signserver_error_schema, &e, 0, &f->message, NULL) == CHY_OK)
        a.response.body = chy_buf_bytes(&f->message);
    answer_add_refusal(&a, status, refusal);
    exchange_send(x, &a, status);
}

static void answer_code(const struct exchange *x, enum chy_err code, struct chy_str text,
                        uint32_t retry_after_s)
{
    const struct refusal refusal = { .challenge = CHY_STR("Basic realm=\"chancery\""),
                                     .retry_after_s = retry_after_s };
    int status = exchange_status_of(code);
    answer_refusal(x, status != 0 ? status : chy_err_http_status(code), code, text, &refusal);
}

static void answer_error(const struct exchange *x, const struct chy_error *err)
{
    answer_code(x, err->code, chy_str_of(err->text), 0);
}

static enum chy_err answer_done(const struct exchange *x, const struct chy_sign_result *result,
                                struct chy_bytes certificate, struct chy_error *err)
{
    struct front *f = x->front;
    char id[CHY_HEX_SIZE(CHY_ID_BYTES)];
    chy_hex_encode((struct chy_bytes){ x->request_id, CHY_ID_BYTES }, id);
    struct chy_signserver_answer answer = { .requestId = chy_str_of(id),
                                            .signerCertificate = certificate };
    if (result != NULL)
        answer.data = result->signature;
    if (result != NULL && result->outcome != NULL)
        answer.archiveId =
            chy_arena_printf(&f->arena, "%llu", (unsigned long long)result->outcome->index);
    chy_buf_clear(&f->body);
    CHY_TRY(chy_json_write(&chy_signserver_answer_schema, &answer, 0, &f->body, err));
    exchange_send_body(x, CHY_STR("application/json"), chy_buf_bytes(&f->body), 0);
    return CHY_OK;
}

/* --- the request --- */

static enum chy_err read_caller(const struct exchange *x, const struct chy_http_request *request,
                                struct chy_caller *ret_caller, struct chy_error *err)
{
    static const char basic[] = "Basic ";
    const struct chy_http_field *f = chy_http_field_find(request, "authorization");
    size_t n = sizeof basic - 1;
    exchange_caller(x, request, ret_caller);
    if (f != NULL && f->value.n > n && strncasecmp(f->value.p, basic, n) == 0)
        return chy_signserver_password((struct chy_str){ f->value.p + n, f->value.n - n },
                                       ret_caller, err);
    return chy_api_read_caller(request, chy_conn_peer(x->conn), chy_clock_realtime_us(),
                               CHY_MAY_KNOWN, ret_caller, err);
}

static enum chy_err ask_for(const struct exchange *x, enum chy_call_purpose purpose, enum chy_op op,
                            struct signserver_job *job, struct chy_error *err)
{
    const struct front_ask ask = {
        .purpose = purpose,
        .row = chy_op_row((int)op),
        .request_id = x->request_id,
        .conn = x->conn,
        .stream = x->stream,
        .caller = &job->caller,
        .request = chy_buf_bytes(&x->front->body),
        .state = job,
        .state_free = job_free,
    };
    return front_call(x->front, &ask, err);
}

static enum chy_err ask_for_key(const struct exchange *x, const struct chy_caller *caller,
                                const struct chy_signserver_ask *ask, struct chy_error *err)
{
    CHY_CLEANUP(job_freep) struct signserver_job *job = NULL;
    CHY_TRY(job_new(caller, ask, &job, err));
    const struct chy_key_name name = { job->ask.worker };
    chy_buf_clear(&x->front->body);
    CHY_TRY(chy_schema_encode(&chy_key_name_schema, &name, &x->front->body, err));
    CHY_TRY(ask_for(x, CHY_CALL_SIGNSERVER_KEY, CHY_OP_KEYS_SHOW, job, err));
    job = NULL; /* the slot's now */
    return CHY_OK;
}

static enum chy_err serve(const struct exchange *x, const struct chy_http_request *request,
                          struct chy_str worker, struct chy_error *err)
{
    static const struct refusal nothing;
    struct chy_caller caller;
    struct chy_signserver_ask ask;
    /* Nobody's body is read before it is known that somebody is asking. */
    CHY_TRY(read_caller(x, request, &caller, err));
    if (!chy_api_body_is_json(request)) {
        answer_refusal(x, 415, CHY_E_UNSUPPORTED, CHY_STR("the body is not application/json"),
                       &nothing);
        return CHY_OK;
    }
    CHY_TRY(chy_signserver_read(request->body, &x->front->arena, &ask, err));
    ask.worker = worker;
    return ask_for_key(x, &caller, &ask, err);
}

bool signserver_request(const struct exchange *x, const struct chy_http_request *request)
{
    struct chy_str worker;
    struct chy_error err;
    if (!x->front->config.signserver || !chy_signserver_find(&x->front->target, &worker))
        return false;
    if (request->method != CHY_HTTP_POST) {
        const struct refusal refusal = { .allow = CHY_STR("POST") };
        answer_refusal(x, 405, CHY_E_UNSUPPORTED, CHY_STR("this path is for POST"), &refusal);
    } else if (serve(x, request, worker, &err) != CHY_OK) {
        answer_error(x, &err);
    }
    return true;
}

/* --- the replies --- */

/* What one of our own processes got wrong is not the caller's fault. */
static enum chy_err read_reply(const struct exchange *x, const struct chy_schema *schema,
                               const struct chy_reply *reply, void *value, struct chy_error *err)
{
    struct chy_error why;
    enum chy_err r = chy_schema_decode(schema, reply->response, &x->front->arena, value, &why);
    if (r == CHY_OK || r == CHY_E_NOMEM)
        return r == CHY_OK ? r : chy_fail(err, r, "there is no memory for a reply");
    return chy_fail(err, CHY_E_PROTOCOL, "a reply: %s", why.text);
}

static enum chy_err key_came(const struct exchange *x, struct chy_call_slot *slot,
                             const struct chy_reply *reply, struct chy_error *err)
{
    struct front *f = x->front;
    struct signserver_job *job = slot->state;
    struct chy_key key;
    CHY_TRY(read_reply(x, &chy_key_schema, reply, &key, err));
    if (key.certificates.n > 0)
        job->certificate = key.certificates.p[0].der;
    if (job->ask.is_empty && job->certificate.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "key \"%.*s\" has no certificate",
                        CHY_STR_ARG(job->ask.worker));
    if (job->ask.is_empty)
        return answer_done(x, NULL, job->certificate, err);
    if (!keep_bytes(&job->arena, &job->certificate))
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for a certificate");
    chy_buf_clear(&f->body);
    CHY_TRY(
        chy_signserver_sign(&job->ask, key.type, job->caller.user_agent, &f->arena, &f->body, err));
    CHY_TRY(ask_for(x, CHY_CALL_SIGNSERVER_SIGN, CHY_OP_SIGN, job, err));
    slot->state = NULL; /* the new slot's */
    return CHY_OK;
}

static enum chy_err signature_came(const struct exchange *x, const struct chy_call_slot *slot,
                                   const struct chy_reply *reply, struct chy_error *err)
{
    const struct signserver_job *job = slot->state;
    struct chy_sign_response response;
    CHY_TRY(read_reply(x, &chy_sign_response_schema, reply, &response, err));
    if (response.results.n != 1 || !response.results.p[0].is_signed)
        return chy_fail(err, CHY_E_PROTOCOL, "the signer answered without a signature");
    return answer_done(x, &response.results.p[0], job->certificate, err);
}

void signserver_reply(const struct exchange *x, struct chy_call_slot *slot,
                      const struct chy_reply *reply)
{
    struct chy_error err;
    enum chy_err code = (enum chy_err) - (int)CHY_MIN(reply->code, (uint32_t)INT16_MAX);
    if (!chy_err_is_known((int)code))
        code = CHY_E_PROTOCOL;
    if (code != CHY_OK) {
        answer_code(x, code, reply->text, reply->retry_after_s);
        return;
    }
    enum chy_err r = slot->purpose == CHY_CALL_SIGNSERVER_KEY
                         ? key_came(x, slot, reply, &err)
                         : signature_came(x, slot, reply, &err);
    if (r != CHY_OK)
        answer_error(x, &err);
}

void signserver_failure(const struct exchange *x, const struct chy_error *err)
{
    answer_error(x, err);
}
