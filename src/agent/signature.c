/* SPDX-License-Identifier: MIT */
#include "agent/signature_internal.h"
#include "agent/workers.h"
#include "client/receipt.h"
#include "client/signing.h"

enum chy_err signature_take(struct signature_outcome *outcome, const struct signature_asked *asked,
                            const struct chy_sign_result *result,
                            const struct chy_door_hello *hello, struct chy_str log_key,
                            struct chy_arena *arena, struct chy_error *err)
{
    CHY_TRY(chy_schema_copy(&chy_sign_result_schema, result, arena, &outcome->result, err));
    if (!outcome->result.is_signed)
        return CHY_OK;
    const struct chy_pubkey *key;
    CHY_TRY(chy_worker_pubkey(asked->by, asked->spki, &key, err));
    CHY_TRY(chy_signing_check_by(key, asked->item, outcome->result.signature, err));
    return chy_receipt_keep(outcome->result.receipt, outcome->result.outcome, log_key,
                            hello->receipts, arena, &outcome->receipt_file, err);
}

void signature_tell(struct conn *c, const struct chy_sign_item *item, struct chy_bytes digest,
                    const struct signature_outcome *outcome, const struct chy_work *work)
{
    const struct chy_sign_result *result = &outcome->result;
    bool is_signed = work->code == CHY_OK && result->is_signed;
    bool is_refused = work->code == CHY_OK && !result->is_signed;
    c->porter->signatures += is_signed ? 1 : 0;
    c->porter->refusals += is_refused ? 1 : 0;
    const struct chy_door_event event = {
        .key = item->key,
        .algorithm = item->algorithm,
        .digest = digest,
        .application = chy_peer_path(c->peer),
        .is_signed = is_signed,
        .problem = work->code == CHY_OK ? result->problem : chy_str_of(chy_err_type(work->code)),
        .detail = work->code == CHY_OK ? result->detail : chy_str_of(work->error.text),
        .rules = result->rules,
        .request_id = chy_str_of(work->request_id),
        .intent = result->intent,
        .outcome = result->outcome,
        .receipt_file = outcome->receipt_file,
    };
    porter_tell(c->porter, c, &event);
}

/* Types end in a name of our list of errors; see RFC 9457 section 3.1 for the type. */
static enum chy_err code_of_problem(struct chy_str problem)
{
    char name[64];
    if (problem.n == 0 || problem.n >= sizeof name)
        return CHY_E_DENIED;
    chy_copy(name, problem.p, problem.n);
    name[problem.n] = '\0';
    enum chy_err code = chy_err_from_type(name);
    return code == CHY_OK ? CHY_E_DENIED : code;
}

void signature_refuse(struct conn *c, uint64_t frame_id, const struct signature_outcome *outcome,
                      const char *request_id)
{
    const struct chy_sign_result *result = &outcome->result;
    enum chy_err code = code_of_problem(result->problem);
    const struct chy_door_failure failure = {
        .code = (uint32_t)-code,
        .text = result->detail.n != 0 ? result->detail : chy_str_of(chy_err_title(code)),
        .request_id = chy_str_of(request_id),
        .rules = result->rules,
    };
    conn_reply(c, frame_id, CHY_DOOR_FAILED, &chy_door_failure_schema, &failure);
}
